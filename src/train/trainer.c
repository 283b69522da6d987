/* Body of train.h: the loop. A step's gradient is gradient.c's, what is written down journal.c's, what is saved
 * training_checkpoint.c's. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/folder.h"
#include "train/gradient.h"
#include "train/journal.h"
#include "train/run_settings.h"
#include "train/train.h"

#include <math.h>

typedef struct run {
    const fal_train_subject *subject;
    fal_train_options options;
    fal_schedule schedule;
    fal_optimizer *optimizer;
    fal_gradient *gradient;
    fal_journal *journal; /* NULL: nothing is written */
    fal_progress_of_run at;
    int64_t n_steps, first_step, first_tokens;
    int64_t saved_step; /* of the newest checkpoint; -1: none */
    double started;
    double loss, validation_loss;
    bool has_curves;
} run;

/* ---- opening ---- */

static void set_schedule(run *r) {
    const fal_train_options *o = &r->options;
    int64_t total = fal_plan_n_tokens(r->subject->plan);
    r->schedule = (fal_schedule){.kind = o->schedule,
                                 .peak = o->learning_rate,
                                 .floor = o->floor,
                                 .warm_up_tokens = (int64_t)(o->warm_up * (double)total),
                                 .total_tokens = total};
}

fal_status fal_train_check_directory(const fal_train_options *options, fal_error *err) {
    int64_t step;
    if (!options->directory || options->resumes) return FAL_OK;
    FAL_TRY(fal_training_checkpoint_find(options->directory, &step, err));
    if (step < 0) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT,
                    "'%s' has a run of %lld steps: resume it, or choose another folder",
                    options->directory, (long long)step);
}

/* Goes on from the newest checkpoint, or begins at step 0 in a folder that has none. */
static fal_status find_beginning(run *r, fal_error *err) {
    const fal_train_options *o = &r->options;
    fal_progress_of_run then;
    FAL_TRY(fal_train_check_directory(o, err));
    FAL_TRY(fal_training_checkpoint_find(o->directory, &r->saved_step, err));
    if (r->saved_step < 0) return FAL_OK;
    FAL_TRY(fal_training_checkpoint_look(o->directory, r->saved_step, &then, err));
    fal_status status = o->forces_settings ? fal_run_settings_compare_model(&r->at, &then, err)
                                           : fal_run_settings_compare(&r->at, &then, err);
    if (status != FAL_OK)
        return fal_add_context(err, status, "%s/step-%lld", o->directory, (long long)r->saved_step);
    FAL_TRY(fal_training_checkpoint_read(o->directory, r->saved_step, r->subject->model,
                                         r->optimizer, &then, err));
    r->at.step = then.step;
    r->at.n_tokens = then.n_tokens;
    return FAL_OK;
}

static fal_status open_directory(run *r, fal_error *err) {
    if (!r->options.directory) return FAL_OK;
    FAL_TRY(fal_folder_make(r->options.directory, err));
    FAL_TRY(find_beginning(r, err));
    FAL_TRY(fal_training_checkpoint_keep(r->options.directory, r->options.keep, err));
    return fal_journal_open(&r->journal, r->options.directory, r->at.step, err);
}

static fal_status open_run(run *r, fal_error *err) {
    const fal_train_subject *s = r->subject;
    FAL_TRY(fal_run_defaults(&r->options, err));
    const fal_train_options *o = &r->options;
    const fal_optimizer_options how = {.beta1 = o->beta1,
                                       .beta2 = o->beta2,
                                       .epsilon = o->epsilon,
                                       .weight_decay = o->weight_decay};
    set_schedule(r);
    fal_run_settings_list(s, o, r->schedule.total_tokens, &r->at);
    FAL_TRY(fal_optimizer_open(&r->optimizer, s->model, s->device, &how, err));
    FAL_TRY(open_directory(r, err));
    FAL_TRY(fal_gradient_open(&r->gradient, s, r->optimizer, o, err));
    r->first_step = r->at.step + 1;
    r->first_tokens = r->at.n_tokens;
    r->n_steps = fal_plan_n_steps(s->plan);
    r->started = fal_seconds();
    return FAL_OK;
}

static void close_run(run *r) {
    fal_gradient_close(r->gradient);
    fal_journal_close(r->journal);
    fal_optimizer_close(r->optimizer);
}

/* ---- a step ---- */

static bool is_due(int every, int64_t step) {
    return every > 0 && step % every == 0;
}

static bool is_checkpoint_due(const run *r) {
    return is_due(r->options.checkpoint_every, r->at.step) || r->at.step == r->n_steps;
}

static bool is_validation_due(const run *r) {
    if (!r->subject->validation) return false;
    if (r->options.validate_every == 0) return is_checkpoint_due(r);
    return is_due(r->options.validate_every, r->at.step) || r->at.step == r->n_steps;
}

/* A whole checkpoint behind a log that reaches it. */
static fal_status save(run *r, fal_error *err) {
    const char *directory = r->options.directory;
    if (!directory || r->saved_step == r->at.step) return FAL_OK;
    FAL_TRY(fal_journal_sync(r->journal, err));
    FAL_TRY(fal_training_checkpoint_write(directory, r->subject->model, r->optimizer, &r->at, err));
    r->saved_step = r->at.step;
    return fal_training_checkpoint_keep(directory, r->options.keep, err);
}

/* Gradient, clipping, update. Nothing changes where no token has a weight. */
static fal_status compute_step(run *r, fal_train_step *step, fal_error *err) {
    const fal_train_options *o = &r->options;
    fal_loss_sum sum;
    FAL_TRY(fal_gradient_compute(r->gradient, step->step, &sum, &step->gradient_norm, err));
    step->n_tokens = r->at.n_tokens + sum.n_tokens;
    step->loss = fal_loss_sum_total(&sum);
    for (int part = 0; part < FAL_LOSS_PART_COUNT; part++)
        step->part_losses[part] = fal_loss_sum_part(&sum, (fal_loss_part)part);
    step->learning_rate = fal_schedule_rate(&r->schedule, step->n_tokens);
    step->clip = o->clip > 0 && step->gradient_norm > o->clip ? o->clip / step->gradient_norm : 1;
    if (isnan(step->loss)) return FAL_OK;
    return fal_optimizer_update(r->optimizer, step->learning_rate, step->clip, step->step, err);
}

static void measure_pace(const run *r, double begun, fal_train_step *step) {
    double now = fal_seconds(), elapsed = now - r->started;
    step->seconds = now - begun;
    step->memory = fal_peak_memory();
    if (elapsed <= 0) return;
    step->tokens_per_second = (double)(step->n_tokens - r->first_tokens) / elapsed;
    if (step->tokens_per_second > 0)
        step->seconds_left =
            (double)(step->total_tokens - step->n_tokens) / step->tokens_per_second;
}

static fal_status take_step(run *r, fal_train_step *step, fal_error *err) {
    double begun = fal_seconds();
    FAL_TRY(compute_step(r, step, err));
    r->at.step = step->step;
    r->at.n_tokens = step->n_tokens;
    if (!isnan(step->loss)) r->loss = step->loss;
    if (is_validation_due(r)) {
        FAL_TRY(fal_gradient_validate(r->gradient, &step->validation_loss, err));
        r->validation_loss = step->validation_loss;
    }
    measure_pace(r, begun, step);
    return FAL_OK;
}

/* The log first: what is saved is then in it whenever the process is killed. */
static fal_status record_step(run *r, fal_train_step *step, fal_error *err) {
    if (!r->journal) return FAL_OK;
    FAL_TRY(fal_journal_add(r->journal, step, err));
    if (is_checkpoint_due(r)) FAL_TRY(save(r, err));
    step->is_saved = r->saved_step == step->step;
    r->has_curves = fal_journal_draw(r->journal, false);
    return FAL_OK;
}

static fal_status stop(run *r, fal_error *err) {
    FAL_TRY(save(r, err));
    return fal_fail(err, FAL_E_CANCELLED, "stopped after step %lld of %lld", (long long)r->at.step,
                    (long long)r->n_steps);
}

static fal_status run_steps(run *r, fal_error *err) {
    const fal_train_options *o = &r->options;
    for (int64_t i = r->first_step; i <= r->n_steps; i++) {
        fal_train_step step = {.step = i,
                               .n_steps = r->n_steps,
                               .total_tokens = r->schedule.total_tokens,
                               .validation_loss = (double)NAN};
        fal_status status = take_step(r, &step, err);
        if (status != FAL_OK) return fal_add_context(err, status, "step %lld", (long long)i);
        FAL_TRY(record_step(r, &step, err));
        if (o->on_step && !o->on_step(o->user, &step) && i < r->n_steps) return stop(r, err);
    }
    return save(r, err);
}

fal_status fal_train(const fal_train_subject *subject, const fal_train_options *options,
                     fal_train_result *result, fal_error *err) {
    run r = {.subject = subject,
             .options = *options,
             .saved_step = -1,
             .loss = (double)NAN,
             .validation_loss = (double)NAN};
    fal_status status = open_run(&r, err);
    if (status == FAL_OK) {
        status = run_steps(&r, err);
        if (r.journal) r.has_curves = fal_journal_draw(r.journal, true);
    }
    if (result)
        *result = (fal_train_result){.first_step = r.first_step,
                                     .n_steps = r.at.step,
                                     .n_tokens = r.at.n_tokens,
                                     .loss = r.loss,
                                     .validation_loss = r.validation_loss,
                                     .has_curves = r.has_curves};
    close_run(&r);
    return status;
}

/* ---- memory ---- */

fal_status fal_train_plan_memory(const fal_arch *arch, const fal_params *params,
                                 const fal_trainable_options *trainable_options,
                                 const fal_train_options *options, int sequence_length,
                                 fal_train_memory *out, fal_error *err) {
    fal_train_options o = *options;
    FAL_TRY(fal_run_defaults(&o, err));
    int64_t n_tokens = (int64_t)sequence_length * o.micro_batch;
    const fal_training_pass_options pass = {
        .max_tokens = n_tokens, .recompute = o.recompute, .z_loss = o.z_loss};
    *out = (fal_train_memory){.model = fal_trainable_bytes(arch, params, trainable_options),
                              .moments = fal_optimizer_bytes(arch, params, trainable_options),
                              .batches = fal_gradient_batch_bytes(n_tokens)};
    return fal_training_pass_bytes(arch, params, trainable_options, &pass, &out->activations, err);
}
