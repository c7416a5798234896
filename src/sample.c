#include "sample.h"

#include <string.h>

#include "rng.h"

enum { MOST_GATHERED = 1 << 24 /* bytes: beyond, copies stay in no cache */ };

/* Softmax: rows that the matrix of each class is made from, 0: one matrix must do for all. Classes bend in few rows, their own and those
 * that could be, so half as many do as sample_rows wants. k matrices may cost as much as a hundred passes, m p^2 against 2 n p
 * products each: they take a third of the steps that one takes. */
int64_t gd_rows_of_a_class(const gd_problem *problem, int64_t n) {
    double k = (double)problem->n_outputs, p = (double)problem->X.n_cols + 1.0;
    if (k * (double)n * p * p <= 1e9 && k * p * (p + GD_LANES_F) * 8.0 <= 64e6) return n;
    int64_t m = gd_min(n, gd_max(gd_max((int64_t)(2.5 * p), 2048), gd_min(20000, (int64_t)(4.0 * (double)problem->n / p))));
    int cheap = k * (double)m * p * p <= 1e9 || (double)m * p <= 200.0 * (double)problem->n;
    return cheap && k * p * (p + GD_LANES_F) * 8.0 <= 64e6 ? m : 0;
}

/* Enough that the error of the metric, about sqrt(p / m), makes each pass count, few enough that building it costs less than a few passes;
 * all rows (0) where that is not much more, or where only the rows near a kink bend. */
static int64_t sample_rows(const gd_problem *problem, int smooth) {
    int64_t n = problem->n, p = problem->X.n_cols + 1;
    smooth = smooth && problem->loss != gd_loss_huber;
    if (problem->loss == gd_loss_squared_error && p <= 128) return 0;
    int64_t m = gd_max(gd_max(5 * p, 4096), gd_min(20000, 4 * n / p));
    return !smooth || m >= n / 4 ? 0 : m;
}

int64_t gd_metric_rows(const gd_problem *problem, int smooth) {
    int64_t sample = sample_rows(problem, smooth);
    if (!problem->softmax) return sample;
    int64_t most = (1 << 22) / problem->n_outputs, m = gd_rows_of_a_class(problem, problem->n);
    double p = (double)problem->X.n_cols + 1.0;
    int small = (double)problem->n_outputs * (double)sample * p * p <= 1e9; /* then all rows of the sample do for each class */
    if (m == 0 || small) return sample;
    return problem->n <= 2 * most || most < 2 * m ? 0 : most;
}

double gd_metric_cost(const gd_problem *problem) {
    int64_t rows = gd_metric_rows(problem, 1), each = problem->softmax ? gd_rows_of_a_class(problem, rows ? rows : problem->n) : 0;
    double n = (double)problem->n, k = (double)problem->n_outputs, p = (double)problem->X.n_cols + 1.0;
    double m = each ? (double)each : rows ? (double)rows : n;
    return (each ? k : 1.0) * (m * p + p * p / 3.0) / (2.0 * n * k);
}

int64_t gd_choose_rows(int64_t n, const double *h, int64_t m, int64_t *rows, double *share) {
    const double floor = 0.1; /* of the mean: rows that hardly bend now may soon */
    double sum = 0.0, reached = 0.0;
    int64_t count = 0, draw = 0;
    for (int64_t i = 0; i < n; i++) sum += h[i];
    double least = floor * sum / (double)n, stretch = (1.0 + floor) * sum / (double)m;
    if (!(sum > 0.0)) return 0;
    double next = stretch * gd_within(0);
    for (int64_t i = 0; i < n; i++) { /* a draw in each of m equal stretches of the sum */
        int64_t draws = 0;
        reached += h[i] + least;
        while (draw < m && (next < reached || i == n - 1)) {
            draws++, draw++;
            next = stretch * ((double)draw + gd_within(draw));
        }
        if (!draws) continue;
        rows[count] = i, share[count++] = (double)draws * stretch / (h[i] + least);
    }
    return count;
}

/* At a place that depends on the number of the stretch only: no period of the data can hide. */
int64_t *gd_sample_rows(const gd_problem *problem, int64_t m) {
    int64_t *rows = gd_alloc(m, sizeof *rows);
    double stretch = (double)problem->n / (double)m;
    for (int64_t i = 0; rows && i < m; i++) {
        int64_t at = gd_min((int64_t)(((double)i + gd_within(i)) * stretch), problem->n - 1);
        rows[i] = problem->rows ? problem->rows[at] : at;
    }
    return rows;
}

static gd_status gather(gd_matrix *m, const int64_t *rows, int64_t n, void **memory) {
    int64_t size = gd_type_size(m->type), width = m->n_cols * size;
    char *to = *memory = gd_alloc(n * m->n_cols, size);
    if (!to) return GD_NO_MEMORY;
    for (int64_t i = 0; i < n; i++, to += width) {
        const char *from = m->data + rows[i] * m->row_stride;
        if (m->col_stride == size || m->n_cols == 1) memcpy(to, from, (size_t)width);
        else
            for (int64_t j = 0; j < m->n_cols; j++) memcpy(to + j * size, from + j * m->col_stride, (size_t)size);
    }
    m->data = *memory, m->n_rows = n, m->col_stride = size, m->row_stride = width;
    return GD_OK;
}

gd_status gd_gather_targets(gd_problem *problem, gd_gathered *gathered) {
    gd_matrix *all[] = {&problem->y, &problem->weight, &problem->offset};
    gd_status status = GD_OK;
    for (int i = 0; i < 3 && !status && problem->rows; i++)
        if (all[i]->data) status = gather(all[i], problem->rows, problem->n, &gathered->memory[i]);
    return status;
}

gd_status gd_gather_rows(gd_problem *problem, gd_gathered *gathered) {
    if (problem->X.indptr || problem->n * problem->X.n_cols * gd_type_size(problem->X.type) > MOST_GATHERED) return GD_OK;
    gd_status status = gd_gather_targets(problem, gathered);
    if (!status) status = gather(&problem->X, problem->rows, problem->n, &gathered->memory[3]);
    problem->rows = NULL;
    return status;
}

void gd_gathered_free(gd_gathered *gathered) {
    for (int i = 0; i < 4; i++) gd_release(gathered->memory[i]);
    memset(gathered, 0, sizeof *gathered);
}
