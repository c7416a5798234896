/* See dual_space.h. Sums are added up by pieces of rows, in order: the same bits on any number of threads. */
#include "dual_space.h"

#include <math.h>
#include <string.h>

#include "threads.h"

enum { SWEEP_ROWS = 2048, SMALL = 1 << 16 /* numbers of a vector that one thread sweeps over */ };

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

static void cut_vector(gd_cutter *cutter, const gd_product *product, gd_dual_vector *v) {
    v->a = gd_cut(cutter, product->size, 8), v->z = gd_cut(cutter, product->size, 8), v->b = gd_cut(cutter, product->k, 8);
}

static int64_t sweep_pieces(const gd_dual *dual) { return (dual->product.n_rows + SWEEP_ROWS - 1) / SWEEP_ROWS; }

static int64_t count_blocks(const gd_dual *dual) { return (dual->engine.problem.n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS; }

static void cut_all(gd_dual *dual, gd_cutter *cutter) {
    gd_dual_vector *vectors[] = {&dual->at, &dual->along, &dual->gradient, &dual->before};
    for (int i = 0; i < 4; i++) cut_vector(cutter, &dual->product, vectors[i]);
    gd_product_cut(&dual->product, cutter);
    dual->outs = gd_cut(cutter, count_blocks(dual) * (3 + dual->product.k), 8);
    dual->sums = gd_cut(cutter, dual->product.strips * sweep_pieces(dual), sizeof *dual->sums);
    dual->bend = gd_cut(cutter, dual->product.k, 8);
}

gd_status gd_dual_allocate(gd_dual *dual, int *usable) {
    gd_product_shape(&dual->product, dual->engine.problem.n_outputs);
    gd_cutter cutter = {NULL, 0};
    cut_all(dual, &cutter);
    *usable = cutter.used >= 0 && cutter.used <= GD_MOST_TURNED;
    if (!*usable) return GD_OK;
    if (!(dual->arena = gd_alloc(cutter.used, 1))) return GD_NO_MEMORY;
    cutter = (gd_cutter){dual->arena, 0};
    cut_all(dual, &cutter);
    gd_product_divide(&dual->product);
    return GD_OK;
}

void gd_dual_release(gd_dual *dual) {
    gd_release(dual->arena), gd_turned_release(&dual->product.X);
    gd_engine_free(&dual->engine);
}

/* ---- sweeps over the vectors ------------------------------------------------------------------------------------------- */

typedef struct gd_sweep_job { gd_dual *dual; gd_sweep sweep; } gd_sweep_job;

static void sweep_task(void *context, int64_t task, int worker) {
    const gd_sweep_job *job = context;
    gd_dual *dual = job->dual;
    int64_t pieces = sweep_pieces(dual), strip = task / pieces, row = task % pieces * SWEEP_ROWS;
    int64_t base = strip * dual->product.n_rows, end = gd_min(row + SWEEP_ROWS, dual->product.n_rows), lanes = dual->product.lanes;
    (void)worker;
    dual->sums[task] = (gd_dual_sums){0};
    job->sweep(dual, (base + row) * lanes, (base + end) * lanes, strip, &dual->sums[task]);
}

gd_dual_sums gd_dual_sweep(gd_dual *dual, gd_sweep what) {
    gd_sweep_job job = {dual, what};
    gd_dual_sums all = {0};
    int64_t tasks = dual->product.strips * sweep_pieces(dual);
    dual->engine.missing_threads += gd_parallel(tasks, sweep_task, &job, dual->product.size < SMALL ? 1 : dual->engine.n_threads);
    for (int64_t task = 0; task < tasks; task++) all.first += dual->sums[task].first, all.second += dual->sums[task].second;
    return all;
}

void gd_dual_advance(gd_dual *dual, int64_t from, int64_t to, int64_t strip, gd_dual_sums *sums) {
    double *restrict a = dual->at.a, *restrict z = dual->at.z, *restrict g = dual->gradient.a, t = dual->t;
    const double *restrict da = dual->along.a, *restrict dz = dual->along.z;
    double share = 1.0 / dual->total, l2 = dual->engine.problem.l2, dot[GD_LANES_D] = {0.0};
    (void)strip;
    for (int64_t i = from; i < to; i++) {
        a[i] += t * da[i], z[i] += t * dz[i];
        g[i] = g[i] * share + l2 * a[i];
        dot[i % GD_LANES_D] += a[i] * z[i];
    }
    for (int l = 0; l < GD_LANES_D; l++) sums->first += dot[l];
}

void gd_dual_gather(gd_dual *dual, int64_t from, int64_t to, int64_t strip, gd_dual_sums *sums) {
    double *restrict z = dual->gradient.z;
    const double *restrict a = dual->gradient.a, *restrict before = dual->before.z;
    const double *center = dual->product.center_along + strip * dual->product.lanes;
    int64_t mask = dual->product.lanes - 1, last = (strip + 1) * dual->product.n_rows - (dual->product.start != NULL);
    int64_t end = last * dual->product.lanes; /* the start has no centre */
    double dot[GD_LANES_D] = {0.0}, other[GD_LANES_D] = {0.0};
    for (int64_t i = from; i < to; i++) z[i] = dual->product.parts[i];
    for (int64_t part = 1; part < dual->product.n_parts; part++) {
        const double *restrict more = dual->product.parts + part * dual->product.size;
        for (int64_t i = from; i < to; i++) z[i] += more[i];
    }
    for (int64_t i = from; i < gd_min(to, end); i++) z[i] -= center[i & mask];
    for (int64_t i = from; i < to; i++) dot[i % GD_LANES_D] += a[i] * z[i], other[i % GD_LANES_D] += a[i] * before[i];
    for (int l = 0; l < GD_LANES_D; l++) sums->first += dot[l], sums->second += other[l];
}

void gd_dual_bend_line(gd_dual *dual, int64_t from, int64_t to, int64_t strip, gd_dual_sums *sums) {
    double *restrict da = dual->along.a, *restrict dz = dual->along.z, share = dual->t, by = 1.0 / dual->scale;
    const double *restrict ga = dual->gradient.a, *restrict gz = dual->gradient.z, *restrict a = dual->at.a;
    double dot[GD_LANES_D] = {0.0}, own[GD_LANES_D] = {0.0};
    (void)strip;
    for (int64_t i = from; i < to; i++) {
        da[i] = share * da[i] - by * ga[i], dz[i] = share * dz[i] - by * gz[i];
        dot[i % GD_LANES_D] += a[i] * dz[i], own[i % GD_LANES_D] += da[i] * dz[i];
    }
    for (int l = 0; l < GD_LANES_D; l++) sums->first += dot[l], sums->second += own[l];
}

/* ---- errors ---------------------------------------------------------------------------------------------------------------- */

typedef struct gd_rows_job { gd_dual *dual; gd_line line; double *s; } gd_rows_job;

static void slopes_task(void *context, int64_t block, int worker) {
    const gd_rows_job *job = context;
    gd_dual *dual = job->dual;
    gd_engine *engine = &dual->engine;
    int64_t first = block * GD_BLOCK_ROWS, count = gd_min(GD_BLOCK_ROWS, engine->problem.n - first);
    double *out = dual->outs + block * (3 + dual->product.k);
    memset(out, 0, sizeof *out * (size_t)(3 + dual->product.k));
    if (gd_engine_ends(engine, worker)) return;
    if (job->s) engine->kernels->line_bends(&engine->pass, &engine->scratch[worker], &job->line, first, count, job->s, out + 3);
    else engine->kernels->line_slopes(&engine->pass, &engine->scratch[worker], &job->line, first, count, dual->gradient.a, out);
}

gd_status gd_dual_add_up_rows(gd_dual *dual, double t, double *s) {
    gd_rows_job job = {dual, {dual->at.z, dual->along.z, t, dual->product.n_rows, dual->product.lanes}, s};
    int64_t n_blocks = count_blocks(dual);
    for (int64_t c = 0; c < dual->product.k; c++) dual->engine.bias[c] = dual->at.b[c] + t * dual->along.b[c];
    dual->engine.missing_threads += gd_parallel(n_blocks, slopes_task, &job, dual->engine.n_threads);
    gd_sum_tree(n_blocks, 3 + dual->product.k, dual->outs);
    return gd_engine_state(&dual->engine);
}

int64_t gd_dual_start_place(const gd_dual *dual, int64_t c) {
    return gd_strip_place(dual->product.n_rows, dual->product.lanes, c, dual->engine.problem.n);
}

gd_status gd_dual_evaluate(gd_dual *dual, double t, double *error, double *slope) {
    const double *out = dual->outs, l2 = dual->engine.problem.l2;
    gd_status status = gd_dual_add_up_rows(dual, t, NULL);
    dual->total = out[1] > 0.0 ? out[1] : INFINITY;
    *error = out[0] / dual->total + 0.5 * l2 * (dual->at_at + t * (2.0 * dual->at_along + t * dual->along_along));
    *slope = out[2] / dual->total + l2 * (dual->at_along + t * dual->along_along);
    for (int64_t c = 0; c < dual->product.k; c++) *slope += out[3 + c] / dual->total * dual->along.b[c];
    for (int64_t c = 0; dual->product.start && c < dual->product.k; c++) /* no error of its own */
        dual->gradient.a[gd_dual_start_place(dual, c)] = 0.0;
    return status;
}
