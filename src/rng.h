/* Shuffling without an index array: a keyed bijection of 0 ... 2^bits - 1, evaluated counter by counter, of which the
 * values below n are the order of an epoch. Keyed by (seed, epoch): any position can be recomputed, nothing is stored. */
#ifndef GDFAST_RNG_H
#define GDFAST_RNG_H

#include <stdint.h>

enum { GD_SHUFFLE_ROUNDS = 4 };

typedef struct gd_shuffle {
    uint64_t n, counter, mask;
    int shift; /* a little over half of the bits */
    uint64_t keys[GD_SHUFFLE_ROUNDS];
} gd_shuffle;

/* SplitMix64 (Steele, Lea & Flood 2014). */
static inline uint64_t gd_mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/* A fixed number in [0, 1) for each i. */
static inline double gd_within(int64_t i) { return (double)(gd_mix((uint64_t)i) >> 11) * 0x1p-53; }

static inline void gd_shuffle_start(gd_shuffle *s, int64_t n, uint64_t seed, int64_t epoch) {
    int bits = 1;
    while (bits < 63 && (1ULL << bits) < (uint64_t)n) bits++;
    s->n = (uint64_t)n;
    s->counter = 0;
    s->mask = (1ULL << bits) - 1;
    s->shift = bits / 2 + 1 < bits ? bits / 2 + 1 : 1;
    uint64_t key = gd_mix(seed ^ gd_mix((uint64_t)epoch));
    for (int r = 0; r < GD_SHUFFLE_ROUNDS; r++) s->keys[r] = key = gd_mix(key);
}

/* Each step is invertible modulo 2^bits: an odd factor, a sum, an xor with the upper bits. */
static inline uint64_t gd_shuffle_map(const gd_shuffle *s, uint64_t x) {
    for (int r = 0; r < GD_SHUFFLE_ROUNDS; r++) {
        x = (x * 0xd1342543de82ef95ULL + s->keys[r]) & s->mask;
        x ^= x >> s->shift;
    }
    return x;
}

/* The next `count` row numbers of the epoch (fewer at its end); returns how many. */
static inline int64_t gd_shuffle_next(gd_shuffle *s, int64_t count, int64_t *rows) {
    int64_t got = 0;
    while (got < count && s->counter <= s->mask) {
        uint64_t row = gd_shuffle_map(s, s->counter++);
        rows[got] = (int64_t)row;
        got += row < s->n;
    }
    return got;
}

#endif
