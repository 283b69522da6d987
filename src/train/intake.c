/* Body of intake.h: tokens, what of them counts, duplicates and the report. What is too long is overlong.c's. */
#include "train/intake.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "text/chat.h"
#include "train/overlong.h"

#include <string.h>

fal_status fal_intake_init(fal_intake *in, fal_error *err) {
    bool was_there;
    for (int64_t i = 0; i < in->out->count; i++)
        FAL_TRY(fal_seen_add(&in->seen, in->out->items[i].hash, &was_there, err));
    return FAL_OK;
}

void fal_intake_release(fal_intake *in) {
    fal_seen_release(&in->seen);
    fal_tokens_release(&in->tokens);
    fal_tokens_release(&in->owners);
    fal_free(in->parts);
    in->parts = NULL;
}

/* ---- the report ---- */

void fal_intake_drop(fal_intake *in, const char *reason) {
    fal_source_report *report = in->report;
    int i = 0;
    while (i < report->n_reasons && strcmp(report->dropped[i].reason, reason) != 0)
        i++;
    if (i == FAL_DROP_REASONS) return; /* the readers have fewer */
    if (i == report->n_reasons) {
        report->dropped[i].reason = reason;
        report->dropped[i].count = 0;
        report->dropped[i].first_record = in->record;
        report->n_reasons++;
    }
    report->dropped[i].count++;
}

fal_status fal_intake_damaged(fal_intake *in, const char *reason, fal_error *err) {
    if (in->reading->is_strict)
        return fal_fail(err, FAL_E_FORMAT, "'%s': line %lld: %s", in->source->path,
                        (long long)in->record, reason);
    fal_intake_drop(in, reason);
    return FAL_OK;
}

/* ---- one document ---- */

static uint64_t hash_tokens(const fal_tokens *tokens) {
    uint64_t hash = fal_hash_add(0, tokens->count);
    for (size_t i = 0; i < tokens->count; i++)
        hash = fal_hash_add(hash, (uint32_t)tokens->ids[i]);
    return hash;
}

/* Whether the prompts of an example count too: of a share of all examples, and of the same ones in every run. */
static bool has_counted_prompts(const fal_intake *in, uint64_t hash) {
    if (!in->has_prompt_share) return false;
    double place = (double)(fal_hash_add(in->reading->seed, hash) >> 11) * 0x1p-53;
    return place < in->reading->prompt_share;
}

static fal_status append_token(fal_intake *in, int32_t id, int32_t owner, fal_error *err) {
    FAL_TRY(fal_tokens_append(&in->tokens, &id, 1, err));
    return fal_tokens_append(&in->owners, &owner, 1, err);
}

static fal_status begin_document(fal_intake *in, fal_error *err) {
    in->tokens.count = in->owners.count = 0;
    const fal_tokenizer *t = in->reading->tokenizer;
    int32_t bos = fal_tokenizer_bos(t);
    return fal_tokenizer_adds_bos(t) && bos >= 0 ? append_token(in, bos, -1, err) : FAL_OK;
}

static int32_t end_of_text(const fal_tokenizer *t) {
    int32_t id = fal_tokenizer_control_id(t, "<|endoftext|>");
    return id >= 0 ? id : fal_tokenizer_eos(t);
}

static fal_status make_parts(fal_intake *in, fal_error *err) {
    if (!fal_grow((void **)&in->parts, &in->part_capacity, in->tokens.count + 1, 1))
        return fal_fail_memory(err, in->tokens.count);
    return FAL_OK;
}

static void count_document(fal_intake *in) {
    fal_source_report *report = in->report;
    report->n_kept++;
    report->n_tokens += (int64_t)in->tokens.count;
    for (size_t i = 1; i < in->tokens.count; i++)
        report->n_loss_tokens[in->parts[i]]++;
}

static bool teaches_something(const fal_intake *in) {
    for (size_t i = 1; i < in->tokens.count; i++) {
        if (in->parts[i] != FAL_LOSS_NONE) return true;
    }
    return false;
}

/* Appends the document at hand, unless there is a reason not to. */
static fal_status finish_document(fal_intake *in, uint64_t hash, const fal_cut *cut,
                                  fal_error *err) {
    int min_tokens = in->source->min_tokens > 0 ? in->source->min_tokens : 2;
    if (in->tokens.count < (size_t)min_tokens) {
        fal_intake_drop(in, "too short");
        return FAL_OK;
    }
    bool was_there;
    FAL_TRY(fal_seen_add(&in->seen, hash, &was_there, err));
    if (was_there) {
        fal_intake_drop(in, "duplicate");
        return FAL_OK;
    }
    if (!fal_overlong_fit(in->overlong, in->reading->sequence_length, in->reading->tokenizer, cut,
                          &in->tokens, in->parts)) {
        fal_intake_drop(in, "too long");
        return FAL_OK;
    }
    if (!teaches_something(in)) {
        fal_intake_drop(in, "nothing counts");
        return FAL_OK;
    }
    FAL_TRY(fal_documents_append(in->out, in->tokens.ids, in->parts, (int64_t)in->tokens.count,
                                 in->number, in->record, hash, err));
    count_document(in);
    return FAL_OK;
}

/* ---- text ---- */

fal_status fal_intake_text(fal_intake *in, fal_slice text, fal_error *err) {
    if (!fal_utf8_is_valid(text.data, text.length)) {
        fal_intake_drop(in, "not UTF-8");
        return FAL_OK;
    }
    int32_t end = end_of_text(in->reading->tokenizer);
    FAL_TRY(begin_document(in, err));
    FAL_TRY(fal_tokenizer_encode(in->reading->tokenizer, text.data, text.length,
                                 FAL_SPECIALS_AS_TEXT, &in->tokens, NULL, err));
    if (end >= 0) FAL_TRY(fal_tokens_append(&in->tokens, &end, 1, err));
    FAL_TRY(make_parts(in, err));
    memset(in->parts, FAL_LOSS_TEXT, in->tokens.count);
    fal_cut cut = {.begin = 0, .end = in->tokens.count};
    return finish_document(in, hash_tokens(&in->tokens), &cut, err);
}

/* ---- conversations ---- */

const char *fal_role_by_name(const char *name) {
    static const char *const roles[][2] = {
        {"system",    "system"   },
        {"user",      "user"     },
        {"human",     "user"     },
        {"prompter",  "user"     },
        {"assistant", "assistant"},
        {"gpt",       "assistant"},
        {"model",     "assistant"},
    };
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(roles[i][0], name) == 0) return roles[i][1];
    }
    return NULL;
}

static bool is_role(const fal_message *message, const char *role) {
    return message->role && strcmp(message->role, role) == 0;
}

static bool is_blank(const char *text) {
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* Why a conversation is of no use; NULL: it is. *n_messages becomes the number of those up to the last answer. */
static const char *find_fault(const fal_message *messages, size_t *n_messages) {
    size_t first = *n_messages > 0 && is_role(&messages[0], "system") ? 1 : 0, n_used = 0;
    for (size_t i = 0; i < *n_messages; i++) {
        if (!messages[i].role) return "unknown role";
        if (i < first) continue;
        const char *expected = (i - first) % 2 == 0 ? "user" : "assistant";
        if (!is_role(&messages[i], expected)) return "roles do not alternate";
        if (is_blank(messages[i].content)) return "empty message";
        if ((i - first) % 2 == 1) n_used = i + 1;
    }
    if (n_used == 0) return "no answer";
    *n_messages = n_used;
    return NULL;
}

/* The last answer ends with a control token of the format, or else with the end of text. Answers in between have only what
 * the format puts there, as when a model is asked: their stop word is how the next message begins. */
static fal_status end_last_answer(fal_intake *in, int32_t last, fal_error *err) {
    const fal_tokenizer *t = in->reading->tokenizer;
    for (size_t i = in->tokens.count; i-- > 0 && in->owners.ids[i] == last;) {
        if (fal_tokenizer_is_control(t, in->tokens.ids[i])) return FAL_OK;
    }
    int32_t end = end_of_text(t);
    return end >= 0 ? append_token(in, end, last, err) : FAL_OK;
}

/* The part of each token, by the message that it belongs to. */
static void weigh_messages(fal_intake *in, const fal_message *messages, bool prompts_count) {
    for (size_t i = 0; i < in->tokens.count; i++) {
        int32_t owner = in->owners.ids[i];
        fal_loss_part prompt = prompts_count ? FAL_LOSS_PROMPT : FAL_LOSS_NONE;
        in->parts[i] = (uint8_t)(owner < 0                                ? FAL_LOSS_NONE
                                 : is_role(&messages[owner], "assistant") ? FAL_LOSS_ANSWER
                                                                          : prompt);
    }
}

/* The tokens of the longest prompt, of which the middle may be cut; without its end token. */
static fal_cut find_cut(const fal_intake *in, const fal_message *messages, size_t n_fixed) {
    fal_cut longest = {.n_fixed = n_fixed};
    for (size_t begin = 0, end; begin < in->owners.count; begin = end) {
        int32_t owner = in->owners.ids[begin];
        for (end = begin; end < in->owners.count && in->owners.ids[end] == owner; end++) {
        }
        if (owner < 0 || is_role(&messages[owner], "assistant")) continue;
        if (end - begin > longest.end - longest.begin) {
            longest.begin = begin;
            longest.end = end;
        }
    }
    while (longest.end > longest.begin
           && fal_tokenizer_is_control(in->reading->tokenizer, in->tokens.ids[longest.end - 1]))
        longest.end--;
    return longest;
}

fal_status fal_intake_conversation(fal_intake *in, const fal_message *messages, size_t n_messages,
                                   size_t n_fixed, fal_error *err) {
    const char *fault = find_fault(messages, &n_messages);
    if (fault) {
        fal_intake_drop(in, fault);
        return FAL_OK;
    }
    FAL_TRY(begin_document(in, err));
    FAL_TRY(fal_chat_render_owned(in->reading->chat_format, in->reading->tokenizer, messages,
                                  n_messages, &in->tokens, &in->owners, err));
    FAL_TRY(end_last_answer(in, (int32_t)n_messages - 1, err));
    FAL_TRY(make_parts(in, err));
    uint64_t hash = hash_tokens(&in->tokens);
    weigh_messages(in, messages, has_counted_prompts(in, hash));
    fal_cut cut = find_cut(in, messages, n_fixed);
    return finish_document(in, hash, &cut, err);
}
