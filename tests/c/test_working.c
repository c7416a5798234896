/* Working sets: the conditions of the optimum, in long double, over all types, layouts and subsets; the gap that is claimed; the same bits
 * for any number of threads; faults, interruption, sets that are too small. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "check.h"
#include "faults.h"
#include "working.h"

/* Residuals s (z - y) / sum s of output c (n), and the largest gradient that there could be. */
static void find_residuals(const data *c, const double *w, int64_t output, long double *r, long double *size) {
    int64_t n = c->problem.n, d = c->problem.X.n_cols, k = c->problem.n_outputs;
    long double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++) sum += c->s[i];
    for (int64_t i = 0; i < n; i++) {
        long double z = (long double)w[k * d + output] + c->offset[i * k + output] - c->y[i * k + output];
        for (int64_t j = 0; j < d; j++) z += (long double)w[output * d + j] * c->X[i * d + j];
        r[i] = c->s[i] / sum * z, square += c->s[i] / sum * (z * z + c->y[i * k + output] * c->y[i * k + output]);
    }
    *size = sqrtl(square);
}

static void check_optimum(const data *c, const outcome *o, const char *what) {
    int64_t n = c->problem.n, d = c->problem.X.n_cols, k = c->problem.n_outputs;
    const double *w = o->state.answer;
    double l1 = c->problem.l1, l2 = c->problem.l2;
    long double *r = malloc(sizeof *r * (size_t)n), size;
    if (!r) abort();
    for (int64_t output = 0; output < k; output++) {
        long double bias = 0;
        find_residuals(c, w, output, r, &size);
        for (int64_t i = 0; i < n; i++) bias += r[i];
        CHECK(fabsl(bias) <= 1e-9L * size, "%s: slope of bias %d: %Lg", what, (int)output, bias);
        for (int64_t j = 0; j < d; j++) {
            double v = w[output * d + j];
            long double g = (long double)l2 * v;
            for (int64_t i = 0; i < n; i++) g += r[i] * c->X[i * d + j];
            g = v != 0.0 ? fabsl(g + copysignl(l1, v)) : fmaxl(fabsl(g) - l1, 0);
            CHECK(g <= 1e-5L * l1, "%s: weight %d of output %d at %g, slope %Lg of %g", what, (int)j, (int)output, v, g, l1);
        }
    }
    free(r);
}

static data make(const recipe *r, double share) {
    data c = data_make(r);
    int64_t size = c.size, n_coef = c.problem.n_outputs * c.problem.X.n_cols;
    double *out = room(1 + size), largest = 0.0;
    memset(c.weights, 0, sizeof *c.weights * (size_t)size);
    c.problem.double_lanes = 1;
    evaluate(&c.problem, c.weights, 1, out);
    for (int64_t j = n_coef; j < size; j++) c.weights[j] = -out[1 + j];
    evaluate(&c.problem, c.weights, 1, out);
    for (int64_t j = 0; j < n_coef; j++) largest = fmax(largest, fabs(out[1 + j]));
    memset(c.weights, 0, sizeof *c.weights * (size_t)size);
    c.problem.l1 = share * largest, c.problem.double_lanes = 0;
    free(out);
    return c;
}

static gd_settings tight(int n_threads) {
    gd_settings s = plain_settings(GD_SOLVER_AUTO);
    s.tol = 1e-12, s.max_iter = 100, s.n_threads = n_threads;
    return s;
}

static void layouts(void) {
    for (int type = 0; type < GD_N_TYPES; type++)
        for (int how = 0; how < N_LAYOUTS; how++) {
            recipe r = {.n = 12 + (type * 7 + how * 3) % 31, .d = 401 + how * 9, .k = 1 + how % 2, .type = type, .how = how,
                        .y_type = GD_F64, .loss = gd_loss_squared_error, .subset = how % 2, .weighted = type % 2,
                        .offset_cols = type % 3 ? 1 : 0,
                        .l2 = type % 2 ? 1e-3 * draw_size(type) * draw_size(type) : 0.0, .seed = (uint64_t)(type * 100 + how)};
            data c = make(&r, 0.2);
            gd_settings one = tight(1), three = tight(3);
            outcome o = descend(&c.problem, NULL, &one, NULL, NULL, NULL), again = descend(&c.problem, NULL, &three, NULL, NULL, NULL);
            CHECK(gd_takes_working_sets(&c.problem), "%s", describe(&r));
            CHECK(o.status == GD_OK && o.report.n_iter < 20, "%s: status %d, %d steps", describe(&r), o.status, (int)o.report.n_iter);
            CHECK(outcomes_equal(&o, &again), "%s: other bits on three threads", describe(&r));
            check_optimum(&c, &o, describe(&r));
            outcome_free(&o), outcome_free(&again);
            data_free(&c);
        }
}

/* E - E* is never more than is claimed, wherever the descent is stopped. */
static void gaps(void) {
    recipe r = {.n = 90, .d = 1500, .k = 1, .loss = gd_loss_squared_error, .l2 = 1e-4, .seed = 3};
    data c = make(&r, 0.05);
    gd_settings s = tight(2);
    outcome best = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
    for (s.max_iter = 1; s.max_iter < 9; s.max_iter++) {
        outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
        double left = o.report.error - best.report.error;
        CHECK(o.status == GD_OK && left <= o.report.suboptimality * o.report.error * (1.0 + 1e-9) + 1e-12 * best.report.error,
              "%d steps: %g left, %g claimed", (int)s.max_iter, left, o.report.suboptimality * o.report.error);
        outcome_free(&o);
    }
    outcome_free(&best);
    data_free(&c);
}

static int poll(void *context) { return --*(int *)context < 0; }

static void interruption(void) {
    recipe r = {.n = 90, .d = 4000, .k = 1, .loss = gd_loss_squared_error, .seed = 3};
    data c = make(&r, 0.05);
    gd_settings s = tight(2);
    for (int allowed = 0; allowed < 2; allowed++) {
        int left = allowed;
        gd_hooks hooks = {.poll = poll, .context = &left};
        outcome o = descend(&c.problem, NULL, &s, NULL, &hooks, NULL);
        CHECK(outcome_finite(&o) && (o.status == GD_INTERRUPTED || (o.status == GD_OK && left >= 0)), "status %d", o.status);
        outcome_free(&o);
    }
    data_free(&c);
}

static void memory(int loss, int64_t d) {
    recipe r = {.n = 20, .d = d, .k = 1, .loss = loss, .seed = 3, .subset = 1, .weighted = 1};
    data c = make(&r, 0.05);
    gd_settings s = tight(2);
    int happened = 1;
    s.tol = 1e-3;
    for (long k = 0; happened && k < 1000; k++) {
        fault_allocations(k, 0);
        outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
        happened = fault_happened();
        fault_allocations(-1, 0);
        CHECK(o.status == (happened ? GD_NO_MEMORY : GD_OK), "allocation %ld fails, status %d", k, o.status);
        outcome_free(&o);
    }
    data_free(&c);
}

void test_working(void) {
    layouts();
    gaps();
    interruption();
    memory(gd_loss_squared_error, 420);
    memory(gd_loss_log_loss, 2060);
}
