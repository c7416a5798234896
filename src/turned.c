/* Sparse rows turned into columns, and their products with rows and columns at once. */
#include "turned.h"

#include <string.h>

#include "threads.h"

/* ---- rows into columns ------------------------------------------------------------------------------------------------ */

static gd_status turn(gd_engine *engine, gd_turned *X, int places) {
    for (int64_t at = 0; at < engine->problem.n; at += GD_BLOCK_ROWS) {
        if (gd_engine_ends(engine, 0)) return GD_INTERRUPTED;
        engine->kernels->csr_turn(&engine->pass, engine->scratch, at, gd_min(engine->problem.n - at, GD_BLOCK_ROWS), places, X);
    }
    return gd_engine_state(engine);
}

gd_status gd_turn(gd_engine *engine, gd_turned *X, int *usable) {
    int64_t d = X->d = engine->problem.X.n_cols;
    double probe = 0.0;
    X->starts = gd_alloc(d + 2, sizeof *X->starts);
    gd_status status = X->starts ? turn(engine, X, 0) : GD_NO_MEMORY;
    for (int64_t j = 0; !status && j < d; j++) X->starts[j + 2] += X->starts[j + 1];
    X->n_entries = status ? 0 : X->starts[d + 1];
    int64_t bytes = (int64_t)(sizeof *X->rows + sizeof *X->values);
    if (status || !X->n_entries || X->n_entries > GD_MOST_TURNED / bytes) return status;
    X->rows = gd_alloc(X->n_entries, sizeof *X->rows);
    X->values = gd_alloc(X->n_entries, sizeof *X->values);
    if (!X->rows || !X->values) return GD_NO_MEMORY;
    status = turn(engine, X, 1);
    for (int64_t e = 0; e < X->n_entries; e++) probe += 0.0 * X->values[e];
    *usable = !status && probe == 0.0;
    return status;
}

void gd_turned_release(gd_turned *X) { gd_release(X->starts), gd_release(X->rows), gd_release(X->values); }

/* ---- products ---------------------------------------------------------------------------------------------------------- */

enum { FEW_STRIPS = 2, FEW_PARTS = 2, MANY_PARTS = 8 };

void gd_product_shape(gd_product *product, int64_t k) {
    product->k = k, product->lanes = k == 1 ? 1 : GD_LANES_D, product->strips = (k + product->lanes - 1) / product->lanes;
    product->n_rows = product->engine->problem.n + (product->start != NULL);
    product->size = product->strips * product->n_rows * product->lanes;
    int64_t most = product->strips > FEW_STRIPS ? FEW_PARTS : MANY_PARTS; /* each part costs a vector */
    product->n_parts = gd_max(1, gd_min(most, product->X.n_entries / (8 * product->n_rows)));
}

void gd_product_cut(gd_product *product, gd_cutter *cutter) {
    int64_t wide = product->strips * product->lanes;
    product->parts = gd_cut(cutter, product->n_parts * product->size, 8);
    product->part_sums = gd_cut(cutter, product->n_parts * 2 * wide, 8);
    product->bounds = gd_cut(cutter, product->n_parts + 1, 8);
    product->totals = gd_cut(cutter, wide, 8), product->center_along = gd_cut(cutter, wide, 8);
    product->X.center = gd_cut(cutter, product->X.d, 8);
}

void gd_product_divide(gd_product *product) {
    const gd_turned *X = &product->X;
    int64_t j = 0;
    for (int64_t part = 0; part < product->n_parts; part++) {
        while (j < X->d && X->starts[j] < X->n_entries / product->n_parts * part) j++;
        product->bounds[part] = part ? j : 0;
    }
    product->bounds[product->n_parts] = X->d;
}

static void find_totals(gd_product *product, const double *A) {
    int64_t lanes = product->lanes, n = product->engine->problem.n;
    for (int64_t strip = 0; strip < product->strips; strip++) {
        double sums[GD_LANES_D] = {0.0};
        const double *a = A + strip * product->n_rows * lanes;
        for (int64_t i = 0; i < n * lanes; i++) sums[i % lanes] += a[i];
        memcpy(product->totals + strip * lanes, sums, sizeof *sums * (size_t)lanes);
    }
}

typedef struct gd_product_job {
    gd_product *product;
    const double *A;
    double *coef;
    int scores;
} gd_product_job;

static void product_task(void *context, int64_t task, int worker) {
    const gd_product_job *job = context;
    gd_product *p = job->product;
    int64_t strip = task % p->strips, part = task / p->strips, lanes = p->lanes, d = p->X.d;
    int64_t at = strip * p->n_rows * lanes, first = strip * lanes, step = 4096; /* columns between two looks at the clock */
    double *Z = p->parts + part * p->size + at, *sums = p->part_sums + (part * p->strips + strip) * 2 * lanes;
    gd_strip of = {.A = job->A + at, .sum = p->totals + first, .Z = job->scores ? Z : NULL, .start = p->start ? p->start + first * d : NULL,
                   .coef = job->coef ? job->coef + first * d : NULL, .n_rows = p->n_rows, .outputs = gd_min(lanes, p->k - first),
                   .along = sums, .square = sums + lanes};
    if (job->scores) memset(Z, 0, sizeof *Z * (size_t)(p->n_rows * lanes));
    memset(sums, 0, sizeof *sums * (size_t)(2 * lanes));
    for (int64_t j = p->bounds[part]; j < p->bounds[part + 1] && !gd_engine_ends(p->engine, worker); j += step)
        p->engine->kernels->strip_products(&p->X, lanes, &of, j, gd_min(j + step, p->bounds[part + 1]));
}

gd_status gd_multiply(gd_product *product, const double *A, double *coef, int scores) {
    gd_product_job job = {product, A, coef, scores};
    int64_t lanes = product->lanes, wide = product->strips * lanes;
    find_totals(product, A);
    gd_engine *engine = product->engine;
    engine->missing_threads += gd_parallel(product->n_parts * product->strips, product_task, &job, engine->n_threads);
    engine->rows_read += (double)engine->problem.n;
    product->square = 0.0;
    memset(product->center_along, 0, sizeof *product->center_along * (size_t)wide);
    for (int64_t part = 0; part < product->n_parts; part++)
        for (int64_t i = 0; i < wide; i++) {
            const double *sums = product->part_sums + (part * product->strips + i / lanes) * 2 * lanes + i % lanes;
            product->center_along[i] += sums[0], product->square += sums[lanes];
        }
    return gd_engine_state(engine);
}
