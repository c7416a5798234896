#include "faults.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_long allocations_left = -1, threads_left = -1, live, threads_ever;
static atomic_int lasts, happened;

void fault_allocations(long successes, int lasting) {
    atomic_store(&happened, 0);
    atomic_store(&lasts, lasting);
    atomic_store(&allocations_left, successes);
}

void fault_threads(long successes) {
    atomic_store(&happened, 0);
    atomic_store(&threads_left, successes);
}

int fault_happened(void) { return atomic_load(&happened); }
long fault_live(void) { return atomic_load(&live); }
long fault_threads_ever(void) { return atomic_load(&threads_ever); }

static int allocation_fails(void) {
    long left = atomic_load(&allocations_left);
    if (left < 0) return 0;
    if (left > 0) {
        atomic_store(&allocations_left, left - 1);
        return 0;
    }
    if (!atomic_load(&lasts)) atomic_store(&allocations_left, -1);
    atomic_fetch_add(&happened, 1);
    return 1;
}

static void *counted(void *memory) {
    if (memory) atomic_fetch_add(&live, 1);
    return memory;
}

void *fault_malloc(size_t size);
void *fault_calloc(size_t count, size_t size);
void *fault_realloc(void *memory, size_t size);
void *fault_aligned_alloc(size_t alignment, size_t size);
int fault_posix_memalign(void **memory, size_t alignment, size_t size);
void fault_free(void *memory);
int fault_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);

void *fault_malloc(size_t size) { return allocation_fails() ? NULL : counted(malloc(size)); }

void *fault_calloc(size_t count, size_t size) { return allocation_fails() ? NULL : counted(calloc(count, size)); }

void *fault_realloc(void *memory, size_t size) {
    if (allocation_fails()) return NULL;
    void *moved = realloc(memory, size);
    return memory ? moved : counted(moved);
}

void *fault_aligned_alloc(size_t alignment, size_t size) {
    return allocation_fails() ? NULL : counted(aligned_alloc(alignment, size));
}

int fault_posix_memalign(void **memory, size_t alignment, size_t size) {
    if (allocation_fails()) return ENOMEM;
    int status = posix_memalign(memory, alignment, size);
    if (!status) counted(*memory);
    return status;
}

void fault_free(void *memory) {
    if (memory) atomic_fetch_sub(&live, 1);
    free(memory);
}

int fault_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    long left = atomic_load(&threads_left);
    if (left == 0) {
        atomic_fetch_add(&happened, 1);
        return EAGAIN;
    }
    if (left > 0) atomic_store(&threads_left, left - 1);
    atomic_fetch_add(&threads_ever, 1);
    return pthread_create(thread, attributes, start, argument);
}
