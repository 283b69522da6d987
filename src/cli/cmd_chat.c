/* chat: a conversation in the terminal, or line by line from a pipe. Turns are chat_turn.c's, slash commands
 * chat_commands.c's. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/random.h"
#include "cli/chat_commands.h"
#include "cli/command.h"
#include "cli/grammar_options.h"
#include "cli/line_input.h"
#include "cli/model_options.h"
#include "cli/sampling_options.h"
#include "cli/terminal.h"

#include <string.h>
#include <time.h>

static const char no_model[] =
    "chat: no model is named; make chat MODEL=file.gguf, or falconer chat -m FILE";

typedef struct chat_options {
    fal_model_choice model;
    fal_chat_settings settings;
    fal_grammar_choice grammar;
    const char *system, *system_file, *format, *overflow;
    fal_texts stop;
    bool no_history;
} chat_options;

#define AT(member) offsetof(chat_options, member)

static const char *overflow_choice(int index) {
    static const char *const policies[] = {"drop-oldest", "stop", NULL};
    return policies[index];
}

static const fal_option chat_rows[] = {
    FAL_ROW(TEXT, "system", 's', AT(system), "TEXT", "system prompt (the format's own)"),
    FAL_ROW(FILE, "system-file", 0, AT(system_file), "FILE", "a file that holds it"),
    FAL_ROW_CHOICE("chat-format", 0, AT(format), "NAME", fal_chat_format_choice,
                   "chat format (the model's)"),
    FAL_ROW_CHOICE("overflow", 0, AT(overflow), "POLICY", overflow_choice,
                   "context full: drop-oldest (default) or stop"),
    FAL_ROW(LIST, "stop", 0, AT(stop), "WORD", "end before this word; may be repeated"),
    FAL_ROW_FLAG("no-history", 0, AT(no_history), "neither read nor write the history"),
    {0}};

static const fal_option_group groups[] = {
    {"Conversation", chat_rows,                0                    },
    {"Length",       fal_chat_setting_rows,    AT(settings)         },
    {"Sampling",     fal_sampling_option_rows, AT(settings.sampling)},
    {"Grammar",      fal_grammar_option_rows,  AT(grammar)          },
    {"Model",        fal_model_option_rows,    AT(model)            },
    {NULL,           NULL,                     0                    }
};

static const fal_example examples[] = {
    {"falconer chat -m alfred-40b-1023.Q4_K_M.gguf",                            "A conversation with Alfred:"},
    {"printf 'Hello\\nAnd goodbye\\n' | falconer chat -m alfred.gguf --seed 1",
     "Two turns from a script:"                                                                              },
    {NULL,                                                                      NULL                         }
};

static void set_defaults(void *values) {
    chat_options *o = values;
    o->settings.sampling.temperature = 1;
    o->settings.sampling.top_k = 3;
    o->overflow = overflow_choice(0);
}

static fal_status set_system(fal_chat *chat, const chat_options *o, fal_error *err) {
    char own[1000];
    if (o->system) return fal_conversation_set_system(&chat->conversation, o->system, err);
    if (!o->system_file) {
        fal_chat_default_system(chat->format, (int64_t)time(NULL), own, sizeof own);
        return fal_conversation_set_system(&chat->conversation, own, err);
    }
    char *text = NULL;
    size_t length = 0;
    FAL_TRY(fal_file_read(&text, &length, o->system_file, 1 << 24, err));
    while (length && text[length - 1] == '\n')
        text[--length] = '\0';
    fal_status status =
        strlen(text) == length
            ? fal_conversation_set_system(&chat->conversation, text, err)
            : fal_fail(err, FAL_E_ARGUMENT, "chat: --system-file '%s': holds a zero byte",
                       o->system_file);
    fal_free(text);
    return status;
}

static void greet(const fal_chat *chat) {
    const fal_model_info *info = fal_model_info_get(chat->model);
    fal_terminal_notice("%s: %s, %zu tokens of context, chat format %s, %d threads",
                        fal_path_base(chat->model_file), info->architecture,
                        fal_session_n_context(chat->session), fal_chat_format_name(chat->format),
                        info->n_threads);
    fal_terminal_notice("/help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves");
}

/* A message or a slash command. */
static fal_status take_line(fal_chat *chat, const fal_string_builder *line, fal_error *err) {
    const char *text = line->text;
    size_t length = line->length;
    if (memchr(text, '\0', length))
        return fal_fail(err, FAL_E_ARGUMENT, "the message holds a zero byte");
    if (text[0] == '/' && text[1] != '/') return fal_chat_command(chat, text, err);
    if (text[0] == '/') {
        text++;
        length--;
    }
    FAL_TRY(fal_conversation_add(&chat->conversation, true, text, length, err));
    fal_status status = fal_chat_answer(chat, err);
    /* A message that got no answer is taken back, so that the next one stands in its place. */
    if (status != FAL_OK) fal_conversation_drop_last(&chat->conversation);
    return status;
}

static bool is_blank(const fal_string_builder *line) {
    return !line->text || line->text[strspn(line->text, " \t\r\n")] == '\0';
}

/* On a terminal failures are told and the conversation goes on; a script ends with the first one. */
static fal_status talk(fal_chat *chat, fal_line_input *input, bool is_interactive, fal_error *err) {
    fal_string_builder line = {0};
    fal_status status = FAL_OK;
    bool was_interrupted = false, threw_text_away = false;
    while (!chat->is_over && status == FAL_OK) {
        fal_input_event event = fal_line_input_read(input, &line, &threw_text_away);
        if (event == FAL_INPUT_END) break;
        if (event == FAL_INPUT_INTERRUPTED && fal_interrupt_is_final()) {
            status = fal_fail(err, FAL_E_CANCELLED, "chat: ended by a signal");
            break;
        }
        if (event == FAL_INPUT_INTERRUPTED) {
            if (was_interrupted && !threw_text_away) break;
            was_interrupted = !threw_text_away;
            if (!is_interactive) status = fal_fail(err, FAL_E_CANCELLED, "chat: interrupted");
            if (was_interrupted) fal_terminal_notice("Ctrl-C again or Ctrl-D leaves");
            continue;
        }
        was_interrupted = false;
        status = fal_string_status(&line, err);
        if (status != FAL_OK || is_blank(&line)) continue;
        status = take_line(chat, &line, err);
        if (status == FAL_OK && fal_interrupt_is_final())
            status = fal_fail(err, FAL_E_CANCELLED, "chat: ended by a signal");
        if (status != FAL_OK && is_interactive && !fal_interrupt_is_final()) {
            fal_terminal_notice("%s", status == FAL_E_CANCELLED ? "stopped before the answer"
                                                                : err->message);
            status = FAL_OK;
        }
    }
    fal_string_release(&line);
    return status;
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    chat_options *o = parsed->values;
    fal_chat chat = {.settings = o->settings};
    fal_line_input *input = NULL;
    char *history = NULL;
    const char **stop = NULL;
    fal_grammar *grammar = NULL;
    bool is_interactive = fal_terminal_is(stdin);
    fal_status status = FAL_OK;
    if (o->system && o->system_file)
        return fal_fail(err, FAL_E_ARGUMENT, "chat: --system and --system-file exclude each other");
    if (!fal_parsed_has(parsed, "seed")) chat.settings.sampling.seed = fal_random_seed();
    FAL_TRY(fal_sampling_check(&chat.settings.sampling, err));
    chat.drops_oldest = o->overflow == overflow_choice(0);
    chat.shows_speed = is_interactive || o->model.verbose;
    FAL_TRY_OUT(fal_grammar_choice_open(&grammar, &o->grammar, "chat", err));
    chat.grammar = grammar;
    FAL_TRY_OUT(fal_model_choice_open(&o->model, no_model, &chat.model, &chat.session, err));
    chat.model_file = fal_gguf_path(fal_model_gguf(chat.model));
    chat.format =
        o->format ? fal_chat_format_by_name(o->format) : fal_model_chat_format(chat.model);
    FAL_TRY_OUT(set_system(&chat, o, err));
    FAL_TRY_OUT(fal_stop_words_collect(&stop, chat.format, &o->stop, err));
    chat.stop = stop;
    if (is_interactive && !o->no_history) history = fal_history_path();
    FAL_TRY_OUT(fal_line_input_open(&input, history, err));
    fal_interrupt_watch(4);
    if (is_interactive) greet(&chat);
    FAL_TRY_OUT(talk(&chat, input, is_interactive, err));
out:
    fal_line_input_close(input);
    fal_free(history);
    fal_free(stop);
    fal_grammar_close(grammar);
    fal_conversation_release(&chat.conversation);
    fal_session_close(chat.session);
    fal_model_close(chat.model);
    return status;
}

const fal_command fal_command_chat = {
    .description =
        "Holds a conversation with a model. On a terminal there is line editing and a history; a line that ends with a "
        "backslash goes on in the next one, three quotation marks open and close a message of many lines, and what is pasted stays one message. Ctrl-C "
        "stops an answer, which stays as far as it is there; at the prompt it throws away what was typed, and twice, or "
        "Ctrl-D, leaves. Lines that begin with a slash are commands; /help lists them.\n\n"
        "From a pipe every line is a message, only answers go to standard output, and the first failure ends the "
        "conversation with its exit status.\n\n"
        "Unless told otherwise, tokens are drawn among the 3 most probable at temperature 1. What is typed stays text: "
        "it never becomes a control token. A conversation that outgrows the context loses its oldest turns, which is told "
        "each time, or with --overflow stop is refused.",
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(chat_options),
    .set_defaults = set_defaults,
    .run = run};
