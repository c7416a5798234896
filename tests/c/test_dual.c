/* Kernels of the dual descent: products with rows and columns at once, slopes along a line, over outputs, subsets and instruction sets,
 * by the definition; descents with the same bits for any number of threads and on AVX2 and AVX-512. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "check.h"
#include "descend.h"
#include "engine.h"
#include "turned.h"

static gd_turned turned(gd_engine *engine) {
    gd_turned X = {0};
    int usable = 0;
    CHECK(gd_turn(engine, &X, &usable) == GD_OK && usable, "turned");
    X.center = room(X.d);
    for (int64_t j = 0; j < X.d; j++) X.center[j] = 0.1 * (double)(j % 5) - 0.2;
    return X;
}

/* w = (X - c)'A + a w0 and X w, strip by strip, in two parts of columns, beside a double loop. */
static void check_products(gd_engine *engine, const data *c, const gd_turned *X, int starts, const char *what) {
    int64_t k = c->problem.n_outputs, n = c->problem.n, d = X->d, lanes = k == 1 ? 1 : GD_LANES_D, rows = n + starts;
    int64_t strips = (k + lanes - 1) / lanes, size = strips * rows * lanes;
    double *A = room(2 * size), *Z = A + size, *start = room(2 * k * d), *coef = start + k * d, sum[GD_LANES_D], sums[2 * GD_LANES_D];
    dice roll_of = {3};
    for (int64_t o = 0; o < k; o++) {
        for (int64_t i = 0; i < rows; i++) A[gd_strip_place(rows, lanes, o, i)] = roll_between(&roll_of, -1.0, 1.0);
        for (int64_t j = 0; j < d; j++) start[o * d + j] = roll_between(&roll_of, -1.0, 1.0);
    }
    for (int64_t s = 0; s < strips; s++) {
        int64_t outputs = gd_min(lanes, k - s * lanes);
        const double *a = A + s * rows * lanes;
        memset(sum, 0, sizeof sum), memset(sums, 0, sizeof sums);
        for (int64_t i = 0; i < n * lanes; i++) sum[i % lanes] += a[i];
        gd_strip strip = {.A = a, .sum = sum, .Z = Z + s * rows * lanes, .start = starts ? start + s * lanes * d : NULL,
                          .coef = coef + s * lanes * d, .n_rows = rows, .outputs = outputs, .along = sums, .square = sums + lanes};
        engine->kernels->strip_products(X, lanes, &strip, 0, d / 3);
        engine->kernels->strip_products(X, lanes, &strip, d / 3, d);
        for (int64_t o = s * lanes; o < s * lanes + outputs; o++) {
            long double along = 0, square = 0, of_start = 0;
            for (int64_t j = 0; j < d; j++) {
                long double w = starts ? (long double)a[n * lanes + o % lanes] * start[o * d + j] : 0;
                for (int64_t i = 0; i < n; i++) w += (c->X[i * d + j] - (long double)X->center[j]) * a[i * lanes + o % lanes];
                if (X->starts[j] == X->starts[j + 1] && !starts) w = coef[o * d + j]; /* an empty column's mean is 0 in earnest */
                CHECK(fabsl(w - coef[o * d + j]) <= 1e-12L * draw_size(GD_F64) * (long double)n, "%s: weight %d", what, (int)j);
                along += X->center[j] * w, square += w * w, of_start += w * start[o * d + j];
            }
            CHECK(fabsl(along - sums[o % lanes]) <= 1e-10L * (1 + fabsl(along)), "%s: along", what);
            CHECK(fabsl(square - sums[lanes + o % lanes]) <= 1e-10L * (1 + square), "%s: square", what);
            for (int64_t i = 0; i < n; i++) {
                long double z = 0, scale = 1;
                for (int64_t j = 0; j < d; j++) z += (long double)c->X[i * d + j] * coef[o * d + j], scale += fabs(c->X[i * d + j] * coef[o * d + j]);
                CHECK(fabsl(z - strip.Z[i * lanes + o % lanes]) <= 1e-12L * scale, "%s: score %d", what, (int)i);
            }
            if (starts) CHECK(fabsl(of_start - strip.Z[n * lanes + o % lanes]) <= 1e-10L * (1 + fabsl(of_start)), "%s: start", what);
        }
    }
    free(A), free(start);
}

/* Slopes R of the rows at Z + t along: X'R and its sums are the gradient of a pass at those scores. */
static void check_slopes(gd_engine *engine, const data *c, const char *what) {
    int64_t k = c->problem.n_outputs, n = c->problem.n, d = c->problem.X.n_cols, lanes = k == 1 ? 1 : GD_LANES_D;
    int64_t size = (k + lanes - 1) / lanes * n * lanes, blocks = (n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS;
    double *Z = room(3 * size), *along = Z + size, *R = along + size, *out = room(3 + k), *gradient = room(c->size), error, t = 0.5, slope = 0.0;
    for (int64_t o = 0; o < k; o++)
        for (int64_t i = 0; i < n; i++) { /* along = 2 (z - Z) */
            int64_t at = gd_strip_place(n, lanes, o, i);
            double z = 0.0;
            for (int64_t j = 0; j < d; j++) z += c->X[i * d + j] * c->weights[o * d + j];
            Z[at] = 0.1 * (double)(i % 7), along[at] = 2.0 * (z - Z[at]);
        }
    gd_line line = {Z, along, t, n, lanes};
    for (int64_t o = 0; o < k; o++) engine->bias[o] = c->weights[k * d + o];
    for (int64_t b = 0; b < blocks; b++)
        engine->kernels->line_slopes(&engine->pass, engine->scratch, &line, b * GD_BLOCK_ROWS, gd_min(GD_BLOCK_ROWS, n - b * GD_BLOCK_ROWS),
                                     R, out);
    gd_problem plain = c->problem;
    plain.l2 = plain.l1 = 0.0, plain.fit_intercept = 1, plain.double_lanes = 1;
    CHECK(gd_error_and_gradient(&plain, c->weights, c->weights + k * d, 1, NULL, &error, gradient, gradient + k * d) == GD_OK, "%s", what);
    double total = out[1];
    CHECK(fabs(out[0] - error * total) <= 1e-9 * (fabs(error) * total + 1e-300), "%s: E %g for %g", what, out[0] / total, error);
    for (int64_t o = 0; o < k; o++) {
        CHECK(fabs(out[3 + o] - gradient[k * d + o] * total) <= 1e-8 * (double)n, "%s: bias", what);
        for (int64_t j = 0; j < d; j++) {
            double g = 0.0, scale = 1.0;
            for (int64_t i = 0; i < n; i++) {
                double by = c->X[i * d + j] * R[gd_strip_place(n, lanes, o, i)];
                g += by, scale += fabs(by);
            }
            CHECK(fabs(g - gradient[o * d + j] * total) <= 1e-8 * scale, "%s: gradient", what);
        }
    }
    for (int64_t i = 0; i < size; i++) slope += R[i] * along[i];
    CHECK(fabs(slope - out[2]) <= 1e-9 * (1.0 + fabs(slope)), "%s: slope", what);
    free(Z), free(out), free(gradient);
}

static void kernels(void) {
    static const int losses[] = {gd_loss_squared_error, gd_loss_log_loss, gd_loss_poisson, gd_loss_huber, gd_loss_squared_hinge};
    static const int outputs[] = {1, 3, 8, 11};
    for (int isa = 0; isa < N_ISAS; isa++) {
        if (!has_isa(isas[isa])) continue;
        gd_init(isas[isa]);
        for (int i = 0; i < 20; i++) {
            int64_t k = outputs[i % 4];
            recipe r = {.n = 3 + i * 37, .d = 5 + i * 4, .k = k, .sparse = 1 + i % 2, .type = i % 3 ? GD_F64 : GD_F32, .y_type = GD_F64,
                        .loss = losses[i % 5], .softmax = losses[i % 5] == gd_loss_log_loss && k > 1, .weighted = i % 2, .subset = i % 4 == 3,
                        .offset_cols = i % 3 == 1, .seed = (uint64_t)i};
            data c = data_make(&r);
            gd_problem fine = c.problem;
            gd_engine engine;
            fine.double_lanes = 1;
            CHECK(gd_engine_init(&engine, &fine, 1, NULL) == GD_OK, "%s", describe(&r));
            gd_turned X = turned(&engine);
            check_products(&engine, &c, &X, i % 2, describe(&r));
            check_slopes(&engine, &c, describe(&r));
            free(X.center), gd_turned_release(&X);
            gd_engine_free(&engine);
            data_free(&c);
        }
    }
    gd_init(NULL);
}

static void descents(void) {
    gd_settings settings = plain_settings(GD_SOLVER_AUTO);
    settings.max_iter = 200, settings.tol = 1e-9;
    for (int k = 1; k <= 11; k += 5) {
        recipe r = {.n = 700, .d = 2100, .k = k, .sparse = 1, .y_type = GD_F64, .loss = gd_loss_log_loss, .softmax = k > 1, .codes = 1,
                    .weighted = 1, .l2 = 1.0, .seed = (uint64_t)k};
        data c = data_make(&r);
        c.problem.fit_intercept = 1;
        outcome on[2] = {{0}};
        settings.n_threads = 1;
        outcome alone = descend(&c.problem, NULL, &settings, NULL, NULL, NULL);
        CHECK(alone.status == GD_OK && alone.report.method == GD_METHOD_DUAL && alone.report.reason == GD_STOP_CONVERGED, "%d outputs: %d", k,
              alone.report.method);
        settings.n_threads = 3;
        for (int i = 0; i < 2; i++) {
            const char *isa = i ? "avx512" : "avx2";
            outcome together = descend(&c.problem, NULL, &settings, NULL, NULL, NULL);
            CHECK(outcomes_equal(&alone, &together), "%d outputs: other bits on three threads", k);
            outcome_free(&together);
            if (!has_isa(isa)) continue;
            gd_init(isa);
            on[i] = descend(&c.problem, NULL, &settings, NULL, NULL, NULL);
            gd_init(NULL);
        }
        if (on[0].state.size && on[1].state.size) CHECK(outcomes_equal(&on[0], &on[1]), "%d outputs: AVX2 and AVX-512 differ", k);
        for (int i = 0; i < 2; i++)
            if (on[i].state.size) outcome_free(&on[i]);
        outcome_free(&alone);
        data_free(&c);
    }
}

void test_dual(void) {
    kernels();
    descents();
}
