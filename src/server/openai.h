/* What the routes of the OpenAI dialect share. */
#ifndef FAL_SERVER_OPENAI_H
#define FAL_SERVER_OPENAI_H

#include "server/answers.h"

#include <jansson.h>

/* What to say where a prompt to continue is too long (fal_answer_form.cut_advice). */
#define FAL_OPENAI_CUT_ADVICE "; truncation: \"auto\" cuts its beginning off"

/* "stop" or "length". */
const char *fal_openai_finish(fal_finish finish);

/* id, object, created, model; owned. choices are taken. */
json_t *fal_openai_head(const fal_answers *a, const char *object, json_t *take_choices);

/* Tokens of prompts and answers, those that were computed before, those that were cut off; owned. */
json_t *fal_openai_usage(const fal_answers *a);

/* Milliseconds and tokens per second, as llama.cpp tells them; owned. */
json_t *fal_openai_timings(const fal_answers *a);

/* The last events of a stream: usage if wanted, [DONE]. */
void fal_openai_end_stream(fal_answers *a, const char *object);

/* A failure inside a stream. */
void fal_openai_fail_stream(fal_answers *a, const fal_error *why);

/* An end token that ended an answer: it is drawn and counted, but no part of what is said. */
bool fal_openai_is_end(const fal_answers *a, int32_t token);

#endif
