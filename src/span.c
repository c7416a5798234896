/* See span.h. K is a sum over columns: parts of them, fixed by sizes alone, add up on their own. A part packs some hundred columns of all
 * rows at a time, so that they stay in cache, in strips of rows as moments.inc has strips of columns, and multiplies them by its kernel. */
#include "span.h"

#include <math.h>
#include <string.h>

#include "run.h"
#include "threads.h"

enum { COLUMNS = GD_BLOCK_ROWS, PANEL = 16 /* strips */, MOST_PARTS = 8, PART_BYTES = 1 << 26, MOST_OUTPUTS = 64, MAP_BYTES = 1 << 27 };

/* Of its own square: what is left of a row that depends on those before it, but for rounding. */
static const double DEPENDENT = 1e-13;
/* Share of a row's own square that no others explain, and squares of centres in those of centred rows: K is right to some 1e-14. */
static const double CLEAR = 1e-3, OFF_CENTER = 1e4;

typedef struct gd_span_job {
    gd_engine *engine;
    double *center;
    double *plain;     /* (COLUMNS + GD_LANES_D) ones, then as many zeros: columns as they are */
    double *parts;     /* (n_parts, n_pad, n_pad) */
    double *along;     /* (n_parts, n_pad) X_c c */
    double *room;      /* (n_threads, room_size): targets of a tile, weights of a block, tile, sums of columns, U, V */
    int64_t room_size, n_parts, strips;
} gd_span_job;

/* ---- products of rows ------------------------------------------------------------------------------------------------ */

/* All rows of columns first ... first + count - 1 into V, less their means, which go to job->center; products with these to along. */
static void pack(const gd_span_job *job, int64_t first, int64_t count, double *room, double *V, double *along) {
    gd_problem slice = job->engine->problem;
    gd_pass pass = job->engine->pass;
    gd_scratch scratch = {.y = room};
    int64_t n = slice.n;
    double *s = room + GD_MOMENT_ROWS, *tile = s + GD_BLOCK_ROWS, *sums = tile + GD_MOMENT_ROWS * COLUMNS, *U = sums + COLUMNS;
    gd_augmented plain = {job->plain, job->plain + COLUMNS + GD_LANES_D, (count + 2 + GD_LANES_D - 1) / GD_LANES_D};
    slice.X.data += first * slice.X.col_stride, slice.X.n_cols = count;
    pass.problem = &slice, pass.d = count, pass.tile_rows = GD_MOMENT_ROWS;
    int in_place = pass.in_place == GD_F64 && count % GD_LANES_D == 0;
    memset(sums, 0, sizeof *sums * (size_t)count);
    for (int64_t at = 0; at < n; at += GD_BLOCK_ROWS) {
        int64_t rows = gd_min(n - at, GD_BLOCK_ROWS);
        const double *from = (const double *)(const void *)(slice.X.data + at * slice.X.row_stride);
        if (!in_place) job->engine->kernels->augment(&pass, &scratch, &plain, at, rows, tile, U, s);
        job->engine->kernels->turn_strips(in_place ? from : U, in_place ? slice.X.row_stride / 8 : GD_LANES_D,
                                          in_place ? GD_LANES_D : GD_BLOCK_ROWS * GD_LANES_D, rows, count, V + at * COLUMNS, sums);
    }
    for (int64_t j = 0; j < count; j++) job->center[first + j] = slice.fit_intercept ? sums[j] / (double)n : 0.0;
    for (int64_t strip = 0; slice.fit_intercept && strip < job->strips; strip++) {
        double there[GD_LANES_D];
        for (int64_t l = 0; l < GD_LANES_D; l++) there[l] = strip * GD_LANES_D + l < n ? 1.0 : 0.0;
        job->engine->kernels->center_strip(count, job->center + first, there, V + strip * COLUMNS * GD_LANES_D, along + strip * GD_LANES_D);
    }
}

static void part_task(void *context, int64_t part, int worker) {
    const gd_span_job *job = context;
    gd_engine *engine = job->engine;
    int64_t d = engine->pass.d, n_pad = job->strips * GD_LANES_D, chunks = (d + COLUMNS - 1) / COLUMNS;
    int64_t from = chunks * part / job->n_parts * COLUMNS, to = gd_min(d, chunks * (part + 1) / job->n_parts * COLUMNS);
    double *room = job->room + worker * job->room_size, *V = room + job->room_size - n_pad * COLUMNS;
    for (int64_t first = from; first < to; first += COLUMNS) {
        int64_t count = gd_min(to - first, COLUMNS);
        if (gd_engine_ends(engine, worker)) return;
        pack(job, first, count, room, V, job->along + part * n_pad);
        for (int64_t strip = 0; strip < job->strips; strip += PANEL) {
            if (gd_engine_ends(engine, worker)) return;
            engine->kernels->moments(job->strips, strip, gd_min(job->strips, strip + PANEL), V, count, NULL, NULL, NULL, NULL,
                                     job->parts + part * n_pad * n_pad, (const char *)V, 0);
        }
    }
}

/* K (n_pad, n_pad), upper triangle; along (n_pad). */
static gd_status sum_products(gd_span *span, gd_engine *engine, double *K, double *along) {
    int64_t n = engine->problem.n, d = engine->pass.d, n_pad = span->n_pad, size = n_pad * n_pad;
    int64_t chunks = (d + COLUMNS - 1) / COLUMNS, q = COLUMNS + GD_LANES_D;
    int threads = gd_threads_for(0.5 * (double)n, &engine->problem, span->n_threads);
    gd_span_job job = {.engine = engine, .center = span->center, .strips = n_pad / GD_LANES_D};
    job.n_parts = gd_min(gd_min(MOST_PARTS, chunks), gd_max(PART_BYTES / (8 * size), 1));
    job.room_size = GD_MOMENT_ROWS + GD_BLOCK_ROWS + GD_MOMENT_ROWS * COLUMNS + COLUMNS + GD_BLOCK_ROWS * q + n_pad * COLUMNS;
    double *memory = gd_alloc(2 * q + job.n_parts * n_pad + threads * job.room_size, 8);
    if (!memory) return GD_NO_MEMORY;
    job.plain = memory, job.along = memory + 2 * q, job.room = job.along + job.n_parts * n_pad, job.parts = K;
    for (int64_t j = 0; j < q; j++) job.plain[j] = 1.0;
    if (job.n_parts > 1 && !(job.parts = gd_alloc(job.n_parts * size, 8))) {
        gd_release(memory);
        return GD_NO_MEMORY;
    }
    span->missing_threads += gd_parallel(job.n_parts, part_task, &job, threads);
    for (int64_t part = 0; job.n_parts > 1 && part < job.n_parts; part++) engine->kernels->add(size, 1.0, job.parts + part * size, K);
    for (int64_t part = 0; part < job.n_parts; part++) engine->kernels->add(n_pad, 1.0, job.along + part * n_pad, along);
    if (job.n_parts > 1) gd_release(job.parts);
    gd_release(memory);
    return gd_engine_state(engine);
}

/* ---- the factor ------------------------------------------------------------------------------------------------------ */

typedef struct gd_pivots {
    const gd_kernels *kernels;
    int64_t n, n_pad, rank;
    double *K;                /* (n, n_pad) upper triangle, rows and columns in the order of `rows`; U, K = U'U, takes its place */
    double *square, *left;    /* (n) of each row: K_ii, and what of it the rows before do not explain */
    int64_t *rows;            /* (n) */
} gd_pivots;

static void swap(double *a, double *b) {
    double kept = *a;
    *a = *b, *b = kept;
}

/* Rows and columns k and m > k change places. */
static void exchange(gd_pivots *p, int64_t k, int64_t m) {
    int64_t n_pad = p->n_pad, row = p->rows[k];
    double *K = p->K;
    for (int64_t i = 0; i < k; i++) swap(&K[i * n_pad + k], &K[i * n_pad + m]);
    for (int64_t j = k + 1; j < m; j++) swap(&K[k * n_pad + j], &K[j * n_pad + m]);
    for (int64_t j = m + 1; j < p->n; j++) swap(&K[k * n_pad + j], &K[m * n_pad + j]);
    swap(&p->square[k], &p->square[m]), swap(&p->left[k], &p->left[m]);
    p->rows[k] = p->rows[m], p->rows[m] = row;
}

/* Row i less what rows from ... to - 1 of U explain of it, from column i on. */
static void subtract(gd_pivots *p, int64_t from, int64_t to, int64_t i) {
    int64_t first = i / GD_LANES_D * GD_LANES_D;
    for (int64_t k = from; k < to; k++)
        p->kernels->add(p->n_pad - first, -p->K[k * p->n_pad + i], p->K + k * p->n_pad + first, p->K + i * p->n_pad + first);
}

static double share_left(const gd_pivots *p, int64_t i) { return p->square[i] > 0.0 ? p->left[i] / p->square[i] : 0.0; }

/* Rows of U from `from` on, each the one of which most is left (of its own square: rows of any scale are alike), until a panel is full or
 * the others depend on those before. Returns how many there are now. */
static int64_t factorise_panel(gd_pivots *p, int64_t from) {
    int64_t to = gd_min(p->n, from + GD_PANEL_STEP);
    for (int64_t k = from; k < to; k++) {
        int64_t best = k;
        for (int64_t i = k; i < p->n; i++)
            if (share_left(p, i) > share_left(p, best)) best = i;
        if (!(share_left(p, best) > DEPENDENT)) return k;
        if (best > k) exchange(p, k, best);
        double *row = p->K + k * p->n_pad, pivot = sqrt(p->left[k]);
        subtract(p, from, k, k);
        row[k] = pivot;
        for (int64_t j = k + 1; j < p->n; j++) row[j] /= pivot, p->left[j] -= row[j] * row[j];
    }
    return to;
}

/* Cholesky with pivots (Higham 2002, section 10.3; Lucas 2004 for the panels). *usable 0: something is not finite or all is zero. */
static gd_status factorise(gd_pivots *p, gd_engine *engine, int *usable) {
    double top = 0.0;
    int finite = 1;
    for (int64_t i = 0; i < p->n; i++) {
        double square = p->K[i * p->n_pad + i];
        finite &= isfinite(square) != 0, top = fmax(top, square);
        p->rows[i] = i, p->square[i] = p->left[i] = square;
    }
    *usable = finite && top > 1e-250;
    for (int64_t from = 0; *usable && from < p->n; from = p->rank) {
        p->rank = factorise_panel(p, from);
        if (p->rank < gd_min(p->n, from + GD_PANEL_STEP)) break;
        for (int64_t i = p->rank; i < p->n; i++) subtract(p, from, p->rank, i);
        if (gd_engine_poll(engine)) return GD_INTERRUPTED;
    }
    return GD_OK;
}

/* Centred rows have one direction less than there are. */
static void judge(gd_span *span, const gd_pivots *p) {
    double least = 1.0, all = 0.0, far = gd_norm(span->wide->X.n_cols, span->center);
    for (int64_t a = 0; a < p->n; a++) all += p->square[a];
    for (int64_t a = 0; a < p->rank; a++) least = fmin(least, p->K[a * p->n_pad + a] * p->K[a * p->n_pad + a] / p->square[a]);
    span->square = all / (double)p->n;
    span->clear = p->rank + (span->wide->fit_intercept != 0) >= p->n && least > CLEAR && far * far <= OFF_CENTER * span->square;
}

static const double *row_of(const gd_span *span, int64_t a) { return span->L + span->places[a] * span->rank; }

/* u = L^-1 z over the pivots, z of pivot a at z[a * step]. */
static void solve(const gd_span *span, const double *z, int64_t step, double *u) {
    for (int64_t a = 0; a < span->rank; a++) u[a] = (z[a * step] - gd_dot(a, row_of(span, a), u)) / row_of(span, a)[a];
}

/* L and the rows it is made of, from K; Qc, from along. */
static gd_status find_factor(gd_span *span, gd_engine *engine, double *K, const double *along, int *usable) {
    int64_t n = engine->problem.n, n_pad = span->n_pad;
    gd_pivots p = {.kernels = engine->kernels, .n = n, .n_pad = n_pad, .K = K, .square = K + n * n_pad, .left = K + n * n_pad + n_pad,
                   .rows = span->places};
    gd_status status = factorise(&p, engine, usable);
    if (status || !*usable) return status;
    span->rank = p.rank;
    judge(span, &p);
    if (!(span->L = gd_alloc((n + 1) * p.rank, 8))) return GD_NO_MEMORY;
    span->mean = span->L + n * p.rank;
    for (int64_t i = 0; i < n; i++)
        for (int64_t a = 0; a <= i && a < p.rank; a++) span->L[p.rows[i] * p.rank + a] = K[a * n_pad + i];
    for (int64_t a = 0; a < p.rank; a++) span->rows[a] = engine->problem.rows ? engine->problem.rows[p.rows[a]] : p.rows[a];
    for (int64_t a = 0; a < p.rank; a++) p.left[a] = along[p.rows[a]];
    solve(span, p.left, 1, span->mean);
    return GD_OK;
}

/* Squared error over the rows of X that L has, about y (., n_outputs). */
static gd_problem linear_problem(const gd_span *span, int64_t n_outputs, const double *y) {
    const gd_problem *wide = span->wide;
    gd_problem linear = {.X = wide->X, .n = span->rank, .n_outputs = n_outputs, .double_lanes = 1};
    linear.rows = wide->rows || span->rank < wide->n ? span->rows : NULL;
    linear.y = (gd_matrix){(const char *)y, wide->X.n_rows, n_outputs, 8 * n_outputs, 8, .type = GD_F64};
    return linear;
}

gd_status gd_span_init(gd_span *span, const gd_problem *problem, int n_threads, const gd_hooks *hooks, int *usable) {
    static const double zero = 0.0;
    int64_t n = problem->n, n_pad = (n + GD_LANES_D - 1) / GD_LANES_D * GD_LANES_D;
    gd_problem rows = {.X = problem->X, .rows = problem->rows, .n = n, .n_outputs = 1, .fit_intercept = problem->fit_intercept};
    gd_engine engine = {0};
    memset(span, 0, sizeof *span);
    *usable = 0;
    rows.double_lanes = 1;
    rows.y = (gd_matrix){.data = (const char *)&zero, .n_rows = problem->X.n_rows, .n_cols = 1, .type = GD_F64};
    span->wide = problem, span->problem = *problem, span->n_pad = n_pad, span->n_threads = n_threads, span->hooks = hooks;
    double *K = gd_alloc((n_pad + 3) * n_pad, 8), *at = span->memory = gd_alloc(2 * n + problem->X.n_cols, 8);
    gd_status status = K && at ? gd_engine_init(&engine, &rows, 1, hooks) : GD_NO_MEMORY;
    if (at) span->rows = (int64_t *)(void *)at, span->places = span->rows + n, span->center = at + 2 * n;
    if (!status) status = sum_products(span, &engine, K, K + (n_pad + 2) * n_pad);
    if (!status) status = find_factor(span, &engine, K, K + (n_pad + 2) * n_pad, usable);
    if (!status && *usable) status = gd_gather_targets(&span->problem, &span->gathered);
    gd_engine_free(&engine);
    gd_release(K);
    span->rows_read = (double)n;
    span->problem.rows = NULL;
    span->problem.X = (gd_matrix){(const char *)span->L, n, span->rank, 8 * span->rank, 8, .type = GD_F64};
    return status;
}

void gd_span_free(gd_span *span) {
    gd_gathered_free(&span->gathered);
    gd_release(span->L);
    gd_release(span->memory);
    memset(span, 0, sizeof *span);
}

/* ---- weights --------------------------------------------------------------------------------------------------------- */

/* Q'u = X_c' c over `rows`, where c solves L'c = u. y: for row i of X, element i * step, gets -c times their number. */
static double solve_back(const gd_span *span, double *u, double *y, int64_t step) {
    double sum = 0.0;
    for (int64_t a = span->rank - 1; a >= 0; a--) {
        const double *row = row_of(span, a);
        double c = u[a] / row[a];
        for (int64_t b = 0; b < a; b++) u[b] -= row[b] * c;
        y[span->rows[a] * step] = -c * (double)span->rank;
        sum += c;
    }
    return sum;
}

/* The same for some models by one pass, whose gradient at 0 is the sum of the rows times -y over their number. room (rank). */
static gd_status map(gd_span *span, int64_t n_models, const double *u, double *room, double *weights) {
    int64_t k = span->problem.n_outputs, d = span->wide->X.n_cols, r = span->rank, outputs = n_models * k;
    double *y = gd_alloc(span->wide->X.n_rows * outputs + outputs * (2 * d + 3), 8), ignored;
    if (!y) return GD_NO_MEMORY;
    double *zeros = y + span->wide->X.n_rows * outputs, *gradient = zeros + outputs * (d + 1), *sums = gradient + outputs * (d + 1);
    gd_problem linear = linear_problem(span, outputs, y);
    gd_engine engine = {0};
    for (int64_t o = 0; o < outputs; o++) {
        memcpy(room, u + o / k * k * (r + 1) + o % k * r, sizeof *u * (size_t)r);
        sums[o] = solve_back(span, room, y + o, outputs);
    }
    gd_status status = gd_engine_init(&engine, &linear, span->n_threads, span->hooks);
    if (!status) status = gd_engine_evaluate(&engine, zeros, &ignored, gradient);
    for (int64_t o = 0; !status && o < outputs; o++) {
        int64_t at = o / k * k * (d + 1);
        double *w = weights + at + o % k * d, shift = 0.0;
        for (int64_t j = 0; j < d; j++) {
            w[j] = gradient[o * d + j] - span->center[j] * sums[o];
            shift += span->center[j] * w[j];
        }
        weights[at + k * d + o % k] = u[o / k * k * (r + 1) + k * r + o % k] - shift;
    }
    span->rows_read += (double)r;
    span->missing_threads += engine.missing_threads;
    gd_engine_free(&engine);
    gd_release(y);
    return status;
}

gd_status gd_span_to_weights(gd_span *span, int64_t n_models, const double *u, double *weights) {
    int64_t k = span->problem.n_outputs, d = span->wide->X.n_cols, r = span->rank;
    int64_t most = gd_max(1, gd_min(MOST_OUTPUTS, MAP_BYTES / (8 * (d + 1))) / k);
    double *room = gd_alloc(r, 8);
    gd_status status = room ? GD_OK : GD_NO_MEMORY;
    for (int64_t m = 0; !status && m < n_models; m += most)
        status = map(span, gd_min(n_models - m, most), u + m * k * (r + 1), room, weights + m * k * (d + 1));
    gd_release(room);
    return status;
}

gd_status gd_span_from_weights(gd_span *span, const double *weights, double *u) {
    int64_t k = span->problem.n_outputs, d = span->wide->X.n_cols, r = span->rank;
    gd_problem linear = linear_problem(span, k, NULL);
    linear.rows = span->rows; /* in the order of the pivots */
    double *zeros = gd_alloc(k + r * k, 8), *z = zeros + k;
    gd_status status = zeros ? gd_scores(&linear, weights, zeros, span->n_threads, span->hooks, z, 0) : GD_NO_MEMORY;
    for (int64_t c = 0; !status && c < k; c++) {
        double shift = 0.0, *to = u + c * r;
        for (int64_t j = 0; j < d; j++) shift += span->center[j] * weights[c * d + j];
        for (int64_t a = 0; a < r; a++) z[a * k + c] -= shift;
        solve(span, z + c, k, to);
        u[k * r + c] = weights[k * d + c] + shift;
    }
    span->rows_read += (double)r;
    gd_release(zeros);
    return status;
}

double gd_span_norm(const gd_span *span, const double *gradient) {
    int64_t k = span->problem.n_outputs, r = span->rank;
    double center = gd_norm(span->wide->X.n_cols, span->center), square = 0.0;
    for (int64_t c = 0; c < k; c++) {
        const double *g = gradient + c * r, bias = gradient[k * r + c];
        square += gd_dot(r, g, g) + 2.0 * bias * gd_dot(r, g, span->mean) + bias * bias * (1.0 + center * center);
    }
    return sqrt(fmax(square, 0.0));
}
