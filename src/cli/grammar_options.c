/* Body of grammar_options.h. */
#include "cli/grammar_options.h"

#include "base/alloc.h"
#include "base/file.h"

enum {
    MAX_FILE_BYTES = 4 << 20
};

#define AT(member) offsetof(fal_grammar_choice, member)

const fal_option fal_grammar_option_rows[] = {
    FAL_ROW(FILE, "grammar", 0, AT(grammar), "FILE", "answers follow the grammar (GBNF) in FILE"),
    FAL_ROW(FILE, "json-schema", 0, AT(schema), "FILE",
            "answers are JSON that the schema in FILE admits"),
    {0}};

fal_status fal_grammar_choice_open(fal_grammar **out, const fal_grammar_choice *choice,
                                   const char *command, fal_error *err) {
    const char *file = choice->grammar ? choice->grammar : choice->schema;
    char *text;
    size_t length;
    *out = NULL;
    if (choice->grammar && choice->schema)
        return fal_fail(err, FAL_E_ARGUMENT, "%s: --grammar and --json-schema exclude each other",
                        command);
    if (!file) return FAL_OK;
    FAL_TRY(fal_file_read(&text, &length, file, MAX_FILE_BYTES, err));
    fal_status status = choice->grammar ? fal_grammar_open(out, text, length, err)
                                        : fal_grammar_open_schema(out, text, length, err);
    fal_free(text);
    return fal_add_context(err, status, "'%s'", file);
}
