/* What the files of the schema converter share. Each makes text of GBNF; rules are numbered, s0, s1 ... */
#ifndef FAL_TEXT_JSON_SCHEMA_PRIVATE_H
#define FAL_TEXT_JSON_SCHEMA_PRIVATE_H

#include "base/string_builder.h"

#include <jansson.h>

/* A schema that has a rule. */
typedef struct fal_schema_rule {
    const json_t *schema;
    int32_t rule;
} fal_schema_rule;

typedef struct fal_schema_converter {
    const json_t *root;
    fal_string_builder *out;  /* finished rules */
    fal_string_builder place; /* of the schema at work, as a JSON pointer */
    fal_schema_rule *table;   /* hash table by address; schema NULL: free */
    size_t table_size, n_known;
    json_t *made; /* schemas that were merged of others: they live as long as the table */
    int32_t n_rules;
    int depth;
} fal_schema_converter;

/* UNSUPPORTED: "schema at '<place>': <words>". */
__attribute__((format(printf, 3, 4))) fal_status fal_schema_refuse(const fal_schema_converter *c,
                                                                   fal_error *err,
                                                                   const char *format, ...);
/* FORMAT, likewise. */
__attribute__((format(printf, 3, 4))) fal_status fal_schema_malformed(const fal_schema_converter *c,
                                                                      fal_error *err,
                                                                      const char *format, ...);

/* The place becomes one below it; returns what to give to fal_schema_leave. */
size_t fal_schema_enter(fal_schema_converter *c, const char *step);
void fal_schema_leave(fal_schema_converter *c, size_t before);

/* The rule of a schema, which is made if there is none yet; the place is that of the schema. */
fal_status fal_schema_visit(fal_schema_converter *c, const json_t *schema, int32_t *rule,
                            fal_error *err);
/* The schema that a reference "#/..." names; *out is borrowed. */
fal_status fal_schema_resolve(const fal_schema_converter *c, const char *reference,
                              const json_t **out, fal_error *err);
/* One schema for all that several ask for. *out is owned by c. */
fal_status fal_schema_merge(fal_schema_converter *c, const json_t *schemas, const json_t **out,
                            fal_error *err);

/* Append the expression of one type. s: a schema object, whose keywords are known ones. */
fal_status fal_schema_object(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                             fal_error *err);
fal_status fal_schema_array(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                            fal_error *err);
fal_status fal_schema_string(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                             fal_error *err);
fal_status fal_schema_integer(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                              fal_error *err);
fal_status fal_schema_number(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                             fal_error *err);
/* Appends the expression of the texts that hold what the regular expression matches. */
fal_status fal_schema_pattern(fal_schema_converter *c, const char *pattern, fal_string_builder *out,
                              fal_error *err);

/* A number that counts: *out is `missing` where the keyword is not there. Fails: FORMAT, LIMIT (over 100,000). */
fal_status fal_schema_count(const fal_schema_converter *c, const json_t *s, const char *keyword,
                            int32_t missing, int32_t *out, fal_error *err);

/* Appends a value as JSON, a text or a number among others; marks out as failed where memory is short. */
void fal_schema_dump(fal_string_builder *out, const json_t *value);
/* Appends bytes as a literal of GBNF, with its quotation marks. */
void fal_gbnf_literal(fal_string_builder *out, const char *text, size_t length);
/* Appends a character as it may stand in a class. */
void fal_gbnf_class_character(fal_string_builder *out, uint32_t character);
/* Appends {least,most}; most -1: no bound. */
void fal_gbnf_bounds(fal_string_builder *out, int32_t least, int32_t most);

#endif
