#include "flock.h"

#include <math.h>
#include <string.h>

#include "threads.h"

gd_status gd_flock_init(gd_flock *flock, int64_t n, const gd_metric *metric) {
    flock->n = n;
    flock->scratch = gd_alloc(flock->many->n_threads, 8 * gd_metric_scratch(metric));
    flock->moving = gd_alloc(n, sizeof *flock->moving);
    flock->models = gd_alloc(n, sizeof *flock->models);
    flock->weights = gd_alloc(2 * n, sizeof *flock->weights);
    flock->error = gd_alloc(2 * n, sizeof *flock->error);
    if (!flock->scratch || !flock->moving || !flock->models || !flock->weights || !flock->error) return GD_NO_MEMORY;
    flock->gradients = flock->weights + n, flock->validation = flock->error + n;
    return GD_OK;
}

void gd_flock_free(gd_flock *flock) {
    gd_release(flock->moving);
    gd_release(flock->models);
    gd_release(flock->weights);
    gd_release(flock->error);
    gd_release(flock->scratch);
}

/* E at where the walk stands is known. */
static void start(gd_member *member) {
    gd_walk *walk = &member->walk;
    gd_walk_accept(walk);
    member->started = 1;
    member->validation = member->new_validation;
    member->lost = !isfinite(walk->error) || !gd_all_finite(walk->metric->size, walk->gradient);
    walk->first_error = fmax(walk->first_error, fabs(walk->error));
    member->next = member->lost ? GD_ARRIVED : GD_TAKEN;
}

/* A step has been taken. Does validation say that it was one too many? */
static int is_overfitting(const gd_flock *flock, gd_member *member) {
    const gd_settings *settings = flock->settings;
    double best = member->best_validation, needed = settings->tol > 0.0 ? settings->tol * fabs(best) : 0.0;
    if (!flock->stop_early || isnan(member->validation)) return 0;
    member->stale = member->validation < best - needed || !isfinite(best) ? 0 : member->stale + 1;
    if (member->validation < best) {
        member->best_validation = member->validation;
        memcpy(member->walk.previous, member->walk.v, sizeof *member->walk.v * (size_t)member->walk.metric->size);
    }
    return settings->tol >= 0.0 && member->stale >= settings->n_iter_no_change;
}

/* What member `i` of the moving ones makes of the evaluation, and where it wants to go next. */
static void advance(void *context, int64_t i, int worker) {
    const gd_flock *flock = context;
    gd_member *member = flock->moving[i];
    gd_walk *walk = &member->walk;
    gd_metric_lend(&member->metric, flock->scratch + worker * gd_metric_scratch(&member->metric), &flock->many->engine, worker);
    walk->new_error = flock->error[i];
    gd_add_l1(&member->metric.engine.problem, walk->weights, &walk->new_error, NULL);
    gd_metric_gradient(&member->metric, walk->full_gradient, walk->new_gradient);
    member->new_validation = flock->validation[i];
    if (!member->started) start(member);
    else member->next = gd_walk_judge(walk);
    if (member->next == GD_TAKEN && walk->n_steps > 0) {
        member->n_iter++;
        member->validation = member->new_validation;
    }
    if (member->next == GD_TAKEN) {
        member->overfits = is_overfitting(flock, member);
        member->rests = !member->overfits && walk->n_steps >= flock->most_steps;
        if (member->overfits || member->rests) member->next = GD_ARRIVED;
    }
    while (member->next == GD_TAKEN || member->next == GD_PLAN) member->next = gd_walk_plan(walk, flock->tol, 0);
}

static gd_status rebuild_stale(gd_flock *flock, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        gd_member *member = flock->moving[i];
        if (member->next != GD_REBUILD) continue;
        gd_status status = flock->rebuild ? flock->rebuild(flock->context, member) : GD_OK;
        if (status) return status;
        gd_metric_lend(&member->metric, flock->scratch, &flock->many->engine, 0);
        member->next = gd_walk_plan(&member->walk, flock->tol, 1);
    }
    return GD_OK;
}

/* Tell how many models have arrived; 1 if the call is to end. */
static int tell(const gd_flock *flock) {
    int64_t n = flock->before;
    for (int64_t i = 0; i < flock->n; i++) n += flock->members[i].next == GD_ARRIVED && !flock->members[i].rests;
    return gd_engine_arrived(&flock->many->engine, n);
}

gd_status gd_flock_descend(gd_flock *flock, const int64_t *models) {
    gd_engine *watch = &flock->many->engine;
    for (int64_t i = 0; i < flock->n; i++) {
        gd_member *member = &flock->members[i];
        memcpy(member->walk.new_v, member->walk.v, sizeof *member->walk.v * (size_t)member->metric.size);
        member->next = GD_TRY, member->started = 0;
    }
    for (;;) {
        int64_t n = 0;
        for (int64_t i = 0; i < flock->n; i++) {
            gd_member *member = &flock->members[i];
            if (member->next != GD_TRY) continue;
            gd_metric_to_weights(&member->metric, member->walk.new_v, member->walk.weights);
            flock->moving[n] = member, flock->models[n] = models[i];
            flock->weights[n] = member->walk.weights, flock->gradients[n++] = member->walk.full_gradient;
        }
        if (!n) return GD_OK;
        gd_status status = gd_many_evaluate(flock->many, n, flock->models, (const double *const *)flock->weights, flock->error,
                                            flock->validation, flock->gradients);
        if (status) return status;
        gd_parallel(n, advance, flock, flock->many->n_threads);
        if (watch->interrupted) return GD_INTERRUPTED;
        if ((status = rebuild_stale(flock, n))) return status;
        if (flock->before >= 0 && tell(flock)) return GD_INTERRUPTED;
    }
}
