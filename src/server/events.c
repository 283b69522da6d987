/* Body of events.h. */
#include "server/events.h"

#include "formats/json_value.h"

void fal_events_begin(fal_exchange *x) {
    fal_exchange_set_header(x, "Cache-Control", "no-cache");
    fal_exchange_set_header(x, "X-Accel-Buffering", "no");
    fal_exchange_begin_stream(x, FAL_EVENTS_TYPE);
}

static void begin(fal_string_builder *event, const char *name) {
    if (name) fal_string_append_format(event, "event: %s\n", name);
    fal_string_append_text(event, "data: ");
}

static void end(fal_exchange *x, fal_string_builder *event) {
    fal_string_append_text(event, "\n\n");
    if (event->failed)
        fal_exchange_break_stream(x);
    else
        fal_exchange_write(x, event->text, event->length);
    fal_string_release(event);
}

void fal_event_write(fal_exchange *x, const char *name, json_t *take_data) {
    fal_string_builder event = {0};
    begin(&event, name);
    fal_json_write_text(&event, take_data, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(take_data);
    end(x, &event);
}

void fal_event_write_text(fal_exchange *x, const char *name, const char *text) {
    fal_string_builder event = {0};
    begin(&event, name);
    fal_string_append_text(&event, text);
    end(x, &event);
}
