/* Private to src/: solver auto where there are many more columns than rows: see wide.c. */
#ifndef GDFAST_WIDE_H
#define GDFAST_WIDE_H

#include "run.h"

/* Is the span of the rows the cheaper place to descend in? */
int gd_is_wide(const gd_problem *problem);

/* The descent of gd_descend there. *there 0: it can not be, or has not got near enough; then state->weights are where to go on from. */
gd_status gd_descend_wide(gd_run *run, const gd_problem *problem, const gd_problem *validation, const gd_hooks *hooks, int *there);

#endif
