/* Body of making.h. */
#include "cli/making.h"

#include <string.h>

bool fal_making_on_bytes(void *user, const char *tensor, uint64_t n_done, uint64_t n_total) {
    fal_making *m = user;
    (void)tensor;
    if (!m->is_quiet) fal_progress_show(&m->progress, n_done, n_total);
    return !fal_interrupt_is_raised();
}

bool fal_making_on_weights(void *user, const char *tensor, int64_t n_done, int64_t n_total) {
    return fal_making_on_bytes(user, tensor, (uint64_t)n_done, (uint64_t)n_total);
}

static void on_event(void *user, fal_log_level level, const char *area, const char *text) {
    fal_making *m = user;
    (void)area;
    if (m->is_quiet || level > FAL_LOG_INFO) return;
    fal_progress_clear(&m->progress);
    fal_terminal_notice("%s", text);
}

fal_log fal_making_log(fal_making *m) {
    return (fal_log){on_event, m};
}

bool fal_is_file_name(const char *path) {
    size_t length = strlen(path);
    return length >= 5 && strcmp(path + length - 5, ".gguf") == 0;
}
