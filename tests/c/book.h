/* What is right: the pass of a recipe and the descent of a rule, each checked against its definition written out. */
#ifndef BOOK_H
#define BOOK_H

#include "descend.h"

enum { N_ISAS = 3 };
extern const char *const isas[N_ISAS];
int has_isa(const char *name);

double *room(int64_t count); /* zeroed; ends the program if there is none */
int bits_equal(const double *a, const double *b, int64_t n);
const char *describe(const recipe *r);

/* Relative rounding errors that a pass may make: of float lanes, and of double ones. */
double lane_eps(const gd_problem *problem);

/* out (1 + size): E, dE/dcoef, dE/dintercept. */
gd_status evaluate(const gd_problem *problem, const double *weights, int n_threads, double *out);

/* On every instruction set: right, and the same bits on AVX2 and AVX-512. */
void check_pass(const recipe *r);

/* Every epoch of the rule: rows in their order, batch by batch, all weights at every update. Bounds may be set in `c`. */
void check_rule_on(const data *c, const recipe *r, const gd_settings *s);
void check_rule(const recipe *r, const gd_settings *s);

#endif
