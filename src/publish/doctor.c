/* Body of doctor.h: the checks. What is known of the file is examination.c's, the data is scan.c's. */
#include "publish/doctor.h"

#include <falconer/model.h>

#include "base/alloc.h"
#include "base/file.h"
#include "convert/metadata.h"
#include "convert/type_plan.h"
#include "formats/gguf_edit.h"
#include "formats/gguf_memory.h"
#include "publish/examination.h"
#include "publish/scan.h"
#include "text/quote.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
#define FAL_CHECK(function, name, severity, repair, meaning) CHECK_##function,
#include "publish/checks.def"
#undef FAL_CHECK
    N_CHECKS
};

static const fal_check checks[N_CHECKS] = {
#define FAL_CHECK(function, name, severity, repair, meaning) \
    {name, FAL_SEVERITY_##severity, meaning},
#include "publish/checks.def"
#undef FAL_CHECK
};

int fal_check_count(void) {
    return N_CHECKS;
}

const fal_check *fal_check_at(int index) {
    return index >= 0 && index < N_CHECKS ? &checks[index] : NULL;
}

const char *fal_severity_name(fal_severity severity) {
    static const char *const names[] = {"note", "warning", "error"};
    return names[severity];
}

void fal_diagnosis_release(fal_diagnosis *d) {
    fal_free(d->findings);
    *d = (fal_diagnosis){0};
}

bool fal_diagnosis_is_healthy(const fal_diagnosis *d) {
    for (size_t i = 0; i < d->count; i++)
        if (d->findings[i].severity > FAL_SEVERITY_NOTE) return false;
    return true;
}

/* ---- findings ---- */

static fal_status add(fal_examination *x, int check, fal_severity severity, bool is_repairable,
                      fal_error *err, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

static fal_status add(fal_examination *x, int check, fal_severity severity, bool is_repairable,
                      fal_error *err, const char *format, ...) {
    fal_diagnosis *d = x->out;
    void *items = d->findings;
    bool has_room = fal_grow(&items, &d->capacity, d->count + 1, sizeof *d->findings);
    d->findings = items;
    if (!has_room) return fal_fail_memory(err, 0);
    fal_finding *found = &d->findings[d->count++];
    *found = (fal_finding){&checks[check], severity, is_repairable, ""};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(found->text, sizeof found->text, format, arguments);
    va_end(arguments);
    return FAL_OK;
}

/* A finding of the check's own severity that metadata can repair, or cannot. */
#define REPAIRABLE(check, ...) \
    add(x, CHECK_##check, checks[CHECK_##check].severity, true, err, __VA_ARGS__)
#define FINDING(check, ...) \
    add(x, CHECK_##check, checks[CHECK_##check].severity, false, err, __VA_ARGS__)

static bool was_found(const fal_examination *x, int check) {
    for (size_t i = 0; i < x->out->count; i++)
        if (x->out->findings[i].check == &checks[check]) return true;
    return false;
}

/* A message without the file's name, which everybody knows, in front. */
static const char *without_path(const fal_examination *x, const char *message) {
    size_t n = strlen(x->path);
    return strncmp(message, x->path, n) == 0 && strncmp(message + n, ": ", 2) == 0 ? message + n + 2
                                                                                   : message;
}

/* ---- the file ---- */

static fal_status check_interrupted(fal_examination *x, fal_error *err) {
    if (!fal_gguf_edit_was_cut_short(x->path)) return FAL_OK;
    return REPAIRABLE(interrupted,
                      "a repair was cut short: its backup of the header is still there");
}

/* A header that is whole tells how long the file must be. */
static fal_status check_truncated(fal_examination *x, fal_error *err) {
    if (x->file) return FAL_OK;
    fal_mapping mapping;
    fal_gguf *f;
    if (fal_mapping_open(&mapping, x->path, NULL) != FAL_OK) return FAL_OK;
    fal_status status = fal_gguf_open_header(&f, mapping.data, mapping.length, INT64_MAX, NULL);
    if (status == FAL_OK) {
        uint64_t needed = 0;
        int n_missing = 0;
        for (int i = 0; i < fal_gguf_tensor_count(f); i++) {
            const fal_gguf_tensor *t = fal_gguf_tensor_at(f, i);
            if (t->offset + t->bytes > needed) needed = t->offset + t->bytes;
            n_missing += t->offset + t->bytes > mapping.length;
        }
        if (needed > mapping.length)
            status = FINDING(truncated,
                             "%zu bytes of at least %llu are there (%.1f %%), %d of %d tensors are "
                             "not whole",
                             mapping.length, (unsigned long long)needed,
                             100 * (double)mapping.length / (double)needed, n_missing,
                             fal_gguf_tensor_count(f));
        fal_gguf_close(f);
    } else if (status != FAL_E_MEMORY) {
        status = FAL_OK;
    }
    fal_mapping_release(&mapping);
    return status;
}

static fal_status check_damaged(fal_examination *x, fal_error *err) {
    if (x->file || was_found(x, CHECK_truncated)) return FAL_OK;
    return FINDING(damaged, "%s", without_path(x, x->file_error.message));
}

static fal_status check_family(fal_examination *x, fal_error *err) {
    fal_gguf_string name;
    if (!x->file || x->arch) return FAL_OK;
    if (!fal_gguf_find_string(x->file, "general.architecture", &name))
        return add(x, CHECK_family, FAL_SEVERITY_ERROR, false, err,
                   "key 'general.architecture' is missing");
    return FINDING(family, "architecture '%s' is not one that falconer knows",
                   fal_quote((fal_slice){name.data, name.length}).text);
}

static fal_status check_metadata(fal_examination *x, fal_error *err) {
    if (!x->file || !x->arch || x->has_params || fal_gguf_tensor_count(x->file) == 0) return FAL_OK;
    return FINDING(metadata, "%s", x->params_error.message);
}

/* ---- the vocabulary ---- */

static fal_status check_token_ids(fal_examination *x, fal_error *err) {
    const char *key;
    int64_t id;
    uint64_t n_tokens;
    for (int i = 0; x->file && (key = fal_token_id_key(i)); i++) {
        if (fal_examination_is_bad_id(x, key, &id, &n_tokens))
            FAL_TRY(REPAIRABLE(token_ids, "key '%s' is %lld, but there are %llu tokens", key,
                               (long long)id, (unsigned long long)n_tokens));
    }
    return FAL_OK;
}

static fal_status check_vocabulary(fal_examination *x, fal_error *err) {
    if (!x->file || !x->arch || x->tokenizer || was_found(x, CHECK_token_ids)) return FAL_OK;
    return FINDING(vocabulary, "%s", x->tokenizer_error.message);
}

static fal_status check_embedding(fal_examination *x, fal_error *err) {
    if (!x->has_params || !x->tokenizer) return FAL_OK;
    int n_tokens = fal_tokenizer_n_vocab(x->tokenizer), n_rows = x->params.n_vocab;
    if (n_tokens == n_rows) return FAL_OK;
    return add(x, CHECK_embedding, n_tokens > n_rows ? FAL_SEVERITY_ERROR : FAL_SEVERITY_WARNING,
               false, err, "%d tokens, but %d rows in the embedding", n_tokens, n_rows);
}

static fal_status check_control_types(fal_examination *x, fal_error *err) {
    if (!x->tokenizer) return FAL_OK;
    int n = 0;
    int32_t first = -1;
    for (int32_t id = fal_tokenizer_n_vocab(x->tokenizer); id-- > 0;) {
        if (!fal_examination_is_hidden_control(x, id)) continue;
        first = id;
        n++;
    }
    if (n == 0) return FAL_OK;
    size_t length;
    const char *piece = fal_tokenizer_piece(x->tokenizer, first, &length);
    return REPAIRABLE(control_types, "%d control token%s stored as ordinary words, such as %s (%d)",
                      n, n == 1 ? " is" : "s are", fal_quote((fal_slice){piece, length}).text,
                      first);
}

static fal_status check_end_of_text(fal_examination *x, fal_error *err) {
    if (!x->tokenizer || fal_tokenizer_eos(x->tokenizer) >= 0) return FAL_OK;
    bool is_known = fal_tokenizer_control_id(x->tokenizer, "<|endoftext|>") >= 0;
    return add(x, CHECK_end_of_text, FAL_SEVERITY_WARNING, is_known, err,
               "key 'tokenizer.ggml.eos_token_id' is missing");
}

static fal_status check_end_of_turn(fal_examination *x, fal_error *err) {
    int32_t end = fal_examination_end_of_turn(x);
    if (end < 0) return FAL_OK;
    const fal_vocabulary *v = fal_tokenizer_vocabulary(x->tokenizer);
    if (v->eos == end || v->eot == end) return FAL_OK;
    size_t length;
    const char *piece = fal_tokenizer_piece(x->tokenizer, end, &length);
    return REPAIRABLE(end_of_turn,
                      "%s (%d) ends a turn, but the file's end tokens are %d (eos) and %d (eot)",
                      fal_quote((fal_slice){piece, length}).text, end, v->eos, v->eot);
}

static fal_status check_chat_template(fal_examination *x, fal_error *err) {
    if (fal_examination_end_of_turn(x) < 0) return FAL_OK;
    const fal_vocabulary *v = fal_tokenizer_vocabulary(x->tokenizer);
    if (v->chat_template) return FAL_OK;
    return add(x, CHECK_chat_template, FAL_SEVERITY_WARNING, fal_metadata_chat_template(v) != NULL,
               err,
               "the vocabulary has a chat's marks, but key 'tokenizer.chat_template' is missing");
}

static fal_status check_pretokenizer(fal_examination *x, fal_error *err) {
    fal_gguf_string name;
    if (!x->tokenizer) return FAL_OK;
    bool is_there = fal_gguf_find_string(x->file, "tokenizer.ggml.pre", &name);
    if (is_there && !fal_slice_equals((fal_slice){name.data, name.length}, "default"))
        return FAL_OK;
    return REPAIRABLE(pretokenizer, "key 'tokenizer.ggml.pre' %s, the rule is '%s'",
                      is_there ? "says 'default'" : "is missing",
                      fal_tokenizer_pretokenizer(x->tokenizer));
}

/* ---- context ---- */

static fal_status check_lost_context(fal_examination *x, fal_error *err) {
    if (!x->restored[0]) return FAL_OK;
    const fal_rope_settings *rope = &x->meant.rope;
    return REPAIRABLE(
        lost_context,
        "stored: method %s, base %g, %d tokens; meant: method %s, base %g, factor %g, %d tokens",
        x->params.rope.method->name, x->params.rope.base, x->params.n_context, rope->method->name,
        rope->base, rope->factor, x->meant.n_context);
}

static fal_status check_context_length(fal_examination *x, fal_error *err) {
    int good = fal_examination_good_context(x);
    if (x->restored[0] || good == 0 || good == x->params.n_context) return FAL_OK;
    return REPAIRABLE(
        context_length, "%d tokens are stored, the rope settings are good for %d (%d times %g)",
        x->params.n_context, good, x->params.rope.trained_context, x->params.rope.factor);
}

/* ---- types ---- */

/* Shares of the parameters in matrices. */
typedef struct shares {
    double total, k, of[64]; /* by index of fal_type_at */
    int largest;
} shares;

static shares count_shares(const fal_gguf *f) {
    shares s = {.largest = -1};
    for (int i = 0; i < fal_gguf_tensor_count(f); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(f, i);
        const fal_type *type = fal_type_by_id(t->type_id);
        double n = 1;
        for (int d = 0; d < t->n_dims; d++)
            n *= (double)t->shape[d];
        if (t->n_dims < 2) continue;
        s.total += n;
        for (int k = 0; type && k < fal_type_count() && k < 64; k++)
            if (fal_type_at(k) == type) s.of[k] += n;
        if (type && fal_type_is_k(type)) s.k += n;
    }
    for (int k = 0; k < fal_type_count() && k < 64; k++)
        if (s.of[k] > 0 && (s.largest < 0 || s.of[k] > s.of[s.largest])) s.largest = k;
    return s;
}

/* Mixes of K-quants mix several: most must be K-quants, and the one of the name a good part. */
static bool is_kept(const shares *s, const char *type_name) {
    const fal_type *type = fal_type_by_name(type_name);
    double own = 0;
    for (int k = 0; k < fal_type_count() && k < 64; k++)
        if (fal_type_at(k) == type) own = s->of[k];
    if (fal_type_is_k(type)) return s->k > s->total / 2 && own > s->total / 5;
    return own > s->total / 2;
}

static char upper(char c) {
    return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

static bool is_word_part(char c) {
    return (c >= '0' && c <= '9') || (upper(c) >= 'A' && upper(c) <= 'Z') || c == '_';
}

/* A type or mix that a word or its end behind an underscore names: "Q4_K_M", "1023_Q4_K_M". False: none.
 *   type  of whatever no rule of the mix names */
static bool parse_promise(const char *word, const char **name, const char **type) {
    for (; word; word = strchr(word, '_') ? strchr(word, '_') + 1 : NULL) {
        const fal_mix *mix = fal_mix_by_name(word);
        const fal_type *plain = fal_type_by_name(word);
        if (!mix && !(plain && plain->in_files)) continue;
        *name = mix ? mix->name : plain->name;
        *type = mix ? mix->type : plain->name;
        return true;
    }
    return false;
}

/* The last promise in a name, which may be a path's end or foreign text. */
static bool find_promise(fal_slice text, const char **name, const char **type) {
    bool found = false;
    for (size_t i = 0; i < text.length;) {
        char word[64];
        size_t n = 0;
        while (i + n < text.length && is_word_part(text.data[i + n]))
            n++;
        if (n > 0 && n < sizeof word) {
            memcpy(word, text.data + i, n);
            word[n] = '\0';
            found |= parse_promise(word, name, type);
        }
        i += n + 1;
    }
    return found;
}

static fal_status judge_promise(fal_examination *x, const shares *s, const char *who,
                                const char *name, const char *type, fal_error *err) {
    if (is_kept(s, type)) return FAL_OK;
    /* A file that tells of its fallback by itself does not deceive those who ask it. */
    bool is_told = fal_gguf_find(x->file, "falconer.quantize.k_share") != NULL;
    const char *most = s->largest >= 0 ? fal_type_at(s->largest)->name : "of other types";
    double share = s->largest >= 0 ? s->of[s->largest] : s->total;
    bool is_k = fal_type_is_k(fal_type_by_name(type));
    char k_share[64] = "";
    if (is_k) snprintf(k_share, sizeof k_share, ", %.0f %% are K-quants", 100 * s->k / s->total);
    return add(x, CHECK_promised_type, is_told ? FAL_SEVERITY_NOTE : FAL_SEVERITY_WARNING, false,
               err, "%s says %s, but %.0f %% of the parameters in matrices are %s%s", who, name,
               100 * share / s->total, most, k_share);
}

static fal_status check_promised_type(fal_examination *x, fal_error *err) {
    if (!x->file) return FAL_OK;
    shares s = count_shares(x->file);
    if (s.total <= 0) return FAL_OK;
    const char *name = NULL, *type = NULL;
    fal_gguf_string text;
    uint32_t number;
    if (find_promise(fal_slice_of(fal_path_base(x->path)), &name, &type))
        FAL_TRY(judge_promise(x, &s, "the file's name", name, type, err));
    if (fal_gguf_find_string(x->file, "general.name", &text)
        && find_promise((fal_slice){text.data, text.length}, &name, &type))
        FAL_TRY(judge_promise(x, &s, "general.name", name, type, err));
    if (!fal_gguf_find_u32(x->file, "general.file_type", &number)) return FAL_OK;
    for (int i = 0; i < fal_mix_count(); i++) {
        const fal_mix *mix = fal_mix_at(i);
        if (mix->file_type == number)
            FAL_TRY(judge_promise(x, &s, "general.file_type", mix->name, mix->type, err));
    }
    return FAL_OK;
}

static fal_status check_number_types(fal_examination *x, fal_error *err) {
    int n = 0;
    const fal_gguf_tensor *first = NULL;
    for (int i = 0; x->file && i < fal_gguf_tensor_count(x->file); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(x->file, i);
        const fal_type *type = fal_type_by_id(t->type_id);
        if (type && type->in_files) continue;
        if (n++ == 0) first = t;
    }
    if (n == 0) return FAL_OK;
    return FINDING(number_types, "%d tensor%s of types that are not known, first '%s' of %s", n,
                   n == 1 ? " is" : "s are", first->name, first->type_name);
}

/* ---- weights ---- */

/* Whatever else keeps the model from opening: tensors that are missing or have the wrong shape. */
static fal_status check_weights(fal_examination *x, fal_error *err) {
    if (!x->has_params || !x->tokenizer) return FAL_OK;
    for (size_t i = 0; i < x->out->count; i++)
        if (x->out->findings[i].severity == FAL_SEVERITY_ERROR
            && x->out->findings[i].check != &checks[CHECK_lost_context])
            return FAL_OK;
    fal_model *model;
    fal_error failure = {0};
    fal_status status = fal_model_open(&model, x->path, NULL, &failure);
    if (status == FAL_E_MEMORY) return fal_fail(err, status, "%s", failure.message);
    if (status != FAL_OK) return FINDING(weights, "%s", without_path(x, failure.message));
    fal_model_close(model);
    return FAL_OK;
}

static fal_status report_not_finite(fal_examination *x, const fal_gguf_tensor *t,
                                    const fal_scanned *s, fal_error *err) {
    int64_t n_cols = t->shape[t->n_dims - 1];
    bool is_quantized = fal_type_by_id(t->type_id)->is_quantized;
    return FINDING(not_finite,
                   "tensor '%s': %lld %s not finite, the first at row %lld, column %lld", t->name,
                   (long long)s->n_not_finite,
                   is_quantized ? (s->n_not_finite == 1 ? "scale is" : "scales are")
                                : (s->n_not_finite == 1 ? "weight is" : "weights are"),
                   (long long)(s->first / n_cols), (long long)(s->first % n_cols));
}

/* Both checks of the data go through it once. */
static fal_status check_not_finite(fal_examination *x, fal_error *err) {
    enum {
        MAX_REPORTED = 8,
        MANY_ZEROS = 1 << 20
    };

    if (!x->file || x->options->quick) return FAL_OK;
    size_t n = (size_t)fal_gguf_tensor_count(x->file);
    fal_scanned *scanned = fal_alloc(n + 1, sizeof *scanned);
    if (!scanned) return fal_fail_memory(err, n * sizeof *scanned);
    fal_status status = FAL_OK;
    FAL_TRY_OUT(fal_scan_file(x->file, x->options->n_threads, &x->options->progress, scanned,
                              &x->out->scanned_bytes, err));
    int n_bad = 0;
    for (size_t i = 0; i < n; i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(x->file, (int)i);
        if (scanned[i].n_not_finite && n_bad++ < MAX_REPORTED)
            FAL_TRY_OUT(report_not_finite(x, t, &scanned[i], err));
    }
    if (n_bad > MAX_REPORTED)
        FAL_TRY_OUT(FINDING(not_finite, "and %d tensors more", n_bad - MAX_REPORTED));
    for (size_t i = 0; i < n; i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(x->file, (int)i);
        if (t->n_dims >= 2 && scanned[i].zero_bytes >= MANY_ZEROS)
            FAL_TRY_OUT(FINDING(zeros, "tensor '%s': %llu of %llu bytes are zeros without a gap",
                                t->name, (unsigned long long)scanned[i].zero_bytes,
                                (unsigned long long)t->bytes));
    }
out:
    fal_free(scanned);
    return status;
}

/* Reported by check_not_finite. */
static fal_status check_zeros(fal_examination *x, fal_error *err) {
    (void)x, (void)err;
    return FAL_OK;
}

/* ---- all of them ---- */

fal_status fal_examination_run(fal_examination *x, fal_error *err) {
    typedef fal_status check_function(fal_examination * x, fal_error * err);
    static check_function *const functions[] = {
#define FAL_CHECK(function, name, severity, repair, meaning) check_##function,
#include "publish/checks.def"
#undef FAL_CHECK
    };
    for (int i = 0; i < N_CHECKS; i++)
        FAL_TRY(functions[i](x, err));
    return FAL_OK;
}

fal_status fal_doctor_examine(fal_diagnosis *out, const char *path,
                              const fal_doctor_options *options, fal_error *err) {
    static const fal_doctor_options defaults;
    fal_examination x;
    *out = (fal_diagnosis){0};
    fal_status status = fal_examination_open(&x, path, options ? options : &defaults, out, err);
    if (status == FAL_OK) status = fal_examination_run(&x, err);
    fal_examination_release(&x);
    return status;
}
