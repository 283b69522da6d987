/* What every unit test includes: cmocka with the headers it wants before it, and two checks of ours. */
#ifndef FAL_TESTS_CHECK_H
#define FAL_TESTS_CHECK_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <falconer/error.h>

#include <math.h>
#include <string.h>

/* |actual - expected| <= bound; NaN never is. */
#define CHECK_NEAR(actual, expected, bound)                                                \
    do {                                                                                   \
        double actual_ = (double)(actual), expected_ = (double)(expected);                 \
        if (!(fabs(actual_ - expected_) <= (double)(bound)))                               \
            fail_msg("%s is %.17g, expected %.17g within %g", #actual, actual_, expected_, \
                     (double)(bound));                                                     \
    } while (0)

/* The call gives this status. A failure's message must be there, be one line and hold the fragment. err may be NULL. */
#define CHECK_STATUS(call, expected, err, fragment) \
    check_status(__FILE__, __LINE__, #call, call, expected, err, fragment)

/* The call succeeds; err holds why not. */
#define CHECK_OK(call, err) CHECK_STATUS(call, FAL_OK, err, "")

static inline void check_status(const char *file, int line, const char *call, fal_status status,
                                fal_status expected, const fal_error *err, const char *fragment) {
    if (status != expected) {
        print_error("%s: %s (%s), expected %s\n", call, fal_status_words(status),
                    status == FAL_OK || !err ? "" : err->message, fal_status_words(expected));
        _fail(file, line);
    }
    if (status == FAL_OK || !err) return;
    if (strchr(err->message, '\n') || !strstr(err->message, fragment)) {
        print_error("%s: the message \"%s\" is not one line with \"%s\"\n", call, err->message,
                    fragment);
        _fail(file, line);
    }
}

#endif
