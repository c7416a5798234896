/* Private to src/: the minimum of a quadratic function, with L1 and bounds: of E itself for squared error (squared.c), of its model
 * around a point for the other losses (gd_metric_minimise). */
#ifndef GDFAST_QUADRATIC_H
#define GDFAST_QUADRATIC_H

#include "engine.h"

/* E(v) = (yy + 2 b.u + u'H u + l2 ||scale u||^2) / 2 + l1 ||w||_1,  u = v - origin,  w = scale v,  lower <= w <= upper. Without an
 * origin, which is then 0, the part in brackets is a mean of squares: that makes gaps known. With one, E is what it is less that at the
 * origin, and as exact as differences from there are. */
typedef struct gd_quadratic {
    int64_t p, p_pad;            /* p_pad: a multiple of GD_LANES_D; what is beyond p is 0 */
    int64_t d;                   /* l2, l1 and bounds are for the first d */
    int64_t each;                /* > 0: so they are in each piece of that many, d of bounds to each: outputs one after the other */
    const double *H;             /* (p, p_pad) symmetric, positive semidefinite */
    const double *b;             /* (p) the gradient at the origin */
    double yy;
    const double *origin;        /* (p) or NULL */
    const double *scale;         /* (d) powers of two */
    const double *lower, *upper; /* (d), of pieces (p / each, d), or NULL */
    double l2, l1;
    double damping;              /* of each diagonal element where H is factorised */
} gd_quadratic;

/* Where one thread works, and whom it asks whether to go on. */
typedef struct gd_quadratic_room {
    const gd_kernels *kernels;
    gd_engine *engine;
    int worker;
    double effort;               /* multiplications that may still be made */
    double *factor;              /* (p, p_pad) Cholesky */
    double *least, *g, *h, *step, *along, *piece; /* (p_pad) */
    int64_t *free;               /* (p) */
} gd_quadratic_room;

int64_t gd_quadratic_room_size(int64_t p, int64_t p_pad); /* in doubles */
void gd_quadratic_room_cut(gd_quadratic_room *room, int64_t p, int64_t p_pad, double *memory);

/* No origin: gap: E - E* at most; gd_reason. */
typedef struct gd_minimum { double error, gap; int64_t n_iter; int32_t reason; } gd_minimum;

/* Without L1 and bounds: v (p) is what is found. room->factor is that of gd_quadratic_factorise, whatever b and yy are. */
void gd_quadratic_factorise(const gd_quadratic *q, gd_quadratic_room *room);
gd_minimum gd_quadratic_solve(const gd_quadratic *q, gd_quadratic_room *room, double tol, int64_t max_iter, double *v);

/* With either: v is where to start, too. */
gd_minimum gd_quadratic_descend(const gd_quadratic *q, gd_quadratic_room *room, double tol, int64_t max_iter, double *v);

/* From an origin to where nothing is left to gain, or as far as room->effort goes. Returns E. */
double gd_quadratic_minimise(const gd_quadratic *q, gd_quadratic_room *room, double *v);

#endif
