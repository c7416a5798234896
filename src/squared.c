/* Squared error: the moments of the rows that train in a split are all that a model of that split depends on, and its validation error
 * is a quadratic form of those that validate. Models without L1 and bounds are solved one by one; the others in chains, each starting
 * where the one with the next stronger penalty ended. A single model with few columns goes the same way, and looks back at X. */
#include "squared.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cholesky.h"
#include "metric.h"
#include "moments.h"
#include "quadratic.h"
#include "threads.h"
#include "updates.h"

enum { MOST_AUGMENTED = 136, MOST_STEPS = 100 };
static const double SMALL = 1e-4; /* share of y's variance */
static const double CLEAR = 1e-6, OFF_CENTER = 100.0, LEAST_TOL = 1e-12; /* see are_clear */

/* The rows that train in a split, about their own mean if there is an intercept. */
typedef struct gd_training {
    int64_t split;
    double *H;          /* (d, d_pad) mean of u u' */
    double *b, *yy;     /* (k, d_pad), (k) means of -u y and y^2 */
    double *u, *y;      /* (d), (k) the means themselves; 0 without an intercept */
    double weight, rows; /* sum of s; how many rows, at most */
} gd_training;

/* A model in the order in which models are solved. */
typedef struct gd_turn { int64_t model, training; double ratio, strength; } gd_turn;

typedef struct gd_squared {
    const gd_grid *grid;
    const gd_settings *settings;
    gd_moments moments;
    int64_t d, k, d_pad, n_trainings, n_tasks, room_size;
    gd_training *trainings;
    gd_turn *turns;      /* (n_models) */
    int64_t *tasks;      /* (n_tasks + 1) where in turns each begins */
    double *room;        /* (n_threads, room_size) */
    const double *start;
    double *weights;
    gd_fit *fits;
    void *arena, *matrices;
} gd_squared;

/* ---- what may be asked ----------------------------------------------------------------------------------------------- */

static int is_possible(const gd_grid *grid) {
    if (grid->problem.loss != gd_loss_squared_error) return 0;
    for (int64_t m = 0; m < grid->n_models; m++)
        if (grid->models[m].loss != gd_loss_squared_error || (grid->models[m].class_weight && grid->problem.target == GD_CODES)) return 0;
    return gd_moments_fit(grid);
}

int gd_grid_squared_fits(const gd_grid *grid) {
    return is_possible(grid) && !(grid->problem.X.indptr && grid->problem.X.n_cols > GD_MOMENT_SPARSE);
}

static int is_sound(const gd_grid *grid) {
    if (grid->n_models < 1 || grid->n_splits < 0 || (grid->n_splits > 0 && !grid->roles)) return 0;
    for (int64_t m = 0; m < grid->n_models; m++) {
        const gd_model *model = &grid->models[m];
        if (model->split < -1 || model->split >= grid->n_splits || !(model->l1 >= 0.0) || !(model->l2 >= 0.0)) return 0;
    }
    return is_possible(grid);
}

/* ---- the order of the models ----------------------------------------------------------------------------------------- */

/* Splits, mixtures of the penalties, then the strongest first. */
static int compare(const void *a_, const void *b_) {
    const gd_turn *a = a_, *b = b_;
    if (a->training != b->training) return a->training < b->training ? -1 : 1;
    if (a->ratio != b->ratio) return a->ratio < b->ratio ? -1 : 1;
    if (a->strength != b->strength) return a->strength > b->strength ? -1 : 1;
    return a->model < b->model ? -1 : a->model > b->model;
}

static int is_chained(const gd_squared *all, int64_t model) {
    return all->grid->models[model].l1 > 0.0 || all->grid->problem.lower || all->grid->problem.upper;
}

/* Mixtures that differ by rounding are one. */
static void plan_tasks(gd_squared *all) {
    const gd_grid *grid = all->grid;
    for (int64_t m = 0; m < grid->n_models; m++) {
        const gd_model *model = &grid->models[m];
        double strength = model->l1 + model->l2;
        all->turns[m] = (gd_turn){m, model->split + 1, strength > 0.0 ? rint(1e9 * (model->l1 / strength)) : 0.0, strength};
    }
    qsort(all->turns, (size_t)grid->n_models, sizeof *all->turns, compare);
    int64_t last = -2;
    for (int64_t m = 0; m < grid->n_models; m++) {
        gd_turn *turn = &all->turns[m];
        int64_t split = turn->training - 1;
        int same = split == last && turn->ratio == turn[-1].ratio && is_chained(all, turn->model) && is_chained(all, turn[-1].model);
        if (split != last) all->trainings[all->n_trainings++].split = last = split;
        if (!same) all->tasks[all->n_tasks++] = m;
        turn->training = all->n_trainings - 1;
    }
    all->tasks[all->n_tasks] = grid->n_models;
}

/* ---- moments of a split ---------------------------------------------------------------------------------------------- */

/* Sums of column j of the augmented rows times all from `first` on, over the rows of either part of a split. */
static void sum_cells(const gd_moments *moments, int64_t split, int validating, int64_t j, int64_t first, double *out) {
    int64_t q = moments->q_pad;
    for (int64_t l = first; l < q; l++) out[l] = 0.0;
    for (int64_t cell = 0; cell < moments->n_cells; cell++) {
        double share = gd_moments_share(moments, split, validating, cell);
        const double *sums = moments->sums + (cell * q + j) * q;
        for (int64_t l = first; share > 0.0 && l < q; l++) out[l] += share * sums[l];
    }
}

/* Is the second moment of a column about its mean but rounding of that about the centre? Rounding errors of equal terms add up. */
static int is_constant(const gd_training *t, double about_mean, double about_center) {
    return about_mean <= (1e-13 + 1e-19 * t->rows) * about_center;
}

static void mirror(gd_training *t, int64_t d, int64_t d_pad) {
    for (int64_t j = 0; j < d; j++) {
        int gone = t->H[j * d_pad + j] == 0.0;
        for (int64_t l = j + 1; l < d; l++) {
            double *above = &t->H[j * d_pad + l];
            if (gone || t->H[l * d_pad + l] == 0.0) *above = 0.0;
            t->H[l * d_pad + j] = *above;
        }
    }
}

static void training_task(void *context, int64_t task, int worker) {
    const gd_squared *all = context;
    const gd_moments *moments = &all->moments;
    gd_training *t = &all->trainings[task];
    int64_t d = all->d, k = all->k, d_pad = all->d_pad;
    double *sums = all->room + worker * all->room_size;
    int centred = all->grid->problem.fit_intercept;
    for (int64_t cell = 0; cell < moments->n_cells; cell++)
        if (gd_moments_share(moments, t->split, 0, cell) > 0.0) t->rows += (double)moments->rows[cell];
    sum_cells(moments, t->split, 0, d, d, sums);
    t->weight = sums[d];
    if (!(t->weight > 0.0)) return;
    for (int64_t c = 0; c < k; c++) t->y[c] = centred ? sums[d + 1 + c] / t->weight : 0.0;
    for (int64_t j = 0; j < d; j++) {
        sum_cells(moments, t->split, 0, j, j, sums);
        t->u[j] = centred ? sums[d] / t->weight : 0.0;
        for (int64_t l = j; l < d; l++) t->H[j * d_pad + l] = sums[l] / t->weight;
        for (int64_t c = 0; c < k; c++) t->b[c * d_pad + j] = t->u[j] * t->y[c] - sums[d + 1 + c] / t->weight;
    }
    for (int64_t c = 0; c < k; c++) {
        sum_cells(moments, t->split, 0, d + 1 + c, d + 1 + c, sums);
        double about_center = sums[d + 1 + c] / t->weight;
        t->yy[c] = about_center - t->y[c] * t->y[c];
        if (is_constant(t, t->yy[c], about_center)) t->yy[c] = 0.0;
    }
    for (int64_t j = 0; j < d; j++) {
        double about_center = t->H[j * d_pad + j];
        for (int64_t l = j; l < d; l++) t->H[j * d_pad + l] -= t->u[j] * t->u[l];
        if (is_constant(t, t->H[j * d_pad + j], about_center)) t->H[j * d_pad + j] = 0.0;
        for (int64_t c = 0; c < k; c++)
            if (t->H[j * d_pad + j] == 0.0 || t->yy[c] == 0.0) t->b[c * d_pad + j] = 0.0;
    }
    mirror(t, d, d_pad);
}

/* ---- models ---------------------------------------------------------------------------------------------------------- */

/* Mean loss of one output over the rows that validate: a'M a / 2, a the residual as a combination of augmented columns. */
static double validate(const gd_squared *all, int64_t split, const double *a) {
    const gd_moments *moments = &all->moments;
    int64_t q = moments->q_pad;
    double square = 0.0, weight = 0.0;
    for (int64_t cell = 0; cell < moments->n_cells; cell++) {
        double share = gd_moments_share(moments, split, 1, cell), form = 0.0;
        const double *M = moments->sums + cell * q * q;
        for (int64_t j = 0; share > 0.0 && j < q; j++)
            if (a[j] != 0.0) form += a[j] * (M[j * q + j] * a[j] + 2.0 * gd_dot(q - j - 1, M + j * q + j + 1, a + j + 1));
        square += share * form, weight += share * M[all->d * q + all->d];
    }
    return weight > 0.0 ? 0.5 * fmax(square, 0.0) / weight : NAN;
}

/* Weights of an output from v, and its validation error. a (q_pad) scratch. */
static double finish_output(const gd_squared *all, const gd_training *t, int64_t output, const double *v, double *a, double *weights) {
    const gd_moments *moments = &all->moments;
    int64_t d = all->d, at = d + 1 + output;
    double bias = t->y[output], shift = moments->center[at];
    memset(a, 0, sizeof *a * (size_t)moments->q_pad);
    for (int64_t j = 0; j < d; j++) {
        double w = weights[output * d + j] = moments->scale[j] * v[j];
        a[j] = -v[j], bias -= t->u[j] * v[j], shift -= moments->center[j] * w;
    }
    a[d] = -bias, a[at] = 1.0;
    weights[all->k * d + output] = all->grid->problem.fit_intercept ? bias + shift : 0.0;
    return validate(all, t->split, a);
}

static gd_quadratic quadratic_of(const gd_squared *all, const gd_training *t, const gd_model *model, int64_t output) {
    const gd_problem *problem = &all->grid->problem;
    return (gd_quadratic){.p = all->d, .p_pad = all->d_pad, .d = all->d, .H = t->H, .b = t->b + output * all->d_pad, .yy = t->yy[output],
                          .scale = all->moments.scale, .lower = problem->lower ? problem->lower + output * all->d : NULL,
                          .upper = problem->upper ? problem->upper + output * all->d : NULL, .l2 = model->l2, .l1 = model->l1,
                          .damping = t->rows < (double)all->d ? 1e-7 : 1e-10}; /* as in metric.c */
}

/* One model, from v (k, d_pad) on. a (q_pad) scratch. */
static void fit_model(const gd_squared *all, const gd_turn *turn, gd_quadratic_room *room, double *v, double *a) {
    const gd_model *model = &all->grid->models[turn->model];
    const gd_training *t = &all->trainings[turn->training];
    double gap = 0.0, *weights = all->weights + turn->model * all->k * (all->d + 1), tol = all->settings->tol;
    int64_t max_iter = gd_max(all->settings->max_iter, 1);
    int chained = is_chained(all, turn->model);
    gd_fit fit = {.reason = GD_STOP_CONVERGED};
    for (int64_t c = 0; c < all->k; c++, v += all->d_pad) {
        gd_quadratic q = quadratic_of(all, t, model, c);
        if (!chained && c == 0) gd_quadratic_factorise(&q, room);
        gd_minimum m = chained ? gd_quadratic_descend(&q, room, tol, max_iter, v) : gd_quadratic_solve(&q, room, tol, max_iter, v);
        fit.error += m.error, gap += m.gap;
        fit.validation += finish_output(all, t, c, v, a, weights);
        fit.n_iter = gd_max(fit.n_iter, m.n_iter);
        if (fit.reason != GD_STOP_MAX_ITER && m.reason != GD_STOP_CONVERGED) fit.reason = m.reason; /* short of steps counts most */
    }
    fit.suboptimality = fit.error != 0.0 ? gap / fit.error : 0.0;
    all->fits[turn->model] = fit;
}

/* After v (k, d_pad) and a (q_pad) of the same thread. */
static gd_quadratic_room room_of(gd_squared *all, int worker) {
    gd_engine *engine = &all->moments.engine;
    gd_quadratic_room room = {.kernels = engine->kernels, .engine = engine, .worker = worker, .effort = INFINITY};
    double *after = all->room + worker * all->room_size + all->k * all->d_pad + all->moments.q_pad;
    gd_quadratic_room_cut(&room, all->d, all->d_pad, after);
    return room;
}

static void fit_task(void *context, int64_t task, int worker) {
    gd_squared *all = context;
    gd_engine *engine = &all->moments.engine;
    double *v = all->room + worker * all->room_size, *a = v + all->k * all->d_pad;
    gd_quadratic_room room = room_of(all, worker);
    memset(v, 0, sizeof *v * (size_t)(all->k * all->d_pad));
    for (int64_t c = 0; all->start && c < all->k; c++)
        for (int64_t j = 0; j < all->d; j++) v[c * all->d_pad + j] = all->start[c * all->d + j] / all->moments.scale[j];
    for (int64_t m = all->tasks[task]; m < all->tasks[task + 1]; m++) {
        if (gd_engine_ends(engine, worker)) return;
        if (worker == 0 && gd_engine_arrived(engine, m)) return; /* those before have been taken, in order */
        fit_model(all, &all->turns[m], &room, v, a);
    }
}

/* ---- all of it ------------------------------------------------------------------------------------------------------- */

static gd_status allocate(gd_squared *all, int64_t n_threads) {
    const gd_grid *grid = all->grid;
    int64_t m = grid->n_models, d = all->d, k = all->k, d_pad = all->d_pad, most = gd_min(m, grid->n_splits + 1);
    int64_t size = d * d_pad + k * d_pad + 2 * k + d_pad;
    size = (size + GD_LANES_D - 1) / GD_LANES_D * GD_LANES_D;
    all->room_size = k * d_pad + all->moments.q_pad + gd_quadratic_room_size(d, d_pad);
    all->arena = gd_alloc(m * (int64_t)sizeof *all->turns + most * (int64_t)sizeof *all->trainings + (m + 1) * 8 + 128, 1);
    if (!all->arena) return GD_NO_MEMORY;
    all->trainings = all->arena, all->turns = (gd_turn *)(void *)(all->trainings + most), all->tasks = (int64_t *)(void *)(all->turns + m);
    plan_tasks(all);
    double *at = all->matrices = gd_alloc(all->n_trainings * size + n_threads * all->room_size, 8);
    if (!at) return GD_NO_MEMORY;
    for (int64_t i = 0; i < all->n_trainings; i++, at += size) {
        gd_training *t = &all->trainings[i];
        t->H = at, t->b = at + d * d_pad, t->u = t->b + k * d_pad, t->yy = t->u + d_pad, t->y = t->yy + k;
    }
    all->room = at;
    return GD_OK;
}

static gd_status fit_all(gd_squared *all, int n_threads) {
    gd_engine *engine = &all->moments.engine;
    engine->missing_threads += gd_parallel(all->n_trainings, training_task, all, n_threads);
    for (int64_t i = 0; i < all->n_trainings; i++)
        if (!(all->trainings[i].weight > 0.0)) return GD_BAD_ARGUMENT;
    gd_parallel(all->n_tasks, fit_task, all, n_threads);
    gd_status status = gd_engine_state(engine);
    for (int64_t m = 0; !status && m < all->grid->n_models; m++)
        if (!isfinite(all->fits[m].error)) status = GD_NOT_FINITE;
    return status;
}

static gd_status fit_grid(gd_squared *all, const gd_hooks *hooks) {
    const gd_problem *problem = &all->grid->problem;
    all->d = problem->X.n_cols, all->k = problem->n_outputs, all->d_pad = (all->d + GD_LANES_D - 1) / GD_LANES_D * GD_LANES_D;
    double square = (double)all->d * (double)all->d_pad, work = (double)all->grid->n_models * square; /* tens of multiplications each */
    gd_status status = gd_moments_init(&all->moments, all->grid, all->settings->n_threads, hooks);
    double most = fmin(work / 65536.0, fmin(1024.0, 0x1p26 / square)); /* in half a GB */
    int n_threads = (int)gd_max(1, gd_min(all->settings->n_threads, (int64_t)most));
    if (!status) status = allocate(all, n_threads);
    if (!status) status = fit_all(all, n_threads);
    for (int64_t i = 0; i < all->grid->n_models; i++) all->fits[i].missing_threads = all->moments.engine.missing_threads;
    return status;
}

static void release(gd_squared *all) {
    gd_release(all->matrices);
    gd_release(all->arena);
    gd_moments_free(&all->moments);
}

gd_status gd_grid_squared(const gd_grid *grid, const gd_settings *settings, const gd_hooks *hooks, const double *start, double *weights,
                          gd_fit *fits) {
    if (!is_sound(grid)) return GD_BAD_ARGUMENT;
    gd_squared all = {.grid = grid, .settings = settings, .start = start, .weights = weights, .fits = fits};
    unsigned long fp = gd_fp_enter();
    gd_status status = fit_grid(&all, hooks);
    release(&all);
    gd_fp_restore(fp);
    return status;
}

/* ---- one model ------------------------------------------------------------------------------------------------------- */

/* d + k + 1 columns take (d + k)^2 / 2 multiplications a row, in double; a read of X 2 d k, as fast as memory delivers it: as many as some
 * ten reads, where a metric takes about as many by itself. */
int gd_takes_moments(const gd_problem *problem, const gd_settings *settings) {
    return problem->loss == gd_loss_squared_error && problem->X.n_cols + problem->n_outputs < MOST_AUGMENTED && settings->tol >= 0.0;
}

static gd_status note(gd_run *run, const double *weights, double error, double norm, double eta, int *stop) {
    memcpy(run->state->weights, weights, sizeof *weights * (size_t)run->size);
    run->state->t++;
    return gd_run_record(run, weights, error, norm, eta, stop);
}

/* The start is the first epoch: a given one by a pass; of none the best constants, of which moments know all. room (size) */
static gd_status note_start(gd_run *run, const gd_squared *all, double *room, double *error, int *stop) {
    const gd_training *t = &all->trainings[0];
    const gd_moments *moments = &all->moments;
    int64_t d = all->d;
    memcpy(room, run->state->weights, sizeof *room * (size_t)run->size);
    if (gd_norm(run->size, room) != 0.0) {
        gd_status status = gd_engine_evaluate(&run->engine, room, error, run->gradient);
        if (status) return status;
        gd_add_l1(&run->engine.problem, room, error, run->gradient);
    } else {
        *error = 0.0;
        for (int64_t c = 0; c < all->k; c++) {
            for (int64_t j = 0; j < d; j++) run->gradient[c * d + j] = t->b[c * all->d_pad + j] / moments->scale[j];
            if (run->engine.problem.fit_intercept) room[run->n_coef + c] = t->y[c] + moments->center[d + 1 + c];
            run->gradient[run->n_coef + c] = 0.0, *error += 0.5 * t->yy[c];
        }
        gd_add_l1(&run->engine.problem, room, error, run->gradient);
    }
    return isfinite(*error) ? note(run, room, *error, gd_norm(run->size, run->gradient), 0.0, stop) : GD_NOT_FINITE;
}

/* Does a pass have nothing to add? Rounding of the sums, some 1e-14 of them, is then far below what of each column neither its mean nor
 * other columns explain, and what of y the model does not. */
static int are_clear(gd_squared *all) {
    const gd_training *t = &all->trainings[0];
    int64_t d = all->d, d_pad = all->d_pad;
    double square = 0.0;
    gd_quadratic_room room = room_of(all, 0); /* where the only model was fitted: its factor is there still */
    if (all->settings->tol < LEAST_TOL) return 0;
    for (int64_t c = 0; c < all->k; c++) square += t->yy[c] + t->y[c] * t->y[c] / OFF_CENTER;
    for (int64_t j = 0; j < d; j++)
        if (t->u[j] * t->u[j] > OFF_CENTER * t->H[j * d_pad + j]) return 0;
    if (!(all->fits->error > SMALL * square)) return 0;
    if (is_chained(all, 0)) { /* it may be that of some columns */
        gd_quadratic q = quadratic_of(all, t, &all->grid->models[0], 0);
        gd_quadratic_factorise(&q, &room);
    }
    return gd_cholesky_least_share(d, d_pad, room.factor) > CLEAR;
}

/* |dE / dw| at the answer, as moments have it; of the bias there is nothing left. */
static double gradient_norm(const gd_run *run, const gd_squared *all) {
    const gd_training *t = &all->trainings[0];
    double ignored = 0.0, l2 = all->grid->models[0].l2;
    for (int64_t c = 0; c < all->k; c++)
        for (int64_t j = 0; j < all->d; j++) {
            double g = gd_dot(all->d, t->H + j * all->d_pad, all->room + c * all->d_pad) + t->b[c * all->d_pad + j];
            run->gradient[c * all->d + j] = g / all->moments.scale[j] + l2 * all->weights[c * all->d + j];
        }
    gd_add_l1(&run->engine.problem, all->weights, &ignored, run->gradient);
    return gd_norm(run->n_coef, run->gradient);
}

/* Where columns are nearly combinations of others, H is but damping along some direction, and moments cannot tell what is left there: then
 * the slope of E down the gradient of a pass has to be rounding. */
static int is_hiding(gd_squared *all, const double *gradient, double error) {
    const gd_moments *moments = &all->moments;
    const gd_training *t = &all->trainings[0];
    int64_t d = all->d, d_pad = all->d_pad;
    gd_quadratic_room room = room_of(all, 0);
    if (is_chained(all, 0) || !gd_cholesky_is_damped(d, d_pad, room.factor)) return 0;
    for (int64_t c = 0; c < all->k; c++) {
        double bias = gradient[all->k * d + c], mean = t->y[c] + moments->center[d + 1 + c];
        double square = t->yy[c] + mean * mean, rounding = 0.0;
        for (int64_t j = 0; j < d; j++)
            room.g[j] = moments->scale[j] * (gradient[c * d + j] - moments->center[j] * bias) - t->u[j] * bias;
        gd_cholesky_solve(d, d_pad, room.factor, room.g, room.step);
        for (int64_t j = 0; j < d; j++) rounding += (1.0 + fabs(moments->center[j]) * moments->scale[j]) * fabs(room.step[j]);
        if (gd_dot(d, room.g, room.step) > fmax(0x1p-53 * sqrt(square) * rounding, 1e-17 * error + 1e-27 * square)) return 1;
    }
    return 0;
}

/* Moments have half of the digits of X: where hardly anything of y is left, they cannot tell how much. And that the gap is told with their
 * rounding is not all: E by a pass has to be what they say. */
static gd_status look_back(gd_run *run, gd_squared *all, double *error, double *norm, int *there) {
    double square = 0.0, tol = run->settings->tol, enough = fmax(tol, run->engine.pass.narrow ? 1e-6 : 1e-12);
    for (int64_t c = 0; c < all->k; c++) square += all->trainings[0].yy[c];
    gd_status status = gd_engine_evaluate(&run->engine, all->weights, error, run->gradient);
    if (status) return status;
    gd_add_l1(&run->engine.problem, all->weights, error, run->gradient);
    *norm = gd_norm(run->size, run->gradient);
    *there = 1e-14 * square <= tol * *error && *error - all->fits->error <= enough * *error &&
             (run->engine.pass.narrow || !is_hiding(all, run->gradient, *error));
    return GD_OK;
}

/* Two epochs: the start, and the answer. room (size) */
static gd_status note_both(gd_run *run, const gd_squared *all, double error, double norm, double *room) {
    gd_report *report = run->report;
    double start;
    int stop = 0;
    report->method = gd_is_proximal(&run->engine.problem) ? GD_METHOD_PROXIMAL : GD_METHOD_GRAM;
    gd_status status = note_start(run, all, room, &start, &stop);
    report->suboptimality = error > 0.0 ? fmax(start - error, 0.0) / error : 0.0;
    if (status || stop || report->n_iter >= run->settings->max_iter) return status;
    report->suboptimality = all->fits->suboptimality;
    status = note(run, all->weights, error, norm, 1.0, &stop);
    if (!stop) report->reason = GD_STOP_CONVERGED;
    return status;
}

/* Scores in float lanes are off by 1e-7 of y: where next to nothing of y is left, too much. The passes from here on are in double. */
static gd_status widen_lanes(gd_run *run, const gd_squared *all) {
    gd_engine *engine = &run->engine, narrow = *engine;
    double square = 0.0;
    for (int64_t c = 0; c < all->k; c++) square += all->trainings[0].yy[c];
    if (!engine->pass.narrow || all->fits->error > SMALL * square) return GD_OK;
    for (int64_t j = 0; j < run->n_coef; j++)
        if (fabs(all->weights[j]) > FLT_MAX) return GD_OK; /* no weights for such rows */
    gd_problem problem = engine->problem;
    problem.double_lanes = 1;
    gd_engine_free(engine);
    gd_status status = gd_engine_init(engine, &problem, all->settings->n_threads, narrow.hooks);
    engine->rows_read = narrow.rows_read, engine->missing_threads = narrow.missing_threads;
    return status;
}

gd_status gd_descend_moments(gd_run *run, int *there) {
    const gd_problem *problem = &run->engine.problem;
    gd_model model = {.loss = gd_loss_squared_error, .l2 = problem->l2, .l1 = problem->l1, .split = -1};
    gd_grid grid = {.problem = *problem, .models = &model, .n_models = 1};
    gd_fit fit = {0};
    double error = NAN, norm = NAN;
    *there = 0;
    if (gd_has_given_bias(run) || !is_sound(&grid)) return GD_OK; /* the next to try says what is wrong */
    double *weights = gd_alloc(2 * run->size, 8);
    gd_settings settings = {.tol = run->settings->tol, .max_iter = MOST_STEPS, .n_threads = run->settings->n_threads}; /* no epochs */
    gd_squared all = {.grid = &grid, .settings = &settings, .weights = weights, .fits = &fit};
    gd_status status = weights ? fit_grid(&all, run->engine.hooks) : GD_NO_MEMORY;
    run->engine.rows_read += (double)problem->n;
    run->report->missing_threads += fit.missing_threads;
    int converged = !status && fit.reason == GD_STOP_CONVERGED;
    if (converged && are_clear(&all)) error = fit.error, norm = gradient_norm(run, &all), *there = 1;
    else if (!status) status = widen_lanes(run, &all);
    if (!status && converged && !*there) status = look_back(run, &all, &error, &norm, there);
    if (!status && *there) status = note_both(run, &all, error, norm, weights + run->size);
    release(&all);
    gd_release(weights);
    return !*there && (status == GD_BAD_ARGUMENT || status == GD_NOT_FINITE) ? GD_OK : status;
}
