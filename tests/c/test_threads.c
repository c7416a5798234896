/* Threads: the same bits for any number, several callers at once, a caller's floating point state, fork. */
#include <fenv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "check.h"
#include "descend.h"
#include "faults.h"

enum { MOST = 80 };

static gd_status evaluate(const data *c, int n_threads, const gd_hooks *hooks, double *out) {
    int64_t n_coef = c->size - c->problem.n_outputs;
    return gd_error_and_gradient(&c->problem, c->weights, c->weights + n_coef, n_threads, hooks, out, out + 1, out + 1 + n_coef);
}

/* Every loss and stored type, tall enough for the engine to start threads, its last block and its tree incomplete. */
static void any_number_of_threads(void) {
    for (int loss = 0; loss <= GD_N_LOSSES; loss++)
        for (int type = 0; type < GD_N_TYPES; type++) {
            if ((loss + type) % (UNDER_TSAN ? 11 : 4) && (type > GD_F32 || UNDER_TSAN)) continue;
            recipe r = {.n = 20000 + 777 * type, .d = type % 2 ? 7 : 20, .k = (loss + type) % 4 == 3 ? 3 : 1, .type = type, .loss = loss,
                        .weighted = type % 3 == 2, .subset = type % 5 == 4, .seed = 4};
            if (loss == GD_N_LOSSES) r.loss = gd_loss_log_loss, r.softmax = 1, r.k = 3;
            if (r.k == 1) r.n *= 7;
            for (int how = LAYOUT_C; how <= LAYOUT_F; how++) {
                r.how = how;
                data c = data_make(&r);
                double expected[MOST], out[MOST];
                static const int threads[] = {2, 3, 7};
                CHECK(evaluate(&c, 1, NULL, expected) == GD_OK, "loss %d type %d", loss, type);
                for (int i = 0; i < 3; i++) {
                    long before = fault_threads_ever();
                    evaluate(&c, threads[i], NULL, out);
                    CHECK(fault_threads_ever() > before && fault_threads_ever() < before + threads[i], "loss %d type %d: %ld threads", loss, type,
                          fault_threads_ever() - before + 1);
                    CHECK(!memcmp(out, expected, sizeof *out * (size_t)(c.size + 1)), "loss %d type %d layout %d threads %d", loss, type, how, threads[i]);
                }
                data_free(&c);
            }
        }
}

/* Whole descents of problems whose passes take some ten microseconds, less than a thread takes to start: none is. */
static void none_for_little_work(void) {
    static const int64_t sizes[][2] = {{100, 5}, {1000, 10}, {10000, 20}, {200000, 20}};
    for (int loss = 0; loss < GD_N_LOSSES; loss++)
        for (int i = 0; i < 4; i++)
            for (int solver = 0; solver < N_SOLVERS; solver++) {
                recipe r = {.n = sizes[i][0], .d = sizes[i][1], .k = 1, .loss = loss, .l2 = 1e-3, .seed = 5};
                if (i == 3 && (loss || all_solvers[solver] > GD_SOLVER_GD)) continue;
                data c = data_make(&r);
                gd_settings s = plain_settings(all_solvers[solver]);
                s.n_threads = 8;
                long before = fault_threads_ever();
                outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
                long started = fault_threads_ever() - before;
                CHECK(i < 3 ? !started : started > 0, "loss %d solver %d: %ld threads for %ld rows", loss, all_solvers[solver], started, (long)r.n);
                outcome_free(&o);
                data_free(&c);
            }
}

/* ---- several callers --------------------------------------------------------------------------------------------- */

typedef struct caller { const data *c; const gd_settings *settings; const outcome *expected; double pass[MOST]; int wrong; } caller;

static void *call(void *context) {
    caller *me = context;
    double out[MOST];
    for (int round = 0; round < 3; round++) {
        evaluate(me->c, 2, NULL, out);
        me->wrong += memcmp(out, me->pass, sizeof *out * (size_t)(me->c->size + 1)) != 0;
        outcome o = descend(&me->c->problem, NULL, me->settings, NULL, NULL, NULL);
        me->wrong += !outcomes_equal(&o, me->expected);
        outcome_free(&o);
    }
    return NULL;
}

static void callers_at_once(void) {
    enum { CALLERS = 4 };
    recipe r = {.n = 100000, .d = 20, .k = 1, .type = GD_F32, .loss = gd_loss_log_loss, .l2 = 1e-3};
    data c = data_make(&r);
    gd_settings s = plain_settings(GD_SOLVER_AUTO);
    s.n_threads = 3;
    outcome expected = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
    pthread_t threads[CALLERS];
    caller callers[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (caller){.c = &c, .settings = &s, .expected = &expected};
        evaluate(&c, 1, NULL, callers[i].pass);
        if (pthread_create(&threads[i], NULL, call, &callers[i])) abort();
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(callers[i].wrong == 0, "caller %d: %d wrong", i, callers[i].wrong);
    }
    outcome_free(&expected);
    data_free(&c);
}

/* An interruption reaches all threads, in the middle of their work. */
static int stop_at_third(void *context) { return ++*(int *)context >= 3; }

static void interrupted_threads(void) {
    recipe r = {.n = 150000, .d = 20, .k = 1, .type = GD_F32, .loss = gd_loss_log_loss};
    data c = data_make(&r);
    gd_settings s = plain_settings(GD_SOLVER_GD);
    s.n_threads = 3, s.max_iter = 1 << 30;
    int polls = 0;
    gd_hooks hooks = {.poll = stop_at_third, .context = &polls};
    outcome o = descend(&c.problem, NULL, &s, NULL, &hooks, NULL);
    CHECK(o.status == GD_INTERRUPTED && polls == 3, "status %d after %d polls", o.status, polls);
    outcome_free(&o);
    data_free(&c);
}

/* ---- floating point state ----------------------------------------------------------------------------------------- */

/* Flushed subnormals and another rounding in the caller change no bit and are as they were afterwards. */
static void hostile_state(void) {
    recipe r = {.n = 100000, .d = 20, .k = 1, .loss = gd_loss_log_loss, .l2 = 1e-3};
    data c = data_make(&r);
    for (int64_t j = 0; j < 5; j++) c.weights[j] = 1e-310 * (double)(j + 1);
    gd_settings s = plain_settings(GD_SOLVER_AUTO);
    s.n_threads = 2;
    double expected[MOST], out[MOST];
    evaluate(&c, 1, NULL, expected);
    outcome plain = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
    for (int state = 0; state < 2; state++) {
        fenv_t before;
        fegetenv(&before);
        if (state == 0) fesetround(FE_UPWARD);
#if defined(__x86_64__)
        if (state == 1) _mm_setcsr(_mm_getcsr() | 0x8040u);
        unsigned own = _mm_getcsr() & ~0x3fu; /* but for the sticky exception flags */
#endif
        evaluate(&c, 3, NULL, out);
        outcome o = descend(&c.problem, NULL, &s, NULL, NULL, NULL);
#if defined(__x86_64__)
        unsigned afterwards = _mm_getcsr() & ~0x3fu;
#endif
        int rounding = fegetround();
        fesetenv(&before);
        CHECK(!memcmp(out, expected, sizeof *out * (size_t)(c.size + 1)) && outcomes_equal(&o, &plain), "state %d: other bits", state);
        CHECK(rounding == (state == 0 ? FE_UPWARD : FE_TONEAREST), "state %d: rounding", state);
#if defined(__x86_64__)
        CHECK(own == afterwards, "state %d: %x before, %x after", state, own, afterwards);
#endif
        outcome_free(&o);
    }
    outcome_free(&plain);
    data_free(&c);
}

void test_threads(void) {
    any_number_of_threads();
    none_for_little_work();
    callers_at_once();
    interrupted_threads();
    hostile_state();
}

/* ---- fork ---------------------------------------------------------------------------------------------------------- */

/* In a child: a pass with threads gives the bits expected. An alarm ends one that hangs. */
static int child_computes(const data *c, const double *expected) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        double out[MOST];
        alarm(60);
        int right = evaluate(c, 3, NULL, out) == GD_OK && !memcmp(out, expected, sizeof *out * (size_t)(c->size + 1));
        _exit(right ? 0 : 1);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

typedef struct forker { const data *c; const double *expected; int forks, wrong; } forker;

/* Forks in the middle of a pass, while its threads are at work. */
static int fork_now(void *context) {
    forker *f = context;
    f->forks++;
    f->wrong += !child_computes(f->c, f->expected);
    return 0;
}

typedef struct busy { const data *c; atomic_int stop; } busy;

static void *pass_after_pass(void *context) {
    busy *b = context;
    double out[MOST];
    while (!atomic_load(&b->stop)) evaluate(b->c, 3, NULL, out);
    return NULL;
}

void test_fork(void) {
    recipe r = {.n = 130000, .d = 20, .k = 1, .type = GD_F32, .loss = gd_loss_log_loss};
    data c = data_make(&r);
    double expected[MOST];
    evaluate(&c, 3, NULL, expected);
    for (int i = 0; i < 50; i++) CHECK(child_computes(&c, expected), "fork after a pass, round %d", i);
    /* under ASan its allocator may be locked by another thread at the moment of a fork, for ever in the child */
    int most = UNDER_ASAN ? 0 : 50;
    forker f = {&c, expected, 0, 0};
    gd_hooks hooks = {.poll = fork_now, .context = &f};
    double out[MOST];
    for (int i = 0; f.forks < most && i < 5000; i++) /* the other threads may have done it all before the caller polls */
        CHECK(evaluate(&c, 3, &hooks, out) == GD_OK && !memcmp(out, expected, sizeof *out * (size_t)(c.size + 1)), "parent, round %d", i);
    CHECK(f.forks >= most && f.wrong == 0, "fork during a pass: %d of %d wrong", f.wrong, f.forks);
    busy b = {.c = &c};
    pthread_t thread;
    if (pthread_create(&thread, NULL, pass_after_pass, &b)) abort();
    for (int i = 0; i < 2 * most; i++) CHECK(child_computes(&c, expected), "fork beside a pass, round %d", i);
    atomic_store(&b.stop, 1);
    pthread_join(thread, NULL);
    data_free(&c);
}
