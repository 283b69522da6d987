/* A task in a process of its own: what it holds at most can be told apart, and what kills it stays there. In the program,
 * since a library does not make processes. */
#ifndef FAL_CLI_CHILD_H
#define FAL_CLI_CHILD_H

#include "publish/measure.h"

/* Runs task in a copy of this process, of which no other thread may be running; the function that fal_run_apart
 * describes. A child that ends without an answer, because the system killed it perhaps, is a failure.
 * Fails: as task; CANCELLED (the child is ended at once), IO, MEMORY. */
fal_run_apart fal_child_run;

#endif
