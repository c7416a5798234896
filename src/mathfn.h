/* exp, log and log1p of our own: the C library's differ between machines, and these vectorise.
 *
 * Included once per instruction set (see kernels.c). Branch-free, so that a loop over an array of them becomes SIMD
 * code. Errors below 1 ulp for exp and log and below 2 ulp for log1p with fused multiply-add; tests/test_losses.py holds the losses
 * made of them against mpmath. Method: Cody & Waite reduction; the logarithm's series is that of Sun's fdlibm (e_log.c), the
 * minimax coefficients are its own.
 */

GD_INLINE double GD_NAME(from_bits)(uint64_t bits) { double x; memcpy(&x, &bits, sizeof x); return x; }
GD_INLINE uint64_t GD_NAME(to_bits)(double x) { uint64_t bits; memcpy(&bits, &x, sizeof bits); return bits; }

GD_INLINE float GD_NAME(from_bits_f)(uint32_t bits) { float x; memcpy(&x, &bits, sizeof x); return x; }
GD_INLINE uint32_t GD_NAME(to_bits_f)(float x) { uint32_t bits; memcpy(&bits, &x, sizeof bits); return bits; }

/* IEEE half -> float, exact; scaling by 2^112 re-biases the exponent, subnormals included. */
GD_INLINE float GD_NAME(from_half)(uint16_t half) {
#if GD_LEVEL >= 2
    return _cvtsh_ss(half);
#else
    float size = GD_NAME(from_bits_f)((uint32_t)(half & 0x7fffu) << 13) * 0x1p112f;
    uint32_t special = (half & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0u, sign = (uint32_t)(half & 0x8000u) << 16, bits;
    memcpy(&bits, &size, sizeof bits);
    return GD_NAME(from_bits_f)(bits | special | sign);
#endif
}

/* 2^k for -1022 <= k <= 1023, k a double with an integer value. */
GD_INLINE double GD_NAME(power_of_2)(double k) {
    const double magic = 0x1.8p52; /* adding it leaves the integer in the low bits */
    return GD_NAME(from_bits)((GD_NAME(to_bits)(k + magic) + 1023u) << 52);
}

/* exp(y - k ln 2), k the nearest integer to y / ln 2. exp(r) = 1 + r + r^2 (1/2 + r/6 + ...), |r| <= ln(2)/2: Taylor's terms to r^13
 * leave 4e-18. Estrin's scheme: the row-by-row rules wait for each result, so a short chain counts. */
GD_INLINE double GD_NAME(exp_rest)(double y, double k) {
    const double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
    double r = GD_FMA(-k, ln2_low, GD_FMA(-k, ln2_high, y));
    double r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    double c01 = GD_FMA(r, 1.0 / 6.0, 0.5), c23 = GD_FMA(r, 1.0 / 120.0, 1.0 / 24.0);
    double c45 = GD_FMA(r, 1.0 / 5040.0, 1.0 / 720.0), c67 = GD_FMA(r, 1.0 / 362880.0, 1.0 / 40320.0);
    double c89 = GD_FMA(r, 1.0 / 39916800.0, 1.0 / 3628800.0), cab = GD_FMA(r, 1.0 / 6227020800.0, 1.0 / 479001600.0);
    double low = GD_FMA(c23, r2, c01), middle = GD_FMA(c67, r2, c45), high = GD_FMA(cab, r2, c89);
    double p = GD_FMA(high, r8, GD_FMA(middle, r4, low));
    return 1.0 + GD_FMA(p, r2, r);
}

/* exp(x) for x <= 710: 0 below -746, NaN for NaN, subnormal results rounded once. */
GD_INLINE double GD_NAME(exp_below)(double x) {
    double y = x < -746.0 ? -746.0 : x;
    double k = GD_FMA(y, 0x1.71547652b82fep0, 0x1.8p52) - 0x1.8p52, p = GD_NAME(exp_rest)(y, k);
    double half = GD_FMA(k, 0.5, 0x1.8p52) - 0x1.8p52; /* two factors reach the subnormals and the largest numbers */
    return p * GD_NAME(power_of_2)(half) * GD_NAME(power_of_2)(k - half);
}

/* exp(x) for x <= 0, or where that is smaller than about 2^-1021 some number as small. */
GD_INLINE double GD_NAME(exp_normal)(double x) {
    double y = x < -708.0 ? -708.0 : x, shifted = GD_FMA(y, 0x1.71547652b82fep0, 0x1.8p52);
    return GD_NAME(exp_rest)(y, shifted - 0x1.8p52) * GD_NAME(from_bits)((GD_NAME(to_bits)(shifted) + 1023u) << 52);
}

/* exp(x), infinity above 710. */
GD_INLINE double GD_NAME(exp)(double x) { return GD_NAME(exp_below)(x > 710.0 ? 710.0 : x); }

/* log(x) for finite normal x > 0. */
GD_INLINE double GD_NAME(log)(double x) {
    const double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
    /* x = 2^k m with sqrt(1/2) <= m < sqrt(2) */
    uint64_t bits = GD_NAME(to_bits)(x) - 0x3fe6a09e667f3bcdULL;
    double k = GD_NAME(from_bits)((((bits >> 52) ^ 0x800u) & 0xfffu) | 0x4330000000000000ULL) - (0x1p52 + 2048.0);
    double m = GD_NAME(from_bits)((bits & 0x000fffffffffffffULL) + 0x3fe6a09e667f3bcdULL);
    double f = m - 1.0, s = f / (2.0 + f), z = s * s, w = z * z;
    double odd = w * GD_FMA(w, GD_FMA(w, 1.531383769920937332e-01, 2.222219843214978396e-01), 3.999999999940941908e-01);
    double even = z * GD_FMA(w, GD_FMA(w, GD_FMA(w, 1.479819860511658591e-01, 1.818357216161805012e-01),
                                       2.857142874366239149e-01), 6.666666666666735130e-01);
    double half = 0.5 * f * f;
    return k * ln2_high - ((half - (s * (half + (odd + even)) + k * ln2_low)) - f);
}

/* 2 atanh(s) for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1): the same series. */
GD_INLINE double GD_NAME(log_series)(double s) {
    double z = s * s, w = z * z;
    double odd = GD_FMA(w, GD_FMA(w, 1.531383769920937332e-01, 2.222219843214978396e-01), 3.999999999940941908e-01);
    double even = GD_FMA(w, GD_FMA(w, GD_FMA(w, 1.479819860511658591e-01, 1.818357216161805012e-01), 2.857142874366239149e-01),
                         6.666666666666735130e-01);
    return GD_FMA(GD_FMA(odd, z, even) * z, s, 2.0 * s);
}

/* log(1 + u) for 0 <= u < 2^52, keeping what x = 1 + u rounds away; inverse = 1 / x. */
GD_INLINE double GD_NAME(log1p)(double u, double inverse) {
    double x = 1.0 + u;
    return GD_FMA(u - (x - 1.0), inverse, GD_NAME(log)(x));
}

/* exp(y) for -87.3 <= y <= 88 in float. */
GD_INLINE float GD_NAME(exp_within_f)(float y) {
    float shifted = GD_FMA_F(y, 0x1.715476p0f, 0x1.8p23f), k = shifted - 0x1.8p23f;
    float r = GD_FMA_F(-k, -0x1.bd0106p-13f, GD_FMA_F(-k, 0x1.63p-1f, y)); /* ln 2 in two parts, the first of 9 bits */
    float p = 1.0f / 5040.0f;
    p = GD_FMA_F(p, r, 1.0f / 720.0f);
    p = GD_FMA_F(p, r, 1.0f / 120.0f);
    p = GD_FMA_F(p, r, 1.0f / 24.0f);
    p = GD_FMA_F(p, r, 1.0f / 6.0f);
    p = GD_FMA_F(p, r, 0.5f);
    p = 1.0f + GD_FMA_F(p * r, r, r);
    return p * GD_NAME(from_bits_f)((GD_NAME(to_bits_f)(shifted) + 127u) << 23); /* 2^k: k is in the low bits */
}

/* exp(x) for x <= 0 in float, or where that is smaller than about 2^-125 some number as small. */
GD_INLINE float GD_NAME(exp_normal_f)(float x) { return GD_NAME(exp_within_f)(x < -87.0f ? -87.0f : x); }

/* The same of -x, 0 <= x < infinity: such numbers are in the order of their bits. */
GD_INLINE float GD_NAME(exp_minus_f)(float x) {
    uint32_t bits = GD_NAME(to_bits_f)(x), most = 0x42ae0000u; /* 87 */
    return GD_NAME(exp_within_f)(-GD_NAME(from_bits_f)(bits < most ? bits : most));
}

/* The same, 0 below -87. */
GD_INLINE float GD_NAME(exp_f)(float x) {
    float e = GD_NAME(exp_normal_f)(x);
    return x < -87.0f ? 0.0f : e;
}

/* atanh(s) in float for 0 <= s <= 1/3, half of log((1 + s) / (1 - s)): the series to s^15 leaves 1e-9. */
GD_INLINE float GD_NAME(half_log_f)(float s) {
    float z = s * s, p = 1.0f / 15.0f;
    p = GD_FMA_F(p, z, 1.0f / 13.0f);
    p = GD_FMA_F(p, z, 1.0f / 11.0f);
    p = GD_FMA_F(p, z, 1.0f / 9.0f);
    p = GD_FMA_F(p, z, 1.0f / 7.0f);
    p = GD_FMA_F(p, z, 1.0f / 5.0f);
    p = GD_FMA_F(p, z, 1.0f / 3.0f);
    return GD_FMA_F(p * z, s, s);
}

/* log(1 + u) for 0 <= u <= 1 in float. */
GD_INLINE float GD_NAME(log1p_f)(float u) { return 2.0f * GD_NAME(half_log_f)(u / (2.0f + u)); }
