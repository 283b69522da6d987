/* Body of sources.h and source_lines.h: finds the reader of a file, hands it one record after the other, counts. What a
 * record means is the readers', what becomes of an example the intake's. */
#include "train/sources.h"

#include "base/string_builder.h"
#include "train/readers.h"
#include "train/source_lines.h"

#include <string.h>

enum {
    MAX_TEXT_BYTES = 1 << 30,    /* of one document of plain text */
    PROGRESS_BYTES = 1 << 20,    /* of the file between two calls */
    RECOGNISED_WITHIN = 1 << 10, /* lines that may be damaged before the first record */
};

/* A source while it is read. */
typedef struct source_run {
    const fal_source_options *source;
    const fal_reader_row *reader;
    fal_text_lines *lines;
    fal_intake intake;
    json_t *together;       /* an array of records that are read as one; NULL: none wait */
    int64_t together_began; /* line of the first */
    uint64_t told;          /* position of the last call of on_progress */
} source_run;

/* ---- recognition ---- */

static bool is_named(const char *path, const char *end) {
    size_t n = strlen(path), n_end = strlen(end);
    if (n >= 4 && strcmp(path + n - 4, ".zst") == 0) n -= 4;
    return n >= n_end && memcmp(path + n - n_end, end, n_end) == 0;
}

static bool is_blank(fal_slice line) {
    for (size_t i = 0; i < line.length; i++) {
        if (!strchr(" \t\r", line.data[i]) || line.data[i] == '\0') return false;
    }
    return true;
}

static fal_status fail_array(const char *path, int64_t number, fal_error *err) {
    return fal_fail(err, FAL_E_FORMAT,
                    "'%s': line %lld: an array, records are objects on lines of their own", path,
                    (long long)number);
}

static fal_status fail_unknown_form(const char *path, int64_t number, fal_error *err) {
    fal_string_builder names = {0};
    const char *name;
    for (int i = 0; (name = fal_reader_name(i)); i++)
        fal_string_append_format(&names, "%s%s", i > 0 ? ", " : "", name);
    fal_status status = fal_string_status(&names, err);
    if (status == FAL_OK)
        status = fal_fail(err, FAL_E_FORMAT,
                          "'%s': line %lld: a record of no known form, not one for %s", path,
                          (long long)number, names.text);
    fal_string_release(&names);
    return status;
}

/* An array that goes over many lines has no line that is JSON. */
static bool begins_array(fal_slice line) {
    while (line.length > 0 && (*line.data == ' ' || *line.data == '\t'))
        line.data++, line.length--;
    return line.length > 0 && *line.data == '[';
}

/* The reader that knows this line; *out stays NULL for a line that is no JSON. */
static fal_status recognise_line(const fal_reader_row **out, fal_slice line, const char *path,
                                 int64_t number, fal_error *err) {
    json_t *json;
    fal_error damage;
    fal_status status = fal_json_parse_line(&json, line, path, number, &damage);
    if (status == FAL_E_FORMAT) return begins_array(line) ? fail_array(path, number, err) : FAL_OK;
    if (status != FAL_OK) return fal_fail_memory(err, line.length);
    if (json_is_object(json)) *out = fal_reader_by_record(&(fal_record){.json = json});
    if (json_is_array(json))
        status = fail_array(path, number, err);
    else if (!*out)
        status = fail_unknown_form(path, number, err);
    json_decref(json);
    return status;
}

static fal_status recognise_lines(const fal_reader_row **out, fal_text_lines *lines,
                                  const char *path, fal_error *err) {
    fal_slice line;
    do {
        FAL_TRY(fal_text_lines_next(lines, &line, err));
        if (!line.data && fal_text_lines_number(lines) == 0)
            return fal_fail(err, FAL_E_FORMAT, "'%s' is empty", path);
        if (!line.data || fal_text_lines_number(lines) > RECOGNISED_WITHIN)
            return fal_fail(
                err, FAL_E_FORMAT,
                "'%s': none of the first %lld lines is a JSON object; text that is not named "
                ".txt needs the reader plain-text",
                path, (long long)(line.data ? RECOGNISED_WITHIN : fal_text_lines_number(lines)));
        if (!is_blank(line))
            FAL_TRY(recognise_line(out, line, path, fal_text_lines_number(lines), err));
    } while (!*out);
    return FAL_OK;
}

/* By its name, or by its first record. */
static fal_status recognise(const fal_reader_row **out, fal_text_lines *lines, const char *path,
                            fal_error *err) {
    *out = NULL;
    if (is_named(path, ".txt") || is_named(path, ".text") || is_named(path, ".md"))
        *out = fal_reader_by_record(&(fal_record){
            .text = {path, strlen(path)}
        });
    if (*out) return FAL_OK;
    FAL_TRY(recognise_lines(out, lines, path, err));
    fal_text_lines_rewind(lines);
    return FAL_OK;
}

/* ---- records ---- */

static fal_status tell_progress(source_run *run, fal_error *err) {
    const fal_reading *r = run->intake.reading;
    uint64_t position = fal_text_lines_position(run->lines);
    if (!r->on_progress || position < run->told + PROGRESS_BYTES) return FAL_OK;
    run->told = position;
    if (r->on_progress(r->user, run->source->path, position, fal_text_lines_length(run->lines)))
        return FAL_OK;
    return fal_fail(err, FAL_E_CANCELLED, "'%s': reading was cancelled", run->source->path);
}

/* Whether the record says that it is of another language than wanted. */
static bool is_foreign(const source_run *run, const json_t *json) {
    const char *said = json_string_value(json_object_get(json, "lang"));
    if (!said) said = json_string_value(json_object_get(json, "language"));
    return run->source->language && said && strcmp(said, run->source->language) != 0;
}

/* Reads the records that wait for others, if there are any. */
static fal_status finish_together(source_run *run, fal_error *err) {
    if (!run->together) return FAL_OK;
    int64_t record = run->intake.record;
    run->intake.record = run->together_began;
    fal_status status = run->reader->read(&run->intake, &(fal_record){.json = run->together}, err);
    run->intake.record = record;
    json_decref(run->together);
    run->together = NULL;
    return status;
}

static fal_status add_together(source_run *run, json_t *json, fal_error *err) {
    const char *field = run->reader->together;
    const json_t *first = json_array_get(run->together, 0);
    if (first && !json_equal(json_object_get(first, field), json_object_get(json, field)))
        FAL_TRY(finish_together(run, err));
    if (!run->together) {
        run->together = json_array();
        run->together_began = run->intake.record;
    }
    if (!run->together || json_array_append(run->together, json) != 0)
        return fal_fail_memory(err, 0);
    return FAL_OK;
}

static fal_status read_object(source_run *run, json_t *json, fal_error *err) {
    fal_record record = {.json = json};
    if (!run->reader->knows(&record))
        return fal_intake_damaged(&run->intake, "not of the form of its file", err);
    if (run->reader->together) return add_together(run, json, err);
    if (is_foreign(run, json)) {
        fal_intake_drop(&run->intake, "other language");
        return FAL_OK;
    }
    return run->reader->read(&run->intake, &record, err);
}

static fal_status read_line(source_run *run, fal_slice line, fal_error *err) {
    json_t *json;
    fal_error damage;
    run->intake.record = fal_text_lines_number(run->lines);
    run->intake.report->n_records++;
    fal_status status =
        fal_json_parse_line(&json, line, run->source->path, run->intake.record, &damage);
    if (status == FAL_E_FORMAT && !run->intake.reading->is_strict) {
        fal_intake_drop(&run->intake, "damaged JSON");
        return FAL_OK;
    }
    if (status != FAL_OK) return fal_fail(err, status, "%s", damage.message);
    status = read_object(run, json, err);
    json_decref(json);
    return status;
}

static fal_status read_objects(source_run *run, fal_error *err) {
    fal_slice line;
    for (;;) {
        FAL_TRY(fal_text_lines_next(run->lines, &line, err));
        if (!line.data) return finish_together(run, err);
        if (!is_blank(line)) FAL_TRY(read_line(run, line, err));
        FAL_TRY(tell_progress(run, err));
    }
}

/* Hands over the text gathered, without empty lines around it, if there is any. */
static fal_status finish_text(source_run *run, fal_string_builder *text, fal_error *err) {
    FAL_TRY(fal_string_status(text, err));
    while (text->length > 0 && text->text[text->length - 1] == '\n')
        text->length--;
    if (text->length == 0) return FAL_OK;
    run->intake.report->n_records++;
    fal_record record = {
        .text = {text->text, text->length}
    };
    FAL_TRY(run->reader->read(&run->intake, &record, err));
    fal_string_clear(text);
    return FAL_OK;
}

static fal_status gather_texts(source_run *run, fal_string_builder *text, fal_error *err) {
    fal_slice line;
    for (;;) {
        FAL_TRY(fal_text_lines_next(run->lines, &line, err));
        if (!line.data) return finish_text(run, text, err);
        if (fal_slice_equals(line, "<|endoftext|>")) {
            FAL_TRY(finish_text(run, text, err));
        } else if (text->length > 0 || !is_blank(line)) {
            if (text->length == 0) run->intake.record = fal_text_lines_number(run->lines);
            if (text->length + line.length > MAX_TEXT_BYTES)
                return fal_fail(err, FAL_E_LIMIT,
                                "'%s': the text from line %lld on has over %d bytes",
                                run->source->path, (long long)run->intake.record, MAX_TEXT_BYTES);
            fal_string_append(text, line.data, line.length);
            fal_string_append(text, "\n", 1);
        }
        FAL_TRY(tell_progress(run, err));
    }
}

static fal_status read_texts(source_run *run, fal_error *err) {
    fal_string_builder text = {0};
    fal_status status = gather_texts(run, &text, err);
    fal_string_release(&text);
    return status;
}

/* ---- the source ---- */

static fal_status find_reader(source_run *run, fal_error *err) {
    const char *name = run->source->reader;
    if (!name) return recognise(&run->reader, run->lines, run->source->path, err);
    run->reader = fal_reader_by_name(name);
    if (run->reader) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT, "'%s': there is no reader '%s'", run->source->path, name);
}

static fal_status check_reading(const fal_reading *r, fal_error *err) {
    if (r->sequence_length < 1)
        return fal_fail(err, FAL_E_ARGUMENT, "sequences of %d tokens, at least 1",
                        r->sequence_length);
    if (!(r->prompt_share >= 0 && r->prompt_share <= 1))
        return fal_fail(err, FAL_E_ARGUMENT, "a share of prompts of %g, 0 to 1", r->prompt_share);
    return FAL_OK;
}

static fal_status run_source(source_run *run, fal_error *err) {
    FAL_TRY(check_reading(run->intake.reading, err));
    FAL_TRY(find_reader(run, err));
    const fal_source_options *s = run->source;
    const char *group = s->group ? s->group : run->reader->group;
    run->intake.report->reader = run->reader->name;
    run->intake.overlong =
        s->overlong == FAL_OVERLONG_DEFAULT ? run->reader->overlong : s->overlong;
    run->intake.has_prompt_share = strcmp(group, "long-context") == 0;
    FAL_TRY(fal_intake_init(&run->intake, err));
    return run->reader->kind == FAL_RECORD_JSON ? read_objects(run, err) : read_texts(run, err);
}

fal_status fal_source_read_lines(const fal_source_options *source, int32_t number,
                                 fal_text_lines *lines, const fal_reading *reading,
                                 fal_documents *out, fal_source_report *report, fal_error *err) {
    *report = (fal_source_report){0};
    source_run run = {
        .source = source,
        .lines = lines,
        .intake = {
                   .source = source, .reading = reading, .number = number, .out = out, .report = report}
    };
    fal_status status = run_source(&run, err);
    json_decref(run.together);
    fal_intake_release(&run.intake);
    return status;
}

fal_status fal_source_read(const fal_source_options *source, int32_t number,
                           const fal_reading *reading, fal_documents *out,
                           fal_source_report *report, fal_error *err) {
    fal_text_lines *lines;
    *report = (fal_source_report){0};
    FAL_TRY(fal_text_lines_open(&lines, source->path, 0, err));
    fal_status status = fal_source_read_lines(source, number, lines, reading, out, report, err);
    fal_text_lines_close(lines);
    return status;
}
