/* Private to src/: CSR rows turned into columns, products with them (turned.c), and what the kernels of dual.inc need beyond them.
 *
 * Numbers of each row and output are kept in strips of `lanes` outputs: (strips, rows, lanes), lanes 1 for one output and else GD_LANES_D,
 * the last strip filled up with zeros. */
#ifndef GDFAST_TURNED_H
#define GDFAST_TURNED_H

#include "engine.h"

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

enum { GD_MOST_TURNED = 1 << 30 /* bytes of columns; of vectors as many again */ };

/* The columns of an engine's rows. *usable 0: nothing in X, too much, or something that is not finite. To be released whatever happens. */
gd_status gd_turn(gd_engine *engine, gd_turned *X, int *usable);
void gd_turned_release(gd_turned *X);

/* X (X - c)'A and w = (X - c)'A, in parts by columns: how many there are depends on the data alone, not on the threads. */
typedef struct gd_product {
    gd_engine *engine;
    gd_turned X;
    const double *start;                    /* (k, d) w0, whose coefficients are A's last row; NULL: zeros */
    int64_t k, lanes, strips, n_rows, size; /* n_rows: n, and one for a start; size = strips n_rows lanes */
    int64_t n_parts, *bounds;               /* (n_parts + 1) columns, of about as many entries each */
    double *parts;                          /* (n_parts, size) scores by some of the columns: X w is their sum */
    double *part_sums;                      /* (n_parts, strips, 2, lanes) along and square of a strip */
    double *totals;                         /* (strips, lanes) coefficients added up over the rows */
    double *center_along;                   /* (strips, lanes) c.w */
    double square;                          /* w.w, of all outputs */
} gd_product;

/* In this order: numbers from X, engine and start; memory; bounds. */
void gd_product_shape(gd_product *product, int64_t k);
void gd_product_cut(gd_product *product, gd_cutter *cutter);
void gd_product_divide(gd_product *product);

/* A (strips, n_rows, lanes). coef (k, d), unless NULL, gets w; parts are made if scores are wanted; center_along and square anyway. */
gd_status gd_multiply(gd_product *product, const double *A, double *coef, int scores);

#endif
