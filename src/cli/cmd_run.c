/* run: continues a prompt, as a text-generation pipeline does. The prompt is computed once for all sequences. */
#include <falconer/generate.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/random.h"
#include "base/string_builder.h"
#include "cli/built_in.h"
#include "cli/command.h"
#include "cli/grammar_options.h"
#include "cli/json_output.h"
#include "cli/model_options.h"
#include "cli/prompt.h"
#include "cli/sampling_options.h"
#include "cli/terminal.h"

#include <limits.h>
#include <string.h>
#include <time.h>

static const char no_model[] = "run: no model is named; falconer run -m FILE";

enum {
    DEFAULT_NEW_TOKENS = 256,
    DEFAULT_TOP_K = 50
};

typedef struct run_options {
    fal_model_choice model;
    fal_sampling sampling;
    fal_grammar_choice grammar;
    const char *prompt, *file, *system, *format;
    bool special, chat, do_sample, logprobs, json, full_text, ignore_end;
    int max_length, max_new_tokens, n_sequences;
    fal_texts stop;
} run_options;

#define AT(member) offsetof(run_options, member)

static const fal_option prompt_rows[] = {
    FAL_ROW(TEXT, "prompt", 'p', AT(prompt), "TEXT", "the prompt; without it a file or stdin"),
    FAL_ROW(FILE, "file", 'f', AT(file), "FILE", "a file that holds the prompt; -: stdin"),
    FAL_ROW_FLAG("special", 0, AT(special), "recognise control tokens in the prompt"),
    FAL_ROW_FLAG("chat", 0, AT(chat), "the prompt is a message in the model's format"),
    FAL_ROW(TEXT, "system", 0, AT(system), "TEXT", "system prompt for --chat (the format's own)"),
    FAL_ROW_CHOICE("chat-format", 0, AT(format), "NAME", fal_chat_format_choice,
                   "another format for --chat"),
    {0}};

static const fal_option length_rows[] = {
    FAL_ROW_COUNT("max-new-tokens", 'n', AT(max_new_tokens), "N", 1, INT_MAX,
                  "most tokens to draw (256)"),
    FAL_ROW_COUNT("max-length", 0, AT(max_length), "N", 1, INT_MAX,
                  "most tokens of prompt and answer"),
    FAL_ROW(LIST, "stop", 0, AT(stop), "WORD", "end before this word; may be repeated"),
    FAL_ROW_FLAG("ignore-end", 0, AT(ignore_end), "do not end at end tokens"),
    FAL_ROW_COUNT("num-return-sequences", 0, AT(n_sequences), "N", 1, 10000, "answers to draw (1)"),
    {0}};

static const fal_option draw_rows[] = {
    FAL_ROW_FLAG("do-sample", 0, AT(do_sample), "draw with temperature 1 and top-k 50"), {0}};

static const fal_option output_rows[] = {
    FAL_ROW_FLAG("full-text", 0, AT(full_text), "print the prompt in front of each answer"),
    FAL_ROW_FLAG("logprobs", 0, AT(logprobs), "log-probability of each token drawn"),
    FAL_ROW_JSON(AT(json)),
    {0}};

static const fal_option_group groups[] = {
    {"Prompt",   prompt_rows,              0           },
    {"Length",   length_rows,              0           },
    {"Sampling", draw_rows,                0           },
    {"Sampling", fal_sampling_option_rows, AT(sampling)},
    {"Grammar",  fal_grammar_option_rows,  AT(grammar) },
    {"Output",   output_rows,              0           },
    {"Model",    fal_model_option_rows,    AT(model)   },
    {NULL,       NULL,                     0           }
};

static const fal_example examples[] = {
    {"falconer run -m alfred.gguf --chat -p 'Name three falcons.' --top-k 3",
     "An answer of a chat model:"                                                                     },
    {"falconer run -m falcon-7b.gguf -f story.txt --max-length 2048 --do-sample --seed 7",
     "A story goes on until prompt and answer have 2048 tokens; the seed makes it the same each time:"},
    {"falconer run -m model.gguf -p 'int main(' --num-return-sequences 3 --top-p 0.9 --json",
     "Three different continuations as JSON:"                                                         },
    {NULL,                                                                                    NULL    }
};

static void set_defaults(void *values) {
    run_options *o = values;
    o->n_sequences = 1;
}

/* Greedy unless sampling is asked for; then what is not given is as in the original pipeline. */
static fal_status resolve_sampling(const fal_parsed *parsed, run_options *o, fal_error *err) {
    static const char *const draws[] = {"do-sample", "temperature", "top-k",
                                        "top-p",     "min-p",       "typical-p"};
    bool samples = false;
    for (size_t i = 0; i < sizeof draws / sizeof draws[0]; i++)
        samples = samples || fal_parsed_has(parsed, draws[i]);
    if (o->do_sample && fal_parsed_has(parsed, "temperature") && o->sampling.temperature <= 0)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "run: --do-sample and --temperature 0 exclude each other");
    if (samples && !fal_parsed_has(parsed, "temperature")) o->sampling.temperature = 1;
    if (samples && !fal_parsed_has(parsed, "top-k")) o->sampling.top_k = DEFAULT_TOP_K;
    if (!fal_parsed_has(parsed, "seed")) o->sampling.seed = fal_random_seed();
    bool is_greedy = o->sampling.temperature <= 0;
    if (is_greedy && o->n_sequences > 1)
        return fal_fail(
            err, FAL_E_ARGUMENT,
            "run: --num-return-sequences %d: at most 1 without sampling; see --do-sample",
            o->n_sequences);
    return fal_sampling_check(&o->sampling, err);
}

/* ---- the prompt ---- */

static const fal_chat_format *format_of(const run_options *o, const fal_model *model) {
    return o->format ? fal_chat_format_by_name(o->format) : fal_model_chat_format(model);
}

static fal_status render_message(const run_options *o, const fal_model *model, const char *text,
                                 size_t length, fal_tokens *out, fal_error *err) {
    if (memchr(text, '\0', length))
        return fal_fail(err, FAL_E_ARGUMENT, "run: --chat: the message holds a zero byte");
    const fal_chat_format *format = format_of(o, model);
    char own[1000];
    fal_chat_default_system(format, (int64_t)time(NULL), own, sizeof own);
    const char *system = o->system ? o->system : own;
    const fal_message messages[] = {
        {"system", system},
        {"user",   text  }
    };
    size_t first = system[0] ? 0 : 1;
    return fal_chat_render(format, fal_model_tokenizer(model), messages + first, 2 - first, true,
                           out, err);
}

static fal_status make_prompt(const run_options *o, const fal_model *model, const char *text,
                              size_t length, fal_tokens *out, fal_error *err) {
    const fal_tokenizer *t = fal_model_tokenizer(model);
    if (o->chat) return render_message(o, model, text, length, out, err);
    FAL_TRY(fal_prompt_encode(
        t, text, length, o->special ? FAL_SPECIALS_RECOGNISED : FAL_SPECIALS_AS_TEXT, out, err));
    if (out->count) return FAL_OK;
    int32_t bos = fal_tokenizer_bos(t);
    if (bos < 0)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "run: the prompt is empty, and the vocabulary has no bos token");
    return fal_tokens_append(out, &bos, 1, err);
}

/* Tokens that may be drawn after a prompt of n_prompt; 0 never means "no bound" here. */
static fal_status most_new_tokens(const run_options *o, size_t n_prompt, int *out, fal_error *err) {
    *out = o->max_new_tokens ? o->max_new_tokens : DEFAULT_NEW_TOKENS;
    if (o->max_new_tokens || !o->max_length) return FAL_OK;
    if (n_prompt >= (size_t)o->max_length)
        return fal_fail(err, FAL_E_LIMIT, "run: --max-length %d: the prompt alone has %zu tokens",
                        o->max_length, n_prompt);
    *out = o->max_length - (int)n_prompt;
    return FAL_OK;
}

/* ---- answers ---- */

/* One answer as it grows. */
typedef struct answer {
    fal_string_builder text;
    fal_tokens ids;
    double *log_probabilities;
    size_t capacity;
    bool is_streamed, is_short_of_memory;
    fal_generate_result result;
} answer;

static void answer_release(answer *a) {
    fal_string_release(&a->text);
    fal_tokens_release(&a->ids);
    fal_free(a->log_probabilities);
    *a = (answer){0};
}

static bool on_piece(void *user, const fal_piece *piece) {
    answer *a = user;
    fal_string_append(&a->text, piece->text, piece->length);
    if (piece->token >= 0) {
        void *memory = a->log_probabilities;
        a->is_short_of_memory = !fal_grow(&memory, &a->capacity, a->ids.count + 1, sizeof(double))
                                || fal_tokens_append(&a->ids, &piece->token, 1, NULL) != FAL_OK;
        a->log_probabilities = memory;
        if (!a->is_short_of_memory) a->log_probabilities[a->ids.count - 1] = piece->log_probability;
    }
    if (a->is_streamed && piece->length) {
        fal_terminal_write(stdout, piece->text, piece->length);
        fflush(stdout);
    }
    return !a->is_short_of_memory && !a->text.failed && !fal_interrupt_is_raised();
}

/* All that belongs to one call of the command. */
typedef struct job {
    const run_options *o;
    fal_model *model;
    fal_session *session;
    fal_grammar *grammar; /* NULL: none */
    char *text;
    size_t length;
    fal_tokens prompt;
    const char **stop; /* NULL-terminated; the array is owned */
    int n_new;
    double prompt_seconds, answer_seconds;
    size_t n_drawn;
} job;

static fal_status draw_answer(job *j, int number, answer *a, fal_error *err) {
    /* The logits after the prompt are those of its last token, which alone is computed again. */
    if (number > 0) {
        fal_session_rewind(j->session, j->prompt.count - 1);
        FAL_TRY(fal_session_feed(j->session, j->prompt.ids + j->prompt.count - 1, 1, NULL, err));
    }
    const fal_generate_options how = {.sampling = j->o->sampling,
                                      .stream = (uint64_t)number,
                                      .max_new_tokens = j->n_new,
                                      .stop = j->stop,
                                      .grammar = j->grammar,
                                      .ignore_end = j->o->ignore_end,
                                      .penalise_prompt = true,
                                      .want_log_probability = j->o->logprobs};
    double started = fal_seconds();
    FAL_TRY(fal_generate(j->session, &how, on_piece, a, &a->result, err));
    j->answer_seconds += fal_seconds() - started;
    j->n_drawn += a->result.n_tokens;
    if (a->is_short_of_memory || a->text.failed) return fal_fail_memory(err, 0);
    return FAL_OK;
}

static json_t *answer_to_json(const job *j, const answer *a) {
    json_t *o = json_object(), *list = json_array();
    fal_string_builder whole = {0};
    if (j->o->full_text) fal_string_append(&whole, j->text, j->length);
    if (a->text.length) fal_string_append(&whole, a->text.text, a->text.length);
    json_object_set_new(o, "text", fal_json_text(whole.text ? whole.text : "", whole.length));
    json_object_set_new(o, "finish", json_string(fal_finish_name(a->result.finish)));
    if (a->result.finish == FAL_FINISH_STOP_WORD)
        json_object_set_new(o, "stop_word",
                            fal_json_text(a->result.stop_word, strlen(a->result.stop_word)));
    json_object_set_new(o, "tokens", json_integer((json_int_t)a->result.n_tokens));
    json_object_set_new(o, "ids", fal_json_ids(a->ids.ids, a->ids.count));
    for (size_t i = 0; j->o->logprobs && i < a->ids.count; i++)
        json_array_append_new(list, fal_json_number(a->log_probabilities[i]));
    if (j->o->logprobs) json_object_set(o, "logprobs", list);
    json_decref(list);
    fal_string_release(&whole);
    return o;
}

static void print_log_probabilities(const job *j, const answer *a) {
    printf("\n%12s %8s  %s\n", "logprob", "id", "piece");
    for (size_t i = 0; i < a->ids.count; i++) {
        size_t length = 0;
        const char *piece =
            fal_tokenizer_piece(fal_model_tokenizer(j->model), a->ids.ids[i], &length);
        printf("%12.6f %8d  ", a->log_probabilities[i], (int)a->ids.ids[i]);
        fal_print_quoted(stdout, piece ? piece : "", length);
        putchar('\n');
    }
}

/* Draws and prints one answer, or appends it to sequences. */
static fal_status one_sequence(job *j, int number, json_t *sequences, fal_error *err) {
    answer a = {.is_streamed = !j->o->json};
    if (a.is_streamed && j->o->n_sequences > 1)
        printf("== %d of %d ==\n", number + 1, j->o->n_sequences);
    if (a.is_streamed && j->o->full_text) fal_terminal_write(stdout, j->text, j->length);
    fal_status status = draw_answer(j, number, &a, err);
    if (a.is_streamed && status == FAL_OK) {
        putchar('\n');
        if (j->o->logprobs) print_log_probabilities(j, &a);
    } else if (status == FAL_OK) {
        json_array_append_new(sequences, answer_to_json(j, &a));
    }
    answer_release(&a);
    return status;
}

static double per_second(size_t n, double seconds) {
    return seconds > 0 ? (double)n / seconds : 0;
}

static fal_status print_json(const job *j, json_t *take_sequences, fal_error *err) {
    const char *file = fal_gguf_path(fal_model_gguf(j->model));
    json_t *all = json_object(), *timings = json_object();
    json_object_set_new(all, "model", fal_json_text(file, strlen(file)));
    json_object_set_new(all, "prompt_tokens", json_integer((json_int_t)j->prompt.count));
    json_object_set_new(all, "seed", json_integer((json_int_t)j->o->sampling.seed));
    json_object_set_new(all, "sequences", take_sequences);
    json_object_set_new(timings, "prompt_seconds", fal_json_number(j->prompt_seconds));
    json_object_set_new(timings, "prompt_tokens_per_second",
                        fal_json_number(per_second(j->prompt.count, j->prompt_seconds)));
    json_object_set_new(timings, "answer_seconds", fal_json_number(j->answer_seconds));
    json_object_set_new(timings, "answer_tokens_per_second",
                        fal_json_number(per_second(j->n_drawn, j->answer_seconds)));
    json_object_set_new(all, "timings", timings);
    return fal_json_print(all, 9, err);
}

static fal_status all_sequences(job *j, fal_error *err) {
    json_t *sequences = json_array();
    double started = fal_seconds();
    fal_status status = fal_prompt_sync(j->session, &j->prompt, err);
    j->prompt_seconds = fal_seconds() - started;
    for (int i = 0; status == FAL_OK && i < j->o->n_sequences && !fal_interrupt_is_raised(); i++)
        status = one_sequence(j, i, sequences, err);
    if (status == FAL_OK && j->o->json)
        status = print_json(j, sequences, err);
    else
        json_decref(sequences);
    if (status == FAL_OK && j->o->model.verbose)
        fal_terminal_notice(
            "prompt: %zu tokens in %.2f s (%.1f per second); answer: %zu tokens in %.2f s (%.1f per "
            "second); seed %llu",
            j->prompt.count, j->prompt_seconds, per_second(j->prompt.count, j->prompt_seconds),
            j->n_drawn, j->answer_seconds, per_second(j->n_drawn, j->answer_seconds),
            (unsigned long long)j->o->sampling.seed);
    if (status == FAL_OK && fal_interrupt_is_raised())
        status = fal_fail(err, FAL_E_CANCELLED, "run: interrupted");
    return status;
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    run_options *o = parsed->values;
    job j = {.o = o};
    fal_status status = FAL_OK;
    if (o->prompt && o->file)
        return fal_fail(err, FAL_E_ARGUMENT, "run: --prompt and --file exclude each other");
    if ((o->system || o->format) && !o->chat)
        return fal_fail(err, FAL_E_ARGUMENT, "run: --%s needs --chat",
                        o->system ? "system" : "chat-format");
    if (o->special && o->chat)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "run: --special and --chat exclude each other: a message stays text");
    FAL_TRY(resolve_sampling(parsed, o, err));
    if (!o->model.file && !fal_built_in_model().data)
        return fal_fail(err, FAL_E_ARGUMENT, "%s", no_model);
    FAL_TRY_OUT(fal_grammar_choice_open(&j.grammar, &o->grammar, "run", err));
    FAL_TRY_OUT(fal_prompt_read(&j.text, &j.length, o->prompt, o->file, err));
    FAL_TRY_OUT(fal_model_choice_open(&o->model, no_model, &j.model, &j.session, err));
    FAL_TRY_OUT(make_prompt(o, j.model, j.text, j.length, &j.prompt, err));
    FAL_TRY_OUT(most_new_tokens(o, j.prompt.count, &j.n_new, err));
    FAL_TRY_OUT(
        fal_stop_words_collect(&j.stop, o->chat ? format_of(o, j.model) : NULL, &o->stop, err));
    fal_interrupt_watch(2);
    FAL_TRY_OUT(all_sequences(&j, err));
out:
    fal_grammar_close(j.grammar);
    fal_free(j.stop);
    fal_tokens_release(&j.prompt);
    fal_free(j.text);
    fal_session_close(j.session);
    fal_model_close(j.model);
    return status;
}

const fal_command fal_command_run = {
    .description =
        "Continues a prompt token by token, as the text-generation pipeline of the Transformers library does, and prints "
        "the answer. The most probable token is taken unless --do-sample or one of --temperature, --top-k, --top-p, "
        "--min-p or --typical-p asks for sampling; then the temperature is 1 and the draw is among the 50 most probable "
        "tokens unless said otherwise. Without a length, at most 256 tokens are drawn; --max-length counts prompt and "
        "answer, --max-new-tokens the answer alone and goes first.\n\n"
        "With --grammar or --json-schema only tokens are drawn that the grammar allows (docs/grammars.md); an answer that is "
        "cut by a length is not complete.\n\n"
        "The prompt is text: the names of control tokens in it are only recognised with --special. With --chat it is "
        "wrapped as a message in the model's own chat format.\n\n"
        "The penalties count the tokens of the prompt, too. One seed gives the same text whatever the number of threads. "
        "Ctrl-C ends the answer; what is there stays, and the exit status says so.",
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(run_options),
    .set_defaults = set_defaults,
    .run = run};
