/* The pointwise losses: error, derivative and curvature at a raw score z. The only place where a loss is defined.
 *
 * Included once per instruction set (see kernels.c). Everything is branch-free so that the loops over them vectorise;
 * they saturate instead of overflowing to NaN for z up to +-1e308. Names and formulas are scikit-learn's. `a` is the
 * loss's parameter, `mu` the width over which kinks are rounded off (0: not at all).
 * To add a loss: a function here, a line in GD_LOSS_LIST (gdfast.h), its traits in traits.c, its twin in reference.py.
 */

typedef struct { double error, slope, curvature; } GD_NAME(point);
#define gd_point GD_NAME(point)

/* ramp(t) = max(0, t), its kink replaced by t^2 / (2 mu) on 0 ... mu. Slope 1 at the kink itself, so that a perceptron
 * leaves w = 0. 0 <= ramp - smoothed ramp <= mu / 2. */
GD_INLINE gd_point GD_NAME(ramp)(double t, double mu) {
    double width = mu > 0.0 ? mu : 1.0, beyond = t > 0.0 ? t : 0.0, bent = beyond < mu ? beyond : mu;
    double x = bent / width, bend = 1.0 / width, step = t >= 0.0 ? 1.0 : 0.0;
    int inside = (t > 0.0) & (t < mu);
    return (gd_point){0.5 * bent * x + (beyond - bent), mu > 0.0 ? x : step, inside ? bend : 0.0};
}

GD_INLINE double GD_NAME(sign)(double x) { return (x > 0.0) - (x < 0.0); }

GD_INLINE gd_point GD_NAME(squared_error)(double z, double y, double a, double mu) {
    (void)a, (void)mu;
    double r = z - y;
    return (gd_point){0.5 * r * r, r, 1.0};
}

GD_INLINE gd_point GD_NAME(absolute_error)(double z, double y, double a, double mu) {
    (void)a;
    gd_point over = GD_NAME(ramp)(z - y, mu), under = GD_NAME(ramp)(y - z, mu);
    return (gd_point){over.error + under.error, over.slope - under.slope, over.curvature + under.curvature};
}

/* a = epsilon: quadratic up to there, linear beyond with slope a. A larger mu widens the bend and keeps the slope. */
GD_INLINE gd_point GD_NAME(huber)(double z, double y, double a, double mu) {
    double r = z - y, size = fabs(r), width = mu > a ? mu : a, bend = width > a ? a / width : 1.0;
    double inside = 0.5 * bend * r * r, outside = a * (size - 0.5 * width), edge = a * GD_NAME(sign)(r);
    int in = size <= width;
    return (gd_point){in ? inside : outside, in ? bend * r : edge, in ? bend : 0.0};
}

/* a = level q: q (y - z) above, (1 - q) (z - y) below. */
GD_INLINE gd_point GD_NAME(quantile)(double z, double y, double a, double mu) {
    gd_point over = GD_NAME(ramp)(z - y, mu), under = GD_NAME(ramp)(y - z, mu);
    double b = 1.0 - a;
    return (gd_point){b * over.error + a * under.error, b * over.slope - a * under.slope,
                      b * over.curvature + a * under.curvature};
}

/* a = epsilon: no error within +-epsilon. */
GD_INLINE gd_point GD_NAME(epsilon_insensitive)(double z, double y, double a, double mu) {
    gd_point over = GD_NAME(ramp)(z - y - a, mu), under = GD_NAME(ramp)(y - z - a, mu);
    return (gd_point){over.error + under.error, over.slope - under.slope, over.curvature + under.curvature};
}

GD_INLINE gd_point GD_NAME(squared_epsilon_insensitive)(double z, double y, double a, double mu) {
    (void)mu;
    double r = z - y, excess = fabs(r) - a, beyond = excess > 0.0 ? excess : 0.0;
    return (gd_point){beyond * beyond, 2.0 * beyond * GD_NAME(sign)(r), excess > 0.0 ? 2.0 : 0.0};
}

/* exp(z) - y z: half the Poisson deviance less what does not depend on z. */
GD_INLINE gd_point GD_NAME(poisson)(double z, double y, double a, double mu) {
    (void)a, (void)mu;
    double e = GD_NAME(exp)(z), error = GD_FMA(-y, z, e);
    return (gd_point){e > 0x1.fffffffffffffp1023 ? e : error, e - y, e};
}

/* z + y exp(-z): half the gamma deviance less what does not depend on z. The root keeps y exp(-z) in range where exp(-z)
 * alone is not. */
GD_INLINE gd_point GD_NAME(gamma)(double z, double y, double a, double mu) {
    (void)a, (void)mu;
    double root = GD_NAME(exp)(-0.5 * z), e = y * root * root;
    return (gd_point){z + e, 1.0 - e, e};
}

/* log(1 + exp(z)) - y z, y in [0, 1]. With q the smaller of sigmoid(z), sigmoid(-z) nothing cancels for y = 0 and 1. */
GD_INLINE gd_point GD_NAME(log_loss)(double z, double y, double a, double mu) {
    (void)a, (void)mu;
    double u = GD_NAME(exp_below)(-fabs(z)), p = 1.0 / (1.0 + u), q = u * p;
    double at_z = z >= 0.0 ? p : q, at_minus_z = z >= 0.0 ? q : p;
    double tail = z >= 0.0 ? z * (1.0 - y) : -z * y;
    return (gd_point){GD_NAME(log1p)(u, p) + tail, GD_FMA(1.0 - y, at_z, -y * at_minus_z), p * q};
}

/* The same for the float lanes, whose scores carry 24 bits anyway: half the time, and small d needs it. */
GD_INLINE gd_point GD_NAME(log_loss_f)(double z, double y) {
    float u = GD_NAME(exp_f)((float)-fabs(z)), p = 1.0f / (1.0f + u), q = u * p;
    double at_z = (double)(z >= 0.0 ? p : q), at_minus_z = (double)(z >= 0.0 ? q : p);
    double tail = z >= 0.0 ? z * (1.0 - y) : -z * y;
    return (gd_point){(double)GD_NAME(log1p_f)(u) + tail, GD_FMA(1.0 - y, at_z, -y * at_minus_z), (double)(p * q)};
}

/* And for many models, where this is most of what a row costs beside the products: in three steps, since the chain of all of it is too
 * long for a processor to work on several rows at once. First u = exp(-|z|), without a detour for what is below the normal numbers; then
 * the slope, by one division for both p = 1 / (1 + u) and the s of log(1 + u) = 2 atanh(s); then the error. In double u > sqrt(2) - 1
 * counts from 2, for the sake of a short series: s = (u - 1) / (u + 3), not u / (u + 2). */
GD_INLINE double GD_NAME(near_2_d)(double u) { return u > 0x1.a827999fcef32p-2 ? 1.0 : 0.0; }
GD_INLINE double GD_NAME(log_loss_slope_d)(double z, double y, double u, double *s) {
    double near_2 = GD_NAME(near_2_d)(u), once = 1.0 + u, below = (2.0 + u) + near_2, inverse = 1.0 / (once * below);
    double p = inverse * below, q = u * p, at_z = z >= 0.0 ? p : q, at_minus_z = z >= 0.0 ? q : p;
    *s = (u - near_2) * (inverse * once);
    return GD_FMA(1.0 - y, at_z, -y * at_minus_z);
}
GD_INLINE double GD_NAME(log_loss_error_d)(double z, double y, double u, double s) {
    return GD_FMA(GD_NAME(near_2_d)(u), 0x1.62e42fefa39efp-1, GD_NAME(log_series)(s)) + GD_FMA(-y, z, z >= 0.0 ? z : 0.0);
}
GD_INLINE float GD_NAME(log_loss_slope_f)(float z, float y, float u, float *s) {
    float once = 1.0f + u, below = 2.0f + u, inverse = 1.0f / (once * below);
    float p = inverse * below, q = u * p, at_z = z >= 0.0f ? p : q, at_minus_z = z >= 0.0f ? q : p;
    *s = u * (inverse * once);
    return GD_FMA_F(1.0f - y, at_z, -y * at_minus_z);
}
GD_INLINE float GD_NAME(log_loss_error_f)(float z, float y, float u, float s) {
    (void)u;
    return GD_FMA_F(2.0f, GD_NAME(half_log_f)(s), GD_FMA_F(-y, z, z >= 0.0f ? z : 0.0f));
}

GD_INLINE gd_point GD_NAME(hinge)(double z, double y, double a, double mu) {
    (void)a;
    gd_point p = GD_NAME(ramp)(GD_FMA(-y, z, 1.0), mu);
    return (gd_point){p.error, -y * p.slope, y * y * p.curvature};
}

GD_INLINE gd_point GD_NAME(squared_hinge)(double z, double y, double a, double mu) {
    (void)a, (void)mu;
    double t = GD_FMA(-y, z, 1.0), short_of = t > 0.0 ? t : 0.0;
    return (gd_point){short_of * short_of, -2.0 * y * short_of, t > 0.0 ? 2.0 * y * y : 0.0};
}

/* squared hinge down to a margin of -1, linear below. */
GD_INLINE gd_point GD_NAME(modified_huber)(double z, double y, double a, double mu) {
    (void)a, (void)mu;
    double m = y * z, t = 1.0 - m, short_of = t > 0.0 ? t : 0.0;
    double square = short_of * short_of, line = -4.0 * m, square_slope = -2.0 * y * short_of, line_slope = -4.0 * y;
    int linear = m < -1.0;
    return (gd_point){linear ? line : square, linear ? line_slope : square_slope,
                      (linear | (t <= 0.0)) ? 0.0 : 2.0 * y * y};
}

GD_INLINE gd_point GD_NAME(perceptron)(double z, double y, double a, double mu) {
    (void)a;
    gd_point p = GD_NAME(ramp)(-y * z, mu);
    return (gd_point){p.error, -y * p.slope, y * y * p.curvature};
}
