/* The losses, pointwise: against their formulas, their own differences, and at the ends of the float range. The last
 * units in the last place are the business of tests/test_losses.py, which has mpmath. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "naive.h"

enum { N = 203 }; /* odd: lanes have a tail */

typedef struct points { double z[N], y[N], error[N], slope[N], bend[N]; } points;

static const char *const isas[] = {"baseline", "avx2", "avx512"};

static gd_status evaluate(const char *isa, int loss, double smoothing, points *p) {
    return gd_pointwise(isa, loss, loss_param(loss), smoothing, N, p->z, p->y, p->error, p->slope, p->bend);
}

static double draw_y(dice *d, int loss) {
    if (gd_loss_is_margin(loss)) return roll_below(d, 2) ? 1.0 : -1.0;
    if (loss == gd_loss_log_loss) return roll_below(d, 2) ? (double)roll_below(d, 2) : roll_between(d, 0.0, 1.0);
    if (loss == gd_loss_poisson || loss == gd_loss_gamma) return roll_between(d, 0.1, 5.0);
    return roll_between(d, -3.0, 3.0);
}

static void draw_points(int loss, double reach, points *p) {
    dice d = {(uint64_t)loss};
    for (int i = 0; i < N; i++) p->z[i] = roll_between(&d, -reach, reach), p->y[i] = draw_y(&d, loss);
}

static int close_to(double got, long double expected, double eps) {
    return fabsl(got - expected) <= eps * (1 + fabsl(expected)); /* naive_loss cancels near 0 */
}

static void formulas(const char *isa) {
    static const double reaches[] = {3.0, 40.0, 600.0};
    points p;
    for (int loss = 0; loss < GD_N_LOSSES; loss++)
        for (int i = 0; i < 3; i++) {
            draw_points(loss, reaches[i], &p);
            CHECK(evaluate(isa, loss, 0.0, &p) == GD_OK, "%s", isa);
            for (int j = 0; j < N; j++) {
                naive_point expected = naive_loss(loss, p.z[j], p.y[j], loss_param(loss));
                CHECK(close_to(p.error[j], expected.error, 1e-14) && close_to(p.slope[j], expected.slope, 1e-14),
                      "%s z %g y %g: %g %g, %s", gd_loss_name(loss), p.z[j], p.y[j], p.error[j], p.slope[j], isa);
            }
        }
}

/* slope = d error / dz and bend = d slope / dz, of the rounded losses too. */
static void differences(const char *isa) {
    const double h = 1e-6;
    for (int loss = 0; loss < GD_N_LOSSES; loss++)
        for (int smoothed = 0; smoothed < 2; smoothed++) {
            double mu = smoothed && !gd_loss_is_smooth(loss) ? 0.25 : 0.0;
            points here, up, down;
            draw_points(loss, 2.0, &here);
            up = down = here;
            for (int j = 0; j < N; j++) up.z[j] += h, down.z[j] -= h;
            evaluate(isa, loss, mu, &here), evaluate(isa, loss, mu, &up), evaluate(isa, loss, mu, &down);
            int steep = 0, bent = 0;
            for (int j = 0; j < N; j++) {
                double slope = (up.error[j] - down.error[j]) / (2.0 * h), bend = (up.slope[j] - down.slope[j]) / (2.0 * h);
                steep += fabs(slope - here.slope[j]) > 1e-8 * (10.0 + fabs(here.slope[j]));
                bent += fabs(bend - here.bend[j]) > 1e-7 * (10.0 + fabs(here.bend[j]));
            }
            /* a difference that straddles a corner shows neither side: there may be one */
            CHECK(steep <= (mu == 0.0) && bent <= 1, "%s smoothing %g: %d slopes, %d bends, %s", gd_loss_name(loss), mu, steep, bent, isa);
        }
}

/* Rounding a kink off lowers the error, by no more than the width times the two slopes' difference over 2. */
static void smoothing(const char *isa) {
    for (int loss = 0; loss < GD_N_LOSSES; loss++) {
        points sharp, smooth;
        draw_points(loss, 3.0, &sharp);
        smooth = sharp;
        evaluate(isa, loss, 0.0, &sharp), evaluate(isa, loss, 0.5, &smooth);
        for (int j = 0; j < N; j++) {
            double lost = sharp.error[j] - smooth.error[j];
            CHECK(lost >= -1e-15 && lost <= 0.5 * 0.5 + 1e-15, "%s z %g lost %g", gd_loss_name(loss), sharp.z[j], lost);
            if (gd_loss_is_smooth(loss)) CHECK(lost == 0.0, "%s has no kink", gd_loss_name(loss));
        }
    }
}

static void ends_of_the_range(const char *isa) {
    static const double ends[] = {0.0, -0.0, DBL_TRUE_MIN, DBL_MIN, 1e-300, 1.0, 709.7, 745.2, 1e3, 1e15, 1e154, 1e308, DBL_MAX};
    enum { N_ENDS = sizeof ends / sizeof *ends };
    for (int loss = 0; loss < GD_N_LOSSES; loss++) {
        points p;
        draw_points(loss, 1.0, &p);
        for (int j = 0; j < N; j++) p.z[j] = j % 2 ? ends[j / 2 % N_ENDS] : -ends[j / 2 % N_ENDS];
        evaluate(isa, loss, 0.0, &p);
        for (int j = 0; j < N; j++) {
            int right = !isnan(p.error[j]) && !isnan(p.slope[j]) && !isnan(p.bend[j]) && p.bend[j] >= 0.0;
            if (loss == gd_loss_log_loss) right &= fabs(p.slope[j]) <= 1.0 && isfinite(p.error[j]) && p.error[j] >= 0.0;
            CHECK(right, "%s z %g y %g: %g %g %g, %s", gd_loss_name(loss), p.z[j], p.y[j], p.error[j], p.slope[j], p.bend[j], isa);
        }
    }
}

static void wide_registers_agree(void) {
    if (!strstr(gd_available_isas(), "avx512")) return;
    for (int loss = 0; loss < GD_N_LOSSES; loss++)
        for (int n = 1; n <= N; n += n < 40 ? 1 : 60) {
            points two, five;
            draw_points(loss, 30.0, &two);
            five = two;
            gd_pointwise("avx2", loss, loss_param(loss), 0.1, n, two.z, two.y, two.error, two.slope, two.bend);
            gd_pointwise("avx512", loss, loss_param(loss), 0.1, n, five.z, five.y, five.error, five.slope, five.bend);
            size_t bytes = sizeof(double) * (size_t)n;
            CHECK(!memcmp(two.error, five.error, bytes) && !memcmp(two.slope, five.slope, bytes) && !memcmp(two.bend, five.bend, bytes),
                  "%s n %d", gd_loss_name(loss), n);
        }
}

static void softmax(const char *isa) {
    static const int64_t outputs[] = {2, 3, 10, 33};
    static const double reaches[] = {1.0, 30.0, 1e3, 1e308};
    enum { ROWS = 21, MOST = 33 };
    double Z[ROWS * MOST], Y[ROWS * MOST], error[ROWS], slope[ROWS * MOST];
    dice d = {77};
    for (int o = 0; o < 4; o++)
        for (int r = 0; r < 4; r++) {
            int64_t k = outputs[o];
            for (int64_t i = 0; i < ROWS * k; i++) Z[i] = reaches[r] * (i < 2 * k ? 1.0 : roll_between(&d, -1.0, 1.0)), Y[i] = 0.0;
            for (int64_t i = 0; i < ROWS; i++) Y[i * k + roll_below(&d, k)] += r < 3 ? 0.75 : 1.0, Y[i * k + roll_below(&d, k)] += r < 3 ? 0.25 : 0.0;
            CHECK(gd_pointwise_softmax(isa, ROWS, k, Z, Y, error, slope) == GD_OK, "%s", isa);
            for (int64_t i = 0; i < ROWS; i++) {
                long double sum = 0, total = 0, top = Z[i * k];
                for (int64_t j = 0; j < k; j++) top = fmaxl(top, Z[i * k + j]);
                for (int64_t j = 0; j < k; j++) sum += expl(Z[i * k + j] - top);
                for (int64_t j = 0; j < k; j++) {
                    long double below = Z[i * k + j] - top, y = Y[i * k + j];
                    if (y > 0) total += y * (logl(sum) - below);
                    CHECK(close_to(slope[i * k + j], expl(below) / sum - y, 1e-15), "k %d reach %g, %s", (int)k, reaches[r], isa);
                }
                int saturates = total > DBL_MAX;
                CHECK(saturates ? isinf(error[i]) : close_to(error[i], total, 1e-14), "k %d reach %g: %g, %s", (int)k, reaches[r], error[i], isa);
            }
        }
}

static void names(void) {
    for (int loss = 0; loss < GD_N_LOSSES; loss++) CHECK(gd_loss_name(loss) && *gd_loss_name(loss), "%d", loss);
    CHECK(gd_loss_name(GD_N_LOSSES) == NULL && gd_loss_name(-1) == NULL, "past the end");
    points p;
    draw_points(0, 1.0, &p);
    CHECK(evaluate("sse9", 0, 0.0, &p) == GD_BAD_ARGUMENT, "unknown instruction set");
    CHECK(evaluate(NULL, GD_N_LOSSES, 0.0, &p) == GD_BAD_ARGUMENT, "unknown loss");
    CHECK(gd_pointwise_softmax("sse9", 1, 2, p.z, p.y, p.error, p.slope) == GD_BAD_ARGUMENT, "unknown instruction set");
}

void test_losses(void) {
    names();
    for (int i = 0; i < 3; i++) {
        if (!strstr(gd_available_isas(), isas[i])) continue;
        formulas(isas[i]);
        differences(isas[i]);
        smoothing(isas[i]);
        ends_of_the_range(isas[i]);
        softmax(isas[i]);
    }
    wide_registers_agree();
}
