/* Votes of blind comparisons: kept one by one, counted per pair. */
#include "base/alloc.h"
#include "server/store_private.h"

#include <string.h>

/* The words of a vote, borrowed from its JSON. */
typedef struct ballot {
    const char *winner, *system, *prompt, *answer_a, *answer_b;
    int64_t created;
} ballot;

static fal_status read_ballot(ballot *out, const json_t *vote, fal_error *err) {
    static const char *const winners[] = {"a", "b", "tie", "neither"};
    FAL_TRY(fal_store_text_of(vote, "winner", 10, "", &out->winner, err));
    FAL_TRY(fal_store_text_of(vote, "system", FAL_STORE_MAX_TEXT, "", &out->system, err));
    FAL_TRY(fal_store_text_of(vote, "prompt", FAL_STORE_MAX_TEXT, "", &out->prompt, err));
    FAL_TRY(fal_store_text_of(vote, "answer_a", FAL_STORE_MAX_TEXT, "", &out->answer_a, err));
    FAL_TRY(fal_store_text_of(vote, "answer_b", FAL_STORE_MAX_TEXT, "", &out->answer_b, err));
    FAL_TRY(fal_store_number_of(vote, "created", fal_store_now(), &out->created, err));
    for (size_t i = 0; i < sizeof winners / sizeof winners[0]; i++)
        if (strcmp(winners[i], out->winner) == 0) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT, "'winner' is none of a, b, tie, neither");
}

/* A pair has one order whichever way it was shown: what is first by its bytes is a. */
static void put_in_order(ballot *b, char **first, char **second) {
    if (strcmp(*first, *second) <= 0) return;
    char *swapped = *first;
    *first = *second;
    *second = swapped;
    const char *answer = b->answer_a;
    b->answer_a = b->answer_b;
    b->answer_b = answer;
    if (strcmp(b->winner, "a") == 0)
        b->winner = "b";
    else if (strcmp(b->winner, "b") == 0)
        b->winner = "a";
}

fal_status fal_store_add_vote(fal_store *s, const json_t *vote, fal_error *err) {
    ballot b;
    char *first = NULL, *second = NULL;
    fal_status status = FAL_OK;
    if (!json_is_object(vote)) return fal_fail(err, FAL_E_ARGUMENT, "a vote is not an object");
    FAL_TRY_OUT(read_ballot(&b, vote, err));
    FAL_TRY_OUT(fal_store_object_of(vote, "a", &first, err));
    FAL_TRY_OUT(fal_store_object_of(vote, "b", &second, err));
    if (!first || !second) {
        status = fal_fail(err, FAL_E_ARGUMENT, "a vote lacks '%s'", first ? "b" : "a");
        goto out;
    }
    put_in_order(&b, &first, &second);
    status = fal_store_run(s, FAL_STORE_ADD_VOTE, err, "ttttttti", first, second, b.winner,
                           b.system, b.prompt, b.answer_a, b.answer_b, b.created);
out:
    fal_free(first);
    fal_free(second);
    return status;
}

json_t *fal_store_vote_row(sqlite3_stmt *row) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "a",
                     fal_store_column_object(row, 0), "b", fal_store_column_object(row, 1),
                     "winner", fal_store_column_text(row, 2), "system",
                     fal_store_column_text(row, 3), "prompt", fal_store_column_text(row, 4),
                     "answer_a", fal_store_column_text(row, 5), "answer_b",
                     fal_store_column_text(row, 6), "created", fal_store_column_number(row, 7));
}

static json_t *pair_row(sqlite3_stmt *row) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "a", fal_store_column_object(row, 0),
                     "b", fal_store_column_object(row, 1), "a_wins",
                     fal_store_column_number(row, 2), "b_wins", fal_store_column_number(row, 3),
                     "ties", fal_store_column_number(row, 4), "neither",
                     fal_store_column_number(row, 5), "updated", fal_store_column_number(row, 6));
}

fal_status fal_store_votes(fal_store *s, json_t **out, fal_error *err) {
    json_t *pairs = json_array();
    fal_status status = fal_store_collect(s, FAL_STORE_PAIRS, pair_row, pairs, err, "");
    *out = json_pack("{s:o}", "pairs", pairs);
    if (status == FAL_OK && !*out) status = fal_fail_memory(err, 0);
    if (status != FAL_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}
