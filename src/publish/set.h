/* A published set: one model in several mixes, with what is known about each file. Filled by publish.c, read by the card,
 * the plot and the list of measurements. */
#ifndef FAL_PUBLISH_SET_H
#define FAL_PUBLISH_SET_H

#include "base/digest.h"
#include "base/string_builder.h"
#include "convert/type_plan.h"

/* What was measured of one file against the reference. */
typedef struct fal_measured {
    bool is_there;
    double perplexity, perplexity_error;
    double divergence, divergence_error, divergence_99, divergence_max; /* nats per token */
    double agreement, agreement_error;                                  /* share, 0 to 1 */
} fal_measured;

/* What using one file took. */
typedef struct fal_cost {
    bool is_there;
    double prompt_speed, answer_speed; /* tokens per second */
    uint64_t
        peak_bytes; /* most memory of a process with the model's whole context in use; 0: not measured */
} fal_cost;

typedef struct fal_set_file {
    const fal_mix *mix;
    char *name;     /* "alfred-40b-1023.Q4_K_M.gguf", owned */
    uint64_t bytes; /* of the file */
    fal_plan_summary plan;
    char sha256[FAL_SHA256_HEX]; /* "": not known yet */
    bool was_kept;               /* found finished, not made anew */
    fal_measured measured;
    fal_cost cost;
} fal_set_file;

/* How measurements were made; part of what makes two comparable. */
typedef struct fal_measuring {
    char *text_name; /* owned; NULL: nothing was measured */
    char text_sha256[FAL_SHA256_HEX];
    char reference_type[16]; /* "bf16" */
    char kernel_set[32];     /* "x86_avx2" */
    double reference_perplexity, reference_perplexity_error;
    int64_t n_scored; /* tokens that quality was measured on */
    int n_window;     /* tokens of a window */
    int n_windows;    /* most windows; 0: all of the text */
    int n_threads, n_prompt, n_answer;
} fal_measuring;

/* Zero-initialise; release accepts zero. Strings are owned. */
typedef struct fal_set {
    char *name;
    char architecture[32];
    fal_recipe recipe;
    int64_t n_parameters;
    int n_context;
    uint64_t cache_bytes_per_token, working_bytes; /* of a session with default options */
    char *calibration_name; /* the text of the importance matrix; NULL: none */
    char chat_format[32];   /* "alfred"; "plain": none */
    char *chat_example;     /* a prompt in that format; NULL: none */
    fal_measuring measuring;
    fal_set_file *files; /* [n_files] */
    size_t n_files;
} fal_set;

void fal_set_release(fal_set *set);

/* Bits for each weight of the file's data. */
double fal_set_bits_per_weight(const fal_set_file *file);

/* Memory that a program takes with a session over n_context tokens: what was measured at the whole context, less the cache
 * that fewer tokens spare. Where nothing was measured, or less than weights and cache, because the machine was too small
 * to hold them: weights, cache and working memory added up. */
uint64_t fal_set_memory(const fal_set *set, const fal_set_file *file, int n_context);

/* The most that any file takes beside weights and cache. */
uint64_t fal_set_working_bytes(const fal_set *set);

/* The file of best quality that fits into `bytes` at n_context tokens: by divergence where all are measured, else by size.
 * NULL: none fits. */
const fal_set_file *fal_set_best_fit(const fal_set *set, uint64_t bytes, int n_context);

/* True if the mix is made of K-quants. */
bool fal_mix_is_k(const fal_mix *mix);

/* Appends all numbers as JSON, the text of measurements.json. */
fal_status fal_set_to_json(fal_string_builder *out, const fal_set *set, fal_error *err);

/* Takes measurements over from an earlier measurements.json at path, for files with the same SHA-256 measured in the same
 * way. A file that is not there, or says something else, gives nothing. Returns how many have all their numbers. */
int fal_set_take_measured(fal_set *set, const char *path);

/* Appends the TSV that the plot is made from: type, size in GB, bits per weight, perplexity, divergence, agreement. */
void fal_set_to_tsv(fal_string_builder *out, const fal_set *set);

#endif
