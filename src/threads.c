#include "threads.h"

#include <pthread.h>
#include <stdlib.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

/* MXCSR: all exceptions masked, round to nearest, neither FTZ nor DAZ; FPCR: all zero. */
unsigned long gd_fp_enter(void) {
#if defined(__x86_64__)
    unsigned long state = _mm_getcsr();
    _mm_setcsr(0x1f80u);
    return state;
#elif defined(__aarch64__)
    unsigned long state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    __asm__ volatile("msr fpcr, %0" : : "r"(0ul));
    return state;
#else
    return 0;
#endif
}

void gd_fp_restore(unsigned long state) {
#if defined(__x86_64__)
    _mm_setcsr((unsigned)state);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(state));
#else
    (void)state;
#endif
}

typedef struct gd_team {
    pthread_mutex_t lock;
    int64_t next, n_tasks;
    gd_task fn;
    void *context;
} gd_team;

typedef struct gd_worker {
    gd_team *team;
    int id;
    pthread_t thread;
} gd_worker;

static void run_tasks(gd_team *team, int worker) {
    for (;;) {
        pthread_mutex_lock(&team->lock);
        int64_t task = team->next++;
        pthread_mutex_unlock(&team->lock);
        if (task >= team->n_tasks) return;
        team->fn(team->context, task, worker);
    }
}

static void *worker_main(void *argument) {
    gd_worker *worker = argument;
    gd_fp_enter();
    run_tasks(worker->team, worker->id);
    return NULL;
}

int gd_parallel(int64_t n_tasks, gd_task fn, void *context, int n_threads) {
    enum { MOST = 256 };
    gd_worker workers[MOST];
    gd_team team = {.next = 0, .n_tasks = n_tasks, .fn = fn, .context = context};
    int wanted = n_threads < MOST ? n_threads : MOST, started = 1;
    if (wanted > n_tasks) wanted = (int)n_tasks;
    if (wanted <= 1 || pthread_mutex_init(&team.lock, NULL)) {
        for (int64_t task = 0; task < n_tasks; task++) fn(context, task, 0);
        return 0;
    }
    for (; started < wanted; started++) {
        workers[started] = (gd_worker){.team = &team, .id = started};
        if (pthread_create(&workers[started].thread, NULL, worker_main, &workers[started])) break;
    }
    run_tasks(&team, 0);
    for (int i = 1; i < started; i++) pthread_join(workers[i].thread, NULL);
    pthread_mutex_destroy(&team.lock);
    return wanted - started;
}
