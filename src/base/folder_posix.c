/* Body of folder.h for POSIX systems. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static fal_status make_one(const char *path, fal_error *err) {
    if (mkdir(path, 0777) == 0 || fal_file_is_directory(path)) return FAL_OK;
    if (errno == EEXIST) return fal_fail(err, FAL_E_ARGUMENT, "'%s' is not a folder", path);
    return fal_fail_errno(err, "cannot make folder", path);
}

fal_status fal_folder_make(const char *path, fal_error *err) {
    if (!*path) return fal_fail(err, FAL_E_ARGUMENT, "a folder needs a name");
    char *part = fal_copy_string(path, strlen(path));
    if (!part) return fal_fail_memory(err, strlen(path));
    fal_status status = FAL_OK;
    for (char *slash = strchr(part + 1, '/'); slash && status == FAL_OK;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        status = make_one(part, err);
        *slash = '/';
    }
    if (status == FAL_OK) status = make_one(part, err);
    fal_free(part);
    return status;
}

char *fal_link_target(const char *path) {
    char target[4096];
    ssize_t n = readlink(path, target, sizeof target);
    return n < 0 ? NULL : fal_copy_string(target, (size_t)n);
}

fal_status fal_folder_rename(const char *from, const char *to, fal_error *err) {
    if (rename(from, to) != 0) return fal_fail_errno(err, "cannot rename", from);
    fal_file_sync_folder(to);
    return FAL_OK;
}

/* Removes what is in the open folder, hidden files too. */
static fal_status empty_folder(DIR *folder, const char *path, fal_error *err) {
    errno = 0;
    for (struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (unlinkat(dirfd(folder), e->d_name, 0) != 0)
            return fal_fail_errno(err, "cannot remove what is in", path);
        errno = 0;
    }
    return errno == 0 ? FAL_OK : fal_fail_errno(err, "cannot list", path);
}

fal_status fal_folder_remove(const char *path, fal_error *err) {
    DIR *folder = opendir(path);
    if (!folder && errno == ENOENT) return FAL_OK;
    if (!folder) return fal_fail_errno(err, "cannot list", path);
    fal_status status = empty_folder(folder, path, err);
    closedir(folder);
    if (status == FAL_OK && rmdir(path) != 0)
        status = fal_fail_errno(err, "cannot remove folder", path);
    if (status == FAL_OK) fal_file_sync_folder(path);
    return status;
}

void fal_folder_remove_empty(const char *path) {
    (void)rmdir(path);
}

void fal_file_remove(const char *path) {
    (void)unlink(path);
}

static bool ends_in(const char *name, const char *suffix) {
    size_t length = strlen(name), tail = strlen(suffix);
    return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static fal_status add_name(fal_names *names, const char *name, fal_error *err) {
    if (!fal_grow((void **)&names->items, &names->capacity, names->count + 1, sizeof *names->items))
        return fal_fail_memory(err, 0);
    char *copy = fal_copy_string(name, strlen(name));
    if (!copy) return fal_fail_memory(err, strlen(name));
    names->items[names->count++] = copy;
    return FAL_OK;
}

fal_status fal_folder_list(fal_names *out, const char *path, const char *suffix, fal_error *err) {
    DIR *folder = opendir(path);
    if (!folder) return fal_fail_errno(err, "cannot list", path);
    fal_status status = FAL_OK;
    errno = 0;
    for (struct dirent *e = readdir(folder); e && status == FAL_OK; e = readdir(folder)) {
        if (e->d_name[0] != '.' && ends_in(e->d_name, suffix))
            status = add_name(out, e->d_name, err);
        errno = 0;
    }
    if (status == FAL_OK && errno != 0) status = fal_fail_errno(err, "cannot list", path);
    closedir(folder);
    if (out->count > 1) qsort(out->items, out->count, sizeof *out->items, by_bytes);
    return status;
}

void fal_names_release(fal_names *names) {
    for (size_t i = 0; i < names->count; i++)
        fal_free(names->items[i]);
    fal_free(names->items);
    *names = (fal_names){0};
}
