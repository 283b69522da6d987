/* Slash commands: a table of names, arguments, meanings and functions. */
#include "cli/chat_commands.h"

#include "base/alloc.h"
#include "base/file.h"
#include "cli/json_output.h"
#include "cli/nearest.h"
#include "cli/sampling_options.h"
#include "cli/terminal.h"
#include "cli/text_output.h"
#include "formats/json_file.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const fal_option fal_chat_setting_rows[] = {
    FAL_ROW_COUNT("max-new-tokens", 'n', offsetof(fal_chat_settings, max_new_tokens), "N", 0,
                  INT_MAX, "most tokens of an answer; 0: no bound (0)"),
    {0}};

enum {
    FILE_VERSION = 1
};

/* Keys of a saved conversation: what the file is, and how many answers were drawn, since each has a stream of its own. */
static const char version_key[] = "falconer_conversation", answers_key[] = "answers";

typedef fal_status slash_function(fal_chat *chat, const char *argument, fal_error *err);

typedef struct slash_command {
    const char *name, *argument, *meaning;
    slash_function *function;
} slash_command;

static fal_status slash_help(fal_chat *chat, const char *argument, fal_error *err);

/* ---- the conversation ---- */

static fal_status slash_system(fal_chat *chat, const char *argument, fal_error *err) {
    char own[1000] = "";
    if (!argument[0]) {
        fal_terminal_notice("%s", chat->conversation.system ? chat->conversation.system
                                                            : "(no system prompt)");
        return FAL_OK;
    }
    if (strcmp(argument, "default") == 0)
        fal_chat_default_system(chat->format, (int64_t)time(NULL), own, sizeof own);
    bool is_word = strcmp(argument, "default") == 0 || strcmp(argument, "none") == 0;
    FAL_TRY(fal_conversation_set_system(&chat->conversation, is_word ? own : argument, err));
    const char *text = chat->conversation.system ? chat->conversation.system : "none";
    size_t n = strcspn(text, "\n");
    fal_terminal_notice("system prompt: %.*s%s", (int)(n < 200 ? n : 200), text,
                        n < 200 && !text[n] ? "" : " ...");
    return FAL_OK;
}

static fal_status slash_reset(fal_chat *chat, const char *argument, fal_error *err) {
    (void)argument, (void)err;
    while (chat->conversation.count)
        fal_conversation_drop_last(&chat->conversation);
    fal_terminal_notice("the conversation begins again");
    return FAL_OK;
}

static fal_status slash_regen(fal_chat *chat, const char *argument, fal_error *err) {
    (void)argument;
    fal_status status = fal_chat_answer(chat, err);
    return status == FAL_OK ? status : fal_add_context(err, status, "/regen");
}

static fal_status slash_quit(fal_chat *chat, const char *argument, fal_error *err) {
    (void)argument, (void)err;
    chat->is_over = true;
    return FAL_OK;
}

/* ---- settings ---- */

/* The index-th setting and the struct it is stored in; NULL past the end. */
static const fal_option *setting_at(fal_chat_settings *settings, int index, void **base) {
    const fal_option *row = fal_sampling_option_rows;
    *base = &settings->sampling;
    for (; row->name; row++)
        if (index-- == 0) return row;
    *base = settings;
    for (row = fal_chat_setting_rows; row->name; row++)
        if (index-- == 0) return row;
    return NULL;
}

static void format_setting(const fal_option *row, const void *base, char *out, size_t size) {
    const void *at = (const char *)base + row->offset;
    if (row->kind == FAL_OPTION_COUNT)
        snprintf(out, size, "%d", *(const int *)at);
    else if (row->kind == FAL_OPTION_SEED)
        snprintf(out, size, "%" PRIu64, *(const uint64_t *)at);
    else
        snprintf(out, size, "%.10g", *(const double *)at);
}

/* The one called name, or all. */
static void show_settings(fal_chat *chat, const char *name) {
    void *base = NULL;
    const fal_option *row;
    for (int i = 0; (row = setting_at(&chat->settings, i, &base)); i++) {
        char value[40];
        if (name && strcmp(row->name, name) != 0) continue;
        format_setting(row, base, value, sizeof value);
        fal_terminal_notice("  %-20s %-10s %s", row->name, value, row->meaning);
    }
}

/* A value of NULL only asks whether there is such a setting. */
static fal_status store_setting(fal_chat_settings *settings, const char *name, const char *value,
                                fal_error *err) {
    fal_nearest nearest = {.word = name};
    fal_chat_settings changed = *settings;
    void *base = NULL;
    const fal_option *row;
    char known[300] = "";
    size_t used = 0;
    for (int i = 0; (row = setting_at(&changed, i, &base)); i++) {
        fal_nearest_offer(&nearest, row->name);
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                     row->name);
        if (strcmp(row->name, name) != 0) continue;
        if (!value) return FAL_OK;
        FAL_TRY(fal_option_store(row, base, row->name, value, err));
        FAL_TRY(fal_sampling_check(&changed.sampling, err));
        *settings = changed;
        return FAL_OK;
    }
    return fal_fail(
        err, FAL_E_ARGUMENT, "unknown setting '%.100s'%s%s", name,
        nearest.best ? "; nearest: " : "; known: ", nearest.best ? nearest.best : known);
}

static fal_status slash_set(fal_chat *chat, const char *argument, fal_error *err) {
    char name[64];
    size_t n = strcspn(argument, " =");
    if (!argument[0]) {
        show_settings(chat, NULL);
        return FAL_OK;
    }
    const char *value = argument + n + strspn(argument + n, " =");
    snprintf(name, sizeof name, "%.*s", (int)(n < 63 ? n : 63), argument);
    FAL_TRY(store_setting(&chat->settings, name, value[0] ? value : NULL, err));
    show_settings(chat, name);
    return FAL_OK;
}

/* ---- files ---- */

static json_t *settings_to_json(fal_chat_settings *settings) {
    json_t *o = json_object();
    void *base = NULL;
    const fal_option *row;
    for (int i = 0; (row = setting_at(settings, i, &base)); i++) {
        const void *at = (const char *)base + row->offset;
        json_t *value = row->kind == FAL_OPTION_COUNT ? json_integer(*(const int *)at)
                        : row->kind == FAL_OPTION_SEED
                            ? json_integer((json_int_t) * (const uint64_t *)at)
                            : fal_json_number(*(const double *)at);
        json_object_set_new(o, row->name, value);
    }
    return o;
}

static fal_status settings_from_json(fal_chat_settings *out, json_t *json, fal_error *err) {
    const char *name;
    json_t *value;
    if (json && !json_is_object(json))
        return fal_fail(err, FAL_E_FORMAT, "settings: not an object");
    json_object_foreach(json, name, value) {
        char text[40];
        if (json_is_integer(value))
            snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
        else if (json_is_real(value))
            snprintf(text, sizeof text, "%.17g", json_real_value(value));
        else
            return fal_fail(err, FAL_E_FORMAT, "settings.%.100s: not a number", name);
        fal_status status = store_setting(out, name, text, err);
        if (status != FAL_OK) return fal_add_context(err, FAL_E_FORMAT, "settings");
    }
    return FAL_OK;
}

static fal_status write_json(const char *path, const json_t *json, fal_error *err) {
    fal_string_builder text = {0};
    fal_status status = fal_json_append(&text, json, err);
    if (status == FAL_OK) status = fal_text_write_file(&text, path, err);
    fal_string_release(&text);
    return status;
}

/* Only what is free and what /save wrote may be written. */
static fal_status check_place(const char *path, fal_error *err) {
    json_t *there = NULL;
    if (!fal_file_exists(path)) return FAL_OK;
    bool is_ours = !fal_file_is_directory(path) && fal_json_read_file(&there, path, NULL) == FAL_OK
                   && json_is_integer(json_object_get(there, version_key));
    json_decref(there);
    if (is_ours) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT,
                    "/save: '%s' is there already and no saved conversation; choose another name",
                    path);
}

static fal_status slash_save(fal_chat *chat, const char *argument, fal_error *err) {
    if (!argument[0]) return fal_fail(err, FAL_E_ARGUMENT, "/save: a file's name is missing");
    FAL_TRY(check_place(argument, err));
    json_t *all = json_object(), *conversation = fal_conversation_to_json(&chat->conversation);
    json_object_set_new(all, version_key, json_integer(FILE_VERSION));
    json_object_set_new(all, "model", fal_json_text(chat->model_file, strlen(chat->model_file)));
    json_object_set_new(all, "chat_format", json_string(fal_chat_format_name(chat->format)));
    json_object_set_new(all, "settings", settings_to_json(&chat->settings));
    json_object_set_new(all, answers_key, json_integer((json_int_t)chat->n_answers));
    json_object_update(all, conversation);
    json_decref(conversation);
    fal_status status = write_json(argument, all, err);
    json_decref(all);
    if (status == FAL_OK)
        fal_terminal_notice("saved %zu messages in %s", chat->conversation.count, argument);
    return status;
}

/* jansson has its own words for what a text here cannot hold. */
static fal_status read_saved(json_t **out, const char *path, fal_error *err) {
    json_error_t why;
    fal_status status = fal_json_read_file(out, path, err);
    if (status != FAL_E_FORMAT) return status;
    json_t *again = json_load_file(path, 0, &why);
    bool has_zero = !again && json_error_code(&why) == json_error_null_character;
    json_decref(again);
    if (!has_zero) return status;
    return fal_fail(err, FAL_E_FORMAT, "'%s': line %d: a text holds a zero (\\u0000)", path,
                    why.line);
}

/* Other words may follow when the same conversation goes on elsewhere. */
static void tell_other_origin(const fal_chat *chat, const char *path, const json_t *saved) {
    const char *model = json_string_value(json_object_get(saved, "model")),
               *format = json_string_value(json_object_get(saved, "chat_format")),
               *here = fal_chat_format_name(chat->format);
    bool other_model = model && strcmp(fal_path_base(model), fal_path_base(chat->model_file)) != 0;
    if (!other_model && !(format && strcmp(format, here) != 0)) return;
    fal_terminal_notice("%s was saved with %s, chat format %s; it goes on with %s, %s", path,
                        model ? fal_path_base(model) : "an unnamed model",
                        format ? format : "unnamed", fal_path_base(chat->model_file), here);
}

static fal_status slash_load(fal_chat *chat, const char *argument, fal_error *err) {
    if (!argument[0]) return fal_fail(err, FAL_E_ARGUMENT, "/load: a file's name is missing");
    json_t *all = NULL;
    fal_conversation loaded = {0};
    fal_chat_settings settings = chat->settings;
    fal_status status = FAL_OK;
    FAL_TRY_OUT(read_saved(&all, argument, err));
    const json_t *version = json_object_get(all, version_key),
                 *answers = json_object_get(all, answers_key);
    if (version && json_integer_value(version) != FILE_VERSION)
        status = fal_fail(err, FAL_E_UNSUPPORTED, "%s: not %d", version_key, FILE_VERSION);
    if (status == FAL_OK && answers
        && (!json_is_integer(answers) || json_integer_value(answers) < 0))
        status = fal_fail(err, FAL_E_FORMAT, "%s: not a whole number from 0 on", answers_key);
    if (status == FAL_OK) status = fal_conversation_from_json(&loaded, all, err);
    if (status == FAL_OK)
        status = settings_from_json(&settings, json_object_get(all, "settings"), err);
    if (status != FAL_OK) {
        fal_add_context(err, status, "%s", argument);
        goto out;
    }
    fal_conversation before = chat->conversation;
    chat->conversation = loaded;
    chat->settings = settings;
    if (answers) chat->n_answers = (uint64_t)json_integer_value(answers);
    loaded = before;
    fal_terminal_notice("loaded %zu messages from %s", chat->conversation.count, argument);
    tell_other_origin(chat, argument, all);
out:
    fal_conversation_release(&loaded);
    json_decref(all);
    return status;
}

/* ---- the table ---- */

static const slash_command commands[] = {
    {"help",   "",               "print this list",                                           slash_help  },
    {"system", "[TEXT]",         "show or set the system prompt; default and none are words", slash_system},
    {"reset",  "",               "begin again; the system prompt and the settings stay",      slash_reset },
    {"regen",  "",               "answer the last message again",                             slash_regen },
    {"save",   "FILE",           "write conversation and settings into a JSON file",          slash_save  },
    {"load",   "FILE",           "go on with a saved conversation",                           slash_load  },
    {"set",    "[NAME [VALUE]]", "show or change how tokens are drawn",                       slash_set   },
    {"quit",   "",               "leave, as Ctrl-D does",                                     slash_quit  }
};

enum {
    N_COMMANDS = sizeof commands / sizeof commands[0]
};

static fal_status slash_help(fal_chat *chat, const char *argument, fal_error *err) {
    (void)chat, (void)argument, (void)err;
    for (int i = 0; i < N_COMMANDS; i++)
        fal_terminal_notice("  /%-6s %-14s %s", commands[i].name, commands[i].argument,
                            commands[i].meaning);
    fal_terminal_notice(
        "A line that ends with \\ goes on in the next; \"\"\" opens and closes a message of many lines.\n"
        "A message that begins with // begins with one slash. Ctrl-C stops an answer.");
    return FAL_OK;
}

fal_status fal_chat_command(fal_chat *chat, const char *line, fal_error *err) {
    char name[32];
    const char *word = line + 1;
    size_t n = strcspn(word, " \t\n");
    snprintf(name, sizeof name, "%.*s", (int)(n < 31 ? n : 31), word);
    const char *argument = word + n + strspn(word + n, " \t\n");
    fal_nearest nearest = {.word = name};
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) return commands[i].function(chat, argument, err);
        fal_nearest_offer(&nearest, commands[i].name);
    }
    return fal_fail(err, FAL_E_ARGUMENT, "unknown command '/%s'; %s%s", name,
                    nearest.best ? "nearest: /" : "see /help", nearest.best ? nearest.best : "");
}
