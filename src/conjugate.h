/* Private to src/: solver auto with squared error and L2 where few reads of X will do: see conjugate.c. */
#ifndef GDFAST_CONJUGATE_H
#define GDFAST_CONJUGATE_H

#include "run.h"

/* Might reads of X cost less than a metric of all columns? */
int gd_takes_conjugate(const gd_problem *problem, const gd_settings *settings);

/* *there 0: they would not, or have not got there; state->weights are where to go on from. */
gd_status gd_descend_conjugate(gd_run *run, int *there);

#endif
