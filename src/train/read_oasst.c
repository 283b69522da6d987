/* Readers of OpenAssistant's trees, nested or as single messages. Each path from the root to an answer that no further
 * answer follows is a conversation; a message that is left out takes what hangs on it along.
 * Source: the export of Open-Assistant, and the rules that its own fine-tuning reads it by. */
#include "base/string_map.h"
#include "train/readers.h"

#include <string.h>

enum {
    MAX_TURNS = 256 /* of a path */
};

/* The path that the walk is at. */
typedef struct walk {
    fal_intake *intake;
    fal_message path[MAX_TURNS];
    int n_turns;
} walk;

static const char *text_of(const json_t *message, const char *key) {
    return json_string_value(json_object_get(message, key));
}

/* ---- trees ---- */

/* Why an answer is not among the best of its question; NULL: it is. */
static const char *find_rank_fault(const walk *w, const json_t *message, size_t n_siblings) {
    int best = w->intake->source->top_answers;
    const json_t *rank = json_object_get(message, "rank");
    if (best <= 0 || n_siblings < 2) return NULL;
    if (!json_is_integer(rank)) return "no rank";
    return json_integer_value(rank) < best ? NULL : "low rank";
}

/* Why a message is left out; NULL: it stays. */
static const char *find_fault(const walk *w, const json_t *message, size_t n_siblings) {
    const char *language = w->intake->source->language, *lang = text_of(message, "lang");
    const char *role = fal_role_by_name(text_of(message, "role"));
    bool is_answer = w->n_turns % 2 == 1;
    if (json_is_true(json_object_get(message, "deleted"))) return "deleted";
    if (json_is_true(json_object_get(message, "synthetic"))) return "synthetic";
    if (json_is_false(json_object_get(message, "review_result"))) return "failed review";
    if (language && lang && strcmp(lang, language) != 0) return "other language";
    if (!role) return "unknown role";
    if (strcmp(role, is_answer ? "assistant" : "user") != 0) return "roles do not alternate";
    if (w->n_turns == MAX_TURNS) return "too many turns";
    return is_answer ? find_rank_fault(w, message, n_siblings) : NULL;
}

static fal_status visit(walk *w, const json_t *message, size_t n_siblings, int *n_paths,
                        fal_error *err);

/* Walks on from a message that stays; *n_paths grows by the paths through it. */
static fal_status visit_replies(walk *w, const json_t *message, int *n_paths, fal_error *err) {
    const json_t *replies = json_object_get(message, "replies");
    int n_longer = 0;
    for (size_t i = 0; i < json_array_size(replies); i++)
        FAL_TRY(visit(w, json_array_get(replies, i), json_array_size(replies), &n_longer, err));
    if (n_longer == 0 && w->n_turns % 2 == 0) {
        FAL_TRY(fal_intake_conversation(w->intake, w->path, (size_t)w->n_turns, 0, err));
        n_longer = 1;
    }
    if (w->n_turns == 1 && json_array_size(replies) == 0) fal_intake_drop(w->intake, "no answer");
    *n_paths += n_longer;
    return FAL_OK;
}

static fal_status visit(walk *w, const json_t *message, size_t n_siblings, int *n_paths,
                        fal_error *err) {
    if (!text_of(message, "text") || !text_of(message, "role"))
        return fal_intake_damaged(w->intake, "a message without text or role", err);
    const char *fault = find_fault(w, message, n_siblings);
    if (fault) {
        fal_intake_drop(w->intake, fault);
        return FAL_OK;
    }
    w->path[w->n_turns++] = (fal_message){.role = fal_role_by_name(text_of(message, "role")),
                                          .content = text_of(message, "text")};
    FAL_TRY(visit_replies(w, message, n_paths, err));
    w->n_turns--;
    return FAL_OK;
}

static fal_status walk_tree(fal_intake *intake, const json_t *root, fal_error *err) {
    walk w = {.intake = intake};
    int n_paths = 0;
    return visit(&w, root, 1, &n_paths, err);
}

bool fal_is_oasst_trees(const fal_record *record) {
    return text_of(record->json, "message_tree_id")
           && json_is_object(json_object_get(record->json, "prompt"));
}

fal_status fal_read_oasst_trees(fal_intake *intake, const fal_record *record, fal_error *err) {
    const char *state = text_of(record->json, "tree_state");
    if (state && strcmp(state, "ready_for_export") != 0) {
        fal_intake_drop(intake, "tree is not ready");
        return FAL_OK;
    }
    return walk_tree(intake, json_object_get(record->json, "prompt"), err);
}

/* ---- messages ---- */

bool fal_is_oasst_messages(const fal_record *record) {
    return text_of(record->json, "message_tree_id") && text_of(record->json, "message_id")
           && text_of(record->json, "role");
}

/* Hangs a message on the one before it that it replies to; an orphan is counted. */
static fal_status hang(fal_intake *intake, json_t *messages, int32_t parent, json_t *message,
                       fal_error *err) {
    if (parent < 0) {
        fal_intake_drop(intake, "no parent");
        return FAL_OK;
    }
    json_t *above = json_array_get(messages, (size_t)parent);
    if (!json_is_array(json_object_get(above, "replies"))
        && json_object_set_new(above, "replies", json_array()) != 0)
        return fal_fail_memory(err, 0);
    if (json_array_append(json_object_get(above, "replies"), message) != 0)
        return fal_fail_memory(err, 0);
    return FAL_OK;
}

/* Makes trees of messages, parents first: no message can come to hang on itself. */
static fal_status build_trees(fal_intake *intake, json_t *messages, fal_string_map *places,
                              fal_error *err) {
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *message = json_array_get(messages, i);
        const char *parent = text_of(message, "parent_id");
        if (parent)
            FAL_TRY(hang(intake, messages, fal_string_map_find(places, fal_slice_of(parent)),
                         message, err));
        bool is_added;
        FAL_TRY(fal_string_map_add(places, fal_slice_of(text_of(message, "message_id")), (int32_t)i,
                                   &is_added, err));
    }
    return FAL_OK;
}

fal_status fal_read_oasst_messages(fal_intake *intake, const fal_record *record, fal_error *err) {
    json_t *messages = record->json;
    fal_string_map *places = fal_string_map_open(json_array_size(messages));
    if (!places) return fal_fail_memory(err, 0);
    fal_status status = build_trees(intake, messages, places, err);
    fal_string_map_close(places);
    for (size_t i = 0; status == FAL_OK && i < json_array_size(messages); i++) {
        const json_t *message = json_array_get(messages, i);
        if (!text_of(message, "parent_id")) status = walk_tree(intake, message, err);
    }
    return status;
}
