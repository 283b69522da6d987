/* Feeds the files of folders to a fuzz target, for compilers without libFuzzer: <program> FOLDER... */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file in a block of exactly its size, so that a sanitizer sees the first byte behind it. */
static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return -1;
    uint8_t *data = NULL;
    long length = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (length >= 0) data = malloc(length ? (size_t)length : 1);
    rewind(file);
    int failed = !data || fread(data, 1, (size_t)length, file) != (size_t)length;
    fclose(file);
    if (!failed) LLVMFuzzerTestOneInput(data, (size_t)length);
    free(data);
    return failed ? -1 : 0;
}

static int replay_folder(const char *folder) {
    DIR *directory = opendir(folder);
    int n_files = 0;
    if (!directory) {
        fprintf(stderr, "cannot open %s\n", folder);
        return -1;
    }
    for (struct dirent *e = readdir(directory); e && n_files >= 0; e = readdir(directory)) {
        char path[4096];
        if (e->d_name[0] == '.') continue;
        int n = snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (n < 0 || (size_t)n >= sizeof path || replay_file(path) != 0) {
            fprintf(stderr, "cannot read %s in %s\n", e->d_name, folder);
            n_files = -1;
        } else {
            n_files++;
        }
    }
    closedir(directory);
    return n_files;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        int n_files = replay_folder(argv[i]);
        printf("%s: %d files\n", argv[i], n_files);
        if (n_files <= 0) return 1;
    }
    return argc < 2;
}
