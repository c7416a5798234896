/* Private to src/: the diagonal of a metric. */
#ifndef GDFAST_DIAGONAL_H
#define GDFAST_DIAGONAL_H

#include "metric.h"

/* diagonal (p) = sum_i h_i u_i^2 over the rows of the metric. Parts of the rows, fixed by n alone, add up in order. */
gd_status gd_diagonal_sum(gd_metric *metric, const double *h, double *diagonal);

#endif
