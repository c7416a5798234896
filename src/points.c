/* Errors at many points from one read of X: tiles of rows over threads, each tile made ready once for all points. */
#include "points.h"

#include <string.h>

#include "engine.h"
#include "threads.h"

/* GD_POINTS_AT_ONCE: that share a read; GD_POINTS_CHUNKS: parts of the rows that are summed by themselves, whatever the number of threads;
 * GD_POINTS_WORK: multiplications, about, between two questions whether to stop; GD_POINTS_BYTES: of a tile. */
enum { GD_POINTS_AT_ONCE = 1 << 14, GD_POINTS_CHUNKS = 64, GD_POINTS_WORK = 1 << 19, GD_POINTS_BYTES = 1 << 18, GD_POINTS_GROUP = 6 };

typedef struct gd_points_job {
    gd_engine engine;             /* of one point: it plans the pass and asks whether to stop */
    gd_points points;
    int64_t at_once, n_points;    /* room, and how many there are now */
    int64_t chunk_rows, n_chunks;
    int64_t per_call;             /* points between two questions whether to stop */
    int n_threads;
    void *arena;                  /* all of the below */
    gd_points_scratch *scratch;   /* (n_threads) */
    double *weights, *bias;       /* (at_once * k, d), (at_once * k) */
    double *sums;                 /* (n_chunks, at_once + 1): s loss at each point, then s */
} gd_points_job;

static void cut_scratch(const gd_points_job *job, gd_cutter *cutter, gd_points_scratch *s) {
    const gd_pass *pass = job->points.pass;
    int64_t rows = job->points.tile_rows, k = pass->k;
    gd_cut_csr(cutter, pass->sparse, &s->rows);
    s->rows.room = gd_cut(cutter, rows, 8);
    s->rows.y = gd_cut(cutter, k * rows, 8);
    s->tile = gd_cut(cutter, pass->sparse ? rows * pass->d_pad : 0, 8);
    s->turned = gd_cut(cutter, pass->d_pad * rows, 8);
    s->base = gd_cut(cutter, k * rows, 8);
    s->s = gd_cut(cutter, rows, 8);
    s->extent = gd_cut(cutter, pass->d + 1, 8);
    s->Z = gd_cut(cutter, job->points.group * k * rows, 8);
    s->slopes = gd_cut(cutter, k > 1 ? k * rows : 0, 8);
    s->e = gd_cut(cutter, rows, 8);
    s->one = gd_cut(cutter, 4 * rows, 8);
    s->bad = gd_cut(cutter, rows, 8);
    s->heaviest = gd_cut(cutter, 1, 8);
    s->half_y = gd_cut(cutter, rows, 4);
    s->w_f = gd_cut(cutter, rows, 4);
    s->room_f = gd_cut(cutter, 3 * rows, 4);
}

static void cut_all(gd_points_job *job, gd_cutter *cutter) {
    const gd_pass *pass = job->points.pass;
    job->scratch = gd_cut(cutter, job->n_threads, sizeof *job->scratch);
    for (int t = 0; t < job->n_threads; t++) {
        gd_points_scratch scratch = {.s = NULL};
        cut_scratch(job, cutter, &scratch);
        if (job->scratch) job->scratch[t] = scratch;
    }
    job->weights = gd_cut(cutter, job->at_once * pass->k * pass->d, 8);
    job->bias = gd_cut(cutter, job->at_once * pass->k, 8);
    job->sums = gd_cut(cutter, job->n_chunks * (job->at_once + 1), 8);
}

/* Tiles and chunks depend on the shape of the data alone: they decide the bits of the sums. */
static void plan(gd_points_job *job, int64_t n_points, int narrow, int n_threads) {
    const gd_pass *pass = &job->engine.pass;
    const gd_problem *problem = &job->engine.problem;
    int64_t columns = gd_max(pass->d_pad, pass->k), rows = GD_BLOCK_ROWS;
    while (rows > GD_LANES_F && rows * columns * 8 > GD_POINTS_BYTES) rows /= 2;
    job->points = (gd_points){.pass = pass, .tile_rows = rows, .group = gd_max(1, GD_POINTS_GROUP / pass->k),
                              .narrow = narrow && problem->loss == gd_loss_log_loss && pass->k == 1};
    int64_t n_tiles = (problem->n + rows - 1) / rows, each = (n_tiles + GD_POINTS_CHUNKS - 1) / GD_POINTS_CHUNKS;
    job->chunk_rows = each * rows;
    job->n_chunks = (n_tiles + each - 1) / each;
    job->at_once = gd_max(1, gd_min(gd_min(n_points, GD_POINTS_AT_ONCE), (1 << 24) / (pass->k * pass->d)));
    job->per_call = gd_max(1, GD_POINTS_WORK / (rows * pass->k * (pass->d + 16)));
    job->n_threads = gd_threads_for((double)n_points * (double)pass->k, problem, n_threads);
}

static gd_status start(gd_points_job *job, const gd_problem *problem, int64_t n_points, int narrow, int n_threads, const gd_hooks *hooks) {
    gd_problem in_double = *problem;
    in_double.double_lanes = 1;
    gd_status status = gd_engine_init(&job->engine, &in_double, 1, hooks);
    if (status) return status;
    plan(job, n_points, narrow, n_threads);
    gd_cutter cutter = {NULL, 0};
    cut_all(job, &cutter);
    if (cutter.used < 0 || !(job->arena = gd_alloc(cutter.used, 1))) return GD_NO_MEMORY;
    cutter = (gd_cutter){job->arena, 0};
    cut_all(job, &cutter);
    job->points.weights = job->weights, job->points.bias = job->bias;
    return GD_OK;
}

static void sum_chunk(void *context, int64_t chunk, int worker) {
    gd_points_job *job = context;
    gd_engine *engine = &job->engine;
    const gd_points_scratch *scratch = &job->scratch[worker];
    int64_t from = chunk * job->chunk_rows, end = gd_min(engine->problem.n, from + job->chunk_rows), n = job->n_points;
    double *sums = job->sums + chunk * (n + 1);
    memset(sums, 0, sizeof *sums * (size_t)(n + 1));
    for (int64_t at = from; at < end; at += job->points.tile_rows) {
        int64_t rows = gd_min(end - at, job->points.tile_rows);
        sums[n] += engine->kernels->points_tile(&job->points, scratch, at, rows);
        for (int64_t p = 0; p < n; p += job->per_call) {
            if (gd_engine_ends(engine, worker)) return;
            engine->kernels->points_errors(&job->points, scratch, rows, p, gd_min(n, p + job->per_call), sums);
        }
    }
}

/* One read of X: job->sums of chunk 0 = the sums over all rows. */
static gd_status sum_rows(gd_points_job *job) {
    gd_parallel(job->n_chunks, sum_chunk, job, job->n_threads);
    if (job->engine.interrupted) return GD_INTERRUPTED;
    for (int t = 0; t < job->n_threads; t++)
        if (*job->scratch[t].rows.bad) return GD_BAD_ROWS;
    gd_sum_tree(job->n_chunks, job->n_points + 1, job->sums);
    return GD_OK;
}

static gd_status evaluate(gd_points_job *job, const gd_problem *problem, int64_t n, const double *coef, const double *intercept,
                          double *error) {
    int64_t k = problem->n_outputs, size = k * problem->X.n_cols;
    job->n_points = n;
    for (int64_t j = 0; j < n * size; j++) job->weights[j] = gd_to_double(coef[j]);
    for (int64_t c = 0; c < n * k; c++) job->bias[c] = gd_to_double(intercept[c]);
    gd_status status = sum_rows(job);
    double weight = status ? 0.0 : job->sums[n];
    for (int64_t p = 0; !status && p < n; p++) {
        error[p] = (weight > 0.0 ? job->sums[p] / weight : 0.0) + gd_l2_penalty(problem, coef + p * size);
        gd_add_l1(problem, coef + p * size, &error[p], NULL);
    }
    return status;
}

gd_status gd_errors(const gd_problem *problem, int64_t n_points, const double *coef, const double *intercept, int narrow, int n_threads,
                    const gd_hooks *hooks, double *error) {
    gd_points_job job = {.arena = NULL};
    int64_t k = problem->n_outputs, size = k * problem->X.n_cols;
    unsigned long fp = gd_fp_enter();
    gd_status status = n_points < 1 ? GD_BAD_ARGUMENT : start(&job, problem, n_points, narrow, n_threads, hooks);
    for (int64_t p = 0; !status && p < n_points; p += job.at_once)
        status = evaluate(&job, problem, gd_min(n_points - p, job.at_once), coef + p * size, intercept + p * k, error + p);
    gd_release(job.arena);
    gd_engine_free(&job.engine);
    gd_fp_restore(fp);
    return status;
}
