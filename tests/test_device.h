/* Which device a test program computes on besides the host's: FAL_TEST_DEVICE names it, and is read by tests only. */
#ifndef FAL_TESTS_TEST_DEVICE_H
#define FAL_TESTS_TEST_DEVICE_H

#include "compute/device.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TEST_IS_SKIPPED = 77 /* exit code, as CTest knows it */
};

/* NULL: the host's. */
static inline const char *test_device(void) {
    return getenv("FAL_TEST_DEVICE");
}

/* False, and a line that says why, if the named device is not in this build or in this machine. */
static inline bool test_device_is_there(void) {
    fal_device *device;
    fal_error error = {0};
    if (!test_device()) return true;
    if (fal_device_open(&device, test_device(), 0, &error) != FAL_OK) {
        printf("skipped: %s\n", error.message);
        return false;
    }
    printf("on %s\n", device->backend->kernel_set(device));
    fal_device_close(device);
    return true;
}

#endif
