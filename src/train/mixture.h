/* The endless stream of passages that a plan is packed from: sources mixed by tokens, each in an order of its own that is
 * another one in each epoch. */
#ifndef FAL_TRAIN_MIXTURE_H
#define FAL_TRAIN_MIXTURE_H

#include "train/plan.h"

typedef struct fal_mixture fal_mixture;

/* What a source has, whole documents and all passages of them. */
typedef struct fal_mixture_source {
    int64_t n_documents, n_tokens;
} fal_mixture_source;

/* documents must outlive it; options are copied. Fails: as fal_plan_open. */
fal_status fal_mixture_open(fal_mixture **out, const fal_documents *documents,
                            const fal_plan_options *options, fal_error *err);
void fal_mixture_close(fal_mixture *m);

/* Takes the next passage. After each one every group has its share of all tokens taken, to the longest passage. */
fal_passage fal_mixture_next(fal_mixture *m);

fal_mixture_source fal_mixture_source_at(const fal_mixture *m, int source);
/* Tokens and passages of all sources that are trained on, each of them once. */
int64_t fal_mixture_n_tokens(const fal_mixture *m);
int64_t fal_mixture_n_passages(const fal_mixture *m);

#endif
