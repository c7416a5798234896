/* More rows than 32 bits count, without the memory for them: one row, repeated by a stride of 0. */
#include <math.h>

#include "check.h"
#include "gdfast.h"

void test_big(void) {
    static const float row[4] = {1.0f, 2.0f, -1.0f, 0.5f};
    static const double target = 2.0;
    const int64_t n = ((int64_t)1 << 31) + 7;
    double coef[4] = {0.5, 0.25, 1.0, 2.0}, bias = 0.0, error, gradient[4], slope; /* z = 1 */
    gd_problem p = {.X = {(const char *)row, n, 4, 0, 4, GD_F32, 0}, .y = {(const char *)&target, n, 1, 0, 0, GD_F64, 0}, .n = n, .n_outputs = 1,
                    .fit_intercept = 1};
    CHECK(gd_error_and_gradient(&p, coef, &bias, 2, 0, &error, gradient, &slope) == GD_OK, "n %lld", (long long)n);
    CHECK(error == 0.5 && slope == -1.0, "error %.17g slope %.17g", error, slope);
    for (int j = 0; j < 4; j++) CHECK(gradient[j] == -(double)row[j], "gradient[%d] %.17g", j, gradient[j]);
}
