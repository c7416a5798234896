/* Runs the groups named on the command line, or all but `big`: test_engine [GROUP ...] */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "faults.h"
#include "gdfast.h"

enum { MOST_PRINTED = 10 }; /* failures of a group */

static long checks, failures, printed;

void check_that(int passed, const char *file, int line, const char *condition, const char *format, ...) {
    checks++;
    failures += !passed;
    if (passed || ++printed > MOST_PRINTED) return;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: %s [", file, line, condition);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "]\n");
    va_end(arguments);
}

static const struct group {
    const char *name;
    void (*run)(void);
    int on_request;
} groups[] = {
    {"losses", test_losses, 0}, {"pass", test_pass, 0},     {"shuffle", test_shuffle, 0}, {"descent", test_descent, 0}, {"sparse", test_sparse, 0},
    {"bounds", test_bounds, 0}, {"many", test_many, 0},     {"points", test_points, 0}, {"moments", test_moments, 0}, {"grid", test_grid, 0},
    {"span", test_span, 0}, {"dual", test_dual, 0},
    {"working", test_working, 0}, {"gram", test_gram, 0},
    {"faults", test_faults, 0}, {"threads", test_threads, 0}, {"fork", test_fork, 0},     {"big", test_big, 1},
};
enum { N_GROUPS = sizeof groups / sizeof *groups };

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run(const struct group *group) {
    long checks_before = checks, failures_before = failures, live = fault_live();
    double start = seconds();
    printed = 0;
    group->run();
    CHECK(fault_live() == live, "memory left by group %s", group->name);
    printf("%-8s %8ld checks %6.1f s%s\n", group->name, checks - checks_before, seconds() - start,
           failures > failures_before ? "  FAILED" : "");
    fflush(stdout);
}

int main(int n, char **names) {
    int named = 0;
    if (gd_init(NULL)) return 2;
    printf("instruction sets: %s\n", gd_available_isas());
    fflush(stdout);
    for (int i = 1; i < n; i++) {
        int known = 0;
        for (int g = 0; g < N_GROUPS; g++)
            if (!strcmp(names[i], groups[g].name)) run(&groups[g]), known = named = 1;
        if (!known) {
            fprintf(stderr, "unknown group %s\n", names[i]);
            return 2;
        }
    }
    for (int g = 0; !named && g < N_GROUPS; g++)
        if (!groups[g].on_request) run(&groups[g]);
    printf("%ld checks, %ld failures\n", checks, failures);
    return failures ? 1 : 0;
}
