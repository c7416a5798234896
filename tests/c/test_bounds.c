/* Bounds on the weights: every rule with its projection written out; at the end of a descent no step that they allow lowers E. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "check.h"

typedef struct limits { double *lower, *upper; } limits;

/* Of every kind: none, on one side, both, 0 at an end, one value only. */
static limits bound(data *c, int variant) {
    int64_t n_coef = c->size - c->problem.n_outputs;
    limits l = {room(n_coef), room(n_coef)};
    for (int64_t j = 0; j < n_coef; j++) {
        l.lower[j] = -INFINITY, l.upper[j] = INFINITY;
        switch ((j + variant) % 6) {
        case 0: l.lower[j] = 0.0; break;
        case 1: l.upper[j] = 0.0; break;
        case 2: l.lower[j] = -0.02, l.upper[j] = 0.03; break;
        case 3: l.lower[j] = l.upper[j] = 0.05; break;
        case 4: l.lower[j] = 0.04; break;
        default: break;
        }
    }
    c->problem.lower = variant % 3 == 1 ? NULL : l.lower, c->problem.upper = variant % 3 == 2 ? NULL : l.upper;
    return l;
}

static int within(const data *c, const double *w) {
    for (int64_t j = 0; j < c->size - c->problem.n_outputs; j++)
        if ((c->problem.lower && w[j] < c->problem.lower[j]) || (c->problem.upper && w[j] > c->problem.upper[j])) return 0;
    return 1;
}

static double clip(const data *c, int64_t j, double w) {
    if (j >= c->size - c->problem.n_outputs) return w;
    if (c->problem.lower) w = fmax(w, c->problem.lower[j]);
    return c->problem.upper ? fmin(w, c->problem.upper[j]) : w;
}

static void rules_by_the_book(void) {
    static const int64_t batches[] = {0, 1, 7, 300};
    int turn = 0;
    for (int solver = GD_SOLVER_GD; solver <= GD_SOLVER_ADAM; solver++)
        for (int b = 0; b < 4; b++)
            for (int variant = 0; variant < 6; variant++, turn++) {
                if (solver == GD_SOLVER_GD && b) continue;
                recipe r = {.n = 61, .d = 14, .k = turn % 3 == 2 ? 3 : 1, .l2 = 0.1, .l1 = turn % 2 ? 0.02 : 0.0, .seed = (uint64_t)turn,
                            .loss = turn % 5 < 2 ? gd_loss_squared_error : gd_loss_log_loss, .sparse = turn % 3};
                data c = data_make(&r);
                limits l = bound(&c, variant);
                gd_settings s = plain_settings(solver);
                s.batch_size = batches[b], s.shuffle = 1, s.max_iter = 4, s.average = turn % 4 == 3 ? 2 : 0;
                s.keep_path = 1 + turn % 2;
                check_rule_on(&c, &r, &s);
                outcome o = descend(&c.problem, NULL, &s, c.weights, NULL, NULL); /* a start that breaks them */
                for (int64_t at = 0; at < o.report.path.size; at += c.size) CHECK(within(&c, o.report.path.data + at), "path, %s", describe(&r));
                CHECK(o.status == GD_OK && within(&c, o.state.answer), "answer, status %d, %s", o.status, describe(&r));
                outcome_free(&o);
                free(l.lower), free(l.upper);
                data_free(&c);
            }
}

static double error_at(const gd_problem *problem, const double *weights) {
    double error;
    gd_error_and_gradient(problem, weights, weights + problem->n_outputs * problem->X.n_cols, 1, NULL, &error, NULL, NULL);
    return error;
}

/* How far E can be lowered by steps within the bounds: along each weight, and in some directions, projected. As a share of E. */
static double best_improvement(const data *c, const double *weights) {
    dice d = {5};
    double here = error_at(&c->problem, weights), best = 0.0, *w = room(c->size);
    for (int64_t way = 0; way < c->size + 20; way++)
        for (double length = 1e-4; length < 1.0; length *= 5.0)
            for (int back = 0; back < 2; back++) {
                for (int64_t j = 0; j < c->size; j++)
                    w[j] = clip(c, j, weights[j] + (back ? -length : length) * (way < c->size ? (double)(j == way) : roll_between(&d, -1.0, 1.0)));
                best = fmax(best, here - error_at(&c->problem, w));
            }
    free(w);
    return best / fmax(1e-4, fabs(here));
}

static void auto_finds_the_optimum(void) {
    for (int loss = 0; loss <= GD_N_LOSSES; loss++)
        for (int variant = 0; variant < 9; variant++) {
            recipe r = {.n = 300, .d = 3 + variant * 3, .k = variant % 3 == 2 ? 3 : 1, .loss = loss, .l2 = variant % 2 ? 0.01 : 0.0, .seed = (uint64_t)variant,
                        .type = variant % 2 ? GD_F32 : GD_F64, .weighted = variant % 4 == 1, .sparse = variant % 3 == 1};
            if (loss == GD_N_LOSSES) r.loss = gd_loss_log_loss, r.softmax = 1, r.k = 4, r.codes = variant % 2;
            if (r.loss == gd_loss_perceptron) continue;
            if (variant % 4 == 3) r.l1 = 0.02;
            data c = data_make(&r);
            limits l = bound(&c, variant);
            gd_settings s = plain_settings(GD_SOLVER_AUTO);
            int smooth = gd_loss_is_smooth(r.loss);
            s.max_iter = 1000, s.tol = smooth ? 1e-8 : 1e-6, s.keep_path = 1;
            outcome o = descend(&c.problem, NULL, &s, variant % 2 ? c.weights : NULL, NULL, NULL);
            CHECK(o.status == GD_OK && outcome_finite(&o) && within(&c, o.state.answer), "status %d, %s", o.status, describe(&r));
            for (int64_t at = 0; at < o.report.path.size; at += c.size) CHECK(within(&c, o.report.path.data + at), "path at %d, %s", (int)(at / c.size), describe(&r));
            int converged = o.report.reason == GD_STOP_CONVERGED || o.report.reason == GD_STOP_PRECISION;
            double more = best_improvement(&c, o.state.answer);
            CHECK(more < (!converged ? 1e-3 : smooth && r.type == GD_F64 ? 1e-7 : 4e-6), "variant %d: %g to be gained, reason %d after %d, %s", variant, more,
                  o.report.reason, (int)o.report.n_iter, describe(&r));
            outcome_free(&o);
            free(l.lower), free(l.upper);
            data_free(&c);
        }
}

static void steepest_descent_finds_the_optimum(void) {
    for (int variant = 0; variant < 24; variant++) {
        recipe r = {.n = 200, .d = 6, .k = 1 + variant % 2 * 2, .loss = variant % 4 < 2 ? gd_loss_squared_error : gd_loss_log_loss, .l2 = 0.1, .seed = 4};
        data c = data_make(&r);
        limits l = bound(&c, variant / 4);
        gd_settings s = plain_settings(GD_SOLVER_GD);
        s.schedule = GD_AUTO, s.max_iter = 5000, s.tol = 1e-9;
        s.momentum = variant % 3 ? 0.9 : 0.0, s.nesterov = variant % 3 == 2;
        double *start = room(c.size);
        for (int64_t j = 0; j < c.size; j++) start[j] = j % 2 ? 10.0 : -10.0;
        outcome o = descend(&c.problem, NULL, &s, start, NULL, NULL);
        CHECK(o.status == GD_OK && o.report.reason == GD_STOP_CONVERGED, "variant %d: reason %d after %d", variant, o.report.reason, (int)o.report.n_iter);
        CHECK(best_improvement(&c, o.state.answer) < 1e-6, "variant %d: %g to be gained", variant, best_improvement(&c, o.state.answer));
        outcome_free(&o);
        free(start), free(l.lower), free(l.upper);
        data_free(&c);
    }
}

/* An optimum inside, which momentum overshoots: arriving at the bound on the far side, the descent must come back. */
static void momentum_leaves_a_bound(void) {
    for (double start = 1.0; start < 40.0; start *= 1.3)
        for (int nesterov = 0; nesterov < 2; nesterov++) {
            double x[] = {1.0, 1.0}, y[] = {1.0, 1.0}, lower = 0.0, begin[] = {start, 0.0};
            gd_problem problem = {.X = {.data = (const char *)x, .n_rows = 2, .n_cols = 1, .row_stride = 8, .col_stride = 8, .type = GD_F64},
                                  .y = {.data = (const char *)y, .n_rows = 2, .n_cols = 1, .row_stride = 8, .col_stride = 8, .type = GD_F64},
                                  .n = 2, .n_outputs = 1, .loss = gd_loss_squared_error, .lower = &lower};
            gd_settings s = plain_settings(GD_SOLVER_GD);
            s.schedule = GD_AUTO, s.momentum = 0.95, s.nesterov = nesterov, s.max_iter = 5000, s.tol = 1e-8;
            outcome o = descend(&problem, NULL, &s, begin, NULL, NULL);
            CHECK(o.status == GD_OK && fabs(o.state.answer[0] - 1.0) < 1e-3, "from %g: %g after %d, reason %d", start, o.state.answer[0], (int)o.report.n_iter, o.report.reason);
            outcome_free(&o);
        }
}

/* Independent outputs, descended one after the other: those whose turn does not come are within their bounds all the same. */
static int stop_at_once(void *context, const gd_epoch *epoch) {
    const data *c = context;
    CHECK(within(c, epoch->weights), "epoch %d", (int)epoch->epoch);
    return 1;
}

static void ended_before_its_turn(void) {
    recipe r = {.n = 100, .d = 12, .k = 4, .loss = gd_loss_huber};
    data c = data_make(&r);
    limits l = bound(&c, 0);
    gd_settings s = plain_settings(GD_SOLVER_AUTO);
    gd_hooks hooks = {.context = &c};
    outcome o = descend(&c.problem, NULL, &s, c.weights, &hooks, stop_at_once);
    CHECK(o.status == GD_OK && o.report.reason == GD_STOP_CALLBACK && within(&c, o.state.answer), "status %d, reason %d", o.status, o.report.reason);
    outcome_free(&o);
    free(l.lower), free(l.upper);
    data_free(&c);
}

void test_bounds(void) {
    rules_by_the_book();
    auto_finds_the_optimum();
    steepest_descent_finds_the_optimum();
    momentum_leaves_a_bound();
    ended_before_its_turn();
}
