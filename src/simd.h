/* Virtual lanes: 64 bytes, that is 16 floats (vf) or 8 doubles (vd), whatever the registers of the machine.
 *
 * Included once per instruction set by kernels.c, which defines GD_ISA (the suffix) and GD_LEVEL (0 generic, 2 AVX2 +
 * FMA + F16C, 3 AVX-512). A vector is a small array of native registers, and sums fold lane l with lane l + width/2
 * first: the same order at every level, so AVX2 and AVX-512 give the same bits. Only GD_FMA differs at level 0, where
 * it is a multiplication and an addition unless the machine (arm64) always has the fused instruction.
 *
 * A compiler without GCC's vector extension (MSVC) takes level 0 after replacing the typedefs `f4`, `d2`, `i4` and `i2`.
 */

#define vf GD_NAME(vf)
#define vd GD_NAME(vd)

#if GD_LEVEL == 3

typedef __m512 vf;
typedef __m512d vd;
#define GD_FMA(a, b, c) __builtin_fma(a, b, c)
#define GD_FMA_F(a, b, c) __builtin_fmaf(a, b, c)

GD_INLINE vf GD_NAME(vf_zero)(void) { return _mm512_setzero_ps(); }
GD_INLINE vf GD_NAME(vf_set)(float x) { return _mm512_set1_ps(x); }
GD_INLINE vf GD_NAME(vf_load)(const float *p) { return _mm512_loadu_ps(p); }
GD_INLINE vf GD_NAME(vf_load_part)(const float *p, int n) { return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1u), p); }
GD_INLINE vf GD_NAME(vf_first)(vf a, int n) { return _mm512_maskz_mov_ps((__mmask16)((1u << n) - 1u), a); } /* n lanes, the others 0 */
#define GD_WIDE_INTEGER(to, load) _mm512_cvtepi32_ps(_mm512_cvt##to##_epi32(load))
GD_INLINE vf GD_NAME(vf_from_U8)(const char *p) { return GD_WIDE_INTEGER(epu8, _mm_loadu_si128((const __m128i *)(const void *)p)); }
GD_INLINE vf GD_NAME(vf_from_I8)(const char *p) { return GD_WIDE_INTEGER(epi8, _mm_loadu_si128((const __m128i *)(const void *)p)); }
GD_INLINE vf GD_NAME(vf_from_U16)(const char *p) { return GD_WIDE_INTEGER(epu16, _mm256_loadu_si256((const __m256i *)(const void *)p)); }
GD_INLINE vf GD_NAME(vf_from_I16)(const char *p) { return GD_WIDE_INTEGER(epi16, _mm256_loadu_si256((const __m256i *)(const void *)p)); }
GD_INLINE vf GD_NAME(vf_from_F16)(const char *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p)); }
#undef GD_WIDE_INTEGER
GD_INLINE void GD_NAME(vf_store)(float *p, vf a) { _mm512_storeu_ps(p, a); }
GD_INLINE vf GD_NAME(vf_add)(vf a, vf b) { return _mm512_add_ps(a, b); }
GD_INLINE vf GD_NAME(vf_fma)(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
GD_INLINE float GD_NAME(vf_sum)(vf a) {
    __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

GD_INLINE vd GD_NAME(vd_zero)(void) { return _mm512_setzero_pd(); }
GD_INLINE vd GD_NAME(vd_set)(double x) { return _mm512_set1_pd(x); }
GD_INLINE vd GD_NAME(vd_load)(const double *p) { return _mm512_loadu_pd(p); }
GD_INLINE vd GD_NAME(vd_load_part)(const double *p, int n) { return _mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1u), p); }
GD_INLINE vd GD_NAME(vd_from_floats)(const float *p, int n) {
    return _mm512_cvtps_pd(_mm256_maskz_loadu_ps((__mmask8)((1u << n) - 1u), p));
}
/* Lane i = p[at[i]] of the first n lanes, 0 of the others. `at` has room for whole lanes. Not at level 0, which has no such instruction. */
GD_INLINE vd GD_NAME(vd_gather)(const double *p, const int32_t *at, int n) {
    __m256i all = _mm256_loadu_si256((const __m256i *)(const void *)at);
    return _mm512_mask_i32gather_pd(_mm512_setzero_pd(), (__mmask8)((1u << n) - 1u), all, p, 8);
}
GD_INLINE void GD_NAME(vd_store)(double *p, vd a) { _mm512_storeu_pd(p, a); }
GD_INLINE vd GD_NAME(vd_add)(vd a, vd b) { return _mm512_add_pd(a, b); }
GD_INLINE vd GD_NAME(vd_fma)(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }
GD_INLINE double GD_NAME(vd_sum)(vd a) {
    __m256d b = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    __m128d c = _mm_add_pd(_mm256_castpd256_pd128(b), _mm256_extractf128_pd(b, 1));
    return _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c)));
}

/* Lane i = the sum of a[i], in vf_sum's order: each round of additions folds the lanes of two vectors into one. a is spent. */
GD_INLINE vf GD_NAME(vf_sum_each)(vf *a) {
    for (int i = 0; i < 8; i++)
        a[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a[i], a[i + 8], 0x44), _mm512_shuffle_f32x4(a[i], a[i + 8], 0xee));
    for (int i = 0; i < 4; i++)
        a[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a[i], a[i + 4], 0x88), _mm512_shuffle_f32x4(a[i], a[i + 4], 0xdd));
    for (int i = 0; i < 2; i++)
        a[i] = _mm512_add_ps(_mm512_shuffle_ps(a[i], a[i + 2], 0x44), _mm512_shuffle_ps(a[i], a[i + 2], 0xee));
    vf mixed = _mm512_add_ps(_mm512_shuffle_ps(a[0], a[1], 0x88), _mm512_shuffle_ps(a[0], a[1], 0xdd));
    /* lanes hold the rows 0 2 1 3, 8 10 9 11, 4 6 5 7, 12 14 13 15 */
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15), mixed);
}
GD_INLINE vd GD_NAME(vd_sum_each)(vd *a) {
    for (int i = 0; i < 4; i++)
        a[i] = _mm512_add_pd(_mm512_shuffle_f64x2(a[i], a[i + 4], 0x44), _mm512_shuffle_f64x2(a[i], a[i + 4], 0xee));
    for (int i = 0; i < 2; i++)
        a[i] = _mm512_add_pd(_mm512_shuffle_f64x2(a[i], a[i + 2], 0x88), _mm512_shuffle_f64x2(a[i], a[i + 2], 0xdd));
    vd mixed = _mm512_add_pd(_mm512_unpacklo_pd(a[0], a[1]), _mm512_unpackhi_pd(a[0], a[1])); /* rows 0 1, 4 5, 2 3, 6 7 */
    return _mm512_shuffle_f64x2(mixed, mixed, 0xd8);
}

/* x where a < b, else 0. */
GD_INLINE vf GD_NAME(vf_if_below)(vf a, vf b, vf x) { return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), x); }
GD_INLINE vd GD_NAME(vd_if_below)(vd a, vd b, vd x) { return _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(a, b, _CMP_LT_OQ), x); }

/* a[i][l] <-> a[l][i]. Within quarters of 16 bytes first, then the quarters change places. */
GD_INLINE void GD_NAME(vf_turn)(vf *a) {
    vf t[16];
    GD_UNROLL for (int i = 0; i < 16; i += 2) t[i] = _mm512_unpacklo_ps(a[i], a[i + 1]), t[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    GD_UNROLL for (int i = 0; i < 16; i += 4)
        GD_UNROLL for (int j = 0; j < 2; j++) {
            __m512d low = _mm512_castps_pd(t[i + j]), high = _mm512_castps_pd(t[i + j + 2]);
            a[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high)),
                a[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
        }
    GD_UNROLL for (int j = 0; j < 4; j++) {
        vf even = _mm512_shuffle_f32x4(a[j], a[j + 4], 0x88), odd = _mm512_shuffle_f32x4(a[j], a[j + 4], 0xdd);
        vf even_2 = _mm512_shuffle_f32x4(a[j + 8], a[j + 12], 0x88), odd_2 = _mm512_shuffle_f32x4(a[j + 8], a[j + 12], 0xdd);
        a[j] = _mm512_shuffle_f32x4(even, even_2, 0x88), a[j + 8] = _mm512_shuffle_f32x4(even, even_2, 0xdd);
        a[j + 4] = _mm512_shuffle_f32x4(odd, odd_2, 0x88), a[j + 12] = _mm512_shuffle_f32x4(odd, odd_2, 0xdd);
    }
}
GD_INLINE void GD_NAME(vd_turn)(vd *a) {
    GD_UNROLL for (int i = 0; i < 8; i += 2) {
        vd low = _mm512_unpacklo_pd(a[i], a[i + 1]), high = _mm512_unpackhi_pd(a[i], a[i + 1]);
        a[i] = low, a[i + 1] = high;
    }
    GD_UNROLL for (int j = 0; j < 2; j++) {
        vd even = _mm512_shuffle_f64x2(a[j], a[j + 2], 0x88), odd = _mm512_shuffle_f64x2(a[j], a[j + 2], 0xdd);
        vd even_2 = _mm512_shuffle_f64x2(a[j + 4], a[j + 6], 0x88), odd_2 = _mm512_shuffle_f64x2(a[j + 4], a[j + 6], 0xdd);
        a[j] = _mm512_shuffle_f64x2(even, even_2, 0x88), a[j + 4] = _mm512_shuffle_f64x2(even, even_2, 0xdd);
        a[j + 2] = _mm512_shuffle_f64x2(odd, odd_2, 0x88), a[j + 6] = _mm512_shuffle_f64x2(odd, odd_2, 0xdd);
    }
}

#elif GD_LEVEL == 2

typedef struct { __m256 v[2]; } vf;
typedef struct { __m256d v[2]; } vd;
#define GD_FMA(a, b, c) __builtin_fma(a, b, c)
#define GD_FMA_F(a, b, c) __builtin_fmaf(a, b, c)

GD_INLINE vf GD_NAME(vf_zero)(void) { return (vf){{_mm256_setzero_ps(), _mm256_setzero_ps()}}; }
GD_INLINE vf GD_NAME(vf_set)(float x) { return (vf){{_mm256_set1_ps(x), _mm256_set1_ps(x)}}; }
GD_INLINE vf GD_NAME(vf_load)(const float *p) { return (vf){{_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}}; }
GD_INLINE __m256i GD_NAME(mask_f)(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
GD_INLINE vf GD_NAME(vf_load_part)(const float *p, int n) {
    return (vf){{_mm256_maskload_ps(p, GD_NAME(mask_f)(n)), _mm256_maskload_ps(p + 8, GD_NAME(mask_f)(n - 8))}};
}
#define GD_WIDE_INTEGER(name, to, load, half)                                                                         \
    GD_INLINE vf GD_NAME(vf_from_##name)(const char *p) {                                                             \
        return (vf){{_mm256_cvtepi32_ps(_mm256_cvt##to##_epi32(load((const __m128i *)(const void *)p))),              \
                     _mm256_cvtepi32_ps(_mm256_cvt##to##_epi32(load((const __m128i *)(const void *)(p + half))))}};   \
    }
GD_WIDE_INTEGER(U8, epu8, _mm_loadl_epi64, 8)
GD_WIDE_INTEGER(I8, epi8, _mm_loadl_epi64, 8)
GD_WIDE_INTEGER(U16, epu16, _mm_loadu_si128, 16)
GD_WIDE_INTEGER(I16, epi16, _mm_loadu_si128, 16)
#undef GD_WIDE_INTEGER
GD_INLINE vf GD_NAME(vf_from_F16)(const char *p) {
    return (vf){{_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p)),
                 _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 16)))}};
}
GD_INLINE vf GD_NAME(vf_first)(vf a, int n) { /* n lanes, the others 0 */
    return (vf){{_mm256_and_ps(a.v[0], _mm256_castsi256_ps(GD_NAME(mask_f)(n))),
                 _mm256_and_ps(a.v[1], _mm256_castsi256_ps(GD_NAME(mask_f)(n - 8)))}};
}
GD_INLINE void GD_NAME(vf_store)(float *p, vf a) { _mm256_storeu_ps(p, a.v[0]); _mm256_storeu_ps(p + 8, a.v[1]); }
GD_INLINE vf GD_NAME(vf_add)(vf a, vf b) {
    return (vf){{_mm256_add_ps(a.v[0], b.v[0]), _mm256_add_ps(a.v[1], b.v[1])}};
}
GD_INLINE vf GD_NAME(vf_fma)(vf a, vf b, vf c) {
    return (vf){{_mm256_fmadd_ps(a.v[0], b.v[0], c.v[0]), _mm256_fmadd_ps(a.v[1], b.v[1], c.v[1])}};
}
GD_INLINE float GD_NAME(vf_sum)(vf a) {
    __m256 b = _mm256_add_ps(a.v[0], a.v[1]);
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

GD_INLINE vd GD_NAME(vd_zero)(void) { return (vd){{_mm256_setzero_pd(), _mm256_setzero_pd()}}; }
GD_INLINE vd GD_NAME(vd_set)(double x) { return (vd){{_mm256_set1_pd(x), _mm256_set1_pd(x)}}; }
GD_INLINE vd GD_NAME(vd_load)(const double *p) { return (vd){{_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)}}; }
GD_INLINE __m256i GD_NAME(mask_d)(int n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
GD_INLINE vd GD_NAME(vd_load_part)(const double *p, int n) {
    return (vd){{_mm256_maskload_pd(p, GD_NAME(mask_d)(n)), _mm256_maskload_pd(p + 4, GD_NAME(mask_d)(n - 4))}};
}
GD_INLINE vd GD_NAME(vd_from_floats)(const float *p, int n) {
    __m256 all = _mm256_maskload_ps(p, GD_NAME(mask_f)(n));
    return (vd){{_mm256_cvtps_pd(_mm256_castps256_ps128(all)), _mm256_cvtps_pd(_mm256_extractf128_ps(all, 1))}};
}
GD_INLINE __m256d GD_NAME(gather_half)(const double *p, const int32_t *at, int n) {
    __m128i all = _mm_loadu_si128((const __m128i *)(const void *)at);
    return _mm256_mask_i32gather_pd(_mm256_setzero_pd(), p, all, _mm256_castsi256_pd(GD_NAME(mask_d)(n)), 8);
}
GD_INLINE vd GD_NAME(vd_gather)(const double *p, const int32_t *at, int n) {
    return (vd){{GD_NAME(gather_half)(p, at, n), GD_NAME(gather_half)(p, at + 4, n - 4)}};
}
GD_INLINE void GD_NAME(vd_store)(double *p, vd a) { _mm256_storeu_pd(p, a.v[0]); _mm256_storeu_pd(p + 4, a.v[1]); }
GD_INLINE vd GD_NAME(vd_add)(vd a, vd b) {
    return (vd){{_mm256_add_pd(a.v[0], b.v[0]), _mm256_add_pd(a.v[1], b.v[1])}};
}
GD_INLINE vd GD_NAME(vd_fma)(vd a, vd b, vd c) {
    return (vd){{_mm256_fmadd_pd(a.v[0], b.v[0], c.v[0]), _mm256_fmadd_pd(a.v[1], b.v[1], c.v[1])}};
}
GD_INLINE double GD_NAME(vd_sum)(vd a) {
    __m256d b = _mm256_add_pd(a.v[0], a.v[1]);
    __m128d c = _mm_add_pd(_mm256_castpd256_pd128(b), _mm256_extractf128_pd(b, 1));
    return _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c)));
}

/* Lane i = the sum of a[i], in vf_sum's order. a is spent. */
GD_INLINE vf GD_NAME(vf_sum_each)(vf *a) {
    __m256 b[8];
    for (int i = 0; i < 8; i++) {
        __m256 x = _mm256_add_ps(a[i].v[0], a[i].v[1]), y = _mm256_add_ps(a[i + 8].v[0], a[i + 8].v[1]);
        b[i] = _mm256_add_ps(_mm256_permute2f128_ps(x, y, 0x20), _mm256_permute2f128_ps(x, y, 0x31));
    }
    for (int i = 0; i < 4; i++)
        b[i] = _mm256_add_ps(_mm256_shuffle_ps(b[i], b[i + 4], 0x44), _mm256_shuffle_ps(b[i], b[i + 4], 0xee));
    for (int i = 0; i < 2; i++) /* rows 0 4 2 6, 8 12 10 14 and 1 5 3 7, 9 13 11 15 */
        b[i] = _mm256_add_ps(_mm256_shuffle_ps(b[i], b[i + 2], 0x88), _mm256_shuffle_ps(b[i], b[i + 2], 0xdd));
    __m256 low = _mm256_unpacklo_ps(b[0], b[1]), high = _mm256_unpackhi_ps(b[0], b[1]);
    __m256 first = _mm256_shuffle_ps(low, high, 0x44), last = _mm256_shuffle_ps(low, high, 0xee);
    return (vf){{_mm256_permute2f128_ps(first, last, 0x20), _mm256_permute2f128_ps(first, last, 0x31)}};
}
GD_INLINE vd GD_NAME(vd_sum_each)(vd *a) {
    __m256d b[4];
    for (int i = 0; i < 4; i++) {
        __m256d x = _mm256_add_pd(a[i].v[0], a[i].v[1]), y = _mm256_add_pd(a[i + 4].v[0], a[i + 4].v[1]);
        b[i] = _mm256_add_pd(_mm256_permute2f128_pd(x, y, 0x20), _mm256_permute2f128_pd(x, y, 0x31));
    }
    for (int i = 0; i < 4; i += 2) b[i] = _mm256_add_pd(_mm256_unpacklo_pd(b[i], b[i + 1]), _mm256_unpackhi_pd(b[i], b[i + 1]));
    return (vd){{_mm256_permute2f128_pd(b[0], b[2], 0x20), _mm256_permute2f128_pd(b[0], b[2], 0x31)}};
}

/* x where a < b, else 0. */
GD_INLINE vf GD_NAME(vf_if_below)(vf a, vf b, vf x) {
    return (vf){{_mm256_and_ps(_mm256_cmp_ps(a.v[0], b.v[0], _CMP_LT_OQ), x.v[0]),
        _mm256_and_ps(_mm256_cmp_ps(a.v[1], b.v[1], _CMP_LT_OQ), x.v[1])}};
}
GD_INLINE vd GD_NAME(vd_if_below)(vd a, vd b, vd x) {
    return (vd){{_mm256_and_pd(_mm256_cmp_pd(a.v[0], b.v[0], _CMP_LT_OQ), x.v[0]),
        _mm256_and_pd(_mm256_cmp_pd(a.v[1], b.v[1], _CMP_LT_OQ), x.v[1])}};
}

/* a[i][l] <-> a[l][i], in four blocks: first within halves of 16 bytes, then the halves change places. */
GD_INLINE void GD_NAME(vf_turn)(vf *a) {
    __m256 t[8], out[4][8];
    GD_UNROLL for (int b = 0; b < 4; b++) {
        const vf *from = a + b / 2 * 8;
        GD_UNROLL for (int i = 0; i < 8; i += 2)
            t[i] = _mm256_unpacklo_ps(from[i].v[b % 2], from[i + 1].v[b % 2]),
                t[i + 1] = _mm256_unpackhi_ps(from[i].v[b % 2], from[i + 1].v[b % 2]);
        GD_UNROLL for (int j = 0; j < 4; j++) {
            __m256 a0 = t[j / 2], a1 = t[j / 2 + 2], a2 = t[j / 2 + 4], a3 = t[j / 2 + 6];
            __m256 low = j % 2 ? _mm256_shuffle_ps(a0, a1, 0xee) : _mm256_shuffle_ps(a0, a1, 0x44);
            __m256 high = j % 2 ? _mm256_shuffle_ps(a2, a3, 0xee) : _mm256_shuffle_ps(a2, a3, 0x44);
            out[b][j] = _mm256_permute2f128_ps(low, high, 0x20), out[b][j + 4] = _mm256_permute2f128_ps(low, high, 0x31);
        }
    }
    GD_UNROLL for (int b = 0; b < 4; b++)
        GD_UNROLL for (int i = 0; i < 8; i++) a[b % 2 * 8 + i].v[b / 2] = out[b][i];
}
GD_INLINE void GD_NAME(vd_turn)(vd *a) {
    __m256d out[4][4];
    GD_UNROLL for (int b = 0; b < 4; b++) {
        const vd *from = a + b / 2 * 4;
        GD_UNROLL for (int j = 0; j < 2; j++) {
            __m256d x = from[0].v[b % 2], y = from[1].v[b % 2], z = from[2].v[b % 2], w = from[3].v[b % 2];
            __m256d low = j ? _mm256_unpackhi_pd(x, y) : _mm256_unpacklo_pd(x, y),
                high = j ? _mm256_unpackhi_pd(z, w) : _mm256_unpacklo_pd(z, w);
            out[b][j] = _mm256_permute2f128_pd(low, high, 0x20), out[b][j + 2] = _mm256_permute2f128_pd(low, high, 0x31);
        }
    }
    GD_UNROLL for (int b = 0; b < 4; b++)
        GD_UNROLL for (int i = 0; i < 4; i++) a[b % 2 * 4 + i].v[b / 2] = out[b][i];
}

#else /* generic: 16-byte registers, which every 64-bit machine has */

#ifndef GD_GENERIC_TYPES
#define GD_GENERIC_TYPES
typedef float f4 __attribute__((vector_size(16)));
typedef double d2 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));
typedef int64_t i2 __attribute__((vector_size(16)));
#endif
typedef struct { f4 v[4]; } vf;
typedef struct { d2 v[4]; } vd;

#if defined(__aarch64__)
#define GD_FMA(a, b, c) __builtin_fma(a, b, c)
#define GD_FMA_F(a, b, c) __builtin_fmaf(a, b, c)
#define GD_FMA_F4(a, b, c) ((f4)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#define GD_FMA_D2(a, b, c) ((d2)vfmaq_f64((float64x2_t)(c), (float64x2_t)(a), (float64x2_t)(b)))
#else
#define GD_FMA(a, b, c) ((a) * (b) + (c))
#define GD_FMA_F(a, b, c) ((a) * (b) + (c))
#define GD_FMA_F4(a, b, c) ((a) * (b) + (c))
#define GD_FMA_D2(a, b, c) ((a) * (b) + (c))
#endif
#define GD_EACH(r, expression) \
    do { for (int i = 0; i < 4; i++) (r).v[i] = (expression); } while (0)

GD_INLINE vf GD_NAME(vf_set)(float x) { vf r; GD_EACH(r, ((f4){x, x, x, x})); return r; }
GD_INLINE vf GD_NAME(vf_zero)(void) { return GD_NAME(vf_set)(0.0f); }
GD_INLINE vf GD_NAME(vf_load)(const float *p) { vf r; memcpy(&r, p, sizeof r); return r; }
GD_INLINE vf GD_NAME(vf_load_part)(const float *p, int n) { /* no memcpy: a call for a few bytes */
    vf r = GD_NAME(vf_zero)();
    int v = 0;
    for (; 4 * v + 4 <= n; v++) memcpy(&r.v[v], p + 4 * v, sizeof r.v[v]);
    for (int i = 4 * v; i < n; i++) r.v[v][i & 3] = p[i];
    return r;
}
GD_INLINE void GD_NAME(vf_store)(float *p, vf a) { memcpy(p, &a, sizeof a); }
GD_INLINE vf GD_NAME(vf_add)(vf a, vf b) { vf r; GD_EACH(r, a.v[i] + b.v[i]); return r; }
GD_INLINE vf GD_NAME(vf_fma)(vf a, vf b, vf c) { vf r; GD_EACH(r, GD_FMA_F4(a.v[i], b.v[i], c.v[i])); return r; }
GD_INLINE float GD_NAME(vf_sum)(vf a) {
    f4 c = (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]);
    return (c[0] + c[2]) + (c[1] + c[3]);
}

GD_INLINE vd GD_NAME(vd_set)(double x) { vd r; GD_EACH(r, ((d2){x, x})); return r; }
GD_INLINE vd GD_NAME(vd_zero)(void) { return GD_NAME(vd_set)(0.0); }
GD_INLINE vd GD_NAME(vd_load)(const double *p) { vd r; memcpy(&r, p, sizeof r); return r; }
GD_INLINE vd GD_NAME(vd_load_part)(const double *p, int n) {
    vd r = GD_NAME(vd_zero)();
    int v = 0;
    for (; 2 * v + 2 <= n; v++) memcpy(&r.v[v], p + 2 * v, sizeof r.v[v]);
    if (2 * v < n) r.v[v][0] = p[2 * v];
    return r;
}
GD_INLINE vd GD_NAME(vd_from_floats)(const float *p, int n) {
    double full[8] = {0};
    for (int i = 0; i < n; i++) full[i] = (double)p[i];
    return GD_NAME(vd_load)(full);
}
GD_INLINE void GD_NAME(vd_store)(double *p, vd a) { memcpy(p, &a, sizeof a); }
GD_INLINE vd GD_NAME(vd_add)(vd a, vd b) { vd r; GD_EACH(r, a.v[i] + b.v[i]); return r; }
GD_INLINE vd GD_NAME(vd_fma)(vd a, vd b, vd c) { vd r; GD_EACH(r, GD_FMA_D2(a.v[i], b.v[i], c.v[i])); return r; }
GD_INLINE double GD_NAME(vd_sum)(vd a) {
    d2 c = (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]);
    return c[0] + c[1];
}

/* Lane i = the sum of a[i]. */
GD_INLINE vf GD_NAME(vf_sum_each)(vf *a) {
    float sums[16];
    for (int i = 0; i < 16; i++) sums[i] = GD_NAME(vf_sum)(a[i]);
    return GD_NAME(vf_load)(sums);
}
GD_INLINE vd GD_NAME(vd_sum_each)(vd *a) {
    double sums[8];
    for (int i = 0; i < 8; i++) sums[i] = GD_NAME(vd_sum)(a[i]);
    return GD_NAME(vd_load)(sums);
}

/* x where a < b, else 0. */
GD_INLINE vf GD_NAME(vf_if_below)(vf a, vf b, vf x) { vf r; GD_EACH(r, (f4)((i4)x.v[i] & (i4)(a.v[i] < b.v[i]))); return r; }
GD_INLINE vd GD_NAME(vd_if_below)(vd a, vd b, vd x) { vd r; GD_EACH(r, (d2)((i2)x.v[i] & (i2)(a.v[i] < b.v[i]))); return r; }

/* a[i][l] <-> a[l][i]. */
GD_INLINE void GD_NAME(vf_turn)(vf *a) {
    float in[16][16], out[16][16];
    memcpy(in, a, sizeof in);
    for (int i = 0; i < 16; i++)
        for (int l = 0; l < 16; l++) out[l][i] = in[i][l];
    memcpy(a, out, sizeof out);
}
GD_INLINE void GD_NAME(vd_turn)(vd *a) {
    double in[8][8], out[8][8];
    memcpy(in, a, sizeof in);
    for (int i = 0; i < 8; i++)
        for (int l = 0; l < 8; l++) out[l][i] = in[i][l];
    memcpy(a, out, sizeof out);
}

#undef GD_EACH
#endif
