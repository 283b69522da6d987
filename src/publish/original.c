/* Body of original.h. What is copied must lie where the checkpoint lies: a card cannot reach for other files. */
#include "publish/original.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "publish/links.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_CARD_BYTES = 1 << 20,
    MAX_COPY_BYTES = 16 << 20
};

static void say(const fal_log *log, const char *text) {
    if (log->function) log->function(log->user, FAL_LOG_WARNING, "publish", text);
}

/* ---- reading ---- */

static fal_status read_clean(fal_original *out, fal_slice text, const char *path,
                             const fal_log *log, fal_error *err) {
    fal_slice yaml, body;
    fal_error problem = {0};
    fal_front_matter_place place = fal_front_matter_split(text, &yaml, &body);
    if (place == FAL_FRONT_MATTER_WHOLE
        && fal_front_matter_open(&out->front, yaml, path, &problem) != FAL_OK) {
        fal_string_builder note = {0};
        fal_string_append_format(&note, "nothing is carried over from the original card: %s",
                                 problem.message);
        if (note.text) say(log, note.text);
        fal_string_release(&note);
    }
    out->body = fal_copy_string(body.data, body.length);
    return out->body ? FAL_OK : fal_fail_memory(err, body.length);
}

fal_status fal_original_read(fal_original *out, const char *path, const fal_log *log,
                             fal_error *err) {
    *out = (fal_original){0};
    if (!fal_file_exists(path)) return FAL_OK;
    fal_mapping map;
    FAL_TRY(fal_mapping_open(&map, path, err));
    fal_slice raw = {map.data ? map.data : "", map.length};
    bool is_cut = raw.length > MAX_CARD_BYTES;
    if (is_cut) {
        raw.length = MAX_CARD_BYTES;
        while (raw.length > 0 && raw.data[raw.length - 1] != '\n')
            raw.length--;
        if (raw.length == 0) raw.length = MAX_CARD_BYTES;
        say(log, "the original card holds more than 1 MiB; its beginning is taken over");
    }
    fal_string_builder text = {0};
    fal_append_clean(&text, raw);
    fal_mapping_release(&map);
    if (is_cut)
        fal_string_append_text(&text, "\n\n*(The original card goes on; it is cut here.)*\n");
    fal_status status = fal_string_status(&text, err);
    if (status == FAL_OK && text.length > 0)
        status = read_clean(out, (fal_slice){text.text, text.length}, path, log, err);
    fal_string_release(&text);
    return status;
}

void fal_original_release(fal_original *original) {
    fal_front_matter_close(original->front);
    fal_free(original->body);
    *original = (fal_original){0};
}

/* ---- files ---- */

fal_status fal_copy_file(const char *from, const char *to, fal_error *err) {
    fal_mapping map;
    FAL_TRY(fal_mapping_open(&map, from, err));
    fal_status status = fal_file_write(to, map.data, map.length, err);
    fal_mapping_release(&map);
    return status;
}

/* Names that the set itself writes. */
static bool is_ours(const char *path) {
    static const char *const names[] = {"README.md", "SHA256SUMS", "measurements.json",
                                        "quality.svg", "quality.tsv"};
    size_t length = strlen(path);
    if (length > 5 && strcmp(path + length - 5, ".gguf") == 0) return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(path, names[i]) == 0) return true;
    }
    return false;
}

/* A hub's cache keeps files under their hashes beside its snapshots, and links to them. */
static bool is_cache_link(const char *target) {
    const char *at = target;
    while (strncmp(at, "../", 3) == 0)
        at += 3;
    if (at == target || strncmp(at, "blobs/", 6) != 0) return false;
    return strspn(at + 6, "0123456789abcdef") == strlen(at + 6);
}

/* No part of name below the folder is a link that leads elsewhere. */
static bool lies_inside(const char *folder, const char *name) {
    char *path = fal_path_join(folder, name);
    if (!path) return false;
    bool inside = true;
    size_t begin = strlen(path) - strlen(name);
    for (char *slash = strchr(path + begin, '/'); inside; slash = strchr(slash + 1, '/')) {
        if (slash) *slash = '\0';
        char *target = fal_link_target(path);
        inside = !target || (!slash && is_cache_link(target));
        fal_free(target);
        if (!slash) break;
        *slash = '/';
    }
    fal_free(path);
    return inside;
}

static fal_status copy_inside(const char *source, const char *directory, const char *name,
                              fal_error *err) {
    char *to = fal_path_join(directory, name);
    if (!to) return fal_fail_memory(err, 0);
    char *slash = strrchr(to, '/');
    fal_status status = FAL_OK;
    if (strchr(name, '/')) {
        *slash = '\0';
        status = fal_folder_make(to, err);
        *slash = '/';
    }
    if (status == FAL_OK) status = fal_copy_file(source, to, err);
    fal_free(to);
    return status;
}

/* Copies the file if it may be; *found says whether the link has a file in the end. */
static fal_status bring_file(bool *found, const char *from, const char *directory, const char *name,
                             fal_error *err) {
    *found = is_ours(name);
    if (*found || !fal_path_stays_inside(name) || !lies_inside(from, name)) return FAL_OK;
    char *source = fal_path_join(from, name);
    if (!source) return fal_fail_memory(err, 0);
    fal_mapping map = {0};
    fal_status status = FAL_OK;
    bool usable = fal_mapping_open(&map, source, NULL) == FAL_OK && map.length <= MAX_COPY_BYTES;
    fal_mapping_release(&map);
    if (usable) status = copy_inside(source, directory, name, err);
    *found = usable;
    fal_free(source);
    return status;
}

static fal_status bring_target(fal_string_builder *out, fal_slice target, const char *from,
                               const char *directory, const char *base_model, bool is_image,
                               fal_error *err) {
    char *path = NULL;
    bool found = true;
    FAL_TRY(fal_link_path(&path, target, err));
    fal_status status = path ? bring_file(&found, from, directory, path, err) : FAL_OK;
    fal_free(path);
    if (status != FAL_OK) return status;
    if (!found && base_model)
        fal_string_append_format(out, "https://huggingface.co/%s/%s/main/", base_model,
                                 is_image ? "resolve" : "blob");
    if (!found && base_model && target.length > 2 && memcmp(target.data, "./", 2) == 0) {
        target.data += 2;
        target.length -= 2;
    }
    fal_string_append(out, target.data, target.length);
    return FAL_OK;
}

fal_status fal_original_bring_files(fal_original *original, const char *from, const char *directory,
                                    const char *base_model, fal_error *err) {
    if (!original->body) return FAL_OK;
    fal_link_walk walk = {.text = fal_slice_of(original->body)};
    fal_string_builder text = {0}, unused = {0};
    fal_link link;
    size_t at = 0;
    fal_slice thumbnail = fal_front_matter_text(original->front, "thumbnail", 0);
    fal_status status = bring_target(&unused, thumbnail, from, directory, NULL, true, err);
    while (status == FAL_OK && fal_link_next(&walk, &link)) {
        size_t begin = (size_t)(link.target.data - original->body);
        fal_string_append(&text, original->body + at, begin - at);
        status = bring_target(&text, link.target, from, directory, base_model, link.is_image, err);
        at = begin + link.target.length;
    }
    fal_string_append_text(&text, original->body + at);
    if (status == FAL_OK) status = fal_string_status(&text, err);
    if (status == FAL_OK) {
        fal_free(original->body);
        original->body = fal_string_take(&text);
    }
    fal_string_release(&text);
    fal_string_release(&unused);
    return status;
}

/* ---- names ---- */

/* The part of a path between "models--" and the next slash, or NULL. */
static const char *cache_name(const char *path, size_t *length) {
    const char *mark = strstr(path, "models--");
    if (!mark || (mark != path && mark[-1] != '/')) return NULL;
    const char *name = mark + strlen("models--");
    *length = strcspn(name, "/");
    const char *dashes = strstr(name, "--");
    bool whole = strncmp(name + *length, "/snapshots/", strlen("/snapshots/")) == 0;
    return whole && dashes && dashes < name + *length ? name : NULL;
}

static bool is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
           || (c && strchr("._-", c));
}

/* In place: other bytes become "-"; dots in front would hide a file. */
static char *tidy(char *name) {
    for (char *c = name; c && *c; c++)
        if (!is_name_byte(*c) || (c == name && *c == '.')) *c = '-';
    if (name && !*name) {
        fal_free(name);
        return fal_copy_string("model", strlen("model"));
    }
    return name;
}

/* Without ".gguf" and a type before it that has a point or dash in front. */
static size_t stem_length(const char *name, size_t length) {
    static const char *const types[] = {"f32", "f16", "bf16"};
    if (length > 5 && memcmp(name + length - 5, ".gguf", 5) == 0) {
        length -= 5;
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            size_t tail = strlen(types[i]);
            if (length > tail + 1 && strncasecmp(name + length - tail, types[i], tail) == 0
                && strchr(".-_", name[length - tail - 1]))
                return length - tail - 1;
        }
    }
    return length;
}

char *fal_model_name_of(const char *path) {
    size_t length = strlen(path);
    const char *in_cache = cache_name(path, &length);
    if (in_cache) {
        const char *owner_end = strstr(in_cache, "--");
        size_t owner = (size_t)(owner_end - in_cache) + 2;
        return tidy(fal_copy_string(in_cache + owner, length - owner));
    }
    length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    size_t begin = length;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    return tidy(fal_copy_string(path + begin, stem_length(path + begin, length - begin)));
}

char *fal_file_name_of(const char *path) {
    const char *base = fal_path_base(path);
    return tidy(fal_copy_string(base, strlen(base)));
}

char *fal_hub_name_of(const char *path) {
    size_t length = 0;
    const char *in_cache = cache_name(path, &length);
    if (!in_cache) return NULL;
    size_t owner = (size_t)(strstr(in_cache, "--") - in_cache);
    char *name = fal_copy_string(in_cache, length);
    if (!name) return NULL;
    name[owner] = '/';
    memmove(name + owner + 1, name + owner + 2, length - owner - 1);
    return name;
}
