/* Body of rope.h: every method of rope_methods.def, in double precision. D is the head dimension, s the factor, L the
 * trained context.
 *
 * Sources: position interpolation, arXiv:2306.15595; YaRN and NTK, arXiv:2309.00071; NTK-Margin and NTK-YaRN, the model
 * card of Alfred-40B-1023. */
#include "model/rope.h"

#include <math.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

static void plain_frequencies(const fal_rope_input *in, double base, double *frequency) {
    for (int i = 0; i < in->n_dims / 2; i++)
        frequency[i] = pow(base, -2.0 * i / in->n_dims);
}

static void raise_base(const fal_rope_input *in, double factor, double *frequency, double *base) {
    *base = in->base * pow(factor, (double)in->n_dims / (in->n_dims - 2));
    plain_frequencies(in, *base, frequency);
}

static double yarn_gain(double factor) {
    return factor > 1 ? 1 + 0.1 * log(factor) : 1;
}

static void none(const fal_rope_input *in, double *frequency, double *base, double *gain) {
    (void)gain;
    *base = in->base;
    plain_frequencies(in, in->base, frequency);
}

static void linear(const fal_rope_input *in, double *frequency, double *base, double *gain) {
    none(in, frequency, base, gain);
    for (int i = 0; i < in->n_dims / 2; i++)
        frequency[i] /= in->factor;
}

static void ntk(const fal_rope_input *in, double *frequency, double *base, double *gain) {
    (void)gain;
    raise_base(in, in->factor, frequency, base);
}

static void ntk_margin(const fal_rope_input *in, double *frequency, double *base, double *gain) {
    (void)gain;
    raise_base(in, in->factor + 1, frequency, base);
}

static void ntk_yarn(const fal_rope_input *in, double *frequency, double *base, double *gain) {
    ntk_margin(in, frequency, base, gain);
    *gain = yarn_gain(in->factor);
}

/* The pair that turns `turns` times within the trained context. */
static double pair_of_turns(const fal_rope_input *in, double turns) {
    return in->n_dims * log(in->trained_context / (turns * 2 * PI)) / (2 * log(in->base));
}

/* The ramp is linear in the pair's index, as in the released YaRN code and all readers of GGUF files; the paper's own is
 * linear in turns. */
static void ntk_by_parts(const fal_rope_input *in, double *frequency, double *base, double *gain) {
    none(in, frequency, base, gain);
    double low = fmax(floor(pair_of_turns(in, in->beta_fast)), 0);
    double high = fmin(ceil(pair_of_turns(in, in->beta_slow)), in->n_dims - 1);
    double width = fmax(high - low, 0.001);
    for (int i = 0; i < in->n_dims / 2; i++) {
        double interpolated = fmin(fmax((i - low) / width, 0), 1);
        frequency[i] *= interpolated / in->factor + (1 - interpolated);
    }
}

static void yarn(const fal_rope_input *in, double *frequency, double *base, double *gain) {
    ntk_by_parts(in, frequency, base, gain);
    *gain = yarn_gain(in->factor);
}

static void dynamic_ntk(const fal_rope_input *in, double *frequency, double *base, double *gain) {
    (void)gain;
    double stretch = (double)in->context_now / in->trained_context;
    raise_base(in, stretch > 1 ? in->factor * stretch - (in->factor - 1) : 1, frequency, base);
}

static const fal_rope_method methods[] = {
#define FAL_ROPE_METHOD(name, function, meaning) {name, function, meaning},
#include "model/rope_methods.def"
#undef FAL_ROPE_METHOD
};

int fal_rope_method_count(void) {
    return (int)(sizeof methods / sizeof methods[0]);
}

const fal_rope_method *fal_rope_method_at(int index) {
    return &methods[index];
}

const fal_rope_method *fal_rope_method_by_name(const char *name) {
    for (int i = 0; i < fal_rope_method_count(); i++) {
        if (strcmp(methods[i].name, name) == 0) return &methods[i];
    }
    return NULL;
}

bool fal_rope_method_is_dynamic(const fal_rope_method *method) {
    return method->function == dynamic_ntk;
}

static fal_status check_input(const fal_rope_input *in, fal_error *err) {
    if (in->n_dims < 4 || in->n_dims % 2 != 0 || in->n_dims > 65536)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "rope: head dimension %d, even and between 4 and 65536 is possible",
                        in->n_dims);
    if (!(in->base > 1 && in->base <= 1e15))
        return fal_fail(err, FAL_E_ARGUMENT, "rope: base %g, between 1 and 1e15 is possible",
                        in->base);
    if (!(in->factor >= 1 && in->factor <= 1e6))
        return fal_fail(err, FAL_E_ARGUMENT, "rope: factor %g, between 1 and 1e6 is possible",
                        in->factor);
    if (in->trained_context < 1)
        return fal_fail(err, FAL_E_ARGUMENT, "rope: trained context %d, at least 1 is needed",
                        in->trained_context);
    if (!(in->beta_slow > 0 && in->beta_fast > in->beta_slow))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "rope: beta_fast %g and beta_slow %g, 0 < beta_slow < beta_fast is needed",
                        in->beta_fast, in->beta_slow);
    if (!(in->attention_factor > 0 && in->attention_factor < 1e3))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "rope: attention factor %g, between 0 and 1000 is possible",
                        in->attention_factor);
    return FAL_OK;
}

fal_status fal_rope_compute(const fal_rope_method *method, const fal_rope_input *in,
                            double *frequency, double *base, double *gain, fal_error *err) {
    fal_rope_input whole = *in;
    if (whole.factor == 0) whole.factor = 1;
    if (whole.beta_fast == 0) whole.beta_fast = 32;
    if (whole.beta_slow == 0) whole.beta_slow = 1;
    if (whole.attention_factor == 0) whole.attention_factor = 1;
    FAL_TRY(check_input(&whole, err));
    if (whole.context_now == 0)
        whole.context_now = (int)fmin(whole.trained_context * whole.factor, 1e9);
    double base_in_force = whole.base, gain_in_force = 1;
    method->function(&whole, frequency, &base_in_force, &gain_in_force);
    if (base) *base = base_in_force;
    if (gain) *gain = gain_in_force * whole.attention_factor;
    return FAL_OK;
}
