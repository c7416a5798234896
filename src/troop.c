/* A grid of models by update rules on all rows, each by settings of its own: marches side by side. Each round is one read of X for all
 * that go on; those that have ended, or left the finite range, have left.
 *
 * A model's path depends on its own numbers alone: neither who shares its reads nor how many threads there are changes a bit.
 */
#include <math.h>
#include <string.h>

#include "many.h"
#include "march.h"
#include "threads.h"
#include "updates.h"

enum { WORKING_BYTES = 1 << 29 /* what the marches of one batch of models may take */ };

typedef struct gd_marcher {
    gd_run run;
    gd_march march;
    gd_settings settings;
    gd_status status;
    double validation; /* the mean loss of the rows that validate, at march.at */
    double *vectors;   /* (2 + gd_march_vectors, size) */
} gd_marcher;

typedef struct gd_troop {
    const gd_grid *grid;
    gd_descent *descents;
    int stop_early;
    gd_many many;
    gd_marcher *marchers;  /* (n) */
    int64_t from, n;       /* which models */
    /* what the models look at by themselves, a few thousand rows: */
    int64_t **rows, *n_rows; /* (n_splits) the rows that train, each as often as it does */
    int *validates;        /* (n_splits) are there rows that validate? */
    double **weight;       /* (n_weightings) s times class_weight by number of the row, or NULL; equal ones are the first's */
    /* of a round */
    gd_marcher **moving;   /* (n) */
    int64_t *models;       /* (n) */
    const double **at;     /* (n) */
    double **gradients;    /* (n) */
    double *error, *validation; /* (n) */
} gd_troop;

/* ---- a model's own rows ------------------------------------------------------------------------------------------ */

static gd_status list_rows(gd_troop *troop, int64_t split) {
    const gd_problem *problem = &troop->grid->problem;
    const int8_t *roles = troop->grid->roles + split * problem->n;
    int64_t n = 0;
    for (int64_t i = 0; i < problem->n; i++) {
        n += roles[i] > 0 ? roles[i] : 0;
        troop->validates[split] |= roles[i] < 0;
    }
    int64_t *rows = troop->rows[split] = gd_alloc(n, sizeof *rows);
    if (!rows) return GD_NO_MEMORY;
    for (int64_t i = 0; i < problem->n; i++)
        for (int copy = 0; copy < roles[i]; copy++) rows[troop->n_rows[split]++] = problem->rows ? problem->rows[i] : i;
    return n ? GD_OK : GD_BAD_ARGUMENT;
}

static gd_status weigh_rows(gd_troop *troop, const double *class_weight, double **weight) {
    const gd_problem *problem = &troop->grid->problem;
    const gd_hooks *hooks = troop->many.engine.hooks;
    int64_t n = problem->n;
    double *codes = gd_alloc(2 * n, 8), *s = codes + n, *out = *weight = gd_alloc(problem->X.n_rows, 8);
    gd_status status = codes && out ? gd_read_column(problem, &problem->y, hooks, codes) : GD_NO_MEMORY;
    if (!status && problem->weight.data) status = gd_read_column(problem, &problem->weight, hooks, s);
    for (int64_t i = 0; !status && i < n; i++)
        out[problem->rows ? problem->rows[i] : i] = class_weight[(int64_t)codes[i]] * (problem->weight.data ? s[i] : 1.0);
    gd_release(codes);
    return status;
}

static gd_status find_rows(gd_troop *troop) {
    const gd_many *many = &troop->many;
    int64_t splits = troop->grid->n_splits;
    troop->rows = gd_alloc(splits, sizeof *troop->rows);
    troop->n_rows = gd_alloc(splits, sizeof *troop->n_rows);
    troop->validates = gd_alloc(splits, sizeof *troop->validates);
    troop->weight = gd_alloc(many->n_weightings, sizeof *troop->weight);
    gd_status status = troop->rows && troop->n_rows && troop->validates && troop->weight ? GD_OK : GD_NO_MEMORY;
    for (int64_t g = 0; !status && g < many->n_weightings; g++) {
        const gd_weighting *weighting = &many->weightings[g];
        int64_t first = 0;
        if (weighting->split >= 0 && !troop->rows[weighting->split]) status = list_rows(troop, weighting->split);
        while (many->weightings[first].class_weight != weighting->class_weight) first++;
        if (first < g) troop->weight[g] = troop->weight[first];
        else if (!status && weighting->class_weight) status = weigh_rows(troop, weighting->class_weight, &troop->weight[g]);
    }
    return status;
}

static void free_rows(gd_troop *troop) {
    for (int64_t split = 0; troop->rows && split < troop->grid->n_splits; split++) gd_release(troop->rows[split]);
    for (int64_t g = 0; troop->weight && g < troop->many.n_weightings; g++) {
        int first = 1;
        for (int64_t before = 0; before < g; before++) first &= troop->weight[before] != troop->weight[g];
        if (first) gd_release(troop->weight[g]);
    }
    gd_release((void *)troop->rows);
    gd_release(troop->n_rows);
    gd_release(troop->validates);
    gd_release((void *)troop->weight);
}

/* The problem that is this model's alone. */
static gd_problem problem_of(const gd_troop *troop, int64_t number) {
    const gd_model *model = &troop->grid->models[number];
    gd_problem problem = troop->grid->problem;
    double *weight = troop->weight[troop->many.weighting[number]];
    problem.loss = model->loss, problem.loss_param = model->loss_param;
    problem.l2 = model->l2, problem.l1 = model->l1;
    if (model->split >= 0) problem.rows = troop->rows[model->split], problem.n = troop->n_rows[model->split];
    if (weight) problem.weight = (gd_matrix){.data = (const char *)weight, .n_rows = problem.X.n_rows, .n_cols = 1, .row_stride = 8,
                                             .col_stride = 8, .type = GD_F64};
    return problem;
}

/* ---- marching ---------------------------------------------------------------------------------------------------- */

/* One's own looks at some rows are by the thread that one marches on; nobody but the caller's thread may poll. */
static void set_out(void *context, int64_t i, int worker) {
    gd_troop *troop = context;
    gd_marcher *marcher = &troop->marchers[i];
    gd_run *run = &marcher->run;
    gd_descent *descent = &troop->descents[troop->from + i];
    int64_t split = troop->grid->models[troop->from + i].split, size = descent->state.size;
    if (gd_engine_ends(&troop->many.engine, worker)) return;
    marcher->settings = descent->settings;
    marcher->settings.n_threads = 1;
    *run = (gd_run){.settings = &marcher->settings, .state = &descent->state, .report = &descent->report,
                    .validates = troop->stop_early && split >= 0 && troop->validates[split]};
    run->engine.problem = problem_of(troop, troop->from + i);
    marcher->march = (gd_march){.run = run};
    marcher->status = gd_run_start(run, &run->engine.problem, marcher->vectors);
    descent->report.method = GD_METHOD_RULE;
    if (!marcher->status) marcher->status = gd_march_begin(&marcher->march, marcher->vectors + 2 * size);
}

/* What member `i` of the moving ones makes of the evaluation, and where it wants to look next. */
static void go_on(void *context, int64_t i, int worker) {
    gd_troop *troop = context;
    gd_marcher *marcher = troop->moving[i];
    gd_march *march = &marcher->march;
    if (gd_engine_ends(&troop->many.engine, worker)) return;
    if (march->wants & (GD_WANTS_ERROR | GD_WANTS_SLOPE)) march->error = troop->error[i];
    marcher->validation = troop->validation[i];
    march->validation = marcher->validation + gd_l2_penalty(&marcher->run.engine.problem, march->at);
    march->knows |= march->wants | GD_WANTS_VALIDATION | (march->wants & GD_WANTS_SLOPE ? GD_WANTS_ERROR : 0);
    marcher->run.report->n_passes++;
    marcher->status = gd_march_on(march);
}

static int is_its_own(gd_status status) { return status == GD_OK || status == GD_NOT_FINITE || status == GD_DIVERGED; }

static gd_status march_all(gd_troop *troop) {
    gd_many *many = &troop->many;
    gd_parallel(troop->n, set_out, troop, many->n_threads);
    for (;;) {
        int64_t n = 0;
        if (many->engine.interrupted) return GD_INTERRUPTED;
        for (int64_t i = 0; i < troop->n; i++) {
            gd_marcher *marcher = &troop->marchers[i];
            gd_march *march = &marcher->march;
            if (!is_its_own(marcher->status)) return marcher->status;
            if (marcher->status || !march->at) continue;
            troop->moving[n] = marcher, troop->models[n] = troop->from + i;
            troop->at[n] = march->at, troop->gradients[n++] = march->wants & GD_WANTS_SLOPE ? marcher->run.gradient : NULL;
        }
        if (!n) return GD_OK;
        if (gd_engine_arrived(&many->engine, troop->from + troop->n - n)) return GD_INTERRUPTED;
        gd_status status = gd_many_evaluate(many, n, troop->models, troop->at, troop->error, troop->validation, troop->gradients);
        if (status) return status;
        gd_parallel(n, go_on, troop, many->n_threads);
    }
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */

static int64_t vectors_of(const gd_descent *descent) { return 2 + gd_march_vectors(&descent->state); }

/* How many of the models from `from` on fit the working memory; at least one. */
static int64_t batch_of(const gd_troop *troop, int64_t from) {
    double bytes = 0.0;
    for (int64_t i = from; i < troop->grid->n_models; i++) {
        bytes += 8.0 * (double)vectors_of(&troop->descents[i]) * (double)troop->descents[i].state.size;
        if (i > from && bytes > WORKING_BYTES) return i - from;
    }
    return troop->grid->n_models - from;
}

static gd_status march_batch(gd_troop *troop) {
    int64_t n = troop->n, vectors = 0, size = troop->descents[0].state.size;
    for (int64_t i = 0; i < n; i++) vectors += vectors_of(&troop->descents[troop->from + i]);
    double *arena = gd_alloc(vectors, 8 * size), *at = arena;
    troop->marchers = gd_alloc(n, sizeof *troop->marchers);
    gd_status status = arena && troop->marchers ? GD_OK : GD_NO_MEMORY;
    for (int64_t i = 0; !status && i < n; i++) {
        troop->marchers[i].vectors = at;
        at += vectors_of(&troop->descents[troop->from + i]) * size;
    }
    if (!status) status = march_all(troop);
    for (int64_t i = 0; !status && i < n; i++) {
        gd_marcher *marcher = &troop->marchers[i];
        gd_descent *descent = &troop->descents[troop->from + i];
        descent->status = marcher->status;
        descent->validation = marcher->status ? NAN : marcher->validation;
        descent->report.missing_threads = troop->many.missing_threads;
        if (marcher->status) gd_run_recover(&marcher->run);
    }
    gd_release(troop->marchers);
    gd_release(arena);
    return status;
}

static int is_sound(const gd_troop *troop) {
    const gd_grid *grid = troop->grid;
    int64_t size = grid->problem.n_outputs * (grid->problem.X.n_cols + 1);
    for (int64_t m = 0; m < grid->n_models; m++) {
        const gd_descent *descent = &troop->descents[m];
        int64_t split = grid->models[m].split, n = split < 0 ? grid->problem.n : troop->n_rows[split];
        if (descent->settings.solver == GD_SOLVER_AUTO || !gd_takes_all_rows(&descent->settings, n)) return 0;
        if (descent->state.size != size) return 0;
    }
    return 1;
}

gd_status gd_descend_each(const gd_grid *grid, gd_descent *descents, int stop_early, int n_threads, const gd_hooks *hooks,
                          double *n_passes) {
    unsigned long fp = gd_fp_enter();
    gd_troop troop = {.grid = grid, .descents = descents, .stop_early = stop_early};
    int64_t n = grid->n_models;
    gd_status status = gd_many_init(&troop.many, grid, n_threads, hooks);
    for (int64_t m = 0; m < n; m++) descents[m].report = (gd_report){0};
    if (!status) status = find_rows(&troop);
    if (!status && !is_sound(&troop)) status = GD_BAD_ARGUMENT;
    troop.moving = gd_alloc(n, sizeof *troop.moving);
    troop.models = gd_alloc(n, sizeof *troop.models);
    troop.at = gd_alloc(n, sizeof *troop.at);
    troop.gradients = gd_alloc(n, sizeof *troop.gradients);
    troop.error = gd_alloc(2 * n, sizeof *troop.error);
    if (!status && (!troop.moving || !troop.models || !troop.at || !troop.gradients || !troop.error)) status = GD_NO_MEMORY;
    if (!status) troop.validation = troop.error + n;
    for (; !status && troop.from < n; troop.from += troop.n) {
        troop.n = batch_of(&troop, troop.from);
        status = march_batch(&troop);
    }
    *n_passes = troop.many.engine.rows_read / (double)grid->problem.n;
    gd_release((void *)troop.moving);
    gd_release(troop.models);
    gd_release((void *)troop.at);
    gd_release((void *)troop.gradients);
    gd_release(troop.error);
    free_rows(&troop);
    gd_many_free(&troop.many);
    gd_fp_restore(fp);
    return status;
}
