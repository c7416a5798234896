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
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "metric.h"
#include "squared.h"
#include "threads.h"
#include "walk.h"

enum { DENSE = 128, SPARSE = 400 /* columns: fewer need no sets */, FEWEST = 64, MOST_COLUMNS = 1600, MOST_BYTES = 1 << 28 };
enum { FEW_ROWS = 16 /* copied together */ };

typedef struct gd_violation { double size; int64_t column; } gd_violation;
typedef struct gd_source { const char *data; int64_t stride; } gd_source; /* where a column is, and how far its rows are apart */

typedef struct gd_working {
    gd_run *run;
    int64_t d, k, count, active; /* columns in the set, and those of them that have a weight */
    int64_t most;             /* columns it may have */
    int64_t *columns;         /* (most) which they are */
    int64_t *slots;           /* (d) 1 + where in there, 0: nowhere */
    char *copies;             /* (rows of X, count) elements as they are stored; or of sparse rows, */
    gd_matrix entries;        /* those of the columns in the set, in memory of `copies` */
    gd_source *sources;       /* (most) whence they are copied */
    double before;            /* E when the set was last changed */
    double l1;                /* of the problem that is solved next: that of the problem itself, or on the way there */
    int64_t *stored;          /* (d) of sparse rows: how many entries a column has; NULL: they are dense */
    int64_t entry, bytes;     /* of an entry; of all that are in the set */
    double *weights, *gradient; /* (size) of all columns */
    double *inner;            /* (k most + k) of those in the set */
    gd_violation *violations; /* (d) */
    double error, gap, largest; /* E, how far it is from E* at most if the bias is right, the largest gradient of its smooth part */
    int settled;              /* is it? */
    int hard;                 /* see next_l1 */
    int crowded;              /* all columns are to join, and stay */
} gd_working;

/* Squared error from second moments of a set: wherever the metric would be made of all columns of all rows. */
int gd_takes_working_sets(const gd_problem *problem) {
    int64_t d = problem->X.n_cols, few = problem->X.indptr ? gd_max(problem->n, SPARSE) : DENSE;
    if (!(problem->l1 > 0.0) || problem->lower || problem->upper) return 0;
    if (!gd_loss_is_smooth(problem->loss) || problem->loss == gd_loss_poisson || problem->loss == gd_loss_gamma) return 0;
    if (d > GD_WIDEST_METRIC) return 1;
    return problem->loss == gd_loss_squared_error && d > few && gd_metric_rows(problem, 1) == 0;
}

/* As many columns as make second moments cost about what a read of X does: memory delivers an element in the time of some products. */
static int64_t fewest(const gd_problem *problem) {
    double a_row = problem->X.indptr ? (double)problem->X.n_stored / fmax((double)problem->X.n_rows, 1.0) : (double)problem->X.n_cols;
    return gd_max(FEWEST, gd_min(MOST_COLUMNS / 4, (int64_t)(4.0 * sqrt(a_row))));
}

/* Of the gap that there was over all columns: how near the minimum over some is good enough while others are missing, where getting nearer
 * costs more than second moments do. Of the largest gradient: what its own rounding may be. A threshold below that tells nothing, nor does
 * the penalty count. Of E before: where it is still falling. */
static const double ROUGH = 0.001, ROUNDING = 0x1p-52, STILL_FALLING = 0.99, ON_THE_WAY = 0.3;

/* ---- the set ------------------------------------------------------------------------------------------------------- */

static int by_size(const void *a_, const void *b_) {
    const gd_violation *a = a_, *b = b_;
    if (a->size != b->size) return a->size > b->size ? -1 : 1;
    return a->column < b->column ? -1 : a->column > b->column;
}

static int by_column(const void *a_, const void *b_) {
    const gd_violation *a = a_, *b = b_;
    return a->column < b->column ? -1 : a->column > b->column;
}

/* Where row `row` of sparse X has its entries. One that is broken has none: the pass that follows names it. */
static void find_row(const gd_matrix *X, int64_t row, int64_t *from, int64_t *to) {
    const int64_t *wide = X->indptr;
    const int32_t *narrow = X->indptr;
    *from = X->wide ? wide[row] : narrow[row], *to = X->wide ? wide[row + 1] : narrow[row + 1];
    atomic_signal_fence(memory_order_seq_cst); /* check what was read, do not read again: the arrays belong to somebody else */
    if (*from < 0 || *to < *from || *to > X->n_stored) *from = *to = 0;
}

/* The column of an entry, -1 if it is none. */
static int64_t column_of(const gd_matrix *X, int64_t entry) {
    int64_t j = X->wide ? ((const int64_t *)X->indices)[entry] : ((const int32_t *)X->indices)[entry];
    atomic_signal_fence(memory_order_seq_cst);
    return j >= 0 && j < X->n_cols ? j : -1;
}

static gd_status count_entries(gd_working *work) {
    const gd_matrix *X = &work->run->engine.problem.X;
    for (int64_t row = 0, from, to; row < X->n_rows; row++) {
        if (row % 256 == 0 && gd_engine_poll(&work->run->engine)) return GD_INTERRUPTED;
        find_row(X, row, &from, &to);
        for (int64_t e = from, j; e < to; e++)
            if ((j = column_of(X, e)) >= 0) work->stored[j]++;
    }
    return GD_OK;
}

/* Rows of the entries that are in the set, of all rows of X. */
static gd_status copy_entries(gd_working *work) {
    const gd_matrix *X = &work->run->engine.problem.X;
    int64_t size = gd_type_size(X->type), most = 0, at = 0;
    for (int64_t a = 0; a < work->count; a++) most += work->stored[work->columns[a]];
    gd_release(work->copies);
    work->copies = gd_alloc(most * (size + 4) + (X->n_rows + 1) * 4, 1);
    if (!work->copies) return GD_NO_MEMORY;
    int32_t *indptr = (int32_t *)(void *)(work->copies + most * size), *indices = indptr + X->n_rows + 1;
    for (int64_t row = 0, from, to; row < X->n_rows; row++) {
        if (row % 256 == 0 && gd_engine_poll(&work->run->engine)) return GD_INTERRUPTED;
        find_row(X, row, &from, &to);
        for (int64_t e = from; e < to && at < most; e++) {
            int64_t j = column_of(X, e);
            if (j < 0 || !work->slots[j]) continue;
            memcpy(work->copies + at * size, X->data + e * size, (size_t)size);
            indices[at++] = (int32_t)(work->slots[j] - 1);
        }
        indptr[row + 1] = (int32_t)at;
    }
    work->entries = (gd_matrix){.data = work->copies, .n_rows = X->n_rows, .n_cols = work->count, .type = X->type, .indices = indices,
                                .indptr = indptr, .n_stored = at};
    return GD_OK;
}

typedef struct gd_copying { const gd_working *work; char *to; int64_t size; } gd_copying;

/* Of some rows: each column in turn, a few rows at a time, which stay in cache whichever way X is stored. */
static inline void copy_rows(const gd_copying *job, int64_t from, int64_t end, size_t size) {
    const gd_working *work = job->work;
    const int64_t *rows = work->run->engine.problem.rows, count = work->count;
    for (int64_t at = from; at < end; at += FEW_ROWS) {
        int64_t some = end - at < FEW_ROWS ? end - at : FEW_ROWS;
        for (int64_t a = 0; a < count; a++) {
            gd_source source = work->sources[a];
            char *to = job->to + a * (int64_t)size;
            if (rows)
                for (int64_t i = at; i < at + some; i++)
                    memcpy(to + rows[i] * count * (int64_t)size, source.data + rows[i] * source.stride, size);
            else
                for (int64_t i = at; i < at + some; i++) memcpy(to + i * count * (int64_t)size, source.data + i * source.stride, size);
        }
    }
}

static void copy_task(void *context, int64_t task, int worker) {
    const gd_copying *job = context;
    gd_engine *engine = &job->work->run->engine;
    int64_t from = task * GD_BLOCK_ROWS, end = gd_min(from + GD_BLOCK_ROWS, engine->problem.n);
    if (gd_engine_ends(engine, worker)) return;
    switch (job->size) {
    case 1: copy_rows(job, from, end, 1); break;
    case 2: copy_rows(job, from, end, 2); break;
    case 4: copy_rows(job, from, end, 4); break;
    default: copy_rows(job, from, end, 8);
    }
}

/* The columns of the set, in the rows that count. A row may be listed twice: then one thread copies them all. */
static gd_status copy_columns(gd_working *work) {
    gd_engine *engine = &work->run->engine;
    const gd_problem *problem = &engine->problem;
    int64_t size = gd_type_size(problem->X.type), blocks = (problem->n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS;
    gd_copying job = {work, gd_alloc(problem->X.n_rows * work->count, size), size};
    if (!job.to) return GD_NO_MEMORY;
    engine->missing_threads += gd_parallel(blocks, copy_task, &job, problem->rows ? 1 : engine->n_threads);
    gd_release(work->copies);
    work->copies = job.to;
    return gd_engine_state(engine);
}

static int has_weight(const gd_working *work, int64_t column) {
    int has = 0;
    for (int64_t c = 0; c < work->k; c++) has |= work->weights[c * work->d + column] != 0.0;
    return has;
}

static int64_t bytes_of(const gd_working *work, int64_t column) { return work->stored ? (work->stored[column] + 1) * work->entry : 0; }

/* Columns without a weight leave, as long as E falls fast: should they be missed they come back, and none may for ever. */
static void thin_out(gd_working *work) {
    const gd_matrix *X = &work->run->engine.problem.X;
    int64_t size = gd_type_size(X->type), stride = work->count * size, count = work->count;
    int leave = !work->crowded && work->error < STILL_FALLING * work->before;
    work->before = work->error, work->count = 0;
    for (int64_t a = 0; a < count; a++) {
        int64_t column = work->columns[a];
        if (leave && !has_weight(work, column)) {
            work->slots[column] = 0, work->bytes -= bytes_of(work, column);
            continue;
        }
        work->sources[work->count] = (gd_source){work->copies + a * size, stride};
        work->columns[work->count++] = column, work->slots[column] = work->count;
    }
}

/* The largest of n violations join. *added: how many did. */
static gd_status enlarge(gd_working *work, int64_t n, int64_t wanted, int64_t *added) {
    const gd_matrix *X = &work->run->engine.problem.X;
    *added = 0;
    if (n == 0) return GD_OK;
    qsort(work->violations, (size_t)n, sizeof *work->violations, by_size);
    thin_out(work);
    n = gd_min(gd_min(n, wanted), work->most - work->count);
    qsort(work->violations, (size_t)n, sizeof *work->violations, by_column); /* as they lie in X */
    for (int64_t i = 0; i < n; i++) {
        int64_t column = work->violations[i].column;
        if (work->stored && work->bytes + bytes_of(work, column) > MOST_BYTES) break;
        work->bytes += bytes_of(work, column);
        work->sources[work->count] = (gd_source){X->data + column * X->col_stride, X->row_stride};
        work->columns[work->count++] = column, work->slots[column] = work->count, (*added)++;
    }
    return work->stored ? copy_entries(work) : copy_columns(work);
}

/* From work->inner, where it is, to the minimum of a problem with the columns of the set: by moments, */
static gd_status solve_squared(gd_working *work, const gd_problem *problem, const gd_settings *settings) {
    gd_model model = {.loss = gd_loss_squared_error, .l2 = problem->l2, .l1 = problem->l1, .split = -1};
    gd_grid grid = {.problem = *problem, .models = &model, .n_models = 1};
    gd_fit fit = {0};
    gd_status status = gd_grid_squared(&grid, settings, work->run->engine.hooks, work->inner, work->inner, &fit);
    work->run->report->missing_threads += fit.missing_threads;
    return status;
}

/* or by steps. A gap is as large as the gradient, what there is to gain as its square. */
static gd_status solve_by_steps(gd_working *work, const gd_problem *problem, gd_settings *settings) {
    int64_t size = work->k * work->count + work->k;
    gd_state state;
    gd_report report;
    settings->tol = fmax(settings->tol * settings->tol, 1e-14);
    gd_status status = gd_state_init(&state, settings, size);
    if (status) return status;
    memcpy(state.weights, work->inner, sizeof *state.weights * (size_t)size);
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
    set.l1 = work->l1;
    if (work->stored) set.X = work->entries;
    else set.X.data = work->copies, set.X.n_cols = work->count, set.X.row_stride = size * work->count, set.X.col_stride = size;
    for (int64_t c = 0; c < k; c++) {
        for (int64_t a = 0; a < work->count; a++) work->inner[c * work->count + a] = work->weights[c * d + work->columns[a]];
        work->inner[k * work->count + c] = work->weights[k * d + c];
    }
    gd_status status = problem->loss == gd_loss_squared_error ? solve_squared(work, &set, &settings)
                                                              : solve_by_steps(work, &set, &settings);
    if (status) return status;
    memset(work->weights, 0, sizeof *work->weights * (size_t)work->run->size);
    for (int64_t a = 0; a < work->count; a++)
        for (int64_t c = 0; c < k; c++) work->weights[c * d + work->columns[a]] = work->inner[c * work->count + a];
    work->active = 0;
    for (int64_t a = 0; a < work->count; a++) work->active += has_weight(work, work->columns[a]);
    for (int64_t c = 0; c < k; c++)
        work->weights[k * d + c] = problem->fit_intercept ? work->inner[k * work->count + c] : work->run->state->weights[k * d + c];
    return GD_OK;
}

/* ---- what a pass tells ----------------------------------------------------------------------------------------------- */

/* E, the gap, and which columns are beyond the threshold. */
static gd_status look(gd_working *work, int *stop) {
    gd_run *run = work->run;
    const gd_problem *problem = &run->engine.problem;
    int64_t d = work->d, k = work->k;
    double smooth, largest = problem->l1, gap = 0.0, l1 = problem->l1;
    gd_status status = gd_engine_evaluate(&run->engine, work->weights, &smooth, work->gradient);
    if (status) return status;
    if (!isfinite(smooth) || !gd_all_finite(run->size, work->gradient)) return GD_NOT_FINITE;
    for (int64_t j = 0; j < k * d; j++) largest = fmax(largest, fabs(work->gradient[j]));
    int squared = problem->loss == gd_loss_squared_error;
    double s = squared ? l1 / largest : 1.0;
    for (int64_t j = 0; j < k * d; j++)
        if (work->weights[j] != 0.0) gap += fmax(l1 * fabs(work->weights[j]) + s * work->gradient[j] * work->weights[j], 0.0);
    work->error = smooth, work->largest = largest;
    gd_add_l1(problem, work->weights, &work->error, work->gradient);
    work->gap = gap + (squared ? (1.0 - s) * (1.0 - s) * smooth : (largest / l1 - 1.0) * work->error);
    memcpy(run->state->weights, work->weights, sizeof *work->weights * (size_t)run->size);
    run->state->t++;
    return gd_run_record(run, work->weights, work->error, gd_norm(run->size, work->gradient), 1.0, stop);
}

/* The columns beyond work->l1 that are not in the set. What is left of a gradient there is what it has over the problem's own. */
static int64_t find_violations(gd_working *work) {
    double own = work->run->engine.problem.l1, least = work->crowded ? -1.0 : work->l1 - own;
    int64_t n = 0;
    for (int64_t j = 0; j < work->d; j++) {
        double most = 0.0;
        for (int64_t c = 0; c < work->k; c++) most = fmax(most, fabs(work->gradient[c * work->d + j]));
        if (most > least && !work->slots[j]) work->violations[n++] = (gd_violation){most + own, j};
    }
    return n;
}

/* A small penalty of squared error with more columns than rows leaves weights to about as many as there are rows, and which those are is
 * hard to tell, but along the path of minima under ever smaller penalties (Efron, Hastie, Johnstone & Tibshirani 2004). More weights than
 * rows are a matter of l2. */
static double next_l1(gd_working *work) {
    const gd_problem *problem = &work->run->engine.problem;
    int64_t n = problem->n;
    work->hard |= problem->loss == gd_loss_squared_error && work->d > n && 4 * work->active > n && work->active <= n;
    return work->hard ? fmax(problem->l1, ON_THE_WAY * work->largest) : problem->l1;
}

/* Weights of 0, and biases (k). */
static void set_constants(gd_working *work, const double *biases) {
    memset(work->weights, 0, sizeof *work->weights * (size_t)work->run->size);
    memcpy(work->weights + work->k * work->d, biases, sizeof *biases * (size_t)work->k);
}

/* E of weights of 0 and `biases` (k), and what biases would be better: one column of zeros does for X. */
static gd_status look_at_constants(gd_working *work, double *biases, double *error) {
    static const double zero = 0.0;
    gd_run *run = work->run;
    gd_problem constants = run->engine.problem;
    gd_engine engine = {0};
    int64_t k = work->k;
    constants.X = (gd_matrix){.data = (const char *)&zero, .n_rows = constants.X.n_rows, .n_cols = 1, .type = GD_F64, .col_stride = 8};
    double *weights = work->weights, *gradient = work->gradient;
    memset(weights, 0, sizeof *weights * (size_t)k);
    memcpy(weights + k, biases, sizeof *biases * (size_t)k);
    gd_status status = gd_engine_init(&engine, &constants, 1, run->engine.hooks);
    if (!status) status = gd_engine_evaluate(&engine, weights, error, gradient);
    for (int64_t c = 0; constants.fit_intercept && c < k; c++) biases[c] = gd_walk_best_bias(&constants, gradient[k + c]);
    gd_engine_free(&engine);
    return status;
}

/* E and the gap at the start: the given one, unless no weights and the best constants are better. */
static gd_status set_out(gd_working *work, int *stop) {
    gd_run *run = work->run;
    int64_t n_coef = work->k * work->d;
    int given = gd_norm(run->size, run->state->weights) != 0.0, free = run->engine.problem.fit_intercept;
    double error = 0.0, *biases = work->inner;
    if (!free) memcpy(biases, run->state->weights + n_coef, sizeof *biases * (size_t)work->k); /* they stay */
    gd_status status = given || free ? look_at_constants(work, biases, &error) : GD_OK;
    if (given && !status) {
        memcpy(work->weights, run->state->weights, sizeof *work->weights * (size_t)run->size);
        status = look(work, stop);
        if (status || *stop || work->error <= error) return status;
    }
    set_constants(work, biases);
    return status ? status : look(work, stop);
}

/* Is the bias of the start the best there is? What is claimed holds but for its slope times how far it is from that. */
static int is_settled(const gd_working *work) {
    const double *slopes = work->gradient + work->k * work->d;
    int free = work->run->engine.problem.fit_intercept;
    return !free || gd_norm(work->k, slopes) <= 1e-12 * sqrt(fabs(work->error));
}

/* Columns that have a weight at the start come first, whatever their gradient. Any will do for a bias that is yet to be found. */
static int64_t add_given(gd_working *work, int64_t n) {
    double largest = 0.0;
    int64_t in_order = n, i = 0;
    for (int64_t a = 0; a < n; a++) largest = fmax(largest, work->violations[a].size);
    for (int64_t j = 0; j < work->d; j++) {
        int given = has_weight(work, j);
        while (i < in_order && work->violations[i].column < j) i++;
        int known = i < in_order && work->violations[i].column == j;
        if (given && known) work->violations[i].size += largest;
        else if (given) work->violations[n++] = (gd_violation){2.0 * largest, j};
    }
    if (n == 0 && !work->settled) work->violations[n++] = (gd_violation){0.0, 0};
    return n;
}

/* Will so many of not so many columns have a weight that second moments of all of them cost little more than those of ever larger sets?
 * They tell the gap, too, where a metric would only estimate it. */
static int is_crowded(const gd_working *work, int64_t violations, int64_t wanted) {
    int all_stay = 4 * work->active > 3 * work->count && violations > work->count;
    return work->d <= gd_min(GD_WIDEST_METRIC, work->run->engine.problem.n) && (all_stay || 2 * (work->active + wanted) > work->d);
}

static gd_status descend(gd_working *work, int *there) {
    gd_run *run = work->run;
    const gd_problem *problem = &run->engine.problem;
    const gd_settings *settings = run->settings;
    gd_report *report = run->report;
    int64_t added;
    double fine = 0.1 * fmax(settings->tol, 0.0), rough = INFINITY;
    int stop = 0;
    gd_status status = set_out(work, &stop);
    double scale = fabs(work->error), last = work->l1 = problem->l1;
    work->settled = !status && is_settled(work);
    if (!status && !stop && problem->l1 <= ROUNDING * work->largest) {
        run->engine.problem.l1 = 0.0;
        return GD_OK;
    }
    int64_t beyond = status ? 0 : find_violations(work), n = status ? 0 : add_given(work, beyond);
    int64_t few = fewest(problem), wanted = gd_max(few, n - beyond);
    for (; !status; status = look(work, &stop), wanted = gd_max(few, work->active)) {
        report->suboptimality = work->error != 0.0 ? work->gap / work->error : 0.0;
        *there = stop || report->n_iter >= settings->max_iter;
        int close = work->settled && work->gap <= fmax(settings->tol, 0.0) * work->error + 1e-20 * scale;
        if (!stop && close) report->reason = GD_STOP_CONVERGED, *there = 1;
        if (work->count) last = work->l1, work->l1 = next_l1(work), n = find_violations(work);
        if (*there) break;
        work->crowded |= work->count && is_crowded(work, n, wanted);
        if (work->crowded) wanted = n = find_violations(work);
        if ((status = enlarge(work, n, wanted, &added)) || (!added && rough <= fine && work->l1 == last) || !work->count) break;
        int cheap = problem->loss == gd_loss_squared_error && work->count <= problem->n;
        rough = added && !cheap ? fmax(ROUGH * report->suboptimality, fine) : fine;
        if ((status = solve(work, rough))) break;
        work->settled = 1;
    }
    return status == GD_BAD_ARGUMENT ? GD_OK : status; /* no rows that weigh anything: others say so */
}

gd_status gd_descend_working(gd_run *run, int *there) {
    const gd_problem *problem = &run->engine.problem;
    int64_t d = problem->X.n_cols, k = problem->n_outputs, size = gd_type_size(problem->X.type), column = problem->X.n_rows * size;
    int sparse = problem->X.indptr != NULL;
    gd_working work = {.run = run, .d = d, .k = k, .entry = size + 4, .most = gd_min(d, MOST_COLUMNS)};
    if (!sparse) work.most = gd_min(work.most, MOST_BYTES / column);
    *there = 0;
    if (work.most < FEWEST || (problem->loss == gd_loss_squared_error && gd_has_given_bias(run))) return GD_OK;
    double *at = gd_alloc(2 * run->size + k * work.most + k + work.most, 8);
    int64_t *places = gd_alloc(sparse ? 2 * d : d, 8);
    work.violations = gd_alloc(d, sizeof *work.violations);
    work.sources = gd_alloc(work.most, sizeof *work.sources);
    gd_status status = at && work.violations && places && work.sources ? GD_OK : GD_NO_MEMORY;
    if (!status) {
        work.slots = places, work.stored = sparse ? places + d : NULL;
        work.weights = at, work.gradient = at + run->size, work.inner = at + 2 * run->size;
        work.columns = (int64_t *)(void *)(work.inner + k * work.most + k);
        run->report->method = GD_METHOD_PROXIMAL;
        work.before = INFINITY;
        if (sparse) status = count_entries(&work);
        if (!status) status = descend(&work, there);
    }
    gd_release(work.copies), gd_release(places), gd_release(work.violations);
    gd_release(work.sources), gd_release(at);
    return status;
}
