/* Threads live for one call: started here, joined before gd_parallel returns. Nothing survives for fork to break. */
#ifndef GDFAST_THREADS_H
#define GDFAST_THREADS_H

#include <stdint.h>

typedef void (*gd_task)(void *context, int64_t task, int worker);

/* Run fn(context, task, worker) for every task in 0 ... n_tasks - 1; the caller is worker 0 and takes its share. Tasks
 * are handed out in order. Returns how many threads could not be started (their share falls to the others). */
int gd_parallel(int64_t n_tasks, gd_task fn, void *context, int n_threads);

/* Round to nearest, no flushing of subnormals: same bits in any process. Returns the caller's state for gd_fp_restore. */
unsigned long gd_fp_enter(void);
void gd_fp_restore(unsigned long state);

#endif
