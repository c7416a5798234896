/* Solver auto with L1, where few of many columns will have a weight: those that may are copied, side by side, the problem is solved as if
 * there were no others (squared error from second moments, squared.c: coordinates, then Newton on what is free; other losses by proximal
 * steps in the metric of those columns), and a pass over X tells whose gradient is beyond the threshold all the same. The worst of
 * these join, until the gap, of all columns, is within tol (Massias, Gramfort & Salmon 2018). So what is claimed is certified:
 *
 *     squared error: the dual at the residual, scaled by s <= 1 until it is feasible; the penalty l2 is that of rows of their own:
 *         E - E* <= sum (l1 |w| + s g w) + (1 - s)^2 S,                    s = min(1, l1 / max |g|)
 *     others that are never negative: E is above its tangent, and l1 ||w*||_1 <= E* <= E:
 *         E - E* <= sum (l1 |w| + g w) + (max |g| / l1 - 1)_+ E
 *
 * where S is the smooth part and g its gradient, at a bias that is right.
 */
#include "working.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metric.h"
#include "squared.h"
#include "walk.h"

enum { FIRST = 100, MOST_COLUMNS = 1600, MOST_BYTES = 1 << 28 };

typedef struct gd_violation { double size; int64_t column; } gd_violation;

typedef struct gd_working {
    gd_run *run;
    int64_t d, k, count, active; /* columns in the set, and those of them that have a weight */
    int64_t most;             /* columns it may have */
    int64_t *columns;         /* (most) which they are */
    char *copies;             /* (most, rows of X) elements as they are stored, column by column */
    char *taken;              /* (d) */
    double *weights, *gradient; /* (size) of all columns */
    double *inner;            /* (k most + k) of those in the set */
    gd_violation *violations; /* (d) */
    double error, gap;
} gd_working;

int gd_takes_working_sets(const gd_problem *problem) {
    int64_t d = problem->X.n_cols, squared = problem->loss == gd_loss_squared_error;
    if (!(problem->l1 > 0.0) || problem->lower || problem->upper || problem->X.indptr) return 0;
    if (!gd_loss_is_smooth(problem->loss) || problem->loss == gd_loss_poisson || problem->loss == gd_loss_gamma) return 0;
    return d > GD_WIDEST_METRIC || (squared && d > problem->n && d > 4 * FIRST);
}

/* ---- the set ------------------------------------------------------------------------------------------------------- */

static int by_size(const void *a_, const void *b_) {
    const gd_violation *a = a_, *b = b_;
    if (a->size != b->size) return a->size > b->size ? -1 : 1;
    return a->column < b->column ? -1 : a->column > b->column;
}

/* Columns from work->count - added on are new: their elements, in the rows that count. */
static gd_status copy_columns(gd_working *work, int64_t added) {
    const gd_problem *problem = &work->run->engine.problem;
    const gd_matrix *X = &problem->X;
    int64_t size = gd_type_size(X->type), from = work->count - added;
    for (int64_t i = 0; i < problem->n; i++) {
        int64_t row = problem->rows ? problem->rows[i] : i;
        if (i % 256 == 0 && gd_engine_poll(&work->run->engine)) return GD_INTERRUPTED;
        for (int64_t a = from; a < work->count; a++)
            memcpy(work->copies + (a * X->n_rows + row) * size, X->data + row * X->row_stride + work->columns[a] * X->col_stride,
                   (size_t)size);
    }
    return GD_OK;
}

/* The largest of n violations join. *added: how many did. */
static gd_status enlarge(gd_working *work, int64_t n, int64_t wanted, int64_t *added) {
    qsort(work->violations, (size_t)n, sizeof *work->violations, by_size);
    *added = gd_min(gd_min(n, wanted), work->most - work->count);
    for (int64_t i = 0; i < *added; i++) {
        int64_t column = work->violations[i].column;
        work->columns[work->count++] = column, work->taken[column] = 1;
    }
    return copy_columns(work, *added);
}

/* The minimum of a problem with the columns of the set, into work->inner: from moments, */
static gd_status solve_squared(gd_working *work, const gd_problem *problem, const gd_settings *settings) {
    gd_model model = {.loss = gd_loss_squared_error, .l2 = problem->l2, .l1 = problem->l1, .split = -1};
    gd_grid grid = {.problem = *problem, .models = &model, .n_models = 1};
    gd_fit fit;
    return gd_grid_squared(&grid, settings, work->run->engine.hooks, work->inner, &fit);
}

/* or by steps from where it is. A gap is as large as the gradient, what there is to gain as its square. */
static gd_status solve_by_steps(gd_working *work, const gd_problem *problem, gd_settings *settings) {
    int64_t d = work->d, k = work->k, size = k * work->count + k;
    gd_state state;
    gd_report report;
    settings->tol = fmax(settings->tol * settings->tol, 1e-14);
    gd_status status = gd_state_init(&state, settings, size);
    if (status) return status;
    for (int64_t c = 0; c < k; c++) {
        for (int64_t a = 0; a < work->count; a++) state.weights[c * work->count + a] = work->weights[c * d + work->columns[a]];
        state.weights[k * work->count + c] = work->weights[k * d + c];
    }
    status = gd_descend(problem, NULL, settings, work->run->engine.hooks, NULL, &state, &report);
    memcpy(work->inner, state.answer, sizeof *state.answer * (size_t)size);
    gd_report_free(&report);
    gd_state_free(&state);
    return status;
}

/* The minimum over the columns of the set, into work->weights. */
static gd_status solve(gd_working *work, double tol) {
    const gd_problem *problem = &work->run->engine.problem;
    int64_t d = work->d, k = work->k, size = gd_type_size(problem->X.type);
    gd_settings settings = {.solver = GD_SOLVER_AUTO, .tol = tol, .max_iter = 100, .n_threads = work->run->settings->n_threads};
    gd_problem set = *problem;
    set.X.data = work->copies, set.X.n_cols = work->count, set.X.row_stride = size, set.X.col_stride = size * problem->X.n_rows;
    gd_status status = problem->loss == gd_loss_squared_error ? solve_squared(work, &set, &settings)
                                                              : solve_by_steps(work, &set, &settings);
    if (status) return status;
    memset(work->weights, 0, sizeof *work->weights * (size_t)work->run->size);
    work->active = 0;
    for (int64_t a = 0; a < work->count; a++) {
        int active = 0;
        for (int64_t c = 0; c < k; c++) active |= (work->weights[c * d + work->columns[a]] = work->inner[c * work->count + a]) != 0.0;
        work->active += active;
    }
    for (int64_t c = 0; c < k; c++)
        work->weights[k * d + c] = problem->fit_intercept ? work->inner[k * work->count + c] : work->run->state->weights[k * d + c];
    return GD_OK;
}

/* ---- what a pass tells ----------------------------------------------------------------------------------------------- */

/* E, the gap, and which columns are beyond the threshold. */
static gd_status look(gd_working *work, int64_t *n_violations, int *stop) {
    gd_run *run = work->run;
    const gd_problem *problem = &run->engine.problem;
    int64_t d = work->d, k = work->k;
    double smooth, largest = problem->l1, gap = 0.0, l1 = problem->l1;
    gd_status status = gd_engine_evaluate(&run->engine, work->weights, &smooth, work->gradient);
    if (status) return status;
    if (!isfinite(smooth) || !gd_all_finite(run->size, work->gradient)) return GD_NOT_FINITE;
    *n_violations = 0;
    for (int64_t j = 0; j < d; j++) {
        double most = 0.0;
        for (int64_t c = 0; c < k; c++) most = fmax(most, fabs(work->gradient[c * d + j]));
        largest = fmax(largest, most);
        if (most > l1 && !work->taken[j]) work->violations[(*n_violations)++] = (gd_violation){most, j};
    }
    int squared = problem->loss == gd_loss_squared_error;
    double s = squared ? l1 / largest : 1.0;
    for (int64_t j = 0; j < k * d; j++)
        if (work->weights[j] != 0.0) gap += fmax(l1 * fabs(work->weights[j]) + s * work->gradient[j] * work->weights[j], 0.0);
    work->error = smooth;
    gd_add_l1(problem, work->weights, &work->error, work->gradient);
    work->gap = gap + (squared ? (1.0 - s) * (1.0 - s) * smooth : (largest / l1 - 1.0) * work->error);
    memcpy(run->state->weights, work->weights, sizeof *work->weights * (size_t)run->size);
    run->state->t++;
    return gd_run_record(run, work->weights, work->error, gd_norm(run->size, work->gradient), 1.0, stop);
}

/* Where nothing has been learnt yet: the best constants. */
static gd_status start(gd_working *work) {
    gd_run *run = work->run;
    const gd_problem *problem = &run->engine.problem;
    double error;
    memcpy(work->weights, run->state->weights, sizeof *work->weights * (size_t)run->size);
    if (!problem->fit_intercept || gd_norm(run->size, work->weights) != 0.0) return GD_OK;
    gd_status status = gd_engine_evaluate(&run->engine, work->weights, &error, work->gradient);
    for (int64_t c = work->k * work->d; !status && c < run->size; c++) work->weights[c] = gd_walk_best_bias(problem, work->gradient[c]);
    return status;
}

/* Columns that have a weight at the start come first, whatever their gradient. */
static int64_t add_given(gd_working *work, int64_t n) {
    double largest = 0.0;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, work->violations[i].size);
    for (int64_t j = 0; j < work->d; j++) {
        int given = 0;
        for (int64_t c = 0; c < work->k; c++) given |= work->weights[c * work->d + j] != 0.0;
        int known = 0;
        for (int64_t i = 0; given && i < n && !known; i++)
            if (work->violations[i].column == j) known = 1, work->violations[i].size += largest;
        if (given && !known) work->violations[n++] = (gd_violation){2.0 * largest, j};
    }
    return n;
}

static gd_status descend(gd_working *work, int *there) {
    gd_run *run = work->run;
    const gd_settings *settings = run->settings;
    gd_report *report = run->report;
    int64_t violations = 0, added = 1;
    int stop = 0;
    gd_status status = start(work);
    if (!status) status = look(work, &violations, &stop);
    double scale = fabs(work->error);
    int64_t n = status ? 0 : add_given(work, violations), wanted = gd_max(FIRST, n - violations);
    for (; !status; status = look(work, &violations, &stop), n = violations, wanted = gd_max(FIRST, work->active)) {
        report->suboptimality = work->error != 0.0 ? work->gap / work->error : 0.0;
        *there = stop || report->n_iter >= settings->max_iter;
        if (!stop && work->gap <= fmax(settings->tol, 0.0) * work->error + 1e-20 * scale) report->reason = GD_STOP_CONVERGED, *there = 1;
        if (*there) break;
        if ((status = enlarge(work, n, wanted, &added)) || (!added && report->n_iter > 1) || !work->count) break;
        if ((status = solve(work, 0.1 * fmax(settings->tol, 0.0)))) break;
    }
    return status == GD_BAD_ARGUMENT ? GD_OK : status; /* no rows that weigh anything: others say so */
}

gd_status gd_descend_working(gd_run *run, int *there) {
    const gd_problem *problem = &run->engine.problem;
    int64_t d = problem->X.n_cols, k = problem->n_outputs, column = problem->X.n_rows * gd_type_size(problem->X.type);
    gd_working work = {.run = run, .d = d, .k = k, .most = gd_min(gd_min(d, MOST_COLUMNS), MOST_BYTES / column)};
    *there = 0;
    if (work.most < FIRST) return GD_OK;
    double *at = gd_alloc(2 * run->size + k * work.most + k + work.most, 8);
    work.violations = gd_alloc(d, sizeof *work.violations), work.taken = gd_alloc(d, 1), work.copies = gd_alloc(work.most, column);
    gd_status status = at && work.violations && work.taken && work.copies ? GD_OK : GD_NO_MEMORY;
    if (!status) {
        work.weights = at, work.gradient = at + run->size, work.inner = at + 2 * run->size;
        work.columns = (int64_t *)(void *)(work.inner + k * work.most + k);
        run->report->method = GD_METHOD_PROXIMAL;
        run->best_monitor = INFINITY;
        status = descend(&work, there);
    }
    gd_release(work.copies), gd_release(work.taken), gd_release(work.violations);
    gd_release(at);
    return status;
}
