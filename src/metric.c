/* M = 1/sum s  U' diag(s d2 loss/dz2) U + l2: the curvature of E over some rows, in centred and scaled columns. */
#include "metric.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "diagonal.h"
#include "gram.h"
#include "joint.h"
#include "quadratic.h"
#include "threads.h"
#include "updates.h"

enum { MOST_PARTS = 8, WIDE_SUMS = 1 << 16, MOST_SWEEPS = 1000, WORTH_MAKING_SURE = 1 << 30 /* multiplications */ };

typedef struct gd_spread_job {
    gd_engine *engine;
    const double *center;
    double *parts;          /* (n_parts, 3, d) largest, square, sparse rows: how many are stored */
    int64_t part_rows;
} gd_spread_job;

static void spread_task(void *context, int64_t part, int worker) {
    const gd_spread_job *job = context;
    gd_engine *engine = job->engine;
    int64_t d = engine->pass.d, from = part * job->part_rows, to = gd_min(engine->problem.n, from + job->part_rows);
    double *largest = job->parts + part * 3 * d;
    for (int64_t at = from; at < to; at += GD_BLOCK_ROWS) {
        if (gd_engine_ends(engine, worker)) return;
        int64_t rows = gd_min(to - at, GD_BLOCK_ROWS);
        if (engine->pass.sparse)
            engine->kernels->csr_spread(&engine->pass, &engine->scratch[worker], job->center, at, rows, largest, largest + d, largest + 2 * d);
        else
            engine->kernels->spread[engine->pass.doubles](&engine->pass, &engine->scratch[worker], job->center, at, rows, largest, largest + d);
    }
}

/* largest, square (d) over the rows of an engine; parts fixed by n alone. */
static gd_status find_spread(gd_engine *engine, const double *center, double *largest, double *square) {
    int64_t d = engine->pass.d, n_blocks = (engine->problem.n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS;
    int64_t n_parts = engine->pass.sparse && d > WIDE_SUMS ? 1 : gd_min(MOST_PARTS, n_blocks);
    gd_spread_job job = {engine, center, gd_alloc(n_parts * 3 * d, 8), (n_blocks + n_parts - 1) / n_parts * GD_BLOCK_ROWS};
    if (!job.parts) return GD_NO_MEMORY;
    gd_parallel(n_parts, spread_task, &job, engine->n_threads);
    memset(largest, 0, sizeof *largest * (size_t)d);
    memset(square, 0, sizeof *square * (size_t)d);
    for (int64_t part = 0; part < n_parts; part++)
        for (int64_t j = 0; j < d; j++) {
            largest[j] = fmax(largest[j], job.parts[part * 3 * d + j]);
            square[j] += job.parts[(part * 3 + 1) * d + j];
            if (part > 0) job.parts[2 * d + j] += job.parts[(part * 3 + 2) * d + j];
        }
    for (int64_t j = 0; engine->pass.sparse && j < d; j++) { /* the zeros */
        if (job.parts[2 * d + j] < (double)engine->problem.n) largest[j] = fmax(largest[j], fabs(center[j]));
        square[j] = fmax(square[j] + (double)engine->problem.n * center[j] * center[j], 0.0);
    }
    gd_release(job.parts);
    return engine->interrupted ? GD_INTERRUPTED : GD_OK;
}

/* Columns that differ from their mean in a few rows only, or by far the most in a few: a sample knows little of them. */
static int is_rare(double largest, double square) { return isfinite(square) && square < 30.0 * largest * largest; }

/* For the sake of those columns: their spread over all rows, which takes a read where the engine has a sample of them only. */
static gd_status find_moments(gd_metric *metric, const gd_problem *problem, int n_threads, double *largest, double *square) {
    int64_t d = metric->columns.d, rare = 0;
    double share = metric->m ? (double)metric->m / (double)metric->engine.problem.n : 1.0; /* of its rows that a matrix is made from */
    for (int64_t j = 0; j < d; j++) {
        int unknown = largest[j] == 0.0 || is_rare(largest[j], share * square[j]);
        metric->moment[j] = unknown ? 1.0 : 0.0;
        rare += unknown;
    }
    if (!rare) return GD_OK;
    gd_status status = GD_OK;
    if (metric->rows) {
        gd_engine all;
        status = gd_engine_init(&all, problem, n_threads, metric->engine.hooks);
        if (!status) status = find_spread(&all, metric->center, largest, square);
        gd_engine_free(&all);
    }
    for (int64_t j = 0; j < d; j++) metric->moment[j] *= isfinite(square[j]) ? square[j] / (double)problem->n : 0.0;
    return status;
}

/* Centre: the mean (0 without an intercept, which alone could absorb it). Scale: the power of two that brings the largest
 * deviation to about 1, so that squares neither overflow nor vanish; it costs no rounding. */
static gd_status find_columns(gd_metric *metric, const gd_problem *problem, int n_threads) {
    gd_engine *engine = &metric->engine;
    int64_t d = metric->columns.d;
    double *largest = gd_alloc(2 * d, 8), *square = largest + d;
    gd_status status = largest ? GD_OK : GD_NO_MEMORY;
    if (!status && engine->problem.fit_intercept) status = gd_column_means(&engine->problem, n_threads, engine->hooks, metric->center);
    for (int64_t j = 0; !status && j < d; j++)
        if (!isfinite(metric->center[j])) metric->center[j] = 0.0;
    if (!status) status = find_spread(engine, metric->center, largest, square);
    if (!status && (metric->rows || metric->m)) status = find_moments(metric, problem, n_threads, largest, square);
    for (int64_t j = 0; !status && j < d; j++) {
        int exponent = 0;
        double mean = fabs(metric->center[j]), size = largest[j] > 1e-14 * mean ? largest[j] : mean; /* of a constant: rounding */
        if (size > 0.0 && isfinite(size)) frexp(size, &exponent);
        metric->scale[j] = ldexp(1.0, exponent < -1000 ? 1000 : -exponent);
        metric->moment[j] *= metric->scale[j] * metric->scale[j];
    }
    gd_release(largest);
    return status;
}

gd_status gd_metric_init(gd_metric *metric, const gd_problem *problem, int64_t m, gd_metric_kind kind, int float_lanes, int n_threads,
                         const gd_hooks *hooks) {
    int diagonal = kind == GD_METRIC_DIAGONAL, joint = kind == GD_METRIC_JOINT;
    memset(metric, 0, sizeof *metric);
    gd_problem sample = *problem;
    if (m > 0 && m < problem->n) {
        metric->rows = gd_sample_rows(problem, m);
        if (!metric->rows) return GD_NO_MEMORY;
        sample.rows = metric->rows, sample.n = m;
        gd_status gathered = gd_gather_rows(&sample, &metric->gathered);
        if (gathered) return gathered;
    }
    int alike = problem->n_outputs == 1 || problem->loss == gd_loss_squared_error;
    int64_t each = alike || kind != GD_METRIC_FULL ? 0 : gd_rows_of_a_class(problem, sample.n);
    metric->m = 2 * each < sample.n ? each : 0;
    if (!sample.double_lanes) sample.double_lanes = float_lanes ? -1 : !metric->m;
    int64_t k = problem->n_outputs, d = problem->X.n_cols, p = d + (problem->fit_intercept ? 1 : 0);
    int64_t p_pad = (p + GD_LANES_F - 1) / GD_LANES_F * GD_LANES_F, order = joint ? k * p : p;
    int64_t pad = (order + GD_LANES_F - 1) / GD_LANES_F * GD_LANES_F;
    /* one matrix per output only where outputs bend differently and it costs neither much time nor much memory */
    int dear = diagonal ? (double)k * (double)p * 8.0 > 64e6 || (double)k * (double)sample.n * (double)p > 1e9 : each == 0;
    metric->n_factors = alike || (dear && !joint) ? 1 : k;
    /* of a row with p / 2 columns, each at a quarter of what one costs in a pass */
    double products = 0.125 * (double)p * (double)metric->n_factors * (metric->m ? (double)metric->m / (double)sample.n : 1.0);
    gd_status status = gd_engine_init_for(&metric->engine, &sample, diagonal ? 0.0 : products, n_threads, hooks);
    if (status) return status;
    metric->watch = &metric->engine;
    metric->k = k, metric->p = p, metric->p_pad = p_pad, metric->size = k * p;
    metric->order = order, metric->pad = pad;
    metric->diagonal = diagonal, metric->joint = joint;
    metric->proximal = gd_is_proximal(problem) && !diagonal;
    int64_t f = metric->n_factors, of_rows = 2 * f * (sample.n + metric->m);
    int64_t matrices = (joint ? 1 : f) * order * (diagonal ? 1 : pad);
    int64_t factor = metric->proximal ? gd_quadratic_room_size(order, pad) : 0;
    double *at = metric->arena = gd_alloc(matrices + factor + f * p + 3 * d + of_rows + k, 8);
    if (!at) return GD_NO_MEMORY;
    metric->chosen = (int64_t *)(void *)at, at += f * metric->m;
    metric->chosen_h = at, at += f * metric->m;
    metric->model = at, at += matrices;
    metric->factor = metric->proximal ? at : metric->model, at += factor;
    metric->h = at, at += f * sample.n;
    metric->h_built = at, at += f * sample.n;
    metric->least = at, at += f * p;
    metric->bias = at, at += k;
    metric->center = at, at += d;
    metric->scale = at, at += d;
    metric->moment = at;
    metric->columns = (gd_columns){metric->center, metric->scale, d, p, p_pad};
    return find_columns(metric, problem, n_threads);
}

int gd_metric_is_exact(const gd_metric *metric) { return !metric->rows && !metric->m; }

int gd_metric_guesses(const gd_metric *metric, int64_t n) {
    double p = (double)metric->p, cost = (double)metric->n_factors * (double)n * p * p;
    int guesses = 0;
    for (int64_t j = 0; j < metric->columns.d; j++) guesses |= metric->moment[j] > 0.0;
    return guesses && metric->rows && !metric->diagonal && cost <= WORTH_MAKING_SURE;
}

void gd_metric_free(gd_metric *metric) {
    gd_engine_free(&metric->engine);
    gd_release(metric->arena);
    gd_release(metric->rows);
    gd_gathered_free(&metric->gathered);
    memset(metric, 0, sizeof *metric);
}

/* ---- curvature of the rows --------------------------------------------------------------------------------------- */

static void curvature_task(void *context, int64_t block, int worker) {
    gd_metric *metric = context;
    gd_engine *engine = &metric->engine;
    int64_t n = engine->problem.n, first = block * GD_BLOCK_ROWS, count = gd_min(n - first, GD_BLOCK_ROWS);
    if (gd_engine_ends(engine, worker)) return;
    engine->kernels->curvature[engine->pass.doubles](&engine->pass, &engine->scratch[worker], first, count, metric->h + first,
                                                     metric->n_factors > 1 ? n : 0);
    for (int64_t f = 0; metric->row_weight && f < metric->n_factors; f++)
        for (int64_t i = first; i < first + count; i++) metric->h[f * n + i] *= metric->row_weight[i];
}

/* Of squared error they are known. */
static void find_curvature(gd_metric *metric) {
    gd_engine *engine = &metric->engine;
    int64_t n = engine->problem.n;
    if (engine->problem.loss == gd_loss_squared_error && !engine->problem.weight.data) {
        for (int64_t i = 0; i < n; i++) metric->h[i] = metric->row_weight ? metric->row_weight[i] : 1.0;
        return;
    }
    gd_parallel((n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS, curvature_task, metric, engine->n_threads);
    engine->rows_read += (double)n;
}

static double moved(const gd_metric *metric) {
    int64_t n = metric->n_factors * metric->engine.problem.n;
    double change = 0.0, total = 0.0;
    for (int64_t i = 0; i < n; i++) change += fabs(metric->h[i] - metric->h_built[i]), total += metric->h_built[i];
    return total > 0.0 ? change / total : INFINITY;
}

/* Where no row bends (all beyond a kink) any curvature is better than none: the loss's largest. */
static void bend_if_flat(gd_metric *metric, double weight_mean) {
    int64_t n = metric->n_factors * metric->engine.problem.n;
    double bound = gd_loss_curvature_bound(&metric->engine.problem);
    for (int64_t i = 0; i < n; i++)
        if (metric->h[i] > 0.0) return;
    for (int64_t i = 0; i < n; i++) metric->h[i] = weight_mean * (bound > 0.0 && isfinite(bound) ? bound : 1.0);
}

/* ---- the matrix --------------------------------------------------------------------------------------------------- */

/* Divide by sum s, add the penalty and a trace of damping that makes singular problems solvable and leaves regular ones alone:
 * 1e-10 of each diagonal element, 1e-7 with fewer rows than columns, where it alone decides among the solutions and rounding
 * must not. With rounded kinks so few rows bend that it would outdo the penalty, and hide what is left to gain. More where a column has
 * no curvature at all. Rare columns bend at least as they do over all rows at the mean curvature h. */
static void complete(const gd_metric *metric, const double *h, double *H, double weight_sum, double *least) {
    int64_t p = metric->order, pad = metric->pad, step = metric->diagonal ? 1 : pad + 1;
    double l2 = metric->engine.problem.l2, top = 0.0, bend = 0.0;
    int rounded = metric->engine.problem.smoothing > 0.0;
    double damping = metric->bent_rows < metric->p && !rounded ? 1e-7 : 1e-10;
    if (metric->m) damping = 0.1 * (double)p / (double)metric->m; /* few rows make light of what only others tell */
    if (metric->diagonal)
        for (int64_t j = 0; j < p; j++) H[j] /= weight_sum;
    else
        for (int64_t j = 0; j < p; j++)
            for (int64_t l = j; l < p; l++) H[j * pad + l] /= weight_sum;
    for (int64_t i = 0; i < metric->engine.problem.n; i++) bend += h[i];
    bend /= weight_sum;
    for (int64_t j = 0; j < metric->columns.d; j++) H[j * step] = fmax(H[j * step], bend * metric->moment[j]);
    for (int64_t j = 0; j < p; j++) top = fmax(top, H[j * step]); /* of the rows alone: l2 adds no end to tiny columns */
    for (int64_t j = 0, of = 0; j < p; j++, of = (of + 1) % metric->p)
        if (of < metric->columns.d) H[j * step] += l2 * metric->scale[of] * metric->scale[of];
    for (int64_t j = 0; top == 0.0 && j < p; j++) top = fmax(top, H[j * step]);
    if (top == 0.0) top = 1.0;
    for (int64_t j = 0; j < p; j++) {
        double *diagonal = &H[j * step];
        *diagonal = fmax(*diagonal * (1.0 + damping), 1e-14 * top);
        least[j] = 1e-12 * *diagonal;
    }
    if (!metric->proximal) return;
    for (int64_t j = 1; j < p; j++)
        for (int64_t l = 0; l < j; l++) H[j * pad + l] = H[l * pad + j];
}

/* Do all outputs bend in proportion, as at all-zero weights? Then one matrix, times a number each, does for all. */
static int is_proportional(const gd_metric *metric, int64_t output) {
    int64_t n = metric->engine.problem.n;
    const double *first = metric->h, *h = metric->h + output * n;
    double a = 0.0, b = 0.0;
    for (int64_t i = 0; i < n && (i < 64 || a > 0.0); i++) a += first[i], b += h[i];
    for (int64_t i = 0; i < n; i++)
        if (fabs(h[i] * a - first[i] * b) > 1e-9 * first[i] * b) return 0;
    return a > 0.0 && b > 0.0;
}

static gd_gram choose(gd_metric *metric, int64_t f, int64_t m, double *H) {
    const gd_problem *problem = &metric->engine.problem;
    const double *h = metric->h + f * problem->n;
    if (metric->m == 0) return (gd_gram){NULL, problem->n, h, H};
    int64_t *rows = metric->chosen + f * metric->m;
    double *chosen_h = metric->chosen_h + f * metric->m;
    int64_t count = gd_choose_rows(problem->n, h, m, rows, chosen_h);
    for (int64_t i = 0; i < count; i++) {
        chosen_h[i] *= h[rows[i]];
        if (problem->rows) rows[i] = problem->rows[rows[i]];
    }
    metric->engine.rows_read += (double)count;
    return (gd_gram){rows, count, chosen_h, H};
}

static gd_status sum_matrices(gd_metric *metric) {
    if (metric->joint) return gd_joint_sum(metric);
    int64_t n = metric->engine.problem.n, f = metric->n_factors, matrix = metric->p * metric->p_pad, alike = 1;
    gd_gram *grams = gd_alloc(f, sizeof *grams);
    if (!grams) return GD_NO_MEMORY;
    while (alike < f && is_proportional(metric, alike)) alike++;
    int64_t count = alike == f ? 1 : f, m = alike == f ? gd_min(f, 4) * metric->m : metric->m;
    for (int64_t c = 0; c < count; c++) grams[c] = choose(metric, c, gd_min(m, n), metric->model + c * matrix);
    gd_status status = gd_gram_sum(&metric->engine, &metric->columns, grams, count);
    gd_release(grams);
    for (int64_t c = count; !status && c < f; c++) {
        double first = 0.0, own = 0.0;
        for (int64_t i = 0; i < n; i++) first += metric->h[i], own += metric->h[c * n + i];
        for (int64_t j = 0; j < matrix; j++) metric->model[c * matrix + j] = own / first * metric->model[j];
    }
    return status;
}

typedef struct gd_finish_job { gd_metric *metric; double weight_sum; int one_by_one; } gd_finish_job;

static void finish_task(void *context, int64_t f, int worker) {
    const gd_finish_job *job = context;
    gd_metric *metric = job->metric;
    gd_engine *engine = &metric->engine;
    int64_t p = metric->order, p_pad = metric->pad;
    double *H = metric->model + f * p * (metric->diagonal ? 1 : p_pad), *least = metric->least + f * p;
    complete(metric, metric->h + f * engine->problem.n, H, job->weight_sum, least);
    if (metric->diagonal || metric->proximal) return;
    if (job->one_by_one) gd_cholesky_together(engine, p, p_pad, H, least);
    else gd_cholesky(engine, worker, p, p_pad, H, least);
}

static int64_t count_bent(const gd_metric *metric) {
    int64_t rows = 0;
    for (int64_t i = 0; i < metric->n_factors * metric->engine.problem.n; i++) rows += metric->h_built[i] > 0.0;
    return rows / metric->n_factors;
}

gd_status gd_metric_build(gd_metric *metric, const double *weights, double unless_moved) {
    gd_engine *engine = &metric->engine;
    int64_t n = engine->problem.n;
    double weight_sum = (double)n, ignored;
    gd_status status = GD_OK;
    gd_engine_set_weights(engine, weights);
    find_curvature(metric);
    if (engine->interrupted) return GD_INTERRUPTED;
    if (metric->built && moved(metric) <= unless_moved) return GD_OK;
    memcpy(metric->h_built, metric->h, sizeof *metric->h * (size_t)(metric->n_factors * n));
    metric->bent_rows = count_bent(metric);
    if (metric->row_weight) weight_sum = metric->row_weight_sum;
    else if (engine->problem.weight.data) status = gd_engine_batch(engine, NULL, 0, 0, n, weights, &ignored, NULL, &weight_sum);
    bend_if_flat(metric, weight_sum > 0.0 ? weight_sum / (double)n : 1.0);
    if (!status && !metric->diagonal) status = sum_matrices(metric);
    for (int64_t f = 0; !status && metric->diagonal && f < metric->n_factors; f++)
        status = gd_diagonal_sum(metric, metric->h + f * n, metric->model + f * metric->p);
    int64_t matrices = metric->joint ? 1 : metric->n_factors;
    gd_finish_job job = {metric, weight_sum > 0.0 ? weight_sum : 1.0, matrices < engine->n_threads};
    if (!status) gd_parallel(matrices, finish_task, &job, job.one_by_one ? 1 : engine->n_threads);
    if (!status) status = gd_engine_state(engine);
    metric->built = !status;
    return status;
}

double gd_metric_penalty_share(const gd_metric *metric) {
    double least = 1.0;
    for (int64_t f = 0; f < metric->n_factors; f++)
        for (int64_t j = 0; j < metric->columns.d; j++)
            least = fmin(least, metric->engine.problem.l2 * metric->scale[j] * metric->scale[j] / metric->model[f * metric->p + j]);
    return least;
}

/* ---- for several models ---------------------------------------------------------------------------------------------- */

void gd_metric_aim(gd_metric *metric, const gd_model *model, const double *row_weight, double row_weight_sum) {
    gd_problem *problem = &metric->engine.problem;
    problem->loss = model->loss, problem->loss_param = model->loss_param, problem->l2 = model->l2, problem->l1 = model->l1;
    metric->row_weight = row_weight, metric->row_weight_sum = row_weight_sum;
    metric->built = 0;
}

int64_t gd_metric_matrices(const gd_metric *metric) {
    return metric->n_factors * (metric->diagonal ? metric->p : metric->p * metric->p_pad);
}

gd_metric gd_metric_view(const gd_metric *metric, const gd_model *model, double *matrices) {
    gd_metric view = *metric;
    gd_metric_aim(&view, model, NULL, 0.0);
    view.model = view.factor = matrices;
    view.arena = NULL, view.rows = NULL;
    view.engine.n_threads = 1; /* it is worked on by one of several */
    return view;
}

int64_t gd_metric_scratch(const gd_metric *metric) { return metric->proximal ? gd_quadratic_room_size(metric->p, metric->p_pad) : 0; }

void gd_metric_lend(gd_metric *view, double *scratch, gd_engine *watch, int worker) {
    view->watch = watch, view->worker = worker;
    if (view->proximal) view->factor = scratch;
}

/* ---- using it ------------------------------------------------------------------------------------------------------ */

typedef struct gd_solve_job { const gd_metric *metric; const double *in; double *out; int half; int64_t some; } gd_solve_job;

/* Some outputs: those that share a factor, or one; joint: all as one. */
static void solve_task(void *context, int64_t task, int worker) {
    const gd_solve_job *job = context;
    const gd_metric *metric = job->metric;
    int64_t p = metric->order, p_pad = metric->pad, c = task * job->some, count = gd_min(job->some, metric->size / p - c);
    const double *in = job->in + c * p, *U = metric->factor + (metric->n_factors == 1 ? 0 : c) * p * p_pad;
    double *out = job->out + c * p;
    (void)worker;
    if (job->half) gd_cholesky_halve(p, p_pad, U, count, in, out);
    else gd_cholesky_solve_each(p, p_pad, U, count, in, out);
}

static void solve_each(gd_solve_job *job) {
    const gd_metric *metric = job->metric;
    int alone = metric->size * metric->p < 1 << 20; /* or a thread would cost more than it brings */
    int threads = alone ? 1 : metric->engine.n_threads;
    int64_t outputs = metric->size / metric->order;
    job->some = metric->n_factors > 1 ? 1 : (outputs + threads - 1) / threads;
    gd_parallel((outputs + job->some - 1) / job->some, solve_task, job, threads);
}

static void divide(const gd_metric *metric, const double *in, double *out) {
    for (int64_t c = 0; c < metric->k; c++)
        for (int64_t j = 0; j < metric->p; j++) {
            int64_t at = c * metric->p + j;
            out[at] = in[at] / metric->model[metric->n_factors == 1 ? j : at];
        }
}

void gd_metric_solve(const gd_metric *metric, const double *in, double *out) {
    if (metric->diagonal) divide(metric, in, out);
    else solve_each(&(gd_solve_job){.metric = metric, .in = in, .out = out});
}

double gd_metric_norm(const gd_metric *metric, const double *in, double *room) {
    solve_each(&(gd_solve_job){.metric = metric, .in = in, .out = room, .half = 1});
    return gd_dot(metric->size, room, room);
}

double gd_metric_rounding(const gd_metric *metric, const double *p) {
    int64_t d = metric->columns.d;
    double sum = metric->p > d ? fabs(p[d]) : 0.0;
    for (int64_t j = 0; j < d; j++) sum += (1.0 + fabs(metric->center[j]) * metric->scale[j]) * fabs(p[j]);
    return 0x1p-53 * sum;
}

double gd_metric_clip(const gd_metric *metric, int64_t output, int64_t j, double v) {
    int64_t d = metric->columns.d;
    return j < d ? gd_clip(&metric->engine.problem, output * d + j, v * metric->scale[j]) / metric->scale[j] : v;
}

/* Each weight by itself. */
static double minimise_diagonal(const gd_metric *metric, int64_t output, const double *H, const double *v, const double *gradient, double *x) {
    double fell = 0.0;
    for (int64_t j = 0; j < metric->p; j++) {
        double threshold = j < metric->columns.d ? metric->engine.problem.l1 * metric->scale[j] : 0.0;
        x[j] = gd_metric_clip(metric, output, j, gd_soft(v[j] - gradient[j] / H[j], threshold / H[j]));
        double step = x[j] - v[j];
        fell -= step * (gradient[j] + 0.5 * H[j] * step) + threshold * (fabs(x[j]) - fabs(v[j]));
    }
    return fell;
}

double gd_metric_minimise(gd_metric *metric, int64_t output, const double *v, const double *gradient, double *x) {
    const gd_problem *problem = &metric->engine.problem;
    int64_t p = metric->order, d = metric->columns.d, f = metric->n_factors == 1 ? 0 : output;
    if (metric->diagonal) return minimise_diagonal(metric, output, metric->model + f * p, v, gradient, x);
    gd_quadratic_room room = {.kernels = metric->engine.kernels, .engine = metric->watch, .worker = metric->worker,
                              .effort = MOST_SWEEPS * (double)p * (double)p};
    gd_quadratic_room_cut(&room, p, metric->pad, metric->factor);
    gd_quadratic q = {.p = p, .p_pad = metric->pad, .d = d, .each = metric->p, .H = metric->model + f * p * metric->pad, .b = gradient,
                      .origin = v, .scale = metric->scale, .lower = problem->lower ? problem->lower + output * d : NULL,
                      .upper = problem->upper ? problem->upper + output * d : NULL, .l1 = problem->l1};
    return -gd_quadratic_minimise(&q, &room, x);
}

void gd_metric_gradient(const gd_metric *metric, const double *gradient, double *out) {
    int64_t d = metric->columns.d, p = metric->p;
    for (int64_t c = 0; c < metric->k; c++) {
        const double *g = gradient + c * d, bias = gradient[metric->k * d + c];
        for (int64_t j = 0; j < d; j++) out[c * p + j] = metric->scale[j] * (g[j] - metric->center[j] * bias);
        if (p > d) out[c * p + d] = bias;
    }
}

void gd_metric_to_weights(const gd_metric *metric, const double *v, double *weights) {
    int64_t d = metric->columns.d, p = metric->p;
    for (int64_t c = 0; c < metric->k; c++) {
        double shift = 0.0, *w = weights + c * d;
        for (int64_t j = 0; j < d; j++) w[j] = metric->scale[j] * v[c * p + j], shift += metric->center[j] * w[j];
        weights[metric->k * d + c] = p > d ? v[c * p + d] - shift : metric->bias[c];
    }
}

void gd_metric_from_weights(const gd_metric *metric, const double *weights, double *v) {
    int64_t d = metric->columns.d, p = metric->p;
    for (int64_t c = 0; c < metric->k; c++) {
        const double *w = weights + c * d;
        double shift = 0.0;
        for (int64_t j = 0; j < d; j++) v[c * p + j] = w[j] / metric->scale[j], shift += metric->center[j] * w[j];
        if (p > d) v[c * p + d] = weights[metric->k * d + c] + shift;
        else metric->bias[c] = weights[metric->k * d + c];
    }
}
