/* What train tells: the data and what becomes of them, the memory, the steps, the result. For people on standard error or
 * as a table, for programs as one JSON object. */
#ifndef FAL_CLI_TRAIN_REPORT_H
#define FAL_CLI_TRAIN_REPORT_H

#include "cli/terminal.h"
#include "cli/train_data.h"
#include "cli/train_start.h"

#include <jansson.h>

/* Memory of a run, in bytes. What a device has in memory of its own is no part of the process's. */
typedef struct fal_train_budget {
    fal_train_memory run;
    uint64_t data;    /* documents */
    uint64_t program; /* what the process holds besides */
    uint64_t total;   /* of the process */
    uint64_t
        device; /* of memory of the device: model, moments, activations; 0: it has none, they are in total */
} fal_train_budget;

/* Call when the data are read and the device is open, and the model is not. Fails: as fal_train_plan_memory. */
fal_status fal_train_budget_make(fal_train_budget *out, const fal_train_start *start,
                                 const fal_train_data *data, const fal_train_options *options,
                                 fal_device *device, fal_error *err);

/* Whether the memory that a run of sequences of sequence_length tokens will take is free. Call before the model is opened.
 * Fails: MEMORY (it is not: with the numbers, and the options that they come from), and as fal_train_plan_memory. */
fal_status fal_train_check_memory(const fal_train_start *start, int sequence_length,
                                  const fal_train_options *options, fal_device *device,
                                  fal_error *err);

/* The plan as a table on stream. */
void fal_train_print_plan(FILE *stream, const fal_train_start *start, const fal_train_data *data,
                          const fal_train_budget *budget);

/* The plan as a JSON object, owned by the caller. */
json_t *fal_train_plan_json(const fal_train_start *start, const fal_train_data *data,
                            const fal_train_budget *budget);

/* Shows steps as they are done: a bar on a terminal, and a line for each checkpoint and validation; without a terminal,
 * a line at least each half minute. */
typedef struct fal_train_display {
    fal_progress bar;
    char what[96]; /* in front of the bar */
    double told;   /* when a line was written last */
    bool is_quiet;
} fal_train_display;

/* Shows one step. Zero-initialise d but for is_quiet. */
void fal_train_display_step(fal_train_display *d, const fal_train_step *step);

/* The result as a JSON object, owned by the caller. */
json_t *fal_train_result_json(const fal_train_result *result, const fal_train_budget *budget,
                              double seconds);

#endif
