/* The sums of products that a metric is made of, for rows so sparse that stored entries alone are multiplied, against the definition. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "data.h"
#include "gram.h"

enum { ROWS = 700 };

typedef struct csr { double *dense, *values; int32_t *columns, starts[ROWS + 1]; } csr;

/* Some 4 % of the values are not 0, a column of them stored in nearly all rows; some entries are stored in two parts. */
static csr make_csr(int64_t d, dice *dice) {
    size_t size = (size_t)(ROWS * d);
    csr m = {.dense = calloc(size, 8), .values = malloc(2 * size * 8), .columns = malloc(2 * size * 4)};
    int32_t stored = 0;
    for (int64_t i = 0; i < ROWS; i++) {
        for (int64_t j = d - 1; j >= 0; j--)
            for (int parts = j == 3 ? i % 50 > 0 : roll_below(dice, 25) == 0 ? 1 + (int)roll_below(dice, 2) : 0; parts > 0; parts--) {
                m.values[stored] = roll_between(dice, 0.5, 2.0), m.columns[stored] = (int32_t)j;
                m.dense[i * d + j] += m.values[stored++];
            }
        m.starts[i + 1] = stored;
    }
    return m;
}

static void compare(int64_t d, int intercept, int subset) {
    dice dice = {(uint64_t)(d + 7 * intercept)};
    csr m = make_csr(d, &dice);
    int64_t rows[ROWS], n = subset ? ROWS / 2 : ROWS, p = d + intercept, p_pad = (p + GD_LANES_F - 1) / GD_LANES_F * GD_LANES_F, wrong = 0;
    double y = 0.0, h[ROWS], *center = calloc((size_t)(2 * d), 8), *scale = center + d;
    double *H = gd_alloc(p * p_pad, 8), *again = gd_alloc(p * p_pad, 8);
    for (int64_t i = 0; i < n; i++) rows[i] = subset ? ROWS - 1 - 2 * i : i, h[i] = roll_between(&dice, 0.0, 1.0);
    for (int64_t j = 0; j < d; j++) {
        scale[j] = j % 2 ? 0.25 : 0.5;
        for (int64_t i = 0; intercept && i < ROWS; i++) center[j] += m.dense[i * d + j] / ROWS;
    }
    gd_problem problem = {.X = {.data = (char *)m.values, .n_rows = ROWS, .n_cols = d, .type = GD_F64, .indices = m.columns,
                                .indptr = m.starts, .n_stored = m.starts[ROWS]},
                          .y = {.data = (char *)&y, .n_rows = ROWS, .n_cols = 1, .type = GD_F64},
                          .n = n, .n_outputs = 1, .fit_intercept = intercept, .loss = gd_loss_log_loss, .rows = subset ? rows : NULL};
    gd_columns columns = {center, scale, d, p, p_pad};
    for (int threads = 1; threads <= 7; threads += 6) {
        gd_engine engine;
        gd_gram gram = {NULL, n, h, threads == 1 ? H : again};
        gd_status status = gd_engine_init_for(&engine, &problem, 1e6, threads, NULL);
        if (!status) status = gd_gram_sum(&engine, &columns, &gram, 1);
        CHECK(status == GD_OK, "status %d", status);
        gd_engine_free(&engine);
    }
    for (int64_t j = 0; j < p; j++)
        for (int64_t l = j; l < p; l++) {
            long double sum = 0.0L, size = 0.0L;
            for (int64_t i = 0; i < n; i++) {
                const double *x = m.dense + rows[i] * d;
                long double a = j < d ? ((long double)x[j] - center[j]) * scale[j] : 1.0L;
                long double b = l < d ? ((long double)x[l] - center[l]) * scale[l] : 1.0L;
                sum += h[i] * a * b, size += h[i] * (fabsl(a) + 1.0L) * (fabsl(b) + 1.0L);
            }
            wrong += !(fabsl(H[j * p_pad + l] - sum) <= 1e-14L * size) || H[j * p_pad + l] != again[j * p_pad + l];
        }
    CHECK(wrong == 0, "%d elements of %d columns, intercept %d, subset %d", (int)wrong, (int)d, intercept, subset);
    free(m.dense), free(m.values), free(m.columns), free(center);
    gd_release(H), gd_release(again);
}

void test_gram(void) {
    static const int64_t dims[] = {30, 64, 123, 300};
    for (int i = 0; i < 4; i++)
        for (int variant = 0; variant < 4; variant++) compare(dims[i], variant % 2, variant / 2);
}
