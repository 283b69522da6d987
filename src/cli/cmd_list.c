/* list: the program's own lists, printed. */
#include "cli/command.h"
#include "cli/json_output.h"
#include "compute/device.h"
#include "convert/type_plan.h"
#include "model/arch.h"
#include "model/layout.h"
#include "model/rope.h"
#include "quant/type.h"
#include "train/schedule.h"
#include "train/sources.h"

#include <stdio.h>
#include <string.h>

typedef struct list_options {
    bool json;
} list_options;

/* One line of a list. */
typedef struct list_line {
    const char *name, *meaning;
    char detail[200]; /* may stay empty */
} list_line;

/* Fills the index-th line; false past the end. */
typedef bool list_function(int index, list_line *out);

static bool list_types(int index, list_line *out) {
    if (index >= fal_type_count()) return false;
    const fal_type *t = fal_type_at(index);
    out->name = t->name;
    out->meaning = t->meaning;
    snprintf(out->detail, sizeof out->detail, "%.4g bits per weight%s",
             8.0 * t->bytes_per_block / t->weights_per_block,
             t->in_files ? "" : ", activations only");
    return true;
}

static bool list_architectures(int index, list_line *out) {
    if (index >= fal_arch_count()) return false;
    const fal_arch *arch = fal_arch_at(index);
    out->name = arch->name;
    out->meaning = arch->meaning;
    for (size_t used = 0, i = 0; arch->hf_names[i] && used < sizeof out->detail; i++)
        used += (size_t)snprintf(out->detail + used, sizeof out->detail - used, "%s%s",
                                 i ? ", " : "", arch->hf_names[i]);
    return true;
}

static bool list_methods(int index, list_line *out) {
    if (index >= fal_rope_method_count()) return false;
    out->name = fal_rope_method_at(index)->name;
    out->meaning = fal_rope_method_at(index)->meaning;
    return true;
}

static bool list_mixes(int index, list_line *out) {
    if (index >= fal_mix_count()) return false;
    out->name = fal_mix_at(index)->name;
    out->meaning = fal_mix_at(index)->meaning;
    snprintf(out->detail, sizeof out->detail, "mostly %s", fal_mix_at(index)->type);
    return true;
}

static bool list_devices(int index, list_line *out) {
    if (index >= fal_backend_count()) return false;
    out->name = fal_backend_at(index)->name;
    out->meaning = fal_backend_at(index)->meaning;
    return true;
}

static bool list_layouts(int index, list_line *out) {
    const fal_layout *layout = fal_layout_at(index);
    if (!layout) return false;
    out->name = fal_layout_name(layout);
    out->meaning = fal_layout_meaning(layout);
    return true;
}

static bool list_schedules(int index, list_line *out) {
    out->name = fal_schedule_name(index);
    out->meaning = fal_schedule_meaning(index);
    return out->name != NULL;
}

static bool list_readers(int index, list_line *out) {
    out->name = fal_reader_name(index);
    out->meaning = fal_reader_meaning(index);
    if (out->name) snprintf(out->detail, sizeof out->detail, "%s", fal_reader_group(out->name));
    return out->name != NULL;
}

static bool list_commands(int index, list_line *out) {
    const fal_command_row *row = fal_command_at(index);
    if (!row) return false;
    out->name = row->name;
    out->meaning = row->summary;
    return true;
}

static bool list_chat_formats(int index, list_line *out) {
    static const struct {
        const char *name, *meaning;
    } formats[] = {

#define FAL_CHAT_FORMAT(name, meaning, ...) {name, meaning},
#include "text/chat_formats.def"
#undef FAL_CHAT_FORMAT
    };
    if ((size_t)index >= sizeof formats / sizeof formats[0]) return false;
    out->name = formats[index].name;
    out->meaning = formats[index].meaning;
    return true;
}

static const struct {
    const char *name;
    list_function *function;
} lists[] = {
    {"types",         list_types        },
    {"architectures", list_architectures},
    {"methods",       list_methods      },
    {"mixes",         list_mixes        },
    {"chat-formats",  list_chat_formats },
    {"devices",       list_devices      },
    {"layouts",       list_layouts      },
    {"readers",       list_readers      },
    {"schedules",     list_schedules    },
    {"commands",      list_commands     }
};

static const char *list_choice(int index) {
    return (size_t)index < sizeof lists / sizeof lists[0] ? lists[index].name : NULL;
}

static const fal_option rows[] = {
    FAL_ROW_FLAG("json", 0, offsetof(list_options, json), "print a JSON array"), {0}};

static const fal_option_group groups[] = {
    {"Options", rows, 0},
    {NULL,      NULL, 0}
};

static const fal_argument arguments[] = {
    {"LIST", FAL_OPTION_CHOICE, list_choice, true,
     "types, architectures, methods, mixes, chat-formats, devices, layouts, readers, "
     "schedules or commands"                            },
    {NULL,   FAL_OPTION_TEXT,   NULL,        false, NULL}
};

static const fal_example examples[] = {
    {"falconer list types", "The number types that can be read:"},
    {NULL,                  NULL                                }
};

static void print_line(const list_line *line) {
    bool has_detail = line->detail[0] != '\0';
    printf("%-16s %s%s%s%s\n", line->name, line->meaning, has_detail ? " (" : "", line->detail,
           has_detail ? ")" : "");
}

static json_t *line_to_json(const list_line *line) {
    json_t *row = json_object();
    json_object_set_new(row, "name", json_string(line->name));
    json_object_set_new(row, "meaning", json_string(line->meaning));
    if (line->detail[0]) json_object_set_new(row, "detail", json_string(line->detail));
    return row;
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const list_options *o = parsed->values;
    list_function *function = NULL;
    for (int i = 0; list_choice(i); i++)
        if (strcmp(list_choice(i), parsed->arguments[0]) == 0) function = lists[i].function;
    json_t *all = json_array();
    list_line line = {0};
    for (int i = 0; function && function(i, &line); i++) {
        if (o->json)
            json_array_append_new(all, line_to_json(&line));
        else
            print_line(&line);
        line = (list_line){0};
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
