/* Body of config_writer.h. */
#include "model/config_writer.h"

#include "base/alloc.h"
#include "base/file.h"
#include "formats/json_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    F32_DIGITS = 9 /* always tell f32 numbers apart */
};

void fal_config_set_value(fal_config_writer *w, const char *key, json_t *take_value) {
    if (w->has_failed) {
        json_decref(take_value);
    } else if (json_object_set_new(w->object, key, take_value) != 0) {
        w->has_failed = true;
    }
}

void fal_config_set_flag(fal_config_writer *w, const char *key, bool value) {
    fal_config_set_value(w, key, json_boolean(value));
}

void fal_config_set_integer(fal_config_writer *w, const char *key, int64_t value) {
    fal_config_set_value(w, key, json_integer((json_int_t)value));
}

void fal_config_set_text(fal_config_writer *w, const char *key, const char *value) {
    fal_config_set_value(w, key, json_string(value));
}

void fal_config_set_null(fal_config_writer *w, const char *key) {
    fal_config_set_value(w, key, json_null());
}

static double shortest(double value) {
    char text[32];
    for (int digits = 1; digits <= F32_DIGITS && (double)(float)value == value; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        double decimal = strtod(text, NULL);
        if ((float)decimal == (float)value) return decimal;
    }
    return value;
}

void fal_config_set_number(fal_config_writer *w, const char *key, double value) {
    fal_config_set_value(w, key, json_real(shortest(value)));
}

void fal_config_set_shortest(fal_config_writer *w, const char *key, double value) {
    if (value == floor(value) && fabs(value) < 1e15) {
        fal_config_set_integer(w, key, (int64_t)value);
    } else {
        fal_config_set_number(w, key, value);
    }
}

fal_status fal_config_writer_status(const fal_config_writer *w, fal_error *err) {
    return w->has_failed || !w->object ? fal_fail_memory(err, 0) : FAL_OK;
}

fal_status fal_config_writer_write(const fal_config_writer *w, const char *directory,
                                   const char *name, fal_error *err) {
    FAL_TRY(fal_config_writer_status(w, err));
    char *path = fal_path_join(directory, name);
    if (!path) return fal_fail_memory(err, strlen(directory));
    fal_status status = fal_json_write_file(path, w->object, err);
    fal_free(path);
    return status;
}
