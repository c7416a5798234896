/* Descents: each rule against its formula written out, the optimum of every loss, schedules, hooks, validation, failure. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "check.h"
#include "descend.h"
#include "naive.h"

/* ---- the rules, by the book ------------------------------------------------------------------------------------ */

static void rules_by_the_book(void) {
    static const int64_t batches[] = {0, 1, 7, 32, 61, 1000};
    static const int schedules[] = {GD_CONSTANT, GD_INVSCALING, GD_OPTIMAL};
    int turn = 0;
    for (int solver = GD_SOLVER_GD; solver <= GD_SOLVER_ADAM; solver++)
        for (int b = 0; b < 6; b++)
            for (int schedule = 0; schedule < 3; schedule++)
                for (int shuffle = 0; shuffle < 2; shuffle++, turn++) {
                    recipe r = {.n = 61, .d = 1 + turn * 5 % 19, .k = turn % 3 == 2 ? 3 : 1, .l2 = 0.5, .l1 = turn % 2 ? 0.02 : 0.0,
                                .loss = turn % 5 < 2 ? gd_loss_squared_error : gd_loss_log_loss, .seed = (uint64_t)turn,
                                .weighted = turn % 7 == 1 && batches[b] != 1, .subset = turn % 4 == 1};
                    gd_settings s = plain_settings(solver);
                    if (solver == GD_SOLVER_GD && (shuffle || b)) continue;
                    s.schedule = schedules[schedule], s.batch_size = batches[b], s.shuffle = shuffle, s.max_iter = 3, s.eta0 = 0.02;
                    if (solver <= GD_SOLVER_SGD) s.momentum = turn % 3 ? 0.7 : 0.0, s.nesterov = turn % 3 == 2;
                    s.average = turn % 4 == 3 ? 2 : 0;
                    check_rule(&r, &s);
                }
}

/* ---- the optimum ------------------------------------------------------------------------------------------------ */

static double error_at(const gd_problem *problem, const double *weights) {
    double error;
    gd_error_and_gradient(problem, weights, weights + problem->n_outputs * problem->X.n_cols, 1, NULL, &error, NULL, NULL);
    return error;
}

/* How far E can be lowered by steps of several sizes along each weight and in some directions: E is convex, so at the optimum
 * not at all. As a share of E, or of 1e-4 where E itself vanishes. */
static double best_improvement(const data *c, const double *weights) {
    dice d = {5};
    double here = error_at(&c->problem, weights), best = 0.0, *w = room(c->size);
    for (int64_t way = 0; way < c->size + 20; way++)
        for (double length = 1e-4; length < 1.0; length *= 5.0)
            for (int back = 0; back < 2; back++) {
                for (int64_t j = 0; j < c->size; j++)
                    w[j] = weights[j] + (back ? -length : length) * (way < c->size ? (double)(j == way) : roll_between(&d, -1.0, 1.0));
                best = fmax(best, here - error_at(&c->problem, w));
            }
    free(w);
    return best / fmax(1e-4, fabs(here));
}

static void auto_finds_the_optimum(void) {
    for (int loss = 0; loss <= GD_N_LOSSES; loss++)
        for (int variant = 0; variant < 8; variant++) {
            recipe r = {.n = 300, .d = 1 + variant * 3, .k = variant % 3 == 2 ? 3 : 1, .loss = loss, .l2 = 0.01, .seed = (uint64_t)variant,
                        .type = variant % 2 ? GD_F32 : GD_F64, .weighted = variant % 4 == 1, .offset_cols = variant % 5 == 1};
            if (loss == GD_N_LOSSES) r.loss = gd_loss_log_loss, r.softmax = 1, r.k = 4, r.codes = variant % 2;
            if (variant % 4 == 3) r.l1 = 0.02;
            data c = data_make(&r);
            c.problem.fit_intercept = variant != 5;
            gd_settings s = plain_settings(GD_SOLVER_AUTO);
            int smooth = gd_loss_is_smooth(r.loss);
            s.max_iter = 1000, s.tol = smooth ? 1e-8 : 1e-6;
            outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
            CHECK(o.status == GD_OK && outcome_finite(&o), "%s variant %d: status %d", gd_loss_name(r.loss), variant, o.status);
            int converged = o.report.reason == GD_STOP_CONVERGED || o.report.reason == GD_STOP_PRECISION;
            CHECK(converged || (!smooth && o.report.n_iter == s.max_iter), "%s variant %d: reason %d after %d", gd_loss_name(r.loss), variant,
                  o.report.reason, (int)o.report.n_iter);
            if (c.problem.fit_intercept) {
                double more = best_improvement(&c, o.state.answer);
                CHECK(more < (!converged ? 1e-3 : smooth && r.type == GD_F64 ? 1e-7 : 2e-6), "%s variant %d: %g to be gained, reason %d",
                      gd_loss_name(r.loss), variant, more, o.report.reason);
            } else
                for (int64_t j = r.k * r.d; j < c.size; j++) CHECK(o.state.answer[j] == 0.0, "%s variant %d: intercept", gd_loss_name(r.loss), variant);
            outcome_free(&o);
            data_free(&c);
        }
}

static void steepest_descent_finds_the_optimum(void) {
    for (int variant = 0; variant < 6; variant++) {
        recipe r = {.n = 200, .d = 4, .k = 1 + variant % 2 * 2, .loss = variant < 3 ? gd_loss_squared_error : gd_loss_log_loss, .l2 = 0.1, .seed = 4};
        data c = data_make(&r);
        gd_settings s = plain_settings(GD_SOLVER_GD);
        s.schedule = GD_AUTO, s.max_iter = 5000, s.tol = 1e-9;
        s.momentum = variant % 3 ? 0.5 : 0.0, s.nesterov = variant % 3 == 2;
        outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
        CHECK(o.status == GD_OK && o.report.reason == GD_STOP_CONVERGED, "variant %d: reason %d after %d", variant, o.report.reason, (int)o.report.n_iter);
        CHECK(best_improvement(&c, o.state.answer) < 1e-7, "variant %d", variant);
        for (int64_t i = 1; i < o.report.loss.size; i++)
            CHECK(o.report.loss.data[i] <= o.report.loss.data[i - 1], "variant %d: E rises at epoch %d", variant, (int)i);
        outcome_free(&o);
        data_free(&c);
    }
}

/* Wide data takes the diagonal metric. */
static void wide(void) {
    for (int l1 = 0; l1 < 2; l1++) {
        recipe r = {.n = 80, .d = 2100, .k = 1, .loss = gd_loss_log_loss, .l2 = 0.05, .l1 = l1 ? 0.02 : 0.0, .seed = 8};
        data c = data_make(&r);
        gd_settings s = plain_settings(GD_SOLVER_AUTO);
        s.max_iter = 1000, s.tol = 1e-6;
        outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
        CHECK(o.status == GD_OK && o.report.reason == GD_STOP_CONVERGED, "l1 %d: status %d reason %d after %d", l1, o.status, o.report.reason, (int)o.report.n_iter);
        double zeros = 0.0;
        for (int64_t j = 0; j < r.d; j++) zeros += o.state.answer[j] == 0.0;
        CHECK(l1 ? zeros > 1000.0 : zeros == 0.0, "l1 %d: %g exact zeros", l1, zeros);
        outcome_free(&o);
        data_free(&c);
    }
}

/* ---- everything runs, and to the same bits ---------------------------------------------------------------------- */

static void every_combination(void) {
    for (int s_at = 0; s_at < N_SOLVERS; s_at++)
        for (int schedule = GD_AUTO; schedule <= GD_ADAPTIVE; schedule++)
            for (int loss = 0; loss < GD_N_LOSSES; loss++)
                for (int variant = 0; variant < 4; variant++) {
                    recipe r = {.n = 150, .d = 5, .k = variant == 3 ? 3 : 1, .type = variant % 2 ? GD_U8 : GD_F32, .loss = loss, .l2 = 0.1,
                                .l1 = variant == 2 ? 0.01 : 0.0, .seed = (uint64_t)variant, .how = variant % 2};
                    data c = data_make(&r), held_out;
                    recipe other = r;
                    other.seed = 99, other.n = 40;
                    held_out = data_make(&other);
                    gd_settings s = plain_settings(all_solvers[s_at]);
                    double typical = r.type == GD_U8 ? 1e-6 : 0.01;
                    s.schedule = schedule, s.eta0 = typical, s.max_iter = 12, s.tol = 1e-4, s.n_iter_no_change = 2;
                    s.batch_size = variant == 1 ? 16 : 0, s.shuffle = variant != 2, s.keep_path = 1 + variant % 2;
                    outcome o = descend(&c.problem, variant == 3 ? &held_out.problem : NULL, &s, NULL, NULL, NULL);
                    int may_diverge = schedule == GD_OPTIMAL; /* its first steps know nothing of the data's scale */
                    CHECK((o.status == GD_OK && outcome_finite(&o)) || (may_diverge && o.status == GD_DIVERGED), "%s solver %d schedule %d variant %d: status %d",
                          gd_loss_name(loss), all_solvers[s_at], schedule, variant, o.status);
                    CHECK(o.report.loss.size == o.report.n_iter && o.report.eta.size == o.report.n_iter && o.report.n_iter <= s.max_iter * r.k,
                          "%s solver %d schedule %d variant %d: curves", gd_loss_name(loss), all_solvers[s_at], schedule, variant);
                    CHECK(o.report.path.size % c.size == 0 && o.report.path.size >= c.size, "path of %d", (int)o.report.path.size);
                    outcome_free(&o);
                    data_free(&held_out);
                    data_free(&c);
                }
}

/* Threads, layout, the width of the registers, a second run: no bit changes. */
static void same_bits(void) {
    for (int s_at = 0; s_at < N_SOLVERS; s_at++)
        for (int variant = 0; variant < 6; variant++) {
            recipe r = {.n = variant < 3 ? 9001 : 70001, .d = variant % 2 ? 24 : 6, .k = variant == 4 ? 3 : 1, .type = variant % 3 ? GD_F32 : GD_F64, .l2 = 1e-3,
                        .loss = variant == 5 ? gd_loss_hinge : variant % 2 ? gd_loss_log_loss : gd_loss_squared_error, .seed = 1, .weighted = variant == 3,
                        .l1 = variant == 1 ? 1e-3 : 0.0};
            gd_settings s = plain_settings(all_solvers[s_at]);
            s.schedule = GD_AUTO, s.max_iter = 6, s.tol = 1e-10, s.shuffle = 1, s.keep_path = 1;
            s.batch_size = all_solvers[s_at] < GD_SOLVER_SGD ? 0 : 700;
            gd_init(strstr(gd_available_isas(), "avx2") ? "avx2" : NULL);
            data c = data_make(&r);
            outcome expected = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
            static const int threads[] = {1, 2, 3, 7};
            for (int i = 0; i < 4; i++) {
                if (i == 2) gd_init(NULL);
                s.n_threads = threads[i];
                outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
                CHECK(outcomes_equal(&o, &expected), "solver %d variant %d threads %d, %s", all_solvers[s_at], variant, threads[i], gd_isa_name());
                outcome_free(&o);
            }
            data_free(&c);
            r.how = LAYOUT_F;
            c = data_make(&r);
            outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
            CHECK(outcomes_equal(&o, &expected), "solver %d variant %d, F order", all_solvers[s_at], variant);
            outcome_free(&o), outcome_free(&expected);
            data_free(&c);
        }
}

/* ---- hooks, validation, path ------------------------------------------------------------------------------------- */

typedef struct witness { int polls, polls_allowed, epochs, stop_at, answer, wrong; int64_t size; double last_error; } witness;

static int poll(void *context) {
    witness *w = context;
    return ++w->polls > w->polls_allowed;
}

static int watch(void *context, const gd_epoch *epoch) {
    witness *w = context;
    w->wrong += epoch->epoch != ++w->epochs || epoch->t < epoch->epoch || !isfinite(epoch->error);
    w->wrong += !isnan(epoch->validation_error) || !(epoch->gradient_norm >= 0.0);
    for (int64_t j = 0; j < w->size; j++) w->wrong += !isfinite(epoch->weights[j]);
    w->last_error = epoch->error;
    return w->epochs == w->stop_at ? w->answer : 0;
}

static void hooks(void) {
    for (int s_at = 0; s_at < N_SOLVERS; s_at++)
        for (int loss = 0; loss < GD_N_LOSSES; loss += gd_loss_hinge) {
            recipe r = {.n = 400, .d = 6, .k = 1, .loss = loss, .l2 = 1e-6, .seed = 2};
            data c = data_make(&r);
            gd_settings s = plain_settings(all_solvers[s_at]);
            s.schedule = GD_AUTO, s.max_iter = 50;
            witness w = {.polls_allowed = 1 << 30, .stop_at = 2, .answer = 1, .size = c.size};
            gd_hooks h = {.poll = poll, .context = &w};
            outcome o = descend(&c.problem, NULL, &s, NULL, &h, watch);
            CHECK(o.status == GD_OK && o.report.reason == GD_STOP_CALLBACK && o.report.n_iter == 2 && w.epochs == 2 && !w.wrong,
                  "solver %d: status %d reason %d epochs %d wrong %d", all_solvers[s_at], o.status, o.report.reason, w.epochs, w.wrong);
            CHECK(o.report.loss.size == 2 && o.report.loss.data[1] == w.last_error && w.polls > 0, "solver %d: %d polls", all_solvers[s_at], w.polls);
            outcome_free(&o);

            w = (witness){.polls_allowed = 1 << 30, .stop_at = 3, .answer = -1, .size = c.size};
            o = descend(&c.problem, NULL, &s, NULL, &h, watch);
            CHECK(o.status == GD_INTERRUPTED && w.epochs == 3, "solver %d: status %d", all_solvers[s_at], o.status);
            outcome_free(&o);

            w = (witness){.polls_allowed = 0, .size = c.size};
            o = descend(&c.problem, NULL, &s, NULL, &h, NULL);
            CHECK(o.status == GD_INTERRUPTED && w.polls == 1, "solver %d: status %d after %d polls", all_solvers[s_at], o.status, w.polls);
            outcome_free(&o);
            data_free(&c);
        }
}

/* A poll in the middle of a long call ends it, with threads too (which may have done the work before the caller polls). */
static void interruption(void) {
    recipe r = {.n = 80000, .d = 40, .k = 1, .loss = gd_loss_log_loss, .seed = 2};
    data c = data_make(&r);
    double out[50], *z = room(r.n);
    for (int threads = 1; threads <= 3; threads += 2) {
        witness w = {.polls_allowed = 0};
        gd_hooks h = {.poll = poll, .context = &w};
        gd_status status = gd_error_and_gradient(&c.problem, c.weights, c.weights + r.d, threads, &h, out, out + 1, out + 41);
        CHECK(status == (w.polls ? GD_INTERRUPTED : GD_OK) && w.polls == (threads == 1 || w.polls), "pass: status %d", status);
        w.polls = 0;
        status = gd_scores(&c.problem, c.weights, c.weights + r.d, threads, &h, z, 0);
        CHECK(status == (w.polls ? GD_INTERRUPTED : GD_OK) && w.polls == (threads == 1 || w.polls), "scores: status %d", status);
        for (int s_at = 0; s_at < N_SOLVERS; s_at++)
            for (int allowed = 1; allowed < 4; allowed++) {
                gd_settings s = plain_settings(all_solvers[s_at]);
                s.eta0 = 1e-3, s.max_iter = 1000000, s.n_threads = threads, s.batch_size = s_at > 1 ? 32 : 0, s.shuffle = 1;
                if (s_at == 0) c.problem.loss = gd_loss_hinge; /* long enough */
                w = (witness){.polls_allowed = allowed};
                outcome o = descend(&c.problem, NULL, &s, NULL, &h, NULL);
                CHECK(o.status == GD_INTERRUPTED && w.polls == allowed + 1, "solver %d: status %d after %d polls", all_solvers[s_at], o.status, w.polls);
                outcome_free(&o);
                c.problem.loss = gd_loss_log_loss;
            }
    }
    int64_t row, col;
    witness w = {.polls_allowed = 0};
    gd_hooks h = {.poll = poll, .context = &w};
    CHECK(gd_find_not_finite(&c.problem.X, NULL, r.n, &h, &row, &col) == GD_INTERRUPTED, "polls %d", w.polls);
    free(z);
    data_free(&c);
}

static void validation(void) {
    for (int s_at = 0; s_at < N_SOLVERS; s_at++)
        for (int k = 1; k <= 3; k += 2) {
            recipe r = {.n = 30, .d = 12, .k = k, .loss = gd_loss_log_loss, .seed = 6}, other = r;
            other.n = 50, other.seed = 60;
            data c = data_make(&r), held_out = data_make(&other);
            gd_settings s = plain_settings(all_solvers[s_at]);
            s.eta0 = s_at > 2 ? 0.1 : 2.0, s.max_iter = 300, s.tol = 1e-4, s.n_iter_no_change = 3;
            outcome o = descend(&c.problem, &held_out.problem, &s, NULL, NULL, NULL);
            CHECK(o.status == GD_OK && o.report.validation.size == o.report.n_iter, "solver %d: status %d", all_solvers[s_at], o.status);
            double least = INFINITY;
            for (int64_t i = 0; i < o.report.validation.size; i++) least = fmin(least, o.report.validation.data[i]);
            CHECK(o.report.best_validation == least && o.report.best_epoch >= 1 && o.report.validation.data[o.report.best_epoch - 1] == least,
                  "solver %d: best %g, least %g", all_solvers[s_at], o.report.best_validation, least);
            CHECK(fabs(error_at(&held_out.problem, o.state.answer) - least) <= 1e-12 * (1.0 + least), "solver %d: weights of the best epoch", all_solvers[s_at]);
            CHECK(o.report.reason == GD_STOP_VALIDATION || s_at == 0, "solver %d: reason %d after %d", all_solvers[s_at], o.report.reason, (int)o.report.n_iter);
            outcome_free(&o);
            data_free(&c);
            data_free(&held_out);
        }
}

static void path(void) {
    for (int s_at = 0; s_at < N_SOLVERS; s_at++)
        for (int keep = 1; keep <= 2; keep++) {
            recipe r = {.n = 50, .d = 3, .k = 2, .loss = gd_loss_log_loss, .l2 = 0.1, .seed = 6};
            data c = data_make(&r);
            gd_settings s = plain_settings(all_solvers[s_at]);
            s.keep_path = keep, s.batch_size = s_at > 1 ? 20 : 0;
            outcome o = descend(&c.problem, NULL, &s, c.weights, NULL, NULL);
            int64_t rows = o.report.path.size / c.size, size = (int64_t)sizeof(double) * c.size;
            int64_t expected = 1 + o.report.n_iter * (keep == 2 && s_at > 1 ? 3 : 1);
            CHECK(rows == expected, "solver %d keep %d: %d rows after %d epochs", all_solvers[s_at], keep, (int)rows, (int)o.report.n_iter);
            CHECK(!memcmp(o.report.path.data, c.weights, (size_t)size), "solver %d keep %d: start", all_solvers[s_at], keep);
            CHECK(!memcmp(o.report.path.data + (rows - 1) * c.size, o.state.answer, (size_t)size), "solver %d keep %d: end", all_solvers[s_at], keep);
            outcome_free(&o);
            data_free(&c);
        }
}

/* ---- failure ------------------------------------------------------------------------------------------------------ */

static void divergence(void) {
    for (int solver = GD_SOLVER_GD; solver <= GD_SOLVER_SGD; solver++)
        for (double eta = 1e2; eta < 1e300; eta *= 1e30) {
            recipe r = {.n = 100, .d = 5, .k = 1, .seed = 3};
            data c = data_make(&r);
            gd_settings s = plain_settings(solver);
            s.eta0 = eta, s.max_iter = 100, s.batch_size = solver == GD_SOLVER_SGD ? 10 : 0;
            outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
            CHECK(o.status == GD_DIVERGED && o.report.diverged_epoch >= 1 && o.report.diverged_epoch <= 10, "solver %d eta %g: status %d epoch %d", solver, eta,
                  o.status, (int)o.report.diverged_epoch);
            for (int64_t j = 0; j < c.size; j++) CHECK(isfinite(o.state.weights[j]), "solver %d eta %g: weights[%d] %g", solver, eta, (int)j, o.state.weights[j]);
            double usable = o.report.usable_eta;
            outcome_free(&o);
            s.eta0 = usable;
            if (solver == GD_SOLVER_GD) {
                o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
                CHECK(usable > 0.0 && o.status == GD_OK && o.report.loss.data[99] < o.report.loss.data[0], "usable rate %g: status %d", usable, o.status);
                outcome_free(&o);
            }
            data_free(&c);
        }
}

/* A rate found by the engine never diverges, whatever the scale of the features, with averaging and momentum too. */
static void auto_never_diverges(void) {
    for (int s_at = 0; s_at < N_SOLVERS; s_at++)
        for (int variant = 0; variant < 24; variant++) {
            recipe r = {.n = 120, .d = 6, .k = 1, .seed = (uint64_t)variant, .l2 = 1e-4,
                        .loss = variant % 3 == 0 ? gd_loss_squared_error : variant % 3 == 1 ? gd_loss_log_loss : gd_loss_poisson};
            data c = data_make(&r);
            pool memory = {.n = 0};
            for (int64_t i = 0; i < r.n * r.d; i++) c.X[i] *= pow(10.0, (double)(i % r.d) * (variant % 4 + 1) - 2.0);
            c.problem.X = store(&memory, c.X, r.n, r.d, GD_F64, LAYOUT_C);
            gd_settings s = plain_settings(all_solvers[s_at]);
            s.schedule = GD_AUTO, s.max_iter = 30, s.average = variant / 4 % 2, s.momentum = variant / 8 && s_at < 3 ? 0.9 : 0.0;
            s.batch_size = variant % 2 && s_at > 1 ? 8 : 0, s.shuffle = 1;
            outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
            CHECK(o.status == GD_OK && outcome_finite(&o), "solver %d %s variant %d: status %d error %g", all_solvers[s_at], gd_loss_name(r.loss), variant, o.status, o.report.error);
            outcome_free(&o);
            pool_free(&memory);
            data_free(&c);
        }
}

static void not_finite(void) {
    for (int s_at = 0; s_at < N_SOLVERS; s_at++)
        for (int schedule = GD_AUTO; schedule <= GD_CONSTANT; schedule++)
            for (int at = 0; at < 3; at++)
                for (int loss = 0; loss < GD_N_LOSSES; loss++) {
                    recipe r = {.n = 70, .d = 18, .k = 1, .seed = 3, .loss = loss};
                    data c = data_make(&r);
                    pool memory = {.n = 0};
                    c.X[at * 69 / 2 * 18 + 17] = at == 1 ? INFINITY : NAN;
                    c.problem.X = store(&memory, c.X, r.n, r.d, GD_F64, LAYOUT_C);
                    gd_settings s = plain_settings(all_solvers[s_at]);
                    s.schedule = schedule, s.batch_size = s_at > 1 ? 16 : 0, s.shuffle = 1;
                    outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
                    CHECK(o.status == GD_NOT_FINITE, "%s solver %d schedule %d at %d: status %d", gd_loss_name(loss), all_solvers[s_at], schedule, at, o.status);
                    outcome_free(&o);
                    pool_free(&memory);
                    data_free(&c);
                }
}

static void odd_settings(void) {
    recipe r = {.n = 20, .d = 2, .k = 1, .seed = 3};
    data c = data_make(&r);
    for (int s_at = 0; s_at < N_SOLVERS; s_at++) {
        gd_settings s = plain_settings(all_solvers[s_at]);
        s.batch_size = INT64_MAX, s.shuffle = 1;
        outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
        CHECK(o.status == GD_OK, "solver %d, one batch larger than all: status %d", all_solvers[s_at], o.status);
        outcome_free(&o);
        s.batch_size = 0, s.n_threads = 100000;
        o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
        CHECK(o.status == GD_OK, "solver %d, more threads than rows: status %d", all_solvers[s_at], o.status);
        outcome_free(&o);
        gd_state state;
        gd_report report;
        CHECK(gd_state_init(&state, &s, c.size + 1) == GD_OK, "solver %d", all_solvers[s_at]);
        CHECK(gd_descend(&c.problem, NULL, &s, NULL, NULL, &state, &report) == GD_BAD_ARGUMENT, "solver %d, state of another size", all_solvers[s_at]);
        gd_report_free(&report);
        gd_state_free(&state);
    }
    data_free(&c);
}

void test_descent(void) {
    rules_by_the_book();
    auto_finds_the_optimum();
    steepest_descent_finds_the_optimum();
    wide();
    every_combination();
    same_bits();
    hooks();
    interruption();
    validation();
    path();
    divergence();
    auto_never_diverges();
    not_finite();
    odd_settings();
}
