/* lint: whether a published folder is true to itself. The work is publish/lint.h's. */
#include "cli/command.h"
#include "cli/json_output.h"
#include "cli/terminal.h"
#include "publish/lint.h"

#include <string.h>

typedef struct lint_options {
    bool quick, json;
} lint_options;

#define AT(member) offsetof(lint_options, member)

static const fal_option rows[] = {
    FAL_ROW_FLAG("quick", 0, AT(quick), "leave out SHA-256, which reads all files"),
    FAL_ROW_JSON(AT(json)),
    {0}};

static const fal_option_group groups[] = {
    {"Options", rows, 0},
    {NULL,      NULL, 0}
};

static const fal_argument arguments[] = {
    {"DIR", FAL_OPTION_DIRECTORY, NULL, true,  "a folder of GGUF files with a README.md"},
    {NULL,  FAL_OPTION_TEXT,      NULL, false, NULL                                     }
};

static const fal_example examples[] = {
    {"falconer lint alfred-40b-1023-gguf", "Before an upload:"},
    {NULL,                                 NULL               }
};

static bool on_bytes(void *user, uint64_t n_bytes) {
    (void)user;
    (void)n_bytes;
    return !fal_interrupt_is_raised();
}

static fal_status print_findings(const fal_names *findings, bool json, fal_error *err) {
    if (json) {
        json_t *all = json_object(), *list = json_array();
        for (size_t i = 0; i < findings->count; i++)
            json_array_append_new(list,
                                  fal_json_text(findings->items[i], strlen(findings->items[i])));
        json_object_set_new(all, "findings", list);
        return fal_json_print(all, 9, err);
    }
    for (size_t i = 0; i < findings->count; i++) {
        fal_terminal_write(stdout, findings->items[i], strlen(findings->items[i]));
        putchar('\n');
    }
    return FAL_OK;
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const lint_options *o = parsed->values;
    const char *directory = parsed->arguments[0];
    fal_names findings = {0};
    const fal_lint_options how = {.skip_digests = o->quick, .on_bytes = on_bytes};
    fal_interrupt_watch(2);
    fal_status status = fal_lint_folder(&findings, directory, &how, err);
    if (status == FAL_OK) status = print_findings(&findings, o->json, err);
    if (status == FAL_OK && findings.count > 0)
        status = fal_fail(err, FAL_E_FORMAT, "lint: %zu finding%s in '%s'", findings.count,
                          findings.count == 1 ? "" : "s", directory);
    fal_names_release(&findings);
    return status;
}

const fal_command fal_command_lint = {
    .description =
        "Checks a folder of GGUF files before it is uploaded: README.md has front matter that can be read and names a "
        "license; its links and images lead to files that are there; its table gives each file with its size, bits per "
        "weight and type, and the file's tensors are what that type means; SHA256SUMS lists each file with its SHA-256; "
        "nothing is left of an interrupted run.\n\n"
        "Prints one line for each finding. The exit code is 0 when there are none.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(lint_options),
    .run = run};
