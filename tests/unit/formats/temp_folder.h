/* A folder of files that exists for one test. */
#ifndef FAL_TESTS_TEMP_FOLDER_H
#define FAL_TESTS_TEMP_FOLDER_H

#include "check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct temp_folder {
    char path[64];
    char joined[4][160]; /* paths handed out, reused in turn */
    int next;
} temp_folder;

static inline temp_folder temp_folder_make(void) {
    temp_folder t = {.path = "/tmp/falconer-test-XXXXXX"};
    assert_non_null(mkdtemp(t.path));
    return t;
}

/* The path of name inside; valid until four more were asked for. */
static inline const char *temp_path(temp_folder *t, const char *name) {
    char *path = t->joined[t->next++ % 4];
    size_t folder_bytes = strlen(t->path), name_bytes = strlen(name);
    assert_true(folder_bytes + 1 + name_bytes < sizeof t->joined[0]);
    memcpy(path, t->path, folder_bytes);
    path[folder_bytes] = '/';
    memcpy(path + folder_bytes + 1, name, name_bytes + 1);
    return path;
}

static inline void temp_write(temp_folder *t, const char *name, const void *data, size_t length) {
    FILE *file = fopen(temp_path(t, name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static inline int temp_count(const temp_folder *t) {
    DIR *directory = opendir(t->path);
    assert_non_null(directory);
    int n = 0;
    for (struct dirent *e = readdir(directory); e; e = readdir(directory))
        n += e->d_name[0] != '.';
    closedir(directory);
    return n;
}

static inline void temp_remove(temp_folder *t) {
    DIR *directory = opendir(t->path);
    assert_non_null(directory);
    for (struct dirent *e = readdir(directory); e; e = readdir(directory)) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", t->path, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            assert_int_equal(remove(path), 0);
    }
    closedir(directory);
    assert_int_equal(rmdir(t->path), 0);
}

#endif
