/* Every allocation fails once, and from some point on all of them: GD_NO_MEMORY or success, nothing left, and the next call
 * is as good as ever. Threads that cannot be started leave their share to the others, at the same bits. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "descend.h"
#include "faults.h"

enum { MOST_ALLOCATIONS = 500 };

/* A call to be made under faults; it returns its status and writes what it computed to out (most 64 doubles). */
typedef struct trial {
    const char *name;
    data c, held_out;
    gd_settings settings;
    int validated, solver;
    gd_status (*run)(const struct trial *trial, double *out);
} trial;

static gd_status run_pass(const trial *t, double *out) {
    return gd_error_and_gradient(&t->c.problem, t->c.weights, t->c.weights + t->c.size - t->c.problem.n_outputs, 3, NULL, out, out + 1,
                                 out + 1 + t->c.size);
}

static gd_status run_scores(const trial *t, double *out) {
    int64_t count = t->c.problem.n * t->c.problem.n_outputs;
    double *z = calloc((size_t)count, sizeof *z);
    if (!z) abort();
    gd_status status = gd_scores(&t->c.problem, t->c.weights, t->c.weights + t->c.size - t->c.problem.n_outputs, 3, NULL, z, 0);
    for (int64_t i = 0; i < count; i++) out[i % 64] += z[i];
    free(z);
    return status;
}

/* Three models that share their reads, and train on two rows of three: an evaluation, or, if the trial has steps, a descent. */
static gd_status run_grid(const trial *t, double *out) {
    int64_t k = t->c.problem.n_outputs, n = t->c.problem.n, size = t->c.size;
    gd_model models[3];
    gd_fit fits[3];
    int8_t *roles = malloc((size_t)n);
    double *weights = calloc((size_t)(6 * size), sizeof *weights), *gradient = weights + 3 * size, n_passes;
    if (!weights || !roles) abort();
    for (int64_t i = 0; i < n; i++) roles[i] = i % 3 ? 1 : -1;
    for (int m = 0; m < 3; m++) {
        models[m] = (gd_model){.loss = t->c.problem.loss, .l2 = 0.1 * m, .l1 = t->c.problem.l1, .split = m - 1 > 0 ? 0 : -1};
        for (int64_t j = 0; j < size; j++) weights[m * size + j] = t->c.weights[j] * (m + 1);
    }
    gd_grid grid = {.problem = t->c.problem, .models = models, .n_models = 3, .roles = roles, .n_splits = 1};
    gd_status status = t->settings.max_iter
                           ? gd_descend_grid(&grid, &t->settings, t->validated, NULL, weights, fits, &n_passes)
                           : gd_grid_error_and_gradient(&grid, weights, weights + 3 * (size - k), 3, NULL, out, out + 3, gradient,
                                                        gradient + 3 * (size - k));
    const double *result = t->settings.max_iter ? weights : gradient;
    for (int64_t j = 0; !status && j < 3 * size; j++) out[6 + j % 58] += result[j];
    free(weights), free(roles);
    return status;
}

/* The same by update rules, each by its own. */
static gd_status run_rules(const trial *t, double *out) {
    int64_t n = t->c.problem.n;
    double class_weight[] = {1.0, 2.0}, n_passes;
    gd_model models[3];
    gd_descent descents[3] = {{.status = GD_OK}};
    int8_t *roles = malloc((size_t)n);
    if (!roles) abort();
    for (int64_t i = 0; i < n; i++) roles[i] = i % 3 ? 1 : -1;
    gd_status status = GD_OK;
    for (int m = 0; m < 3; m++) {
        models[m] = (gd_model){.loss = t->c.problem.loss, .l2 = 0.1 * m, .split = m ? 0 : -1, .class_weight = m && t->c.problem.target == GD_CODES ? class_weight : NULL};
        descents[m].settings = t->settings;
        if (!status) status = gd_state_init(&descents[m].state, &t->settings, t->c.size);
    }
    gd_grid grid = {.problem = t->c.problem, .models = models, .n_models = 3, .roles = roles, .n_splits = 1};
    if (!status) status = gd_descend_each(&grid, descents, t->validated, 3, NULL, &n_passes);
    for (int m = 0; m < 3; m++) {
        for (int64_t j = 0; !status && j < t->c.size; j++) out[j % 64] += descents[m].state.answer[j];
        gd_state_free(&descents[m].state);
        gd_report_free(&descents[m].report);
    }
    free(roles);
    return status;
}

/* Four points, of one output in float. */
static gd_status run_points(const trial *t, double *out) {
    double *coef = calloc((size_t)(4 * t->c.size), sizeof *coef);
    if (!coef) abort();
    for (int64_t j = 0; j < 4 * t->c.size; j++) coef[j] = t->c.weights[j % t->c.size] * (double)(j % 3);
    gd_status status = gd_errors(&t->c.problem, 4, coef, coef, 1, 3, NULL, out);
    free(coef);
    return status;
}

static gd_status run_softmax(const trial *t, double *out) {
    return gd_pointwise_softmax(NULL, 5, 3, t->c.X, t->c.X, out, out + 5);
}

static gd_status run_descent(const trial *t, double *out) {
    outcome o = descend(&t->c.problem, t->validated ? &t->held_out.problem : NULL, &t->settings, NULL, NULL, NULL);
    gd_status status = o.status;
    if (!status) memcpy(out, o.state.answer, sizeof *out * (size_t)o.state.size);
    if (!status) out[63] = o.report.error;
    outcome_free(&o);
    return status;
}

static void fail_each(const trial *t) {
    double expected[64] = {0}, out[64];
    long live = fault_live();
    gd_status usual = t->run(t, expected);
    CHECK(fault_live() == live, "%s", t->name);
    for (int lasting = 0; lasting < 2; lasting++)
        for (long k = 0; k < MOST_ALLOCATIONS; k++) {
            fault_allocations(k, lasting);
            memset(out, 0, sizeof out);
            gd_status status = t->run(t, out);
            int happened = fault_happened();
            fault_allocations(-1, 0);
            CHECK(status == usual || (happened && status == GD_NO_MEMORY), "%s: allocation %ld fails, status %d", t->name, k, status);
            CHECK(status != GD_OK || !memcmp(out, expected, sizeof out), "%s: allocation %ld fails, other bits", t->name, k);
            CHECK(fault_live() == live, "%s: allocation %ld fails, %ld pieces left", t->name, k, fault_live() - live);
            if (!happened) break;
        }
    memset(out, 0, sizeof out);
    CHECK(t->run(t, out) == usual && !memcmp(out, expected, sizeof out), "%s, afterwards", t->name);
}

static void memory(int sparse, int k) {
    recipe r = {.n = 700, .d = 6, .k = k, .loss = gd_loss_log_loss, .softmax = k > 1, .l2 = 0.01, .sparse = sparse, .seed = 1};
    recipe held_out = r;
    held_out.n = 60, held_out.seed = 2;
    trial t = {.c = data_make(&r), .held_out = data_make(&held_out)};
    t.name = "pass", t.run = run_pass, fail_each(&t);
    t.name = "scores", t.run = run_scores, fail_each(&t);
    t.name = "points", t.run = run_points, fail_each(&t);
    t.name = "softmax", t.run = run_softmax, fail_each(&t);
    t.name = "grid", t.run = run_grid, fail_each(&t);
    t.name = "descent", t.run = run_descent;
    for (int s_at = 0; s_at < N_SOLVERS; s_at++)
        for (int variant = 0; variant < 6; variant++) {
            t.settings = plain_settings(all_solvers[s_at]);
            t.settings.schedule = variant % 2 ? GD_AUTO : GD_CONSTANT, t.settings.shuffle = 1;
            t.settings.batch_size = variant % 3 ? 100 : 0, t.settings.keep_path = variant % 3;
            t.settings.momentum = variant % 2 ? 0.5 : 0.0, t.settings.average = variant == 4;
            t.settings.eta0 = variant == 5 ? 1e300 : 0.05; /* diverges, and looks for a rate that would not */
            t.settings.schedule = variant == 5 ? GD_CONSTANT : t.settings.schedule;
            t.validated = variant >= 3;
            t.c.problem.l1 = t.held_out.problem.l1 = variant % 2 ? 0.01 : 0.0;
            fail_each(&t);
        }
    data_free(&t.c);
    data_free(&t.held_out);
}

/* Grids that descend: over all rows, from samples of them, from moments; with and without L1 and rows that stop them early. */
static void memory_of_grids(int sparse) {
    for (int way = 0; way < 6; way++) {
        recipe r = {.n = way / 2 == 1 ? 30000 : 90, .d = 5, .k = 1, .loss = way / 2 == 2 ? gd_loss_squared_error : gd_loss_log_loss, .sparse = sparse,
            .l1 = way % 2 ? 0.01 : 0.0};
        trial t = {.name = way / 2 == 0 ? "grid, all rows" : way / 2 == 1 ? "grid, samples" : "grid, moments", .c = data_make(&r), .run = run_grid};
        t.settings = plain_settings(GD_SOLVER_AUTO);
        t.settings.max_iter = 20, t.settings.tol = 1e-8, t.validated = way == 0;
        fail_each(&t);
        data_free(&t.c);
    }
}

static void memory_of_rules(int sparse) {
    for (int way = 0; way < 4; way++) {
        recipe r = {.n = 300, .d = 5, .k = 1, .loss = gd_loss_log_loss, .codes = 1, .sparse = sparse, .weighted = 1};
        trial t = {.name = "rules", .c = data_make(&r), .run = run_rules};
        t.settings = plain_settings(way % 2 ? GD_SOLVER_ADAM : GD_SOLVER_GD);
        t.settings.schedule = way < 2 ? GD_AUTO : GD_CONSTANT, t.settings.tol = way % 2 ? -1.0 : 0.1, t.settings.max_iter = 8;
        t.settings.eta0 = way == 2 ? 1e300 : 0.05; /* diverges, and looks for a rate that would not */
        t.validated = way % 2, t.settings.shuffle = 1;
        fail_each(&t);
        data_free(&t.c);
    }
}

/* The auto solver's other ways: sampled rows, smoothed kinks, the span of the rows or, sparse, the diagonal metric. */
static void memory_of_auto(int sparse) {
    for (int way = 0; way < 3; way++) {
        recipe r = {.n = way == 0 ? 30000 : 90, .d = way == 2 ? 2050 : 5, .k = 1, .loss = way == 1 ? gd_loss_hinge : gd_loss_log_loss,
            .l2 = way == 2 && !sparse ? 0.0 : 0.01, .sparse = sparse, .subset = way == 2};
        trial t = {.name = way == 0 ? "sample" : way == 1 ? "kinks" : "wide", .c = data_make(&r), .run = run_descent};
        if (way == 2) t.c.problem.n_outputs = 1;
        t.settings = plain_settings(GD_SOLVER_AUTO);
        t.settings.max_iter = 3;
        if (way == 2) { /* too many weights for `out`: statuses only */
            for (long k = 0; k < MOST_ALLOCATIONS; k++) {
                fault_allocations(k, 0);
                outcome o = descend(&t.c.problem, NULL, &t.settings, t.c.weights, NULL, NULL);
                int happened = fault_happened();
                fault_allocations(-1, 0);
                CHECK(o.status == (happened ? GD_NO_MEMORY : GD_OK), "wide: allocation %ld fails, status %d", k, o.status);
                outcome_free(&o);
                if (!happened) break;
            }
        } else fail_each(&t);
        data_free(&t.c);
    }
}

static void threads(void) {
    recipe r = {.n = 130000, .d = 24, .k = 1, .type = GD_F32, .loss = gd_loss_log_loss, .l2 = 0.01};
    data c = data_make(&r);
    double *z = calloc((size_t)r.n, sizeof *z), *again = calloc((size_t)r.n, sizeof *again), expected[26], out[26];
    if (!z || !again) abort();
    gd_settings s = plain_settings(GD_SOLVER_AUTO);
    outcome one = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
    gd_error_and_gradient(&c.problem, c.weights, c.weights + 24, 1, NULL, expected, expected + 1, expected + 25);
    gd_scores(&c.problem, c.weights, c.weights + 24, 1, NULL, z, 0);
    s.n_threads = 4;
    for (long allowed = 0; allowed < 4; allowed++) {
        fault_threads(allowed);
        gd_status status = gd_error_and_gradient(&c.problem, c.weights, c.weights + 24, 4, NULL, out, out + 1, out + 25);
        CHECK(status == GD_OK && !memcmp(out, expected, sizeof out), "pass with %ld threads more", allowed);
        CHECK(allowed > 0 || fault_happened(), "pass: no thread was asked for");
        fault_threads(allowed);
        status = gd_scores(&c.problem, c.weights, c.weights + 24, 4, NULL, again, 0);
        CHECK(status == GD_OK && !memcmp(z, again, sizeof *z * (size_t)r.n), "scores with %ld threads more", allowed);
        fault_threads(allowed);
        outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
        CHECK(outcomes_equal(&o, &one), "descent with %ld threads more", allowed);
        CHECK((o.report.missing_threads > 0) == (fault_happened() > 0), "descent with %ld threads more: %d missing", allowed,
            o.report.missing_threads);
        CHECK(allowed > 0 || o.report.missing_threads > 0, "descent: no thread was asked for");
        outcome_free(&o);
    }
    fault_threads(-1);
    outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
    CHECK(outcomes_equal(&o, &one) && o.report.missing_threads == 0, "descent: %d threads missing", o.report.missing_threads);
    outcome_free(&o), outcome_free(&one);
    free(z), free(again);
    data_free(&c);
}

/* More than there can be: refused before anything is computed with it. */
static void too_large(void) {
    recipe r = {.n = 10, .d = 2, .k = 1};
    data c = data_make(&r);
    double out[4];
    static const int64_t sizes[][2] = {{(int64_t)1 << 50, 1}, {(int64_t)1 << 40, 3}, {1 << 20, 1 << 25}};
    for (int i = 0; i < 3; i++) {
        gd_problem p = c.problem;
        p.X.n_cols = sizes[i][0], p.n_outputs = sizes[i][1], p.X.col_stride = 0;
        gd_status status = gd_error_and_gradient(&p, c.weights, c.weights, 1, NULL, out, NULL, NULL);
        CHECK(status == GD_NO_MEMORY, "d %lld k %lld: status %d", (long long)p.X.n_cols, (long long)p.n_outputs, status);
    }
    data_free(&c);
}

void test_faults(void) {
    memory(0, 3);
    memory(1, 1);
    memory(2, 3);
    memory_of_auto(0);
    memory_of_auto(1);
    memory_of_grids(0);
    memory_of_grids(1);
    memory_of_rules(0);
    memory_of_rules(1);
    threads();
    too_large();
}
