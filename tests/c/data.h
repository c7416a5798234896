/* Problems to test with: values drawn for a stored type, laid out in memory in every way that a gd_matrix can describe. */
#ifndef DATA_H
#define DATA_H

#include "gdfast.h"

/* SplitMix64: tests have the same data on every machine. */
typedef struct dice { uint64_t state; } dice;
uint64_t roll(dice *d);
int64_t roll_below(dice *d, int64_t n);           /* 0 ... n - 1 */
double roll_between(dice *d, double a, double b); /* a float's worth of bits */

typedef enum layout {
    LAYOUT_C, LAYOUT_F,
    LAYOUT_SPREAD,     /* every second column of every third row */
    LAYOUT_REVERSED,   /* both strides negative */
    LAYOUT_REVERSED_F, /* columns contiguous, backwards */
    LAYOUT_UNALIGNED,  /* C order from an odd address */
    LAYOUT_PACKED,     /* one byte between elements, as a field of a packed struct has it */
    LAYOUT_SWAPPED,    /* C order, the other byte order */
    LAYOUT_SWAPPED_F,
    N_LAYOUTS
} layout;

/* Memory whose last byte ends a page that nothing may be read or written behind, and that is read-only once sealed. */
typedef struct pool { struct { char *base; size_t size; } pieces[16]; int n; } pool;
void pool_seal(pool *p);
void pool_free(pool *p);

/* values (rows, cols) -> a matrix of the stored type. They must be representable in it. */
gd_matrix store(pool *p, const double *values, int64_t rows, int64_t cols, int type, layout how);
/* The same as CSR rows of GD_F64 or GD_F32, values that are not zero and some that are: within a row in no order, some in two
 * entries of half each. Before the first entry and behind the last lie others, NaN in no column, that belong to no row. */
gd_matrix store_csr(pool *p, const double *values, int64_t rows, int64_t cols, int type, int wide);
double draw(dice *d, int type);  /* a value of the stored type */
double draw_size(int type);      /* how large such values are, roughly */

/* What to make; what is not named is 0: double, C order, squared_error, no weights ... */
typedef struct recipe {
    int64_t n, d, k;
    int type, how;        /* of X */
    int y_type, y_how;
    int loss, softmax, codes;
    int weighted, subset; /* subset: rows is set, in no order */
    int sparse;           /* 0: strided; 1: CSR, int32_t, 2: int64_t: two thirds of the values are 0 then, some rows empty */
    int offset_cols;      /* 0: no offset, 1 or k */
    double l2, l1;
    uint64_t seed;
} recipe;

typedef struct data {
    gd_problem problem;
    double *X, *y, *s, *offset; /* (n, d), (n, k) as the loss sees it, (n), (n, k): of the rows that count, in order */
    double *weights;            /* (k d + k) where to look at the error: scores of about 1 */
    int64_t size;               /* k d + k */
    pool memory;
} data;

/* Any mixture of everything: types, layouts, sparse rows, outputs, softmax. At most so many columns and outputs. */
recipe random_recipe(dice *d, int64_t most_columns, int64_t most_outputs);

data data_make(const recipe *r);
void data_free(data *c);
double loss_param(int loss);

#endif
