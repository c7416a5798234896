/* What the solvers must know of a loss beyond its value: one line each. */
#include "engine.h"

#include <math.h>
#include <stddef.h>

typedef struct gd_traits {
    const char *name;
    int margin;       /* y in {-1, +1} */
    int smooth;       /* derivative continuous */
    int bends;        /* but the second derivative jumps */
    double curvature; /* sup of the second derivative; 0 for piecewise linear losses */
} gd_traits;

static const gd_traits traits[GD_N_LOSSES] = {
    [gd_loss_squared_error] = {"squared_error", 0, 1, 0, 1.0},
    [gd_loss_absolute_error] = {"absolute_error", 0, 0, 0, 0.0},
    [gd_loss_huber] = {"huber", 0, 1, 1, 1.0},
    [gd_loss_quantile] = {"quantile", 0, 0, 0, 0.0},
    [gd_loss_epsilon_insensitive] = {"epsilon_insensitive", 0, 0, 0, 0.0},
    [gd_loss_squared_epsilon_insensitive] = {"squared_epsilon_insensitive", 0, 1, 1, 2.0},
    [gd_loss_poisson] = {"poisson", 0, 1, 0, INFINITY},
    [gd_loss_gamma] = {"gamma", 0, 1, 0, INFINITY},
    [gd_loss_log_loss] = {"log_loss", 0, 1, 0, 0.25},
    [gd_loss_hinge] = {"hinge", 1, 0, 0, 0.0},
    [gd_loss_squared_hinge] = {"squared_hinge", 1, 1, 1, 2.0},
    [gd_loss_modified_huber] = {"modified_huber", 1, 1, 1, 2.0},
    [gd_loss_perceptron] = {"perceptron", 1, 0, 0, 0.0},
};

const char *gd_loss_name(int loss) { return loss >= 0 && loss < GD_N_LOSSES ? traits[loss].name : NULL; }
int gd_loss_is_margin(int loss) { return traits[loss].margin; }
int gd_loss_is_smooth(int loss) { return traits[loss].smooth; }
int gd_loss_has_bends(int loss) { return traits[loss].bends; }

double gd_loss_curvature_bound(const gd_problem *problem) {
    if (problem->softmax) return 0.5; /* the largest eigenvalue of diag(p) - pp' (Boehning 1992) */
    if (!traits[problem->loss].smooth && problem->smoothing > 0.0)
        return problem->loss == gd_loss_quantile ? fmax(problem->loss_param, 1.0 - problem->loss_param) / problem->smoothing
                                                 : 1.0 / problem->smoothing;
    return traits[problem->loss].curvature;
}
