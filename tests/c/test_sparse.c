/* CSR rows: pass, scores and descents against the definition on the same values stored densely; lazy mini-batch steps against rules
 * that touch every weight at every update; structures that point elsewhere end in GD_BAD_ROWS, and nowhere else. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "check.h"
#include "faults.h"
#include "kernels.h"
#include "naive.h"

/* Every loss, storage and number of outputs, with and without weights, offset, row numbers, class codes and penalties. */
static void every_loss(void) {
    static const int64_t dims[] = {1, 7, 16, 33, 120}, outputs[] = {1, 3, 17, 40};
    for (int loss = 0; loss <= GD_N_LOSSES; loss++)
        for (int o = 0; o < 4; o++)
            for (int i = 0; i < 5; i++)
                for (int storage = 0; storage < 4; storage++) {
                    int variant = i + 2 * o + storage;
                    recipe r = {.n = 300, .d = dims[i], .k = outputs[o], .type = storage % 2 ? GD_F32 : GD_F64, .sparse = 1 + storage / 2, .loss = loss,
                                .seed = (uint64_t)loss};
                    if (loss == GD_N_LOSSES) r.loss = gd_loss_log_loss, r.softmax = 1, r.codes = variant % 2;
                    if (gd_loss_is_margin(r.loss) || r.loss == gd_loss_log_loss) r.codes = variant % 2;
                    if (r.softmax && r.k == 1) continue;
                    r.weighted = variant / 2 % 2, r.subset = variant % 3 == 1;
                    r.offset_cols = (int)(variant % 3 == 0 ? r.k : variant % 3 == 1 ? 1 : 0);
                    r.l2 = variant % 4 == 3 ? 0.3 : 0.0, r.l1 = variant % 5 == 4 ? 0.05 : 0.0;
                    check_pass(&r);
                }
}

static void random_recipes(void) {
    dice d = {31415};
    for (int i = 0; i < 600; i++) {
        recipe r = {.n = 1 + roll_below(&d, 900), .d = 1 + roll_below(&d, 90), .seed = roll(&d) >> 40};
        r.type = roll_below(&d, 2) ? GD_F32 : GD_F64, r.sparse = 1 + (int)roll_below(&d, 2);
        r.k = roll_below(&d, 2) ? 1 : 1 + roll_below(&d, 40);
        r.y_how = (int)roll_below(&d, N_LAYOUTS);
        r.loss = (int)roll_below(&d, GD_N_LOSSES);
        r.softmax = r.loss == gd_loss_log_loss && r.k > 1 && roll_below(&d, 2);
        r.codes = (gd_loss_is_margin(r.loss) || r.loss == gd_loss_log_loss) && roll_below(&d, 2);
        r.weighted = (int)roll_below(&d, 2), r.subset = (int)roll_below(&d, 3) == 0;
        r.offset_cols = (int)(roll_below(&d, 2) ? 0 : roll_below(&d, 2) ? 1 : r.k);
        r.l2 = roll_below(&d, 2) ? 0.1 : 0.0, r.l1 = roll_below(&d, 3) ? 0.0 : 0.05;
        check_pass(&r);
    }
}

/* z against the definition; the same for any number of threads; rows without entries get bias and offset. */
static void scores(void) {
    for (int variant = 0; variant < 40; variant++) {
        recipe r = {.n = 3000, .d = 1 + variant * 3 % 37, .k = variant % 3 == 0 ? 1 : variant % 3 == 1 ? 3 : 17, .type = variant % 2 ? GD_F32 : GD_F64,
                    .sparse = 1 + variant / 2 % 2, .subset = variant % 4 == 3, .offset_cols = variant % 2, .seed = (uint64_t)variant};
        data c = data_make(&r);
        int64_t count = r.n * r.k, n_coef = r.d * r.k, wrong = 0;
        double *expected = room(count), *sizes = room(count), *z = room(count), *again = room(count);
        naive_scores(&c, c.weights, expected, sizes);
        gd_status status = gd_scores(&c.problem, c.weights, c.weights + n_coef, 1, NULL, z, 0);
        CHECK(status == GD_OK, "status %d, %s", status, describe(&r));
        for (int64_t i = 0; i < count; i++) wrong += !(fabs(z[i] - expected[i]) <= 1e-13 * (sizes[i] + 1.0));
        CHECK(wrong == 0, "%d scores, %s", (int)wrong, describe(&r));
        gd_scores(&c.problem, c.weights, c.weights + n_coef, 7, NULL, again, 0);
        CHECK(bits_equal(z, again, count), "threads, %s", describe(&r));
        free(expected), free(sizes), free(z), free(again);
        data_free(&c);
    }
}

/* ---- descents --------------------------------------------------------------------------------------------------- */

/* Every rule, with whatever the plain one keeps for later: L2, L1, averages, in batches of one row to all of them. */
static void rules_by_the_book(void) {
    static const int64_t batches[] = {0, 1, 7, 32, 61, 300, 5000}, outputs[] = {1, 1, 3, 17};
    static const int schedules[] = {GD_CONSTANT, GD_INVSCALING, GD_OPTIMAL};
    int turn = 0;
    for (int solver = GD_SOLVER_GD; solver <= GD_SOLVER_ADAM; solver++)
        for (int b = 0; b < 7; b++)
            for (int variant = 0; variant < (solver == GD_SOLVER_SGD ? 24 : 3); variant++, turn++) {
                if (solver == GD_SOLVER_GD && b) continue;
                recipe r = {.n = b == 5 ? 700 : 61, .d = 1 + turn * 5 % 19, .k = outputs[turn % 4], .l2 = turn % 5 ? 0.5 : 0.0, .seed = (uint64_t)turn,
                            .loss = turn % 3 ? gd_loss_log_loss : gd_loss_squared_error, .weighted = turn % 7 < 2, .subset = turn % 4 == 1,
                            .offset_cols = turn % 6 == 5, .type = turn % 2 ? GD_F32 : GD_F64, .sparse = 1 + turn / 2 % 2};
                r.softmax = r.loss == gd_loss_log_loss && r.k > 1, r.codes = r.softmax && turn % 2;
                r.type = r.loss == gd_loss_log_loss ? GD_F64 : r.type; /* float's log_loss is good to a float's digits */
                r.l1 = variant % 3 == 1 || r.l2 == 0.0 ? 0.02 : 0.0;
                gd_settings s = plain_settings(solver);
                s.schedule = schedules[variant % 3], s.batch_size = batches[b], s.shuffle = variant / 3 % 2, s.max_iter = 3, s.eta0 = 0.02;
                if (solver == GD_SOLVER_SGD && variant >= 18) s.momentum = 0.7, s.nesterov = variant % 2;
                s.average = variant % 3 == 2 ? 1 + 40 * (turn % 2) : 0;
                check_rule(&r, &s);
            }
}

/* 1 - eta l2 that is 0, negative, or soon makes the scale vanish; thresholds that soon sum to more than any weight; averages of all
 * that: state brought up to date in the middle of an epoch. */
static void hostile_penalties(void) {
    static const double shrinkage[] = {1e-6, 0.1, 0.5, 0.9, 1.0, 1.5, 1.9};
    for (int i = 0; i < 7; i++)
        for (int variant = 0; variant < 24; variant++) {
            recipe r = {.n = 400, .d = 23, .k = variant % 2 ? 3 : 1, .loss = gd_loss_squared_error, .sparse = 1 + variant % 2, .seed = (uint64_t)i,
                        .l1 = variant / 2 % 3 == 1 ? 0.001 : variant / 2 % 3 == 2 ? 30.0 : 0.0};
            gd_settings s = plain_settings(GD_SOLVER_SGD);
            s.eta0 = 0.05, s.batch_size = variant / 6 % 2 ? 1 : 13, s.max_iter = 4, s.shuffle = 1;
            s.average = variant / 12 && r.l1 == 0.0 ? 100 : 0;
            r.l2 = shrinkage[i] / s.eta0;
            check_rule(&r, &s);
        }
}

/* A penalty that doubles the weights at each update: they leave the finite range only if they are not 0. */
static void exploding_penalty(void) {
    recipe r = {.n = 3000, .d = 5, .k = 1, .loss = gd_loss_squared_error, .sparse = 1, .l2 = 60.0};
    data c = data_make(&r);
    int32_t *nothing = calloc((size_t)r.n + 1, sizeof *nothing);
    gd_settings s = plain_settings(GD_SOLVER_SGD);
    s.batch_size = 1, s.max_iter = 2;
    outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
    CHECK(o.status == GD_DIVERGED, "status %d", o.status);
    outcome_free(&o);
    c.problem.X.indptr = nothing; /* rows without entries: nothing moves but the bias */
    o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
    CHECK(o.status == GD_OK && outcome_finite(&o) && o.state.answer[0] == 0.0 && o.state.answer[5] != 0.0, "status %d", o.status);
    outcome_free(&o);
    free(nothing);
    data_free(&c);
}



/* The same bits for any number of threads, for all that reads rows. */
static void any_number_of_threads(void) {
    static const int threads[] = {2, 3, 7};
    for (int variant = 0; variant < 12; variant++) {
        recipe r = {.n = variant % 3 == 2 ? 20000 : 130000, .d = variant % 2 ? 9 : 24, .k = variant % 3 == 2 ? 5 : 1, .type = variant % 2 ? GD_F32 : GD_F64,
                    .loss = gd_loss_log_loss, .softmax = variant % 3 == 2, .sparse = 1 + variant % 2, .weighted = variant % 4 == 1, .subset = variant % 5 == 1,
                    .l2 = 1e-3, .seed = 3};
        if (UNDER_TSAN && variant > 3) break;
        data c = data_make(&r);
        double *expected = room(c.size + 1), *out = room(c.size + 1);
        gd_settings s = plain_settings(variant % 4 == 0 ? GD_SOLVER_AUTO : variant % 4 == 1 ? GD_SOLVER_GD : GD_SOLVER_SGD);
        s.batch_size = s.solver == GD_SOLVER_SGD ? 2000 : 0, s.max_iter = 3;
        outcome one = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
        evaluate(&c.problem, c.weights, 1, expected);
        for (int i = 0; i < 3; i++) {
            gd_status status = evaluate(&c.problem, c.weights, threads[i], out);
            CHECK(status == GD_OK && bits_equal(out, expected, c.size + 1), "%d threads, %s", threads[i], describe(&r));
            s.n_threads = threads[i];
            outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
            CHECK(o.status == GD_OK && outcomes_equal(&o, &one), "%d threads, solver %d, %s", threads[i], s.solver, describe(&r));
            outcome_free(&o);
        }
        outcome_free(&one);
        free(expected), free(out);
        data_free(&c);
    }
}

/* The auto solver on CSR rows ends where it ends on the same values stored densely. */
static void auto_as_dense(void) {
    for (int loss = 0; loss <= GD_N_LOSSES; loss++)
        for (int variant = 0; variant < 6; variant++) {
            recipe r = {.n = 400, .d = 11, .k = variant % 3 == 2 ? 3 : 1, .loss = loss, .l2 = 0.01, .l1 = variant / 3 ? 0.01 : 0.0, .sparse = 1 + variant % 2,
                        .seed = (uint64_t)variant, .weighted = variant % 4 == 1};
            if (loss == GD_N_LOSSES) r.loss = gd_loss_log_loss, r.softmax = 1, r.k = 4;
            if (r.loss == gd_loss_perceptron) continue;
            data c = data_make(&r), same = data_make(&r);
            pool memory = {.n = 0};
            same.problem.X = store(&memory, same.X, r.n, r.d, GD_F64, LAYOUT_C);
            gd_settings s = plain_settings(GD_SOLVER_AUTO);
            int smooth = gd_loss_is_smooth(r.loss);
            s.max_iter = 1000, s.tol = smooth ? 1e-10 : 1e-6;
            outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL), dense = descend(&same.problem, NULL, &s, NULL, NULL, NULL);
            CHECK(o.status == GD_OK && o.report.method == dense.report.method, "status %d, method %d and %d, %s", o.status, o.report.method, dense.report.method, describe(&r));
            double off = fabs(o.report.error - dense.report.error) / fabs(dense.report.error);
            CHECK(off <= (smooth ? 1e-9 : 3e-6), "error off by %g, %s", off, describe(&r));
            outcome_free(&o), outcome_free(&dense);
            pool_free(&memory);
            data_free(&c), data_free(&same);
        }
}

/* ---- structures that point elsewhere ----------------------------------------------------------------------------- */

/* Arrays of one's own, to be broken: on the heap, where the sanitizer sees every step beyond. */
typedef struct own { char *data, *indices, *indptr; } own;

static void *copy_of(const void *from, int64_t bytes) {
    void *memory = malloc((size_t)bytes);
    if (!memory) abort();
    return memcpy(memory, from, (size_t)bytes);
}

static own take_over(gd_matrix *X) {
    int64_t integer = X->wide ? 8 : 4;
    own o = {copy_of(X->data, X->n_stored * (X->type == GD_F32 ? 4 : 8)), copy_of(X->indices, X->n_stored * integer),
             copy_of(X->indptr, (X->n_rows + 1) * integer)};
    X->data = o.data, X->indices = o.indices, X->indptr = o.indptr;
    return o;
}

static int64_t get(const void *integers, int wide, int64_t at) {
    return wide ? ((const int64_t *)integers)[at] : ((const int32_t *)integers)[at];
}

static void set(void *integers, int wide, int64_t at, int64_t value) {
    if (wide) ((int64_t *)integers)[at] = value;
    else ((int32_t *)integers)[at] = (int32_t)value;
}

enum { N_WAYS = 8 };

/* Break row `row`, or the one before it. */
static void break_row(const gd_matrix *X, own *o, int64_t row, int way) {
    int64_t first = get(o->indptr, X->wide, row), most = X->wide ? INT64_MAX : INT32_MAX;
    switch (way) {
    case 0: set(o->indptr, X->wide, row + 1, -1); break;
    case 1: set(o->indptr, X->wide, row + 1, first - 1); break;
    case 2: set(o->indptr, X->wide, row + 1, X->n_stored + 1); break;
    case 3: set(o->indptr, X->wide, row + 1, most); break;
    case 4: set(o->indptr, X->wide, row + 1, -most - 1); break;
    case 5: set(o->indices, X->wide, first, X->n_cols); break;
    case 6: set(o->indices, X->wide, first, -1); break;
    default: set(o->indices, X->wide, first, -most - 1);
    }
}

static void expect(const data *c, const data *validated, gd_status wanted, const char *what, int way, int64_t row, const recipe *r) {
    int64_t n_coef = c->size - c->problem.n_outputs;
    double *out = room(c->size + 1 + c->problem.n * c->problem.n_outputs);
    gd_status status = evaluate(&c->problem, c->weights, 3, out);
    CHECK(validated || status == wanted, "%s, pass: status %d, way %d row %d, %s", what, status, way, (int)row, describe(r));
    status = gd_scores(&c->problem, c->weights, c->weights + n_coef, 3, NULL, out, 0);
    CHECK(validated || status == wanted, "%s, scores: status %d, way %d row %d, %s", what, status, way, (int)row, describe(r));
    for (int i = 0; i < N_SOLVERS; i++)
        for (int64_t batch = 1; batch < 1000; batch *= 20) {
            gd_settings s = plain_settings(all_solvers[i]);
            s.batch_size = batch, s.max_iter = 2, s.shuffle = (int)(batch % 3);
            outcome o = descend(&c->problem, validated ? &validated->problem : NULL, &s, NULL, NULL, NULL);
            CHECK(o.status == wanted, "%s, solver %d batch %d: status %d, way %d row %d, %s", what, s.solver, (int)batch, o.status, way, (int)row, describe(r));
            outcome_free(&o);
        }
    free(out);
}

static void broken_rows(void) {
    for (int variant = 0; variant < 12; variant++) {
        recipe r = {.n = variant % 3 == 2 ? 5000 : 300, .d = 10, .k = variant % 2 ? 3 : 1, .type = variant % 4 < 2 ? GD_F32 : GD_F64, .sparse = 1 + variant / 2 % 2,
                    .loss = gd_loss_log_loss, .softmax = variant % 2, .subset = variant % 4 == 3, .l2 = 0.01, .seed = 6};
        data c = data_make(&r), sound = data_make(&r);
        for (int way = 0; way < N_WAYS; way++) {
            int64_t rows[] = {0, 257, c.problem.X.n_rows - 1};
            int64_t row = rows[way % 3];
            if (way >= 5) while (get(c.problem.X.indptr, c.problem.X.wide, row) == get(c.problem.X.indptr, c.problem.X.wide, row + 1)) row--;
            data broken = c;
            own o = take_over(&broken.problem.X);
            break_row(&broken.problem.X, &o, row, way);
            if (r.subset) { /* of what is not listed nothing is asked */
                int64_t *listed = copy_of(c.problem.rows, r.n * 8);
                for (int64_t i = 0; i < r.n; i++)
                    if (listed[i] == row || listed[i] == row + 1) listed[i] = 100;
                broken.problem.rows = listed;
                expect(&broken, NULL, GD_OK, "not listed", way, row, &r);
                listed[r.n / 2] = row;
                expect(&broken, NULL, GD_BAD_ROWS, "listed", way, row, &r);
                free(listed);
            } else {
                expect(&broken, NULL, GD_BAD_ROWS, "broken", way, row, &r);
                expect(&sound, &broken, GD_BAD_ROWS, "held out", way, row, &r);
            }
            free(o.data), free(o.indices), free(o.indptr);
        }
        data_free(&c), data_free(&sound);
    }
}

/* ---- rows that are longer than the scratch ------------------------------------------------------------------------- */

/* Rows `first`, first + every, ... with each entry in 1024 parts, which add up to what it was to the last bit. */
static own in_parts(gd_matrix *X, int64_t every, int64_t first) {
    enum { PARTS = 1024 };
    int64_t integer = X->wide ? 8 : 4, value = X->type == GD_F32 ? 4 : 8, at = 0;
    own o = {calloc((size_t)(X->n_stored * PARTS), (size_t)value), calloc((size_t)(X->n_stored * PARTS), (size_t)integer),
             calloc((size_t)(X->n_rows + 1), (size_t)integer)};
    if (!o.data || !o.indices || !o.indptr) abort();
    for (int64_t row = 0; row < X->n_rows; row++) {
        for (int64_t e = get(X->indptr, X->wide, row); e < get(X->indptr, X->wide, row + 1); e++)
            for (int part = 0, parts = row % every == first ? PARTS : 1; part < parts; part++, at++) {
                set(o.indices, X->wide, at, get(X->indices, X->wide, e));
                if (value == 4) ((float *)(void *)o.data)[at] = ((const float *)(const void *)X->data)[e] / (float)parts;
                else ((double *)(void *)o.data)[at] = ((const double *)(const void *)X->data)[e] / parts;
            }
        set(o.indptr, X->wide, row + 1, at);
    }
    X->data = o.data, X->indices = o.indices, X->indptr = o.indptr, X->n_stored = at;
    return o;
}

static void long_rows(void) {
    for (int variant = 0; variant < 16; variant++) {
        recipe r = {.n = 60, .d = 33, .k = variant % 2 ? 3 : 1, .type = variant / 2 % 2 ? GD_F32 : GD_F64, .sparse = 1 + variant / 4 % 2,
                    .subset = variant % 3 == 1, .l2 = 0.1, .l1 = variant / 8 ? 0.02 : 0.0, .seed = (uint64_t)variant};
        data c = data_make(&r), whole = c;
        own o = in_parts(&c.problem.X, 7, variant % 7);
        int64_t longest = 0;
        for (int64_t row = 0; row < c.problem.X.n_rows; row++) {
            int64_t length = get(o.indptr, c.problem.X.wide, row + 1) - get(o.indptr, c.problem.X.wide, row);
            longest = length > longest ? length : longest;
        }
        CHECK(longest > GD_CSR_ENTRIES, "%d entries", (int)longest);
        double *expected = room(c.size + 1), *out = room(c.size + 1);
        evaluate(&whole.problem, c.weights, 1, expected);
        gd_status status = evaluate(&c.problem, c.weights, 1, out);
        for (int64_t i = 0; i <= c.size; i++)
            CHECK(status == GD_OK && fabs(out[i] - expected[i]) <= 1e-11 * (1.0 + fabs(expected[i])), "%d: %g not %g, %s", (int)i, out[i], expected[i], describe(&r));
        for (int64_t batch = 1; batch <= r.n; batch *= 5) {
            gd_settings s = plain_settings(GD_SOLVER_SGD);
            s.batch_size = batch, s.max_iter = 2, s.eta0 = 0.02, s.shuffle = variant % 2, s.average = r.l1 == 0.0 ? 3 : 0;
            check_rule_on(&c, &r, &s);
        }
        gd_settings s = plain_settings(GD_SOLVER_AUTO);
        s.tol = 1e-10, s.max_iter = 1000;
        outcome parts = descend(&c.problem, NULL, &s, NULL, NULL, NULL), one = descend(&whole.problem, NULL, &s, NULL, NULL, NULL);
        CHECK(parts.status == GD_OK && fabs(parts.report.error - one.report.error) <= 1e-8 * fabs(one.report.error), "auto, status %d, %s", parts.status, describe(&r));
        outcome_free(&parts), outcome_free(&one);
        int64_t last = get(o.indptr, c.problem.X.wide, c.problem.X.n_rows) - 1;
        set(o.indices, c.problem.X.wide, last, r.d);
        status = evaluate(&c.problem, c.weights, 1, out);
        CHECK(r.subset || status == GD_BAD_ROWS, "status %d, %s", status, describe(&r));
        free(o.data), free(o.indices), free(o.indptr), free(expected), free(out);
        data_free(&c);
    }
}

/* A row per update: the same bits whether another thread stages the rows to come or the caller does, with rows among them that are too
 * long to be staged. A broken row ends the descent; one that diverges ends alike, whatever has been staged by then. */
static void staged_rows(void) {
    static const int threads[] = {2, 3, 7};
    for (int variant = 0; variant < (UNDER_TSAN ? 2 : 6); variant++) {
        recipe r = {.n = 130000, .d = 24, .k = 1, .type = variant % 2 ? GD_F32 : GD_F64, .loss = gd_loss_log_loss, .sparse = 1 + variant % 2,
                    .weighted = variant % 3 == 1, .subset = variant % 3 == 2, .l2 = 1e-3, .l1 = variant == 4 ? 1e-4 : 0.0, .seed = 9};
        data c = data_make(&r);
        own o = in_parts(&c.problem.X, variant % 2 ? 1031 : 20011, 100);
        gd_settings s = plain_settings(GD_SOLVER_SGD);
        s.batch_size = 1, s.max_iter = 2, s.eta0 = 0.01, s.schedule = variant % 2 ? GD_OPTIMAL : GD_CONSTANT, s.shuffle = variant != 5;
        s.average = variant == 3 ? 10 : 0;
        for (int diverges = 0; diverges < 2; diverges++) {
            if (diverges) s.schedule = GD_CONSTANT, s.eta0 = 1e200;
            outcome one = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
            CHECK(one.status == (diverges ? GD_DIVERGED : GD_OK), "status %d, %s", one.status, describe(&r));
            for (int i = 0; i < 4; i++) {
                gd_settings many = s;
                long before = fault_threads_ever();
                many.n_threads = threads[i % 3];
                fault_threads(i < 3 ? -1 : 0); /* the last may start none */
                outcome out = descend(&c.problem, NULL, &many, NULL, NULL, NULL);
                fault_threads(-1);
                CHECK(outcomes_equal(&out, &one), "%d threads, %s", many.n_threads, describe(&r));
                CHECK(i < 3 ? fault_threads_ever() > before : out.report.missing_threads > 0, "%d threads, %s", many.n_threads, describe(&r));
                outcome_free(&out);
            }
            outcome_free(&one);
        }
        int64_t row = c.problem.rows ? c.problem.rows[r.n - 5] : r.n - 5;
        while (get(o.indptr, c.problem.X.wide, row) == get(o.indptr, c.problem.X.wide, row + 1)) row--;
        set(o.indices, c.problem.X.wide, get(o.indptr, c.problem.X.wide, row), r.d);
        s.eta0 = 0.01, s.n_threads = 2;
        outcome broken = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
        CHECK(r.subset || broken.status == GD_BAD_ROWS, "status %d, %s", broken.status, describe(&r));
        outcome_free(&broken);
        free(o.data), free(o.indices), free(o.indptr);
        data_free(&c);
    }
}

/* ---- arrays that somebody changes meanwhile ------------------------------------------------------------------------- */

typedef struct vandal { const gd_matrix *X; own *o; atomic_int over; } vandal;

/* One column, then one pointer, goes astray and comes back, each for about as long as a tile of rows takes: those that are sound when
 * they are checked are not when they are used, and the other way round. */
static void *scribble(void *argument) {
    vandal *v = argument;
    const gd_matrix *X = v->X;
    for (int64_t turn = 0; !atomic_load(&v->over); turn++) {
        int pointer = turn % 16 == 15;
        void *integers = pointer ? v->o->indptr : v->o->indices;
        int64_t at = (pointer ? X->n_rows : X->n_stored) / 2, sound = get(integers, X->wide, at);
        set(integers, X->wide, at, turn % 2 ? -INT32_MAX : INT32_MAX);
        for (int i = 0; i < 3000; i++) atomic_load(&v->over);
        set(integers, X->wide, at, sound);
        for (int i = 0; i < 3000; i++) atomic_load(&v->over);
    }
    return NULL;
}

/* Whatever they see is refused or computed with, but not followed: the sanitizer, or the end of memory, would tell. */
static void changed_meanwhile(void) {
    for (int variant = 0; variant < 8 && !UNDER_TSAN; variant++) { /* the race is the test */
        recipe r = {.n = 2000, .d = 60, .k = variant % 2 ? 3 : 1, .sparse = 1 + variant / 2 % 2, .type = variant / 4 ? GD_F32 : GD_F64, .seed = 2};
        data c = data_make(&r);
        own o = take_over(&c.problem.X);
        double *out = room(c.size + 1);
        vandal v = {.X = &c.problem.X, .o = &o};
        pthread_t thread;
        if (pthread_create(&thread, NULL, scribble, &v)) abort();
        for (int i = 0; i < 200; i++) {
            gd_status status = evaluate(&c.problem, c.weights, 1, out);
            CHECK(status == GD_OK || status == GD_BAD_ROWS, "status %d, %s", status, describe(&r));
        }
        for (int i = 0; i < 50; i++) {
            gd_settings s = plain_settings(GD_SOLVER_SGD);
            s.batch_size = i % 2 ? 1 : 100, s.max_iter = 2, s.shuffle = 1, s.eta0 = 1e-6;
            outcome e = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
            CHECK(e.status == GD_OK || e.status == GD_BAD_ROWS, "status %d, %s", e.status, describe(&r));
            outcome_free(&e);
        }
        atomic_store(&v.over, 1);
        pthread_join(thread, NULL);
        free(o.data), free(o.indices), free(o.indptr), free(out);
        data_free(&c);
    }
}

/* ---- very many columns --------------------------------------------------------------------------------------------- */

static void more_than_int32(void) {
    recipe r = {.n = 5, .d = 3, .k = 1, .sparse = 2};
    data c = data_make(&r);
    double weights[4] = {0.0}, out[5];
    c.problem.X.n_cols = (int64_t)INT32_MAX + 1;
    gd_status status = gd_error_and_gradient(&c.problem, weights, weights + 3, 1, NULL, out, NULL, NULL);
    CHECK(status == GD_BAD_ARGUMENT, "status %d", status);
    c.problem.X.n_cols = r.d;
    data_free(&c);
}

static int stop(void *context) { return ++*(int *)context > 0; }

/* Few rows and entries, millions of weights: an update may cost few of them, an epoch costs all, and is soon asked whether to end. */
static void huge_width(void) {
    enum { N = 40, D = 1 << 22 };
    int32_t indices[2 * N], indptr[N + 1];
    float values[2 * N];
    double y[N];
    dice d = {1};
    for (int i = 0; i < N; i++) {
        y[i] = (double)(i % 2), indptr[i + 1] = 2 * i + 2;
        for (int e = 2 * i; e < 2 * i + 2; e++) indices[e] = (int32_t)roll_below(&d, D), values[e] = 1.0f;
    }
    indptr[0] = 0;
    gd_problem problem = {.X = {.data = (const char *)values, .n_rows = N, .n_cols = D, .type = GD_F32, .indices = indices, .indptr = indptr, .n_stored = 2 * N},
                          .y = {.data = (const char *)y, .n_rows = N, .n_cols = 1, .row_stride = 8, .col_stride = 8, .type = GD_F64},
                          .n = N, .n_outputs = 1, .loss = gd_loss_log_loss, .fit_intercept = 1, .l2 = 1e-3};
    for (int i = 0; i < N_SOLVERS; i++) {
        int polls = 0;
        gd_hooks hooks = {.poll = stop, .context = &polls};
        gd_settings s = plain_settings(all_solvers[i]);
        s.batch_size = 32, s.max_iter = 100;
        outcome o = descend(&problem, NULL, &s, NULL, &hooks, NULL);
        CHECK(o.status == GD_INTERRUPTED && o.report.n_iter <= 2, "solver %d: status %d after %d epochs", s.solver, o.status, (int)o.report.n_iter);
        outcome_free(&o);
    }
}

void test_sparse(void) {
    every_loss();
    random_recipes();
    scores();
    rules_by_the_book();
    hostile_penalties();
    exploding_penalty();
    auto_as_dense();
    any_number_of_threads();
    broken_rows();
    long_rows();
    staged_rows();
    changed_meanwhile();
    more_than_int32();
    huge_width();
}
