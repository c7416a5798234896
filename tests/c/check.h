/* The smallest test harness: CHECK counts and prints, a group is a function, main.c runs the groups. */
#ifndef CHECK_H
#define CHECK_H

/* CHECK(x == y, "case %d", i): if it fails, the line, the condition and the case are printed, and the run goes on. */
#define CHECK(condition, ...) check_that((condition) ? 1 : 0, __FILE__, __LINE__, #condition, __VA_ARGS__)

/* Some tests are too slow under a sanitizer, or beyond it. */
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

#if defined(__GNUC__)
__attribute__((format(printf, 5, 6)))
#endif
void check_that(int passed, const char *file, int line, const char *condition, const char *format, ...);

void test_pass(void);
void test_losses(void);
void test_descent(void);
void test_shuffle(void);
void test_faults(void);
void test_threads(void);
void test_fork(void);
void test_sparse(void);
void test_gram(void);
void test_bounds(void);
void test_many(void);
void test_points(void);
void test_moments(void);
void test_grid(void);
void test_span(void);
void test_dual(void);
void test_working(void);
void test_big(void);

#endif
