#include "joint.h"

#include <math.h>
#include <string.h>

#include "gram.h"
#include "threads.h"
#include "updates.h"

/* Multiplications, the factor's included. */
static const double AT_ONCE = 0x1p24, AT_LENGTH = 0x1p26, WITHOUT_MEMORY = 0x1p30;

int gd_joint_pays(const gd_problem *problem, int at_length) {
    double size = (double)problem->n_outputs * ((double)problem->X.n_cols + 1.0);
    int proximal = gd_is_proximal(problem);
    double most = at_length ? (proximal ? WITHOUT_MEMORY : AT_LENGTH) : proximal ? AT_ONCE : 0.0;
    return problem->softmax && size * size * ((double)problem->n / 4.0 + size / 6.0) <= most;
}

typedef struct gd_joint_job {
    gd_metric *metric;
    double *q;    /* (k, n) p_c sqrt(s sum y): what classes c and l bend each other by is -q_c q_l */
    double *room; /* (n_threads, room_size) */
} gd_joint_job;

static int64_t room_size(int64_t k) { return GD_BLOCK_ROWS * (4 * k + 5); }

/* p as the slope where the likeliest class is y: so neither p nor 1 - p cancels. s sum y is what brings p (1 - p) to h. */
static void share_task(void *context, int64_t block, int worker) {
    const gd_joint_job *job = context;
    const gd_metric *metric = job->metric;
    gd_engine *engine = &job->metric->engine;
    int64_t n = engine->problem.n, k = metric->k, step = GD_BLOCK_ROWS, first = block * step, count = gd_min(n - first, step);
    double *z = job->room + worker * room_size(k), *Z = z + step * k, *Y = Z + step * k, *slope = Y + step * k, *error = slope + step * k;
    if (gd_engine_ends(engine, worker)) return;
    engine->kernels->scores[engine->pass.doubles](&engine->pass, &engine->scratch[worker], first, count, z);
    for (int64_t i = 0; i < count; i++) {
        int64_t top = 0;
        for (int64_t c = 1; c < k; c++) top = z[i * k + c] > z[i * k + top] ? c : top;
        for (int64_t c = 0; c < k; c++) Z[c * step + i] = z[i * k + c], Y[c * step + i] = c == top ? 1.0 : 0.0;
    }
    engine->kernels->softmax(count, k, step, Z, Y, error, slope, error + step);
    for (int64_t i = 0; i < count; i++) {
        double bend = 0.0, share = 0.0;
        for (int64_t c = 0; c < k; c++) {
            double r = slope[c * step + i], y = Y[c * step + i];
            share += y == 1.0 ? -r * (1.0 + r) : r * (1.0 - r);
            bend += metric->h[c * n + first + i];
        }
        double size = share > 0.0 && bend > 0.0 ? sqrt(bend / share) : 0.0;
        for (int64_t c = 0; c < k; c++) job->q[c * n + first + i] = size * (slope[c * step + i] + Y[c * step + i]);
    }
}

/* The sum over rows for classes c and l >= c, symmetric, to its place. */
static void place(gd_metric *metric, int64_t c, int64_t l, const double *H) {
    int64_t p = metric->p, p_pad = metric->p_pad;
    for (int64_t i = 0; i < p; i++) {
        double *row = metric->model + (c * p + i) * metric->pad + l * p;
        for (int64_t j = c == l ? i : 0; j < p; j++) row[j] = i <= j ? H[i * p_pad + j] : H[j * p_pad + i];
    }
}

/* Class c with each from itself on. */
static gd_status sum_class(gd_metric *metric, const double *q, int64_t c, double *h, double *H, gd_gram *grams) {
    int64_t n = metric->engine.problem.n, k = metric->k, matrix = metric->p * metric->p_pad;
    for (int64_t l = c; l < k; l++) {
        for (int64_t i = 0; l > c && i < n; i++) h[l * n + i] = -q[c * n + i] * q[l * n + i];
        grams[l] = (gd_gram){NULL, n, l > c ? h + l * n : metric->h + c * n, H + l * matrix};
    }
    gd_status status = gd_gram_sum(&metric->engine, &metric->columns, grams + c, k - c);
    for (int64_t l = c; !status && l < k; l++) place(metric, c, l, H + l * matrix);
    return status;
}

gd_status gd_joint_sum(gd_metric *metric) {
    gd_engine *engine = &metric->engine;
    int64_t n = engine->problem.n, k = metric->k;
    double *q = gd_alloc(2 * k * n + k * metric->p * metric->p_pad + engine->n_threads * room_size(k), 8);
    gd_gram *grams = gd_alloc(k, sizeof *grams);
    gd_status status = q && grams ? GD_OK : GD_NO_MEMORY;
    if (!status) {
        double *h = q + k * n, *H = h + k * n;
        gd_joint_job job = {metric, q, H + k * metric->p * metric->p_pad};
        gd_parallel((n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS, share_task, &job, engine->n_threads);
        status = gd_engine_state(engine);
        for (int64_t c = 0; !status && c < k; c++) status = sum_class(metric, q, c, h, H, grams);
    }
    gd_release(grams);
    gd_release(q);
    return status;
}
