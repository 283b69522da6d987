/* Rows for fal_sampling. Defaults are each command's own. */
#include "cli/sampling_options.h"

#include "base/alloc.h"

#include <limits.h>
#include <math.h>

#define AT(member) offsetof(fal_sampling, member)

const fal_option fal_sampling_option_rows[] = {
    FAL_ROW_NUMBER("temperature", 0, AT(temperature), "T", 0, 100,
                   "flatness of the draw; 0: most probable token"),
    FAL_ROW_COUNT("top-k", 0, AT(top_k), "N", 0, INT_MAX,
                  "draw from the N most probable; 0: from all"),
    FAL_ROW_NUMBER("top-p", 0, AT(top_p), "P", 0, 1, "draw from the fewest that hold P; 0, 1: off"),
    FAL_ROW_NUMBER("min-p", 0, AT(min_p), "P", 0, 1, "drop those below P times the best; 0: off"),
    FAL_ROW_NUMBER("typical-p", 0, AT(typical_p), "P", 0, 1,
                   "draw from the most typical that hold P"),
    FAL_ROW_NUMBER("repetition-penalty", 0, AT(repetition_penalty), "X", 0, 100,
                   "weaken tokens seen, by a factor; 0, 1: off"),
    FAL_ROW_NUMBER("presence-penalty", 0, AT(presence_penalty), "X", -100, 100,
                   "weaken tokens seen, once"),
    FAL_ROW_NUMBER("frequency-penalty", 0, AT(frequency_penalty), "X", -100, 100,
                   "weaken tokens seen, each time"),
    FAL_ROW(SEED, "seed", 0, AT(seed), "N", "same seed, same text (a random one)"),
    {0}};

fal_status fal_stop_words_collect(const char ***out, const fal_chat_format *format,
                                  const fal_texts *asked_for, fal_error *err) {
    const char *const *own = format ? fal_chat_stop_words(format) : NULL;
    size_t n_own = 0, n = 0;
    while (own && own[n_own])
        n_own++;
    const char **words = fal_alloc(n_own + asked_for->count + 1, sizeof *words);
    if (!words) return fal_fail_memory(err, 0);
    for (size_t i = 0; i < n_own; i++)
        words[n++] = own[i];
    for (size_t i = 0; i < asked_for->count; i++)
        words[n++] = asked_for->items[i];
    *out = words;
    return FAL_OK;
}
