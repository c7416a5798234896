/* Private to src/: a grid of models made ready for passes that they share. */
#ifndef GDFAST_MANY_H
#define GDFAST_MANY_H

#include "engine.h"

typedef struct gd_many {
    gd_grid grid;
    gd_engine engine;
} gd_many;

gd_status gd_many_init(gd_many *many, const gd_grid *grid, int n_threads, const gd_hooks *hooks);
void gd_many_free(gd_many *many);

/* The smooth parts of E of `count` models from one read of X (several, where their sums would not fit the budget of memory).
 *   models (count) their numbers in the grid; weights, gradient (count) of (k*d + k) each, the layout of gd_state; gradient may be NULL
 *   error (count); validation (count) NaN where no row validates. */
gd_status gd_many_evaluate(gd_many *many, int64_t count, const int64_t *models, const double *const *weights, double *error,
                           double *validation, double *const *gradient);

#endif
