/* Body of pickle.h: a stack machine over a table of operations. Values are numbered and kept until the end, containers
 * are chains of cells, so nothing recurses and every operation costs a bounded number of bytes. */
#include "formats/pickle.h"

#include "base/alloc.h"

#include <string.h>

enum {
    MAX_PICKLE_BYTES = 256 << 20,
    MAX_STACK = 1 << 20,
    MAX_NAME_BYTES = 200,
    MIN_PROTOCOL = 2,
    MAX_PROTOCOL = 5,
    NO_CELL = -1,
    MARK = -1 /* on the stack, in place of a value */
};

typedef struct cell {
    int32_t value, next;
} cell;

struct fal_pickle {
    fal_reader reader;
    const fal_pickle_name *allowed;
    int n_allowed;
    fal_pickle_value *values;
    size_t n_values, value_capacity;
    cell *cells;
    size_t n_cells, cell_capacity;
    int32_t *stack;
    size_t n_stack, stack_capacity;
    int32_t *memo; /* MARK: empty */
    size_t n_memo, memo_capacity;
    bool is_done;
    int32_t root;
};

/* ---- values, cells, stack ---- */

static fal_status push_index(fal_pickle *p, int32_t value, fal_error *err) {
    if (p->n_stack >= MAX_STACK)
        return fal_fail(err, FAL_E_LIMIT, "more than %d values on the stack", MAX_STACK);
    if (!fal_grow((void **)&p->stack, &p->stack_capacity, p->n_stack + 1, sizeof *p->stack)) {
        return fal_fail_memory(err, (p->n_stack + 1) * sizeof *p->stack);
    }
    p->stack[p->n_stack++] = value;
    return FAL_OK;
}

/* Every operation makes at most one value, and there are fewer operations than INT32_MAX. */
static fal_status push(fal_pickle *p, fal_pickle_value value, fal_error *err) {
    if (!fal_grow((void **)&p->values, &p->value_capacity, p->n_values + 1, sizeof *p->values)) {
        return fal_fail_memory(err, (p->n_values + 1) * sizeof *p->values);
    }
    p->values[p->n_values++] = value;
    return push_index(p, (int32_t)(p->n_values - 1), err);
}

static fal_status push_kind(fal_pickle *p, fal_pickle_kind kind, int64_t number, fal_error *err) {
    return push(
        p, (fal_pickle_value){.kind = kind, .number = number, .first = NO_CELL, .last = NO_CELL},
        err);
}

/* NULL, with the reason in err, when there is none: FORMAT. */
static fal_pickle_value *pop(fal_pickle *p, fal_error *err) {
    if (p->n_stack == 0 || p->stack[p->n_stack - 1] == MARK) {
        fal_fail(err, FAL_E_FORMAT, "a value is taken where none is on the stack");
        return NULL;
    }
    return &p->values[p->stack[--p->n_stack]];
}

/* How many values lie above the topmost mark. */
static fal_status count_to_mark(const fal_pickle *p, size_t *out, fal_error *err) {
    for (size_t i = p->n_stack; i-- > 0;) {
        if (p->stack[i] != MARK) continue;
        *out = p->n_stack - i - 1;
        return FAL_OK;
    }
    return fal_fail(err, FAL_E_FORMAT, "no mark on the stack");
}

static fal_status append(fal_pickle *p, int32_t container, int32_t item, fal_error *err) {
    if (p->n_cells >= INT32_MAX
        || !fal_grow((void **)&p->cells, &p->cell_capacity, p->n_cells + 1, sizeof *p->cells)) {
        return fal_fail_memory(err, (p->n_cells + 1) * sizeof *p->cells);
    }
    int32_t index = (int32_t)p->n_cells++;
    p->cells[index] = (cell){item, NO_CELL};
    fal_pickle_value *v = &p->values[container];
    if (v->last == NO_CELL) {
        v->first = index;
    } else {
        p->cells[v->last].next = index;
    }
    v->last = index;
    v->count++;
    return FAL_OK;
}

/* Moves the n topmost values of the stack into container, in their order. */
static fal_status move_items(fal_pickle *p, int32_t container, size_t n, fal_error *err) {
    for (size_t i = p->n_stack - n; i < p->n_stack; i++) {
        if (p->stack[i] == MARK)
            return fal_fail(err, FAL_E_FORMAT, "a mark where a value is needed");
        FAL_TRY(append(p, container, p->stack[i], err));
    }
    p->n_stack -= n;
    return FAL_OK;
}

/* ---- operations ---- */

static fal_status make_tuple(fal_pickle *p, size_t n, bool has_mark, fal_error *err) {
    if (n > p->n_stack)
        return fal_fail(err, FAL_E_FORMAT, "a tuple of %zu values, the stack has %zu", n,
                        p->n_stack);
    FAL_TRY(push_kind(p, FAL_PICKLE_TUPLE, 0, err));
    int32_t tuple = p->stack[--p->n_stack];
    FAL_TRY(move_items(p, tuple, n, err));
    if (has_mark) p->n_stack--;
    return push_index(p, tuple, err);
}

/* Adds the n topmost values to the container below them, and below the mark if there is one. */
static fal_status add_items(fal_pickle *p, fal_pickle_kind kind, size_t n, bool has_mark,
                            fal_error *err) {
    if (n + has_mark >= p->n_stack || p->stack[p->n_stack - n - has_mark - 1] == MARK) {
        return fal_fail(err, FAL_E_FORMAT, "items for a container that is not on the stack");
    }
    int32_t container = p->stack[p->n_stack - n - has_mark - 1];
    if (p->values[container].kind != kind) {
        return fal_fail(err, FAL_E_FORMAT, "items for a value that is no %s",
                        kind == FAL_PICKLE_LIST ? "list" : "dictionary");
    }
    if (kind == FAL_PICKLE_DICTIONARY && n % 2 != 0) {
        return fal_fail(err, FAL_E_FORMAT, "a dictionary's key without a value");
    }
    FAL_TRY(move_items(p, container, n, err));
    p->n_stack -= has_mark;
    return FAL_OK;
}

static fal_status memo_put(fal_pickle *p, uint64_t index, fal_error *err) {
    if (p->n_stack == 0 || p->stack[p->n_stack - 1] == MARK) {
        return fal_fail(err, FAL_E_FORMAT, "nothing to remember on the stack");
    }
    /* Writers number from 0 on, with at least one byte for each. */
    if (index >= p->reader.length) {
        return fal_fail(err, FAL_E_LIMIT, "memo entry %llu in a pickle of %zu bytes",
                        (unsigned long long)index, p->reader.length);
    }
    if (!fal_grow((void **)&p->memo, &p->memo_capacity, (size_t)index + 1, sizeof *p->memo)) {
        return fal_fail_memory(err, ((size_t)index + 1) * sizeof *p->memo);
    }
    while (p->n_memo <= index)
        p->memo[p->n_memo++] = MARK;
    p->memo[index] = p->stack[p->n_stack - 1];
    return FAL_OK;
}

static fal_status memo_get(fal_pickle *p, uint64_t index, fal_error *err) {
    if (index >= p->n_memo || p->memo[index] == MARK) {
        return fal_fail(err, FAL_E_FORMAT, "memo entry %llu was never set",
                        (unsigned long long)index);
    }
    return push_index(p, p->memo[index], err);
}

/* Copies name for a message: what is no plain character becomes a question mark. */
static void print_name(char *out, size_t size, fal_slice name) {
    size_t n = name.length < size - 1 ? name.length : size - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(name.data[i] > 0x20 && name.data[i] < 0x7f ? name.data[i] : '?');
    out[n] = '\0';
}

static fal_status push_name(fal_pickle *p, fal_slice module, fal_slice name, fal_error *err) {
    for (int i = 0; i < p->n_allowed; i++) {
        if (!fal_slice_equals(module, p->allowed[i].module)
            || !fal_slice_equals(name, p->allowed[i].name))
            continue;
        return push(p,
                    (fal_pickle_value){
                        .kind = FAL_PICKLE_NAME, .row = i, .first = NO_CELL, .last = NO_CELL},
                    err);
    }
    char printed_module[MAX_NAME_BYTES + 1], printed_name[MAX_NAME_BYTES + 1];
    print_name(printed_module, sizeof printed_module, module);
    print_name(printed_name, sizeof printed_name, name);
    return fal_fail(err, FAL_E_UNSUPPORTED, "it refers to '%s.%s', which is not allowed",
                    printed_module, printed_name);
}

static fal_slice read_line(fal_reader *r) {
    const char *rest = (const char *)r->data + r->position;
    const char *end = memchr(rest, '\n', fal_reader_remaining(r));
    uint64_t length = end ? (uint64_t)(end - rest) + 1 : (uint64_t)fal_reader_remaining(r) + 1;
    fal_slice line = fal_read_slice(r, length);
    if (line.length) line.length--;
    return line;
}

static fal_status op_global(fal_pickle *p, fal_error *err) {
    fal_slice module = read_line(&p->reader), name = read_line(&p->reader);
    FAL_TRY(fal_reader_status(&p->reader, err));
    return push_name(p, module, name, err);
}

static fal_status op_stack_global(fal_pickle *p, fal_error *err) {
    const fal_pickle_value *name = pop(p, err), *module = name ? pop(p, err) : NULL;
    if (!module) return FAL_E_FORMAT;
    if (name->kind != FAL_PICKLE_TEXT || module->kind != FAL_PICKLE_TEXT) {
        return fal_fail(err, FAL_E_FORMAT, "a class whose name is no text");
    }
    return push_name(p, module->text, name->text, err);
}

static fal_status op_reduce(fal_pickle *p, fal_error *err) {
    const fal_pickle_value *arguments = pop(p, err), *callee = arguments ? pop(p, err) : NULL;
    if (!callee) return FAL_E_FORMAT;
    if (callee->kind != FAL_PICKLE_NAME || arguments->kind != FAL_PICKLE_TUPLE) {
        return fal_fail(
            err, FAL_E_FORMAT,
            "a call of a value that is no function, or with arguments that are no tuple");
    }
    const fal_pickle_name *name = &p->allowed[callee->row];
    if (name->use == FAL_PICKLE_IS_CLASS
        || (name->use == FAL_PICKLE_IS_DICTIONARY && arguments->count != 0)) {
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "it calls '%s.%s' with %d arguments, which is not allowed", name->module,
                        name->name, (int)arguments->count);
    }
    fal_pickle_value result = *arguments;
    result.kind = name->use == FAL_PICKLE_IS_DICTIONARY ? FAL_PICKLE_DICTIONARY : FAL_PICKLE_CALL;
    result.row = callee->row;
    return push(p, result, err);
}

static fal_status op_persistent(fal_pickle *p, fal_error *err) {
    const fal_pickle_value *id = pop(p, err);
    if (!id) return FAL_E_FORMAT;
    if (id->kind != FAL_PICKLE_TUPLE)
        return fal_fail(err, FAL_E_FORMAT, "a persistent id that is no tuple");
    fal_pickle_value result = *id;
    result.kind = FAL_PICKLE_PERSISTENT;
    return push(p, result, err);
}

/* Attributes of an object say nothing about its items; they are read and left out. */
static fal_status op_build(fal_pickle *p, fal_error *err) {
    if (!pop(p, err)) return FAL_E_FORMAT;
    if (p->n_stack == 0 || p->stack[p->n_stack - 1] == MARK) {
        return fal_fail(err, FAL_E_FORMAT, "attributes without an object");
    }
    return FAL_OK;
}

static fal_status op_text(fal_pickle *p, fal_pickle_kind kind, uint64_t length, fal_error *err) {
    fal_slice text = fal_read_slice(&p->reader, length);
    FAL_TRY(fal_reader_status(&p->reader, err));
    return push(
        p, (fal_pickle_value){.kind = kind, .text = text, .first = NO_CELL, .last = NO_CELL}, err);
}

/* A signed number of any width; torch writes at most eight bytes. */
static fal_status op_long(fal_pickle *p, fal_error *err) {
    uint8_t n = fal_read_u8(&p->reader);
    if (n > 8)
        return fal_fail(err, FAL_E_UNSUPPORTED, "a number of %u bytes, at most 8", (unsigned)n);
    uint64_t bits = 0;
    uint8_t top = 0;
    for (int i = 0; i < n; i++) {
        top = fal_read_u8(&p->reader);
        bits |= (uint64_t)top << 8 * i;
    }
    if (n > 0 && n < 8 && (top & 0x80)) bits |= ~UINT64_C(0) << 8 * n;
    return push_kind(p, FAL_PICKLE_INTEGER, (int64_t)bits, err);
}

static fal_status op_protocol(fal_pickle *p, fal_error *err) {
    unsigned version = fal_read_u8(&p->reader);
    if (version >= MIN_PROTOCOL && version <= MAX_PROTOCOL) return FAL_OK;
    return fal_fail(err, FAL_E_UNSUPPORTED, "pickle protocol %u, %d to %d are supported", version,
                    MIN_PROTOCOL, MAX_PROTOCOL);
}

static fal_status op_stop(fal_pickle *p, fal_error *err) {
    const fal_pickle_value *root = pop(p, err);
    if (!root) return FAL_E_FORMAT;
    if (p->n_stack != 0 || fal_reader_remaining(&p->reader) != 0) {
        return fal_fail(err, FAL_E_FORMAT, "%zu values and %zu bytes are left behind its end",
                        p->n_stack, fal_reader_remaining(&p->reader));
    }
    p->root = (int32_t)(root - p->values);
    p->is_done = true;
    return FAL_OK;
}

/* The operations that move what lies above a mark. */
static fal_status step_marked(fal_pickle *p, uint8_t operation, fal_error *err) {
    size_t n = 0;
    FAL_TRY(count_to_mark(p, &n, err));
    switch (operation) {
    case 't': return make_tuple(p, n, true, err);
    case 'e': return add_items(p, FAL_PICKLE_LIST, n, true, err);
    default: return add_items(p, FAL_PICKLE_DICTIONARY, n, true, err);
    }
}

static fal_status step_scalar(fal_pickle *p, uint8_t operation, fal_error *err) {
    fal_reader *r = &p->reader;
    switch (operation) {
    case 'N': return push_kind(p, FAL_PICKLE_NONE, 0, err);
    case 0x88: return push_kind(p, FAL_PICKLE_BOOL, 1, err);
    case 0x89: return push_kind(p, FAL_PICKLE_BOOL, 0, err);
    case 'J': return push_kind(p, FAL_PICKLE_INTEGER, (int32_t)fal_read_u32(r), err);
    case 'K': return push_kind(p, FAL_PICKLE_INTEGER, fal_read_u8(r), err);
    case 'M': return push_kind(p, FAL_PICKLE_INTEGER, fal_read_u16(r), err);
    case 0x8a: return op_long(p, err);
    case 'G': fal_read_u64(r); return push_kind(p, FAL_PICKLE_REAL, 0, err);
    case 'X': return op_text(p, FAL_PICKLE_TEXT, fal_read_u32(r), err);
    case 0x8c: return op_text(p, FAL_PICKLE_TEXT, fal_read_u8(r), err);
    case 0x8d: return op_text(p, FAL_PICKLE_TEXT, fal_read_u64(r), err);
    case 'B': return op_text(p, FAL_PICKLE_BYTES, fal_read_u32(r), err);
    case 'C': return op_text(p, FAL_PICKLE_BYTES, fal_read_u8(r), err);
    case 0x8e: return op_text(p, FAL_PICKLE_BYTES, fal_read_u64(r), err);
    default: return fal_fail(err, FAL_E_UNSUPPORTED, "pickle operation 0x%02x", operation);
    }
}

static fal_status step(fal_pickle *p, fal_error *err) {
    fal_reader *r = &p->reader;
    uint8_t operation = fal_read_u8(r);
    FAL_TRY(fal_reader_status(r, err));
    switch (operation) {
    case 0x80: return op_protocol(p, err);
    case 0x95: fal_read_u64(r); return FAL_OK; /* length of a frame, of no use here */
    case '(': return push_index(p, MARK, err);
    case ')': return make_tuple(p, 0, false, err);
    case 0x85: return make_tuple(p, 1, false, err);
    case 0x86: return make_tuple(p, 2, false, err);
    case 0x87: return make_tuple(p, 3, false, err);
    case ']': return push_kind(p, FAL_PICKLE_LIST, 0, err);
    case '}': return push_kind(p, FAL_PICKLE_DICTIONARY, 0, err);
    case 'a': return add_items(p, FAL_PICKLE_LIST, 1, false, err);
    case 's': return add_items(p, FAL_PICKLE_DICTIONARY, 2, false, err);
    case 't':
    case 'e':
    case 'u': return step_marked(p, operation, err);
    case 'q': return memo_put(p, fal_read_u8(r), err);
    case 'r': return memo_put(p, fal_read_u32(r), err);
    case 0x94: return memo_put(p, p->n_memo, err);
    case 'h': return memo_get(p, fal_read_u8(r), err);
    case 'j': return memo_get(p, fal_read_u32(r), err);
    case 'c': return op_global(p, err);
    case 0x93: return op_stack_global(p, err);
    case 'R': return op_reduce(p, err);
    case 'Q': return op_persistent(p, err);
    case 'b': return op_build(p, err);
    case '.': return op_stop(p, err);
    default: return step_scalar(p, operation, err);
    }
}

/* ---- the face ---- */

fal_status fal_pickle_read(fal_pickle **out, const void *data, size_t length,
                           const fal_pickle_name *allowed, int n_allowed, fal_error *err) {
    *out = NULL;
    if (length > MAX_PICKLE_BYTES) {
        return fal_fail(err, FAL_E_LIMIT, "a pickle of %zu bytes, at most %d", length,
                        MAX_PICKLE_BYTES);
    }
    fal_pickle *p = fal_alloc(1, sizeof *p);
    if (!p) return fal_fail_memory(err, sizeof *p);
    p->reader = fal_reader_open(data, length);
    p->allowed = allowed;
    p->n_allowed = n_allowed;
    fal_status status = FAL_OK;
    while (!p->is_done) {
        size_t position = p->reader.position;
        status = step(p, err);
        /* A read past the end gives zeros; whatever they led to, this is the cause. */
        if (p->reader.failed) status = fal_reader_status(&p->reader, err);
        if (status != FAL_OK) {
            fal_add_context(err, status, "pickle, offset %zu", position);
            goto out;
        }
    }
    *out = p;
    p = NULL;
out:
    fal_pickle_close(p);
    return status;
}

void fal_pickle_close(fal_pickle *p) {
    if (!p) return;
    fal_free(p->values);
    fal_free(p->cells);
    fal_free(p->stack);
    fal_free(p->memo);
    fal_free(p);
}

const fal_pickle_value *fal_pickle_root(const fal_pickle *p) {
    return &p->values[p->root];
}

bool fal_pickle_next(const fal_pickle *p, int32_t *cursor, const fal_pickle_value **item) {
    if (*cursor == NO_CELL) return false;
    const cell *c = &p->cells[*cursor];
    *item = &p->values[c->value];
    *cursor = c->next;
    return true;
}

const fal_pickle_value *fal_pickle_item(const fal_pickle *p, const fal_pickle_value *v, int i) {
    int32_t cursor = v->first;
    const fal_pickle_value *item = NULL;
    for (int k = 0; k <= i; k++) {
        if (!fal_pickle_next(p, &cursor, &item)) return NULL;
    }
    return item;
}
