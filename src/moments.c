/* One read of X: each block of rows is packed once, its rows are gathered cell by cell, and each cell adds up its products
 * (moments.inc). n q^2 / 2 multiplications in all where cells are patterns of roles. Parts of the rows have sums of their own, parts
 * and the order in which they add up are fixed by n and the size of the sums alone; where these are so large that there are few
 * parts, tasks are panels of columns besides, and each reads X. */
#include "moments.h"

#include <math.h>
#include <string.h>

#include "metric.h"
#include "threads.h"

enum { SAMPLE = 1024, PATTERNS = 32, MOST_PARTS = 16, FEW_PARTS = 4, ROWS_OF_A_PART = 512 /* for each cell */, PANEL = 16 /* strips */,
       PART_BYTES = 1 << 28 };

static int64_t count_strips(const gd_problem *problem) {
    return (problem->X.n_cols + 1 + problem->n_outputs + GD_LANES_D - 1) / GD_LANES_D;
}

int gd_moments_fit(const gd_grid *grid) {
    const gd_problem *problem = &grid->problem;
    double q = (double)count_strips(problem) * GD_LANES_D, cells = fmax(PATTERNS, 2.0 * (double)grid->n_splits + 1.0);
    return cells * q * q * 8.0 <= GD_MOMENT_BYTES;
}

/* ---- cells --------------------------------------------------------------------------------------------------------- */

/* Rows with the same roles in the splits so far share a number; each split divides them further. *few = 0 if they become too many. */
static gd_status find_patterns(gd_moments *moments, int64_t most, int *few) {
    const gd_grid *grid = moments->grid;
    int64_t n = grid->problem.n;
    moments->n_cells = 1, *few = 1;
    if (!grid->n_splits) return GD_OK;
    int32_t *numbers = gd_alloc(most * 256, sizeof *numbers), *pattern = moments->pattern;
    if (!numbers) return GD_NO_MEMORY;
    for (int64_t split = 0; *few && split < grid->n_splits; split++) {
        const int8_t *roles = grid->roles + split * n;
        memset(numbers, -1, sizeof *numbers * (size_t)(moments->n_cells * 256));
        moments->n_cells = 0;
        for (int64_t i = 0; *few && i < n; i++) {
            int32_t *number = &numbers[pattern[i] * 256 + (uint8_t)roles[i]];
            if (*number < 0 && moments->n_cells == most) *few = 0;
            else if (*number < 0) {
                moments->example[moments->n_cells] = i;
                *number = (int32_t)moments->n_cells++;
            }
            pattern[i] = *number;
        }
    }
    gd_release(numbers);
    return GD_OK;
}

double gd_moments_share(const gd_moments *moments, int64_t split, int validating, int64_t cell) {
    if (split < 0 && validating) return 0.0;
    if (!moments->pattern) return cell == (split < 0 ? moments->n_cells - 1 : 2 * split + validating) ? 1.0 : 0.0;
    if (split < 0) return 1.0;
    int role = moments->grid->roles[split * moments->grid->problem.n + moments->example[cell]];
    return fmax(validating ? -role : role, 0.0);
}

/* How many times row i of the problem counts in a cell. */
static int times(const gd_moments *moments, int64_t cell, int64_t i) {
    if (moments->pattern) return moments->pattern[i] == cell;
    if (cell == moments->n_cells - 1) return 1;
    int role = moments->grid->roles[cell / 2 * moments->grid->problem.n + i];
    role = cell % 2 ? -role : role;
    return role > 0 ? role : 0;
}

static int is_used(const gd_moments *moments, int64_t cell) {
    const gd_grid *grid = moments->grid;
    for (int64_t m = 0; m < grid->n_models; m++)
        for (int part = 0; part < 2; part++)
            if (gd_moments_share(moments, grid->models[m].split, part, cell) > 0.0) return 1;
    return 0;
}

static void count_rows(gd_moments *moments) {
    int64_t n = moments->grid->problem.n;
    for (int64_t i = 0; moments->pattern && i < n; i++) moments->rows[moments->pattern[i]]++;
    for (int64_t cell = 0; cell < moments->n_cells; cell++)
        if (!is_used(moments, cell)) moments->rows[cell] = 0;
        else
            for (int64_t i = 0; !moments->pattern && i < n; i++) moments->rows[cell] += times(moments, cell, i) > 0;
}

/* ---- columns ------------------------------------------------------------------------------------------------------- */

/* Mean, least and greatest of each column over the rows of an engine that weigh anything. plain: augmented rows as they are. */
static void survey(gd_engine *engine, const gd_augmented *plain, double *tile, double *U, double *s, double *restrict mean,
                   double *restrict least, double *restrict most) {
    int64_t n = engine->problem.n, counted = 0;
    for (int64_t j = 0; j < plain->strips * GD_LANES_D; j++) least[j] = INFINITY, most[j] = -INFINITY;
    for (int64_t at = 0; at < n && !gd_engine_poll(engine); at += GD_BLOCK_ROWS) {
        int64_t rows = gd_min(n - at, GD_BLOCK_ROWS);
        engine->kernels->augment(&engine->pass, engine->scratch, plain, at, rows, tile, U, s);
        for (int64_t i = 0; i < rows; i++) {
            if (s[i] == 0.0) continue;
            double share = 1.0 / (double)++counted;
            for (int64_t c = 0; c < plain->strips; c++) {
                const double *row = U + (c * GD_BLOCK_ROWS + i) * GD_LANES_D;
                for (int64_t l = 0, j = c * GD_LANES_D; l < GD_LANES_D; l++, j++) {
                    double u = row[l];
                    mean[j] = mean[j] * (1.0 - share) + u * share; /* no sum that could overflow */
                    least[j] = u < least[j] ? u : least[j];
                    most[j] = u > most[j] ? u : most[j];
                }
            }
        }
    }
}

/* Centres and scales from m rows: their means, and the powers of two that bring the largest deviations of x to about 1, so that squares
 * neither overflow nor vanish, not even those of a scale. */
static gd_status find_columns(gd_moments *moments, int64_t m) {
    gd_problem sample = moments->engine.problem;
    int64_t q = moments->q_pad, d = moments->d, *rows = m < sample.n ? gd_sample_rows(&sample, m) : NULL;
    double *room = gd_alloc(5 * q + GD_BLOCK_ROWS * (q + 1) + GD_MOMENT_ROWS * d, 8);
    double *mean = room + 2 * q, *least = room + 3 * q, *most = room + 4 * q;
    gd_engine engine = {0};
    gd_status status = room && (rows || m >= sample.n) ? GD_OK : GD_NO_MEMORY;
    if (rows) sample.rows = rows, sample.n = m;
    if (!status) status = gd_engine_init(&engine, &sample, 1, moments->engine.hooks);
    if (!status) {
        double *U = room + 5 * q, *s = U + GD_BLOCK_ROWS * q;
        for (int64_t j = 0; j < q; j++) room[j] = 1.0;
        survey(&engine, &(gd_augmented){room, room + q, moments->strips}, s + GD_BLOCK_ROWS, U, s, mean, least, most);
        status = gd_engine_state(&engine);
    }
    for (int64_t j = 0; !status && j < q; j++) {
        int exponent = 0, centred = sample.fit_intercept && j != d && isfinite(mean[j]);
        double center = centred ? mean[j] : 0.0, largest = fmax(most[j] - center, center - least[j]);
        if (largest > 0.0 && isfinite(largest)) frexp(largest, &exponent);
        moments->center[j] = center;
        moments->scale[j] = j < d ? ldexp(1.0, exponent < -500 ? 500 : -exponent) : 1.0;
    }
    gd_engine_free(&engine);
    gd_release(room);
    gd_release(rows);
    return status;
}

/* ---- sums ---------------------------------------------------------------------------------------------------------- */

typedef struct gd_moments_job {
    gd_moments *moments;
    gd_augmented columns;
    double *room;                       /* (n_threads, room_size): tile, U, s, weight, rows; A, B where rows are gathered */
    int64_t room_size, n_parts, part_rows, n_panels;
} gd_moments_job;

/* The rows of a block that are in a cell, and their weights. *plain: it is the whole block, and all weigh 1. */
static int64_t select_rows(const gd_moments *moments, int64_t cell, int64_t first, int64_t count, const double *s, int32_t *rows,
                           double *weight, int *plain) {
    int64_t found = 0;
    double most = 1.0, least = 1.0;
    *plain = moments->n_cells == 1 && moments->pattern && !moments->engine.problem.weight.data;
    if (*plain) return count;
    for (int64_t i = 0; i < count; i++) {
        int r = times(moments, cell, first + i);
        rows[found] = (int32_t)i;
        weight[found] = r * s[i];
        if (!r) continue;
        if (!(weight[found] <= most)) most = isnan(weight[found]) ? INFINITY : weight[found];
        if (weight[found] < least) least = weight[found];
        found++;
    }
    *plain = most == 1.0 && least == 1.0;
    return found;
}

/* The stored bytes of the rows of a task that come next, where rows lie side by side: their products leave memory time to deliver them. */
static int64_t bytes_ahead(const gd_problem *problem, int64_t next, int64_t to) {
    const gd_matrix *X = &problem->X;
    int side_by_side = !X->indptr && !problem->rows && X->col_stride >= 1 && X->row_stride == X->n_cols * X->col_stride;
    return side_by_side ? gd_min(to - next, GD_BLOCK_ROWS) * X->row_stride : 0;
}

static void moments_task(void *context, int64_t task, int worker) {
    const gd_moments_job *job = context;
    gd_moments *moments = job->moments;
    gd_engine *engine = &moments->engine;
    const gd_matrix *X = &engine->problem.X;
    int64_t part = task / job->n_panels, panel = task % job->n_panels, strips = moments->strips, block = GD_BLOCK_ROWS * moments->q_pad;
    int64_t from = part * job->part_rows, to = gd_min(engine->problem.n, from + job->part_rows), matrix = moments->q_pad * moments->q_pad;
    int64_t low = panel * PANEL, high = job->n_panels == 1 ? strips : gd_min(strips, low + PANEL);
    double *tile = job->room + worker * job->room_size, *U = tile + GD_MOMENT_ROWS * moments->d;
    double *s = U + block, *weight = s + GD_BLOCK_ROWS, *A = weight + 2 * GD_BLOCK_ROWS, *B = A + block;
    int32_t *rows = (int32_t *)(void *)(weight + GD_BLOCK_ROWS);
    for (int64_t at = from; at < to; at += GD_BLOCK_ROWS) {
        if (gd_engine_ends(engine, worker)) return;
        int64_t count = gd_min(to - at, GD_BLOCK_ROWS), next = at + count, bytes = bytes_ahead(&engine->problem, next, to);
        engine->kernels->augment(&engine->pass, &engine->scratch[worker], &job->columns, at, count, tile, U, s);
        for (int64_t cell = 0; cell < moments->n_cells; cell++) {
            int plain;
            int64_t found = moments->rows[cell] ? select_rows(moments, cell, at, count, s, rows, weight, &plain) : 0;
            if (!found) continue;
            const char *ahead = X->data + (bytes ? next : 0) * X->row_stride;
            engine->kernels->moments(strips, low, high, U, found, plain && found == count ? NULL : rows, plain ? NULL : weight, A, B,
                                     moments->sums + (part * moments->n_cells + cell) * matrix, ahead, bytes);
            bytes = 0;
        }
    }
}

/* The parts of a cell's sums, into those of the first. */
static void add_task(void *context, int64_t cell, int worker) {
    const gd_moments_job *job = context;
    gd_moments *moments = job->moments;
    int64_t matrix = moments->q_pad * moments->q_pad;
    (void)worker;
    for (int64_t part = 1; part < job->n_parts; part++)
        moments->engine.kernels->add(matrix, 1.0, moments->sums + (part * moments->n_cells + cell) * matrix, moments->sums + cell * matrix);
}

static void plan(const gd_moments *moments, gd_moments_job *job) {
    int64_t n = moments->engine.problem.n, n_blocks = (n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS, q = moments->q_pad;
    int64_t parts = gd_min(gd_min(MOST_PARTS, PART_BYTES / (8 * moments->n_cells * q * q)), n / (ROWS_OF_A_PART * moments->n_cells));
    parts = gd_max(parts, 1);
    job->part_rows = (n_blocks + parts - 1) / parts * GD_BLOCK_ROWS;
    job->n_parts = (n + job->part_rows - 1) / job->part_rows;
    job->n_panels = job->n_parts < FEW_PARTS ? (moments->strips + PANEL - 1) / PANEL : 1;
    int gathers = moments->n_cells > 1 || moments->engine.problem.weight.data;
    job->room_size = GD_MOMENT_ROWS * moments->d + GD_BLOCK_ROWS * ((gathers ? 3 : 1) * q + 3);
    job->room_size = (job->room_size + GD_LANES_D - 1) / GD_LANES_D * GD_LANES_D;
}

static gd_status sum(gd_moments *moments) {
    int64_t q = moments->q_pad, threads = moments->engine.n_threads;
    gd_moments_job job = {.moments = moments};
    plan(moments, &job);
    gd_release(moments->sums);
    moments->sums = gd_alloc(job.n_parts * moments->n_cells * q * q, 8);
    double *shift = gd_alloc(q + threads * job.room_size, 8);
    gd_status status = moments->sums && shift ? GD_OK : GD_NO_MEMORY;
    if (!status) {
        for (int64_t j = 0; j < q; j++) shift[j] = -moments->center[j] * moments->scale[j];
        job.columns = (gd_augmented){moments->scale, shift, moments->strips};
        job.room = shift + q;
        moments->engine.missing_threads += gd_parallel(job.n_parts * job.n_panels, moments_task, &job, (int)threads);
        status = gd_engine_state(&moments->engine);
    }
    if (!status) gd_parallel(moments->n_cells, add_task, &job, (int)threads);
    gd_release(shift);
    return status;
}

/* A NaN or an infinity anywhere in a row makes its square one. */
static int all_finite(const gd_moments *moments) {
    for (int64_t cell = 0; cell < moments->n_cells; cell++)
        for (int64_t j = 0; j < moments->q_pad; j++)
            if (!isfinite(moments->sums[(cell * moments->q_pad + j) * moments->q_pad + j])) return 0;
    return 1;
}

gd_status gd_moments_init(gd_moments *moments, const gd_grid *grid, int n_threads, const gd_hooks *hooks) {
    memset(moments, 0, sizeof *moments);
    gd_problem problem = grid->problem;
    problem.double_lanes = 1;
    gd_status status = gd_engine_init(&moments->engine, &problem, n_threads, hooks);
    if (status) return status;
    int64_t n = problem.n, most = gd_max(PATTERNS, 2 * grid->n_splits + 1);
    moments->grid = grid, moments->d = problem.X.n_cols, moments->k = problem.n_outputs;
    moments->strips = count_strips(&problem), moments->q_pad = moments->strips * GD_LANES_D;
    double *at = moments->arena = gd_alloc(2 * moments->q_pad + 2 * most + n / 2 + 1, 8);
    if (!at) return GD_NO_MEMORY;
    moments->center = at, moments->scale = at + moments->q_pad;
    moments->example = (int64_t *)(void *)(at + 2 * moments->q_pad), moments->rows = moments->example + most;
    moments->pattern = (int32_t *)(void *)(moments->rows + most);
    int few;
    status = find_patterns(moments, gd_max(PATTERNS, grid->n_splits + 1), &few);
    if (status) return status;
    if (!few) moments->pattern = NULL, moments->n_cells = 2 * grid->n_splits + 1;
    count_rows(moments);
    for (int64_t sample = gd_min(SAMPLE, n);; sample = n) {
        status = find_columns(moments, sample);
        if (!status) status = sum(moments);
        if (status || all_finite(moments)) return status;
        if (sample == n) return GD_NOT_FINITE;
    }
}

void gd_moments_free(gd_moments *moments) {
    gd_engine_free(&moments->engine);
    gd_release(moments->arena);
    gd_release(moments->sums);
    memset(moments, 0, sizeof *moments);
}
