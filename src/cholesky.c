/* A panel of rows after the other; what is below it then has the panel's part deducted, which is a product and nearly all of the work. */
#include "cholesky.h"

#include <math.h>
#include <string.h>

#include "threads.h"

typedef struct gd_rest { gd_engine *engine; double *H; int64_t p, p_pad, k0; } gd_rest;

/* A block of rows below the panel. */
static void rest_task(void *context, int64_t block, int worker) {
    const gd_rest *rest = context;
    if (gd_engine_ends(rest->engine, worker)) return;
    rest->engine->kernels->cholesky_rest(rest->p, rest->p_pad, rest->H, rest->k0, rest->k0 + GD_PANEL_ROWS + block * GD_GRAM_ROWS);
}

static int64_t blocks_below(int64_t p, int64_t k) { return gd_max(0, (p - k - GD_PANEL_ROWS + GD_GRAM_ROWS - 1) / GD_GRAM_ROWS); }

void gd_cholesky(gd_engine *engine, int worker, int64_t p, int64_t p_pad, double *H, const double *least) {
    for (int64_t k = 0; k < p && !gd_engine_ends(engine, worker); k += GD_PANEL_ROWS) {
        gd_rest rest = {engine, H, p, p_pad, k};
        engine->kernels->cholesky(p, p_pad, H, least, k);
        for (int64_t block = 0; block < blocks_below(p, k); block++) rest_task(&rest, block, worker);
    }
}

void gd_cholesky_together(gd_engine *engine, int64_t p, int64_t p_pad, double *H, const double *least) {
    const int64_t worth_a_thread = 1 << 22; /* multiplications */
    for (int64_t k = 0; k < p && !gd_engine_ends(engine, 0); k += GD_PANEL_ROWS) {
        gd_rest rest = {engine, H, p, p_pad, k};
        engine->kernels->cholesky(p, p_pad, H, least, k);
        int alone = (p - k) * (p - k) / 2 * GD_PANEL_ROWS < worth_a_thread;
        gd_parallel(blocks_below(p, k), rest_task, &rest, alone ? 1 : engine->n_threads);
    }
}

double gd_cholesky_least_share(int64_t p, int64_t p_pad, const double *U) {
    double least = 1.0;
    for (int64_t j = 0; j < p; j++) {
        double pivot = U[j * p_pad + j] * U[j * p_pad + j], whole = 0.0;
        for (int64_t i = 0; i <= j; i++) whole += U[i * p_pad + j] * U[i * p_pad + j];
        least = fmin(least, pivot / whole);
    }
    return least;
}

void gd_cholesky_solve(int64_t p, int64_t p_pad, const double *U, const double *in, double *x) {
    gd_cholesky_solve_each(p, p_pad, U, 1, in, x);
}

void gd_cholesky_solve_each(int64_t p, int64_t p_pad, const double *U, int64_t count, const double *in, double *x) {
    const gd_kernels *kernels = gd_kernels_now();
    if (x != in) memcpy(x, in, sizeof *x * (size_t)(count * p));
    kernels->solve_forward(p, p_pad, U, count, x, p);
    kernels->solve_back(p, p_pad, U, count, x, p);
}

void gd_cholesky_halve(int64_t p, int64_t p_pad, const double *U, int64_t count, const double *in, double *x) {
    memcpy(x, in, sizeof *x * (size_t)(count * p));
    gd_kernels_now()->solve_forward(p, p_pad, U, count, x, p);
}
