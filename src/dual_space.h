/* Private to src/: vectors of a descent in dual coefficients (dual.c), sums over them and over the rows. */
#ifndef GDFAST_DUAL_SPACE_H
#define GDFAST_DUAL_SPACE_H

#include "run.h"
#include "turned.h"

/* Coefficients, scores and biases of some weights: (strips, n_rows, lanes) twice, (k). */
typedef struct gd_dual_vector { double *a, *z, *b; } gd_dual_vector;

/* What a sweep over the vectors adds up: one of each task, then of all. */
typedef struct gd_dual_sums { double first, second; } gd_dual_sums;

typedef struct gd_dual {
    gd_run *run;
    gd_engine engine;        /* targets and errors of the rows, and their numbers of threads */
    gd_product product;
    gd_dual_vector at, along, gradient, before;
    double *outs;            /* (blocks, 3 + k) of line_slopes */
    gd_dual_sums *sums;      /* (tasks of a sweep) */
    double *bend;            /* (k) curvature of E along each bias */
    double total;            /* sum s */
    double error, slope;     /* E where we are, its slope along the line */
    double t, first;         /* how far along it, and how far to try first */
    double at_at, at_along, along_along; /* <at, at> ... of the weights alone */
    double scale;            /* curvature of E along weights: the preconditioner */
    double gap;              /* E - E* at most */
    void *arena;
} gd_dual;

/* After X is turned. *usable 0: too much memory for it. */
gd_status gd_dual_allocate(gd_dual *dual, int *usable);
void gd_dual_release(gd_dual *dual);

/* Place of an output's coefficient of the given start. */
int64_t gd_dual_start_place(const gd_dual *dual, int64_t c);

/* Elements from ... to - 1, all of one strip. */
typedef void (*gd_sweep)(gd_dual *dual, int64_t from, int64_t to, int64_t strip, gd_dual_sums *sums);

/* first and second of all tasks, in order. */
gd_dual_sums gd_dual_sweep(gd_dual *dual, gd_sweep what);

/* at += t along; gradient.a, which holds slopes of rows, becomes that of E. Sums: <at, at>. */
void gd_dual_advance(gd_dual *dual, int64_t from, int64_t to, int64_t strip, gd_dual_sums *sums);

/* gradient.z from the parts of a product. Sums: <gradient, gradient>, <gradient, before>. */
void gd_dual_gather(gd_dual *dual, int64_t from, int64_t to, int64_t strip, gd_dual_sums *sums);

/* along = share along - gradient / scale, share in t. Sums: <at, along>, <along, along>. */
void gd_dual_bend_line(gd_dual *dual, int64_t from, int64_t to, int64_t strip, gd_dual_sums *sums);

/* The sums over all rows at `at` + t `along`, in outs (3 + k): those of line_slopes, or with s (n) those of line_bends. */
gd_status gd_dual_add_up_rows(gd_dual *dual, double t, double *s);

/* E and its slope there, and the slopes of the rows, in gradient.a. */
gd_status gd_dual_evaluate(gd_dual *dual, double t, double *error, double *slope);

#endif
