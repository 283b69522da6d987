/* Any bytes as a JSON schema: refused, or made a grammar that is well-formed. */
#include "fuzz.h"
#include "text/grammar.h"
#include "text/json_schema.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fal_string_builder gbnf = {0};
    fal_grammar *g = NULL;
    fal_error err = {0};
    fal_status status = fal_json_schema_to_gbnf(&gbnf, (const char *)data, size, &err);
    if (status == FAL_OK) {
        status = fal_grammar_open(&g, gbnf.text, gbnf.length, &err);
        /* The text is ours: it may be too large, or call itself as the schema does, but never malformed. */
        if (status == FAL_E_FORMAT && !strstr(err.message, "left recursion")) abort();
    }
    if (status != FAL_OK && (!err.message[0] || strchr(err.message, '\n'))) abort();
    fal_grammar_close(g);
    fal_string_release(&gbnf);
    return 0;
}
