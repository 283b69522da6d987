/* The reader of critiques: questions about a passage, answers, what is wrong with them, and better ones. Makes three
 * kinds of examples: the answer, its critique, its refinement.
 * Source: Saunders et al. 2022, and the data published with it. */
#include "base/string_builder.h"
#include "train/readers.h"

#include <string.h>

enum {
    GOOD_RATING = 7 /* of 7: an answer that may be learned, and in which nothing is criticised */
};

/* What an example is made of; texts are borrowed from the record, NULL where there is none. */
typedef struct example {
    fal_intake *intake;
    const char *title, *passage, *question, *answer;
} example;

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text && text[strspn(text, " \t\r\n")] != '\0' ? text : NULL;
}

static void add_part(fal_string_builder *prompt, const char *head, const char *text) {
    if (!text) return;
    if (prompt->length > 0) fal_string_append_text(prompt, "\n\n");
    fal_string_append_text(prompt, head);
    fal_string_append_text(prompt, text);
}

/* Asks for an answer (answer NULL), for a critique of it (critique NULL) or for a better one. */
static fal_status take(const example *e, const char *answer, const char *critique,
                       const char *reply, fal_error *err) {
    fal_string_builder prompt = {0};
    add_part(&prompt, "", e->title);
    add_part(&prompt, "", e->passage);
    add_part(&prompt, "Question: ", e->question);
    add_part(&prompt, "Answer: ", answer);
    add_part(&prompt, "Critique: ", critique);
    if (answer) add_part(&prompt, "", critique ? "Improve the answer." : "Criticise the answer.");
    fal_status status = fal_string_status(&prompt, err);
    if (status == FAL_OK) {
        const fal_message messages[] = {
            {"user",      prompt.text},
            {"assistant", reply      }
        };
        status = fal_intake_conversation(e->intake, messages, 2, 0, err);
    }
    fal_string_release(&prompt);
    return status;
}

static fal_status take_critique(const example *e, const json_t *critique, fal_error *err) {
    const char *text = text_of(critique, "text"), *refinement = text_of(critique, "refinement");
    if (!text) {
        fal_intake_drop(e->intake, "critique without text");
        return FAL_OK;
    }
    FAL_TRY(take(e, e->answer, NULL, text, err));
    return refinement ? take(e, e->answer, text, refinement, err) : FAL_OK;
}

/* An answer, and what its feedback says of it. */
static fal_status take_answer(example *e, const json_t *answer, fal_error *err) {
    const json_t *feedback = json_object_get(answer, "feedback");
    const json_t *critiques = json_object_get(feedback, "critiques");
    const json_t *rating = json_object_get(feedback, "rating");
    bool is_good = json_is_number(rating) && json_number_value(rating) >= GOOD_RATING;
    e->answer = text_of(answer, "answer");
    if (!e->answer || json_is_true(json_object_get(feedback, "skip"))) {
        fal_intake_drop(e->intake, e->answer ? "skipped answer" : "no answer");
        return FAL_OK;
    }
    if (is_good || !json_is_number(rating))
        FAL_TRY(take(e, NULL, NULL, e->answer, err));
    else
        fal_intake_drop(e->intake, "low rating");
    for (size_t i = 0; i < json_array_size(critiques); i++)
        FAL_TRY(take_critique(e, json_array_get(critiques, i), err));
    if (is_good && json_is_array(critiques) && json_array_size(critiques) == 0)
        return take(e, e->answer, NULL, "There is nothing to criticise.", err);
    return FAL_OK;
}

static fal_status take_question(example *e, const json_t *question, fal_error *err) {
    const json_t *answers = json_object_get(question, "answers");
    e->question = text_of(question, "question");
    if (!e->question) {
        fal_intake_drop(e->intake, "no question");
        return FAL_OK;
    }
    if (!json_is_array(answers)) return take_answer(e, question, err); /* one, without feedback */
    for (size_t i = 0; i < json_array_size(answers); i++)
        FAL_TRY(take_answer(e, json_array_get(answers, i), err));
    return FAL_OK;
}

static const json_t *questions_of(const fal_record *record) {
    return json_object_get(json_object_get(record->json, "data"), "questions");
}

bool fal_is_critiques(const fal_record *record) {
    return json_is_array(questions_of(record))
           && json_is_object(json_object_get(json_object_get(record->json, "data"), "passage"));
}

fal_status fal_read_critiques(fal_intake *intake, const fal_record *record, fal_error *err) {
    const json_t *questions = questions_of(record);
    const json_t *passage = json_object_get(json_object_get(record->json, "data"), "passage");
    example e = {
        .intake = intake, .title = text_of(passage, "title"), .passage = text_of(passage, "text")};
    if (!e.passage) return fal_intake_damaged(intake, "a passage without text", err);
    for (size_t i = 0; i < json_array_size(questions); i++)
        FAL_TRY(take_question(&e, json_array_get(questions, i), err));
    return FAL_OK;
}
