/* Body of pretokenize.h: runs the stages of a rule with PCRE2, nested, so that no list of pieces is ever kept.
 * What becomes of a piece is left to the caller. */
#include "text/pretokenize.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "text/quote.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    MAX_STAGES = 4
};

typedef struct stage_row {
    const char *expression; /* NULL: pass */
    bool bytes;
} stage_row;

typedef struct rule_row {
    const char *name, *aliases;
    stage_row stages[MAX_STAGES];
} rule_row;

/* clang-format off */
#define FAL_TEXT(expression)  {expression, false}
#define FAL_BYTES(expression) {expression, true}
#define FAL_PASS              {NULL, false}
#define FAL_PRETOKENIZER(name, aliases, meaning, ...) {name, aliases, {__VA_ARGS__}},
/* clang-format on */
static const rule_row rules[] = {
#include "text/pretokenizers.def"
};

typedef struct stage {
    pcre2_code *code;
    const uint8_t *first; /* [32] bits: the bytes a match can begin with; NULL: any. code's own */
} stage;

struct fal_pretokenizer {
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    int n_stages;
    stage stages[MAX_STAGES];
};

/* One call of fal_pretokenize. */
typedef struct splitting {
    const fal_pretokenizer *pretokenizer;
    pcre2_match_data *matches[MAX_STAGES];
    fal_on_split *on_piece;
    void *user;
    fal_error *err;
} splitting;

static void *allocate(size_t bytes, void *user) {
    (void)user;
    return fal_realloc(NULL, bytes, 1);
}

static void release(void *memory, void *user) {
    (void)user;
    fal_free(memory);
}

/* True if name is one of the words of a list with single spaces between them. */
static bool is_listed(const char *list, fal_slice name) {
    while (*list) {
        size_t length = strcspn(list, " ");
        if (length == name.length && memcmp(list, name.data, length) == 0) return true;
        list += length + (list[length] == ' ');
    }
    return false;
}

static const rule_row *find_rule(fal_slice name) {
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (fal_slice_equals(name, rules[i].name) || is_listed(rules[i].aliases, name))
            return &rules[i];
    }
    return NULL;
}

const char *fal_pretokenizer_name_of(fal_slice name) {
    const rule_row *rule = find_rule(name);
    return rule ? rule->name : NULL;
}

static fal_status compile_stage(fal_pretokenizer *p, const stage_row *row, fal_error *err) {
    pcre2_compile_context *settings = pcre2_compile_context_create(p->memory);
    if (!settings) return fal_fail_memory(err, 0);
    int code = 0;
    PCRE2_SIZE offset = 0;
    stage *s = &p->stages[p->n_stages];
    s->code = pcre2_compile((PCRE2_SPTR)row->expression, PCRE2_ZERO_TERMINATED,
                            row->bytes ? 0 : PCRE2_UTF, &code, &offset, settings);
    pcre2_compile_context_free(settings);
    if (!s->code && code == PCRE2_ERROR_HEAP_FAILED) return fal_fail_memory(err, 0);
    if (!s->code)
        return fal_fail(err, FAL_E_BUG, "split stage %d: PCRE2 error %d at %zu", p->n_stages, code,
                        (size_t)offset);
    p->n_stages++;
    /* Without JIT the same expression is interpreted: slower, and the same pieces. */
    (void)pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE);
    if (row->bytes) (void)pcre2_pattern_info(s->code, PCRE2_INFO_FIRSTBITMAP, &s->first);
    return FAL_OK;
}

static fal_status compile_rule(fal_pretokenizer *p, const rule_row *rule, fal_error *err) {
    p->memory = pcre2_general_context_create(allocate, release, NULL);
    if (!p->memory) return fal_fail_memory(err, 0);
    p->limits = pcre2_match_context_create(p->memory);
    if (!p->limits) return fal_fail_memory(err, 0);
    /* PCRE2's limits guard against expressions that explode. The rules match in linear time, and a run of white space of
     * any length has to go through. */
    pcre2_set_match_limit(p->limits, UINT32_MAX);
    pcre2_set_heap_limit(p->limits, UINT32_MAX);
    for (int i = 0; i < MAX_STAGES; i++) {
        if (rule->stages[i].expression) FAL_TRY(compile_stage(p, &rule->stages[i], err));
    }
    return FAL_OK;
}

fal_status fal_pretokenizer_open(fal_pretokenizer **out, const char *name, fal_error *err) {
    *out = NULL;
    const rule_row *rule = find_rule(fal_slice_of(name));
    if (!rule)
        return fal_fail(err, FAL_E_UNSUPPORTED, "pretokenizer '%s' is not known",
                        fal_quote(fal_slice_of(name)).text);
    fal_pretokenizer *p = fal_alloc(1, sizeof *p);
    if (!p) return fal_fail_memory(err, sizeof *p);
    fal_status status = compile_rule(p, rule, err);
    if (status != FAL_OK) {
        fal_pretokenizer_close(p);
        return status;
    }
    *out = p;
    return FAL_OK;
}

void fal_pretokenizer_close(fal_pretokenizer *p) {
    if (!p) return;
    for (int i = 0; i < p->n_stages; i++)
        pcre2_code_free(p->stages[i].code);
    pcre2_match_context_free(p->limits);
    pcre2_general_context_free(p->memory);
    fal_free(p);
}

static bool has_first_byte(const uint8_t *first, const char *text, size_t length) {
    if (!first) return true;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (first[byte >> 3] >> (byte & 7) & 1) return true;
    }
    return false;
}

static fal_status fail_match(int code, fal_error *err) {
    if (code == PCRE2_ERROR_NOMEMORY || code == PCRE2_ERROR_HEAPLIMIT)
        return fal_fail_memory(err, 0);
    return fal_fail(err, FAL_E_BUG, "splitting text: PCRE2 error %d", code);
}

static fal_status split(splitting *s, int index, const char *text, size_t length) {
    if (length == 0) return FAL_OK;
    const fal_pretokenizer *p = s->pretokenizer;
    while (index < p->n_stages && !has_first_byte(p->stages[index].first, text, length))
        index++;
    if (index == p->n_stages) return s->on_piece(s->user, text, length, s->err);

    size_t done = 0;
    while (done < length) {
        int code = pcre2_match(p->stages[index].code, (PCRE2_SPTR)text, length, done,
                               PCRE2_NO_UTF_CHECK, s->matches[index], p->limits);
        if (code == PCRE2_ERROR_NOMATCH) break;
        if (code < 0) return fail_match(code, s->err);
        const PCRE2_SIZE *found = pcre2_get_ovector_pointer(s->matches[index]);
        size_t begin = found[0], end = found[1];
        if (end <= begin) return fail_match(code, s->err);
        FAL_TRY(split(s, index + 1, text + done, begin - done));
        FAL_TRY(split(s, index + 1, text + begin, end - begin));
        done = end;
    }
    return split(s, index + 1, text + done, length - done);
}

/* Where the valid UTF-8 that begins at `from` ends. */
static size_t valid_end(const char *text, size_t length, size_t from) {
    while (from < length) {
        if ((uint8_t)text[from] < 0x80) {
            from++;
            continue;
        }
        uint32_t code_point;
        int n = fal_utf8_decode(text + from, length - from, &code_point);
        if (n == 0) break;
        from += (size_t)n;
    }
    return from;
}

fal_status fal_pretokenize(const fal_pretokenizer *p, const char *text, size_t length,
                           fal_on_split *on_piece, void *user, fal_error *err) {
    if (length == 0) return FAL_OK;
    splitting s = {.pretokenizer = p, .on_piece = on_piece, .user = user, .err = err};
    fal_status status = FAL_OK;
    for (int i = 0; i < p->n_stages; i++) {
        s.matches[i] = pcre2_match_data_create(1, p->memory);
        if (!s.matches[i]) FAL_TRY_OUT(fal_fail_memory(err, 0));
    }
    for (size_t done = 0; done < length;) {
        size_t end = valid_end(text, length, done);
        FAL_TRY_OUT(split(&s, 0, text + done, end - done));
        if (end < length) FAL_TRY_OUT(on_piece(user, text + end, 1, err));
        done = end + 1;
    }
out:
    for (int i = 0; i < p->n_stages; i++)
        pcre2_match_data_free(s.matches[i]);
    return status;
}
