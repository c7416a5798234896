/* Private to src/: solver auto with L1 and many columns: see working.c. */
#ifndef GDFAST_WORKING_H
#define GDFAST_WORKING_H

#include "run.h"

/* Are working sets the better way for this problem? */
int gd_takes_working_sets(const gd_problem *problem);

/* *there 0: too many columns have weights, or nothing more is to be gained this way; then state->weights are where to go on from. */
gd_status gd_descend_working(gd_run *run, int *there);

#endif
