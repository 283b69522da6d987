/* A set with made-up measurements, as large as a real one. */
#ifndef FAL_TESTS_FIXED_SET_H
#define FAL_TESTS_FIXED_SET_H

#include "base/alloc.h"
#include "check.h"
#include "publish/set.h"

#include <stdio.h>

static inline char *fixed_copy(const char *text) {
    char *copy = fal_copy_string(text, strlen(text));
    assert_non_null(copy);
    return copy;
}

static inline void fixed_file(fal_set_file *file, const char *mix, uint64_t bytes,
                              double divergence, int n_k, int n_fallback) {
    char name[64];
    *file = (fal_set_file){.mix = fal_mix_by_name(mix), .bytes = bytes};
    assert_non_null(file->mix);
    snprintf(name, sizeof name, "tiny-7b.%s.gguf", mix);
    file->name = fixed_copy(name);
    for (size_t i = 0; i + 1 < FAL_SHA256_HEX; i++)
        file->sha256[i] = (char)('0' + bytes / 100000000 % 10);
    file->plan = (fal_plan_summary){.bytes = bytes - 1000000,
                                    .wanted_bytes = bytes - 600000000,
                                    .n_parameters = 7217189760,
                                    .n_matrix_parameters = 7216885760,
                                    .n_k_parameters = n_k * INT64_C(82591744),
                                    .n_matrices = 130,
                                    .n_k_tensors = n_k,
                                    .n_fallback_tensors = n_fallback};
    file->measured = (fal_measured){.is_there = true,
                                    .perplexity = 6.5 + divergence,
                                    .perplexity_error = 0.0412,
                                    .divergence = divergence,
                                    .divergence_error = divergence / 50,
                                    .divergence_99 = 7 * divergence,
                                    .divergence_max = 90 * divergence,
                                    .agreement = 1 - divergence,
                                    .agreement_error = 0.001};
    file->cost = (fal_cost){.is_there = true,
                            .prompt_speed = 31.25,
                            .answer_speed = 8.5,
                            .peak_bytes = bytes + 400000000};
}

/* Q8_0, Q4_K_M and Q4_0 of a model whose widths forbid most K-quants; released with fal_set_release. */
static inline fal_set fixed_set(void) {
    fal_set set = {
        .name = fixed_copy("tiny-7b"),
        .architecture = "falcon",
        .n_parameters = 7217189760,
        .n_context = 2048,
        .cache_bytes_per_token = 8192,
        .working_bytes = 300000000,
        .chat_format = "falcon-instruct",
        .chat_example = fixed_copy("{system prompt}\n\nUser: {question}\n\nAssistant:"),
        .measuring = {.text_name = fixed_copy("wiki.test.raw"),
                      .text_sha256 = "ab",
                      .reference_type = "bf16",
                      .kernel_set = "avx2",
                      .reference_perplexity = 6.4938,
                      .reference_perplexity_error = 0.0411,
                      .n_scored = 145152,
                      .n_window = 512,
                      .n_threads = 2,
                      .n_prompt = 512,
                      .n_answer = 32},
        .files = fal_alloc(3, sizeof(fal_set_file)),
        .n_files = 3
    };
    assert_non_null(set.files);
    fixed_file(&set.files[0], "Q8_0", 7700000000, 0.0011, 0, 0);
    fixed_file(&set.files[1], "Q4_K_M", 4980000000, 0.0213, 32, 98);
    fixed_file(&set.files[2], "Q4_0", 4100000000, 0.0487, 0, 0);
    return set;
}

#endif
