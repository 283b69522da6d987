/* The options of commands that may write a Hugging Face folder, and the writing. */
#ifndef FAL_CLI_FOLDER_OPTIONS_H
#define FAL_CLI_FOLDER_OPTIONS_H

#include "cli/making.h"
#include "cli/options.h"
#include "convert/source.h"

typedef struct fal_folder_choice {
    const char *shard_size, *context_as;
} fal_folder_choice;

/* Rows that store into a fal_folder_choice. */
extern const fal_option fal_folder_option_rows[];

/* What is written, by the command's other options. */
typedef struct fal_folder_job {
    const char *type; /* NULL: the source's */
    int n_threads;
    bool replaces;
    fal_making *making; /* its bar is shown while tensors are written, and cleared */
} fal_folder_job;

/* Writes source as the folder at directory (fal_write_hf_folder). Ctrl-C cancels. */
fal_status fal_folder_choice_write(const fal_folder_choice *choice, const fal_folder_job *job,
                                   fal_source *source, const char *directory, fal_error *err);

#endif
