/* list: the program's own lists, printed. */
#include "cli/command.h"
#include "cli/json_output.h"
#include "compute/device.h"
#include "model/arch.h"
#include "model/rope.h"
#include "quant/type.h"

#include <stdio.h>
#include <string.h>

typedef struct list_options {
    bool json;
} list_options;

/* One line of a list; false past the end. extra may stay empty. */
typedef bool list_function(int index, const char **name, const char **meaning, char *extra,
                           size_t size);

static bool list_types(int index, const char **name, const char **meaning, char *extra,
                       size_t size) {
    if (index >= fal_type_count()) return false;
    const fal_type *t = fal_type_at(index);
    *name = t->name;
    *meaning = t->meaning;
    snprintf(extra, size, "%.4g bits per weight%s", 8.0 * t->bytes_per_block / t->weights_per_block,
             t->in_files ? "" : ", activations only");
    return true;
}

static bool list_architectures(int index, const char **name, const char **meaning, char *extra,
                               size_t size) {
    if (index >= fal_arch_count()) return false;
    const fal_arch *arch = fal_arch_at(index);
    *name = arch->name;
    *meaning = arch->meaning;
    for (size_t used = 0, i = 0; arch->hf_names[i] && used < size; i++)
        used +=
            (size_t)snprintf(extra + used, size - used, "%s%s", i ? ", " : "", arch->hf_names[i]);
    return true;
}

static bool list_methods(int index, const char **name, const char **meaning, char *extra,
                         size_t size) {
    (void)extra, (void)size;
    if (index >= fal_rope_method_count()) return false;
    *name = fal_rope_method_at(index)->name;
    *meaning = fal_rope_method_at(index)->meaning;
    return true;
}

static bool list_devices(int index, const char **name, const char **meaning, char *extra,
                         size_t size) {
    (void)extra, (void)size;
    if (index >= fal_backend_count()) return false;
    *name = fal_backend_at(index)->name;
    *meaning = fal_backend_at(index)->meaning;
    return true;
}

static bool list_commands(int index, const char **name, const char **meaning, char *extra,
                          size_t size) {
    const fal_command_row *row = fal_command_at(index);
    (void)extra, (void)size;
    if (!row) return false;
    *name = row->name;
    *meaning = row->summary;
    return true;
}

static bool list_chat_formats(int index, const char **name, const char **meaning, char *extra,
                              size_t size) {
    static const struct {
        const char *name, *meaning;
    } formats[] = {

#define FAL_CHAT_FORMAT(name, meaning, ...) {name, meaning},
#include "text/chat_formats.def"
#undef FAL_CHAT_FORMAT
    };
    (void)extra, (void)size;
    if ((size_t)index >= sizeof formats / sizeof formats[0]) return false;
    *name = formats[index].name;
    *meaning = formats[index].meaning;
    return true;
}

static const struct {
    const char *name;
    list_function *function;
} lists[] = {
    {"types",         list_types        },
    {"architectures", list_architectures},
    {"methods",       list_methods      },
    {"chat-formats",  list_chat_formats },
    {"devices",       list_devices      },
    {"commands",      list_commands     }
};

static const char *list_choice(int index) {
    return (size_t)index < sizeof lists / sizeof lists[0] ? lists[index].name : NULL;
}

static const fal_option rows[] = {
    {"json",           0, FAL_OPTION_FLAG, offsetof(list_options, json), NULL, 0, 0, NULL,
     "print a JSON array"},
    {0}
};

static const fal_option_group groups[] = {
    {"Options", rows, 0},
    {0       }
};

static const fal_argument arguments[] = {
    {"LIST",       FAL_OPTION_CHOICE, list_choice, true,
     "types, architectures, methods, chat-formats, ..."},
    {0}
};

static const fal_example examples[] = {
    {"falconer list types", "The number types that can be read:"},
    {0                    }
};

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const list_options *o = parsed->values;
    list_function *function = NULL;
    for (int i = 0; list_choice(i); i++)
        if (strcmp(list_choice(i), parsed->arguments[0]) == 0) function = lists[i].function;
    const char *name = NULL, *meaning = NULL;
    char extra[200] = "";
    json_t *all = json_array();
    for (int i = 0; function(i, &name, &meaning, extra, sizeof extra); i++) {
        if (o->json) {
            json_t *row = json_object();
            json_object_set_new(row, "name", json_string(name));
            if (meaning[0]) json_object_set_new(row, "meaning", json_string(meaning));
            if (extra[0]) json_object_set_new(row, "detail", json_string(extra));
            json_array_append_new(all, row);
        } else {
            printf("%-16s %s%s%s%s\n", name, meaning, meaning[0] && extra[0] ? " (" : "", extra,
                   meaning[0] && extra[0] ? ")" : "");
        }
        extra[0] = '\0';
    }
    if (o->json) return fal_json_print(all, 9, err);
    json_decref(all);
    return FAL_OK;
}

const fal_command fal_command_list = {
    .description = "Prints what is built into the program, straight from its own lists.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(list_options),
    .run = run};
