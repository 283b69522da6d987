/* Body of train_report.h. */
#include "cli/train_report.h"

#include "base/cpu.h"
#include "cli/json_output.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- memory ---- */

fal_status fal_train_budget_make(fal_train_budget *out, const fal_train_start *start,
                                 const fal_train_data *data, const fal_train_options *options,
                                 fal_device *device, fal_error *err) {
    fal_trainable_options how = fal_train_choice_trainable(start->choice);
    uint64_t held = fal_held_memory();
    how.device = device;
    *out = (fal_train_budget){.data = fal_train_data_bytes(data)};
    FAL_TRY(fal_train_plan_memory(start->arch, &start->params, &how, options, data->sequence_length,
                                  &out->run, err));
    out->program = held > out->data ? held - out->data : 0;
    uint64_t computed_with = out->run.model + out->run.moments + out->run.activations;
    out->total = out->program + out->data + out->run.batches;
    if (fal_device_has_memory(device))
        out->device = computed_with;
    else
        out->total += computed_with;
    return FAL_OK;
}

static int64_t count_parameters(const fal_train_start *s) {
    fal_weight_walk walk = {s->arch->weights, s->arch->n_weights, &s->params, 0, 0};
    const fal_weight_spec *spec;
    int64_t sum = 0;
    int layer;
    while ((spec = fal_weight_next(&walk, &layer))) {
        int64_t n_rows, n_cols;
        if (spec->id == FAL_WEIGHT_OUTPUT && s->params.has_tied_head) continue;
        fal_weight_shape(spec->id, &s->params, &n_rows, &n_cols);
        sum += n_rows * n_cols;
    }
    return sum;
}

fal_status fal_train_check_memory(const fal_train_start *start, int sequence_length,
                                  const fal_train_options *options, fal_device *device,
                                  fal_error *err) {
    fal_trainable_options how = fal_train_choice_trainable(start->choice);
    uint64_t available = fal_available_memory();
    fal_train_memory run;
    char needed[32], is_free[32], parameters[32];
    how.device = device;
    FAL_TRY(fal_train_plan_memory(start->arch, &start->params, &how, options, sequence_length, &run,
                                  err));
    uint64_t bytes = run.batches;
    if (!fal_device_has_memory(device)) bytes += run.model + run.moments + run.activations;
    if (available == 0 || bytes <= available) return FAL_OK;
    fal_format_bytes(needed, sizeof needed, (double)bytes);
    fal_format_bytes(is_free, sizeof is_free, (double)available);
    fal_format_count(parameters, sizeof parameters, (double)count_parameters(start));
    return fal_fail(err, FAL_E_MEMORY,
                    "train: %s of memory needed, %s free: the model has %s parameters, "
                    "--sequence-length is %d, --micro-batch %d; --plan tells more",
                    needed, is_free, parameters, sequence_length,
                    options->micro_batch > 0 ? options->micro_batch : 1);
}

/* ---- the plan for people ---- */

static void print_drops(FILE *stream, const fal_source_report *r) {
    for (int i = 0; i < r->n_reasons; i++)
        fprintf(stream, "    dropped %lld: %s (first: line %lld)\n", (long long)r->dropped[i].count,
                r->dropped[i].reason, (long long)r->dropped[i].first_record);
}

static void print_source(FILE *stream, const fal_train_data *d, int index) {
    const fal_train_source *s = &d->sources[index];
    bool is_trained = index < d->n_training;
    const fal_plan *plan = is_trained ? d->plan : d->validation;
    const fal_plan_share share = fal_plan_source_share(plan, index);
    int64_t n_loss = 0;
    for (int part = FAL_LOSS_NONE + 1; part < FAL_LOSS_PART_COUNT; part++)
        n_loss += s->report.n_loss_tokens[part];
    char tokens[32];
    fal_format_count(tokens, sizeof tokens, (double)s->report.n_tokens);
    fprintf(stream, "%s%s: %s, %lld document%s of %lld record%s, %s tokens, %.0f%% in the loss",
            is_trained ? "" : "validation ", s->options.path,
            s->report.reader ? s->report.reader : "", (long long)s->report.n_kept,
            s->report.n_kept == 1 ? "" : "s", (long long)s->report.n_records,
            s->report.n_records == 1 ? "" : "s", tokens,
            s->report.n_tokens > 0 ? 100.0 * (double)n_loss / (double)s->report.n_tokens : 0.0);
    if (is_trained)
        fprintf(stream, "; %s, %.1f%% of the training, %.2f epochs", s->group, 100 * share.share,
                share.epochs);
    fputc('\n', stream);
    print_drops(stream, &s->report);
    if (is_trained && share.epochs > 4)
        fprintf(stream, "    warning: repeated %.1f times\n", share.epochs);
    if (s->report.n_kept == 0) fprintf(stream, "    warning: nothing of it is left\n");
}

static void print_memory(FILE *stream, const fal_train_budget *b) {
    const struct {
        const char *what;
        uint64_t bytes;
    } rows[] = {
        {"weights and gradients", b->run.model                       },
        {"moments",               b->run.moments                     },
        {"activations",           b->run.activations + b->run.batches},
        {"data",                  b->data                            },
        {"program",               b->program                         },
        {"all, of the process",   b->total                           },
        {"all, of the device",    b->device                          },
    };

    size_t n_rows = sizeof rows / sizeof rows[0] - (b->device > 0 ? 0 : 1);
    char bytes[32], needed[32], is_free[32];
    for (size_t i = 0; i < n_rows; i++) {
        fal_format_bytes(bytes, sizeof bytes, (double)rows[i].bytes);
        fprintf(stream, "memory  %-22s %10s\n", rows[i].what, bytes);
    }
    uint64_t available = fal_available_memory();
    fal_format_bytes(needed, sizeof needed, (double)b->total);
    fal_format_bytes(is_free, sizeof is_free, (double)available);
    if (available > 0 && b->total > available)
        fprintf(stream, "warning: %s are needed, %s are free\n", needed, is_free);
}

void fal_train_print_plan(FILE *stream, const fal_train_start *start, const fal_train_data *d,
                          const fal_train_budget *budget) {
    const fal_params *p = &start->params;
    char parameters[32], tokens[32];
    for (int i = 0; i < d->n_sources; i++)
        print_source(stream, d, i);
    fal_format_count(parameters, sizeof parameters, (double)count_parameters(start));
    fal_format_count(tokens, sizeof tokens, (double)fal_plan_n_tokens(d->plan));
    fprintf(stream, "model   %s, %s parameters, context %d", start->arch->name, parameters,
            p->n_context);
    if (fal_params_has(p, FAL_FEATURE_ROPE) && p->rope.factor != 1)
        fprintf(stream, " (%s, %g times %d)", p->rope.method->name, p->rope.factor,
                p->rope.trained_context);
    fprintf(stream, "\nsteps   %lld of %d sequences of %d tokens, %s tokens, %.1f%% padding\n",
            (long long)fal_plan_n_steps(d->plan), d->n_sequences, d->sequence_length, tokens,
            100 * fal_plan_padding(d->plan));
    print_memory(stream, budget);
}

/* ---- the plan for programs ---- */

static json_t *source_json(const fal_train_data *d, int index) {
    const fal_train_source *s = &d->sources[index];
    bool is_trained = index < d->n_training;
    const fal_plan_share share = fal_plan_source_share(is_trained ? d->plan : d->validation, index);
    static const char *const part_names[FAL_LOSS_PART_COUNT] = {
        [FAL_LOSS_ANSWER] = "answer_tokens",
        [FAL_LOSS_PROMPT] = "prompt_tokens",
        [FAL_LOSS_TEXT] = "text_tokens",
    };
    json_t *o = json_object(), *dropped = json_object();
    json_object_set_new(o, "path", fal_json_text(s->options.path, strlen(s->options.path)));
    if (s->report.reader) json_object_set_new(o, "reader", json_string(s->report.reader));
    json_object_set_new(o, "group", fal_json_text(s->group, strlen(s->group)));
    json_object_set_new(o, "validation", json_boolean(!is_trained));
    json_object_set_new(o, "records", json_integer(s->report.n_records));
    json_object_set_new(o, "kept", json_integer(s->report.n_kept));
    for (int i = 0; i < s->report.n_reasons; i++)
        json_object_set_new(dropped, s->report.dropped[i].reason,
                            json_integer(s->report.dropped[i].count));
    json_object_set_new(o, "dropped", dropped);
    json_object_set_new(o, "tokens", json_integer(s->report.n_tokens));
    for (int part = 0; part < FAL_LOSS_PART_COUNT; part++) {
        if (part_names[part])
            json_object_set_new(o, part_names[part], json_integer(s->report.n_loss_tokens[part]));
    }
    json_object_set_new(o, "share", fal_json_number(is_trained ? share.share : 0));
    json_object_set_new(o, "epochs", fal_json_number(is_trained ? share.epochs : 0));
    return o;
}

static json_t *memory_json(const fal_train_budget *b) {
    json_t *o = json_object();
    json_object_set_new(o, "model", json_integer((json_int_t)b->run.model));
    json_object_set_new(o, "moments", json_integer((json_int_t)b->run.moments));
    json_object_set_new(o, "activations", json_integer((json_int_t)b->run.activations));
    json_object_set_new(o, "batches", json_integer((json_int_t)b->run.batches));
    json_object_set_new(o, "data", json_integer((json_int_t)b->data));
    json_object_set_new(o, "program", json_integer((json_int_t)b->program));
    json_object_set_new(o, "total", json_integer((json_int_t)b->total));
    json_object_set_new(o, "of_device", json_integer((json_int_t)b->device));
    return o;
}

json_t *fal_train_plan_json(const fal_train_start *start, const fal_train_data *d,
                            const fal_train_budget *budget) {
    json_t *o = json_object(), *sources = json_array();
    for (int i = 0; i < d->n_sources; i++)
        json_array_append_new(sources, source_json(d, i));
    json_object_set_new(o, "sources", sources);
    json_object_set_new(o, "architecture", json_string(start->arch->name));
    json_object_set_new(o, "parameters", json_integer(count_parameters(start)));
    json_object_set_new(o, "context", json_integer(start->params.n_context));
    json_object_set_new(o, "steps", json_integer(fal_plan_n_steps(d->plan)));
    json_object_set_new(o, "tokens", json_integer(fal_plan_n_tokens(d->plan)));
    json_object_set_new(o, "sequence_length", json_integer(d->sequence_length));
    json_object_set_new(o, "batch_sequences", json_integer(d->n_sequences));
    json_object_set_new(o, "padding", fal_json_number(fal_plan_padding(d->plan)));
    json_object_set_new(o, "memory", memory_json(budget));
    return o;
}

/* ---- steps ---- */

static const double SILENCE = 30; /* seconds, at most, where nobody sees a bar */

static void print_step(const fal_train_step *s) {
    char left[32], validation[48] = "";
    fal_format_duration(left, sizeof left, s->seconds_left);
    if (!isnan(s->validation_loss))
        snprintf(validation, sizeof validation, ", validation %.4f", s->validation_loss);
    fal_terminal_notice("step %lld of %lld: loss %.4f%s, %.0f tokens/s, %s left%s",
                        (long long)s->step, (long long)s->n_steps, s->loss, validation,
                        s->tokens_per_second, left, s->is_saved ? "; saved" : "");
}

void fal_train_display_step(fal_train_display *d, const fal_train_step *s) {
    if (d->is_quiet) return;
    if (!d->bar.what) {
        d->told = fal_seconds();
        d->bar = fal_progress_open(d->what, "tokens");
        d->bar.n_before = (uint64_t)s->n_tokens;
    }
    double now = fal_seconds();
    bool is_due = !fal_terminal_is(stderr) && now - d->told >= SILENCE;
    if (s->is_saved || !isnan(s->validation_loss) || is_due) {
        fal_progress_clear(&d->bar);
        print_step(s);
        d->told = now;
    }
    snprintf(d->what, sizeof d->what, "step %lld of %lld, loss %.4f", (long long)s->step,
             (long long)s->n_steps, s->loss);
    fal_progress_show(&d->bar, (uint64_t)s->n_tokens, (uint64_t)s->total_tokens);
}

/* ---- the result ---- */

json_t *fal_train_result_json(const fal_train_result *r, const fal_train_budget *budget,
                              double seconds) {
    json_t *o = json_object();
    json_object_set_new(o, "steps", json_integer(r->n_steps));
    json_object_set_new(o, "first_step", json_integer(r->first_step));
    json_object_set_new(o, "tokens", json_integer(r->n_tokens));
    json_object_set_new(o, "loss", fal_json_number(r->loss));
    json_object_set_new(o, "validation_loss", fal_json_number(r->validation_loss));
    json_object_set_new(o, "seconds", fal_json_number(seconds));
    json_object_set_new(o, "planned_device_memory", json_integer((json_int_t)budget->device));
    json_object_set_new(o, "planned_memory", json_integer((json_int_t)budget->total));
    json_object_set_new(o, "peak_memory", json_integer((json_int_t)fal_peak_memory()));
    json_object_set_new(o, "curves", json_boolean(r->has_curves));
    return o;
}
