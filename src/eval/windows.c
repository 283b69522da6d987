/* The two ways of cutting a text: halves, as llama.cpp does, and a sliding window, as transformers describes.
 *
 * Source: ggml-org/llama.cpp, tools/perplexity/perplexity.cpp; huggingface/transformers, docs/source/en/perplexity.md. */
#include "eval/windows.h"

enum {
    LEAST_HALVED = 3, /* the shortest window whose second half holds a token to score */
    LEAST_SLID = 2
};

fal_status fal_windows_plan(fal_windows *out, size_t n_tokens, int n_context, int stride,
                            int n_most, fal_error *err) {
    int least = stride ? LEAST_SLID : LEAST_HALVED;
    if (n_context < least)
        return fal_fail(err, FAL_E_ARGUMENT, "windows of %d tokens, at least %d are needed",
                        n_context, least);
    if (stride < 0 || stride > n_context)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "stride %d, between 1 and the window's %d tokens is possible", stride,
                        n_context);
    if (n_most < 0)
        return fal_fail(err, FAL_E_ARGUMENT, "%d windows, at least 1 is needed (0: all)", n_most);
    size_t needed = stride ? LEAST_SLID : (size_t)n_context;
    if (n_tokens < needed)
        return fal_fail(err, FAL_E_LIMIT, "the text has %zu tokens, a window needs %zu", n_tokens,
                        needed);
    *out = (fal_windows){
        .n_tokens = n_tokens, .n_context = (size_t)n_context, .stride = (size_t)stride};
    size_t beyond = n_tokens > out->n_context ? n_tokens - out->n_context : 0;
    out->count = stride ? 1 + (beyond + out->stride - 1) / out->stride : n_tokens / out->n_context;
    if (n_most && out->count > (size_t)n_most) out->count = (size_t)n_most;
    return FAL_OK;
}

fal_window fal_windows_at(const fal_windows *w, size_t index) {
    fal_window v = {.begin = index * (w->stride ? w->stride : w->n_context)};
    v.end = v.begin + w->n_context < w->n_tokens ? v.begin + w->n_context : w->n_tokens;
    if (!w->stride) {
        v.first = v.begin + w->n_context / 2 + 1;
    } else if (index == 0) {
        v.first = 1;
    } else {
        v.first = v.begin - w->stride + w->n_context;
        if (v.first == v.begin) v.first++;
    }
    return v;
}
