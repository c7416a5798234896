/* The span of the rows: lengths, scores, gradients and weights there and outside, over all types, layouts and subsets; rows that depend
 * on others; the same bits for any number of threads and on AVX2 and AVX-512; interruption. */
#include "span.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "check.h"
#include "run.h"

/* |L L' - X_c X_c'| by the definition, in long double, and c. */
static void check_factor(const gd_span *span, const data *c, const recipe *r, const char *what) {
    int64_t n = c->problem.n, d = r->d;
    for (int64_t j = 0; j < d; j++) {
        long double mean = 0, size = 0;
        for (int64_t i = 0; i < n; i++) mean += c->X[i * d + j] / (long double)n, size += fabs(c->X[i * d + j]) / (long double)n;
        if (!c->problem.fit_intercept) mean = 0;
        CHECK(fabsl(mean - span->center[j]) <= 1e-14L * size, "%s: mean of column %d", what, (int)j);
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t m = 0; m <= i; m++) {
            long double product = 0, size = 0, of_factor = 0;
            for (int64_t j = 0; j < d; j++) {
                long double a = c->X[i * d + j] - (long double)span->center[j], b = c->X[m * d + j] - (long double)span->center[j];
                product += a * b, size += a * a + b * b;
            }
            for (int64_t a = 0; a < span->rank; a++) of_factor += (long double)span->L[i * span->rank + a] * span->L[m * span->rank + a];
            CHECK(fabsl(product - of_factor) <= 1e-12L * size, "%s: product of rows %d and %d: %Lg for %Lg", what, (int)i, (int)m,
                  of_factor, product);
        }
}

/* Weights there and back; E, scores and gradients are the same here and there. */
static void check_weights(gd_span *span, const data *c, const recipe *r, const char *what) {
    int64_t k = r->k, rank = span->rank, n_coef = k * rank, d = r->d;
    double *u = room(2 * (n_coef + k)), *back = u + n_coef + k, *w = room(2 * c->size), *gradient = w + c->size, *g = room(n_coef + k);
    double size = draw_size(r->type), here, there, top = 0.0;
    dice roll_of = {7};
    for (int64_t j = 0; j < n_coef + k; j++) u[j] = roll_between(&roll_of, -1.0, 1.0) / (j < n_coef ? size * sqrt((double)d) : 1.0);
    CHECK(gd_span_to_weights(span, 1, u, w) == GD_OK && gd_span_from_weights(span, w, back) == GD_OK, "%s: weights", what);
    for (int64_t j = 0; j < n_coef; j++) top = fmax(top, fabs(u[j]));
    for (int64_t j = 0; j < n_coef + k; j++)
        CHECK(fabs(back[j] - u[j]) <= 1e-9 * fmax(top, j < n_coef ? 0.0 : 1.0), "%s: weight %d", what, (int)j);
    CHECK(fabs(gd_norm(k * d, w) - gd_norm(n_coef, u)) <= 1e-9 * gd_norm(n_coef, u), "%s: length", what);
    gd_problem wide = c->problem;
    wide.double_lanes = 1;
    CHECK(gd_error_and_gradient(&wide, w, w + k * d, 1, NULL, &here, gradient, gradient + k * d) == GD_OK, "%s", what);
    CHECK(gd_error_and_gradient(&span->problem, u, u + n_coef, 1, NULL, &there, g, g + n_coef) == GD_OK, "%s", what);
    CHECK(fabs(here - there) <= 1e-10 * fabs(here), "%s: E %g for %g", what, there, here);
    if (wide.fit_intercept)
        CHECK(fabs(gd_norm(c->size, gradient) - gd_span_norm(span, g)) <= 1e-8 * gd_norm(c->size, gradient),
              "%s: length of the gradient", what);
    free(u), free(w), free(g);
}

static void check_span(const recipe *r, int fit_intercept) {
    data c = data_make(r);
    c.problem.fit_intercept = fit_intercept;
    gd_span span, again;
    int usable, usable_again;
    char what[200];
    snprintf(what, sizeof what, "%s", describe(r));
    CHECK(gd_span_init(&span, &c.problem, 1, NULL, &usable) == GD_OK && usable, "%s", what);
    check_factor(&span, &c, r, what);
    check_weights(&span, &c, r, what);
    CHECK(gd_span_init(&again, &c.problem, 3, NULL, &usable_again) == GD_OK && usable_again && again.rank == span.rank, "%s: again", what);
    CHECK(bits_equal(again.L, span.L, r->n * span.rank), "%s: other bits on three threads", what);
    gd_span_free(&again);
    double *on[2] = {NULL, NULL};
    for (int i = 0; i < N_ISAS; i++) {
        if (!has_isa(isas[i])) continue;
        gd_init(isas[i]);
        CHECK(gd_span_init(&again, &c.problem, 2, NULL, &usable_again) == GD_OK && usable_again && again.rank == span.rank,
              "%s: %s", what, isas[i]);
        check_factor(&again, &c, r, what);
        double **kept = strcmp(isas[i], "avx2") == 0 ? &on[0] : strcmp(isas[i], "avx512") == 0 ? &on[1] : NULL;
        if (kept) memcpy(*kept = room(r->n * span.rank), again.L, sizeof **kept * (size_t)(r->n * span.rank));
        gd_span_free(&again);
    }
    gd_init(NULL);
    CHECK(!on[0] || !on[1] || bits_equal(on[0], on[1], r->n * span.rank), "%s: AVX2 and AVX-512 differ", what);
    free(on[0]), free(on[1]);
    gd_span_free(&span);
    data_free(&c);
}

static void layouts(void) {
    for (int type = 0; type < GD_N_TYPES; type++)
        for (int how = 0; how < N_LAYOUTS; how++) {
            recipe r = {.n = 5 + (type * 7 + how * 3) % 31, .d = 60 + how * 33, .k = 1 + how % 3, .type = type, .how = how,
                        .y_type = GD_F64, .loss = gd_loss_squared_error, .subset = how % 2, .weighted = type % 2,
                        .offset_cols = type % 3 ? 1 : 0, .l2 = 0.1,
                        .seed = (uint64_t)(type * 100 + how)};
            check_span(&r, how % 3 != 1);
        }
}

/* More rows than a block, more columns than a part has. */
static void sizes(void) {
    static const int64_t shapes[][2] = {{1, 3}, {2, 9}, {33, 40}, {64, 257}, {300, 900}};
    for (int i = 0; i < 5; i++) {
        recipe r = {.n = shapes[i][0], .d = shapes[i][1], .k = 1, .loss = gd_loss_log_loss, .l2 = 0.1, .seed = 5};
        check_span(&r, i > 0 && i % 2);
    }
}

/* Rows that are others, their negatives, their sums, and 0; values that overflow, vanish or are none. */
static void dependent(void) {
    enum { N = 24, D = 70, RANK = 10 };
    double *X = room(N * D), y = 0.0;
    dice d = {3};
    for (int64_t i = 1; i < N; i++) /* row 0 is 0 */
        for (int64_t j = 0; j < D; j++)
            X[i * D + j] = i <= RANK ? roll_between(&d, -1.0, 1.0) * pow(10.0, (double)(i % 5)) : i == 15 ? 0.0
                           : i == 16 ? X[D + j] + X[2 * D + j] : (i % 2 ? -2.0 : 1.0) * X[(1 + i % RANK) * D + j];
    gd_problem p = {.X = {(const char *)X, N, D, 8 * D, 8, .type = GD_F64}, .y = {.data = (const char *)&y, .n_rows = N, .n_cols = 1},
                    .n = N, .n_outputs = 1};
    gd_span span;
    int usable;
    CHECK(gd_span_init(&span, &p, 2, NULL, &usable) == GD_OK && usable && span.rank == RANK, "rank %d", (int)span.rank);
    gd_span_free(&span);
    static const double spoilt[] = {NAN, INFINITY, 1e200, 0.0, 1e-160};
    for (int i = 0; i < 5; i++) {
        X[5] = spoilt[i];
        for (int64_t j = 0; i > 2 && j < N * D; j++) X[j] = j % 3 ? 0.0 : spoilt[i];
        CHECK(gd_span_init(&span, &p, 2, NULL, &usable) == GD_OK && !usable, "values of %g", spoilt[i]);
        gd_span_free(&span);
    }
    free(X);
}

static int refuse(void *context) {
    (void)context;
    return 1;
}

static void interruption(void) {
    recipe r = {.n = 200, .d = 3000, .k = 1, .loss = gd_loss_log_loss, .l2 = 0.1, .seed = 5};
    data c = data_make(&r);
    gd_hooks hooks = {.poll = refuse};
    gd_settings settings = plain_settings(GD_SOLVER_AUTO);
    for (int threads = 1; threads < 4; threads += 2) {
        gd_span span;
        int usable;
        CHECK(gd_span_init(&span, &c.problem, threads, &hooks, &usable) == GD_INTERRUPTED, "span, %d threads", threads);
        gd_span_free(&span);
        settings.n_threads = threads;
        outcome o = descend(&c.problem, NULL, &settings, NULL, &hooks, NULL);
        CHECK(o.status == GD_INTERRUPTED && outcome_finite(&o), "descent, %d threads: status %d", threads, o.status);
        outcome_free(&o);
    }
    data_free(&c);
}

void test_span(void) {
    layouts();
    sizes();
    dependent();
    interruption();
}
