/* Body of journal.h. */
#include "train/journal.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/file_append.h"
#include "base/string_builder.h"
#include "train/curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t MAX_LOG_BYTES = (size_t)4 << 30;
static const double DRAW_SECONDS = 5; /* at least, between two pictures */
static const double DRAW_SHARE = 50;  /* times what drawing took */

struct fal_journal {
    char *log_path, *table_path, *picture_path;
    fal_appended *log, *table;
    fal_string_builder line;
    int64_t n_steps;
    double drawn, draw_seconds;
    bool has_picture;
};

/* ---- opening ---- */

/* The number behind `mark` at the beginning of a line; -1: none. */
static int64_t step_of_line(const char *line, const char *mark) {
    size_t length = strlen(mark);
    if (strncmp(line, mark, length) != 0) return -1;
    char *end;
    long long step = strtoll(line + length, &end, 10);
    return end > line + length ? step : -1;
}

/* How much of text stays: the heading and whole lines of steps up to last_step. */
static size_t kept_length(const char *text, const char *mark, const char *heading,
                          int64_t last_step) {
    size_t at = strlen(heading);
    if (last_step == 0 || strncmp(text, heading, at) != 0) return 0;
    for (;;) {
        const char *newline = strchr(text + at, '\n');
        int64_t step = step_of_line(text + at, mark);
        if (!newline || step < 0 || step > last_step) return at;
        at = (size_t)(newline - text) + 1;
    }
}

/* Cuts the file at path, or makes it with its heading, and opens it. */
static fal_status open_one(fal_appended **out, const char *path, const char *mark,
                           const char *heading, int64_t last_step, fal_error *err) {
    char *text = NULL;
    size_t length = 0, kept = 0;
    if (fal_file_exists(path)) FAL_TRY(fal_file_read(&text, &length, path, MAX_LOG_BYTES, err));
    if (text) kept = kept_length(text, mark, heading, last_step);
    fal_status status = FAL_OK;
    if (kept == 0)
        status = fal_file_write(path, heading, strlen(heading), err);
    else if (kept < length)
        status = fal_file_write(path, text, kept, err);
    fal_free(text);
    return status == FAL_OK ? fal_appended_open(out, path, err) : status;
}

static fal_status open_files(fal_journal *j, const char *directory, int64_t last_step,
                             fal_error *err) {
    j->log_path = fal_path_join(directory, "log.jsonl");
    j->table_path = fal_path_join(directory, "curves.tsv");
    j->picture_path = fal_path_join(directory, "curves.svg");
    if (!j->log_path || !j->table_path || !j->picture_path) return fal_fail_memory(err, 0);
    FAL_TRY(open_one(&j->log, j->log_path, "{\"step\": ", "", last_step, err));
    return open_one(&j->table, j->table_path, "", FAL_CURVES_HEADING, last_step, err);
}

fal_status fal_journal_open(fal_journal **out, const char *directory, int64_t last_step,
                            fal_error *err) {
    *out = NULL;
    fal_journal *j = fal_alloc(1, sizeof *j);
    if (!j) return fal_fail_memory(err, sizeof *j);
    j->n_steps = last_step;
    j->drawn = fal_seconds();
    fal_status status = open_files(j, directory, last_step, err);
    if (status != FAL_OK) {
        fal_journal_close(j);
        return status;
    }
    *out = j;
    return FAL_OK;
}

void fal_journal_close(fal_journal *j) {
    if (!j) return;
    fal_appended_close(j->log);
    fal_appended_close(j->table);
    fal_string_release(&j->line);
    fal_free(j->log_path);
    fal_free(j->table_path);
    fal_free(j->picture_path);
    fal_free(j);
}

/* ---- adding ---- */

/* Numbers that JSON does not have are left out. */
static void append_number(fal_string_builder *line, const char *key, double value) {
    if (isfinite(value)) fal_string_append_format(line, ", \"%s\": %.17g", key, value);
}

static void append_log_line(fal_string_builder *line, const fal_train_step *s) {
    static const char *const part_keys[FAL_LOSS_PART_COUNT] = {
        [FAL_LOSS_ANSWER] = "loss_answer",
        [FAL_LOSS_PROMPT] = "loss_prompt",
        [FAL_LOSS_TEXT] = "loss_text",
    };
    fal_string_append_format(line, "{\"step\": %lld, \"tokens\": %lld", (long long)s->step,
                             (long long)s->n_tokens);
    append_number(line, "loss", s->loss);
    for (int part = 0; part < FAL_LOSS_PART_COUNT; part++) {
        if (part_keys[part]) append_number(line, part_keys[part], s->part_losses[part]);
    }
    append_number(line, "gradient_norm", s->gradient_norm);
    append_number(line, "clip", s->clip);
    append_number(line, "learning_rate", s->learning_rate);
    append_number(line, "validation_loss", s->validation_loss);
    fal_string_append_format(line,
                             ", \"seconds\": %.4g, \"tokens_per_second\": %.4g, "
                             "\"memory\": %llu}\n",
                             s->seconds, s->tokens_per_second, (unsigned long long)s->memory);
}

static fal_status append_line(fal_journal *j, fal_appended *to, fal_error *err) {
    FAL_TRY(fal_string_status(&j->line, err));
    return fal_appended_write(to, j->line.text, j->line.length, err);
}

fal_status fal_journal_add(fal_journal *j, const fal_train_step *step, fal_error *err) {
    fal_string_clear(&j->line);
    append_log_line(&j->line, step);
    FAL_TRY(append_line(j, j->log, err));
    fal_string_clear(&j->line);
    fal_curves_append_line(&j->line, step);
    FAL_TRY(append_line(j, j->table, err));
    j->n_steps = step->step;
    return FAL_OK;
}

fal_status fal_journal_sync(fal_journal *j, fal_error *err) {
    FAL_TRY(fal_appended_sync(j->log, err));
    return fal_appended_sync(j->table, err);
}

bool fal_journal_draw(fal_journal *j, bool is_forced) {
    double started = fal_seconds(), since = started - j->drawn;
    if (!is_forced && (since < DRAW_SECONDS || since < DRAW_SHARE * j->draw_seconds)) return true;
    j->has_picture = fal_curves_draw(j->table_path, j->n_steps, j->picture_path, NULL) == FAL_OK;
    j->drawn = fal_seconds();
    j->draw_seconds = j->drawn - started;
    return j->has_picture;
}
