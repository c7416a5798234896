/* Private to src/: a problem made ready for passes. Allocates once; every pass after that only computes. */
#ifndef GDFAST_ENGINE_H
#define GDFAST_ENGINE_H

#include <stdatomic.h>

#include "kernels.h"

typedef struct gd_engine {
    gd_problem problem;    /* a copy: mini-batches point its rows elsewhere */
    const gd_kernels *kernels;
    gd_pass pass;
    int n_threads;
    const gd_hooks *hooks; /* may be NULL */
    double work;           /* elements read since the clock was last looked at */
    double next_poll;      /* seconds, by the monotonic clock */
    atomic_int interrupted; /* set by the calling thread, read by all */
    int missing_threads;
    int64_t n_passes;      /* full reads of X, in rows / n */
    double rows_read;

    void *arena;           /* all of the below */
    gd_scratch *scratch;   /* (n_threads) */
    void *weights;         /* the weights in the lane type, see gd_pass.weights */
    double *bias;          /* (k) */
    double *total;         /* (out_size) the sums of the last pass */
    double *partials;      /* (n_chunks, out_size) */
    double *stacks;        /* (n_threads, levels, out_size) */
    int64_t n_chunks, levels, chunk_blocks;
} gd_engine;

gd_status gd_engine_init(gd_engine *engine, const gd_problem *problem, int n_threads, const gd_hooks *hooks);
/* For an engine whose rows are also multiplied with this many columns more, each time: work for more threads. */
gd_status gd_engine_init_for(gd_engine *engine, const gd_problem *problem, double columns, int n_threads, const gd_hooks *hooks);
void gd_engine_free(gd_engine *engine);

/* Bring weights (k*d coef, then k intercepts) into the lane type for the passes to come. */
void gd_engine_set_weights(gd_engine *engine, const double *weights);

/* The smooth part of E, and its gradient (k*d + k) unless NULL, over all rows at the weights that were set. */
gd_status gd_engine_evaluate(gd_engine *engine, const double *weights, double *error, double *gradient);

/* Rows first ... first + count - 1 of `rows`, of which `known` entries may be looked at (NULL: of the problem). error: mean
 * loss of the batch, without the penalty; gradient: its estimate of that of E, sum s g / (count weight_mean), penalty
 * included. weight_sum, unless NULL, gets the sum of s. */
gd_status gd_engine_batch(gd_engine *engine, const int64_t *rows, int64_t known, int64_t first, int64_t count,
                          const double *weights, double *error, double *gradient, double *weight_sum);

/* Plain updates over the same rows, see gd_kernels.steps (k == 1, a row each) and csr_steps. */
gd_status gd_engine_steps(gd_engine *engine, const int64_t *rows, int64_t known, int64_t first, int64_t count, gd_steps *steps);

/* l2 / 2 ||w||^2 */
double gd_l2_penalty(const gd_problem *problem, const double *weights);

/* Error and gradient (k*d + k) with l1: the subgradient of least norm, without what points out of the bounds. */
void gd_add_l1(const gd_problem *problem, const double *weights, double *error, double *gradient);

/* GD_INTERRUPTED if the call is to end, GD_BAD_ROWS if a thread has met a row whose structure is broken. */
gd_status gd_engine_state(gd_engine *engine);

/* 1 if the call is to end: asks hooks->poll at most every 20 ms. Only for the calling thread. */
int gd_engine_poll(gd_engine *engine);

/* The same for any thread; the calling one is worker 0. */
int gd_engine_ends(gd_engine *engine, int worker);

/* Tell hooks->arrived that so many models have ended; 1 if the call is to end. Only for the calling thread. */
int gd_engine_arrived(gd_engine *engine, int64_t n_models);

/* Does the second derivative of a smooth loss jump, so that rows begin or cease to bend at once? */
int gd_loss_has_bends(int loss);

/* Bytes of an element. */
int64_t gd_type_size(int type);

/* count * size bytes, zeroed, 64-byte aligned; NULL if that overflows or is not to be had. */
void *gd_alloc(int64_t count, int64_t size);
void gd_release(void *memory);

/* Hands out consecutive aligned pieces of an arena, or, with base NULL, measures how large it must be: -1 if that overflows. */
typedef struct gd_cutter { char *base; int64_t used; } gd_cutter;
void *gd_cut(gd_cutter *cutter, int64_t count, int64_t size);

/* What reading CSR rows takes, next to nothing where they are not sparse. */
void gd_cut_csr(gd_cutter *cutter, int sparse, gd_scratch *s);

/* n_threads, or fewer: below about 2^20 multiplications a thread costs more than it brings. */
int gd_threads_for(double columns, const gd_problem *problem, int n_threads);

/* A weight in the lane type. Subnormal ones would cost a hundred cycles each and change nothing: they count as 0. */
float gd_to_float(double w);
double gd_to_double(double w);

/* The tree over n leaves of `size` doubles, in place; the sum ends in leaf 0. */
void gd_sum_tree(int64_t n, int64_t size, double *leaves);

int64_t gd_min(int64_t a, int64_t b);
int64_t gd_max(int64_t a, int64_t b);

#endif
