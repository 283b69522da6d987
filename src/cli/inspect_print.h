/* The facts about a GGUF file as text and as JSON. */
#ifndef FAL_CLI_INSPECT_PRINT_H
#define FAL_CLI_INSPECT_PRINT_H

#include "cli/inspect_facts.h"

#include <jansson.h>

/* What the file is, in sections. */
void fal_inspected_print(const fal_inspected *inspected);
/* One line for each tensor. */
void fal_inspected_print_tensors(const fal_inspected *inspected);
/* One line for each key; long values are cut. */
void fal_inspected_print_metadata(const fal_inspected *inspected);

/* New objects, owned by the caller. */
json_t *fal_inspected_to_json(const fal_inspected *inspected);
json_t *fal_inspected_tensors_to_json(const fal_inspected *inspected);
json_t *fal_inspected_metadata_to_json(const fal_inspected *inspected);

#endif
