/* Golden folders on disk: which there are, what they expect, and a scratch folder for what is converted from them.
 * Everything fails the running test by itself; what is compared is the tests' own matter. */
#ifndef FAL_TESTS_GOLDEN_FILES_H
#define FAL_TESTS_GOLDEN_FILES_H

#include "check.h"

#include <jansson.h>
#include <stdbool.h>

enum {
    GOLDEN_PATH_SIZE = 1024,
    GOLDEN_MAX_FOLDERS = 64,
    GOLDEN_MAX_TOKENS = 512,
    GOLDEN_MAX_VOCAB = 1024
};

/* One checkpoint, or one variant of it: `variant` holds another config.json for the files in `folder`. */
typedef struct golden_model {
    char name[128]; /* "falcon-7b-like/variant-context-64" */
    char folder[GOLDEN_PATH_SIZE];
    char variant[GOLDEN_PATH_SIZE]; /* "" : none */
} golden_model;

/* What one prompt must give. */
typedef struct golden_result {
    const char *prompt; /* borrowed from the file */
    int32_t ids[GOLDEN_MAX_TOKENS];
    size_t n_ids;
    double last_logits[GOLDEN_MAX_VOCAB];
    size_t n_logits;
    double logprobs[GOLDEN_MAX_TOKENS]; /* of ids[1..]; n_logprobs may be 0: not told */
    size_t n_logprobs;
    double nll;
    int32_t greedy[GOLDEN_MAX_TOKENS];
    size_t n_greedy;
    int32_t feeds[GOLDEN_MAX_TOKENS]; /* tokens per feed; n_feeds 0: all at once */
    size_t n_feeds;
} golden_result;

/* The models below root in alphabetical order, variants behind their checkpoint. Returns how many; 0: no such root. */
size_t golden_find(const char *root, golden_model *models, size_t max_models);

/* The model's expected.json, a variant's own or its checkpoint's. Release with json_decref. */
json_t *golden_expected(const golden_model *model);
json_t *golden_json(const char *path);
void golden_result_read(golden_result *out, const json_t *item);

/* A new empty folder, and its removal with all in it. */
void golden_scratch_make(char path[GOLDEN_PATH_SIZE]);
void golden_scratch_remove(const char *path);

/* Writes the model as <scratch>/model.gguf; type as in fal_convert_options. */
void golden_convert(const golden_model *model, const char *type, const char *scratch,
                    char path[GOLDEN_PATH_SIZE]);

/* "<folder>/<name>". */
void golden_join(char path[GOLDEN_PATH_SIZE], const char *folder, const char *name);

#endif
