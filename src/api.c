/* The calls that evaluate: error and gradient, scores, a look for what is not finite, losses by the point. */
#include <math.h>
#include <string.h>

#include "engine.h"
#include "threads.h"

static const int64_t sizes[GD_N_TYPES] = {[GD_F64] = 8, [GD_F32] = 4, [GD_F16] = 2, [GD_U8] = 1,  [GD_I8] = 1, [GD_U16] = 2,
                                          [GD_I16] = 2, [GD_U32] = 4, [GD_I32] = 4, [GD_U64] = 8, [GD_I64] = 8};

int64_t gd_type_size(int type) { return sizes[type]; }

gd_status gd_error_and_gradient(const gd_problem *problem, const double *coef, const double *intercept, int n_threads,
                                const gd_hooks *hooks, double *error, double *grad_coef, double *grad_intercept) {
    int64_t k = problem->n_outputs, size = k * problem->X.n_cols;
    gd_engine engine;
    unsigned long fp = gd_fp_enter();
    gd_status status = gd_engine_init(&engine, problem, n_threads, hooks);
    double *weights = status ? NULL : gd_alloc(2 * (size + k), 8), *gradient = weights ? weights + size + k : NULL;
    if (!status && !weights) status = GD_NO_MEMORY;
    if (!status) {
        memcpy(weights, coef, sizeof *coef * (size_t)size);
        memcpy(weights + size, intercept, sizeof *coef * (size_t)k);
        engine.problem.fit_intercept = 1;
        status = gd_engine_evaluate(&engine, weights, error, gradient);
    }
    if (!status) {
        gd_add_l1(problem, weights, error, gradient);
        if (grad_coef) memcpy(grad_coef, gradient, sizeof *coef * (size_t)size);
        if (grad_intercept) memcpy(grad_intercept, gradient + size, sizeof *coef * (size_t)k);
    }
    gd_release(weights);
    gd_engine_free(&engine);
    gd_fp_restore(fp);
    return status;
}

typedef struct gd_scores_job { gd_engine *engine; int64_t rows_per_task; void *out; int out_is_float; } gd_scores_job;

static void scores_task(void *context, int64_t task, int worker) {
    gd_scores_job *job = context;
    gd_engine *engine = job->engine;
    const gd_pass *pass = &engine->pass;
    int64_t to = gd_min(pass->problem->n, (task + 1) * job->rows_per_task), k = pass->k;
    double *z = engine->stacks + worker * GD_BLOCK_ROWS * k;
    for (int64_t at = task * job->rows_per_task; at < to; at += GD_BLOCK_ROWS) {
        if (gd_engine_ends(engine, worker)) return;
        int64_t rows = gd_min(to - at, GD_BLOCK_ROWS);
        engine->kernels->scores[pass->doubles](pass, &engine->scratch[worker], at, rows, z);
        if (job->out_is_float)
            for (int64_t i = 0; i < rows * k; i++) ((float *)job->out)[at * k + i] = (float)z[i];
        else memcpy((double *)job->out + at * k, z, sizeof *z * (size_t)(rows * k));
    }
}

gd_status gd_scores(const gd_problem *problem, const double *coef, const double *intercept, int n_threads,
                    const gd_hooks *hooks, void *out, int out_is_float) {
    int64_t k = problem->n_outputs, size = k * problem->X.n_cols;
    gd_engine engine;
    unsigned long fp = gd_fp_enter();
    gd_status status = gd_engine_init(&engine, problem, n_threads, hooks);
    double *weights = status ? NULL : gd_alloc(size + k, 8), *own = engine.stacks;
    double *room = weights ? gd_alloc(engine.n_threads * GD_BLOCK_ROWS * k, 8) : NULL;
    if (!status && !room) status = GD_NO_MEMORY;
    if (!status) {
        memcpy(weights, coef, sizeof *coef * (size_t)size);
        memcpy(weights + size, intercept, sizeof *coef * (size_t)k);
        gd_engine_set_weights(&engine, weights);
        int64_t per_task = GD_BLOCK_ROWS * gd_max(1, gd_min(64, problem->n / GD_BLOCK_ROWS / (4 * engine.n_threads)));
        gd_scores_job job = {&engine, per_task, out, out_is_float};
        engine.stacks = room;
        gd_parallel((problem->n + per_task - 1) / per_task, scores_task, &job, engine.n_threads);
        engine.stacks = own;
        status = gd_engine_state(&engine);
    }
    gd_release(room);
    gd_release(weights);
    gd_engine_free(&engine);
    gd_fp_restore(fp);
    return status;
}

gd_status gd_find_not_finite(const gd_matrix *X, const int64_t *rows, int64_t n, const gd_hooks *hooks, int64_t *row,
                             int64_t *col) {
    gd_engine engine = {.hooks = hooks};
    *row = *col = -1;
    if (X->type != GD_F64 && X->type != GD_F32 && X->type != GD_F16) return GD_OK;
    for (int64_t i = 0; i < n; i++) {
        if (i % 1024 == 0 && gd_engine_poll(&engine)) return GD_INTERRUPTED;
        const char *at = X->data + (rows ? rows[i] : i) * X->row_stride;
        for (int64_t j = 0; j < X->n_cols; j++, at += X->col_stride) {
            uint8_t bytes[8];
            uint64_t bits = 0;
            int64_t size = gd_type_size(X->type);
            memcpy(bytes, at, (size_t)size);
            for (int64_t b = 0; b < size; b++) /* most significant byte first */
                bits = bits << 8 | bytes[X->swapped == (GD_BIG_ENDIAN == 0) ? b : size - 1 - b];
            uint64_t exponent = X->type == GD_F64 ? 0x7ffULL << 52 : X->type == GD_F32 ? 0xffULL << 23 : 0x1fULL << 10;
            if ((bits & exponent) == exponent) {
                *row = i, *col = j;
                return GD_OK;
            }
        }
    }
    return GD_OK;
}

gd_status gd_pointwise(const char *isa, int loss, double param, double smoothing, int64_t n, const double *z,
                       const double *y, double *error, double *derivative, double *curvature) {
    const gd_kernels *kernels = gd_kernels_named(isa);
    if (!kernels || loss < 0 || loss >= GD_N_LOSSES) return GD_BAD_ARGUMENT;
    unsigned long fp = gd_fp_enter();
    kernels->pointwise(loss, param, smoothing, n, z, y, error, derivative, curvature);
    gd_fp_restore(fp);
    return GD_OK;
}

gd_status gd_pointwise_softmax(const char *isa, int64_t n, int64_t k, const double *Z, const double *Y, double *error,
                               double *derivative) {
    const gd_kernels *kernels = gd_kernels_named(isa);
    if (!kernels) return GD_BAD_ARGUMENT;
    double *room = gd_alloc(n * (3 * k + 4), 8);
    if (!room) return GD_NO_MEMORY;
    double *z = room + 4 * n, *y = z + n * k, *slope = y + n * k;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < k; j++) z[j * n + i] = Z[i * k + j], y[j * n + i] = Y[i * k + j];
    unsigned long fp = gd_fp_enter();
    kernels->softmax(n, k, n, z, y, error, slope, room);
    gd_fp_restore(fp);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < k; j++) derivative[i * k + j] = slope[j * n + i];
    gd_release(room);
    return GD_OK;
}
