/* Chooses a kernel set for a level of processor and finds kernels by the name of a number type.
 *
 * Which sets exist is decided by the build: kernel_sets.def is generated, one row per set from the lowest level up. */
#include "compute/cpu/kernels.h"

#include <string.h>

static const struct {
    fal_cpu_level level;
    const fal_kernel_set *set;
} sets[] = {

#define FAL_KERNEL_SET(level, set) {level, &fal_kernels_##set},
#include "kernel_sets.def"
#undef FAL_KERNEL_SET
};

static const struct {
    const char *name;
    size_t offset;
} kernels[] = {

#define FAL_KERNEL(name, signature, meaning) {#name, offsetof(fal_kernel_set, name)},
#include "compute/cpu/kernels.def"
#undef FAL_KERNEL
};

const fal_kernel_set *fal_kernel_set_for(fal_cpu_level level) {
    const fal_kernel_set *chosen = &fal_kernels_portable;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        if (sets[i].level <= level) chosen = sets[i].set;
    }
    return chosen;
}

/* The address of the member called "<family>_<type_name>"; NULL: there is none. */
static const void *find_member(const fal_kernel_set *set, const char *family,
                               const char *type_name) {
    size_t length = strlen(family);
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        const char *name = kernels[i].name;
        if (name[0] != family[0] || strncmp(name, family, length) != 0 || name[length] != '_')
            continue;
        if (strcmp(name + length + 1, type_name) == 0) return (const char *)set + kernels[i].offset;
    }
    return NULL;
}

fal_matmul_kernel *fal_kernel_set_matmul(const fal_kernel_set *set, const char *type_name) {
    fal_matmul_kernel *kernel = NULL;
    const void *member = find_member(set, "matmul", type_name);
    if (member) memcpy(&kernel, member, sizeof kernel);
    return kernel;
}

fal_encode_kernel *fal_kernel_set_encoder(const fal_kernel_set *set, const char *type_name) {
    fal_encode_kernel *kernel = NULL;
    const void *member = find_member(set, "encode", type_name);
    if (member) memcpy(&kernel, member, sizeof kernel);
    return kernel;
}

fal_attend_kernel *fal_kernel_set_attend(const fal_kernel_set *set, const char *type_name) {
    fal_attend_kernel *kernel = NULL;
    const void *member = find_member(set, "attend", type_name);
    if (member) memcpy(&kernel, member, sizeof kernel);
    return kernel;
}

fal_quantize_kernel *fal_kernel_set_quantizer(const fal_kernel_set *set, const char *type_name) {
    fal_quantize_kernel *kernel = NULL;
    const void *member = find_member(set, "quantize", type_name);
    if (member) memcpy(&kernel, member, sizeof kernel);
    return kernel;
}
