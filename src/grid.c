/* A grid of models descends together. Models that differ in their rows only (folds) are one point of the grid: they set out from
 * the point's minimum over a sample of rows, in the metric of its curvature there, and each step of all of them is one read of X.
 * Samples grow by stages, so that the first steps, far from the minimum, cost next to nothing.
 *
 * A model's path depends on its own numbers alone: neither who shares its reads nor how many threads there are changes a bit. Three
 * exceptions: in grids of several losses the size of the samples follows one of them (gd_metric_rows); squared error with L1 or bounds (squared.c) sets out from the minimum under the next stronger penalty of its mixture and
 * split, if the grid has one; and the last bits of moments depend on the splits of the grid, which say how its rows are summed.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "flock.h"
#include "squared.h"
#include "threads.h"
#include "updates.h"
#include "wide.h"

/* PAIRS: the memory of each walk. WORKING_BYTES: what the walks and matrices of one batch of points may take. */
enum { PAIRS = 6, FIRST_SAMPLE = 2048, SAMPLE_STEPS = 30, STAGE_STEPS = 12, WORKING_BYTES = 1 << 29 };

/* Models that differ in their split only. */
typedef struct gd_point {
    const gd_model *model;
    int64_t first, count;  /* of gd_journey.order */
    double *weights;       /* (size) where its models set out, in the caller's coordinates */
    double *matrices;      /* see gd_metric_view */
    double first_error;    /* |E| at all-zero weights, 0: not looked at */
} gd_point;

typedef struct gd_journey {
    const gd_grid *grid;
    const gd_settings *settings;
    const gd_hooks *hooks;
    int64_t *order;        /* (n_models) the models, those of a point side by side */
    double *first_error;   /* (n_models) of their points */
    int64_t size;          /* k d + k */
    int stop_early;
    int apart;             /* models have matrices of their own */
    int64_t arrived;       /* models that are done with */
    double rows_read;      /* by metrics and points of all rows, besides the passes that models share */
    gd_metric builder;     /* makes the matrices of the stage */
    gd_point *points;
    int64_t n_points;
    double *rows, *s, *codes; /* (m) of the builder's rows: what a model multiplies s with, s, class codes */
} gd_journey;

/* ---- points ------------------------------------------------------------------------------------------------------ */

static int compare_doubles(double a, double b) { return (a > b) - (a < b); }

/* By all that makes a point, then by number. */
static int compare_models(const gd_model *a, const gd_model *b) {
    int by = (a->l1 > 0.0) - (b->l1 > 0.0); /* first: see batch_of */
    if (!by) by = (a->loss > b->loss) - (a->loss < b->loss);
    if (!by) by = compare_doubles(a->loss_param, b->loss_param);
    if (!by) by = ((uintptr_t)a->class_weight > (uintptr_t)b->class_weight) - ((uintptr_t)a->class_weight < (uintptr_t)b->class_weight);
    if (!by) by = compare_doubles(a->l1, b->l1);
    return by ? by : compare_doubles(a->l2, b->l2);
}

static int compare_pointers(const void *a, const void *b) {
    const gd_model *left = *(const gd_model *const *)a, *right = *(const gd_model *const *)b;
    int by = compare_models(left, right);
    return by ? by : (left > right) - (left < right);
}

static gd_status find_points(gd_journey *journey) {
    const gd_grid *grid = journey->grid;
    int64_t n = grid->n_models;
    const gd_model **sorted = gd_alloc(n, sizeof *sorted);
    journey->order = gd_alloc(n, sizeof *journey->order);
    journey->points = gd_alloc(n, sizeof *journey->points);
    journey->first_error = gd_alloc(n, sizeof *journey->first_error);
    if (!sorted || !journey->order || !journey->points || !journey->first_error) {
        gd_release((void *)sorted);
        return GD_NO_MEMORY;
    }
    for (int64_t i = 0; i < n; i++) sorted[i] = &grid->models[i];
    qsort((void *)sorted, (size_t)n, sizeof *sorted, compare_pointers);
    for (int64_t i = 0; i < n; i++) {
        journey->order[i] = sorted[i] - grid->models;
        if (i == 0 || compare_models(sorted[i - 1], sorted[i])) journey->points[journey->n_points++] = (gd_point){.model = sorted[i], .first = i};
        journey->points[journey->n_points - 1].count++;
    }
    gd_release((void *)sorted);
    return GD_OK;
}

/* ---- matrices ---------------------------------------------------------------------------------------------------- */

/* The problem as one model sees it, without its split. */
static gd_problem problem_of(const gd_grid *grid, const gd_model *model) {
    gd_problem problem = grid->problem;
    problem.loss = model->loss, problem.loss_param = model->loss_param;
    problem.l2 = model->l2, problem.l1 = model->l1;
    return problem;
}

/* What the rows of the builder weigh to models that do not take them all alike. */
static gd_status find_row_weights(gd_journey *journey, int classes) {
    const gd_problem *problem = &journey->builder.engine.problem;
    int64_t m = problem->n;
    gd_status status = GD_OK;
    journey->rows = gd_alloc(3 * m, 8);
    if (!journey->rows) return GD_NO_MEMORY;
    journey->s = journey->rows + m, journey->codes = journey->s + m;
    for (int64_t i = 0; i < m; i++) journey->s[i] = 1.0;
    if (problem->weight.data) status = gd_read_column(problem, &problem->weight, journey->hooks, journey->s);
    if (!status && classes) status = gd_read_column(problem, &problem->y, journey->hooks, journey->codes);
    return status;
}

static gd_status open_builder(gd_journey *journey, int64_t rows) {
    const gd_grid *grid = journey->grid;
    gd_problem problem = problem_of(grid, journey->points[0].model);
    int classes = 0, wide = problem.X.n_cols > GD_WIDEST_METRIC;
    for (int64_t i = 0; i < journey->n_points; i++) {
        if (journey->points[i].model->l1 > problem.l1) problem.l1 = journey->points[i].model->l1; /* then matrices are kept */
        classes |= journey->points[i].model->class_weight != NULL;
    }
    gd_status status = gd_metric_init(&journey->builder, &problem, rows, wide, 0, journey->settings->n_threads, journey->hooks);
    return status ? status : find_row_weights(journey, classes);
}

static void close_builder(gd_journey *journey) {
    journey->rows_read += journey->builder.rows ? 0.0 : journey->builder.engine.rows_read;
    journey->builder.engine.rows_read = 0.0;
    gd_metric_free(&journey->builder);
    gd_release(journey->rows);
    journey->rows = NULL;
}

/* matrices = those of this model at these weights. own_rows: over those that train it, not over all. */
static gd_status build(gd_journey *journey, const gd_model *model, int own_rows, const double *weights, double *matrices) {
    const gd_grid *grid = journey->grid;
    gd_metric *builder = &journey->builder;
    const int8_t *roles = own_rows && model->split >= 0 ? grid->roles + model->split * grid->problem.n : NULL;
    double sum = 0.0;
    for (int64_t i = 0; i < builder->engine.problem.n; i++) {
        double role = roles ? fmax(roles[i], 0.0) : 1.0;
        journey->rows[i] = model->class_weight ? role * model->class_weight[(int64_t)journey->codes[i]] : role;
        sum += journey->s[i] * journey->rows[i];
    }
    gd_metric_aim(builder, model, roles || model->class_weight ? journey->rows : NULL, sum);
    gd_status status = gd_metric_build(builder, weights, 0.0);
    if (!status) memcpy(matrices, builder->model, sizeof *matrices * (size_t)gd_metric_matrices(builder));
    return status;
}

/* ---- flocks ------------------------------------------------------------------------------------------------------ */

/* A flock with all it needs: members (n) of these models in views of the builder's columns. */
static gd_status gather(gd_journey *journey, gd_many *many, int64_t n, gd_flock *flock, double **arena) {
    int64_t size = journey->builder.size, full = journey->size;
    *flock = (gd_flock){.many = many, .settings = journey->settings};
    *arena = gd_alloc(n, 8 * (gd_walk_vectors(PAIRS) * size + 2 * full));
    flock->members = gd_alloc(n, sizeof *flock->members);
    gd_status status = *arena && flock->members ? gd_flock_init(flock, n, &journey->builder) : GD_NO_MEMORY;
    double *at = *arena;
    for (int64_t i = 0; !status && i < n; i++) {
        gd_walk *walk = &flock->members[i].walk;
        at = gd_walk_place(walk, size, PAIRS, at);
        walk->weights = at, walk->full_gradient = at + full, at += 2 * full;
    }
    return status;
}

static void disband(gd_flock *flock, double *arena) {
    gd_flock_free(flock);
    gd_release(flock->members);
    gd_release(arena);
}

/* Member i sets out from these weights. exact: its matrix is made from the very rows that it descends over. */
static void set_out(const gd_journey *journey, const gd_flock *flock, int64_t i, const gd_model *model, const double *weights, double *matrices,
                    double first_error, int exact) {
    gd_member *member = &flock->members[i];
    gd_walk *walk = &member->walk;
    member->metric = gd_metric_view(&journey->builder, model, matrices);
    walk->metric = &member->metric;
    walk->rescale = member->metric.diagonal || (journey->grid->problem.softmax && member->metric.n_factors == 1);
    gd_metric_from_weights(&member->metric, weights, walk->v);
    gd_walk_begin(walk, &member->metric.engine.problem, flock->many->engine.pass.narrow, exact);
    walk->constant |= !flock->rebuild;
    walk->decrement = 0.0, walk->first_error = 0.01 * first_error; /* scores are compared with each other: as near as rounding allows */
    member->best_validation = member->validation = INFINITY;
}

static gd_status rebuild(gd_journey *journey, gd_member *member, int own_rows) {
    if (journey->builder.m) member->walk.pairs.count = 0; /* of steps where classes bent otherwise */
    gd_metric_to_weights(&member->metric, member->walk.v, member->walk.weights);
    return build(journey, &journey->grid->models[member->number], own_rows, member->walk.weights, member->metric.model);
}

static gd_status rebuild_point(void *context, gd_member *member) { return rebuild(context, member, 0); }
static gd_status rebuild_model(void *context, gd_member *member) { return rebuild(context, member, 1); }

/* ---- stages ------------------------------------------------------------------------------------------------------ */

/* Biases of the best constant models, from a look at all-zero weights; where bounds leave no such weights, the look alone. */
static gd_status start_biases(gd_journey *journey, gd_many *many, gd_flock *flock, const int64_t *models) {
    const gd_problem *problem = &journey->grid->problem;
    for (int64_t i = 0; i < flock->n; i++)
        flock->weights[i] = journey->points[i].weights, flock->gradients[i] = flock->members[i].walk.full_gradient;
    gd_status status = gd_many_evaluate(many, flock->n, models, (const double *const *)flock->weights, flock->error, flock->validation, flock->gradients);
    for (int64_t i = 0; !status && i < flock->n; i++) {
        gd_problem one = problem_of(journey->grid, journey->points[i].model);
        int64_t n_coef = problem->n_outputs * problem->X.n_cols;
        if (isfinite(flock->error[i])) journey->points[i].first_error = fabs(flock->error[i]);
        for (int64_t c = 0; c < problem->n_outputs && problem->fit_intercept && gd_norm(n_coef, journey->points[i].weights) == 0.0; c++)
            journey->points[i].weights[n_coef + c] = gd_walk_best_bias(&one, flock->gradients[i][n_coef + c]);
    }
    return status;
}

/* The minimum of each point over the builder's rows, whichever split they belong to: nothing here decides the answer. */
static gd_status descend_sample(gd_journey *journey, int first) {
    const gd_grid *grid = journey->grid;
    int64_t n = journey->n_points, m = journey->builder.engine.problem.n;
    gd_model *models = gd_alloc(n, sizeof *models);
    int64_t *numbers = gd_alloc(n, sizeof *numbers);
    gd_grid sample = *grid;
    gd_many many = {0};
    gd_flock flock = {0};
    double *arena = NULL;
    gd_status status = models && numbers ? GD_OK : GD_NO_MEMORY;
    for (int64_t i = 0; !status && i < n; i++) {
        models[i] = *journey->points[i].model;
        models[i].split = -1;
        numbers[i] = i;
    }
    sample.models = models, sample.n_models = n, sample.n_splits = 0, sample.roles = NULL;
    sample.problem.n = m;
    if (journey->builder.rows) sample.problem.rows = journey->builder.rows;
    if (!status) status = gd_many_init(&many, &sample, journey->settings->n_threads, journey->hooks);
    if (!status) status = gather(journey, &many, n, &flock, &arena);
    if (!status && first) status = start_biases(journey, &many, &flock, numbers);
    /* as near as makes a difference to those who set out from there; of all rows nothing that changes where weights become repetitions */
    flock.tol = fmax(journey->settings->tol, journey->builder.rows ? 0.05 * (double)journey->builder.p / (double)m : 1e-3);
    flock.most_steps = SAMPLE_STEPS, flock.before = -1, flock.rebuild = rebuild_point, flock.context = journey;
    for (int64_t i = 0; !status && i < n; i++) {
        gd_point *point = &journey->points[i];
        flock.members[i].number = journey->order[point->first];
        status = build(journey, point->model, 0, point->weights, point->matrices);
        if (!status) set_out(journey, &flock, i, point->model, point->weights, point->matrices, point->first_error, 1);
    }
    if (!status) status = gd_flock_descend(&flock, numbers);
    for (int64_t i = 0; !status && i < n; i++)
        if (!flock.members[i].lost) gd_metric_to_weights(&flock.members[i].metric, flock.members[i].walk.v, journey->points[i].weights);
    disband(&flock, arena);
    journey->rows_read += journey->builder.rows ? 0.0 : many.engine.rows_read;
    gd_many_free(&many);
    gd_release(models);
    gd_release(numbers);
    return status;
}

static void conclude(const gd_journey *journey, const gd_member *member, double *weights, gd_fit *fit) {
    const gd_walk *walk = &member->walk;
    int best = journey->stop_early && isfinite(member->best_validation);
    gd_metric_to_weights(&member->metric, best ? walk->previous : walk->v, weights);
    fit->error = member->lost ? NAN : walk->error;
    fit->validation = best ? member->best_validation : member->validation;
    fit->suboptimality = walk->error != 0.0 ? walk->decrement / fabs(walk->error) : 0.0;
    fit->n_iter += member->n_iter;
    fit->reason = member->overfits ? GD_STOP_VALIDATION : member->rests ? GD_STOP_MAX_ITER
                  : walk->precise_enough ? GD_STOP_PRECISION : GD_STOP_CONVERGED;
}

/* Matrices of their own for models at their weights, laid out one after the other: over their very rows where the builder has them all. */
static gd_status build_each(gd_journey *journey, int64_t n, const int64_t *numbers, const double *weights, double *matrices, double **each) {
    gd_status status = GD_OK;
    for (int64_t i = 0; !status && i < n; i++) {
        each[i] = matrices + i * gd_metric_matrices(&journey->builder);
        status = build(journey, &journey->grid->models[numbers[i]], !journey->builder.rows, weights + numbers[i] * journey->size, each[i]);
    }
    return status;
}

/* Models over their own rows, from where they are. numbers (n): which; each (n): their matrices. rest gets those that are not there after so
 * many steps, *left how many; it may be numbers. */
static gd_status descend_models(gd_journey *journey, gd_many *many, int64_t n, const int64_t *numbers, double *const *each, int64_t most_steps,
                                double *weights, gd_fit *fits, int64_t *rest, int64_t *left) {
    int apart = journey->apart && !journey->builder.rows;
    gd_flock flock = {0};
    double *arena = NULL;
    gd_status status = gather(journey, many, n, &flock, &arena);
    flock.tol = journey->settings->tol, flock.most_steps = most_steps, flock.stop_early = journey->stop_early;
    flock.before = journey->arrived;
    flock.rebuild = apart ? rebuild_model : NULL, flock.context = journey;
    for (int64_t i = 0; !status && i < n; i++) {
        flock.members[i].number = numbers[i];
        set_out(journey, &flock, i, &journey->grid->models[numbers[i]], weights + numbers[i] * journey->size, each[i],
                journey->first_error[numbers[i]], apart && gd_metric_is_exact(&journey->builder));
    }
    if (!status) status = gd_flock_descend(&flock, numbers);
    *left = 0;
    for (int64_t i = 0; !status && i < n; i++) {
        int64_t number = flock.members[i].number;
        conclude(journey, &flock.members[i], weights + number * journey->size, &fits[number]);
        if (flock.members[i].rests) rest[(*left)++] = number;
    }
    journey->arrived += n - *left;
    disband(&flock, arena);
    return status;
}

/* The points' matrices over this many rows at the points' weights. descend: after their minimum over those rows has been found. */
static gd_status sample_stage(gd_journey *journey, int64_t rows, int descend, int first, double **matrices) {
    close_builder(journey);
    gd_release(*matrices);
    *matrices = NULL;
    gd_status status = open_builder(journey, rows);
    if (status) return status;
    int64_t each = gd_metric_matrices(&journey->builder);
    *matrices = gd_alloc(journey->n_points, 8 * each);
    if (!*matrices) return GD_NO_MEMORY;
    for (int64_t i = 0; i < journey->n_points; i++) journey->points[i].matrices = *matrices + i * each;
    if (descend) status = descend_sample(journey, first);
    return status;
}

/* From the first sample to the one that the metric is made from. */
static gd_status set_out_points(gd_journey *journey, double **matrices) {
    const gd_problem *problem = &journey->grid->problem;
    int64_t n = problem->n, wide = problem->X.n_cols > GD_WIDEST_METRIC, m = wide ? 4096 : gd_metric_rows(problem, 1);
    int64_t small = gd_max(FIRST_SAMPLE, 8 * (problem->X.n_cols + 1)), all = m ? m : n;
    int descends = !journey->stop_early; /* else rows that validate would have their say */
    if (problem->softmax) small *= problem->n_outputs;
    int two = descends && small <= all / 4 && !wide;
    gd_status status = two ? sample_stage(journey, small, 1, 1, matrices) : GD_OK;
    if (!status) status = sample_stage(journey, m, descends, !two, matrices);
    for (int64_t i = 0; !status && m && i < journey->n_points; i++)
        status = build(journey, journey->points[i].model, 0, journey->points[i].weights, journey->points[i].matrices);
    return status;
}

/* The given models to their minima in matrices of their own, made where they are: at first by the builder's rows, then, for those that do
 * not arrive, by four times as many. done: steps they have taken. numbers (n) is used up. */
static gd_status descend_apart(gd_journey *journey, gd_many *many, int64_t n, int64_t *numbers, int64_t done, double *weights, gd_fit *fits) {
    int64_t most = journey->settings->max_iter, all = journey->grid->problem.n;
    double *memory = NULL, **each = gd_alloc(n, sizeof *each);
    gd_status status = each ? GD_OK : GD_NO_MEMORY;
    journey->apart = 1;
    for (int64_t steps = STAGE_STEPS; !status && n; steps *= 2) {
        gd_release(memory);
        memory = gd_alloc(n, 8 * gd_metric_matrices(&journey->builder));
        status = memory ? build_each(journey, n, numbers, weights, memory, each) : GD_NO_MEMORY;
        if (!journey->builder.rows) steps = most;
        if (!status) status = descend_models(journey, many, n, numbers, each, gd_min(steps, most - done), weights, fits, numbers, &n);
        done += steps;
        if (status || done >= most || !journey->builder.rows) break;
        int64_t rows = 4 * journey->builder.engine.problem.n;
        close_builder(journey);
        status = open_builder(journey, rows > all / 2 ? 0 : rows);
    }
    gd_release(memory);
    gd_release((void *)each);
    return status;
}

/* numbers = the models of the batch whose error is finite. */
static int64_t find_finite(const gd_journey *journey, const gd_fit *fits, int64_t *numbers) {
    const gd_point *first = journey->points, *last = first + journey->n_points - 1;
    int64_t n = 0;
    for (int64_t i = first->first; i < last->first + last->count; i++)
        if (isfinite(fits[journey->order[i]].error)) numbers[n++] = journey->order[i];
    return n;
}

/* The points of one batch, and then their models. */
static gd_status descend_points(gd_journey *journey, gd_many *many, double *weights, gd_fit *fits) {
    const gd_problem *problem = &journey->grid->problem;
    const gd_point *points = journey->points, *last = points + journey->n_points - 1;
    int64_t n = last->first + last->count - points->first, i = 0, size = journey->size, after = journey->arrived + n;
    int64_t most = gd_min(STAGE_STEPS, journey->settings->max_iter);
    double *at = gd_alloc(journey->n_points, 8 * size), *matrices = NULL, **each = gd_alloc(n, sizeof *each);
    int64_t *numbers = gd_alloc(n, sizeof *numbers);
    gd_status status = at && each && numbers ? GD_OK : GD_NO_MEMORY;
    for (int64_t p = 0; !status && p < journey->n_points; p++) {
        double *start = journey->points[p].weights = at + p * size;
        for (int64_t j = 0; j < size - problem->n_outputs; j++) start[j] = gd_clip(problem, j, 0.0);
    }
    if (!status) status = set_out_points(journey, &matrices);
    for (int64_t p = 0; !status && p < journey->n_points; p++)
        for (int64_t l = 0; l < points[p].count; l++, i++) {
            numbers[i] = journey->order[points[p].first + l];
            memcpy(weights + numbers[i] * size, points[p].weights, sizeof *weights * (size_t)size);
            journey->first_error[numbers[i]] = points[p].first_error;
            each[i] = points[p].matrices;
        }
    journey->apart = 0;
    int together = !gd_metric_is_exact(&journey->builder); /* a sample knows no splits */
    if (!status && together) status = descend_models(journey, many, n, numbers, each, most, weights, fits, numbers, &n);
    if (!status && together && !journey->stop_early && gd_metric_guesses(&journey->builder, problem->n)) {
        close_builder(journey); /* rows that the sample hardly sees may bend less than it thinks: nobody has arrived for sure */
        n = find_finite(journey, fits, numbers);
        journey->arrived = after - n;
        status = open_builder(journey, 0);
    }
    int64_t done = together ? most : 0, some = status ? 1 : gd_max(1, WORKING_BYTES / 2 / (8 * gd_metric_matrices(&journey->builder)));
    if (done == journey->settings->max_iter) n = 0;
    int64_t rows = journey->builder.rows ? journey->builder.engine.problem.n : 0;
    for (int64_t from = 0; !status && from < n; from += some) { /* as many as there is room for their matrices */
        if (from && rows) { /* the last ones may have wanted more */
            close_builder(journey);
            status = open_builder(journey, rows);
        }
        if (!status) status = descend_apart(journey, many, gd_min(some, n - from), numbers + from, done, weights, fits);
    }
    journey->arrived = after;
    close_builder(journey);
    gd_release(matrices);
    gd_release(at);
    gd_release((void *)each);
    gd_release(numbers);
    return status;
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */

/* How many of the points from `points` on fit the working memory; at least one. Those with L1 keep the matrices that those without
 * factorise, and have batches of their own. */
static int64_t batch_of(const gd_journey *journey, const gd_point *points, int64_t n) {
    const gd_problem *problem = &journey->grid->problem;
    double p = (double)problem->X.n_cols + 1.0, k = (double)problem->n_outputs;
    double matrix = p > GD_WIDEST_METRIC ? p : p * (p + GD_LANES_F), bytes = 0.0;
    for (int64_t i = 0; i < n; i++) {
        if ((points[i].model->l1 > 0.0) != (points[0].model->l1 > 0.0)) return i;
        bytes += 8.0 * (fmin(k * matrix, fmax(matrix, 8e6)) + (double)(points[i].count + 1) * (double)(gd_walk_vectors(PAIRS) + 4) * k * p);
        if (i && bytes > WORKING_BYTES) return i;
    }
    return n;
}

static gd_status descend_grid(const gd_grid *grid, const gd_settings *settings, int stop_early, const gd_hooks *hooks, double *weights,
                              gd_fit *fits, double *n_passes) {
    gd_journey journey = {.grid = grid, .settings = settings, .hooks = hooks, .stop_early = stop_early};
    gd_many many = {0};
    journey.size = grid->problem.n_outputs * (grid->problem.X.n_cols + 1);
    gd_status status = gd_many_init(&many, grid, settings->n_threads, hooks);
    for (int64_t i = 0; !status && i < grid->n_models; i++)
        if (!gd_loss_is_smooth(grid->models[i].loss)) status = GD_BAD_ARGUMENT;
    if (!status) status = find_points(&journey);
    gd_point *points = journey.points;
    for (int64_t from = 0, n = journey.n_points; !status && from < n; from += journey.n_points) {
        journey.points = points + from;
        journey.n_points = batch_of(&journey, journey.points, n - from);
        status = descend_points(&journey, &many, weights, fits);
    }
    *n_passes = (many.engine.rows_read + journey.rows_read) / (double)grid->problem.n;
    for (int64_t i = 0; i < grid->n_models; i++) fits[i].missing_threads = many.missing_threads;
    gd_release(points);
    gd_release(journey.order);
    gd_release(journey.first_error);
    gd_many_free(&many);
    return status;
}

gd_status gd_descend_grid(const gd_grid *grid, const gd_settings *settings, int stop_early, const gd_hooks *hooks, double *weights,
                          gd_fit *fits, double *n_passes) {
    unsigned long fp = gd_fp_enter();
    int squared = !stop_early && gd_grid_squared_fits(grid), there;
    gd_status status = gd_descend_wide_grid(grid, settings, stop_early, hooks, weights, fits, n_passes, &there);
    if (status || there) {
        gd_fp_restore(fp);
        return status;
    }
    memset(fits, 0, sizeof *fits * (size_t)grid->n_models);
    for (int64_t i = 0; squared && i < grid->n_models; i++) fits[i].error = NAN;
    status = squared ? gd_grid_squared(grid, settings, hooks, weights, fits)
                     : descend_grid(grid, settings, stop_early, hooks, weights, fits, n_passes);
    if (squared) *n_passes = 1.0;
    if (squared && status == GD_NOT_FINITE) status = GD_OK; /* the fits tell whose */
    gd_fp_restore(fp);
    return status;
}
