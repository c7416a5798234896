/* Private to src/: a descent in a metric as a machine that asks for evaluations, so that one may run alone or many side by side, from
 * shared reads of X:
 *
 *     E and gradient at v given; then plan -> (evaluate at new_v -> judge) until taken -> plan ...
 */
#ifndef GDFAST_WALK_H
#define GDFAST_WALK_H

#include "metric.h"

enum { GD_WALK_MEMORY = 20, GD_WALK_WINDOW = 4, GD_WALK_AGREE = 2, GD_WALK_ERRORS = 2 * GD_WALK_WINDOW + GD_WALK_AGREE };

typedef struct gd_pairs { /* the last steps s and gradient changes y, oldest first */
    int count, most;
    double *s[GD_WALK_MEMORY], *y[GD_WALK_MEMORY], rho[GD_WALK_MEMORY];
} gd_pairs;

typedef struct gd_walk {
    gd_run *run;                      /* of the single descent; many share none */
    gd_metric *metric;
    double *v, *gradient;             /* (size) where we are */
    double *new_v, *new_gradient;     /* (size) where we try to go */
    double *step, *target, *room;     /* (size) target = v + step, with exact zeros */
    double *previous;                 /* (size) rounded kinks: the minimiser of the width before */
    double *weights, *full_gradient;  /* (run->size) the same in the caller's coordinates */
    gd_pairs pairs;
    double error, new_error;
    double first_error;               /* |E| at the start: the scale of rounding errors */
    double decrement;                 /* estimate of E - E* */
    double promised;                  /* by the model of the step alone: half the squared Newton decrement */
    double slope;                     /* of E (with L1: of its model) along the step */
    int rescale;                      /* the metric is only proportional to the curvature: diagonal, or shared by outputs */
    int sure;                         /* the penalty bends everything enough to tell how far it is: see farthest */
    int precise_enough;               /* no further progress is possible in this arithmetic */
    /* since gd_walk_begin */
    int exact;                        /* the metric is that of all rows */
    int constant;                     /* the metric never needs to be made anew */
    int refreshed;                    /* it was made here */
    int trust_metric;                 /* exact, made here, and full steps succeed: no memory needed */
    int narrow;                       /* E and gradient come from float lanes */
    int stalled, trial;               /* steps without much progress; trials of the step that is being tried */
    int64_t n_steps;
    double t, least;                  /* share of the step last taken; least decrement */
    double floor_share;               /* what E may be off by for rounding, in first_error */
    double built_error;               /* E where the metric was made */
    int doubles;                      /* new_v = 2 v is being tried */
    double doubled_error;             /* E where that brought little: not again above a tenth of it */
    double before, gained;            /* promised before the step last taken, and what that brought */
    double errors[GD_WALK_ERRORS]; /* of the last steps, that of step i at i % GD_WALK_ERRORS */
} gd_walk;

typedef enum gd_next {
    GD_TRY,     /* evaluate E and its gradient at new_v, then judge */
    GD_REBUILD, /* the metric is stale: build it at v, then plan again */
    GD_TAKEN,   /* new_v has become v: record it, then plan */
    GD_PLAN,    /* plan again: the step went nowhere, its memory is gone */
    GD_ARRIVED  /* at the minimum, or as near as this arithmetic gets (precise_enough) */
} gd_next;

/* walk->size vectors that a walk needs, with `most` pairs. */
int64_t gd_walk_vectors(int most);
/* Cut them from memory. Returns the end. */
double *gd_walk_place(gd_walk *walk, int64_t size, int most, double *memory);

/* The bias of the best constant model, which the slope of E at all-zero weights gives away (offsets aside). */
double gd_walk_best_bias(const gd_problem *problem, double slope);

/* A new descent from v, by passes of this problem. exact: the metric is made from its very rows. */
void gd_walk_begin(gd_walk *walk, const gd_problem *problem, int narrow, int exact);

/* GD_TRY, GD_REBUILD or GD_ARRIVED. tol: of E, relative; < 0: until nothing can be gained. again: the metric has been rebuilt. */
gd_next gd_walk_plan(gd_walk *walk, double tol, int again);

/* GD_TAKEN, GD_TRY, GD_PLAN or GD_ARRIVED, by new_error and new_gradient. */
gd_next gd_walk_judge(gd_walk *walk);

/* v = new_v, with all that belongs to it. */
void gd_walk_accept(gd_walk *walk);

#endif
