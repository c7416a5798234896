/* The error and its gradient by the definition: a double loop, in long double, sharing no code with the engine. */
#ifndef NAIVE_H
#define NAIVE_H

#include "data.h"

/* One loss at one score. bend: a bound of the second derivative near z; kink: distance of z to the nearest kink. */
typedef struct naive_point { long double error, slope, bend, kink; } naive_point;
naive_point naive_loss(int loss, long double z, long double y, long double a);

/* E and dE/dw (k d + k) at weights, each with the rounding error that arithmetic of relative precision eps may leave. */
typedef struct naive_sums { double error, slack, *gradient, *slacks; } naive_sums;
naive_sums naive_evaluate(const data *c, const double *weights, double eps);
void naive_free(naive_sums *sums);

/* z (n, k). */
void naive_scores(const data *c, const double *weights, double *z, double *sizes);

/* Mean error of rows order[first ... first + count - 1], and the mini-batch's estimate of the gradient of the smooth part:
 * sum s g / (count mean s) + l2 w, the mean of s being that of all rows. */
double naive_batch(const data *c, const int64_t *order, int64_t first, int64_t count, const double *weights, double *gradient);

#endif
