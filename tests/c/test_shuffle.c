/* The order of an epoch: every row once, another order for another seed or epoch, no place better than another. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/rng.h"
#include "check.h"

static int64_t *order(int64_t n, uint64_t seed, int64_t epoch, int64_t piece) {
    int64_t *rows = calloc((size_t)(n + piece), sizeof *rows), have = 0, got;
    gd_shuffle s;
    if (!rows) abort();
    gd_shuffle_start(&s, n, seed, epoch);
    while (have < n && (got = gd_shuffle_next(&s, piece, rows + have)) > 0) have += got;
    CHECK(have == n && gd_shuffle_next(&s, piece, rows + have) == 0, "n %d: %d rows", (int)n, (int)have);
    return rows;
}

static int is_permutation(const int64_t *rows, int64_t n) {
    char *seen = calloc((size_t)n, 1);
    if (!seen) abort();
    int64_t once = 0;
    for (int64_t i = 0; i < n; i++)
        if (rows[i] >= 0 && rows[i] < n && !seen[rows[i]]) seen[rows[i]] = 1, once++;
    free(seen);
    return once == n;
}

static void every_row_once(void) {
    static const int64_t large[] = {65535, 65536, 65537, 1000003, (1 << 20) + 1};
    for (int64_t i = 1; i <= 2005; i++) {
        int64_t n = i <= 2000 ? i : large[i - 2001];
        int64_t *rows = order(n, 42, i % 5, 4096);
        CHECK(is_permutation(rows, n), "n %d", (int)n);
        if (i % 100 == 7) {
            int64_t *pieces = order(n, 42, i % 5, 7);
            CHECK(!memcmp(rows, pieces, sizeof *rows * (size_t)n), "n %d in pieces", (int)n);
            free(pieces);
        }
        free(rows);
    }
}

/* Rows that stand at the same place in both orders: 1 on average in two independent ones. */
static int64_t agreements(int64_t n, uint64_t seed_a, int64_t epoch_a, uint64_t seed_b, int64_t epoch_b) {
    int64_t *a = order(n, seed_a, epoch_a, 4096), *b = order(n, seed_b, epoch_b, 4096), same = 0;
    for (int64_t i = 0; i < n; i++) same += a[i] == b[i];
    free(a), free(b);
    return same;
}

static void orders_differ(void) {
    for (int64_t n = 50; n <= 1000; n += 95)
        for (uint64_t seed = 0; seed < 30; seed++) {
            CHECK(agreements(n, seed, 1, seed, 2) <= 12, "n %d, two epochs of seed %d", (int)n, (int)seed);
            CHECK(agreements(n, seed, 1, seed + 1, 1) <= 12, "n %d, seeds %d and one more", (int)n, (int)seed);
            CHECK(agreements(n, seed, 1, seed ^ 1, 0) <= 12, "n %d, seed and epoch of seed %d mixed up", (int)n, (int)seed);
            CHECK(agreements(n, seed, 0, 1ULL << 40 | seed, 0) <= 12, "n %d, the upper bits of seed %d", (int)n, (int)seed);
        }
}

/* Over many seeds every row stands at every place, and behind every other row, about equally often. */
static void no_favourites(void) {
    static const int64_t sizes[] = {3, 5, 8, 13, 20};
    enum { SEEDS = 20000 };
    for (int s = 0; s < 5; s++) {
        int64_t n = sizes[s];
        double *places = calloc((size_t)(n * n), sizeof *places), *behind = calloc((size_t)(n * n), sizeof *behind);
        if (!places || !behind) abort();
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            int64_t *rows = order(n, seed, 3, 4096);
            for (int64_t i = 0; i < n; i++) places[i * n + rows[i]]++;
            for (int64_t i = 0; i + 1 < n; i++) behind[rows[i] * n + rows[i + 1]]++;
            free(rows);
        }
        for (int64_t i = 0; i < n * n; i++) {
            double place = places[i] / (SEEDS / (double)n), pair = behind[i] / (SEEDS / (double)n);
            CHECK(fabs(place - 1.0) < 0.2, "n %d: row %d at place %d %g times too often", (int)n, (int)(i % n), (int)(i / n), place);
            if (i / n != i % n) CHECK(pair > 0.2 && pair < 3.0, "n %d: row %d behind %d %g times too often", (int)n, (int)(i % n), (int)(i / n), pair);
        }
        free(places), free(behind);
    }
}

/* In a random order of n rows no distance from one to the next occurs more than some 10 times. */
static void no_pattern(void) {
    for (int64_t n = 1000; n <= 1000000; n *= 10)
        for (uint64_t seed = 0; seed < 3; seed++) {
            int64_t *rows = order(n, seed, 0, 4096), most = 0;
            int *count = calloc((size_t)(2 * n), sizeof *count);
            if (!count) abort();
            for (int64_t i = 0; i + 1 < n; i++) {
                int times = ++count[rows[i + 1] - rows[i] + n];
                if (times > most) most = times;
            }
            CHECK(most < 16, "n %d seed %d: one distance %d times", (int)n, (int)seed, (int)most);
            free(rows), free(count);
        }
}

void test_shuffle(void) {
    every_row_once();
    orders_differ();
    no_favourites();
    no_pattern();
}
