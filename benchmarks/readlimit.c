/* The read limit: every byte of a buffer is loaded into a register once, by n threads, and nothing else happens to it.
 *
 * A thread reads its part in `streams` streams at a time, neighbouring pages of 4 KB: processors fetch ahead along each
 * stream by itself, so that several may read faster than one. Compiled when the benchmarks start, for the machine they run on.
 */
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum { PAGE = 4096, LINE = 64, MOST_THREADS = 64 };

typedef uint64_t line __attribute__((vector_size(LINE), aligned(1), may_alias));

typedef struct part {
    const char *data;
    size_t bytes;
    int streams, times;
    uint64_t bits; /* of all words, or-ed: keeps the loads alive */
} part;

static inline __attribute__((always_inline)) uint64_t read_streams(const char *data, size_t bytes, const int streams) {
    line seen[4] = {{0}};
    uint64_t bits = 0;
    size_t at = 0, group = (size_t)streams * PAGE;
    for (; at + group <= bytes; at += group)
        for (size_t i = 0; i < PAGE; i += 4 / streams * LINE)
            for (int s = 0; s < 4; s++)
                seen[s] |= *(const line *)(data + at + (size_t)(s % streams) * PAGE + i + (size_t)(s / streams) * LINE);
    for (; at + LINE <= bytes; at += LINE) seen[0] |= *(const line *)(data + at);
    for (; at < bytes; at++) bits |= (uint64_t)(unsigned char)data[at];
    for (int s = 0; s < 4; s++)
        for (int i = 0; i < 8; i++) bits |= seen[s][i];
    return bits;
}

static void *read_part(void *argument) {
    part *p = argument;
    for (int i = 0; i < p->times; i++) {
        p->bits |= p->streams == 1 ? read_streams(p->data, p->bytes, 1) : read_streams(p->data, p->bytes, 4);
        __asm__ volatile("" ::: "memory"); /* or the compiler would read once for all times */
    }
    return NULL;
}

/* streams: 1 or 4; times: how often. Threads are created for the call, as gdfast does. */
uint64_t read_all(const char *data, size_t bytes, int streams, int n_threads, int times) {
    part parts[MOST_THREADS];
    pthread_t threads[MOST_THREADS];
    int n = n_threads < MOST_THREADS ? n_threads : MOST_THREADS, started = 1;
    size_t each = bytes / (size_t)n / LINE * LINE;
    for (int i = 0; i < n; i++)
        parts[i] = (part){data + (size_t)i * each, i == n - 1 ? bytes - (size_t)i * each : each, streams, times, 0};
    while (started < n && !pthread_create(&threads[started], NULL, read_part, &parts[started])) started++;
    read_part(&parts[0]);
    for (int i = started; i < n; i++) read_part(&parts[i]);
    uint64_t bits = parts[0].bits;
    for (int i = 1; i < n; i++) {
        if (i < started) pthread_join(threads[i], NULL);
        bits |= parts[i].bits;
    }
    return bits;
}
