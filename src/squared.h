/* Private to src/: grids of models with squared error, which need no iteration over X. */
#ifndef GDFAST_SQUARED_H
#define GDFAST_SQUARED_H

#include "gdfast.h"

/* Can gd_grid_squared fit this grid? Not with another loss or weights of classes, nor where moments take too much memory or sparse rows
 * are too wide to be made dense (moments.h): then the caller takes the road that reads X in each iteration. */
int gd_grid_squared_fits(const gd_grid *grid);

/* Fit all models of a grid from one read of X: to a suboptimality of settings->tol (< 0: as far as it goes) in at most max_iter
 * factorisations each, in n_threads threads; the other settings are not looked at.
 *   weights (n_models, k*d + k), each laid out as gd_state; fits (n_models).
 * Moments have half of the digits of X: where columns together vary by less than some 1e-7 of what each does, and no penalty decides,
 * weights are as damping leaves them, and the suboptimality is no more exact than that.
 * GD_BAD_ARGUMENT also if gd_grid_squared_fits says no, or if no row that weighs anything trains in the split of a model. */
gd_status gd_grid_squared(const gd_grid *grid, const gd_settings *settings, const gd_hooks *hooks, double *weights, gd_fit *fits);

#endif
