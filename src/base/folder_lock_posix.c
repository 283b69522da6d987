/* Body of folder_lock.h for POSIX systems. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/folder_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char FILE_NAME[] = ".lock";

struct fal_folder_lock {
    int file;
};

static fal_status lock(fal_folder_lock *l, const char *folder, const char *path, fal_error *err) {
    l->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (l->file < 0) return fal_fail_errno(err, "cannot open", path);
    if (flock(l->file, LOCK_EX | LOCK_NB) == 0) return FAL_OK;
    if (errno == EWOULDBLOCK)
        return fal_fail(err, FAL_E_BUSY, "folder '%s' is in use by another process", folder);
    if (errno == ENOLCK || errno == ENOTSUP || errno == ENOSYS) return FAL_OK;
    return fal_fail_errno(err, "cannot lock", path);
}

fal_status fal_folder_lock_open(fal_folder_lock **out, const char *path, fal_error *err) {
    *out = NULL;
    fal_folder_lock *l = fal_alloc(1, sizeof *l);
    if (!l) return fal_fail_memory(err, sizeof *l);
    l->file = -1;
    char *file = fal_path_join(path, FILE_NAME);
    fal_status status = file ? lock(l, path, file, err) : fal_fail_memory(err, strlen(path));
    fal_free(file);
    if (status == FAL_OK)
        *out = l;
    else
        fal_folder_lock_close(l);
    return status;
}

void fal_folder_lock_close(fal_folder_lock *l) {
    if (!l) return;
    if (l->file >= 0) close(l->file);
    fal_free(l);
}

/* ---- what was left ---- */

/* Whether text is "<number>-<number>". */
static bool is_process_and_number(const char *text) {
    static const char digits[] = "0123456789";
    size_t process = strspn(text, digits);
    if (process == 0 || text[process] != '-') return false;
    size_t number = strspn(text + process + 1, digits);
    return number > 0 && text[process + 1 + number] == '\0';
}

/* Whether `found` is name, mark, process and number. */
static bool is_left_behind(const char *found, const char *name, const char *mark) {
    size_t length = strlen(name), n_mark = strlen(mark);
    return strncmp(found, name, length) == 0 && strncmp(found + length, mark, n_mark) == 0
           && is_process_and_number(found + length + n_mark);
}

static fal_status remove_one(const char *folder, const char *name, fal_error *err) {
    char *path = fal_path_join(folder, name);
    if (!path) return fal_fail_memory(err, strlen(name));
    if (fal_file_is_directory(path))
        (void)fal_folder_remove(path, NULL);
    else
        fal_file_remove(path);
    fal_free(path);
    return FAL_OK;
}

fal_status fal_folder_remove_partial(const char *folder, const char *name, fal_error *err) {
    fal_names names = {0};
    fal_status status = fal_folder_list(&names, folder, "", err);
    for (size_t i = 0; status == FAL_OK && i < names.count; i++) {
        if (is_left_behind(names.items[i], name, ".partial-"))
            status = remove_one(folder, names.items[i], err);
    }
    fal_names_release(&names);
    return status;
}
