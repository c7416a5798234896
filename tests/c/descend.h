/* Running descents in tests. */
#ifndef DESCEND_H
#define DESCEND_H

#include "data.h"

typedef struct outcome { gd_status status; gd_state state; gd_report report; } outcome;

/* Constant rate 0.05, all rows at once in order, five epochs, one thread. */
gd_settings plain_settings(int solver);

/* From `start` (NULL: zeros). validation, hooks and on_epoch may be NULL. If memory for the state fails, status tells. */
outcome descend(const gd_problem *problem, const gd_problem *validation, const gd_settings *settings, const double *start,
                const gd_hooks *hooks, gd_epoch_hook on_epoch);
void outcome_free(outcome *o);
int outcomes_equal(const outcome *a, const outcome *b); /* to the last bit: weights and curves */
int outcome_finite(const outcome *o);

static const int all_solvers[] = {GD_SOLVER_AUTO, GD_SOLVER_GD, GD_SOLVER_SGD, GD_SOLVER_ADAGRAD, GD_SOLVER_RMSPROP, GD_SOLVER_ADAM};
enum { N_SOLVERS = sizeof all_solvers / sizeof *all_solvers };

#endif
