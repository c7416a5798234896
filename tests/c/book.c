#include "book.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/rng.h"
#include "check.h"
#include "naive.h"

const char *const isas[N_ISAS] = {"baseline", "avx2", "avx512"};

int has_isa(const char *name) { return strstr(gd_available_isas(), name) != NULL; }

double lane_eps(const gd_problem *problem) {
    int type = problem->X.type;
    int floats = type == GD_F32 || type == GD_F16 || type == GD_U8 || type == GD_I8 || type == GD_U16 || type == GD_I16;
    if (problem->X.indptr) floats = floats && problem->loss == gd_loss_log_loss && !problem->softmax; /* the loss, not the lanes */
    return floats && !problem->double_lanes ? 4e-6 : 1e-13;
}

gd_status evaluate(const gd_problem *problem, const double *weights, int n_threads, double *out) {
    int64_t n_coef = problem->X.n_cols * problem->n_outputs;
    return gd_error_and_gradient(problem, weights, weights + n_coef, n_threads, NULL, out, out + 1, out + 1 + n_coef);
}

int bits_equal(const double *a, const double *b, int64_t n) { return !memcmp(a, b, sizeof *a * (size_t)n); }

double *room(int64_t count) {
    double *memory = calloc((size_t)count, sizeof *memory);
    if (!memory) abort();
    return memory;
}

const char *describe(const recipe *r) {
    static char text[200];
    snprintf(text, sizeof text, "%s%s n %d d %d k %d type %d layout %d y type %d layout %d codes %d weighted %d subset %d offset %d sparse %d l1 %g seed %d, %s",
             gd_loss_name(r->loss), r->softmax ? " softmax" : "", (int)r->n, (int)r->d, (int)r->k, r->type, r->how, r->y_type,
             r->y_how, r->codes, r->weighted, r->subset, r->offset_cols, r->sparse, r->l1, (int)r->seed, gd_isa_name());
    return text;
}

void check_pass(const recipe *r) {
    data c = data_make(r);
    naive_sums expected = naive_evaluate(&c, c.weights, lane_eps(&c.problem));
    double *out = room(c.size + 1), *wide = room(c.size + 1);
    for (int i = 0; i < N_ISAS; i++) {
        if (!has_isa(isas[i])) continue;
        gd_init(isas[i]);
        gd_status status = evaluate(&c.problem, c.weights, 1, out);
        CHECK(status == GD_OK, "status %d, %s", status, describe(r));
        CHECK(fabs(out[0] - expected.error) <= expected.slack, "error %.17g, expected %.17g, %s", out[0], expected.error, describe(r));
        for (int64_t j = 0; j < c.size; j++)
            if (!(fabs(out[1 + j] - expected.gradient[j]) <= expected.slacks[j])) {
                CHECK(0, "gradient[%d] %.17g, expected %.17g +- %.2g, %s", (int)j, out[1 + j], expected.gradient[j],
                      expected.slacks[j], describe(r));
                break;
            }
        if (i == 1) memcpy(wide, out, sizeof *out * (size_t)(c.size + 1));
        if (i == 2) CHECK(bits_equal(out, wide, c.size + 1), "AVX2 and AVX-512 differ, %s", describe(r));
    }
    gd_init(NULL);
    free(out), free(wide);
    naive_free(&expected);
    data_free(&c);
}

/* ---- the rules, by the book ------------------------------------------------------------------------------------ */

typedef struct book { double *w, *v, *g2, *mean; int64_t t; } book; /* weights, velocity, squares, mean, updates done */

static double shrunk(double w, double by) { return fabs(w) <= by ? 0.0 : w > 0.0 ? w - by : w + by; }

static double bounded(const data *c, int64_t j, double w) {
    if (j >= c->size - c->problem.n_outputs) return w;
    if (c->problem.lower) w = fmax(w, c->problem.lower[j]);
    return c->problem.upper ? fmin(w, c->problem.upper[j]) : w;
}

static double book_rate(const gd_settings *s, const data *c, int64_t t) {
    double alpha = c->problem.l2 + c->problem.l1;
    if (s->schedule == GD_INVSCALING) return s->eta0 / pow((double)t, s->power_t);
    if (s->schedule != GD_OPTIMAL) return s->eta0;
    double typical = sqrt(1.0 / sqrt(alpha)); /* Bottou's heuristic, as in scikit-learn's _plain_sgd */
    double slope = (double)naive_loss(c->problem.loss, -typical, 1.0, c->problem.loss_param).slope;
    double start = 1.0 / (typical / fmax(1.0, slope) * alpha);
    return 1.0 / (alpha * (start + (double)t - 1.0));
}

/* Iterates u with u' = prox(look - eta g(look)). The ball that rolls on: w = u, look = u + m (u - u_before), but g at u. Nesterov's:
 * w = look = u + m (u - u_before). v = u - u_before; a bound that holds w back holds v back. */
static void book_momentum(const gd_settings *s, const data *c, int64_t j, double eta, double g, book *b) {
    double m = s->momentum, l1 = j < c->size - c->problem.n_outputs ? c->problem.l1 : 0.0, *w = &b->w[j], *v = &b->v[j];
    double u = s->nesterov ? *w - m * *v : *w, look = s->nesterov ? *w : *w + m * *v;
    double next = bounded(c, j, shrunk(look - eta * g, eta * l1));
    *v = next - u;
    *w = bounded(c, j, s->nesterov ? next + m * *v : next);
    if (s->nesterov && *w != next + m * *v) *v = (*w - next) / m;
}

static void book_update(const gd_settings *s, const data *c, const double *g, book *b) {
    double eta = book_rate(s, c, ++b->t), t = (double)b->t;
    int64_t n_coef = c->problem.X.n_cols * c->problem.n_outputs;
    for (int64_t j = 0; j < c->size; j++) {
        double *w = &b->w[j], rate = eta;
        switch (s->solver) {
        case GD_SOLVER_ADAGRAD:
            b->g2[j] += g[j] * g[j];
            rate = eta / (sqrt(b->g2[j]) + 1e-10);
            *w -= rate * g[j];
            break;
        case GD_SOLVER_RMSPROP:
            b->g2[j] = 0.9 * b->g2[j] + 0.1 * g[j] * g[j];
            rate = eta / (sqrt(b->g2[j]) + 1e-8);
            *w -= rate * g[j];
            break;
        case GD_SOLVER_ADAM:
            b->v[j] = s->beta_1 * b->v[j] + (1.0 - s->beta_1) * g[j];
            b->g2[j] = s->beta_2 * b->g2[j] + (1.0 - s->beta_2) * g[j] * g[j];
            rate = eta * sqrt(1.0 - pow(s->beta_2, t)) / (1.0 - pow(s->beta_1, t)) / (sqrt(b->g2[j]) + 1e-8);
            *w -= rate * b->v[j];
            break;
        default: book_momentum(s, c, j, eta, g[j], b);
        }
        if (j < n_coef && s->solver > GD_SOLVER_SGD) *w = bounded(c, j, shrunk(*w, rate * c->problem.l1));
        if (s->average && b->t >= s->average) b->mean[j] += (*w - b->mean[j]) / (double)(b->t - s->average + 1);
    }
}

/* Every epoch: rows in their order, batch by batch. */
static void book_descend(const gd_settings *s, const data *c, book *b) {
    int64_t n = c->problem.n, batch = s->solver == GD_SOLVER_GD || !s->batch_size ? n : s->batch_size;
    int64_t *order = calloc((size_t)n, sizeof *order);
    double *g = room(c->size);
    if (!order) abort();
    for (int64_t epoch = 0; epoch < s->max_iter; epoch++) {
        gd_shuffle shuffle;
        gd_shuffle_start(&shuffle, n, s->seed, epoch);
        if (s->shuffle) gd_shuffle_next(&shuffle, n, order);
        else
            for (int64_t i = 0; i < n; i++) order[i] = i;
        for (int64_t at = 0; at < n; at += batch) {
            naive_batch(c, order, at, at + batch < n ? batch : n - at, b->w, g);
            book_update(s, c, g, b);
        }
    }
    free(order), free(g);
}

void check_rule_on(const data *c, const recipe *r, const gd_settings *s) {
    book b = {room(c->size), room(c->size), room(c->size), room(c->size), 0};
    for (int64_t j = 0; j < c->size - c->problem.n_outputs; j++) b.w[j] = bounded(c, j, 0.0);
    data known = *c;
    if (known.problem.weight_mean == 0.0)
        for (int64_t i = 0; i < c->problem.n; i++) known.problem.weight_mean += c->s[i] / (double)c->problem.n;
    book_descend(s, &known, &b);
    outcome o = descend(&c->problem, NULL, s, NULL, NULL, NULL);
    const double *expected = s->average && b.t >= s->average ? b.mean : b.w;
    CHECK(o.status == GD_OK && o.state.t == b.t, "status %d, %d updates", o.status, (int)o.state.t);
    double worst = 0.0, zeros = 0.0;
    for (int64_t j = 0; j < c->size; j++) {
        worst = fmax(worst, fabs(o.state.answer[j] - expected[j]) / (0.1 + fabs(expected[j])));
        zeros += r->l1 > 0.0 && (o.state.answer[j] == 0.0) != (expected[j] == 0.0);
    }
    CHECK(worst < 1e-8 && zeros == 0.0, "%s solver %d schedule %d momentum %g nesterov %d batch %d shuffle %d average %d l1 %g l2 %g eta %g d %d k %d sparse %d: off by %g",
          gd_loss_name(r->loss), s->solver, s->schedule, s->momentum, s->nesterov, (int)s->batch_size, s->shuffle, (int)s->average, r->l1, r->l2, s->eta0,
          (int)r->d, (int)r->k, r->sparse, worst);
    CHECK(o.report.n_iter == s->max_iter && o.report.loss.size == s->max_iter && o.report.reason == GD_STOP_MAX_ITER, "%d epochs", (int)o.report.n_iter);
    naive_sums at_end = naive_evaluate(c, o.state.answer, 1e-12);
    CHECK(fabs(o.report.error - at_end.error) <= at_end.slack, "error %g at the end, expected %g", o.report.error, at_end.error);
    naive_free(&at_end);
    outcome_free(&o);
    free(b.w), free(b.v), free(b.g2), free(b.mean);
}

void check_rule(const recipe *r, const gd_settings *s) {
    data c = data_make(r);
    check_rule_on(&c, r, s);
    if (c.problem.n <= s->batch_size || !s->batch_size) { /* steps on all rows, unless the mean weight is that of others */
        c.problem.weight_mean = 0.0;
        check_rule_on(&c, r, s);
    }
    data_free(&c);
}
