/* Server-sent events over a stream. */
#ifndef FAL_SERVER_EVENTS_H
#define FAL_SERVER_EVENTS_H

#include "server/http.h"

#define FAL_EVENTS_TYPE "text/event-stream"

/* Begins a stream of events, which nobody on the way keeps or collects. */
void fal_events_begin(fal_exchange *x);

/* Writes one event. name: NULL for none. data is taken; it becomes one line of JSON. Where memory is short the stream breaks
 * off, so that a client sees that it is not whole. */
void fal_event_write(fal_exchange *x, const char *name, json_t *take_data);

/* As fal_event_write, with text that has no line break in it ("[DONE]"). */
void fal_event_write_text(fal_exchange *x, const char *name, const char *text);

#endif
