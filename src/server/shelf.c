/* Body of shelf.h: a list of timelines, the least recently used of which leaves when there are too many bytes. One that
 * leaves the memory is written to the folder, if there is one; one that leaves the folder is gone. */
#include "server/shelf.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/folder_lock.h"
#include "base/hash.h"
#include "model/identity.h"
#include "runtime/session_file.h"
#include "server/shelf_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FEWEST_TOKENS = 16, /* what is shorter is computed sooner than it is found */
    NAME_SIZE = 64
};

static const char suffix[] = ".timeline";

/* Until a file that could not be read is tried again: memory may be short, a disk be gone, for a while. */
static const double seconds_until_retry = 60;

typedef struct kept {
    struct kept *next;
    uint64_t keyholder;
    int32_t *tokens; /* [count] */
    size_t count;
    uint64_t bytes;       /* in memory */
    fal_session *session; /* NULL: not in memory */
    char *path;           /* NULL: not in the folder */
    uint64_t file_bytes;
    double used_at;
    double
        readable_at;   /* its file could not be read and is not tried before; 0: it was not tried */
    bool is_from_disk; /* its cells were read from the folder */
    bool is_leaving;   /* the memory: it is being written */
    bool is_loading;
    fal_disk_task task;
} kept;

struct fal_shelf {
    fal_shelf_options how;
    fal_model *model;
    kept *first;
    uint64_t leaving_bytes; /* of timelines that are being written */
    size_t n_loading;
    fal_shelf_state state;
    fal_shelf_disk *disk; /* NULL: no folder */
    fal_folder_lock *lock;
    char *folder;
    uint64_t settings; /* hash of model, context and kv_type */
};

size_t fal_same_beginning(const int32_t *a, const int32_t *b, size_t most) {
    size_t n = 0;
    while (n < most && a[n] == b[n])
        n++;
    return n;
}

/* How many tokens of what is wanted k has. */
static size_t n_same(const kept *k, const fal_beginning *wanted) {
    if (k->keyholder != wanted->keyholder) return 0;
    return fal_same_beginning(k->tokens, wanted->tokens,
                              k->count < wanted->count ? k->count : wanted->count);
}

static void say(const fal_shelf *s, const char *what, const fal_error *why) {
    char line[1200];
    if (!s->how.log.function) return;
    snprintf(line, sizeof line, "%s: %s", what, why->message);
    s->how.log.function(s->how.log.user, FAL_LOG_WARNING, "cache", line);
}

/* ---- one timeline ---- */

static uint64_t bytes_of(const fal_shelf *s, size_t count) {
    uint64_t n_vocab = (uint64_t)fal_model_info_get(s->model)->n_vocab;
    return fal_model_kv_bytes(s->model, (int)count, s->how.kv_type) + n_vocab * sizeof(float)
           + count * 2 * sizeof(int32_t);
}

static fal_status open_session(const fal_shelf *s, size_t count, fal_session **out,
                               fal_error *err) {
    fal_session_options o = {.n_context = (int)count, .kv_type = s->how.kv_type};
    return fal_batch_session_open(out, s->how.batch, &o, err);
}

static kept *make_kept(fal_shelf *s, uint64_t keyholder, const int32_t *tokens, size_t count) {
    kept *k = fal_alloc(1, sizeof *k);
    if (!k) return NULL;
    k->tokens = fal_alloc(count, sizeof *k->tokens);
    if (!k->tokens) {
        fal_free(k);
        return NULL;
    }
    memcpy(k->tokens, tokens, count * sizeof *tokens);
    k->keyholder = keyholder;
    k->count = count;
    k->bytes = bytes_of(s, count);
    k->task.owner = k;
    return k;
}

static void come_into_memory(fal_shelf *s, kept *k, fal_session *session) {
    k->session = session;
    k->used_at = fal_seconds();
    s->state.n_in_memory++;
    s->state.memory_bytes += k->bytes;
}

static void leave_memory(fal_shelf *s, kept *k) {
    if (!k->session) return;
    fal_session_close(k->session);
    k->session = NULL;
    s->state.n_in_memory--;
    s->state.memory_bytes -= k->bytes;
}

static void leave_disk(fal_shelf *s, kept *k) {
    if (!k->path) return;
    if (k->file_bytes > 0) {
        fal_file_remove(k->path);
        s->state.n_on_disk--;
        s->state.disk_bytes -= k->file_bytes;
    }
    fal_free(k->path);
    k->path = NULL;
    k->file_bytes = 0;
}

/* Frees one that is in no list; its file stays. */
static void free_kept(fal_shelf *s, kept *k) {
    leave_memory(s, k);
    fal_free(k->path);
    fal_free(k->tokens);
    fal_free(k);
}

static bool is_busy(const kept *k) {
    return k->is_leaving || k->is_loading;
}

/* Forgets one that is not busy, with its file. */
static void forget(fal_shelf *s, kept *k) {
    kept **at = &s->first;
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    leave_disk(s, k);
    free_kept(s, k);
}

/* ---- leaving ---- */

/* Settings, tokens, and the keyholder if there is one. */
static char *path_of(const fal_shelf *s, const kept *k) {
    char name[NAME_SIZE], keyholder[18] = "";
    uint64_t hash = s->settings;
    for (size_t i = 0; i < k->count; i++)
        hash = fal_hash_add(hash, (uint64_t)k->tokens[i]);
    if (k->keyholder)
        snprintf(keyholder, sizeof keyholder, "-%016llx", (unsigned long long)k->keyholder);
    snprintf(name, sizeof name, "%016llx-%016llx%s%s", (unsigned long long)s->settings,
             (unsigned long long)hash, keyholder, suffix);
    return fal_path_join(s->folder, name);
}

/* Has it written by the disk thread. False: it will not be. */
static bool start_writing(fal_shelf *s, kept *k) {
    if (!s->disk || k->file_bytes > 0) return false;
    k->path = path_of(s, k);
    if (!k->path) return false;
    k->is_leaving = true;
    k->task.is_load = false;
    k->task.session = k->session;
    k->task.path = k->path;
    s->leaving_bytes += k->bytes;
    fal_shelf_disk_request(s->disk, &k->task);
    return true;
}

/* The least recently used one that is in memory, or else on disk only; NULL: none. */
static kept *least_used(const fal_shelf *s, bool in_memory) {
    kept *least = NULL;
    for (kept *k = s->first; k; k = k->next) {
        if (is_busy(k) || (k->session != NULL) != in_memory) continue;
        if (!least || k->used_at < least->used_at) least = k;
    }
    return least;
}

/* Whether another one on disk begins with all of it. */
static bool is_contained(const fal_shelf *s, const kept *in) {
    const fal_beginning wanted = {in->keyholder, in->tokens, in->count};
    for (const kept *k = s->first; k; k = k->next) {
        if (k != in && k->file_bytes > 0 && n_same(k, &wanted) == in->count) return true;
    }
    return false;
}

/* What a slow disk cannot take in time is forgotten rather than kept in ever more memory. */
static void make_memory(fal_shelf *s) {
    kept *k;
    while (s->state.memory_bytes - s->leaving_bytes > s->how.memory_bytes
           && (k = least_used(s, true))) {
        bool has_room = s->leaving_bytes <= s->how.memory_bytes / 2;
        if (has_room && !is_contained(s, k) && start_writing(s, k)) continue;
        leave_memory(s, k);
        if (k->file_bytes == 0) forget(s, k);
    }
}

static void make_disk(fal_shelf *s) {
    kept *k;
    while (s->state.disk_bytes > s->how.disk_bytes && (k = least_used(s, false)))
        forget(s, k);
}

/* ---- what the disk thread has done ---- */

static void take_written(fal_shelf *s, kept *k) {
    k->is_leaving = false;
    s->leaving_bytes -= k->bytes;
    leave_memory(s, k);
    if (k->task.status == FAL_OK && k->task.file_bytes > 0) {
        k->file_bytes = k->task.file_bytes;
        s->state.n_on_disk++;
        s->state.disk_bytes += k->file_bytes;
        return;
    }
    say(s, "a timeline is not kept on disk", &k->task.error);
    forget(s, k);
}

static void take_loaded(fal_shelf *s, kept *k) {
    fal_session *session = k->task.session;
    k->is_loading = false;
    s->n_loading--;
    s->state.memory_bytes -= k->bytes;
    bool is_right =
        k->task.status == FAL_OK && fal_session_count(session) == k->count
        && fal_same_beginning(fal_session_tokens(session), k->tokens, k->count) == k->count;
    if (is_right) {
        k->is_from_disk = true;
        come_into_memory(s, k, session);
        return;
    }
    fal_session_close(session);
    if (k->task.status == FAL_OK || k->task.status == FAL_E_FORMAT) {
        if (k->task.status != FAL_OK) say(s, "a stored timeline is of no use", &k->task.error);
        forget(s, k);
        return;
    }
    say(s, "a stored timeline cannot be read now", &k->task.error);
    k->readable_at = fal_seconds() + seconds_until_retry;
}

void fal_shelf_collect(fal_shelf *s) {
    fal_disk_task *task;
    if (!s->disk) return;
    while ((task = fal_shelf_disk_done(s->disk))) {
        if (task->is_load) {
            take_loaded(s, task->owner);
        } else {
            take_written(s, task->owner);
        }
    }
    make_memory(s);
    make_disk(s);
}

/* ---- keep, find, fetch ---- */

/* One that begins with all of these tokens and is in memory, or else one that is just these on disk; NULL: none. */
static kept *find_all(fal_shelf *s, const fal_beginning *wanted) {
    kept *on_disk = NULL;
    for (kept *k = s->first; k; k = k->next) {
        if (n_same(k, wanted) < wanted->count) continue;
        if (k->session) return k;
        if (k->count == wanted->count && !is_busy(k)) on_disk = k;
    }
    return on_disk;
}

static void forget_contained(fal_shelf *s, const kept *in) {
    const fal_beginning all = {in->keyholder, in->tokens, in->count};
    for (kept *k = s->first, *next; k; k = next) {
        next = k->next;
        if (k != in && !is_busy(k) && n_same(k, &all) == k->count) forget(s, k);
    }
}

/* A copy of the timeline in a session that is just large enough; NULL when memory is short. */
static fal_session *copy_of(const fal_shelf *s, const fal_session *timeline) {
    size_t count = fal_session_count(timeline);
    fal_session *session = NULL;
    if (open_session(s, count, &session, NULL) == FAL_OK
        && fal_session_copy(session, timeline, count, NULL) == FAL_OK)
        return session;
    fal_session_close(session);
    return NULL;
}

void fal_shelf_keep(fal_shelf *s, uint64_t keyholder, const fal_session *timeline) {
    const fal_beginning all = {keyholder, fal_session_tokens(timeline),
                               fal_session_count(timeline)};
    if (all.count < FEWEST_TOKENS || bytes_of(s, all.count) > s->how.memory_bytes) return;
    kept *k = find_all(s, &all);
    if (k && k->session) {
        k->used_at = fal_seconds();
        return;
    }
    fal_session *session = copy_of(s, timeline);
    if (session && !k) {
        k = make_kept(s, keyholder, all.tokens, all.count);
        if (k) k->next = s->first, s->first = k;
    }
    if (!session || !k) {
        fal_session_close(session);
        return;
    }
    come_into_memory(s, k, session);
    forget_contained(s, k);
    make_memory(s);
}

const fal_session *fal_shelf_find(fal_shelf *s, const fal_beginning *wanted, size_t *n_found,
                                  bool *is_from_disk) {
    kept *best = NULL;
    *n_found = 0;
    for (kept *k = s->first; k; k = k->next) {
        size_t n = k->session ? n_same(k, wanted) : 0;
        if (n <= *n_found) continue;
        *n_found = n;
        best = k;
    }
    if (!best) return NULL;
    best->used_at = fal_seconds();
    *is_from_disk = best->is_from_disk;
    return best->session;
}

/* Its memory is made before it is taken: many that begin at once stay within the bound. */
static fal_fetch start_reading(fal_shelf *s, kept *k) {
    s->state.memory_bytes += k->bytes;
    make_memory(s);
    bool has_room = s->state.memory_bytes - s->leaving_bytes <= s->how.memory_bytes;
    if (!has_room || open_session(s, k->count, &k->task.session, NULL) != FAL_OK) {
        s->state.memory_bytes -= k->bytes;
        return !has_room && s->n_loading > 0 ? FAL_FETCH_WAITS : FAL_FETCH_NOTHING;
    }
    k->task.is_load = true;
    k->task.path = k->path;
    k->is_loading = true;
    s->n_loading++;
    fal_shelf_disk_request(s->disk, &k->task);
    return FAL_FETCH_READS;
}

fal_fetch fal_shelf_fetch(fal_shelf *s, const fal_beginning *wanted, size_t n_known,
                          bool may_start) {
    kept *best = NULL;
    size_t n_best = n_known + FEWEST_TOKENS - 1;
    double now = fal_seconds();
    for (kept *k = s->first; s->disk && k; k = k->next) {
        bool is_out = k->session || k->readable_at > now || k->bytes > s->how.memory_bytes;
        size_t n = is_out ? 0 : n_same(k, wanted);
        if (n <= n_best) continue;
        n_best = n;
        best = k;
    }
    if (!best) return FAL_FETCH_NOTHING;
    if (best->is_loading) return FAL_FETCH_READS;
    return may_start ? start_reading(s, best) : FAL_FETCH_NOTHING;
}

fal_shelf_state fal_shelf_state_get(const fal_shelf *s) {
    return s->state;
}

/* ---- open and close ---- */

static uint64_t hash_text(uint64_t hash, const char *text) {
    for (; *text; text++)
        hash = fal_hash_add(hash, (unsigned char)*text);
    return hash;
}

/* What cells depend on besides tokens; names of files begin with it. */
static uint64_t hash_settings(const fal_shelf *s) {
    char identity[FAL_SHA256_HEX], context[FAL_CONTEXT_WORDS_SIZE];
    fal_model_identity(s->model, identity);
    fal_model_context_words(s->model, context);
    uint64_t hash = hash_text(hash_text(0, identity), context);
    return hash_text(hash, s->how.kv_type ? s->how.kv_type : "");
}

/* Takes path. Fails: MEMORY. */
static fal_status find_file(fal_shelf *s, uint64_t keyholder, char *path, fal_session *sample,
                            fal_error *err) {
    uint64_t bytes;
    double used_at;
    int32_t *tokens = NULL;
    size_t count = 0;
    fal_error why;
    kept *k = NULL;
    bool is_there = fal_disk_file_look(path, &bytes, &used_at);
    fal_status status =
        is_there ? fal_session_file_tokens(&tokens, &count, path, sample, &why) : FAL_E_NOT_FOUND;
    if (status == FAL_OK && count > 0) k = make_kept(s, keyholder, tokens, count);
    if (status == FAL_E_FORMAT) {
        say(s, "a damaged file is removed", &why);
        fal_file_remove(path);
    }
    bool is_short = status == FAL_E_MEMORY || (status == FAL_OK && count > 0 && !k);
    if (k) {
        k->path = path;
        k->file_bytes = bytes;
        /* Before all that this process will use; the order of the files stays. */
        k->used_at = used_at - 1e12;
        k->next = s->first;
        s->first = k;
        s->state.n_on_disk++;
        s->state.disk_bytes += bytes;
    } else {
        fal_free(path);
    }
    fal_free(tokens);
    return is_short ? fal_fail_memory(err, 0) : FAL_OK;
}

/* What stands behind the hash of the tokens; 0: nothing. */
static uint64_t keyholder_of(const char *rest) {
    const char *at = strchr(rest, '-');
    return at ? strtoull(at + 1, NULL, 16) : 0;
}

/* Of one name: a file of this model, or what a killed process left half written. */
static fal_status look_at_name(fal_shelf *s, const char *name, fal_session *sample,
                               fal_error *err) {
    char own[NAME_SIZE];
    snprintf(own, sizeof own, "%016llx-", (unsigned long long)s->settings);
    if (strncmp(name, own, strlen(own)) != 0) return FAL_OK;
    const char *end = strstr(name, suffix);
    char *path = end ? fal_path_join(s->folder, name) : NULL;
    if (!end) return FAL_OK;
    if (!path) return fal_fail_memory(err, strlen(name));
    if (end[strlen(suffix)] == '\0')
        return find_file(s, keyholder_of(name + strlen(own)), path, sample, err);
    fal_file_remove(path);
    fal_free(path);
    return FAL_OK;
}

static fal_status find_files(fal_shelf *s, fal_session *sample, fal_error *err) {
    fal_names names = {0};
    fal_status status = fal_folder_list(&names, s->folder, "", err);
    for (size_t i = 0; status == FAL_OK && i < names.count; i++)
        status = look_at_name(s, names.items[i], sample, err);
    fal_names_release(&names);
    make_disk(s);
    return status;
}

static fal_status open_folder(fal_shelf *s, fal_session *sample, fal_error *err) {
    s->folder = fal_copy_string(s->how.folder, strlen(s->how.folder));
    if (!s->folder) return fal_fail_memory(err, strlen(s->how.folder));
    bool is_there = fal_file_exists(s->folder);
    FAL_TRY(fal_folder_make(s->folder, err));
    /* It tells what people have asked. */
    if (!is_there) fal_disk_folder_hide(s->folder);
    fal_status status = fal_folder_lock_open(&s->lock, s->folder, err);
    if (status != FAL_OK) return fal_add_context(err, status, "cache folder '%s'", s->folder);
    s->settings = hash_settings(s);
    FAL_TRY(find_files(s, sample, err));
    return fal_shelf_disk_open(&s->disk, s->how.on_news, s->how.user, err);
}

fal_status fal_shelf_open(fal_shelf **out, const fal_shelf_options *o, fal_session *sample,
                          fal_error *err) {
    *out = NULL;
    fal_shelf *s = fal_alloc(1, sizeof *s);
    if (!s) return fal_fail_memory(err, sizeof *s);
    s->how = *o;
    s->model = fal_session_model(sample);
    fal_status status = o->folder ? open_folder(s, sample, err) : FAL_OK;
    if (status != FAL_OK) {
        fal_shelf_close(s);
        return status;
    }
    *out = s;
    return FAL_OK;
}

static void write_all(fal_shelf *s) {
    for (kept *k = s->first; k; k = k->next) {
        if (k->session && !is_busy(k) && !is_contained(s, k)) start_writing(s, k);
    }
    fal_shelf_disk_wait(s->disk);
    fal_shelf_collect(s);
}

void fal_shelf_close(fal_shelf *s) {
    if (!s) return;
    if (s->disk) write_all(s);
    fal_shelf_disk_close(s->disk);
    while (s->first) {
        kept *k = s->first;
        s->first = k->next;
        free_kept(s, k);
    }
    fal_folder_lock_close(s->lock);
    fal_free(s->folder);
    fal_free(s);
}
