/* What names, shapes and alignments a GGUF file may have, for the reader and the writer alike. */
#include "base/alloc.h"
#include "base/utf8.h"
#include "formats/gguf_private.h"

fal_status fal_gguf_check_name(const char *name, size_t length, size_t max_bytes, fal_error *err) {
    if (length == 0 || length > max_bytes) {
        return fal_fail(err, FAL_E_FORMAT, "a name of %zu bytes, 1 to %zu are allowed", length,
                        max_bytes);
    }
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)name[i];
        if (byte < 0x20 || byte == 0x7f) {
            return fal_fail(err, FAL_E_FORMAT, "a name with the control character 0x%02x", byte);
        }
    }
    if (!fal_utf8_is_valid(name, length))
        return fal_fail(err, FAL_E_FORMAT, "a name that is not UTF-8");
    return FAL_OK;
}

fal_status fal_gguf_shape_weights(int n_dims, const int64_t *shape, int64_t *out, fal_error *err) {
    if (n_dims < 1 || n_dims > FAL_GGUF_MAX_DIMS) {
        return fal_fail(err, FAL_E_FORMAT, "%d dimensions, 1 to %d are allowed", n_dims,
                        FAL_GGUF_MAX_DIMS);
    }
    *out = 1;
    for (int i = 0; i < n_dims; i++) {
        if (shape[i] < 1) {
            return fal_fail(err, FAL_E_FORMAT, "dimension %d is %lld, at least 1 is allowed", i,
                            (long long)shape[i]);
        }
        if (shape[i] > INT64_MAX / *out) {
            return fal_fail(err, FAL_E_FORMAT, "the product of the dimensions exceeds %lld",
                            (long long)INT64_MAX);
        }
        *out *= shape[i];
    }
    return FAL_OK;
}

fal_status fal_gguf_shape_bytes(const fal_type *type, int n_dims, const int64_t *shape,
                                uint64_t *out, fal_error *err) {
    size_t bytes;
    fal_status status = fal_type_row_bytes(type, shape[n_dims - 1], &bytes, err);
    if (status != FAL_OK)
        return status == FAL_E_LIMIT
                   ? fal_fail(err, FAL_E_FORMAT, "a row exceeds %zu bytes", SIZE_MAX)
                   : status;
    for (int i = 0; i < n_dims - 1; i++) {
        if (!fal_multiply_size(bytes, (size_t)shape[i], &bytes)) {
            return fal_fail(err, FAL_E_FORMAT, "its data exceeds %zu bytes", SIZE_MAX);
        }
    }
    *out = bytes;
    return FAL_OK;
}

fal_status fal_gguf_check_alignment(uint32_t alignment, fal_error *err) {
    enum {
        MIN_ALIGNMENT = 8
    };

    if (alignment >= MIN_ALIGNMENT && (alignment & (alignment - 1)) == 0) return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT,
                    "key 'general.alignment': %u, a power of two of at least %d is expected",
                    alignment, MIN_ALIGNMENT);
}
