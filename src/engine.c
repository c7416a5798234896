/* Blocks of rows over threads, and the fixed tree that adds them up. */
#include "engine.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "threads.h"
#include "updates.h"

int64_t gd_min(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t gd_max(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* ---- setting up ------------------------------------------------------------------------------------------------ */

static int uses_double_lanes(const gd_problem *problem) {
    return problem->X.indptr || problem->double_lanes > 0 || (!problem->double_lanes && gd_exceeds_float(problem->X.type));
}

/* The type of X if kernels may read its rows where they lie, contiguous: native to the lanes and aligned, or narrower; else -1. */
static int type_in_place(const gd_engine *engine, int doubles) {
    const gd_problem *problem = &engine->problem;
    const gd_matrix *X = &problem->X;
    int64_t size = gd_type_size(X->type);
    if (X->indptr || problem->rows || X->swapped || (X->col_stride != size && X->n_cols != 1)) return -1;
    if (X->type == (doubles ? GD_F64 : GD_F32)) return (uintptr_t)X->data % (uintptr_t)size || X->row_stride % size ? -1 : X->type;
    int narrow = !doubles && !gd_exceeds_float(X->type) && problem->n_outputs == 1; /* see one.inc */
    return narrow && engine->kernels->widens ? X->type : -1;
}

/* Elements of X that a row takes: of sparse rows the mean. They may be some rows of a larger matrix, with all of its entries. */
static int64_t row_elements(const gd_matrix *X) {
    if (!X->indptr) return X->n_cols;
    const int32_t *narrow = X->indptr;
    const int64_t *wide = X->indptr;
    int64_t from = X->wide ? wide[0] : narrow[0], to = X->wide ? wide[X->n_rows] : narrow[X->n_rows];
    int64_t stored = 0 <= from && from <= to && to <= X->n_stored ? to - from : X->n_stored;
    return stored / gd_max(X->n_rows, 1) + 1;
}

/* Rows of `size` bytes an element that a tile has. */
static int64_t tile_rows(const gd_pass *pass, int64_t size) {
    int products = pass->k > 1 && !pass->sparse; /* of matrices: tiles of whole squares of lanes */
    int64_t lanes = pass->doubles ? GD_LANES_D : GD_LANES_F, least = products ? lanes : pass->sparse ? 1 : 8;
    int64_t rows = products ? GD_MANY_ROWS : GD_TILE_ROWS, most = pass->sparse || pass->k == 1 ? GD_TILE_BYTES : 4 * GD_TILE_BYTES;
    int64_t row_bytes = gd_max(row_elements(&pass->problem->X) * size, pass->k * 2); /* of X, or of scores and slopes */
    while (rows > least && rows * row_bytes > most) rows /= 2;
    return rows;
}

static void plan_pass(gd_engine *engine) {
    const gd_problem *problem = &engine->problem;
    gd_pass *pass = &engine->pass;
    int doubles = uses_double_lanes(problem);
    int64_t lanes = doubles ? GD_LANES_D : GD_LANES_F, size = problem->X.indptr ? 12 : doubles ? 8 : 4;
    pass->problem = problem;
    pass->d = problem->X.n_cols;
    pass->k = problem->n_outputs;
    pass->k_pad = pass->k == 1 ? 1 : round_up(pass->k, lanes);
    pass->d_pad = round_up(pass->d, lanes);
    pass->doubles = doubles;
    pass->sparse = problem->X.indptr != NULL;
    pass->narrow = pass->sparse ? problem->X.type == GD_F32 && !problem->double_lanes && problem->loss == gd_loss_log_loss && !problem->softmax
                                : !doubles;
    pass->in_place = type_in_place(engine, doubles);
    pass->rows_known = problem->n;
    pass->out_size = 2 + pass->k_pad + (pass->sparse ? pass->d * pass->k_pad : pass->k == 1 ? pass->d : pass->k * pass->d_pad);
    pass->gather_rows = tile_rows(pass, size);
    pass->tile_rows = pass->in_place >= 0 ? tile_rows(pass, gd_type_size(pass->in_place)) : pass->gather_rows;
}

void *gd_cut(gd_cutter *cutter, int64_t count, int64_t size) {
    int64_t at = cutter->used;
    if (at < 0 || count > (INT64_MAX / 4 - at) / (size ? size : 1)) {
        cutter->used = -1;
        return NULL;
    }
    cutter->used = at + round_up(count * size, 64) + 64; /* 64 to spare: kernels store whole lanes */
    return cutter->base ? cutter->base + at : NULL;
}

void gd_cut_csr(gd_cutter *cutter, int sparse, gd_scratch *s) {
    s->values = gd_cut(cutter, sparse ? GD_CSR_ENTRIES : 0, 8);
    s->columns = gd_cut(cutter, sparse ? GD_CSR_ENTRIES : 0, 4);
    s->starts = gd_cut(cutter, sparse ? GD_BLOCK_ROWS + 1 + GD_LANES_D : 0, 8);
    s->from = gd_cut(cutter, sparse ? GD_BLOCK_ROWS : 0, 8);
    s->to = gd_cut(cutter, sparse ? GD_BLOCK_ROWS : 0, 8);
    s->bad = gd_cut(cutter, 1, 8);
}

static void cut_all(gd_engine *engine, gd_cutter *cutter) {
    const gd_pass *pass = &engine->pass;
    int64_t size = pass->doubles ? 8 : 4, rows = pass->tile_rows;
    int64_t points = pass->k == 1 ? GD_BLOCK_ROWS : rows * pass->k; /* one output, one row a step: a block at a time */
    engine->scratch = gd_cut(cutter, engine->n_threads, sizeof *engine->scratch);
    for (int t = 0; t < engine->n_threads; t++) {
        gd_scratch s;
        int64_t d = pass->sparse ? 0 : pass->d, d_pad = pass->sparse ? 0 : pass->d_pad;
        s.tile = gd_cut(cutter, rows * (pass->k == 1 ? d : d_pad), size); /* also for rows that could be read in place: batches gather */
        s.turned = gd_cut(cutter, pass->k == 1 ? 0 : d_pad * rows, size);
        s.gradient = gd_cut(cutter, d_pad * (pass->k > 1 ? pass->k : pass->doubles ? 1 : 2), size); /* steps.inc: in double */
        s.Z = gd_cut(cutter, rows * pass->k_pad, size);
        s.R = gd_cut(cutter, rows * pass->k_pad, size);
        s.z = gd_cut(cutter, points, 8);
        s.y = gd_cut(cutter, points, 8);
        s.r = gd_cut(cutter, points, 8);
        s.offset = gd_cut(cutter, gd_max(gd_max(points, 4 * rows), GD_BLOCK_ROWS), 8); /* also softmax's room */
        s.s = gd_cut(cutter, GD_BLOCK_ROWS, 8);
        s.e = gd_cut(cutter, GD_BLOCK_ROWS, 8);
        s.room = gd_cut(cutter, GD_BLOCK_ROWS, 8);
        s.probe = gd_cut(cutter, GD_BLOCK_ROWS, 8);
        gd_cut_csr(cutter, pass->sparse, &s);
        if (engine->scratch) engine->scratch[t] = s;
    }
    engine->weights = gd_cut(cutter, pass->k == 1 ? pass->d_pad : pass->d * (pass->sparse ? pass->k_pad : pass->k), size);
    engine->bias = gd_cut(cutter, pass->k, 8);
    engine->total = gd_cut(cutter, pass->out_size, 8);
    engine->partials = gd_cut(cutter, engine->n_chunks * pass->out_size, 8);
    engine->stacks = gd_cut(cutter, pass->sparse ? 0 : engine->n_threads * (engine->levels + 1) * pass->out_size, 8);
}

/* Sparse rows: a chunk adds up its rows one after the other, since a tree over blocks would touch all d sums for every few hundred
 * rows. As many chunks as sums take no more memory than half the data, whatever the number of threads. */
static void plan_sparse_chunks(gd_engine *engine) {
    const gd_problem *problem = &engine->problem;
    double stored = (double)row_elements(&problem->X) * (double)problem->n, sums = (double)engine->pass.out_size;
    int64_t n_blocks = (problem->n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS, wanted = stored > 65536.0 ? 2 : 1;
    while (wanted > 1 && wanted < 32 && stored > 4.0 * sums * (double)wanted) wanted *= 2;
    wanted = gd_min(wanted, n_blocks);
    engine->chunk_blocks = (n_blocks + wanted - 1) / wanted;
    engine->n_chunks = (n_blocks + engine->chunk_blocks - 1) / engine->chunk_blocks;
}

/* Chunks are whole subtrees (2^c blocks): several per thread for balance, small enough to be left within 100 ms, few enough
 * that their sums stay small. How many there are changes no bit. */
static void plan_chunks(gd_engine *engine) {
    int64_t n_blocks = (engine->problem.n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS, wanted = 1;
    if (engine->n_threads > 1) {
        wanted = gd_max(8 * engine->n_threads, n_blocks * GD_BLOCK_ROWS / (1 << 24) * engine->pass.d);
        wanted = gd_max(gd_min(wanted, (int64_t)(1 << 23) / engine->pass.out_size), 2 * engine->n_threads);
    }
    engine->chunk_blocks = 1;
    engine->levels = 1;
    while (engine->chunk_blocks * wanted < n_blocks) engine->chunk_blocks *= 2, engine->levels++;
    engine->n_chunks = (n_blocks + engine->chunk_blocks - 1) / engine->chunk_blocks;
}

int gd_threads_for(double columns, const gd_problem *problem, int n_threads) {
    double work = (double)problem->n * (double)(row_elements(&problem->X) + 16) * columns;
    return (int)gd_max(1, gd_min(n_threads, (int64_t)fmin(work / 1048576.0, 1024.0)));
}

gd_status gd_engine_init(gd_engine *engine, const gd_problem *problem, int n_threads, const gd_hooks *hooks) {
    return gd_engine_init_for(engine, problem, 0.0, n_threads, hooks);
}

gd_status gd_engine_init_for(gd_engine *engine, const gd_problem *problem, double columns, int n_threads, const gd_hooks *hooks) {
    memset(engine, 0, sizeof *engine);
    if (problem->n < 1 || problem->X.n_cols < 1 || problem->n_outputs < 1 || problem->loss < 0 || problem->loss >= GD_N_LOSSES ||
        problem->X.type < 0 || problem->X.type >= GD_N_TYPES ||
        (problem->X.indptr && ((problem->X.type != GD_F32 && problem->X.type != GD_F64) || problem->X.n_cols > INT32_MAX)))
        return GD_BAD_ARGUMENT;
    engine->problem = *problem;
    engine->kernels = gd_kernels_now();
    engine->hooks = hooks;
    plan_pass(engine);
    engine->n_threads = gd_threads_for((double)engine->pass.k_pad + columns, problem, n_threads);
    if (engine->pass.sparse) plan_sparse_chunks(engine);
    else plan_chunks(engine);
    gd_cutter cutter = {NULL, 0};
    cut_all(engine, &cutter);
    if (cutter.used < 0 || !(engine->arena = gd_alloc(cutter.used, 1))) return GD_NO_MEMORY;
    cutter = (gd_cutter){engine->arena, 0};
    cut_all(engine, &cutter);
    engine->pass.weights = engine->weights;
    engine->pass.bias = engine->bias;
    return GD_OK;
}

void gd_engine_free(gd_engine *engine) {
    gd_release(engine->arena);
    engine->arena = NULL;
}

float gd_to_float(double w) {
    float f = (float)w;
    return fabsf(f) < FLT_MIN ? 0.0f : f;
}
double gd_to_double(double w) { return fabs(w) < DBL_MIN ? 0.0 : w; }

void gd_engine_set_weights(gd_engine *engine, const double *weights) {
    const gd_pass *pass = &engine->pass;
    int64_t d = pass->d, k = pass->k, column = pass->sparse ? 1 : d, step = pass->sparse ? pass->k_pad : 1;
    float *f = engine->weights;
    double *g = engine->weights;
    for (int64_t c = 0; c < k; c++) {
        const double *w = weights + c * d;
        if (pass->doubles)
            for (int64_t j = 0; j < d; j++) g[c * column + j * step] = gd_to_double(w[j]);
        else
            for (int64_t j = 0; j < d; j++) f[c * column + j * step] = gd_to_float(w[j]);
        engine->bias[c] = weights[k * d + c];
    }
}

/* ---- interruption ---------------------------------------------------------------------------------------------- */

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int gd_engine_poll(gd_engine *engine) {
    if (engine->interrupted || !engine->hooks || !engine->hooks->poll) return engine->interrupted;
    double now = seconds();
    if (now < engine->next_poll) return 0;
    engine->next_poll = now + 0.02;
    if (engine->hooks->poll(engine->hooks->context)) engine->interrupted = 1;
    return engine->interrupted;
}

int gd_engine_ends(gd_engine *engine, int worker) { return worker == 0 ? gd_engine_poll(engine) : engine->interrupted; }

int gd_engine_arrived(gd_engine *engine, int64_t n_models) {
    const gd_hooks *hooks = engine->hooks;
    if (!engine->interrupted && hooks && hooks->arrived && hooks->arrived(hooks->context, n_models)) engine->interrupted = 1;
    return engine->interrupted;
}

/* Even the clock costs too much for a batch of a few rows. sums: elements written besides what is read of X. */
static int poll_by_work(gd_engine *engine, int64_t rows, int64_t sums) {
    engine->work += (double)(rows * (row_elements(&engine->problem.X) + 64)) + (double)sums;
    if (engine->work < 1e6) return 0;
    engine->work = 0.0;
    return gd_engine_poll(engine);
}

/* ---- summing --------------------------------------------------------------------------------------------------- */

static void add_to(int64_t n, double *restrict a, const double *restrict b) {
    for (int64_t i = 0; i < n; i++) a[i] += b[i];
}

typedef struct gd_job { gd_engine *engine; int64_t first, count; } gd_job;

/* One chunk: blocks pushed on a stack whose level l holds the sum of 2^l blocks, as the bits of a counter. */
static void sum_chunk(void *context, int64_t chunk, int worker) {
    const gd_job *job = context;
    gd_engine *engine = job->engine;
    const gd_pass *pass = &engine->pass;
    int64_t size = pass->out_size, from = chunk * engine->chunk_blocks * GD_BLOCK_ROWS;
    int64_t to = gd_min(job->count, from + engine->chunk_blocks * GD_BLOCK_ROWS), done = 0;
    double *stack = engine->stacks + worker * (engine->levels + 1) * size, *leaf = stack + engine->levels * size;
    for (int64_t at = from; at < to; at += GD_BLOCK_ROWS, done++) {
        if (gd_engine_ends(engine, worker)) return;
        engine->kernels->block[pass->doubles](pass, &engine->scratch[worker], job->first + at,
                                              gd_min(to - at, GD_BLOCK_ROWS), leaf);
        int64_t level = 0;
        for (; done >> level & 1; level++) {
            add_to(size, stack + level * size, leaf);
            memcpy(leaf, stack + level * size, sizeof *leaf * (size_t)size);
        }
        memcpy(stack + level * size, leaf, sizeof *leaf * (size_t)size);
    }
    double *sum = NULL; /* an incomplete tree: the smaller parts stand to the right of the larger */
    for (int64_t level = 0; level < engine->levels; level++)
        if (done >> level & 1) {
            double *part = stack + level * size;
            if (sum) add_to(size, part, sum);
            sum = part;
        }
    memcpy(engine->partials + chunk * size, sum, sizeof *sum * (size_t)size);
}

/* The same for sparse rows. */
static void sum_sparse_chunk(void *context, int64_t chunk, int worker) {
    const gd_job *job = context;
    gd_engine *engine = job->engine;
    int64_t size = engine->pass.out_size, from = chunk * engine->chunk_blocks * GD_BLOCK_ROWS;
    int64_t to = gd_min(job->count, from + engine->chunk_blocks * GD_BLOCK_ROWS);
    double *sums = engine->partials + chunk * size;
    memset(sums, 0, sizeof *sums * (size_t)size);
    for (int64_t at = from; at < to; at += GD_BLOCK_ROWS) {
        if (gd_engine_ends(engine, worker)) return;
        engine->kernels->csr_block(&engine->pass, &engine->scratch[worker], job->first + at, gd_min(to - at, GD_BLOCK_ROWS), sums);
    }
}

gd_status gd_engine_state(gd_engine *engine) {
    gd_status status = engine->interrupted ? GD_INTERRUPTED : GD_OK;
    for (int t = 0; t < engine->n_threads; t++)
        if (*engine->scratch[t].bad) status = GD_BAD_ROWS;
    return status;
}

void gd_sum_tree(int64_t n, int64_t size, double *leaves) {
    for (int64_t width = 1; width < n; width *= 2)
        for (int64_t i = 0; i + width < n; i += 2 * width) add_to(size, leaves + i * size, leaves + (i + width) * size);
}

/* engine->total = sums over rows first ... first + count - 1 at the weights that were set. */
static gd_status sum_rows(gd_engine *engine, int64_t first, int64_t count) {
    gd_job job = {engine, first, count};
    int64_t size = engine->pass.out_size;
    engine->rows_read += (double)count;
    if (count <= GD_BLOCK_ROWS) {
        if (engine->pass.sparse) {
            memset(engine->total, 0, sizeof *engine->total * (size_t)size);
            engine->kernels->csr_block(&engine->pass, engine->scratch, first, count, engine->total);
        } else engine->kernels->block[engine->pass.doubles](&engine->pass, engine->scratch, first, count, engine->total);
        return poll_by_work(engine, count, size) ? GD_INTERRUPTED : gd_engine_state(engine);
    }
    int64_t chunk_rows = engine->chunk_blocks * GD_BLOCK_ROWS, n_chunks = (count + chunk_rows - 1) / chunk_rows;
    unsigned long fp = gd_fp_enter();
    engine->missing_threads += gd_parallel(n_chunks, engine->pass.sparse ? sum_sparse_chunk : sum_chunk, &job, engine->n_threads);
    if (!engine->interrupted) {
        gd_sum_tree(n_chunks, size, engine->partials);
        memcpy(engine->total, engine->partials, sizeof *engine->total * (size_t)size);
    }
    gd_fp_restore(fp);
    return gd_engine_state(engine);
}

/* engine->total over `total` -> the gradient of the mean loss and of the l2 penalty. */
static void finish(const gd_engine *engine, const double *weights, double total, double *gradient) {
    const gd_pass *pass = &engine->pass;
    const gd_problem *problem = &engine->problem;
    const double *bias = engine->total + 2, *G = bias + pass->k_pad;
    int64_t d = pass->d, k = pass->k, column = pass->sparse ? 1 : pass->d_pad, step = pass->sparse ? pass->k_pad : 1;
    for (int64_t c = 0; c < k; c++) {
        for (int64_t j = 0; j < d; j++)
            gradient[c * d + j] = G[c * column + j * step] / total + problem->l2 * weights[c * d + j];
        gradient[k * d + c] = problem->fit_intercept ? bias[c] / total : 0.0;
    }
}

static double mean_error(const gd_engine *engine) { return engine->total[1] > 0.0 ? engine->total[0] / engine->total[1] : 0.0; }

double gd_l2_penalty(const gd_problem *problem, const double *weights) {
    double norm = 0.0;
    if (problem->l2 == 0.0) return 0.0; /* times an infinite norm it would be NaN */
    for (int64_t j = 0; j < problem->n_outputs * problem->X.n_cols; j++) norm += weights[j] * weights[j];
    return 0.5 * problem->l2 * norm;
}

gd_status gd_engine_evaluate(gd_engine *engine, const double *weights, double *error, double *gradient) {
    gd_engine_set_weights(engine, weights);
    gd_status status = sum_rows(engine, 0, engine->problem.n);
    if (status) return status;
    *error = mean_error(engine) + gd_l2_penalty(&engine->problem, weights);
    if (gradient) finish(engine, weights, engine->total[1] > 0.0 ? engine->total[1] : INFINITY, gradient);
    return GD_OK;
}

/* Point the problem at other rows, and back. */
typedef struct gd_detour { const int64_t *rows; int64_t known, tile_rows; int in_place; } gd_detour;

static gd_detour go_to_rows(gd_engine *engine, const int64_t *rows, int64_t known) {
    gd_pass *pass = &engine->pass;
    gd_detour back = {engine->problem.rows, pass->rows_known, pass->tile_rows, pass->in_place};
    if (!rows) return back;
    engine->problem.rows = rows;
    pass->rows_known = known, pass->tile_rows = pass->gather_rows, pass->in_place = -1;
    return back;
}

static void go_back(gd_engine *engine, gd_detour back) {
    gd_pass *pass = &engine->pass;
    engine->problem.rows = back.rows;
    pass->rows_known = back.known, pass->tile_rows = back.tile_rows, pass->in_place = back.in_place;
}

gd_status gd_engine_batch(gd_engine *engine, const int64_t *rows, int64_t known, int64_t first, int64_t count,
                          const double *weights, double *error, double *gradient, double *weight_sum) {
    double mean = engine->problem.weight_mean > 0.0 ? engine->problem.weight_mean : 1.0;
    gd_detour back = go_to_rows(engine, rows, known);
    gd_engine_set_weights(engine, weights);
    gd_status status = sum_rows(engine, first, count);
    go_back(engine, back);
    if (status) return status;
    *error = mean_error(engine);
    if (gradient) finish(engine, weights, (double)count * mean, gradient);
    if (weight_sum) *weight_sum = engine->total[1];
    return GD_OK;
}

gd_status gd_engine_steps(gd_engine *engine, const int64_t *rows, int64_t known, int64_t first, int64_t count, gd_steps *steps) {
    gd_detour back = go_to_rows(engine, rows, known);
    if (engine->pass.sparse) engine->kernels->csr_steps(&engine->pass, engine->scratch, first, count, steps);
    else engine->kernels->steps(&engine->pass, engine->scratch, first, count, steps);
    go_back(engine, back);
    engine->rows_read += (double)count;
    return poll_by_work(engine, count, 0) ? GD_INTERRUPTED : gd_engine_state(engine);
}

void gd_add_l1(const gd_problem *problem, const double *weights, double *error, double *gradient) {
    double l1 = problem->l1, norm = 0.0;
    if (!gd_is_proximal(problem)) return;
    for (int64_t j = 0; j < problem->n_outputs * problem->X.n_cols; j++) {
        double w = weights[j];
        norm += fabs(w);
        if (!gradient) continue;
        double *g = gradient + j;
        if (w != 0.0) *g += w > 0.0 ? l1 : -l1;
        else *g = *g > l1 ? *g - l1 : *g < -l1 ? *g + l1 : 0.0;
        if ((problem->lower && w <= problem->lower[j] && *g > 0.0) || (problem->upper && w >= problem->upper[j] && *g < 0.0)) *g = 0.0;
    }
    *error += l1 * norm;
}
