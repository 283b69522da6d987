/* Body of text_lines.h. Plain text is handed out where it is mapped; packed text passes through a buffer that grows to the
 * longest line. */
#include "formats/text_lines.h"

#include "base/alloc.h"
#include "base/file.h"

#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    FIRST_BUFFER = 1 << 17 /* at least one block of zstd */
};

struct fal_text_lines {
    fal_mapping mapping; /* of files only */
    char *name;
    const char *data; /* the file */
    size_t length, position;
    size_t max_line_bytes;
    int64_t number;

    ZSTD_DCtx *unpacker; /* NULL: the file is plain text */
    bool is_in_frame;
    char *buffer; /* [capacity] of unpacked text: bytes [begin, end) are not handed out yet */
    size_t capacity, begin, end;
};

/* ---- opening ---- */

static bool begins_packed(const char *data, size_t length) {
    uint32_t magic;
    if (length < sizeof magic) return false;
    memcpy(&magic, data, sizeof magic);
    return magic == ZSTD_MAGICNUMBER
           || (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

static fal_status prepare(fal_text_lines *l, const char *name, fal_error *err) {
    l->name = fal_copy_string(name, strlen(name));
    if (!l->name) return fal_fail_memory(err, strlen(name));
    if (!begins_packed(l->data, l->length)) {
        if (!ends_with(name, ".zst")) return FAL_OK;
        return fal_fail(err, FAL_E_FORMAT, "'%s' is not packed by zstd, as its name says", name);
    }
    l->unpacker = ZSTD_createDCtx();
    if (!l->unpacker || !fal_grow((void **)&l->buffer, &l->capacity, FIRST_BUFFER, 1))
        return fal_fail_memory(err, FIRST_BUFFER);
    return FAL_OK;
}

fal_status fal_text_lines_open_memory(fal_text_lines **out, const void *data, size_t length,
                                      const char *name, size_t max_line_bytes, fal_error *err) {
    *out = NULL;
    fal_text_lines *l = fal_alloc(1, sizeof *l);
    if (!l) return fal_fail_memory(err, sizeof *l);
    l->data = data;
    l->length = length;
    l->max_line_bytes = max_line_bytes > 0 ? max_line_bytes : FAL_TEXT_LINE_BYTES;
    fal_status status = prepare(l, name, err);
    if (status == FAL_OK)
        *out = l;
    else
        fal_text_lines_close(l);
    return status;
}

fal_status fal_text_lines_open(fal_text_lines **out, const char *path, size_t max_line_bytes,
                               fal_error *err) {
    *out = NULL;
    fal_mapping mapping;
    FAL_TRY(fal_mapping_open(&mapping, path, err));
    fal_status status =
        fal_text_lines_open_memory(out, mapping.data, mapping.length, path, max_line_bytes, err);
    if (status == FAL_OK)
        (*out)->mapping = mapping;
    else
        fal_mapping_release(&mapping);
    return status;
}

void fal_text_lines_close(fal_text_lines *l) {
    if (!l) return;
    fal_mapping_release(&l->mapping);
    ZSTD_freeDCtx(l->unpacker);
    fal_free(l->buffer);
    fal_free(l->name);
    fal_free(l);
}

/* ---- reading ---- */

static fal_status refuse_long_line(const fal_text_lines *l, fal_error *err) {
    return fal_fail(err, FAL_E_LIMIT, "'%s': line %lld has more than %zu bytes", l->name,
                    (long long)l->number + 1, l->max_line_bytes);
}

static fal_status refuse_packed(const fal_text_lines *l, size_t code, fal_error *err) {
    ZSTD_ErrorCode kind = ZSTD_getErrorCode(code);
    if (kind == ZSTD_error_memory_allocation) return fal_fail_memory(err, 0);
    bool is_too_wide = kind == ZSTD_error_frameParameter_windowTooLarge;
    return fal_fail(err, is_too_wide ? FAL_E_UNSUPPORTED : FAL_E_FORMAT,
                    "'%s': zstd data at byte %zu: %s", l->name, l->position,
                    ZSTD_getErrorName(code));
}

/* Makes room behind the text of the buffer, which is a line without its end yet. */
static fal_status make_room(fal_text_lines *l, fal_error *err) {
    if (l->begin > 0) {
        memmove(l->buffer, l->buffer + l->begin, l->end - l->begin);
        l->end -= l->begin;
        l->begin = 0;
    }
    if (l->end < l->capacity) return FAL_OK;
    if (!fal_grow((void **)&l->buffer, &l->capacity, l->end + 1, 1))
        return fal_fail_memory(err, l->end + 1);
    return FAL_OK;
}

/* Unpacks some more text into the buffer; *is_end: there is none. */
static fal_status unpack(fal_text_lines *l, bool *is_end, fal_error *err) {
    size_t before = l->end;
    *is_end = false;
    while (l->end == before) {
        ZSTD_inBuffer in = {l->data, l->length, l->position};
        ZSTD_outBuffer out = {l->buffer, l->capacity, l->end};
        if (l->position == l->length && !l->is_in_frame) {
            *is_end = true;
            return FAL_OK;
        }
        size_t left = ZSTD_decompressStream(l->unpacker, &out, &in);
        if (ZSTD_isError(left)) return refuse_packed(l, left, err);
        bool is_stuck = in.pos == l->position && out.pos == l->end;
        l->position = in.pos;
        l->end = out.pos;
        l->is_in_frame = left != 0;
        if (is_stuck && l->is_in_frame)
            return fal_fail(err, FAL_E_FORMAT, "'%s': zstd data is cut short at byte %zu", l->name,
                            l->position);
    }
    return FAL_OK;
}

/* The end of the line that begins at text, and where the next one begins; NULL: not within length bytes. */
static const char *line_end(const char *text, size_t length) {
    return length > 0 ? memchr(text, '\n', length) : NULL;
}

static fal_status next_packed(fal_text_lines *l, fal_slice *line, fal_error *err) {
    size_t searched = 0;
    for (bool is_end = false;;) {
        char *text = l->buffer + l->begin;
        size_t length = l->end - l->begin;
        const char *end = line_end(text + searched, length - searched);
        size_t n = end ? (size_t)(end - text) : length;
        if (n > l->max_line_bytes) return refuse_long_line(l, err);
        if (end || is_end) {
            if (!end && length == 0) return FAL_OK;
            *line = (fal_slice){text, n};
            l->begin += n + (end != NULL);
            return FAL_OK;
        }
        searched = length;
        FAL_TRY(make_room(l, err));
        FAL_TRY(unpack(l, &is_end, err));
    }
}

static fal_status next_plain(fal_text_lines *l, fal_slice *line, fal_error *err) {
    size_t length = l->length - l->position;
    if (length == 0) return FAL_OK;
    const char *text = l->data + l->position, *end = line_end(text, length);
    size_t n = end ? (size_t)(end - text) : length;
    if (n > l->max_line_bytes) return refuse_long_line(l, err);
    *line = (fal_slice){text, n};
    l->position += n + (end != NULL);
    return FAL_OK;
}

fal_status fal_text_lines_next(fal_text_lines *l, fal_slice *line, fal_error *err) {
    *line = (fal_slice){NULL, 0};
    FAL_TRY(l->unpacker ? next_packed(l, line, err) : next_plain(l, line, err));
    if (!line->data) return FAL_OK;
    l->number++;
    if (line->length > 0 && line->data[line->length - 1] == '\r') line->length--;
    if (l->number == 1 && line->length >= 3 && memcmp(line->data, "\xef\xbb\xbf", 3) == 0) {
        line->data += 3;
        line->length -= 3;
    }
    return FAL_OK;
}

void fal_text_lines_rewind(fal_text_lines *l) {
    l->position = l->begin = l->end = 0;
    l->number = 0;
    l->is_in_frame = false;
    if (l->unpacker) ZSTD_DCtx_reset(l->unpacker, ZSTD_reset_session_only);
}

int64_t fal_text_lines_number(const fal_text_lines *l) {
    return l->number;
}

uint64_t fal_text_lines_position(const fal_text_lines *l) {
    return l->position;
}

uint64_t fal_text_lines_length(const fal_text_lines *l) {
    return l->length;
}
