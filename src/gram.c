#include "gram.h"

#include <string.h>

#include "threads.h"

/* TASKS: how many pieces there should be for each thread. SUMS_OF_A_TASK: the sums that one holds, so that it ends soon after it is asked
 * to. PARTS: of the rows, where there is but one small matrix. */
enum { TASKS = 4, SUMS_OF_A_TASK = 1 << 20, PARTS = 8, SMALL = 4 * GD_GRAM_PANEL };

typedef struct gd_gram_job {
    gd_engine *engine;
    const gd_columns *columns;
    const gd_gram *grams;
    double *parts;      /* (n_parts, p, p_pad) if there are several */
    double *room;       /* (n_threads, room_size) */
    int64_t n_parts, n_bands, band, room_size;
} gd_gram_job;

/* A band of rows of a matrix: the samples of a part are summed in order by whoever gets the task. */
static void gram_task(void *context, int64_t task, int worker) {
    const gd_gram_job *job = context;
    gd_engine *engine = job->engine;
    int64_t p = job->columns->p, p_pad = job->columns->p_pad, j0 = task % job->n_bands * job->band, j1 = gd_min(p, j0 + job->band);
    int64_t part = task / job->n_bands % job->n_parts;
    const gd_gram *gram = &job->grams[task / job->n_bands / job->n_parts];
    int64_t blocks = (gram->n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS, part_rows = (blocks + job->n_parts - 1) / job->n_parts * GD_BLOCK_ROWS;
    int64_t from = part * part_rows, to = gd_min(gram->n, from + part_rows);
    double *A = job->room + worker * job->room_size, *H = job->n_parts > 1 ? job->parts + part * p * p_pad : gram->H;
    gd_problem problem = engine->problem;
    gd_pass pass = engine->pass;
    if (gram->rows) {
        problem.rows = gram->rows, problem.n = pass.rows_known = gram->n;
        pass.tile_rows = pass.gather_rows, pass.in_place = -1;
    }
    pass.problem = &problem;
    for (int64_t at = from; at < to; at += GD_BLOCK_ROWS) {
        if (gd_engine_ends(engine, worker)) return;
        engine->kernels->gram[pass.doubles](&pass, &engine->scratch[worker], job->columns, gram->h + at, at, gd_min(to - at, GD_BLOCK_ROWS),
                                            j0, j1, A, A + 2 * GD_GRAM_ROWS * p_pad, A + 3 * GD_GRAM_ROWS * p_pad, H);
    }
}

gd_status gd_gram_sum(gd_engine *engine, const gd_columns *columns, const gd_gram *grams, int64_t count) {
    int64_t p = columns->p, size = p * columns->p_pad, n_panels = (p + GD_GRAM_PANEL - 1) / GD_GRAM_PANEL;
    gd_gram_job job = {.engine = engine, .columns = columns, .grams = grams};
    job.n_parts = count > 1 || p > SMALL ? 1 : gd_max(1, gd_min(PARTS, (grams->n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS));
    /* bands as broad as leaves enough of them: each reads the samples anew. Elements are chains of their own: no bit depends on it */
    int64_t bands = TASKS * engine->n_threads / (count * job.n_parts) + 1;
    int64_t panels = gd_min((n_panels + bands - 1) / bands, gd_max(1, SUMS_OF_A_TASK / (columns->p_pad * GD_GRAM_PANEL)));
    job.band = panels * GD_GRAM_PANEL, job.n_bands = (n_panels + panels - 1) / panels;
    job.room_size = (3 * GD_GRAM_ROWS + job.band) * columns->p_pad;
    job.room = gd_alloc(engine->n_threads, 8 * job.room_size);
    if (job.n_parts > 1) job.parts = gd_alloc(job.n_parts * size, 8);
    gd_status status = job.room && (job.parts || job.n_parts == 1) ? GD_OK : GD_NO_MEMORY;
    for (int64_t i = 0; i < count; i++) memset(grams[i].H, 0, sizeof *grams->H * (size_t)size);
    if (!status) gd_parallel(count * job.n_parts * job.n_bands, gram_task, &job, engine->n_threads);
    for (int64_t part = 0; job.parts && part < job.n_parts; part++)
        for (int64_t j = 0; j < size; j++) grams->H[j] += job.parts[part * size + j];
    gd_release(job.parts);
    gd_release(job.room);
    return status ? status : gd_engine_state(engine);
}
