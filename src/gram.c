#include "gram.h"

#include <math.h>
#include <string.h>

#include "threads.h"

/* TASKS: how many pieces there should be for each thread. SUMS_OF_A_TASK: the sums that one holds, so that it ends soon after it is asked
 * to. PARTS: of the rows, where there is but one small matrix. */
enum { TASKS = 4, SUMS_OF_A_TASK = 1 << 20, PARTS = 8, SMALL = 4 * GD_GRAM_PANEL, PAIR = 16 /* products of a matrix that one of sparse
       entries costs */ };

typedef struct gd_gram_job {
    gd_engine *engine;
    const gd_columns *columns;
    const gd_gram *grams;
    double *parts;      /* (n_parts, p, p_pad) if there are several */
    double *room;       /* (n_threads, room_size) of the kernel; stored: sums (d + 1) */
    int64_t n_parts, n_bands, band, room_size;
    int stored;         /* stored entries are multiplied, each row's with one another, and zeros made up for */
} gd_gram_job;

/* Zeros are -center each in the columns that H is of. They are made up for after all: what cancels then are products of means, which must
 * not exceed the columns' own size by much. */
static int takes_stored(const gd_engine *engine, const gd_columns *columns) {
    const gd_matrix *X = &engine->problem.X;
    const int64_t *rows = engine->problem.rows, *wide = X->indptr;
    const int32_t *narrow = X->indptr;
    double pairs = 0.0, p = (double)columns->p;
    if (!X->indptr) return 0;
    for (int64_t j = 0; j < columns->d; j++)
        if (fabs(columns->center[j] * columns->scale[j]) > 2.0) return 0;
    for (int64_t i = 0; i < engine->problem.n; i++) {
        int64_t at = rows ? rows[i] : i, stored = X->wide ? wide[at + 1] - wide[at] : narrow[at + 1] - narrow[at];
        if (stored < 0 || stored > GD_CSR_ENTRIES) return 0;
        pairs += (double)stored * (double)stored;
    }
    return PAIR * pairs < (double)engine->problem.n * p * p;
}

/* P (p, p_pad), sums (d + 1) of stored entries -> H, rows j0 ... j1 - 1. */
static void make_up_for_zeros(const gd_columns *columns, const double *sums, int64_t j0, int64_t j1, double *H) {
    int64_t d = columns->d, p_pad = columns->p_pad;
    for (int64_t j = j0; j < gd_min(j1, d); j++) {
        double *row = H + j * p_pad, center = columns->center[j] * columns->scale[j], left = sums[j] - center * sums[d];
        for (int64_t l = j; l < d; l++) row[l] -= center * sums[l] + left * (columns->center[l] * columns->scale[l]);
        if (columns->p > d) row[d] = left;
    }
    if (j0 <= d && d < j1) H[d * p_pad + d] = sums[d];
}

/* A band of rows of a matrix: the samples of a part are summed in order by whoever gets the task. */
static void gram_task(void *context, int64_t task, int worker) {
    const gd_gram_job *job = context;
    gd_engine *engine = job->engine;
    int64_t p = job->columns->p, p_pad = job->columns->p_pad, j0 = task % job->n_bands * job->band, j1 = gd_min(p, j0 + job->band);
    int64_t part = task / job->n_bands % job->n_parts;
    const gd_gram *gram = &job->grams[task / job->n_bands / job->n_parts];
    int64_t blocks = (gram->n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS, part_rows = (blocks + job->n_parts - 1) / job->n_parts * GD_BLOCK_ROWS;
    int64_t from = part * part_rows, to = gd_min(gram->n, from + part_rows);
    double *room = job->room + worker * job->room_size, *H = job->n_parts > 1 ? job->parts + part * p * p_pad : gram->H;
    gd_problem problem = engine->problem;
    gd_pass pass = engine->pass;
    if (gram->rows) {
        problem.rows = gram->rows, problem.n = pass.rows_known = gram->n;
        pass.tile_rows = pass.gather_rows, pass.in_place = -1;
    }
    pass.problem = &problem;
    if (job->stored) memset(room, 0, sizeof *room * (size_t)(job->columns->d + 1));
    for (int64_t at = from; at < to; at += GD_BLOCK_ROWS) {
        if (gd_engine_ends(engine, worker)) return;
        int64_t count = gd_min(to - at, GD_BLOCK_ROWS);
        const gd_scratch *scratch = &engine->scratch[worker];
        if (job->stored) engine->kernels->csr_gram(&pass, scratch, job->columns, gram->h + at, at, count, j0, j1, room, H);
        else engine->kernels->gram[pass.doubles](&pass, scratch, job->columns, gram->h + at, at, count, j0, j1, room, H);
    }
    if (job->stored) make_up_for_zeros(job->columns, room, j0, j1, H);
}

gd_status gd_gram_sum(gd_engine *engine, const gd_columns *columns, const gd_gram *grams, int64_t count) {
    int64_t p = columns->p, size = p * columns->p_pad, n_panels = (p + GD_GRAM_PANEL - 1) / GD_GRAM_PANEL;
    gd_gram_job job = {.engine = engine, .columns = columns, .grams = grams, .stored = takes_stored(engine, columns)};
    job.n_parts = count > 1 || p > SMALL ? 1 : gd_max(1, gd_min(PARTS, (grams->n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS));
    /* bands as broad as leaves enough of them: each reads the samples anew. Elements are chains of their own: no bit depends on it */
    int64_t bands = job.stored && p <= SMALL ? 1 : TASKS * engine->n_threads / (count * job.n_parts) + 1;
    int64_t panels = gd_min((n_panels + bands - 1) / bands, gd_max(1, SUMS_OF_A_TASK / (columns->p_pad * GD_GRAM_PANEL)));
    job.band = panels * GD_GRAM_PANEL, job.n_bands = (n_panels + panels - 1) / panels;
    job.room_size = job.stored ? columns->p_pad + GD_LANES_D : GD_GRAM_ROOM(columns->p_pad);
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
