/* tokenizer-train: a byte-level vocabulary from one's own text. Splitting, counting and merging are text/bpe_train.h's. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/folder.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "formats/tokenizer_json_write.h"
#include "text/bpe_train.h"
#include "text/chat.h"
#include "train/text_files.h"

#include <limits.h>
#include <string.h>

enum {
    FALCON_TOKENS = 65024
};

static const char end_of_text[] = "<|endoftext|>";

typedef struct train_options {
    const char *folder, *chat_format, *pretokenizer;
    fal_texts controls, fields;
    int n_tokens, min_count, context, n_threads;
    bool force, quiet;
} train_options;

#define AT(member) offsetof(train_options, member)

static const char *pretokenizer_choice(int index) {
    static const char *const names[] = {
#define FAL_PRETOKENIZER(name, ...) name,
#include "text/pretokenizers.def"
#undef FAL_PRETOKENIZER
        NULL};
    return names[index];
}

static const fal_option rows[] = {
    FAL_ROW(DIRECTORY, "out", 'o', AT(folder), "DIR", "the folder to write (required)"),
    FAL_ROW_COUNT("vocab-size", 'n', AT(n_tokens), "N", 256, INT_MAX,
                  "tokens: control, 256 bytes, merges (65024)"),
    FAL_ROW_CHOICE("chat-format", 0, AT(chat_format), "NAME", fal_chat_format_choice,
                   "whose control tokens it has (alfred)"),
    FAL_ROW(LIST, "control", 0, AT(controls), "TEXT", "one more control token; may be repeated"),
    FAL_ROW_CHOICE("pretokenizer", 0, AT(pretokenizer), "NAME", pretokenizer_choice,
                   "the rule that splits text (falcon)"),
    FAL_ROW(LIST, "field", 0, AT(fields), "KEY", "of JSONL: a key whose strings are text"),
    FAL_ROW_COUNT("min-count", 0, AT(min_count), "N", 1, INT_MAX,
                  "how often a merged pair must stand in text (2)"),
    FAL_ROW_COUNT("context", 'c', AT(context), "N", 1, INT_MAX,
                  "tokens the model will hold, for the config"),
    FAL_ROW_COUNT("threads", 0, AT(n_threads), "N", 1, 1024,
                  "threads to count with (usable cores)"),
    FAL_ROW_FLAG("force", 0, AT(force), "overwrite a tokenizer that is there"),
    FAL_ROW_QUIET(AT(quiet)),
    {0}};

static const fal_option_group groups[] = {
    {"Options", rows, 0},
    {NULL,      NULL, 0}
};

static const fal_argument arguments[] = {
    {"TEXT...", FAL_OPTION_FILE, NULL, true,  "text, JSONL, either as .zst, or folders of them"},
    {NULL,      FAL_OPTION_TEXT, NULL, false, NULL                                             }
};

static const fal_example examples[] = {
    {"falconer tokenizer-train text.txt chats.jsonl.zst -n 4096 -o vocabulary",
     "Four thousand tokens from texts and conversations:"                           },
    {NULL,                                                                      NULL}
};

static void set_defaults(void *values) {
    *(train_options *)values =
        (train_options){.chat_format = "alfred", .n_tokens = FALCON_TOKENS, .min_count = 2};
}

/* What the callbacks share. */
typedef struct state {
    fal_bpe_trainer *trainer;
    fal_progress reading, merging;
    const char *path; /* that `reading` is about */
    bool quiet;
} state;

static bool on_file(void *user, const char *path, uint64_t n_done, uint64_t n_total) {
    state *s = user;
    if (s->path != path) s->reading = fal_progress_open(fal_path_base(path), NULL);
    s->path = path;
    if (!s->quiet) fal_progress_show(&s->reading, n_done, n_total);
    return !fal_interrupt_is_raised();
}

static bool on_merge(void *user, size_t n_tokens, size_t n_wanted) {
    state *s = user;
    if (!s->quiet) fal_progress_show(&s->merging, n_tokens, n_wanted);
    return !fal_interrupt_is_raised();
}

static fal_status on_text(void *user, fal_slice text, fal_error *err) {
    state *s = user;
    return fal_bpe_trainer_add(s->trainer, text.data, text.length, err);
}

/* The control tokens in the order of their ids: the end of a text, those of the options, those of the chat format.
 * out [NULL-terminated] is owned by the caller (fal_free); its texts are borrowed. */
static fal_status list_controls(const train_options *o, const char ***out, size_t *n,
                                fal_error *err) {
    const char *const *of_format = fal_chat_controls(fal_chat_format_by_name(o->chat_format));
    size_t n_of_format = 0;
    while (of_format[n_of_format])
        n_of_format++;
    const char **all = fal_alloc(2 + o->controls.count + n_of_format, sizeof *all);
    if (!all) return fal_fail_memory(err, 0);
    *n = 0;
    all[(*n)++] = end_of_text;
    for (size_t i = 0; i < o->controls.count; i++)
        all[(*n)++] = o->controls.items[i];
    for (size_t i = 0; i < n_of_format; i++)
        all[(*n)++] = of_format[i];
    *out = all;
    return FAL_OK;
}

/* Names what ends answers, and how conversations are rendered. */
static fal_status complete(fal_vocabulary *v, const fal_chat_format *format, fal_error *err) {
    const char *end = fal_chat_end(format) ? fal_chat_end(format) : end_of_text;
    for (size_t i = 0; i < v->n_tokens; i++) {
        if (v->types[i] == FAL_TOKEN_CONTROL && fal_slice_equals(v->tokens[i], end))
            v->eos = (int32_t)i;
    }
    const char *chat_template = fal_chat_template(format);
    if (!chat_template) return FAL_OK;
    v->chat_template = fal_copy_string(chat_template, strlen(chat_template));
    return v->chat_template ? FAL_OK : fal_fail_memory(err, 0);
}

static fal_status train(const fal_parsed *parsed, state *s, fal_vocabulary *out,
                        fal_bpe_train_report *report, fal_error *err) {
    const train_options *o = parsed->values;
    const fal_text_reading reading = {.on_text = on_text,
                                      .on_progress = on_file,
                                      .user = s,
                                      .fields = o->fields.count ? o->fields.items : NULL};
    for (int i = 0; i < parsed->n_arguments; i++)
        FAL_TRY(fal_text_files_read(parsed->arguments[i], &reading, err));
    fal_progress_clear(&s->reading);
    s->merging = fal_progress_open("merging", "tokens");
    FAL_TRY(fal_bpe_trainer_finish(s->trainer, on_merge, s, out, report, err));
    if (report->n_words == 0 && o->fields.count > 0)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "tokenizer-train: there is no text in what was given, no string under "
                        "--field '%.100s'%s",
                        o->fields.items[0], o->fields.count > 1 ? " or the other keys" : "");
    if (report->n_words == 0)
        return fal_fail(err, FAL_E_ARGUMENT, "tokenizer-train: there is no text in what was given");
    return complete(out, fal_chat_format_by_name(o->chat_format), err);
}

static void tell(const train_options *o, const fal_vocabulary *v,
                 const fal_bpe_train_report *report, double seconds) {
    if (report->n_forgotten)
        fal_terminal_notice("%zu of the rarest words were forgotten on the way, to bound memory",
                            report->n_forgotten);
    if (v->n_tokens < (size_t)o->n_tokens)
        fal_terminal_notice("the text gives %zu tokens, %d were asked for: no other pair stands in "
                            "it %d times",
                            v->n_tokens, o->n_tokens, o->min_count);
    char bytes[32];
    fal_format_bytes(bytes, sizeof bytes, (double)report->n_bytes);
    fal_terminal_notice("wrote %s: %zu tokens from %s of text, %.2f bytes per token, in %.1f s",
                        o->folder, v->n_tokens, bytes,
                        (double)report->n_bytes / (double)report->n_tokens, seconds);
}

/* Before anything is read: is there a place for the result? */
static fal_status check_folder(const train_options *o, fal_error *err) {
    if (!o->folder)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "tokenizer-train: no folder is named; falconer tokenizer-train TEXT... -o "
                        "DIR");
    FAL_TRY(fal_folder_make(o->folder, err));
    char *path = fal_path_join(o->folder, "tokenizer.json");
    if (!path) return fal_fail_memory(err, 0);
    bool is_there = fal_file_exists(path);
    fal_free(path);
    if (!is_there || o->force) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT,
                    "tokenizer-train: '%s' has a tokenizer already; --force overwrites it",
                    o->folder);
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const train_options *o = parsed->values;
    const char **controls = NULL;
    size_t n_controls = 0;
    state s = {.quiet = o->quiet};
    fal_vocabulary v = {0};
    fal_bpe_train_report report;
    double started = fal_seconds();
    bool is_made = o->folder && !fal_file_exists(o->folder);
    fal_status status = FAL_OK;
    FAL_TRY(list_controls(o, &controls, &n_controls, err));
    const fal_bpe_training how = {.pretokenizer = o->pretokenizer,
                                  .controls = controls,
                                  .n_controls = n_controls,
                                  .n_tokens = (size_t)o->n_tokens,
                                  .min_count = (uint64_t)o->min_count,
                                  .n_threads = o->n_threads};
    FAL_TRY_OUT(fal_bpe_trainer_open(&s.trainer, &how, err));
    FAL_TRY_OUT(check_folder(o, err));
    fal_interrupt_watch(2);
    status = train(parsed, &s, &v, &report, err);
    fal_progress_clear(&s.reading);
    fal_progress_clear(&s.merging);
    if (status != FAL_OK) goto out;
    FAL_TRY_OUT(fal_tokenizer_json_write(&v, o->folder, o->context, err));
    if (!o->quiet) tell(o, &v, &report, fal_seconds() - started);
out:
    if (status != FAL_OK && is_made) fal_folder_remove_empty(o->folder);
    fal_vocabulary_release(&v);
    fal_bpe_trainer_close(s.trainer);
    fal_free(controls);
    return status;
}

const fal_command fal_command_tokenizer_train = {
    .description =
        "Makes a byte-level vocabulary (byte-pair encoding) from text, with the rule of Falcon for splitting text into "
        "words, and writes it as Hugging Face's libraries read it: tokenizer.json, tokenizer_config.json and "
        "special_tokens_map.json. Every byte has a token, so any text can be written in it.\n\n"
        "Files named .jsonl hold a JSON value per line, and the strings under the usual keys (text, content, value, "
        "instruction, output ...) or those of --field are text, at any depth; other files are text as they are. Packed "
        "ones (.zst) are unpacked on the way, folders are read with all that is in them. Names of control tokens in text "
        "are not recognised.\n\n"
        "Ids are <|endoftext|>, the tokens of --control, those of the chat format, the bytes, then what merges make, the "
        "most frequent first. The same text gives the same vocabulary for any number of threads.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(train_options),
    .set_defaults = set_defaults,
    .run = run};
