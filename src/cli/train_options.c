/* Body of train_options.h: the tables, and the numbers that the library wants. */
#include "cli/train_options.h"

#include "cli/model_options.h"
#include "model/layout.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#define AT(member) offsetof(fal_train_choice, member)

static const double MAX_TOKENS = 1e15;

static const char *layout_choice(int index) {
    const fal_layout *layout = fal_layout_at(index);
    return layout ? fal_layout_name(layout) : NULL;
}

/* In the order of fal_recompute. */
static const char *recompute_choice(int index) {
    static const char *const names[] = {"none", "cheap", "layer", NULL};
    return names[index];
}

static const char *type_choice(int index) {
    static const char *const names[] = {"f32", "f16", "bf16", NULL};
    return names[index];
}

static const fal_option start_rows[] = {
    FAL_ROW(FILE, "model", 'm', AT(model), "PATH",
            "start from a GGUF file, checkpoint folder or run"),
    FAL_ROW(FILE, "tokenizer", 0, AT(tokenizer), "PATH",
            "start fresh: a tokenizer.json or GGUF file"),
    FAL_ROW_CHOICE("layout", 0, AT(layout), "NAME", layout_choice,
                   "of a fresh model, see falconer list layouts"),
    FAL_ROW_COUNT("n-layers", 0, AT(n_layers), "N", 1, 4096, "its layers"),
    FAL_ROW_COUNT("d-model", 0, AT(d_model), "N", 4, 1 << 20, "its width"),
    FAL_ROW_COUNT("n-heads", 0, AT(n_heads), "N", 1, 65536, "its heads"),
    FAL_ROW_COUNT("n-kv-heads", 0, AT(n_kv_heads), "N", 1, 65536,
                  "its heads of keys and values (the layout's)"),
    FAL_ROW_COUNT("d-ff", 0, AT(d_ff), "N", 1, 1 << 24, "width of its ffn (4 times its width)"),
    FAL_ROW_COUNT("context", 'c', AT(n_context), "N", 1, INT_MAX,
                  "its context in tokens (sequence length)"),
    FAL_ROW_NUMBER("rope-base", 0, AT(rope_base), "B", 1, 1e12, "base of its rotations (10000)"),
    FAL_ROW_FLAG("untied-head", 0, AT(untied_head), "a head apart from the embedding"),
    {0}};

static const fal_option change_rows[] = {
    FAL_ROW_COUNT("lora-rank", 0, AT(lora_rank), "R", 0, 65536,
                  "train adapters of this rank only (0: all)"),
    FAL_ROW_NUMBER("lora-alpha", 0, AT(lora_alpha), "A", 0, 1e6,
                   "their weight times the rank (the rank)"),
    FAL_ROW_FLAG("lora-norms", 0, AT(lora_norms), "train the norms too"),
    FAL_ROW_FLAG("lora-embeddings", 0, AT(lora_embeddings), "train embedding and head too"),
    FAL_ROW_CHOICE("context-method", 0, AT(context_method), "NAME", fal_method_choice,
                   "extend the context, see falconer rope"),
    FAL_ROW_NUMBER("context-scale", 0, AT(context_scale), "S", 1, 1024,
                   "by this factor of the trained context"),
    {0}};

static const fal_option data_rows[] = {
    FAL_ROW(LIST, "source", 's', AT(sources), "PATH[,KEY=VALUE]",
            "data; keys: see the manual; repeatable"),
    FAL_ROW(LIST, "group", 0, AT(groups), "NAME=WEIGHT",
            "a group's share of the tokens; repeatable"),
    FAL_ROW(LIST, "validation", 0, AT(validation), "PATH[,KEY=VALUE]",
            "data to measure the loss on; repeatable"),
    FAL_ROW_CHOICE("chat-format", 0, AT(chat_format), "NAME", fal_chat_format_choice,
                   "of conversations (the model's)"),
    FAL_ROW_NUMBER("prompt-share", 0, AT(prompt_share), "P", 0, 1,
                   "long examples whose prompts count too (0.5)"),
    FAL_ROW_FLAG("strict", 0, AT(strict), "a damaged record ends the run"),
    {0}};

static const fal_option batch_rows[] = {
    FAL_ROW_COUNT("sequence-length", 'l', AT(sequence_length), "N", 2, 1 << 24,
                  "tokens of a packed sequence (the context)"),
    FAL_ROW_COUNT("batch-sequences", 'b', AT(batch_sequences), "N", 1, 1 << 20,
                  "packed sequences of a step (8)"),
    FAL_ROW_NUMBER("batch-tokens", 0, AT(batch_tokens), "N", 2, 1e12, "the same in tokens"),
    FAL_ROW_COUNT("micro-batch", 0, AT(micro_batch), "N", 1, 1 << 20,
                  "packed sequences computed at once (1)"),
    FAL_ROW_NUMBER("total-tokens", 'n', AT(total_tokens), "N", 0, MAX_TOKENS,
                   "of the whole training (0: as many as the data)"),
    FAL_ROW(SEED, "seed", 0, AT(seed), "N", "of order, fresh weights and adapters (0)"),
    FAL_ROW_CHOICE("recompute", 0, AT(recompute), "WHAT", recompute_choice,
                   "save memory: none, cheap, layer (none)"),
    {0}};

static const fal_option optimizer_rows[] = {
    FAL_ROW_NUMBER("learning-rate", 0, AT(learning_rate), "R", 1e-12, 10,
                   "the peak (1e-3 fresh, 1e-4 LoRA, else 1e-5)"),
    FAL_ROW_CHOICE("schedule", 0, AT(schedule), "NAME", fal_schedule_name,
                   "see falconer list schedules (cosine)"),
    FAL_ROW_NUMBER("warm-up", 0, AT(warm_up), "P", 0, 1,
                   "share of the tokens at rising rate (0.02)"),
    FAL_ROW_NUMBER("floor", 0, AT(floor), "P", 0, 1, "share of the peak at the end (0.1)"),
    FAL_ROW_NUMBER("weight-decay", 0, AT(weight_decay), "D", 0, 1000, "of matrices (0)"),
    FAL_ROW_NUMBER("beta1", 0, AT(beta1), "B", 0, 0.9999999, "of AdamW (0.9)"),
    FAL_ROW_NUMBER("beta2", 0, AT(beta2), "B", 0, 0.9999999, "of AdamW (0.95)"),
    FAL_ROW_NUMBER("epsilon", 0, AT(epsilon), "E", 1e-30, 1, "of AdamW (1e-8)"),
    FAL_ROW_NUMBER("clip", 0, AT(clip), "N", 0, 1e30, "bound of the gradient's norm (1; 0: none)"),
    FAL_ROW_NUMBER("z-loss", 0, AT(z_loss), "Z", 0, 1, "keeps logits small (0)"),
    {0}};

static const fal_option output_rows[] = {
    FAL_ROW(DIRECTORY, "out", 'o', AT(out), "DIR", "the run's folder (run)"),
    FAL_ROW_CHOICE("type", 't', AT(type), "TYPE", type_choice,
                   "of the written model: f32, f16 or bf16 (f32)"),
    FAL_ROW_FLAG("no-hf", 0, AT(no_hf), "make no folder hf for Hugging Face"),
    FAL_ROW(TEXT, "name", 0, AT(name), "NAME", "of a fresh model (the folder's)"),
    FAL_ROW_COUNT("checkpoint-every", 0, AT(checkpoint_every), "N", 0, INT_MAX,
                  "steps between checkpoints (0: at the end)"),
    FAL_ROW_COUNT("keep", 0, AT(keep), "N", 1, 1 << 20, "checkpoints that stay (2)"),
    FAL_ROW_COUNT("validate-every", 0, AT(validate_every), "N", 0, INT_MAX,
                  "steps between validations (checkpoints)"),
    FAL_ROW_FLAG("resume", 'r', AT(resume), "go on from the newest checkpoint"),
    FAL_ROW_FLAG("force", 0, AT(force), "go on even with other data or settings"),
    FAL_ROW_FLAG("plan", 0, AT(plan), "tell data, memory and steps, and stop"),
    FAL_ROW_CHOICE("device", 0, AT(device), "NAME", fal_device_choice,
                   "what computes (cpu); see falconer list devices"),
    FAL_ROW_THREADS(AT(n_threads)),
    FAL_ROW_FLAG("json", 0, AT(json), "print the result as one JSON object"),
    FAL_ROW_QUIET(AT(quiet)),
    {0}};

const fal_option_group fal_train_option_groups[] = {
    {"Start",     start_rows,     0},
    {"Change",    change_rows,    0},
    {"Data",      data_rows,      0},
    {"Batches",   batch_rows,     0},
    {"Optimizer", optimizer_rows, 0},
    {"Run",       output_rows,    0},
    {NULL,        NULL,           0}
};

void fal_train_choice_defaults(void *choice) {
    fal_train_choice *c = choice;
    c->out = "run";
    c->prompt_share = 0.5;
    c->warm_up = 0.02;
    c->floor = 0.1;
    c->beta1 = 0.9;
    c->beta2 = 0.95;
    c->clip = 1;
}

/* ---- as the library wants them ---- */

static const int DEFAULT_SEQUENCES = 8;

/* The index of a word among those of a choice; 0 where nothing is said. */
static int index_of(fal_choice_function *choice, const char *word) {
    for (int i = 0; word && choice(i); i++) {
        if (strcmp(choice(i), word) == 0) return i;
    }
    return 0;
}

/* Zero means default in the library and none to a person. */
static double or_none(double value) {
    return value == 0 ? -1 : value;
}

static double default_rate(const fal_train_choice *c) {
    if (!c->model) return 1e-3;
    return c->lora_rank > 0 ? 1e-4 : 1e-5;
}

fal_status fal_train_choice_options(const fal_train_choice *c, fal_train_options *out,
                                    fal_error *err) {
    *out = (fal_train_options){
        .directory = c->out,
        .resumes = c->resume,
        .forces_settings = c->force,
        .micro_batch = c->micro_batch,
        .recompute = (fal_recompute)index_of(recompute_choice, c->recompute),
        .learning_rate = c->learning_rate > 0 ? c->learning_rate : default_rate(c),
        .schedule = (fal_schedule_kind)index_of(fal_schedule_name, c->schedule),
        .warm_up = or_none(c->warm_up),
        .floor = or_none(c->floor),
        .weight_decay = c->weight_decay,
        .beta1 = or_none(c->beta1),
        .beta2 = or_none(c->beta2),
        .epsilon = c->epsilon,
        .clip = or_none(c->clip),
        .z_loss = c->z_loss,
        .checkpoint_every = c->checkpoint_every,
        .keep = c->keep,
        .validate_every = c->validate_every};
    if (c->lora_rank > 0 && !c->model)
        return fal_fail(err, FAL_E_ARGUMENT, "train: --lora-rank needs a --model to adapt");
    const char *of_lora = c->lora_alpha > 0    ? "alpha"
                          : c->lora_norms      ? "norms"
                          : c->lora_embeddings ? "embeddings"
                                               : NULL;
    if (c->lora_rank == 0 && of_lora)
        return fal_fail(err, FAL_E_ARGUMENT, "train: --lora-%s needs --lora-rank of at least 1",
                        of_lora);
    if (c->force && !c->resume)
        return fal_fail(err, FAL_E_ARGUMENT, "train: --force is for --resume");
    return FAL_OK;
}

fal_status fal_train_choice_batch(const fal_train_choice *c, int sequence_length, int *n_sequences,
                                  int64_t *n_tokens, fal_error *err) {
    double sequences = c->batch_tokens / sequence_length;
    *n_sequences = c->batch_sequences > 0 ? c->batch_sequences : DEFAULT_SEQUENCES;
    *n_tokens = (int64_t)c->total_tokens;
    if (c->batch_tokens > 0) {
        if (sequences != floor(sequences) || sequences > 1 << 20)
            return fal_fail(
                err, FAL_E_ARGUMENT,
                "train: --batch-tokens %.0f: not a multiple of %d, the sequence length, "
                "up to %d times",
                c->batch_tokens, sequence_length, 1 << 20);
        if (c->batch_sequences > 0 && c->batch_sequences != (int)sequences)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "train: --batch-sequences %d and --batch-tokens %.0f, which is %d "
                            "sequences of %d: say one of them",
                            c->batch_sequences, c->batch_tokens, (int)sequences, sequence_length);
        *n_sequences = (int)sequences;
    }
    if (c->micro_batch > *n_sequences)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "train: --micro-batch %d: more than the %d sequences of a step",
                        c->micro_batch, *n_sequences);
    if (c->total_tokens == floor(c->total_tokens)) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT, "train: --total-tokens %g: not a whole number",
                    c->total_tokens);
}

fal_trainable_options fal_train_choice_trainable(const fal_train_choice *c) {
    return (fal_trainable_options){
        .seed = c->seed,
        .lora = {.rank = c->lora_rank,
                 .alpha = c->lora_alpha,
                 .with_norms = c->lora_norms,
                 .with_embeddings = c->lora_embeddings}
    };
}
