/* Body of file_append.h for POSIX systems. */
#include "base/alloc.h"
#include "base/file_append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fal_appended {
    int file;
    char *path;
};

fal_status fal_appended_open(fal_appended **out, const char *path, fal_error *err) {
    *out = NULL;
    fal_appended *a = fal_alloc(1, sizeof *a);
    if (a) a->path = fal_copy_string(path, strlen(path));
    if (!a || !a->path) {
        fal_free(a);
        return fal_fail_memory(err, strlen(path));
    }
    a->file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (a->file < 0) {
        fal_status status = fal_fail_errno(err, "cannot open", path);
        fal_appended_close(a);
        return status;
    }
    *out = a;
    return FAL_OK;
}

fal_status fal_appended_write(fal_appended *a, const void *data, size_t length, fal_error *err) {
    struct stat before;
    bool has_size = fstat(a->file, &before) == 0 && S_ISREG(before.st_mode);
    const char *bytes = data;
    while (length > 0) {
        ssize_t n = write(a->file, bytes, length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            fal_status status = fal_fail_errno(err, "cannot write", a->path);
            bool is_cut = has_size && ftruncate(a->file, before.st_size) == 0;
            (void)is_cut; /* readers of such files leave out a line without an end */
            return status;
        }
        bytes += n;
        length -= (size_t)n;
    }
    return FAL_OK;
}

fal_status fal_appended_sync(fal_appended *a, fal_error *err) {
    if (fsync(a->file) == 0) return FAL_OK;
    return fal_fail_errno(err, "cannot sync", a->path);
}

void fal_appended_close(fal_appended *a) {
    if (!a) return;
    if (a->file >= 0) close(a->file);
    fal_free(a->path);
    fal_free(a);
}
