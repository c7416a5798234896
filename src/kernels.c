/* The kernels, compiled once per instruction set from the same source, with the same flags, in one file: each copy stands
 * between target pragmas and carries a suffix. See DESIGN section "Dispatch"; the choice among them is in dispatch.c. */
#include "kernels.h"
#include "many.h"
#include "points.h"
#include "turned.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* In front of a loop over registers: unrolled before the compiler decides which arrays live in memory. */
#if defined(__clang__)
#define GD_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define GD_UNROLL _Pragma("GCC unroll 16")
#else
#define GD_UNROLL
#endif

#if defined(__GNUC__)
#define GD_INLINE static inline __attribute__((always_inline, unused))
#define GD_PREFETCH(p) __builtin_prefetch(p)
#else
#define GD_INLINE static inline
#define GD_PREFETCH(p) ((void)(p))
#endif

#define GD_JOIN_(a, b) a##_##b
#define GD_JOIN(a, b) GD_JOIN_(a, b)
#define GD_NAME(name) GD_JOIN(name, GD_ISA)

/* Bytes of the next tile to ask for during a stage of this one: several streams of them, `stride` apart, since memory delivers those
 * faster than one. row, element: what this tile's own rows and elements take up, to keep pace with. */
typedef struct gd_ahead { const char *data; int64_t row, element, stride; } gd_ahead;
enum { GD_STREAMS = 4, GD_AT_ONCE = 1024 }; /* and about as many bytes as a processor waits for at once */

/* Of the bytes of the next tile, those to ask for while this one is turned: that takes as long as so many columns do. */
#define GD_TURN_SHARE(bytes, columns) ((bytes) * 8 / (8 + (columns)))

/* How many rows ahead a scattered row is asked for, and how many bytes of it; the processor's own prefetcher goes on. */
enum { GD_ROWS_AHEAD = 32, GD_BYTES_AHEAD = 512 };

/* Vectors of outputs that a sparse row's entries are multiplied with at once. */
enum { GD_CSR_VECTORS = 4 };

/* A walk over CSR rows up to `end`, in pieces: rows first ... first + rows - 1 are in the scratch, or of a long row the entries after
 * the `done` that earlier pieces had, with `left` to come. Begins as {.first, .end}. */
typedef struct gd_piece { int64_t first, end, rows, done, left; } gd_piece;

/* Slopes found at once where one row is all there is. */
enum { GD_SLOPES = 2 };

#define GD_STRING_(x) #x
#define GD_STRING(x) GD_STRING_(x)

#define GD_ISA baseline
#define GD_LEVEL 0
#include "isa.inc"

#if defined(__x86_64__) && defined(__GNUC__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif
#define GD_ISA avx2
#define GD_LEVEL 2
#include "isa.inc"
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,f16c,prefer-vector-width=512")
#endif
#define GD_ISA avx512
#define GD_LEVEL 3
#include "isa.inc"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
