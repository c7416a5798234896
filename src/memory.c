/* Memory of the engine: zeros, aligned to cache lines. */
#include <stdint.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "engine.h"

enum { LINE = 64, LARGE = 1 << 22, LARGE_PAGE = 1 << 21 };

/* Memory is handed out page by page as it is first touched, at a price that for 4 KB exceeds that of filling them several times. */
static void ask_for_large_pages(char *memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
    uintptr_t from = ((uintptr_t)memory + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1);
    uintptr_t to = ((uintptr_t)memory + bytes) & ~(uintptr_t)(LARGE_PAGE - 1);
    if (bytes >= LARGE && to > from) madvise((void *)from, to - from, MADV_HUGEPAGE); /* a wish: without it all goes on as it is */
#else
    (void)memory, (void)bytes;
#endif
}

void *gd_alloc(int64_t count, int64_t size) {
    if (count < 0 || size < 0 || (size > 0 && count > (INT64_MAX - 4 * LINE) / size)) return NULL;
    size_t bytes = (size_t)(count * size) + 3 * LINE; /* one to align to, with what is to be released before it; one to spare */
    char *memory = calloc(1, bytes); /* not memset: pages that nobody ever uses cost nothing */
    if (!memory) return NULL;
    ask_for_large_pages(memory, bytes);
    void **at = (void **)(((uintptr_t)memory + 2 * LINE - 1) & ~(uintptr_t)(LINE - 1));
    at[-1] = memory;
    return at;
}

void gd_release(void *memory) {
    if (memory) free(((void **)memory)[-1]);
}
