/* Signals as values: a long-running command reads them one by one. */
#ifndef FAL_CLI_SERVE_SIGNALS_H
#define FAL_CLI_SERVE_SIGNALS_H

#include "base/fail.h"

/* From here on SIGTERM, SIGINT and SIGHUP are collected, SIGPIPE is ignored. Once. Fails: IO. */
fal_status fal_signals_collect(fal_error *err);

/* The next one; 0 when none came within `ms` milliseconds (-1: waits for ever). */
int fal_signals_next(int ms);

#endif
