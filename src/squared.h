/* Private to src/: grids of models with squared error, which need no iteration over X. */
#ifndef GDFAST_SQUARED_H
#define GDFAST_SQUARED_H

#include "run.h"

/* Is gd_grid_squared the way to fit this grid? Not with another loss or weights of classes, nor where moments take too much memory or
 * sparse rows are too wide (moments.h): then the caller takes the road that reads X in each iteration. */
int gd_grid_squared_fits(const gd_grid *grid);

/* Fit all models of a grid from one read of X: to a suboptimality of settings->tol (< 0: as far as it goes) in at most max_iter
 * factorisations each, in n_threads threads; the other settings are not looked at.
 *   start (k*d + k) where those with L1 or bounds set out, laid out as gd_state, or NULL: 0; of a single model it may be `weights`
 *   weights (n_models, k*d + k), laid out alike; fits (n_models).
 * Moments have half of the digits of X: where columns together vary by less than some 1e-7 of what each does, and no penalty decides,
 * weights are as damping leaves them, and the suboptimality is no more exact than that.
 * GD_BAD_ARGUMENT also if gd_grid_squared_fits says no for another reason than sparse rows, or if no row that weighs anything trains in
 * the split of a model. */
gd_status gd_grid_squared(const gd_grid *grid, const gd_settings *settings, const gd_hooks *hooks, const double *start, double *weights,
                          gd_fit *fits);

/* Solver auto: one model, where its columns are so few that products of them cost no more than some reads of X. *there 0: moments cannot
 * tell the minimum closely enough, and nothing has happened. */
int gd_takes_moments(const gd_problem *problem, const gd_settings *settings);
gd_status gd_descend_moments(gd_run *run, int *there);

#endif
