/* Body of torch_file.h: an archive with a pickle, which describes tensors as views of storages, and one stored entry per
 * storage. zip_archive.c knows the archive, pickle.c the pickle; here is what their contents mean. */
#include "formats/torch_file.h"

#include "base/alloc.h"
#include "base/string_builder.h"
#include "formats/pickle.h"
#include "formats/zip_archive.h"

#include <string.h>

enum {
    MAX_DIMS = 4
};

/* What a pickle may refer to; the storages come last, in the order of storage_kinds. */
enum {
    ROW_TENSOR,
    ROW_PARAMETER,
    ROW_SIZE,
    ROW_DICTIONARY,
    ROW_FIRST_STORAGE
};

static const fal_pickle_name allowed[] = {
    [ROW_TENSOR] = {"torch._utils", "_rebuild_tensor_v2", FAL_PICKLE_IS_FUNCTION  },
    [ROW_PARAMETER] = {"torch._utils", "_rebuild_parameter", FAL_PICKLE_IS_FUNCTION  },
    [ROW_SIZE] = {"torch",        "Size",               FAL_PICKLE_IS_FUNCTION  },
    [ROW_DICTIONARY] = {"collections",  "OrderedDict",        FAL_PICKLE_IS_DICTIONARY},
    [ROW_FIRST_STORAGE] = {"torch",        "FloatStorage",       FAL_PICKLE_IS_CLASS     },
    {"torch",        "HalfStorage",        FAL_PICKLE_IS_CLASS     },
    {"torch",        "BFloat16Storage",    FAL_PICKLE_IS_CLASS     },
    {"torch",        "DoubleStorage",      FAL_PICKLE_IS_CLASS     },
    {"torch",        "LongStorage",        FAL_PICKLE_IS_CLASS     },
    {"torch",        "IntStorage",         FAL_PICKLE_IS_CLASS     },
    {"torch",        "ShortStorage",       FAL_PICKLE_IS_CLASS     },
    {"torch",        "CharStorage",        FAL_PICKLE_IS_CLASS     },
    {"torch",        "ByteStorage",        FAL_PICKLE_IS_CLASS     },
    {"torch",        "BoolStorage",        FAL_PICKLE_IS_CLASS     },
};

static const struct {
    int bytes;
    int64_t type_id; /* -1: skipped */
} storage_kinds[] = {
    {4, FAL_TYPE_F32 },
    {2, FAL_TYPE_F16 },
    {2, FAL_TYPE_BF16},
    {8, -1           },
    {8, -1           },
    {4, -1           },
    {2, -1           },
    {1, -1           },
    {1, -1           },
    {1, -1           }
};

typedef struct torch_file {
    const char *file;
    fal_zip_archive *archive;
    fal_pickle *pickle;
    fal_slice prefix; /* of all names of entries, with its slash */
} torch_file;

static const fal_zip_entry *find_entry(const torch_file *f, const char *folder, fal_slice name,
                                       fal_status *status, fal_error *err) {
    fal_string_builder path = {0};
    fal_string_append(&path, f->prefix.data, f->prefix.length);
    fal_string_append_text(&path, folder);
    fal_string_append(&path, name.data, name.length);
    *status = fal_string_status(&path, err);
    const fal_zip_entry *entry = NULL;
    if (*status == FAL_OK) entry = fal_zip_find(f->archive, (fal_slice){path.text, path.length});
    fal_string_release(&path);
    return entry;
}

static bool is_integer(const fal_pickle_value *v) {
    return v && v->kind == FAL_PICKLE_INTEGER && v->number >= 0;
}

/* A tuple of sizes: plain, or as torch.Size with a tuple for its argument. */
static const fal_pickle_value *as_tuple(const torch_file *f, const fal_pickle_value *v) {
    if (v && v->kind == FAL_PICKLE_CALL && v->row == ROW_SIZE) v = fal_pickle_item(f->pickle, v, 0);
    return v && v->kind == FAL_PICKLE_TUPLE ? v : NULL;
}

/* Checks that the view is contiguous and row-major: only then its numbers lie as a checkpoint's tensor promises. */
static fal_status read_shape(const torch_file *f, const fal_pickle_value *call,
                             fal_checkpoint_tensor *t, int64_t *n_numbers, fal_error *err) {
    const fal_pickle_value *sizes = as_tuple(f, fal_pickle_item(f->pickle, call, 2));
    const fal_pickle_value *strides = as_tuple(f, fal_pickle_item(f->pickle, call, 3));
    if (!sizes || !strides || sizes->count != strides->count) {
        return fal_fail(err, FAL_E_FORMAT, "size and stride are no tuples of one length");
    }
    if (sizes->count > MAX_DIMS) {
        return fal_fail(err, FAL_E_UNSUPPORTED, "%d dimensions, at most %d", (int)sizes->count,
                        MAX_DIMS);
    }
    t->n_dims = sizes->count;
    for (int i = 0; i < MAX_DIMS; i++)
        t->shape[i] = 1;
    for (int i = 0; i < t->n_dims; i++) {
        const fal_pickle_value *size = fal_pickle_item(f->pickle, sizes, i);
        if (!is_integer(size)) return fal_fail(err, FAL_E_FORMAT, "size %d is no number", i);
        t->shape[i] = size->number;
    }
    if (!fal_checkpoint_count_numbers(t->shape, t->n_dims, n_numbers)) {
        return fal_fail(err, FAL_E_FORMAT, "the product of the sizes exceeds %lld",
                        (long long)INT64_MAX);
    }
    int64_t expected = 1;
    for (int i = t->n_dims - 1; i >= 0 && *n_numbers > 0; i--) {
        const fal_pickle_value *stride = fal_pickle_item(f->pickle, strides, i);
        if (!is_integer(stride)) return fal_fail(err, FAL_E_FORMAT, "stride %d is no number", i);
        if (t->shape[i] != 1 && stride->number != expected) {
            return fal_fail(err, FAL_E_UNSUPPORTED,
                            "stride %d is %lld where contiguous rows have %lld", i,
                            (long long)stride->number, (long long)expected);
        }
        expected *= t->shape[i];
    }
    return FAL_OK;
}

/* The storage: ('storage', class, key, device, numbers). Its entry, its kind and how many numbers it has. */
static const fal_zip_entry *find_storage(const torch_file *f, const fal_pickle_value *storage,
                                         int *kind, int64_t *n_numbers, fal_status *status,
                                         fal_error *err) {
    if (!storage || storage->kind != FAL_PICKLE_PERSISTENT) {
        *status = fal_fail(err, FAL_E_FORMAT, "it has no storage");
        return NULL;
    }
    const fal_pickle_value *class = fal_pickle_item(f->pickle, storage, 1);
    const fal_pickle_value *key = fal_pickle_item(f->pickle, storage, 2);
    const fal_pickle_value *count = fal_pickle_item(f->pickle, storage, 4);
    if (!class || class->kind != FAL_PICKLE_NAME || class->row < ROW_FIRST_STORAGE || !key
        || key->kind != FAL_PICKLE_TEXT || !is_integer(count)) {
        *status =
            fal_fail(err, FAL_E_FORMAT, "its storage is not described by class, key and size");
        return NULL;
    }
    *kind = class->row - ROW_FIRST_STORAGE;
    *n_numbers = count->number;
    const fal_zip_entry *entry = find_entry(f, "data/", key->text, status, err);
    if (*status != FAL_OK) return NULL;
    if (!entry) {
        *status = fal_fail(err, FAL_E_FORMAT, "its storage is not in the archive");
    } else if (!entry->is_stored) {
        *status = fal_fail(err, FAL_E_UNSUPPORTED, "its storage is compressed");
    } else if ((uint64_t)*n_numbers > entry->bytes / (uint64_t)storage_kinds[*kind].bytes) {
        *status =
            fal_fail(err, FAL_E_FORMAT, "its storage has %lld numbers, the archive's entry %llu",
                     (long long)*n_numbers,
                     (unsigned long long)(entry->bytes / (uint64_t)storage_kinds[*kind].bytes));
    }
    return *status == FAL_OK ? entry : NULL;
}

static fal_status read_tensor(const torch_file *f, const fal_pickle_value *call,
                              fal_checkpoint_tensor *t, fal_error *err) {
    int kind = 0;
    int64_t n_stored = 0, n_numbers = 0;
    fal_status status = FAL_OK;
    const fal_zip_entry *entry =
        find_storage(f, fal_pickle_item(f->pickle, call, 0), &kind, &n_stored, &status, err);
    if (!entry || storage_kinds[kind].type_id < 0) return status;
    FAL_TRY(read_shape(f, call, t, &n_numbers, err));
    const fal_pickle_value *offset = fal_pickle_item(f->pickle, call, 1);
    if (!is_integer(offset)) return fal_fail(err, FAL_E_FORMAT, "its offset is no number");
    if (offset->number > n_stored || n_numbers > n_stored - offset->number) {
        return fal_fail(err, FAL_E_FORMAT, "%lld numbers at %lld of a storage of %lld",
                        (long long)n_numbers, (long long)offset->number, (long long)n_stored);
    }
    uint64_t size = (uint64_t)storage_kinds[kind].bytes;
    t->type = fal_type_by_id((uint32_t)storage_kinds[kind].type_id);
    t->bytes = (uint64_t)n_numbers * size;
    t->data = (const char *)entry->data + (uint64_t)offset->number * size;
    if ((uintptr_t)t->data % size != 0) {
        return fal_fail(err, FAL_E_UNSUPPORTED, "its storage is not aligned to %d bytes",
                        (int)size);
    }
    return FAL_OK;
}

/* The call that makes a tensor, inside the one that makes a parameter of it; NULL: v is something else. */
static const fal_pickle_value *as_tensor(const torch_file *f, const fal_pickle_value *v) {
    if (v->kind == FAL_PICKLE_CALL && v->row == ROW_PARAMETER) v = fal_pickle_item(f->pickle, v, 0);
    return v && v->kind == FAL_PICKLE_CALL && v->row == ROW_TENSOR ? v : NULL;
}

static fal_status list_tensors(const torch_file *f, fal_checkpoint_list *list, fal_error *err) {
    const fal_pickle_value *root = fal_pickle_root(f->pickle), *key, *value;
    if (root->kind != FAL_PICKLE_DICTIONARY)
        return fal_fail(err, FAL_E_FORMAT, "its top is no dictionary");
    size_t n_before = list->count;
    int32_t cursor = root->first;
    while (fal_pickle_next(f->pickle, &cursor, &key)
           && fal_pickle_next(f->pickle, &cursor, &value)) {
        const fal_pickle_value *call = as_tensor(f, value);
        if (!call) continue;
        if (key->kind != FAL_PICKLE_TEXT) {
            return fal_fail(err, FAL_E_FORMAT, "a tensor whose name is no text");
        }
        FAL_TRY(fal_checkpoint_check_name(key->text, err));
        fal_checkpoint_tensor t = {.file = f->file};
        fal_status status = read_tensor(f, call, &t, err);
        if (status == FAL_OK) status = fal_checkpoint_list_add(list, key->text, &t, err);
        if (status != FAL_OK) {
            return fal_add_context(err, status, "tensor '%.*s'", (int)key->text.length,
                                   key->text.data);
        }
    }
    if (list->count == n_before)
        return fal_fail(err, FAL_E_FORMAT, "no tensors at the top of its dictionary");
    return FAL_OK;
}

/* The one entry data.pkl, whose folder holds all others. */
static const fal_zip_entry *find_pickle(torch_file *f, fal_status *status, fal_error *err) {
    static const char suffix[] = "/data.pkl";
    const size_t suffix_bytes = sizeof suffix - 1;
    const fal_zip_entry *pickle = NULL;
    for (int i = 0; i < fal_zip_count(f->archive); i++) {
        const fal_zip_entry *e = fal_zip_at(f->archive, i);
        if (e->name.length <= suffix_bytes
            || memcmp(e->name.data + e->name.length - suffix_bytes, suffix, suffix_bytes) != 0) {
            continue;
        }
        if (pickle) *status = fal_fail(err, FAL_E_FORMAT, "two entries named data.pkl");
        pickle = e;
    }
    if (!pickle) {
        *status = fal_fail(err, FAL_E_FORMAT, "no PyTorch file: the archive has no data.pkl");
        return NULL;
    }
    if (*status == FAL_OK && !pickle->is_stored) {
        *status = fal_fail(err, FAL_E_UNSUPPORTED, "data.pkl is compressed");
    }
    if (*status != FAL_OK) return NULL;
    f->prefix = (fal_slice){pickle->name.data, pickle->name.length - suffix_bytes + 1};
    return pickle;
}

static fal_status check_byte_order(const torch_file *f, fal_error *err) {
    fal_status status;
    const fal_zip_entry *e = find_entry(f, "", fal_slice_of("byteorder"), &status, err);
    if (status != FAL_OK || !e) return status;
    if (e->is_stored && fal_slice_equals((fal_slice){e->data, (size_t)e->bytes}, "little"))
        return FAL_OK;
    return fal_fail(err, FAL_E_UNSUPPORTED, "a byte order other than little-endian");
}

fal_status fal_torch_file_read(fal_checkpoint_list *list, const void *data, size_t length,
                               const char *file, fal_error *err) {
    if (length >= 2 && memcmp(data, "\x80\x02", 2) == 0) {
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "a file of PyTorch before 1.6, which is no archive");
    }
    torch_file f = {.file = file};
    const int n_allowed = (int)(sizeof allowed / sizeof *allowed);
    fal_status status = FAL_OK;
    FAL_TRY_OUT(fal_zip_open(&f.archive, data, length, err));
    const fal_zip_entry *pickle = find_pickle(&f, &status, err);
    if (!pickle) goto out;
    FAL_TRY_OUT(check_byte_order(&f, err));
    FAL_TRY_OUT(
        fal_pickle_read(&f.pickle, pickle->data, (size_t)pickle->bytes, allowed, n_allowed, err));
    status = list_tensors(&f, list, err);
out:
    fal_pickle_close(f.pickle);
    fal_zip_close(f.archive);
    return status;
}
