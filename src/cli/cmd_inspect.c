/* inspect: what a GGUF file is, from its metadata alone. */
#include "cli/command.h"
#include "cli/inspect_print.h"
#include "cli/json_output.h"
#include "cli/model_options.h"
#include "compute/cells.h"

#include <limits.h>

typedef struct inspect_options {
    int n_context;
    const char *kv_type;
    bool json, tensors, metadata;
} inspect_options;

#define AT(member) offsetof(inspect_options, member)

static const fal_option rows[] = {
    FAL_ROW_FLAG("tensors", 't', AT(tensors), "list the tensors"),
    FAL_ROW_FLAG("metadata", 'M', AT(metadata), "list the metadata"),
    FAL_ROW_COUNT("context", 'c', AT(n_context), "N", 1, INT_MAX, "memory for N tokens of context"),
    FAL_ROW_CHOICE("kv-type", 0, AT(kv_type), "TYPE", fal_kv_type_choice,
                   "number type of the cache: f16, q8_0, f32"),
    FAL_ROW_JSON(AT(json)),
    {0}};

static const fal_option_group groups[] = {
    {"Options", rows, 0},
    {NULL,      NULL, 0}
};

static const fal_argument arguments[] = {
    {"FILE", FAL_OPTION_FILE, NULL, false, "a GGUF file or a part of one (built-in fledgling)"},
    {NULL,   FAL_OPTION_TEXT, NULL, false, NULL                                               }
};

static const fal_example examples[] = {
    {"falconer inspect alfred-40b-1023.Q4_K_M.gguf",         "What a file is:"         },
    {"falconer inspect alfred-40b-1023.Q4_K_M.gguf -c 8192",
     "The memory that a long conversation needs:"                                      },
    {"falconer inspect model.gguf --tensors --json",         "All of it for a program:"},
    {NULL,                                                   NULL                      }
};

static fal_status ask_for_memory(fal_inspected *in, const inspect_options *o, fal_error *err) {
    int64_t contexts[FAL_MAX_CONTEXTS];
    if (!o->n_context && !o->kv_type) return FAL_OK;
    if (fal_inspected_contexts(in, contexts) == 0)
        return fal_fail(
            err, FAL_E_ARGUMENT, "inspect: --%s: the memory is unknown, since the file %s",
            o->n_context ? "context" : "kv-type",
            in->weight_bytes ? "does not tell its layers and heads" : "holds no weights");
    in->context_asked = o->n_context;
    if (!o->kv_type) return FAL_OK;
    in->kv_type = o->kv_type;
    const fal_type *type;
    fal_status status =
        fal_cell_type_find(&type, o->kv_type, in->is_known ? in->params.head_dim : 0, err);
    return status == FAL_OK ? status : fal_add_context(err, status, "inspect");
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const inspect_options *o = parsed->values;
    fal_inspected in = {0};
    fal_status status =
        fal_inspected_open(&in, parsed->n_arguments ? parsed->arguments[0] : NULL, err);
    if (status == FAL_OK) status = ask_for_memory(&in, o, err);
    if (status == FAL_OK && o->json) {
        json_t *all = fal_inspected_to_json(&in);
        if (o->tensors) json_object_set_new(all, "tensors", fal_inspected_tensors_to_json(&in));
        if (o->metadata) json_object_set_new(all, "metadata", fal_inspected_metadata_to_json(&in));
        status = fal_json_print(all, 12, err);
    } else if (status == FAL_OK) {
        fal_inspected_print(&in);
        if (o->tensors) fal_inspected_print_tensors(&in);
        if (o->metadata) fal_inspected_print_metadata(&in);
    }
    /* What is known was told; a vocabulary that is there but damaged is a failure all the same. */
    if (status == FAL_OK && in.tokenizer_error.status == FAL_E_FORMAT
        && fal_gguf_find(in.gguf, "tokenizer.ggml.tokens")) {
        *err = in.tokenizer_error;
        status = err->status;
    }
    fal_inspected_release(&in);
    return status;
}

const fal_command fal_command_inspect = {
    .description =
        "Tells what a GGUF file is: architecture and sizes, number types by count and by share of the parameters, bits "
        "per weight, context and rope settings, tokenizer and chat format, and the memory that a conversation of a given "
        "length needs: that of the weights, which are mapped from the file, and of the cache, which has the number type "
        "that a session takes by itself (f16, and f32 for a model whose weights are all f32) unless --kv-type says "
        "otherwise. Nothing is computed and no weight is read, so files of unknown architectures and files that "
        "hold only a vocabulary can be looked at, too.\n\n"
        "A file whose tokenizer is damaged is shown as far as it can be; the exit status is 5 then. "
        "A file that is known to have lost its context settings is shown with the settings that it will run with; the "
        "line restored says so.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(inspect_options),
    .run = run};
