/* Private to src/: solver auto for sparse rows with more columns than rows: see dual.c. */
#ifndef GDFAST_DUAL_H
#define GDFAST_DUAL_H

#include "run.h"

/* Are coefficients of the rows the cheaper place to descend in? */
int gd_is_dual(const gd_problem *problem, const gd_settings *settings);

/* The descent of gd_descend there. *there 0: it has not got near enough; then state->weights are where to go on from. */
gd_status gd_descend_dual(gd_run *run, const gd_problem *problem, const gd_problem *validation, const gd_hooks *hooks, int *there);

#endif
