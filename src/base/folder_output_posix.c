/* Body of folder_output.h for POSIX systems. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/folder_output.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_PARTIALS = 100,
    SUFFIX_BYTES = 48
};

struct fal_folder_output {
    char *path, *partial;
    char *replaced; /* the name that what was at path takes for a moment */
    fal_may_replace *may_replace;
};

static void close_output(fal_folder_output *o) {
    fal_free(o->replaced);
    fal_free(o->partial);
    fal_free(o->path);
    fal_free(o);
}

/* Looks at everything in the folder, hidden files too: all of it would be lost. */
static fal_status check_contents(const char *path, fal_may_replace *may_replace, fal_error *err) {
    DIR *folder = opendir(path);
    if (!folder) return fal_fail_errno(err, "cannot list", path);
    fal_status status = FAL_OK;
    for (struct dirent *e = readdir(folder); e && status == FAL_OK; e = readdir(folder)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (!may_replace(e->d_name))
            status = fal_fail(err, FAL_E_ARGUMENT,
                              "'%s' holds '%s', which would be lost: choose another folder", path,
                              e->d_name);
    }
    closedir(folder);
    return status;
}

static fal_status check_path(const char *path, fal_may_replace *may_replace, fal_error *err) {
    struct stat facts;
    if (lstat(path, &facts) != 0) return FAL_OK;
    if (!S_ISDIR(facts.st_mode))
        return fal_fail(err, FAL_E_ARGUMENT, "'%s' is there already, and no folder", path);
    if (!may_replace) return fal_fail(err, FAL_E_ARGUMENT, "folder '%s' is there already", path);
    return check_contents(path, may_replace, err);
}

/* Without the slashes at the end. */
static char *copy_path(const char *path) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return fal_copy_string(path, length);
}

/* Never into somebody else's folder: a name that exists is left alone. */
static fal_status make_partial(fal_folder_output *o, fal_error *err) {
    size_t bytes = strlen(o->path) + SUFFIX_BYTES;
    o->partial = fal_alloc(bytes, 1);
    o->replaced = fal_alloc(bytes, 1);
    if (!o->partial || !o->replaced) return fal_fail_memory(err, bytes);
    for (int i = 0; i < MAX_PARTIALS; i++) {
        snprintf(o->partial, bytes, "%s.partial-%ld-%d", o->path, (long)getpid(), i);
        snprintf(o->replaced, bytes, "%s.replaced-%ld-%d", o->path, (long)getpid(), i);
        if (fal_file_exists(o->replaced)) continue;
        if (mkdir(o->partial, 0777) == 0) return FAL_OK;
        if (errno != EEXIST) break;
    }
    fal_status status = fal_fail_errno(err, "cannot make folder", o->path);
    o->partial[0] = '\0';
    return status;
}

fal_status fal_folder_output_open(fal_folder_output **out, const char *path,
                                  fal_may_replace *may_replace, fal_error *err) {
    *out = NULL;
    if (!*path) return fal_fail(err, FAL_E_ARGUMENT, "a folder needs a name");
    fal_folder_output *o = fal_alloc(1, sizeof *o);
    if (!o) return fal_fail_memory(err, sizeof *o);
    o->may_replace = may_replace;
    o->path = copy_path(path);
    fal_status status = o->path ? check_path(o->path, may_replace, err) : fal_fail_memory(err, 0);
    if (status == FAL_OK) status = make_partial(o, err);
    if (status != FAL_OK) {
        close_output(o);
        return status;
    }
    *out = o;
    return FAL_OK;
}

const char *fal_folder_output_path(const fal_folder_output *o) {
    return o->partial;
}

/* The name is free for a moment only between two renames; what had it comes back if the second one fails. */
static fal_status take_name(const fal_folder_output *o, fal_error *err) {
    /* Once more: others may have written there meanwhile. */
    FAL_TRY(check_path(o->path, o->may_replace, err));
    bool is_replacing = fal_file_exists(o->path);
    if (is_replacing) FAL_TRY(fal_folder_rename(o->path, o->replaced, err));
    fal_status status = fal_folder_rename(o->partial, o->path, err);
    if (!is_replacing) return status;
    if (status != FAL_OK) {
        (void)fal_folder_rename(o->replaced, o->path, NULL);
        return status;
    }
    return fal_folder_remove(o->replaced, err);
}

fal_status fal_folder_output_commit(fal_folder_output *o, fal_error *err) {
    fal_status status = take_name(o, err);
    if (status != FAL_OK) (void)fal_folder_remove(o->partial, NULL);
    close_output(o);
    return status;
}

void fal_folder_output_discard(fal_folder_output *o) {
    if (!o) return;
    (void)fal_folder_remove(o->partial, NULL);
    close_output(o);
}
