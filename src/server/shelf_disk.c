/* Body of shelf_disk.h. */
#include "server/shelf_disk.h"

#include "base/alloc.h"
#include "base/fail.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

struct fal_shelf_disk {
    void (*on_done)(void *user);
    void *user;
    pthread_t thread;
    bool has_thread;
    /* Protects what follows; not held while a task is worked on. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    fal_disk_task *first, *done; /* done: in no order */
    fal_disk_task **end;
    size_t n_open; /* tasks requested and not done */
    bool is_closing;
};

bool fal_disk_file_look(const char *path, uint64_t *bytes, double *used_at) {
    struct stat facts;
    if (stat(path, &facts) != 0 || !S_ISREG(facts.st_mode)) return false;
    *bytes = (uint64_t)facts.st_size;
    *used_at = (double)facts.st_mtim.tv_sec + 1e-9 * (double)facts.st_mtim.tv_nsec;
    return true;
}

void fal_disk_folder_hide(const char *path) {
    chmod(path, S_IRWXU);
}

static void work_on(fal_disk_task *task) {
    double used_at;
    task->status = task->is_load ? fal_session_load(task->session, task->path, &task->error)
                                 : fal_session_save(task->session, task->path, &task->error);
    /* The time of a file says when it was last of use, for the next process. */
    if (task->status == FAL_OK && task->is_load) utimensat(AT_FDCWD, task->path, NULL, 0);
    if (!fal_disk_file_look(task->path, &task->file_bytes, &used_at)) task->file_bytes = 0;
}

static void *work(void *argument) {
    fal_shelf_disk *d = argument;
    pthread_mutex_lock(&d->lock);
    for (;;) {
        while (!d->first && !d->is_closing)
            pthread_cond_wait(&d->changed, &d->lock);
        fal_disk_task *task = d->first;
        if (!task) break;
        d->first = task->next;
        if (!d->first) d->end = &d->first;
        pthread_mutex_unlock(&d->lock);
        work_on(task);
        pthread_mutex_lock(&d->lock);
        task->next = d->done;
        d->done = task;
        d->n_open--;
        pthread_cond_broadcast(&d->changed);
        pthread_mutex_unlock(&d->lock);
        d->on_done(d->user);
        pthread_mutex_lock(&d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

fal_status fal_shelf_disk_open(fal_shelf_disk **out, void (*on_done)(void *user), void *user,
                               fal_error *err) {
    *out = NULL;
    fal_shelf_disk *d = fal_alloc(1, sizeof *d);
    if (!d) return fal_fail_memory(err, sizeof *d);
    d->on_done = on_done;
    d->user = user;
    d->end = &d->first;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_create(&d->thread, NULL, work, d);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    d->has_thread = number == 0;
    if (number != 0) {
        fal_shelf_disk_close(d);
        return fal_fail(err, FAL_E_IO, "cannot start the disk thread: %s", strerror(number));
    }
    *out = d;
    return FAL_OK;
}

void fal_shelf_disk_close(fal_shelf_disk *d) {
    if (!d) return;
    pthread_mutex_lock(&d->lock);
    d->is_closing = true;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    if (d->has_thread) pthread_join(d->thread, NULL);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    fal_free(d);
}

void fal_shelf_disk_request(fal_shelf_disk *d, fal_disk_task *task) {
    pthread_mutex_lock(&d->lock);
    task->next = NULL;
    *d->end = task;
    d->end = &task->next;
    d->n_open++;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

fal_disk_task *fal_shelf_disk_done(fal_shelf_disk *d) {
    pthread_mutex_lock(&d->lock);
    fal_disk_task *task = d->done;
    if (task) d->done = task->next;
    pthread_mutex_unlock(&d->lock);
    return task;
}

void fal_shelf_disk_wait(fal_shelf_disk *d) {
    pthread_mutex_lock(&d->lock);
    while (d->n_open > 0)
        pthread_cond_wait(&d->changed, &d->lock);
    pthread_mutex_unlock(&d->lock);
}
