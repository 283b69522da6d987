/* Body of file.h for POSIX systems. Outputs are written beside their final name, synced and renamed; the directory is
 * synced too, so that a crash leaves the former file or the whole one. */
#define _XOPEN_SOURCE 700 /* realpath */

#include "base/alloc.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_PARTIALS = 100
};

/* A folder is what people name by mistake, so it is called one. */
static fal_status fail_irregular(const char *path, mode_t mode, fal_error *err) {
    return fal_fail(err, FAL_E_ARGUMENT,
                    S_ISDIR(mode) ? "'%s' is a folder, not a file" : "'%s' is not a regular file",
                    path);
}

fal_status fal_mapping_open(fal_mapping *out, const char *path, fal_error *err) {
    *out = (fal_mapping){0};
    /* O_NONBLOCK: a pipe without a writer is refused rather than waited for. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return fal_fail_errno(err, "cannot open", path);
    fal_status status = FAL_OK;
    struct stat facts;
    if (fstat(file, &facts) != 0) {
        status = fal_fail_errno(err, "cannot look at", path);
    } else if (!S_ISREG(facts.st_mode)) {
        status = fail_irregular(path, facts.st_mode, err);
    } else if (facts.st_size > 0) {
        void *data = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_SHARED, file, 0);
        if (data == MAP_FAILED) {
            status = fal_fail_errno(err, "cannot map", path);
        } else {
            *out = (fal_mapping){data, (size_t)facts.st_size};
        }
    }
    close(file);
    return status;
}

void fal_mapping_release(fal_mapping *mapping) {
    if (mapping->data) munmap((void *)(uintptr_t)mapping->data, mapping->length);
    *mapping = (fal_mapping){0};
}

void fal_mapping_will_need(const fal_mapping *mapping, size_t offset, size_t length) {
    if (!mapping->data || offset >= mapping->length) return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t begin = offset / page * page;
    if (length > mapping->length - offset) length = mapping->length - offset;
    posix_madvise((char *)(uintptr_t)mapping->data + begin, length + (offset - begin),
                  POSIX_MADV_WILLNEED);
}

/* Reads until length bytes or the end; pipes have no size, so the buffer grows. */
static fal_status read_all(int file, const char *path, size_t max_bytes, char **text,
                           size_t *length, fal_error *err) {
    size_t capacity = 0;
    *length = 0;
    for (;;) {
        if (!fal_grow((void **)text, &capacity, *length + 65536 + 1, 1))
            return fal_fail_memory(err, *length);
        ssize_t n = read(file, *text + *length, capacity - *length - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fal_fail_errno(err, "cannot read", path);
        if (n == 0) break;
        *length += (size_t)n;
        if (*length > max_bytes)
            return fal_fail(err, FAL_E_LIMIT, "'%s' holds more than %zu bytes", path, max_bytes);
    }
    (*text)[*length] = '\0';
    return FAL_OK;
}

static fal_status read_file(char **out, size_t *length, const char *path, size_t max_bytes,
                            bool is_regular, fal_error *err) {
    struct stat facts;
    *out = NULL;
    *length = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC | (is_regular ? O_NONBLOCK : 0));
    if (file < 0) return fal_fail_errno(err, "cannot open", path);
    char *text = NULL;
    fal_status status = FAL_OK;
    if (is_regular && (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode)))
        status = fal_fail(err, FAL_E_ARGUMENT, "'%s' is not a regular file", path);
    if (status == FAL_OK) status = read_all(file, path, max_bytes, &text, length, err);
    close(file);
    if (status == FAL_OK) {
        *out = text;
    } else {
        fal_free(text);
    }
    return status;
}

fal_status fal_file_read(char **out, size_t *length, const char *path, size_t max_bytes,
                         fal_error *err) {
    return read_file(out, length, path, max_bytes, false, err);
}

fal_status fal_file_read_regular(char **out, size_t *length, const char *path, size_t max_bytes,
                                 fal_error *err) {
    return read_file(out, length, path, max_bytes, true, err);
}

fal_status fal_file_make_private(const char *path, fal_error *err) {
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return errno == EEXIST ? FAL_OK : fal_fail_errno(err, "cannot make", path);
    close(file);
    return FAL_OK;
}

bool fal_file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool fal_file_is_directory(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

bool fal_file_is_same(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

struct fal_output {
    int file;
    uint64_t position;
    char *path, *partial;
};

static void output_close(fal_output *o) {
    if (o->file >= 0) close(o->file);
    fal_free(o->partial);
    fal_free(o->path);
    fal_free(o);
}

/* Where an output goes: through a link to what it points at; never in place of a device, a pipe or a folder. */
static fal_status resolve_output(char **out, const char *path, fal_error *err) {
    struct stat facts;
    *out = NULL;
    if (stat(path, &facts) != 0) {
        *out = fal_copy_string(path, strlen(path));
        return *out ? FAL_OK : fal_fail_memory(err, strlen(path));
    }
    if (!S_ISREG(facts.st_mode)) return fail_irregular(path, facts.st_mode, err);
    char resolved[PATH_MAX];
    if (!realpath(path, resolved)) return fal_fail_errno(err, "cannot follow", path);
    *out = fal_copy_string(resolved, strlen(resolved));
    return *out ? FAL_OK : fal_fail_memory(err, strlen(path));
}

fal_status fal_output_open(fal_output **out, const char *path, fal_error *err) {
    *out = NULL;
    fal_output *o = fal_alloc(1, sizeof *o);
    if (!o) return fal_fail_memory(err, sizeof *o);
    o->file = -1;
    fal_status status = resolve_output(&o->path, path, err);
    size_t bytes = status == FAL_OK ? strlen(o->path) + 40 : 0;
    if (status == FAL_OK) o->partial = fal_alloc(bytes, 1);
    if (status == FAL_OK && !o->partial) status = fal_fail_memory(err, bytes);
    if (status != FAL_OK) {
        output_close(o);
        return status;
    }
    /* Never through somebody else's file or link: a name that exists is left alone. */
    for (int i = 0; i < MAX_PARTIALS && o->file < 0 && (i == 0 || errno == EEXIST); i++) {
        snprintf(o->partial, bytes, "%s.partial-%ld-%d", o->path, (long)getpid(), i);
        o->file = open(o->partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    if (o->file < 0) {
        status = fal_fail_errno(err, "cannot create", path);
        output_close(o);
        return status;
    }
    *out = o;
    return FAL_OK;
}

fal_status fal_output_hide(fal_output *o, fal_error *err) {
    return fchmod(o->file, 0600) == 0 ? FAL_OK : fal_fail_errno(err, "cannot hide", o->path);
}

fal_status fal_output_write(fal_output *o, const void *data, size_t length, fal_error *err) {
    const char *bytes = data;
    while (length > 0) {
        ssize_t n = write(o->file, bytes, length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fal_fail_errno(err, "cannot write", o->path);
        bytes += n;
        length -= (size_t)n;
        o->position += (uint64_t)n;
    }
    return FAL_OK;
}

uint64_t fal_output_position(const fal_output *o) {
    return o->position;
}

fal_status fal_output_append_file(fal_output *o, const char *path, uint64_t at, uint64_t length,
                                  const fal_copy_progress *progress, fal_copy_way *way,
                                  fal_error *err) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return fal_fail_errno(err, "cannot open", path);
    fal_status status = fal_range_copy(file, at, o->file, o->position, length, progress, way, err);
    if (status == FAL_OK && lseek(o->file, (off_t)(o->position + length), SEEK_SET) < 0)
        status = fal_fail_errno(err, "cannot go on in", o->partial);
    close(file);
    if (status == FAL_OK) o->position += length;
    return fal_add_context(err, status, "%s", o->partial);
}

void fal_output_permit_like(fal_output *o, const char *path) {
    struct stat facts;
    if (stat(path, &facts) == 0) (void)fchmod(o->file, facts.st_mode & 07777);
}

/* The rename itself survives a crash only once the directory is on disk. Some file systems refuse to sync a directory;
 * then there is nothing more to be done. */
void fal_file_sync_folder(const char *path) {
    const char *base = fal_path_base(path);
    char *directory =
        base == path ? fal_copy_string(".", 1) : fal_copy_string(path, (size_t)(base - path));
    if (!directory) return;
    int file = open(directory, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        fsync(file);
        close(file);
    }
    fal_free(directory);
}

fal_status fal_output_commit(fal_output *o, fal_error *err) {
    fal_status status = FAL_OK;
    if (fsync(o->file) != 0) status = fal_fail_errno(err, "cannot sync", o->path);
    if (close(o->file) != 0 && status == FAL_OK)
        status = fal_fail_errno(err, "cannot close", o->path);
    o->file = -1;
    if (status == FAL_OK && rename(o->partial, o->path) != 0)
        status = fal_fail_errno(err, "cannot rename to", o->path);
    if (status == FAL_OK) {
        fal_file_sync_folder(o->path);
    } else {
        unlink(o->partial);
    }
    output_close(o);
    return status;
}

void fal_output_discard(fal_output *o) {
    if (!o) return;
    unlink(o->partial);
    output_close(o);
}

fal_status fal_file_write(const char *path, const void *data, size_t length, fal_error *err) {
    fal_output *o = NULL;
    FAL_TRY(fal_output_open(&o, path, err));
    fal_status status = fal_output_write(o, data, length, err);
    if (status == FAL_OK) return fal_output_commit(o, err);
    fal_output_discard(o);
    return status;
}

char *fal_path_join(const char *directory, const char *name) {
    size_t length = strlen(directory), bytes = length + strlen(name) + 2;
    char *path = fal_alloc(bytes, 1);
    if (!path) return NULL;
    const char *slash = length > 0 && directory[length - 1] == '/' ? "" : "/";
    snprintf(path, bytes, "%s%s%s", directory, slash, name);
    return path;
}

const char *fal_path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
