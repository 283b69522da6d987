/* tokenize: text to token ids and back, with the vocabulary of a GGUF file. No model is run. */
#include "base/alloc.h"
#include "base/string_builder.h"
#include "cli/command.h"
#include "cli/json_output.h"
#include "cli/model_options.h"
#include "cli/prompt.h"
#include "cli/terminal.h"

#include <string.h>

typedef struct tokenize_options {
    const char *model, *file;
    fal_tokens decode;
    bool special, json, count;
} tokenize_options;

#define AT(member) offsetof(tokenize_options, member)

static const fal_option rows[] = {
    FAL_ROW(FILE, "model", 'm', AT(model), "FILE", "a GGUF file (the built-in fledgling)"),
    FAL_ROW(FILE, "file", 'f', AT(file), "FILE", "a file that holds the text; -: stdin"),
    FAL_ROW_FLAG("special", 0, AT(special), "recognise control tokens in the text"),
    FAL_ROW(IDS, "decode", 'd', AT(decode), "IDS", "print the bytes of these ids, as 1,2,3"),
    FAL_ROW_FLAG("count", 0, AT(count), "print only how many tokens there are"),
    FAL_ROW_JSON(AT(json)),
    {0}};

static const fal_option_group groups[] = {
    {"Options", rows, 0},
    {NULL,      NULL, 0}
};

static const fal_argument arguments[] = {
    {"TEXT", FAL_OPTION_TEXT, NULL, false, "the text; without it the bytes of --file or stdin"},
    {NULL,   FAL_OPTION_TEXT, NULL, false, NULL                                               }
};

static const fal_example examples[] = {
    {"falconer tokenize -m falcon.gguf 'Hello world' --json", "Ids and pieces of a text:"  },
    {"falconer tokenize -m falcon.gguf --decode 9856,1079",   "Back to text:"              },
    {"falconer tokenize -m falcon.gguf --count < book.txt",   "How many tokens a file has:"},
    {NULL,                                                    NULL                         }
};

static fal_status decode(const fal_tokenizer *t, const tokenize_options *o, fal_error *err) {
    fal_string_builder text = {0};
    fal_status status = FAL_OK;
    for (size_t i = 0; i < o->decode.count; i++) {
        size_t length = 0;
        const char *piece = fal_tokenizer_piece(t, o->decode.ids[i], &length);
        if (!piece) {
            status = fal_fail(err, FAL_E_ARGUMENT,
                              "tokenize: --decode: id %d, the vocabulary has %d tokens",
                              (int)o->decode.ids[i], (int)fal_tokenizer_n_vocab(t));
            goto out;
        }
        fal_string_append(&text, piece, length);
    }
    FAL_TRY_OUT(fal_string_status(&text, err));
    const char *bytes = text.text ? text.text : "";
    if (o->json) {
        json_t *all = json_object();
        json_object_set_new(all, "text", fal_json_text(bytes, text.length));
        FAL_TRY_OUT(fal_json_print(all, 9, err));
    } else {
        fal_terminal_write(stdout, bytes, text.length);
        if (fal_terminal_is(stdout)) putchar('\n');
    }
out:
    fal_string_release(&text);
    return status;
}

static fal_status print_tokens(const fal_tokenizer *t, const tokenize_options *o,
                               const fal_tokens *tokens, fal_error *err) {
    if (o->count && !o->json) {
        printf("%zu\n", tokens->count);
        return FAL_OK;
    }
    json_t *all = o->json ? json_object() : NULL, *pieces = o->json ? json_array() : NULL;
    if (o->count) {
        json_decref(pieces);
        json_object_set_new(all, "count", json_integer((json_int_t)tokens->count));
        return fal_json_print(all, 9, err);
    }
    for (size_t i = 0; i < tokens->count; i++) {
        size_t length = 0;
        const char *piece = fal_tokenizer_piece(t, tokens->ids[i], &length);
        if (o->json) {
            json_array_append_new(pieces, fal_json_text(piece, length));
            continue;
        }
        printf("%8d  ", (int)tokens->ids[i]);
        fal_print_quoted(stdout, piece, length);
        putchar('\n');
    }
    if (!o->json) return FAL_OK;
    json_object_set_new(all, "ids", fal_json_ids(tokens->ids, tokens->count));
    json_object_set_new(all, "pieces", pieces);
    return fal_json_print(all, 9, err);
}

static fal_status encode(const fal_tokenizer *t, const tokenize_options *o, const char *given,
                         fal_error *err) {
    char *text = NULL;
    size_t length = 0, n_dropped = 0;
    fal_tokens tokens = {0};
    fal_status status = FAL_OK;
    FAL_TRY_OUT(fal_prompt_read(&text, &length, given, o->file, err));
    FAL_TRY_OUT(fal_tokenizer_encode(t, text, length,
                                     o->special ? FAL_SPECIALS_RECOGNISED : FAL_SPECIALS_AS_TEXT,
                                     &tokens, &n_dropped, err));
    if (n_dropped) fal_prompt_tell_dropped(t, text, length, &tokens, 0, n_dropped);
    FAL_TRY_OUT(print_tokens(t, o, &tokens, err));
out:
    fal_tokens_release(&tokens);
    fal_free(text);
    return status;
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const tokenize_options *o = parsed->values;
    const char *text = parsed->n_arguments ? parsed->arguments[0] : NULL;
    fal_gguf *gguf = NULL;
    fal_tokenizer *t = NULL;
    fal_status status = FAL_OK;
    if ((text != NULL) + (o->file != NULL) + (o->decode.count > 0) > 1)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "tokenize: only one of TEXT, --file and --decode can be given");
    if (o->decode.count && (o->special || o->count))
        return fal_fail(err, FAL_E_ARGUMENT, "tokenize: --%s is for texts, not for --decode",
                        o->special ? "special" : "count");
    FAL_TRY_OUT(fal_vocabulary_open(
        o->model, "tokenize: no model is named; falconer tokenize -m FILE", &gguf, &t, err));
    FAL_TRY_OUT(o->decode.count ? decode(t, o, err) : encode(t, o, text, err));
out:
    fal_tokenizer_close(t);
    fal_gguf_close(gguf);
    return status;
}

const fal_command fal_command_tokenize = {
    .description =
        "Prints the token ids of a text and the piece of text that each stands for. A file that holds only a vocabulary "
        "is enough. The text may hold any bytes; what it "
        "says never becomes a control token unless --special is given. Nothing is put in front of it. Bytes that the "
        "vocabulary has no token for are left out, as the original tokenizer does, and their number is told on standard "
        "error.\n\n"
        "With --json the result is {\"ids\": [...], \"pieces\": [...]}. A character may be spread over several tokens; "
        "in the pieces of JSON, bytes that are no whole character appear as U+FFFD. --decode prints the bytes as they "
        "are, but on a terminal control characters are shown, not obeyed.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(tokenize_options),
    .run = run};
