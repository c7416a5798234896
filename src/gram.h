/* Private to src/: H = sum_i h_i u_i u_i', u the centred and scaled columns of a row. */
#ifndef GDFAST_GRAM_H
#define GDFAST_GRAM_H

#include "engine.h"

/* One such sum. */
typedef struct gd_gram {
    const int64_t *rows; /* (n) of the matrix X, NULL: those of the engine's problem */
    int64_t n;
    const double *h;     /* (n) */
    double *H;           /* (p, p_pad) the columns of each row from its own on */
} gd_gram;

/* All of them. The bits depend on how many there are, but neither on which others nor on threads. */
gd_status gd_gram_sum(gd_engine *engine, const gd_columns *columns, const gd_gram *grams, int64_t count);

/* m draws of n entries, each as likely as its h but for a share of the mean: rows (m) gets the different ones, ascending, and share (m)
 * what their h must be multiplied with, so that sums over them estimate those over all. Returns how many; 0 if nothing has h > 0. */
int64_t gd_gram_choose(int64_t n, const double *h, int64_t m, int64_t *rows, double *share);

/* Row numbers (m), one in each of m equal stretches of a problem's rows; NULL if out of memory. */
int64_t *gd_sample_rows(const gd_problem *problem, int64_t m);

#endif
