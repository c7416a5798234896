/* Private to src/: one descent in progress, shared by the textbook rules (descent.c) and the auto solver (newton.c). */
#ifndef GDFAST_RUN_H
#define GDFAST_RUN_H

#include "engine.h"

typedef struct gd_run {
    gd_engine engine, validation; /* of several that share their reads of X: only problem and hooks of the first */
    int validates;                /* there are rows that say when to stop */
    const gd_settings *settings;
    gd_epoch_hook on_epoch;
    void *context;
    gd_state *state;
    gd_report *report;
    double *gradient;             /* (size) */
    double *best;                 /* (size) weights of the best validation error */
    double best_monitor;          /* the smallest validation (or training) error so far */
    int64_t stale;                /* epochs without an improvement of best_monitor */
    double penalty_share;         /* of l2 in what a weight bends E by, at least; 0: unknown */
    int path_by_update;           /* the path is kept at every update, not here at every epoch */
    int64_t n_coef, size;         /* k*d, k*d + k */
} gd_run;

/* Begin: settings, state and a blank report are set. room (2, state->size). */
gd_status gd_run_start(gd_run *run, const gd_problem *problem, double *room);
/* It has failed: no weights but finite ones are left. */
void gd_run_recover(gd_run *run);

/* Are there biases other than 0 that are to stay? */
int gd_has_given_bias(const gd_run *run);

/* The weights that count: the mean where averaging has begun, else the current ones. */
const double *gd_run_weights(const gd_run *run);

/* An epoch (or a step of the auto solver) has ended: validate, record, tell the hook. *stop gets 1 if the descent is to end,
 * the reason is in the report. */
gd_status gd_run_record(gd_run *run, const double *weights, double error, double gradient_norm, double eta, int *stop);
/* The same where the validation error is known, NaN without validation. */
gd_status gd_run_note(gd_run *run, const double *weights, double error, double validation_error, double gradient_norm, double eta,
                      int *stop);
/* The answer of a descent whose error is in the report: where it ended, or the epoch that validated best, whose E takes a pass. */
gd_status gd_run_answer(gd_run *run, const gd_problem *problem, const gd_hooks *hooks);
gd_status gd_run_keep(gd_run *run, const double *weights); /* one more row of the path */

double gd_norm(int64_t n, const double *x);
double gd_dot(int64_t n, const double *x, const double *y);
int gd_all_finite(int64_t n, const double *x);

/* The largest eigenvalue of the curvature of the smooth part at most, from a sample of rows: 1 / it is a safe step. */
gd_status gd_run_curvature(gd_run *run, double *largest);

/* The problem with squared error in place of its loss, one output, no penalty, and the same y in every row. */
gd_problem gd_linear_problem(const gd_problem *problem, const double *y);

/* means (d) = sum s x / sum s, as a pass: the gradient of squared error at w = 0 where y = -1 everywhere. */
gd_status gd_column_means(const gd_problem *problem, int n_threads, const gd_hooks *hooks, double *means);

/* sum s / n over the rows that count. */
gd_status gd_weight_mean(const gd_problem *problem, const gd_hooks *hooks, double *mean);

/* Rows of a problem, evenly spread: at most `most` of them, ascending. *n gets how many. NULL if out of memory. */
int64_t *gd_spread_rows(const gd_problem *problem, int64_t most, int64_t *n);

/* solver auto: see newton.c; for several independent outputs: see outputs.c. */
gd_status gd_newton(gd_run *run);
gd_status gd_descend_outputs(gd_run *run, const gd_problem *problem, const gd_problem *validation, const gd_hooks *hooks);

#endif
