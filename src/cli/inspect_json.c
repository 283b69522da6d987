/* The facts for programs. */
#include "cli/inspect_print.h"
#include "cli/json_output.h"

#include <string.h>

static void set_count(json_t *o, const char *key, int64_t value) {
    if (value) json_object_set_new(o, key, json_integer(value));
}

static void set_text(json_t *o, const char *key, const char *text) {
    if (text[0]) json_object_set_new(o, key, fal_json_text(text, strlen(text)));
}

static json_t *types_to_json(const fal_inspected *in) {
    json_t *list = json_array();
    for (int i = 0; i < in->n_types; i++) {
        const fal_type_share *t = &in->types[i];
        json_t *row = json_object();
        json_object_set_new(row, "type", json_string(t->name));
        json_object_set_new(row, "tensors", json_integer(t->n_tensors));
        json_object_set_new(row, "parameters", fal_json_whole(t->n_parameters));
        json_object_set_new(row, "share", fal_json_number(t->n_parameters / in->n_parameters));
        json_object_set_new(row, "bits_per_weight",
                            fal_json_number(fal_bits_per_weight(t->n_parameters, t->bytes)));
        json_object_set_new(row, "bytes", json_integer((json_int_t)t->bytes));
        json_array_append_new(list, row);
    }
    return list;
}

static json_t *context_to_json(const fal_inspected *in) {
    json_t *o = json_object();
    set_count(o, "tokens", in->n_context);
    json_object_set_new(o, "positions", json_string(fal_inspected_positions(in)));
    if (in->has_rope) {
        const fal_rope_settings *rope = &in->params.rope;
        json_object_set_new(o, "method", json_string(rope->method->name));
        json_object_set_new(o, "trained", json_integer(rope->trained_context));
        json_object_set_new(o, "factor", fal_json_number(rope->factor));
        json_object_set_new(o, "base", fal_json_number(rope->base));
        json_object_set_new(o, "base_in_force", fal_json_number(in->rope_base));
        json_object_set_new(o, "m", fal_json_number(in->rope_gain));
    }
    set_text(o, "restored", in->restored);
    return o;
}

static json_t *tokenizer_to_json(const fal_inspected *in) {
    if (!in->tokenizer) return json_null();
    json_t *o = json_object();
    const fal_tokenizer *t = in->tokenizer;
    const fal_gguf_value *merges = fal_gguf_find(in->gguf, "tokenizer.ggml.merges");
    json_object_set_new(o, "tokens", json_integer(fal_tokenizer_n_vocab(t)));
    if (merges) json_object_set_new(o, "merges", json_integer((json_int_t)merges->count));
    json_object_set_new(o, "pretokenizer", json_string(fal_tokenizer_pretokenizer(t)));
    if (fal_tokenizer_bos(t) >= 0)
        json_object_set_new(o, "bos", json_integer(fal_tokenizer_bos(t)));
    if (fal_tokenizer_eos(t) >= 0)
        json_object_set_new(o, "eos", json_integer(fal_tokenizer_eos(t)));
    json_object_set_new(o, "adds_bos", json_boolean(fal_tokenizer_adds_bos(t)));
    json_object_set_new(o, "chat_format",
                        json_string(fal_chat_format_name(fal_chat_format_detect(t, in->gguf))));
    json_object_set_new(o, "has_chat_template",
                        json_boolean(fal_gguf_find(in->gguf, "tokenizer.chat_template")));
    return o;
}

static json_t *memory_to_json(const fal_inspected *in) {
    int64_t contexts[FAL_MAX_CONTEXTS];
    int n = fal_inspected_contexts(in, contexts);
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        double bytes = fal_inspected_cache_bytes(in, contexts[i]);
        json_t *row = json_object();
        json_object_set_new(row, "context", json_integer(contexts[i]));
        json_object_set_new(row, "kv_type", json_string(in->kv_type));
        json_object_set_new(row, "weight_bytes", json_integer((json_int_t)in->weight_bytes));
        json_object_set_new(row, "cache_bytes", fal_json_whole(bytes));
        json_object_set_new(row, "total_bytes", fal_json_whole(bytes + (double)in->weight_bytes));
        json_array_append_new(list, row);
    }
    return list;
}

json_t *fal_inspected_to_json(const fal_inspected *in) {
    json_t *o = json_object();
    set_text(o, "file", fal_gguf_path(in->gguf));
    json_object_set_new(o, "gguf_version", json_integer(fal_gguf_version(in->gguf)));
    json_object_set_new(o, "file_bytes", json_integer((json_int_t)fal_gguf_file_bytes(in->gguf)));
    set_text(o, "architecture", in->architecture);
    json_object_set_new(o, "can_run", json_boolean(in->is_known));
    set_text(o, "name", in->name);
    if (in->n_parameters > 0)
        json_object_set_new(o, "parameters", fal_json_whole(in->n_parameters));
    set_count(o, "layers", in->n_layers);
    set_count(o, "heads", in->n_heads);
    set_count(o, "kv_heads", in->n_kv_heads);
    set_count(o, "head_dim", in->key_length);
    set_count(o, "d_model", in->d_model);
    set_count(o, "d_ff", in->d_ff);
    set_count(o, "n_vocab", in->n_vocab);
    json_object_set_new(o, "tensor_count", json_integer(fal_gguf_tensor_count(in->gguf)));
    json_object_set_new(o, "weight_bytes", json_integer((json_int_t)in->weight_bytes));
    json_object_set_new(o, "bits_per_weight",
                        fal_json_number(fal_bits_per_weight(in->n_parameters, in->weight_bytes)));
    json_object_set_new(o, "types", types_to_json(in));
    json_object_set_new(o, "context", context_to_json(in));
    json_object_set_new(o, "tokenizer", tokenizer_to_json(in));
    json_object_set_new(o, "memory", memory_to_json(in));
    return o;
}

json_t *fal_inspected_tensors_to_json(const fal_inspected *in) {
    json_t *list = json_array();
    for (int i = 0; i < fal_gguf_tensor_count(in->gguf); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(in->gguf, i);
        json_t *row = json_object(), *shape = json_array();
        for (int k = 0; k < t->n_dims; k++)
            json_array_append_new(shape, json_integer(t->shape[k]));
        set_text(row, "name", t->name);
        json_object_set_new(row, "type", json_string(t->type_name));
        json_object_set_new(row, "shape", shape);
        json_object_set_new(row, "bytes", json_integer((json_int_t)t->bytes));
        json_object_set_new(row, "offset", json_integer((json_int_t)t->offset));
        json_array_append_new(list, row);
    }
    return list;
}

static json_t *element_to_json(const fal_gguf *f, const fal_gguf_value *v, uint64_t i) {
    fal_gguf_value_type type = v->type == FAL_GGUF_ARRAY ? v->element_type : v->type;
    fal_gguf_string text = {0};
    int64_t whole = 0;
    double number = 0;
    if (type == FAL_GGUF_BOOL && fal_gguf_value_i64(f, v, i, &whole)) return json_boolean(whole);
    if (type != FAL_GGUF_F32 && type != FAL_GGUF_F64 && fal_gguf_value_i64(f, v, i, &whole))
        return json_integer(whole);
    if (fal_gguf_value_f64(f, v, i, &number)) return fal_json_number(number);
    if (fal_gguf_value_string(f, v, i, &text)) return fal_json_text(text.data, text.length);
    return json_null();
}

json_t *fal_inspected_metadata_to_json(const fal_inspected *in) {
    json_t *o = json_object();
    for (int i = 0; i < fal_gguf_value_count(in->gguf); i++) {
        const fal_gguf_value *v = fal_gguf_value_at(in->gguf, i);
        json_t *value = NULL;
        if (v->type == FAL_GGUF_ARRAY) {
            value = json_array();
            for (uint64_t k = 0; k < v->count; k++)
                json_array_append_new(value, element_to_json(in->gguf, v, k));
        } else {
            value = element_to_json(in->gguf, v, 0);
        }
        json_object_set_new(o, v->key, value);
    }
    return o;
}
