/* The pass: error and gradient against the definition, and the same bits whatever the layout, threads and registers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "check.h"
#include "naive.h"

/* dE/dw_j = (E(w + h e_j) - E(w - h e_j)) / 2h, without the naive loop's help. */
static void check_differences(const recipe *r) {
    data c = data_make(r);
    double *out = room(c.size + 1), *there = room(c.size + 1), *w = room(c.size);
    evaluate(&c.problem, c.weights, 1, out);
    for (int64_t j = 0; j < c.size; j++) {
        double h = 1e-6, up, down;
        memcpy(w, c.weights, sizeof *w * (size_t)c.size);
        w[j] = c.weights[j] + h;
        evaluate(&c.problem, w, 1, there), up = there[0];
        w[j] = c.weights[j] - h;
        evaluate(&c.problem, w, 1, there), down = there[0];
        double expected = (up - down) / (2.0 * h);
        CHECK(fabs(out[1 + j] - expected) <= 2e-8 * (10.0 + fabs(expected)), "gradient[%d] %.12g, difference %.12g, %s", (int)j,
              out[1 + j], expected, describe(r));
    }
    free(out), free(there), free(w);
    data_free(&c);
}

/* Every loss, one output and several, with and without weights, offset, row numbers, class codes and penalties. */
static void every_loss(void) {
    static const int64_t dims[] = {1, 7, 15, 16, 17, 33}, outputs[] = {1, 3, 17};
    for (int loss = 0; loss <= GD_N_LOSSES; loss++)
        for (int o = 0; o < 3; o++)
            for (int i = 0; i < 6; i++)
                for (int type = GD_F64; type <= GD_F32; type++) {
                    int variant = i + 2 * o + type;
                    recipe r = {.n = 300, .d = dims[i], .k = outputs[o], .type = type, .loss = loss, .seed = (uint64_t)loss};
                    if (loss == GD_N_LOSSES) r.loss = gd_loss_log_loss, r.softmax = 1, r.codes = variant % 2;
                    if (gd_loss_is_margin(r.loss) || r.loss == gd_loss_log_loss) r.codes = variant % 2;
                    if (r.softmax && r.k == 1) continue;
                    r.weighted = variant / 2 % 2, r.subset = variant % 3 == 1;
                    r.offset_cols = (int)(variant % 3 == 0 ? r.k : variant % 3 == 1 ? 1 : 0);
                    r.l2 = variant % 4 == 3 ? 0.3 : 0.0, r.l1 = variant % 5 == 4 ? 0.05 : 0.0;
                    check_pass(&r);
                    r.n = 23, r.l1 = 0.0;
                    if (type == GD_F64 && r.d < 16) check_differences(&r);
                }
}

/* Every stored type at every small d: the edges of lanes, tiles and blocks. Every layout gives the bits of C order. */
static void every_shape(void) {
    static const int64_t outputs[] = {1, 3, 17};
    for (int64_t d = 1; d <= 41; d++)
        for (int type = 0; type < GD_N_TYPES; type++)
            for (int o = 0; o < 3; o++) {
                int64_t wide = d == 41 ? 300 : d;
                recipe r = {.n = 277, .d = wide, .k = outputs[o], .type = type, .loss = (int)(d + type + o) % GD_N_LOSSES, .seed = 5};
                if (o == 0) check_pass(&r);
                r.n = wide == 300 && o == 2 ? 40 : 277;
                if (o > 0 && (d + type) % 3 == 0) check_pass(&r);

                data plain = data_make(&r);
                double *expected = room(plain.size + 1), *out = room(plain.size + 1);
                gd_init(strstr(gd_available_isas(), isas[(d + o) % N_ISAS])  ? isas[(d + o) % N_ISAS] : NULL);
                evaluate(&plain.problem, plain.weights, 1, expected);
                for (int how = 1; how < N_LAYOUTS; how++) {
                    r.how = how, r.y_how = (how + o) % N_LAYOUTS;
                    data c = data_make(&r);
                    gd_status status = evaluate(&c.problem, c.weights, 1, out);
                    CHECK(status == GD_OK && bits_equal(out, expected, c.size + 1), "%s", describe(&r));
                    data_free(&c);
                }
                gd_init(NULL);
                free(expected), free(out);
                data_free(&plain);
            }
}

/* Rows of stride 0 are one row repeated. */
static void broadcast_rows(void) {
    for (int type = 0; type < GD_N_TYPES; type++)
        for (int64_t d = 5; d < 40; d += 14) {
            recipe r = {.n = 600, .d = d, .k = 1, .type = type, .seed = 9};
            data c = data_make(&r);
            double *repeated = room(r.n * d), *expected = room(c.size + 1), *out = room(c.size + 1);
            pool memory = {.n = 0};
            for (int64_t i = 0; i < r.n * d; i++) repeated[i] = c.X[i % d];
            gd_problem same = c.problem;
            same.X = store(&memory, repeated, r.n, d, type, LAYOUT_C);
            evaluate(&same, c.weights, 1, expected);
            c.problem.X.row_stride = 0;
            evaluate(&c.problem, c.weights, 1, out);
            CHECK(bits_equal(out, expected, c.size + 1), "%s", describe(&r));
            pool_free(&memory);
            free(repeated), free(expected), free(out);
            data_free(&c);
        }
}

/* Row numbers give the bits of a copy of those rows; weights of 0 remove a row however large its error. */
static void rows_and_weights(void) {
    for (int64_t d = 3; d < 60; d += 17) {
        recipe r = {.n = 700, .d = d, .k = 1, .type = d % 2 ? GD_F32 : GD_F64, .subset = 1, .loss = gd_loss_log_loss, .seed = 3};
        data c = data_make(&r);
        double *expected = room(c.size + 1), *out = room(c.size + 1);
        pool memory = {.n = 0};
        gd_problem copy = c.problem;
        copy.rows = NULL;
        copy.X = store(&memory, c.X, r.n, d, r.type, LAYOUT_C);
        copy.y = store(&memory, c.y, r.n, 1, GD_F64, LAYOUT_C);
        evaluate(&copy, c.weights, 1, expected);
        evaluate(&c.problem, c.weights, 1, out);
        CHECK(bits_equal(out, expected, c.size + 1), "rows, d %d", (int)d);

        double *s = room(r.n);
        for (int64_t i = 0; i < r.n; i++) s[i] = i % 3 ? 1.0 : 0.0;
        copy.weight = store(&memory, s, r.n, 1, GD_F64, LAYOUT_C);
        copy.loss = gd_loss_squared_error;
        evaluate(&copy, c.weights, 1, expected);
        for (int64_t i = 0; i < r.n; i += 3)
            for (int64_t j = 0; j < d; j++) c.X[i * d + j] = r.type == GD_F32 ? 1e30 : 1e200; /* its square overflows */
        copy.X = store(&memory, c.X, r.n, d, r.type, LAYOUT_C);
        evaluate(&copy, c.weights, 1, out);
        CHECK(bits_equal(out, expected, c.size + 1), "weights of 0, d %d", (int)d);
        pool_free(&memory);
        free(expected), free(out), free(s);
        data_free(&c);
    }
}

/* z against the definition, in double and float, and the same for any number of threads. */
static void scores(void) {
    for (int variant = 0; variant < 60; variant++) {
        recipe r = {.n = 3000, .d = 1 + variant * 3 % 37, .k = variant % 3 == 0 ? 1 : variant % 3 == 1 ? 3 : 17, .type = variant % GD_N_TYPES,
                    .how = variant % N_LAYOUTS, .subset = variant % 4 == 3, .offset_cols = variant % 2, .seed = (uint64_t)variant};
        data c = data_make(&r);
        int64_t count = r.n * r.k, n_coef = r.d * r.k;
        double *expected = room(count), *sizes = room(count), *z = room(count), *again = room(count);
        float *short_z = (float *)(void *)room(count);
        naive_scores(&c, c.weights, expected, sizes);
        gd_status status = gd_scores(&c.problem, c.weights, c.weights + n_coef, 1, NULL, z, 0);
        CHECK(status == GD_OK, "status %d, %s", status, describe(&r));
        int64_t wrong = 0;
        for (int64_t i = 0; i < count; i++) wrong += !(fabs(z[i] - expected[i]) <= lane_eps(&c.problem) * (sizes[i] + 1.0));
        CHECK(wrong == 0, "%d scores, %s", (int)wrong, describe(&r));
        gd_scores(&c.problem, c.weights, c.weights + n_coef, 7, NULL, again, 0);
        CHECK(bits_equal(z, again, count), "threads, %s", describe(&r));
        gd_scores(&c.problem, c.weights, c.weights + n_coef, 2, NULL, short_z, 1);
        int equal = 1;
        for (int64_t i = 0; i < count; i++) equal &= short_z[i] == (float)z[i];
        CHECK(equal, "float, %s", describe(&r));
        free(expected), free(sizes), free(z), free(again), free(short_z);
        data_free(&c);
    }
}

/* Kernels read whole lanes, beyond the end of a row too: what they find there is no business of that row's. */
static void infinite_neighbour(void) {
    for (int type = GD_F64; type <= GD_F16; type++)
        for (int64_t d = 1; d < 60; d++) {
            recipe r = {.n = 40, .d = d, .k = 1, .type = type, .seed = 9};
            data c = data_make(&r);
            double *values = room(r.n * d), *z = room(r.n), *w = room(d), bias = 0.0;
            for (int64_t i = 0; i < r.n * d; i++) values[i] = i / d == 20 ? INFINITY : 1.0;
            for (int64_t j = 0; j < d; j++) w[j] = 0.5;
            c.problem.X = store(&c.memory, values, r.n, d, type, LAYOUT_C);
            gd_scores(&c.problem, w, &bias, 1, NULL, z, 0);
            int wrong = 0;
            for (int64_t i = 0; i < r.n; i++) wrong += z[i] != (i == 20 ? INFINITY : 0.5 * (double)d);
            CHECK(wrong == 0, "%d scores, type %d, d %d", wrong, type, (int)d);
            free(values), free(z), free(w);
            data_free(&c);
        }
}

/* Any mixture of everything. */
static void random_recipes(void) {
    dice d = {2718};
    for (int i = 0; i < 1500; i++) {
        recipe r = {.n = 1 + roll_below(&d, 600), .d = 1 + roll_below(&d, 70), .type = (int)roll_below(&d, GD_N_TYPES), .seed = roll(&d) >> 40};
        r.k = roll_below(&d, 2) ? 1 : 1 + roll_below(&d, 20);
        r.how = (int)roll_below(&d, N_LAYOUTS), r.y_how = (int)roll_below(&d, N_LAYOUTS);
        r.loss = (int)roll_below(&d, GD_N_LOSSES);
        r.softmax = r.loss == gd_loss_log_loss && r.k > 1 && roll_below(&d, 2);
        r.codes = (gd_loss_is_margin(r.loss) || r.loss == gd_loss_log_loss) && roll_below(&d, 2);
        static const int y_types[] = {GD_F64, GD_F32, GD_I8, GD_I64, GD_F16};
        r.y_type = y_types[roll_below(&d, 5)];
        r.weighted = (int)roll_below(&d, 2), r.subset = (int)roll_below(&d, 3) == 0;
        r.offset_cols = (int)(roll_below(&d, 2) ? 0 : roll_below(&d, 2) ? 1 : r.k);
        r.l2 = roll_below(&d, 2) ? 0.1 : 0.0, r.l1 = roll_below(&d, 3) ? 0.0 : 0.05;
        check_pass(&r);
    }
}

/* The first NaN or infinity in row order, whatever type, layout and byte order. */
static void not_finite(void) {
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    double values[40 * 9];
    int64_t row, col;
    for (int type = GD_F64; type <= GD_F16; type++)
        for (int how = 0; how < N_LAYOUTS; how++)
            for (int at = 0; at < 40 * 9; at += 7) {
                pool memory = {.n = 0};
                for (int i = 0; i < 40 * 9; i++) values[i] = i % 2 ? -60000.0 : 1.0;
                gd_matrix finite = store(&memory, values, 40, 9, type, (layout)how);
                gd_status status = gd_find_not_finite(&finite, NULL, 40, NULL, &row, &col);
                CHECK(status == GD_OK && row == -1, "type %d layout %d", type, how);
                values[at] = bad[at % 3], values[39 * 9 + 8] = NAN;
                gd_matrix X = store(&memory, values, 40, 9, type, (layout)how);
                pool_seal(&memory);
                gd_find_not_finite(&X, NULL, 40, NULL, &row, &col);
                CHECK(row == at / 9 && col == at % 9, "type %d layout %d at %d: (%d, %d)", type, how, at, (int)row, (int)col);
                int64_t rows[] = {at / 9 == 5 ? 6 : 5, at / 9};
                gd_find_not_finite(&X, rows, 2, NULL, &row, &col);
                CHECK(row == 1 && col == at % 9, "rows, type %d layout %d at %d: (%d, %d)", type, how, at, (int)row, (int)col);
                pool_free(&memory);
            }
}

static void bad_arguments(void) {
    recipe r = {.n = 10, .d = 3, .k = 1};
    data c = data_make(&r);
    double out[8];
    gd_problem p = c.problem;
    p.n = 0;
    CHECK(evaluate(&p, c.weights, 1, out) == GD_BAD_ARGUMENT, "n = 0");
    p = c.problem, p.X.type = GD_N_TYPES;
    CHECK(evaluate(&p, c.weights, 1, out) == GD_BAD_ARGUMENT, "unknown type");
    p = c.problem, p.loss = GD_N_LOSSES;
    CHECK(evaluate(&p, c.weights, 1, out) == GD_BAD_ARGUMENT, "unknown loss");
    p = c.problem, p.n_outputs = 0;
    CHECK(evaluate(&p, c.weights, 1, out) == GD_BAD_ARGUMENT, "k = 0");
    CHECK(gd_init("sse9") == GD_BAD_ARGUMENT, "unknown instruction set");
    CHECK(strcmp(gd_isa_name(), strrchr(gd_available_isas(), ' ') ? strrchr(gd_available_isas(), ' ') + 1 : "baseline") == 0, "gd_init failed: no change");
    data_free(&c);
}

void test_pass(void) {
    bad_arguments();
    every_loss();
    every_shape();
    broadcast_rows();
    rows_and_weights();
    scores();
    infinite_neighbour();
    random_recipes();
    not_finite();
}
