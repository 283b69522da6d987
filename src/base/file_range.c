/* Body of file_range.h for Linux: FICLONERANGE, else copy_file_range, else read and write. */
#define _GNU_SOURCE /* copy_file_range */
#include "base/file_range.h"

#include "base/alloc.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    PLAIN_PIECE = 1 << 20,
    SYSTEM_PIECE = 1 << 26
};

/* A copy on its way. */
typedef struct copy {
    int from, to;
    uint64_t at, to_at, left, total;
    const fal_copy_progress *progress;
    char *buffer;
} copy;

static fal_status write_at(int file, uint64_t at, const char *bytes, size_t length,
                           const char *path, fal_error *err) {
    while (length > 0) {
        ssize_t n = pwrite(file, bytes, length, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fal_fail_errno(err, "cannot write", path);
        bytes += n;
        at += (uint64_t)n;
        length -= (size_t)n;
    }
    return FAL_OK;
}

fal_status fal_file_overwrite(const char *path, uint64_t at, const void *data, size_t length,
                              fal_error *err) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return fal_fail_errno(err, "cannot open for writing", path);
    fal_status status = write_at(file, at, data, length, path, err);
    if (status == FAL_OK && fsync(file) != 0) status = fal_fail_errno(err, "cannot sync", path);
    if (close(file) != 0 && status == FAL_OK) status = fal_fail_errno(err, "cannot close", path);
    return status;
}

fal_status fal_file_unlink(const char *path, fal_error *err) {
    if (unlink(path) != 0) return fal_fail_errno(err, "cannot remove", path);
    fal_file_sync_folder(path);
    return FAL_OK;
}

uint64_t fal_file_block_bytes(const char *path) {
    enum {
        USUAL = 4096,
        LEAST = 512,
        MOST = 1 << 20
    };

    struct statvfs facts;
    if (statvfs(path, &facts) != 0) return USUAL;
    uint64_t bytes = facts.f_bsize;
    return bytes >= LEAST && bytes <= MOST && (bytes & (bytes - 1)) == 0 ? bytes : USUAL;
}

static void advance(copy *c, uint64_t n) {
    c->at += n;
    c->to_at += n;
    c->left -= n;
}

static fal_status report(const copy *c, fal_error *err) {
    if (!c->progress || !c->progress->function) return FAL_OK;
    if (c->progress->function(c->progress->user, c->total - c->left, c->total)) return FAL_OK;
    return fal_fail(err, FAL_E_CANCELLED, "stopped after copying %llu of %llu bytes",
                    (unsigned long long)(c->total - c->left), (unsigned long long)c->total);
}

/* Copies n bytes by reading and writing. */
static fal_status copy_plainly(copy *c, uint64_t n, fal_error *err) {
    if (!c->buffer) c->buffer = fal_alloc(PLAIN_PIECE, 1);
    if (!c->buffer) return fal_fail_memory(err, PLAIN_PIECE);
    while (n > 0) {
        FAL_TRY(report(c, err));
        size_t wanted = n < PLAIN_PIECE ? (size_t)n : PLAIN_PIECE;
        ssize_t got = pread(c->from, c->buffer, wanted, (off_t)c->at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fal_fail_errno(err, "cannot read", "the file to copy");
        if (got == 0)
            return fal_fail(err, FAL_E_FORMAT, "the file ends at %llu, %llu bytes early",
                            (unsigned long long)c->at, (unsigned long long)c->left);
        FAL_TRY(write_at(c->to, c->to_at, c->buffer, (size_t)got, "the copy", err));
        advance(c, (uint64_t)got);
        n -= (uint64_t)got;
    }
    return FAL_OK;
}

/* Shares all whole blocks, which only the file system can tell whether it can. */
static bool clone_blocks(copy *c, uint64_t block) {
    uint64_t length = c->left;
    off_t end = lseek(c->from, 0, SEEK_END);
    /* What ends inside a block can be shared only at the end of the file. */
    if (end < 0 || (uint64_t)end != c->at + length) length -= length % block;
    if (length == 0) return false;
    struct file_clone_range range = {.src_fd = c->from,
                                     .src_offset = c->at,
                                     .src_length = length == c->left ? 0 : length,
                                     .dest_offset = c->to_at};
    if (ioctl(c->to, FICLONERANGE, &range) != 0) return false;
    advance(c, length);
    return true;
}

/* False: the system cannot, or not any more; what is left is to be copied in another way. */
static bool copy_by_system(copy *c, fal_status *status, fal_error *err) {
    while (c->left > 0) {
        *status = report(c, err);
        if (*status != FAL_OK) return true;
        off_t at = (off_t)c->at, to_at = (off_t)c->to_at;
        size_t piece = c->left < SYSTEM_PIECE ? (size_t)c->left : SYSTEM_PIECE;
        ssize_t n = copy_file_range(c->from, &at, c->to, &to_at, piece, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        advance(c, (uint64_t)n);
    }
    return true;
}

static fal_status copy_all(copy *c, fal_copy_way *way, fal_error *err) {
    struct statvfs facts;
    uint64_t block = fstatvfs(c->to, &facts) == 0 && facts.f_bsize ? facts.f_bsize : 4096;
    uint64_t head = (block - c->at % block) % block;
    *way = FAL_COPY_CLONED;
    if (c->left > head && (c->to_at + head) % block == 0) {
        FAL_TRY(copy_plainly(c, head, err));
        if (clone_blocks(c, block)) return copy_plainly(c, c->left, err);
    }
    *way = FAL_COPY_SYSTEM;
    fal_status status = FAL_OK;
    if (copy_by_system(c, &status, err)) return status;
    *way = FAL_COPY_PLAIN;
    return copy_plainly(c, c->left, err);
}

fal_status fal_range_copy(int from, uint64_t at, int to, uint64_t to_at, uint64_t length,
                          const fal_copy_progress *progress, fal_copy_way *way, fal_error *err) {
    copy c = {from, to, at, to_at, length, length, progress, NULL};
    fal_status status = copy_all(&c, way, err);
    fal_free(c.buffer);
    return status;
}

void fal_mapped_range_forget(const void *data, size_t length) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)data + page - 1) / page * page,
              end = ((uintptr_t)data + length) / page * page;
    /* posix_madvise does nothing with this advice on Linux. */
    if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}
