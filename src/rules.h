/* Private to src/: what the update rules are told, and how they go back. */
#ifndef GDFAST_RULES_H
#define GDFAST_RULES_H

#include <string.h>

#include "run.h"

typedef struct gd_rates {
    double eta0;          /* given, or found from the curvature */
    double eta;           /* in force for the schedules that adapt */
    double optimal_start; /* Bottou's t0 */
    double alpha;
} gd_rates;

gd_status gd_find_rates(gd_run *run, gd_rates *rates);
double gd_rate_now(const gd_settings *settings, const gd_rates *rates, int64_t t); /* of update t, from 1 on */
int gd_rate_adapts(const gd_settings *settings);

/* The last good point, with all that the rule remembers, to go back to. */
typedef struct gd_trial {
    double error;
    int64_t t, path_size;
    double *gradient, *weights, *velocity, *square, *mean; /* (size) each, NULL where the rule has none */
} gd_trial;

int64_t gd_trial_vectors(const gd_state *state);
gd_trial gd_trial_in(double *room, const gd_state *state); /* room (gd_trial_vectors, size) */
void gd_trial_save(const gd_run *run, double error, gd_trial *good);
void gd_trial_restore(gd_run *run, const gd_trial *good);

/* Of an epoch: sums over its batches, each of whose errors is taken before its update. */
typedef struct gd_epoch_sums { double error, weight, eta; int64_t updates; } gd_epoch_sums;

/* The descent has left the finite range at this error: GD_DIVERGED, and into the report a rate that would work. */
gd_status gd_diverged(gd_run *run, double error);

/* Has a smooth error grown `factor` times over *scale, and over what it is at w = 0? That is asked only once it is in question, and *scale
 * knows it from then on. Losses with kinks grow linearly and have no such scale: they must leave the finite range. */
gd_status gd_exploded(gd_run *run, double error, double factor, double *scale, int *answer);
double gd_explosion(const gd_state *state); /* that factor, of epochs */

/* Slow progress is not convergence: what is left to gain, as a share of E, at the weights and with the gradient of the run. */
gd_status gd_certify(gd_run *run, double error, double *suboptimality);

/* By mini-batches, to the end. room (gd_march_vectors, size). */
gd_status gd_descend_batches(gd_run *run, double *room);

static inline void gd_copy(const gd_run *run, double *to, const double *from) {
    if (from) memcpy(to, from, sizeof *to * (size_t)run->size);
}

#endif
