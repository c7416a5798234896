/* Private to src/: Cholesky factors of symmetric, positive matrices, and systems of equations solved by them. */
#ifndef GDFAST_CHOLESKY_H
#define GDFAST_CHOLESKY_H

#include "engine.h"

/* H (p, p_pad), upper triangle -> U, H = U'U, in place; pivots below `least` (p) are raised to it. p_pad is whole lanes. What is left of
 * the diagonal is spoilt. Left half way, which the engine then tells, if the call is to end. worker: the thread it runs on. */
void gd_cholesky(gd_engine *engine, int worker, int64_t p, int64_t p_pad, double *H, const double *least);

/* The same, to the bit, by all of the engine's threads. */
void gd_cholesky_together(gd_engine *engine, int64_t p, int64_t p_pad, double *H, const double *least);

/* The least pivot, as a share of its diagonal element of H: of a column, what those before do not explain. */
double gd_cholesky_least_share(int64_t p, int64_t p_pad, const double *U);
/* Has H, damped by 1e-10 of its diagonal, a pivot that is hardly more than that? */
static inline int gd_cholesky_is_damped(int64_t p, int64_t p_pad, const double *U) { return gd_cholesky_least_share(p, p_pad, U) < 1e-9; }

/* U'U x = in, U (p, p_pad) as that leaves it. x may be in. */
void gd_cholesky_solve(int64_t p, int64_t p_pad, const double *U, const double *in, double *x);

/* The same for `count` of each, side by side. */
void gd_cholesky_solve_each(int64_t p, int64_t p_pad, const double *U, int64_t count, const double *in, double *x);

/* x = U'^-1 in, so that x'x = in' (U'U)^-1 in. */
void gd_cholesky_halve(int64_t p, int64_t p_pad, const double *U, int64_t count, const double *in, double *x);

#endif
