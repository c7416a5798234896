/* Private to src/: the minimum of a quadratic function of d weights, with L1 and bounds. Neither knows where it comes from. */
#ifndef GDFAST_QUADRATIC_H
#define GDFAST_QUADRATIC_H

#include "engine.h"

/* E(v) = (yy - 2 c.v + v'H v) / 2 + l2/2 ||w||^2 + l1 ||w||_1,  w_j = scale_j v_j,  lower <= w <= upper. E >= 0, so the part in
 * brackets is. */
typedef struct gd_quadratic {
    int64_t d, d_pad;            /* d_pad: a multiple of GD_LANES_D; what is beyond d is 0 */
    const double *H;             /* (d, d_pad) symmetric, positive semidefinite */
    const double *c;             /* (d_pad) */
    double yy;
    const double *scale;         /* (d) */
    const double *lower, *upper; /* (d) or NULL */
    double l2, l1;
    double damping;              /* of each diagonal element where H is factorised */
} gd_quadratic;

/* Where one thread works, and whom it asks whether to go on. */
typedef struct gd_quadratic_room {
    const gd_kernels *kernels;
    gd_engine *engine;
    int worker;
    double *factor;              /* (d, d_pad) Cholesky */
    double *least, *g, *h, *step, *along; /* (d_pad) */
    int64_t *free;               /* (d) */
} gd_quadratic_room;

int64_t gd_quadratic_room_size(int64_t d, int64_t d_pad); /* in doubles */
void gd_quadratic_room_cut(gd_quadratic_room *room, int64_t d, int64_t d_pad, double *memory);

typedef struct gd_minimum { double error, gap; int64_t n_iter; int32_t reason; } gd_minimum; /* gap: E - E* at most; gd_reason */

/* Without L1 and bounds: v is what is found. room->factor is that of gd_quadratic_factorise, whatever c and yy are. */
void gd_quadratic_factorise(const gd_quadratic *q, gd_quadratic_room *room);
gd_minimum gd_quadratic_solve(const gd_quadratic *q, gd_quadratic_room *room, double tol, int64_t max_iter, double *v);

/* With either: v is where to start, too. */
gd_minimum gd_quadratic_descend(const gd_quadratic *q, gd_quadratic_room *room, double tol, int64_t max_iter, double *v);

#endif
