/* Private to src/: errors of one problem at many points of its weights, made ready for passes that they share. */
#ifndef GDFAST_POINTS_H
#define GDFAST_POINTS_H

#include "kernels.h"

/* One pass in the making. Constant during the pass. A point has k columns of weights, one for each output. */
struct gd_points {
    const gd_pass *pass;   /* of one point, in double lanes */
    const double *weights; /* (n_points * k, d) */
    const double *bias;    /* (n_points * k) */
    int64_t tile_rows;     /* a multiple of GD_LANES_F, GD_BLOCK_ROWS at most */
    int64_t group;         /* points whose scores are made at once */
    int narrow;            /* log_loss in float */
};

/* Scratch of one thread: a tile of rows, padded to whole lanes with rows of weight 0, as all points find it. */
struct gd_points_scratch {
    gd_scratch rows;       /* what loading them takes */
    double *tile, *turned; /* CSR: (tile_rows, d_pad); (d_pad, tile_rows) columns */
    double *base;          /* (k, tile_rows) offsets */
    double *s;             /* (tile_rows) */
    double *extent;        /* (d + 1) sums of |x| of each column and of |base| */
    double *Z, *slopes;    /* (group * k, tile_rows), (k, tile_rows) */
    double *e, *one, *bad; /* (tile_rows); one (4, tile_rows) */
    double *heaviest;      /* (1) the largest s, which w_f is a share of */
    float *half_y, *w_f, *room_f; /* (tile_rows); room_f (3, tile_rows) */
};

#endif
