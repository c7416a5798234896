/* Which instruction set: decided once, by gd_init, from what the processor and the operating system offer. */
#include "kernels.h"

#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const gd_kernels *now = &gd_kernels_baseline;

#if defined(__x86_64__) && defined(__GNUC__)
/* __builtin_cpu_supports also asks the operating system (XGETBV) whether it saves the wide registers. */
static int has_avx2(void) {
    unsigned a, b, c = 0, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __get_cpuid(1, &a, &b, &c, &d) &&
           (c & bit_F16C);
}
static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
#endif

const gd_kernels *gd_kernels_now(void) { return now; }

const gd_kernels *gd_kernels_named(const char *isa) {
    if (!isa) return now;
    if (!strcmp(isa, "baseline")) return &gd_kernels_baseline;
#if defined(__x86_64__) && defined(__GNUC__)
    if (!strcmp(isa, "avx2") && has_avx2()) return &gd_kernels_avx2;
    if (!strcmp(isa, "avx512") && has_avx512()) return &gd_kernels_avx512;
#endif
    return NULL;
}

const char *gd_available_isas(void) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (has_avx512()) return "baseline avx2 avx512";
    if (has_avx2()) return "baseline avx2";
#endif
    return "baseline";
}

gd_status gd_init(const char *isa) {
    const char *best = strrchr(gd_available_isas(), ' ');
    const gd_kernels *chosen = gd_kernels_named(isa ? isa : best ? best + 1 : "baseline");
    if (!chosen) return GD_BAD_ARGUMENT;
    now = chosen;
    return GD_OK;
}

const char *gd_isa_name(void) { return now->name; }

int gd_api_version(void) { return GD_API_VERSION; }
