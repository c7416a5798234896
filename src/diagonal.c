#include "diagonal.h"

#include <math.h>
#include <string.h>

#include "threads.h"

enum { MOST_PARTS = 8, WIDE_SUMS = 1 << 16 };

typedef struct gd_diagonal_job {
    gd_metric *metric;
    const double *h;
    double *parts, *room;   /* (n_parts, p), (n_threads, d) */
    int64_t part_rows;
} gd_diagonal_job;

static void diagonal_task(void *context, int64_t part, int worker) {
    const gd_diagonal_job *job = context;
    gd_metric *metric = job->metric;
    gd_engine *engine = &metric->engine;
    int64_t from = part * job->part_rows, to = gd_min(engine->problem.n, from + job->part_rows);
    double *diagonal = job->parts + part * metric->p, *room = job->room + worker * metric->columns.d;
    for (int64_t at = from; at < to; at += GD_BLOCK_ROWS) {
        if (gd_engine_ends(engine, worker)) return;
        int64_t rows = gd_min(to - at, GD_BLOCK_ROWS);
        if (engine->pass.sparse)
            engine->kernels->csr_diagonal(&engine->pass, &engine->scratch[worker], &metric->columns, job->h + at, at, rows, diagonal);
        else engine->kernels->diagonal[engine->pass.doubles](&engine->pass, &metric->columns, job->h + at, at, rows, room, diagonal);
    }
}

gd_status gd_diagonal_sum(gd_metric *metric, const double *h, double *diagonal) {
    gd_engine *engine = &metric->engine;
    int64_t n = engine->problem.n, p = metric->p, n_blocks = (n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS;
    int64_t n_parts = engine->pass.sparse && p > WIDE_SUMS ? 1 : gd_min(MOST_PARTS, n_blocks);
    gd_diagonal_job job = {metric, h, gd_alloc(n_parts * p + engine->n_threads * metric->columns.d, 8), NULL,
                           (n_blocks + n_parts - 1) / n_parts * GD_BLOCK_ROWS};
    if (!job.parts) return GD_NO_MEMORY;
    job.room = job.parts + n_parts * p;
    gd_parallel(n_parts, diagonal_task, &job, engine->n_threads);
    memcpy(diagonal, job.parts, sizeof *diagonal * (size_t)p);
    for (int64_t part = 1; part < n_parts; part++)
        for (int64_t j = 0; j < p; j++) diagonal[j] += job.parts[part * p + j];
    gd_release(job.parts);
    gd_status status = gd_engine_state(engine);
    if (status || !engine->pass.sparse) return status;
    double bend = 0.0; /* what zeros have */
    for (int64_t i = 0; i < n; i++) bend += h[i];
    for (int64_t j = 0; j < metric->columns.d; j++) {
        double zero = metric->center[j] * metric->scale[j];
        diagonal[j] = fmax(diagonal[j] + bend * zero * zero, 0.0);
    }
    for (int64_t j = metric->columns.d; j < metric->p; j++) diagonal[j] += bend;
    return GD_OK;
}
