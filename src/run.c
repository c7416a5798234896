/* What every descent does around its steps: records, validation, best weights, the path, stop tests on the monitor. */
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "updates.h"

double gd_dot(int64_t n, const double *x, const double *y) {
    double lanes[GD_LANES_D] = {0.0}, sum = 0.0; /* so that no addition waits for the one before */
    int64_t j = 0;
    for (; j + GD_LANES_D <= n; j += GD_LANES_D)
        for (int l = 0; l < GD_LANES_D; l++) lanes[l] += x[j + l] * y[j + l];
    for (int l = 0; j < n; j++, l++) lanes[l] += x[j] * y[j];
    for (int l = 0; l < GD_LANES_D; l++) sum += lanes[l];
    return sum;
}

/* sqrt(sum x^2) without overflow. */
double gd_norm(int64_t n, const double *x) {
    double tops[GD_LANES_D] = {0.0}, lanes[GD_LANES_D] = {0.0}, top = 0.0, sum = 0.0;
    int64_t whole = n / GD_LANES_D * GD_LANES_D;
    for (int64_t j = 0; j < n; j++) {
        double size = fabs(x[j]), *most = &tops[j % GD_LANES_D];
        *most = size > *most ? size : *most;
    }
    for (int l = 0; l < GD_LANES_D; l++) top = fmax(top, tops[l]);
    if (top == 0.0 || !isfinite(top)) return top;
    for (int64_t j = 0; j < whole; j += GD_LANES_D)
        for (int l = 0; l < GD_LANES_D; l++) lanes[l] += (x[j + l] / top) * (x[j + l] / top);
    for (int64_t j = whole; j < n; j++) sum += (x[j] / top) * (x[j] / top);
    for (int l = 0; l < GD_LANES_D; l++) sum += lanes[l];
    return top * sqrt(sum);
}

int gd_all_finite(int64_t n, const double *x) {
    double sum = 0.0;
    for (int64_t j = 0; j < n; j++) sum += 0.0 * x[j];
    return sum == 0.0;
}

static gd_status curve_add(gd_curve *curve, int64_t n, const double *values) {
    if (curve->size + n > curve->capacity) {
        int64_t capacity = gd_max(2 * curve->capacity, curve->size + n + 32);
        double *data = capacity > INT64_MAX / 8 ? NULL : realloc(curve->data, sizeof *data * (size_t)capacity);
        if (!data) return GD_NO_MEMORY;
        curve->data = data;
        curve->capacity = capacity;
    }
    memcpy(curve->data + curve->size, values, sizeof *values * (size_t)n);
    curve->size += n;
    return GD_OK;
}

void gd_report_free(gd_report *report) {
    free(report->loss.data);
    free(report->validation.data);
    free(report->gradient_norm.data);
    free(report->eta.data);
    free(report->path.data);
    memset(report, 0, sizeof *report);
}

gd_status gd_run_keep(gd_run *run, const double *weights) { return curve_add(&run->report->path, run->size, weights); }

gd_status gd_run_start(gd_run *run, const gd_problem *problem, double *room) {
    gd_state *state = run->state;
    run->report->suboptimality = run->report->best_validation = NAN;
    run->best_monitor = INFINITY;
    run->size = state->size;
    run->n_coef = problem->n_outputs * problem->X.n_cols;
    run->gradient = room, run->best = room + run->size;
    if (run->size != run->n_coef + problem->n_outputs) return GD_BAD_ARGUMENT;
    for (int64_t j = 0; j < run->n_coef; j++) state->weights[j] = gd_clip(problem, j, state->weights[j]);
    memcpy(run->best, state->weights, sizeof *room * (size_t)run->size);
    return run->settings->keep_path ? gd_run_keep(run, state->weights) : GD_OK;
}

void gd_run_recover(gd_run *run) {
    double *weights = run->state->weights;
    if (!gd_all_finite(run->size, weights)) memcpy(weights, run->best, sizeof *weights * (size_t)run->size); /* the start */
}

int gd_has_given_bias(const gd_run *run) {
    return !run->engine.problem.fit_intercept && gd_norm(run->size - run->n_coef, run->state->weights + run->n_coef) != 0.0;
}

const double *gd_run_weights(const gd_run *run) {
    const gd_state *state = run->state;
    return state->mean && state->t >= run->settings->average ? state->mean : state->weights;
}

gd_status gd_run_record(gd_run *run, const double *weights, double error, double gradient_norm, double eta, int *stop) {
    double validation_error = NAN;
    gd_status status = GD_OK;
    if (run->validates) {
        status = gd_engine_evaluate(&run->validation, weights, &validation_error, NULL);
        if (!status) gd_add_l1(&run->validation.problem, weights, &validation_error, NULL);
    }
    return status ? status : gd_run_note(run, weights, error, validation_error, gradient_norm, eta, stop);
}

gd_status gd_run_note(gd_run *run, const double *weights, double error, double validation_error, double gradient_norm, double eta,
                      int *stop) {
    gd_report *report = run->report;
    const gd_settings *settings = run->settings;
    report->n_iter++;
    if (run->validates && !isfinite(validation_error)) { /* the weights, or what was held out */
        report->error = error, report->diverged_epoch = report->n_iter--, report->diverged_step = run->state->t;
        return GD_DIVERGED;
    }
    gd_status status = curve_add(&report->loss, 1, &error);
    if (!status && run->validates) status = curve_add(&report->validation, 1, &validation_error);
    if (!status) status = curve_add(&report->gradient_norm, 1, &gradient_norm);
    if (!status) status = curve_add(&report->eta, 1, &eta);
    if (!status && settings->keep_path && !run->path_by_update) status = gd_run_keep(run, weights);
    if (status) return status;

    double monitor = run->validates ? validation_error : error;
    double needed = settings->tol > 0.0 ? settings->tol * fabs(run->best_monitor) : 0.0;
    run->stale = monitor < run->best_monitor - needed || !isfinite(run->best_monitor) ? 0 : run->stale + 1;
    if (monitor < run->best_monitor) {
        run->best_monitor = monitor;
        if (run->validates) {
            report->best_epoch = report->n_iter;
            report->best_validation = validation_error;
            memcpy(run->best, weights, sizeof *weights * (size_t)run->size);
        }
    }
    if (run->on_epoch) {
        gd_epoch epoch = {report->n_iter, run->state->t, error, validation_error, gradient_norm, eta, weights};
        int answer = run->on_epoch(run->context, &epoch);
        if (answer < 0) return GD_INTERRUPTED;
        if (answer > 0) report->reason = GD_STOP_CALLBACK, *stop = 1;
    }
    if (!*stop && run->validates && settings->tol >= 0.0 && run->stale >= settings->n_iter_no_change)
        report->reason = GD_STOP_VALIDATION, *stop = 1;
    return GD_OK;
}

gd_status gd_run_answer(gd_run *run, const gd_problem *problem, const gd_hooks *hooks) {
    const double *weights = run->state->weights;
    gd_status status = GD_OK;
    if (run->validates && run->report->best_epoch) {
        weights = run->best;
        status = gd_error_and_gradient(problem, weights, weights + run->n_coef, run->settings->n_threads, hooks, &run->report->error,
                                       NULL, NULL);
    }
    memcpy(run->state->answer, weights, sizeof *weights * (size_t)run->size);
    return status;
}

int64_t *gd_spread_rows(const gd_problem *problem, int64_t most, int64_t *n) {
    int64_t count = gd_min(problem->n, most), *rows = gd_alloc(count, sizeof *rows);
    if (!rows) return NULL;
    for (int64_t i = 0; i < count; i++) {
        int64_t at = (int64_t)((double)i * ((double)problem->n / (double)count));
        rows[i] = problem->rows ? problem->rows[at] : at;
    }
    *n = count;
    return rows;
}

gd_problem gd_linear_problem(const gd_problem *problem, const double *y) {
    gd_problem linear = *problem;
    linear.n_outputs = 1, linear.loss = gd_loss_squared_error, linear.softmax = 0, linear.target = GD_VALUES;
    linear.l2 = linear.l1 = 0.0;
    linear.y = (gd_matrix){.data = (const char *)y, .n_rows = problem->y.n_rows, .n_cols = 1, .type = GD_F64};
    linear.offset.data = NULL;
    return linear;
}

gd_status gd_column_means(const gd_problem *problem, int n_threads, const gd_hooks *hooks, double *means) {
    static const double minus_one = -1.0;
    gd_problem linear = gd_linear_problem(problem, &minus_one);
    int64_t d = problem->X.n_cols;
    gd_engine engine = {0};
    double *weights = gd_alloc(2 * (d + 1), 8), error;
    gd_status status = weights ? gd_engine_init(&engine, &linear, n_threads, hooks) : GD_NO_MEMORY;
    if (!status) status = gd_engine_evaluate(&engine, weights, &error, weights + d + 1);
    if (!status) memcpy(means, weights + d + 1, sizeof *means * (size_t)d);
    gd_engine_free(&engine);
    gd_release(weights);
    return status;
}

gd_status gd_weight_mean(const gd_problem *problem, const gd_hooks *hooks, double *mean) {
    gd_problem of_weights = *problem;
    of_weights.X = problem->weight, of_weights.weight.data = NULL, of_weights.double_lanes = 1;
    return gd_column_means(&of_weights, 1, hooks, mean);
}

/* Power iteration on v -> X'S X v / sum s, run as passes of squared error with y = 0 over up to 4096 rows. The loss's own
 * curvature multiplies it: its bound, or where there is none (Poisson, gamma: exp) its value for a constant model. */
gd_status gd_run_curvature(gd_run *run, double *largest) {
    static const double zero = 0.0;
    const gd_problem *problem = &run->engine.problem;
    int64_t n = 0, size = problem->X.n_cols + 1;
    int64_t *rows = gd_spread_rows(problem, 4096, &n);
    double *v = gd_alloc(2 * size, 8), *product = v ? v + size : NULL, error, value = 0.0;
    gd_problem linear = gd_linear_problem(problem, &zero);
    linear.rows = rows, linear.n = n;
    gd_engine engine = {0};
    gd_status status = rows && v ? gd_engine_init(&engine, &linear, 1, run->engine.hooks) : GD_NO_MEMORY;
    for (int64_t j = 0; !status && j < size; j++) v[j] = 1.0 + 1e-3 * (double)(j % 97);
    if (!status && !problem->fit_intercept) v[size - 1] = 0.0;
    for (int i = 0; !status && i < 24; i++) {
        double norm = gd_norm(size, v);
        if (norm == 0.0 || !isfinite(norm)) break;
        for (int64_t j = 0; j < size; j++) v[j] /= norm;
        status = gd_engine_evaluate(&engine, v, &error, product);
        double previous = value;
        value = fmax(value, gd_norm(size, product));
        memcpy(v, product, sizeof *v * (size_t)size);
        if (value - previous <= 0.01 * value && i > 3) break;
    }
    double bound = gd_loss_curvature_bound(problem);
    if (!status && !isfinite(bound)) { /* E(0) of gamma is mean y; Poisson's curvature at the best constant is mean y */
        linear.y = problem->y, linear.n_outputs = problem->n_outputs, linear.loss = problem->loss, linear.target = problem->target;
        gd_engine_free(&engine);
        status = gd_engine_init(&engine, &linear, 1, run->engine.hooks);
        double *slope = status ? NULL : gd_alloc(2 * run->size, 8);
        if (!status && !slope) status = GD_NO_MEMORY;
        if (!status) status = gd_engine_evaluate(&engine, slope + run->size, &error, slope);
        bound = 1.0;
        for (int64_t c = run->n_coef; !status && c < run->size; c++) bound = fmax(bound, 1.0 + fabs(slope[c]));
        gd_release(slope);
    }
    *largest = fmax(value * (bound > 0.0 ? bound : 1.0) * 1.1, 0.0) + problem->l2;
    gd_engine_free(&engine);
    gd_release(v);
    gd_release(rows);
    return status;
}
