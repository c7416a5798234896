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

#endif
