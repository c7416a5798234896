/* Private to src/: CSR rows turned into columns, and what the kernels of dual.inc need beyond them.
 *
 * Numbers of each row and output are kept in strips of `lanes` outputs: (strips, rows, lanes), lanes 1 for one output and else GD_LANES_D,
 * the last strip filled up with zeros. */
#ifndef GDFAST_TURNED_H
#define GDFAST_TURNED_H

#include "kernels.h"

struct gd_turned {
    int64_t d, n_entries;
    int64_t *starts;   /* (d + 2) where each column begins, and the last ends; while they are filled, shifted by one */
    int32_t *rows;     /* (n_entries) */
    double *values;    /* (n_entries) */
    double *center;    /* (d) means of the columns, 0 without an intercept */
};

/* Scores along a line: Z + t along, (strips, n_rows, lanes) both. */
struct gd_line {
    const double *Z, *along;
    double t;
    int64_t n_rows, lanes;
};

/* One strip: coefficients A (n_rows, lanes) of the rows x_i - c, and in their last row, if there is a start, those of its weights w0. */
struct gd_strip {
    const double *A;
    const double *sum;     /* (lanes) of A over the rows */
    double *Z;             /* (n_rows, lanes) gets scores, but for those of the centre; NULL: none wanted */
    const double *start;   /* (outputs, d) w0; NULL: there is none */
    double *coef;          /* (outputs, d) gets weights; NULL: none wanted */
    int64_t n_rows, outputs; /* of the strip */
    double *along, *square; /* (lanes) c.w and w.w are added to */
};

/* Element of row i, output c. */
static inline int64_t gd_strip_place(int64_t n_rows, int64_t lanes, int64_t c, int64_t i) {
    return (c / lanes * n_rows + i) * lanes + c % lanes;
}

#endif
