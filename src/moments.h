/* Private to src/: the second moments of the rows of every split of a grid, from one read of X. */
#ifndef GDFAST_MOMENTS_H
#define GDFAST_MOMENTS_H

#include "engine.h"

/* A row is augmented to a = ((x - center) scale, 1, y - offset - center'). Cells are sets of rows: those that have the same roles in all
 * splits or, where that would be too many, those that train and those that validate in each split. The moments of either part of a
 * split are those of its cells, each times its share. Centres are means over a sample (0 without an intercept): all they are for is that
 * little cancels, the exact mean of any part is among its moments. Scales are powers of two. */
typedef struct gd_moments {
    gd_engine engine;
    const gd_grid *grid;
    int64_t d, k, strips, q_pad; /* augmented rows: strips * GD_LANES_D = q_pad >= d + 1 + k */
    double *center, *scale;      /* (q_pad) */
    int64_t n_cells;
    int32_t *pattern;            /* (n) the cell of each row; NULL: cells are those of the splits, see gd_moments_share */
    int64_t *example;            /* (n_cells) with patterns: a row of each cell */
    int64_t *rows;               /* (n_cells) how many rows each has that are of use to a model, 0: it is left out */
    double *sums;                /* (n_cells, q_pad, q_pad) sum of r s a a', the columns from each one's own strip on */
    void *arena;
} gd_moments;

/* Do the moments of a grid fit into GD_MOMENT_BYTES, whatever its roles? GD_MOMENT_SPARSE: columns of sparse rows, which are made dense,
 * beyond which iterations over what is stored cost less. */
enum { GD_MOMENT_BYTES = 1 << 30, GD_MOMENT_SPARSE = 512 };
int gd_moments_fit(const gd_grid *grid);

/* Reads X, and once more, for better scales, if squares overflowed. */
gd_status gd_moments_init(gd_moments *moments, const gd_grid *grid, int n_threads, const gd_hooks *hooks);
void gd_moments_free(gd_moments *moments);

/* How many times the rows of a cell train (or validate) in a split; split -1: all rows train. */
double gd_moments_share(const gd_moments *moments, int64_t split, int validating, int64_t cell);

#endif
