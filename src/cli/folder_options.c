/* Body of folder_options.h. */
#include "cli/folder_options.h"

#include "convert/to_hf.h"

#include <string.h>

#define AT(member) offsetof(fal_folder_choice, member)

static const char *context_choice(int index) {
    static const char *const forms[] = {"name", "numbers", NULL};
    return forms[index];
}

const fal_option fal_folder_option_rows[] = {
    FAL_ROW_CHOICE("context-as", 0, AT(context_as), "FORM", context_choice,
                   "context method by name or numbers (name)"),
    FAL_ROW(TEXT, "max-shard-size", 0, AT(shard_size), "SIZE",
            "tensors in one file, such as 500M (5G)"),
    {0}};

fal_status fal_folder_choice_write(const fal_folder_choice *choice, const fal_folder_job *job,
                                   fal_source *source, const char *directory, fal_error *err) {
    bool by_numbers = choice->context_as && strcmp(choice->context_as, "numbers") == 0;
    fal_to_hf_options options = {.type = job->type,
                                 .rope_form = by_numbers ? FAL_ROPE_BY_NUMBERS : FAL_ROPE_BY_NAME,
                                 .replaces = job->replaces,
                                 .n_threads = job->n_threads,
                                 .on_progress = fal_making_on_bytes,
                                 .user = job->making,
                                 .log = fal_making_log(job->making)};
    if (choice->shard_size)
        FAL_TRY(fal_size_read("--max-shard-size", choice->shard_size, &options.shard_bytes, err));
    fal_status status = fal_write_hf_folder(source, directory, &options, err);
    fal_progress_clear(&job->making->progress);
    return status;
}
