/* Private to src/: walks side by side. Each round is one read of X for all that go on; those that have arrived have left. */
#ifndef GDFAST_FLOCK_H
#define GDFAST_FLOCK_H

#include "many.h"
#include "walk.h"

/* One model on its way. */
typedef struct gd_member {
    gd_walk walk;
    gd_metric metric;      /* walk.metric: the columns of others, a penalty and a matrix of its own */
    gd_next next;
    int started;           /* E at v is known */
    int lost;              /* E or its gradient is not finite at the start */
    int overfits, rests;   /* why it has ended: validation says so; out of steps */
    int64_t number;        /* for those who call */
    double validation, new_validation;
    double best_validation; /* of the best point so far, walk.previous, if validation decides; INFINITY at first */
    int64_t n_iter, stale;
} gd_member;

typedef struct gd_flock {
    gd_many *many;
    const gd_settings *settings;
    gd_member *members;
    int64_t n;
    double tol;
    int64_t most_steps;    /* of each, then it rests */
    int stop_early;        /* the rows that validate decide when a walk ends, and where */
    int64_t before;        /* models of the grid that had arrived before these set out; < 0: these are none that anybody waits for */
    /* how a stale matrix is made anew where it stands; NULL: never */
    gd_status (*rebuild)(void *context, gd_member *member);
    void *context;
    /* room */
    gd_member **moving;    /* (n) */
    int64_t *models;       /* (n) */
    double **weights, **gradients; /* (n) */
    double *error, *validation;    /* (n) */
    double *scratch;               /* (n_threads, gd_metric_scratch) */
} gd_flock;

/* For n members in views of this metric; flock->many is set. */
gd_status gd_flock_init(gd_flock *flock, int64_t n, const gd_metric *metric);
void gd_flock_free(gd_flock *flock);

/* Member i descends the model models[i] of many->grid from its walk.v. */
gd_status gd_flock_descend(gd_flock *flock, const int64_t *models);

#endif
