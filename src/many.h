/* Private to src/: a grid of models made ready for passes that they share. */
#ifndef GDFAST_MANY_H
#define GDFAST_MANY_H

#include "engine.h"

/* GD_MANY_BYTES: what weights, sums and scratch of the models that share a read of X may take; others wait for the next read.
 * GD_MANY_CHUNKS: see plan_chunks in many.c. */
enum { GD_MANY_BYTES = 1 << 28, GD_MANY_CHUNKS = 32 };

/* What a row counts for a model, of its split and its class_weight: many models have the same. */
typedef struct gd_weighting { int64_t split; const double *class_weight; int used; } gd_weighting;

/* One pass in the making: models 0 ... n_models - 1 of a batch, k columns each. Constant during the pass. Sums of a chunk are doubles:
 *   error      (n_models, 2, GD_LANES_D) of rows that train and that validate, in lanes: row mod GD_LANES_D
 *   weight     (n_weightings, 2, GD_LANES_D) the same of the weights of rows
 *   bias       (columns, GD_LANES_D)
 *   gradient   dense: (columns, d_pad); CSR: (d, columns_pad) */
struct gd_many_pass {
    const gd_pass *pass;          /* of one model */
    const gd_grid *grid;
    const gd_weighting *weightings; /* (n_weightings) */
    const int64_t *models;        /* (n_models) numbers in the grid */
    const int64_t *weighting;     /* (models of the grid) which of the weightings */
    int64_t n_models, n_weightings, columns, columns_pad, tile_rows;
    int64_t weight_at, bias_at, gradient_at, size; /* of the parts of the sums, and how long they are */
    const void *weights;          /* real; dense: (columns, d); CSR: (d, columns_pad) */
    const void *bias;             /* (columns) real */
    int narrow;                   /* log_loss in float */
};

/* Scratch of one thread. */
struct gd_many_scratch {
    gd_scratch csr;               /* from, to and bad */
    void *tile, *turned;          /* (tile_rows, d_pad) rows, (d_pad, tile_rows) the same in columns; CSR: (tile_rows, columns_pad) */
    void *Z, *R;                  /* (columns, tile_rows) scores, and s dE/dz */
    void *G;                      /* (columns, d_pad) R'X of a block */
    double *y[2];                 /* (k, tile_rows) for losses of values and 0/1, and for margin losses; NULL if there are none */
    double *codes, *s, *offset;   /* (tile_rows), offset (k, tile_rows) */
    double *w;                    /* (n_weightings, tile_rows) > 0: what a row trains with, < 0: validates with */
    double *z, *r;                /* (k, tile_rows) of one model, float lanes */
    double *e, *one;              /* (tile_rows), (4, tile_rows) */
    float *y_f, *w_f, *e_f;       /* float lanes: y[0] and w again, (3, tile_rows) */
};

typedef struct gd_many {
    gd_grid grid;
    gd_engine engine;             /* of one model: it plans the pass and asks whether to stop */
    int64_t *weighting;           /* (n_models) */
    gd_weighting *weightings;     /* (n_weightings) */
    int64_t n_weightings;
    int n_threads, missing_threads;
    int64_t n_chunks, chunk_blocks;
    int64_t most_models;          /* in one read of X: as many as GD_MANY_BYTES allow */
    void *arena;                  /* all of the below, for most_models */
    gd_many_scratch *scratch;     /* (n_threads) */
    void *weights, *bias;
    double *sums;                 /* (n_chunks, sums of a chunk) */
} gd_many;

gd_status gd_many_init(gd_many *many, const gd_grid *grid, int n_threads, const gd_hooks *hooks);
void gd_many_free(gd_many *many);

/* The smooth parts of E of `count` models from one read of X (several, where their sums would not fit the budget of memory).
 *   models (count) their numbers in the grid; weights, gradient (count) of (k*d + k) each, the layout of gd_state; gradient may be NULL
 *   error (count); validation (count) NaN where no row validates, or NULL. */
gd_status gd_many_evaluate(gd_many *many, int64_t count, const int64_t *models, const double *const *weights, double *error,
                           double *validation, double *const *gradient);

/* values (n) = a column that has a value per row of the problem, of the rows that count. */
gd_status gd_read_column(const gd_problem *problem, const gd_matrix *column, const gd_hooks *hooks, double *values);

#endif
