#include "naive.h"

#include <math.h>
#include <stdlib.h>

static long double ramp(long double t) { return t > 0 ? t : 0; }
static long double step(long double t) { return t >= 0 ? 1 : 0; } /* the slope of ramp, 1 at 0 */

naive_point naive_loss(int loss, long double z, long double y, long double a) {
    long double r = z - y, m = 1 - y * z;
    switch (loss) {
    case gd_loss_squared_error: return (naive_point){r * r / 2, r, 1, INFINITY};
    case gd_loss_absolute_error: return (naive_point){fabsl(r), step(r) - step(-r), 0, fabsl(r)};
    case gd_loss_huber:
        return fabsl(r) <= a ? (naive_point){r * r / 2, r, 1, INFINITY}
                             : (naive_point){a * fabsl(r) - a * a / 2, r > 0 ? a : -a, 1, INFINITY};
    case gd_loss_quantile:
        return (naive_point){a * ramp(-r) + (1 - a) * ramp(r), (1 - a) * step(r) - a * step(-r), 0, fabsl(r)};
    case gd_loss_epsilon_insensitive:
        return (naive_point){ramp(fabsl(r) - a), step(r - a) - step(-r - a), 0, fabsl(fabsl(r) - a)};
    case gd_loss_squared_epsilon_insensitive: {
        long double beyond = ramp(fabsl(r) - a);
        return (naive_point){beyond * beyond, 2 * beyond * (r > 0 ? 1 : -1), 2, INFINITY};
    }
    case gd_loss_poisson: return (naive_point){expl(z) - y * z, expl(z) - y, 1.1L * expl(z), INFINITY};
    case gd_loss_gamma: return (naive_point){z + y * expl(-z), 1 - y * expl(-z), 1.1L * y * expl(-z), INFINITY};
    case gd_loss_log_loss: return (naive_point){log1pl(expl(-fabsl(z))) + ramp(z) - y * z, 1 / (1 + expl(-z)) - y, 0.25L, INFINITY};
    case gd_loss_hinge: return (naive_point){ramp(m), -y * step(m), 0, fabsl(m)};
    case gd_loss_squared_hinge: return (naive_point){ramp(m) * ramp(m), -2 * y * ramp(m), 2, INFINITY};
    case gd_loss_modified_huber:
        return y * z >= -1 ? (naive_point){ramp(m) * ramp(m), -2 * y * ramp(m), 2, INFINITY}
                           : (naive_point){-4 * y * z, -4 * y, 2, INFINITY};
    default: return (naive_point){ramp(-y * z), -y * step(-y * z), 0, fabsl(z)};
    }
}

/* All outputs of one row: the error, and slope, bend and kink of each. */
static long double row_loss(const data *c, int64_t i, const long double *z, naive_point *points) {
    int64_t k = c->problem.n_outputs;
    const double *y = c->y + i * k;
    long double error = 0;
    if (!c->problem.softmax) {
        for (int64_t j = 0; j < k; j++) {
            points[j] = naive_loss(c->problem.loss, z[j], y[j], c->problem.loss_param);
            error += points[j].error;
        }
        return error;
    }
    long double top = z[0], sum = 0, total = 0;
    for (int64_t j = 0; j < k; j++) top = z[j] > top ? z[j] : top;
    for (int64_t j = 0; j < k; j++) sum += expl(z[j] - top), total += y[j];
    for (int64_t j = 0; j < k; j++) {
        error += y[j] * (top + logl(sum) - z[j]);
        points[j] = (naive_point){0, total * expl(z[j] - top) / sum - y[j], total, INFINITY};
    }
    return error;
}

/* z (k) of row i, and for each output the sum of the sizes of its terms. */
static void row_scores(const data *c, int64_t i, const double *weights, long double *z, long double *sizes) {
    int64_t d = c->problem.X.n_cols, k = c->problem.n_outputs;
    for (int64_t j = 0; j < k; j++) {
        z[j] = (long double)weights[k * d + j] + c->offset[i * k + j];
        sizes[j] = fabsl((long double)weights[k * d + j]) + fabsl((long double)c->offset[i * k + j]);
        for (int64_t l = 0; l < d; l++) {
            long double term = (long double)c->X[i * d + l] * weights[j * d + l];
            z[j] += term, sizes[j] += fabsl(term);
        }
    }
}

static void *room(int64_t count, size_t size) {
    void *memory = calloc((size_t)count, size);
    if (!memory) abort();
    return memory;
}

/* Sums over rows; the slacks may be NULL. */
static double add_rows(const data *c, const int64_t *order, int64_t first, int64_t count, const double *weights, double eps,
                       long double *G, long double *slacks, long double *error, long double *error_slack) {
    int64_t d = c->problem.X.n_cols, k = c->problem.n_outputs;
    long double *z = room(2 * k, sizeof *z), *sizes = z + k, total = 0;
    naive_point *points = room(k, sizeof *points);
    for (int64_t at = first; at < first + count; at++) {
        int64_t i = order ? order[at] : at;
        long double s = c->s[i];
        row_scores(c, i, weights, z, sizes);
        long double e = row_loss(c, i, z, points);
        total += s;
        *error += s * e;
        *error_slack += s * eps * (fabsl(e) + 1);
        for (int64_t j = 0; j < k; j++) {
            naive_point p = points[j];
            long double r = s * p.slope, near = 4 * eps * (sizes[j] + 3);
            long double slack = s * (eps * (fabsl(p.slope) + 1 + p.bend * (sizes[j] + 1)) + (p.kink < near ? 2 : 0));
            *error_slack += s * eps * (fabsl(p.slope) + 1) * (sizes[j] + 1);
            for (int64_t l = 0; l < d; l++) {
                G[j * d + l] += r * c->X[i * d + l];
                if (slacks) slacks[j * d + l] += slack * fabsl((long double)c->X[i * d + l]);
            }
            G[k * d + j] += r;
            if (slacks) slacks[k * d + j] += slack;
        }
    }
    free(z), free(points);
    return (double)total;
}

naive_sums naive_evaluate(const data *c, const double *weights, double eps) {
    const gd_problem *problem = &c->problem;
    int64_t n_coef = problem->X.n_cols * problem->n_outputs;
    long double *G = room(2 * c->size, sizeof *G), *slacks = G + c->size, error = 0, error_slack = 0;
    naive_sums sums = {0, 0, room(c->size, 8), room(c->size, 8)};
    double total = add_rows(c, NULL, 0, problem->n, weights, eps, G, slacks, &error, &error_slack);
    error /= total, error_slack /= total;
    for (int64_t j = 0; j < c->size; j++) {
        long double w = weights[j], g = G[j] / total, slack = slacks[j] / total;
        if (j < n_coef) {
            error += problem->l2 / 2 * w * w + problem->l1 * fabsl(w);
            g += problem->l2 * w;
            slack += eps * (long double)(problem->l2 * fabs(weights[j]) + problem->l1);
            if (problem->l1 > 0) g = w > 0 ? g + problem->l1 : w < 0 ? g - problem->l1 : g > 0 ? ramp(g - problem->l1) : -ramp(-g - problem->l1);
        }
        sums.gradient[j] = (double)g, sums.slacks[j] = (double)slack;
    }
    sums.error = (double)error, sums.slack = (double)(error_slack + eps * fabsl(error));
    free(G);
    return sums;
}

void naive_free(naive_sums *sums) { free(sums->gradient), free(sums->slacks); }

void naive_scores(const data *c, const double *weights, double *z, double *sizes) {
    int64_t k = c->problem.n_outputs;
    long double *row = room(2 * k, sizeof *row);
    for (int64_t i = 0; i < c->problem.n; i++) {
        row_scores(c, i, weights, row, row + k);
        for (int64_t j = 0; j < k; j++) z[i * k + j] = (double)row[j], sizes[i * k + j] = (double)row[k + j];
    }
    free(row);
}

double naive_batch(const data *c, const int64_t *order, int64_t first, int64_t count, const double *weights, double *gradient) {
    int64_t n_coef = c->problem.X.n_cols * c->problem.n_outputs;
    long double *G = room(c->size, sizeof *G), error = 0, ignored = 0;
    double total = add_rows(c, order, first, count, weights, 0.0, G, NULL, &error, &ignored);
    for (int64_t j = 0; j < c->size; j++)
        gradient[j] = (double)(G[j] / ((double)count * c->problem.weight_mean)) + (j < n_coef ? c->problem.l2 * weights[j] : 0.0);
    free(G);
    return (double)(error / total);
}
