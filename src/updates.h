/* The update rules: explicit state in, one step out. gradient is that of the smooth part of E; L1 follows as a proximal
 * step (soft threshold by the rate of that weight), so zeros are exact, and bounds as a projection. The first k d weights
 * are penalised and bounded, the rest are biases. */
#ifndef GDFAST_UPDATES_H
#define GDFAST_UPDATES_H

#include <math.h>

#include "gdfast.h"

/* Does more than l2 act on the weights themselves? Then steps are proximal. */
static inline int gd_is_proximal(const gd_problem *problem) { return problem->l1 > 0.0 || problem->lower || problem->upper; }

/* The nearest value to w that weight j may have. */
static inline double gd_clip(const gd_problem *problem, int64_t j, double w) {
    if (problem->lower) w = fmax(w, problem->lower[j]);
    return problem->upper ? fmin(w, problem->upper[j]) : w;
}

/* argmin_v (v - w)^2 / 2 + threshold |v| */
static inline double gd_soft(double w, double threshold) {
    double size = fabs(w) - threshold;
    return size > 0.0 ? copysign(size, w) : 0.0;
}

/* w -= eta g, or with momentum v = momentum v - eta g, w += v; Nesterov (Sutskever et al. 2013): w += momentum v - eta g.
 * Of the weights from `first` on. */
static inline void gd_update_momentum(const gd_settings *settings, gd_state *state, const double *restrict gradient,
                                      double eta, int64_t first) {
    double *restrict w = state->weights, *restrict v = state->velocity, m = settings->momentum;
    if (m == 0.0)
        for (int64_t j = first; j < state->size; j++) w[j] -= eta * gradient[j];
    else if (settings->nesterov)
        for (int64_t j = first; j < state->size; j++) {
            v[j] = m * v[j] - eta * gradient[j];
            w[j] += m * v[j] - eta * gradient[j];
        }
    else
        for (int64_t j = first; j < state->size; j++) {
            v[j] = m * v[j] - eta * gradient[j];
            w[j] += v[j];
        }
}

/* The same with a proximal step within, whose way the velocity takes too: one that knew of gradients only would push on against
 * the penalty, to where L1 counts (1 - momentum) of itself, and against bounds. With Nesterov's, weights are ahead of the point
 * that steps, by momentum v. */
static inline void gd_update_proximal(const gd_problem *problem, const gd_settings *settings, gd_state *state,
                                      const double *restrict gradient, double eta, int64_t n_coef) {
    double *restrict w = state->weights, *restrict v = state->velocity, m = settings->momentum;
    for (int64_t j = 0; j < n_coef; j++) {
        double from = settings->nesterov ? w[j] - m * v[j] : w[j], free = settings->nesterov ? w[j] : w[j] + m * v[j];
        double to = gd_clip(problem, j, gd_soft(free - eta * gradient[j], problem->l1 * eta));
        v[j] = to - from;
        double ahead = settings->nesterov ? to + m * v[j] : to;
        w[j] = gd_clip(problem, j, ahead);
        if (w[j] != ahead) v[j] = (w[j] - to) / m;
    }
}

/* The rate of each weight in AdaGrad, RMSprop and Adam: eta / (sqrt(square) + small). */
static inline double gd_rate(int solver, double eta, double square) {
    return eta / (sqrt(square) + (solver == GD_SOLVER_ADAGRAD ? 1e-10 : 1e-8));
}

/* Duchi et al. 2011: square += g^2; Tieleman & Hinton 2012: square = 0.9 square + 0.1 g^2. w -= rate g. */
static inline void gd_update_scaled(const gd_settings *settings, gd_state *state, const double *restrict gradient,
                                    double eta) {
    double *restrict w = state->weights, *restrict square = state->square;
    double keep = settings->solver == GD_SOLVER_ADAGRAD ? 1.0 : 0.9, take = settings->solver == GD_SOLVER_ADAGRAD ? 1.0 : 0.1;
    for (int64_t j = 0; j < state->size; j++) {
        square[j] = keep * square[j] + take * gradient[j] * gradient[j];
        w[j] -= gd_rate(settings->solver, eta, square[j]) * gradient[j];
    }
}

/* Kingma & Ba 2015, with the bias corrections folded into the rate as scikit-learn does. Returns that rate. */
static inline double gd_update_adam(const gd_settings *settings, gd_state *state, const double *restrict gradient,
                                    double eta) {
    double *restrict w = state->weights, *restrict m = state->velocity, *restrict v = state->square;
    double b1 = settings->beta_1, b2 = settings->beta_2, t = (double)state->t;
    eta *= sqrt(1.0 - pow(b2, t)) / (1.0 - pow(b1, t));
    for (int64_t j = 0; j < state->size; j++) {
        m[j] = b1 * m[j] + (1.0 - b1) * gradient[j];
        v[j] = b2 * v[j] + (1.0 - b2) * gradient[j] * gradient[j];
        w[j] -= eta * m[j] / (sqrt(v[j]) + 1e-8);
    }
    return eta;
}

/* One step of the rule in the settings, then the proximal step, then the running mean. state->t counts this update. */
static inline void gd_update(const gd_problem *problem, const gd_settings *settings, gd_state *state, const double *gradient,
                             double eta) {
    double l1 = problem->l1;
    int64_t n_coef = problem->n_outputs * problem->X.n_cols;
    int within = gd_is_proximal(problem) && state->velocity && !state->square; /* the proximal step is taken with the other */
    state->t++;
    state->eta = eta;
    switch (settings->solver) {
    case GD_SOLVER_ADAGRAD:
    case GD_SOLVER_RMSPROP: gd_update_scaled(settings, state, gradient, eta); break;
    case GD_SOLVER_ADAM: eta = gd_update_adam(settings, state, gradient, eta); break;
    default:
        if (within) gd_update_proximal(problem, settings, state, gradient, eta, n_coef);
        gd_update_momentum(settings, state, gradient, eta, within ? n_coef : 0);
    }
    double *restrict w = state->weights;
    if (within) l1 = 0.0;
    if (l1 > 0.0 && state->square)
        for (int64_t j = 0; j < n_coef; j++) w[j] = gd_soft(w[j], l1 * gd_rate(settings->solver, eta, state->square[j]));
    else if (l1 > 0.0)
        for (int64_t j = 0; j < n_coef; j++) w[j] = gd_soft(w[j], l1 * eta);
    if (!within && (problem->lower || problem->upper))
        for (int64_t j = 0; j < n_coef; j++) w[j] = gd_clip(problem, j, w[j]);
    if (state->mean && state->t >= settings->average) {
        double share = 1.0 / (double)(state->t - settings->average + 1);
        for (int64_t j = 0; j < state->size; j++) state->mean[j] += share * (w[j] - state->mean[j]);
    }
}

#endif
