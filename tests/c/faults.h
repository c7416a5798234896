/* Faults on demand. The test build puts this file in front of every engine source (-include): the engine's calls of the
 * C library that may fail go through faults.c, which can make the k-th one fail and counts what was not given back. */
#ifndef FAULTS_H
#define FAULTS_H

#ifdef GD_FAULTS
#define malloc fault_malloc
#define calloc fault_calloc
#define realloc fault_realloc
#define aligned_alloc fault_aligned_alloc
#define posix_memalign fault_posix_memalign
#define free fault_free
#define pthread_create fault_pthread_create
#else

/* The allocation after `successes` more fails, once or (lasting) together with all later ones; -1: none fails. */
void fault_allocations(long successes, int lasting);
/* Threads beyond `successes` more cannot be started; -1: all can. */
void fault_threads(long successes);

int fault_happened(void);     /* how many failures were injected since the last of the two calls above */
long fault_live(void);        /* pieces of memory that the engine has not given back */
long fault_threads_ever(void); /* threads that the engine has started so far */

#endif
#endif
