/* A Hugging Face config under construction: set freely, ask once. */
#ifndef FAL_MODEL_CONFIG_WRITER_H
#define FAL_MODEL_CONFIG_WRITER_H

#include "base/fail.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct fal_config_writer {
    json_t *object;  /* what is written to; the caller's */
    bool has_failed; /* memory was short; later calls do nothing */
} fal_config_writer;

/* Each sets a key, in the order of the calls; a key that is there gets the value. */
void fal_config_set_flag(fal_config_writer *w, const char *key, bool value);
void fal_config_set_integer(fal_config_writer *w, const char *key, int64_t value);
void fal_config_set_text(fal_config_writer *w, const char *key, const char *value);
void fal_config_set_null(fal_config_writer *w, const char *key);
/* Takes value, which may be NULL: that is a failure. */
void fal_config_set_value(fal_config_writer *w, const char *key, json_t *take_value);
/* A number that an f32 holds exactly is written with the fewest digits that mean this f32: 1e-05, not 9.99999975e-06. */
void fal_config_set_number(fal_config_writer *w, const char *key, double value);
/* As fal_config_set_number; a whole number is written as an integer. */
void fal_config_set_shortest(fal_config_writer *w, const char *key, double value);

/* MEMORY if any call failed. */
fal_status fal_config_writer_status(const fal_config_writer *w, fal_error *err);

/* Writes the object as text, which is whole or untouched. Fails: as set, IO. */
fal_status fal_config_writer_write(const fal_config_writer *w, const char *directory,
                                   const char *name, fal_error *err);

#endif
