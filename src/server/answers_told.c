/* Bodies of answers.h that tell: counts, ranks, errors. */
#include "server/answers.h"
#include "server/router.h"

#include <math.h>

size_t fal_answers_n_prompt(const fal_answers *a) {
    size_t n = 0;
    for (size_t i = 0; i < a->n_asked; i++)
        n += a->asked[i].told.count ? a->asked[i].told.count : a->asked[i].tokens.count;
    return n;
}

size_t fal_answers_n_cached(const fal_answers *a) {
    size_t n = 0;
    for (size_t i = 0; i < a->n_asked; i++)
        n += a->asked[i].n_cached;
    return n;
}

size_t fal_answers_n_dropped(const fal_answers *a) {
    size_t n = 0;
    for (size_t i = 0; i < a->n_asked; i++)
        n += a->asked[i].n_dropped + a->asked[i].n_cut;
    return n;
}

size_t fal_answers_n_drawn(const fal_answers *a) {
    size_t n = 0;
    for (size_t i = 0; i < a->n_choices && !a->tells_nothing_drawn; i++)
        n += a->choices[i].n_tokens;
    return n;
}

/* One that had no time to say anything is the worst. */
static double mean_log_probability(const fal_choice *c) {
    return c->n_tokens ? c->sum / (double)c->n_tokens : -HUGE_VAL;
}

/* By insertion: what was drawn first stays in front of its equals. */
void fal_answers_rank(fal_answers *a, size_t asked, fal_choice **best) {
    fal_choice *first = a->choices + asked * (size_t)a->job.n_answers;
    for (int i = 0; i < a->job.n_answers; i++) {
        int k = i;
        while (k > 0 && a->job.n_answers > a->job.n_told
               && mean_log_probability(best[k - 1]) < mean_log_probability(&first[i])) {
            best[k] = best[k - 1];
            k--;
        }
        best[k] = &first[i];
    }
}

fal_told fal_told_at(const fal_told *told, size_t i) {
    return (fal_told){1,
                      told->ids + i,
                      told->log_probabilities ? told->log_probabilities + i : NULL,
                      told->lacks_first && i == 0,
                      told->n_top,
                      told->n_top ? told->top_ids + i * told->n_top : NULL,
                      told->n_top ? told->top_values + i * told->n_top : NULL};
}

fal_told fal_told_of_event(const fal_job_event *e) {
    return (fal_told){1,        &e->token,  &e->log_probability, false,
                      e->n_top, e->top_ids, e->top_values};
}

/* Whoever still listens has not cancelled: it was the server that gave up. */
int fal_answer_code(fal_status status) {
    return status == FAL_E_CANCELLED ? 503 : fal_status_http_code(status);
}

void fal_answer_error(fal_exchange *x, const fal_request *r, const fal_error *err) {
    const fal_route *route = fal_exchange_route_get(x);
    fal_error said = *err;
    if (!r || !route || (!r->offender[0] && !r->n_too_long)) {
        fal_exchange_fail(x, &said);
        return;
    }
    int code = fal_answer_code(err->status);
    json_t *body = route->dialect->error(&code, err->status, err->message);
    json_t *inner = json_object_get(body, "error");
    json_t *place = json_is_object(inner) ? inner : body;
    bool has_param = json_object_get(place, "param") != NULL;
    if (has_param && r->offender[0]) json_object_set_new(place, "param", json_string(r->offender));
    if (has_param && err->status == FAL_E_NOT_FOUND)
        json_object_set_new(place, "code", json_string("model_not_found"));
    if (r->n_too_long) {
        json_object_set_new(place, "n_prompt_tokens", json_integer((json_int_t)r->n_too_long));
        json_object_set_new(place, "n_context", json_integer((json_int_t)r->n_context));
    }
    fal_exchange_answer_json(x, code, body);
}
