/* Private to src/: what the pass needs, and the table of kernels that one instruction set offers. */
#ifndef GDFAST_KERNELS_H
#define GDFAST_KERNELS_H

#include "gdfast.h"
#include "lazy.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define GD_BIG_ENDIAN 1
#else
#define GD_BIG_ENDIAN 0
#endif

enum { GD_LANES_F = 16, GD_LANES_D = 8, GD_TILE_BYTES = 32768, GD_TILE_ROWS = 256, GD_MANY_ROWS = 64, GD_GRAM_ROWS = 64, GD_GRAM_PANEL = 64,
       GD_GRAM_COLUMNS = 256, GD_MOMENT_ROWS = 32, GD_PANEL_ROWS = 64, GD_PANEL_STEP = 32, GD_CSR_ENTRIES = 8192 };

/* In doubles: a block of rows as they are and times their weights, some of their columns turned, and sums. */
#define GD_GRAM_ROOM(p_pad) (2 * GD_BLOCK_ROWS * (p_pad) + GD_GRAM_PANEL * GD_BLOCK_ROWS + GD_GRAM_COLUMNS * GD_GRAM_COLUMNS)

/* Has a stored type more digits than a float? */
static inline int gd_exceeds_float(int type) {
    return type == GD_F64 || type == GD_U32 || type == GD_I32 || type == GD_U64 || type == GD_I64;
}

/* One pass in the making: the problem, the weights in the lane type, and how tiles are cut. Constant during a pass. */
typedef struct gd_pass {
    const gd_problem *problem;
    int64_t d, k;
    int64_t k_pad;          /* k rounded up to whole lanes; 1 when k == 1 */
    int64_t d_pad;          /* d rounded up to whole lanes */
    int64_t tile_rows;      /* rows per tile, a power of two: GD_TILE_ROWS, or GD_MANY_ROWS for products, fewer if they are wide */
    int64_t gather_rows;    /* the same where rows are gathered: widened, even if tiles are read in place */
    int64_t rows_known;     /* entries of problem->rows that may be looked at, to fetch rows ahead of their turn */
    const void *weights;    /* k == 1: (d_pad) real, the padding 0; k > 1: (k, d) real, CSR: (d, k_pad), the padding 0 */
    const double *bias;     /* (k) */
    int doubles;            /* real is double */
    int narrow;             /* scores have no more than 24 bits, or the loss takes no more of them */
    int sparse;             /* CSR rows */
    int in_place;           /* type of X if its rows can be read where they lie: native to the lanes, or by one.inc; else -1 */
    int64_t out_size;       /* doubles that a block produces, see gd_kernels.block */
} gd_pass;

/* Scratch of one thread, sized by gd_scratch_size. */
typedef struct gd_scratch {
    void *tile;      /* (tile_rows, d) real; k > 1: (tile_rows, d_pad) */
    void *turned;    /* k > 1: (d_pad, tile_rows) real, the tile in columns */
    void *gradient;  /* (k, d_pad) real */
    void *Z, *R;     /* (k, tile_rows) real, CSR: (tile_rows, k_pad) */
    double *z, *y, *r, *offset; /* (k, tile_rows), k == 1: (1, GD_BLOCK_ROWS); offset at least that */
    double *s, *e, *room, *probe; /* (GD_BLOCK_ROWS) */
    double *values;             /* (GD_CSR_ENTRIES) CSR: the entries of some rows, and */
    int32_t *columns;           /* (GD_CSR_ENTRIES) their columns, all of them below d */
    int64_t *starts;            /* (GD_BLOCK_ROWS + 1 + GD_LANES_D) where each row begins, at first 0, and where the last ends */
    int64_t *from, *to;         /* (GD_BLOCK_ROWS) CSR: where they come from in the caller's arrays */
    int64_t *bad;               /* (1) CSR: 1 + a row whose structure is broken, 0: none seen */
} gd_scratch;

/* Centred and scaled columns u_j = (x_j - center_j) * scale_j, then a column of ones if the intercept is fitted. */
typedef struct gd_columns {
    const double *center, *scale; /* (d) */
    int64_t d, p, p_pad;          /* p = d + fit_intercept */
} gd_columns;

/* Augmented rows (x, 1, y - offset, 0 ...), shifted after being scaled, q_pad = strips * GD_LANES_D columns in all. */
typedef struct gd_augmented {
    const double *scale, *shift; /* (q_pad) */
    int64_t strips;
} gd_augmented;

/* Plain stochastic gradient descent, fused: what gd_kernels.steps and csr_steps need beyond the pass. */
typedef struct gd_steps {
    const double *eta;      /* learning rate of each update */
    double *weights;        /* steps: (d + 1) updated in place, the bias last */
    gd_lazy *lazy;          /* csr_steps: updated in place */
    double error, weight;   /* sums of s loss, each before its update, and of s */
} gd_steps;

typedef struct gd_many_pass gd_many_pass;       /* many.h */
typedef struct gd_many_scratch gd_many_scratch;
typedef struct gd_points gd_points;             /* points.h */
typedef struct gd_points_scratch gd_points_scratch;
typedef struct gd_turned gd_turned;             /* turned.h */
typedef struct gd_line gd_line;
typedef struct gd_strip gd_strip;

/* Entries in pairs: [0] float lanes, [1] double lanes. Rows are numbered within the problem (problem->rows applies). */
typedef struct gd_kernels {
    const char *name;
    int widens;             /* one output: rows of narrow types are widened in registers */
    /* Error and gradient of rows first ... first + count - 1 (count <= GD_BLOCK_ROWS) from one read.
     *   out (out_size): sum of s loss, sum of s, then the gradient of the biases (k_pad) and of the weights: (d) for k == 1, else
     *   (k, d_pad), CSR: (d, k_pad). */
    void (*block[2])(const gd_pass *pass, const gd_scratch *scratch, int64_t first, int64_t count, double *out);
    /* z (count, k) of the same rows, row-major. */
    void (*scores[2])(const gd_pass *pass, const gd_scratch *scratch, int64_t first, int64_t count, double *z);
    /* s_i d2 loss_i / dz2: of output j to h + j * h_step (count); with h_step 0 the mean over all outputs to h (count). */
    void (*curvature[2])(const gd_pass *pass, const gd_scratch *scratch, int64_t first, int64_t count, double *h,
                         int64_t h_step);
    /* H[j, l] += sum_i h_i u_ij u_il for j0 <= j < j1 and l >= j0 / lanes * lanes. H (p, p_pad) double;
     * room (GD_GRAM_ROOM(p_pad)) scratch. */
    void (*gram[2])(const gd_pass *pass, const gd_scratch *scratch, const gd_columns *columns, const double *h, int64_t first, int64_t count,
                    int64_t j0, int64_t j1, void *room, double *H);
    /* How far columns of rows first ... first + count - 1 go from `center` (d): the most, largest (d), and the sum of
     * squares, added to square (d). */
    void (*spread[2])(const gd_pass *pass, const gd_scratch *scratch, const double *center, int64_t first, int64_t count,
                      double *largest, double *square);
    /* diagonal (p) += h_i u_ij^2. A (d) scratch of real. */
    void (*diagonal[2])(const gd_pass *pass, const gd_columns *columns, const double *h, int64_t first, int64_t count,
                        void *A, double *diagonal);
    /* H (p, p_pad), upper triangle, -> its Cholesky factor U, H = U'U, in place (gd_cholesky): rows k0 ... k0 + GD_PANEL_ROWS - 1, from which
     * all rows above have been deducted. Pivots below `least` (p) are raised to it. */
    void (*cholesky)(int64_t p, int64_t p_pad, double *H, const double *least, int64_t k0);
    /* Deduct that panel from GD_GRAM_ROWS rows below it, from row i0 on. */
    void (*cholesky_rest)(int64_t p, int64_t p_pad, double *H, int64_t k0, int64_t i0);
    /* x <- U'^-1 x, and x <- U^-1 x, for `count` x (p), ld apart. */
    void (*solve_forward)(int64_t p, int64_t p_pad, const double *U, int64_t count, double *x, int64_t ld);
    void (*solve_back)(int64_t p, int64_t p_pad, const double *U, int64_t count, double *x, int64_t ld);
    /* Rows of any kind, double lanes -> strips of augmented rows U (strips, GD_BLOCK_ROWS, GD_LANES_D), and their weights s (count).
     * tile (GD_MOMENT_ROWS, d) scratch. */
    void (*augment)(const gd_pass *pass, const gd_scratch *scratch, const gd_augmented *columns, int64_t first, int64_t count, double *tile,
                    double *U, double *s);
    /* H (q_pad, q_pad) += sum_i weight_i u_i u_i' over `rows` (count) of U, for the columns of strips from ... to - 1 times those from
     * each one's own strip on. rows NULL: rows 0 ... count - 1, which all weigh 1; weight NULL: all 1. A, B like U: scratch. Meanwhile
     * `bytes` of what comes next are asked for. */
    void (*moments)(int64_t strips, int64_t from, int64_t to, const double *U, int64_t count, const int32_t *rows, const double *weight,
                    double *A, double *B, double *H, const char *next, int64_t bytes);
    /* V (strips, GD_BLOCK_ROWS, GD_LANES_D), strips of rows, from strips of columns, U: rows 0 ... rows - 1, ld apart, and behind them zeros.
     * sums (columns) of the columns go on. All have room for whole strips. */
    void (*turn_strips)(const double *U, int64_t ld, int64_t strip, int64_t rows, int64_t columns, double *V, double *sums);
    /* A strip of rows V (columns, GD_LANES_D) less center (columns), for the rows that are there, 1 or 0 (GD_LANES_D); their products with
     * it are added to along (GD_LANES_D). */
    void (*center_strip)(int64_t columns, const double *center, const double *there, double *V, double *along);
    /* y += a x, both (n) with room for whole lanes. */
    void (*add)(int64_t n, double a, const double *x, double *y);
    /* k == 1: `count` (<= GD_BLOCK_ROWS) updates w -= eta (s / mean s  dE/dz x + l2 w), a row each, in double. */
    void (*steps)(const gd_pass *pass, const gd_scratch *scratch, int64_t first, int64_t count, gd_steps *steps);
    /* CSR rows. The sums of gd_kernels.block, added to out. */
    void (*csr_block)(const gd_pass *pass, const gd_scratch *scratch, int64_t first, int64_t count, double *out);
    /* Stored entries only, how many there are added to stored (d). In square each counts for what it has over a zero. */
    void (*csr_spread)(const gd_pass *pass, const gd_scratch *scratch, const double *center, int64_t first, int64_t count,
                       double *largest, double *square, double *stored);
    /* Stored entries only, each for what it has over a zero; not the column of ones. */
    void (*csr_diagonal)(const gd_pass *pass, const gd_scratch *scratch, const gd_columns *columns, const double *h, int64_t first,
                         int64_t count, double *diagonal);
    /* Stored entries only, in the columns' scale: P (p, p_pad)[j, l] += sum_i h_i x_ij x_il for j0 <= j < j1, sums (d + 1) += h_i x_ij and,
     * last, h_i. No row has more than GD_CSR_ENTRIES. */
    void (*csr_gram)(const gd_pass *pass, const gd_scratch *scratch, const gd_columns *columns, const double *h, int64_t first, int64_t count,
                     int64_t j0, int64_t j1, double *sums, double *P);
    /* Updates by steps->lazy->batch rows each; count is a multiple of that, but at the end of an epoch. */
    void (*csr_steps)(const gd_pass *pass, const gd_scratch *scratch, int64_t first, int64_t count, gd_steps *steps);
    /* Error and gradient of many models over rows first ... first + count - 1 (count <= GD_BLOCK_ROWS) from one read, added to sums. */
    void (*many[2])(const gd_many_pass *many, const gd_many_scratch *scratch, int64_t first, int64_t count, double *sums);
    void (*csr_many)(const gd_many_pass *many, const gd_many_scratch *scratch, int64_t first, int64_t count, double *sums);
    /* Rows first ... first + count - 1 (count <= points->tile_rows) made ready in the scratch. Returns their sum of s. */
    double (*points_tile)(const gd_points *points, const gd_points_scratch *scratch, int64_t first, int64_t count);
    /* Their sums of s loss at points from ... to - 1, added to sums[from ... to - 1]. */
    void (*points_errors)(const gd_points *points, const gd_points_scratch *scratch, int64_t count, int64_t from, int64_t to, double *sums);
    /* k == 1: rows first ... first + count - 1 (<= GD_BLOCK_ROWS), as many as there is room for, to the scratch, with y, s, and offsets
     * in z. Returns how many, 0 where there is no room for one. */
    int64_t (*csr_stage)(const gd_pass *pass, const gd_scratch *scratch, int64_t first, int64_t count);
    /* The updates by these rows, one each. */
    void (*csr_single)(const gd_pass *pass, const gd_scratch *scratch, int64_t count, gd_steps *steps);
    /* CSR rows first ... first + count - 1 (<= GD_BLOCK_ROWS) into columns. places 0: count their entries, X->starts[j + 2] += ...; 1: put
     * them where X->starts[j + 1] says, which goes on. */
    void (*csr_turn)(const gd_pass *pass, const gd_scratch *scratch, int64_t first, int64_t count, int places, gd_turned *X);
    /* R (like line->Z) = s dloss / dz of rows first ... first + count - 1 at scores z on a line. out (3 + k): sums of s loss, s, R . along, and
     * R of each output are added to. */
    void (*line_slopes)(const gd_pass *pass, const gd_scratch *scratch, const gd_line *line, int64_t first, int64_t count, double *R,
                        double *out);
    /* out (k) += s d2 loss / dz2 of the same rows, s (n) of each. */
    void (*line_bends)(const gd_pass *pass, const gd_scratch *scratch, const gd_line *line, int64_t first, int64_t count, double *s,
                       double *out);
    /* w_j = sum_i A_i (x_ij - c_j) + a w0_j of columns from ... to - 1, and with Z, Z_i += x_ij w_j: X (X - c)' A while w_j is at hand. */
    void (*strip_products)(const gd_turned *X, int64_t lanes, const gd_strip *strip, int64_t from, int64_t to);
    void (*pointwise)(int loss, double param, double smoothing, int64_t n, const double *z, const double *y,
                      double *error, double *slope, double *curvature);
    /* Z, Y, slope (k, step) with rows along the fast axis, n of them used; room (step). */
    void (*softmax)(int64_t n, int64_t k, int64_t step, double *Z, const double *Y, double *error, double *slope,
                    double *room);
} gd_kernels;

/* The table in force, and one by name (NULL if this machine lacks it). */
const gd_kernels *gd_kernels_now(void);
const gd_kernels *gd_kernels_named(const char *isa);

extern const gd_kernels gd_kernels_baseline;
#if defined(__x86_64__) || defined(_M_X64)
extern const gd_kernels gd_kernels_avx2, gd_kernels_avx512;
#endif

#endif
