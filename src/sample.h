/* Private to src/: the rows that a metric is made from: how many, which, and what that costs. */
#ifndef GDFAST_SAMPLE_H
#define GDFAST_SAMPLE_H

#include "engine.h"

/* How many rows a metric is best made from, or where each output has a matrix of its own, chosen from; 0: all of them. smooth: the loss
 * has no kinks. */
int64_t gd_metric_rows(const gd_problem *problem, int smooth);

/* Softmax: how many of n rows the matrix of each class is made from; 0: one matrix must do for all classes. */
int64_t gd_rows_of_a_class(const gd_problem *problem, int64_t n);

/* What it costs to make it of them, its factors included, in passes. */
double gd_metric_cost(const gd_problem *problem);

/* m draws of n entries, each as likely as its h but for a share of the mean: rows (m) gets the different ones, ascending, and share (m)
 * what their h must be multiplied with, so that sums over them estimate those over all. Returns how many; 0 if nothing has h > 0. */
int64_t gd_choose_rows(int64_t n, const double *h, int64_t m, int64_t *rows, double *share);

/* Row numbers (m), one in each of m equal stretches of a problem's rows; NULL if out of memory. */
int64_t *gd_sample_rows(const gd_problem *problem, int64_t m);

/* Copies of the rows of a problem that count, side by side, as they are stored: of y, weight and offset (where problem->rows are some), or
 * of X, too, and then all rows count: where they are dense and few, passes over them take less time than over rows far apart. */
typedef struct gd_gathered { void *memory[4]; } gd_gathered;

gd_status gd_gather_targets(gd_problem *problem, gd_gathered *gathered);
gd_status gd_gather_rows(gd_problem *problem, gd_gathered *gathered);
void gd_gathered_free(gd_gathered *gathered);

#endif
