/* Mini-batches: the order of the rows, an epoch, and what is done where it did not go well. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "rng.h"
#include "rules.h"
#include "threads.h"
#include "updates.h"

enum { ORDER = 4096, AHEAD = 2 * GD_BLOCK_ROWS + 32 };

/* The order of an epoch, produced a piece at a time. */
typedef struct gd_order {
    gd_shuffle shuffle;
    int shuffled;
    int64_t n, at;       /* rows handed out so far */
    int64_t have, next;  /* of the piece in `rows` */
    int64_t last;        /* size of the batch handed out last */
    int64_t capacity, *rows;
} gd_order;

static void order_start(gd_order *order, const gd_settings *settings, int64_t n, int64_t epoch) {
    order->shuffled = settings->shuffle;
    order->n = n;
    order->at = order->have = order->next = 0;
    if (order->shuffled) gd_shuffle_start(&order->shuffle, n, settings->seed, epoch);
}

/* The next piece, behind what is left of this one. watch: asked now and then whether to stop, which leaves rows out; NULL: never. */
static void order_fill(gd_order *order, const gd_problem *problem, gd_engine *watch) {
    int64_t left = order->have - order->next, fresh = 1;
    memmove(order->rows, order->rows + order->next, sizeof *order->rows * (size_t)left);
    order->have = left, order->next = 0;
    for (; fresh > 0 && order->have < order->capacity && !(watch && gd_engine_poll(watch)); order->have += fresh) {
        int64_t *rows = order->rows + order->have;
        fresh = gd_shuffle_next(&order->shuffle, gd_min(ORDER, order->capacity - order->have), rows);
        if (problem->rows)
            for (int64_t i = 0; i < fresh; i++) rows[i] = problem->rows[rows[i]];
    }
}

/* The next batch of up to `count` rows: NULL means the rows `*first`, `*first` + 1, ... themselves. */
static const int64_t *order_next(gd_order *order, const gd_problem *problem, gd_engine *watch, int64_t count, int64_t *first, int64_t *got) {
    *got = gd_min(count, order->n - order->at);
    *first = order->at;
    order->last = *got;
    order->at += *got;
    if (!order->shuffled) return NULL;
    if (order->have - order->next < *got + AHEAD) order_fill(order, problem, watch);
    const int64_t *rows = order->rows + order->next;
    order->next += *got;
    *first = 0;
    return rows;
}

/* Entries from the batch just handed out to the end of the piece: rows to come may be fetched ahead. */
static int64_t order_known(const gd_order *order) { return order->have - (order->next - order->last); }

/* The last `count` rows of the batch just handed out come again. */
static void order_return(gd_order *order, int64_t count) {
    order->at -= count;
    if (order->shuffled) order->next -= count;
}

typedef struct gd_epoch_sums { double error, weight, eta; int64_t updates; } gd_epoch_sums;

/* The plain rule has kernels of its own: for one row per update, and for batches of sparse rows. */
static int is_plain(const gd_run *run) {
    const gd_settings *settings = run->settings;
    const gd_problem *problem = &run->engine.problem;
    if (settings->solver != GD_SOLVER_SGD || settings->momentum != 0.0 || settings->keep_path == 2 || problem->lower || problem->upper)
        return 0;
    if (problem->X.indptr) return settings->batch_size >= 1 && settings->batch_size <= ORDER && !(settings->average && problem->l1 > 0.0);
    return settings->batch_size == 1 && !settings->average && problem->n_outputs == 1 && problem->l1 == 0.0;
}

static void add_steps(gd_epoch_sums *sums, const gd_steps *steps, int64_t updates) {
    for (int64_t i = 0; i < updates; i++) sums->eta += steps->eta[i];
    sums->updates += updates;
    sums->error += steps->error;
    sums->weight += steps->weight;
}

/* As many whole batches as fit into a block. lazy: of sparse rows. */
static gd_status plain_steps(gd_run *run, const gd_rates *rates, gd_order *order, gd_lazy *lazy, gd_epoch_sums *sums) {
    gd_state *state = run->state;
    double eta[GD_BLOCK_ROWS];
    int64_t first, count, batch = run->settings->batch_size;
    int64_t wanted = batch < GD_BLOCK_ROWS ? GD_BLOCK_ROWS / batch * batch : batch;
    const int64_t *rows = order_next(order, &run->engine.problem, NULL, wanted, &first, &count);
    int64_t updates = (count + batch - 1) / batch;
    for (int64_t i = 0; i < updates; i++) eta[i] = gd_rate_now(run->settings, rates, state->t + 1 + i);
    gd_steps steps = {.eta = eta, .weights = state->weights, .lazy = lazy};
    gd_status status = gd_engine_steps(&run->engine, rows, order_known(order), first, count, &steps);
    state->t += updates;
    add_steps(sums, &steps, updates);
    return status;
}

/* ---- sparse rows, one per update ----------------------------------------------------------------------------------- */

/* A chunk of rows is staged, that is copied and checked, by one thread while another makes the updates by the chunk before it. What is
 * staged at once are pieces, whose rows do not depend on how they are put into chunks. */
enum { PIECES = 32, CHUNK_ENTRIES = 1 << 17, WORTH_A_THREAD = 1 << 16 };

typedef struct gd_staged {
    int64_t rows, bad, starts[GD_BLOCK_ROWS + 1 + GD_LANES_D];
    double y[GD_BLOCK_ROWS], s[GD_BLOCK_ROWS], z[GD_BLOCK_ROWS], eta[GD_BLOCK_ROWS];
    double *values;   /* within those of the chunk */
    int32_t *columns;
} gd_staged;

typedef struct gd_chunk {
    int64_t n, work;  /* pieces; entries and rows, weighed */
    int64_t long_row; /* comes after the pieces: has more entries than one can hold; -1: none */
    double long_eta;
    gd_staged *pieces;
    double *values;
    int32_t *columns;
} gd_chunk;

typedef struct gd_loader {
    gd_run *run;
    const gd_rates *rates;
    gd_order *order;
    gd_lazy *lazy;
    gd_epoch_sums *sums;
    gd_status status;        /* of the updates */
    int64_t pieces, entries; /* room of a chunk */
    gd_chunk *now, *next, chunks[2];
    void *arena;             /* NULL: updates are not by single sparse rows */
} gd_loader;

static gd_status loader_init(gd_loader *loader, int n_threads) {
    loader->pieces = n_threads > 1 ? PIECES : 1;
    loader->entries = n_threads > 1 ? CHUNK_ENTRIES : GD_CSR_ENTRIES;
    int64_t room = loader->entries + GD_LANES_F, pieces = loader->pieces * (int64_t)sizeof(gd_staged);
    char *at = loader->arena = gd_alloc(2, pieces + room * (int64_t)(sizeof(double) + sizeof(int32_t)));
    if (!at) return GD_NO_MEMORY;
    for (int i = 0; i < 2; i++) {
        gd_chunk *chunk = &loader->chunks[i];
        chunk->pieces = (gd_staged *)(void *)at, at += pieces;
        chunk->values = (double *)(void *)at, at += room * (int64_t)sizeof(double);
        chunk->columns = (int32_t *)(void *)at, at += room * (int64_t)sizeof(int32_t);
    }
    return GD_OK;
}

/* What kernels are to write into the piece, or find there. */
static gd_scratch scratch_with(gd_staged *piece, const gd_scratch *own) {
    gd_scratch scratch = *own;
    scratch.y = piece->y, scratch.s = piece->s, scratch.z = piece->z;
    scratch.starts = piece->starts, scratch.values = piece->values, scratch.columns = piece->columns;
    scratch.bad = &piece->bad;
    return scratch;
}

static void stage_chunk(const gd_loader *loader, gd_chunk *chunk, int worker) {
    const gd_engine *engine = &loader->run->engine;
    gd_order *order = loader->order;
    gd_problem problem = engine->problem;
    gd_pass pass = engine->pass;
    pass.problem = &problem;
    chunk->n = chunk->work = 0, chunk->long_row = -1;
    for (int64_t used = 0; chunk->n < loader->pieces && used + GD_CSR_ENTRIES <= loader->entries && order->at < order->n;) {
        gd_staged *piece = &chunk->pieces[chunk->n];
        int64_t first, count, t = loader->run->state->t + order->at + 1;
        const int64_t *rows = order_next(order, &engine->problem, NULL, GD_BLOCK_ROWS, &first, &count);
        if (rows) problem.rows = rows, pass.rows_known = order_known(order);
        piece->values = chunk->values + used, piece->columns = chunk->columns + used, piece->bad = 0;
        gd_scratch scratch = scratch_with(piece, &engine->scratch[worker]);
        piece->rows = engine->kernels->csr_stage(&pass, &scratch, first, count);
        order_return(order, count - gd_max(piece->rows, 1));
        if (!piece->rows) {
            chunk->long_row = problem.rows ? problem.rows[first] : first;
            chunk->long_eta = gd_rate_now(loader->run->settings, loader->rates, t);
            return;
        }
        for (int64_t i = 0; i < piece->rows; i++) piece->eta[i] = gd_rate_now(loader->run->settings, loader->rates, t + i);
        chunk->work += piece->starts[piece->rows] + 16 * piece->rows;
        used += (piece->starts[piece->rows] + GD_LANES_F - 1) / GD_LANES_F * GD_LANES_F;
        chunk->n++;
    }
}

static gd_status update_by_chunk(const gd_loader *loader, const gd_chunk *chunk, int worker) {
    const gd_engine *engine = &loader->run->engine;
    for (gd_staged *piece = chunk->pieces; piece < chunk->pieces + chunk->n; piece++) {
        gd_scratch scratch = scratch_with(piece, &engine->scratch[worker]);
        gd_steps steps = {.eta = piece->eta, .lazy = loader->lazy};
        engine->kernels->csr_single(&engine->pass, &scratch, piece->rows, &steps);
        add_steps(loader->sums, &steps, piece->rows);
        if (piece->bad) return GD_BAD_ROWS;
        if (!isfinite(loader->sums->error)) return GD_DIVERGED;
    }
    return GD_OK;
}

static void update_or_stage(void *context, int64_t task, int worker) {
    gd_loader *loader = context;
    if (task == 0) loader->status = update_by_chunk(loader, loader->now, worker);
    else stage_chunk(loader, loader->next, worker);
}

/* An update by a row that is too long to be staged. */
static gd_status long_step(gd_loader *loader, const gd_chunk *chunk) {
    gd_steps steps = {.eta = &chunk->long_eta, .lazy = loader->lazy};
    gd_status status = gd_engine_steps(&loader->run->engine, &chunk->long_row, 1, 0, 1, &steps);
    add_steps(loader->sums, &steps, 1);
    return status || isfinite(loader->sums->error) ? status : GD_DIVERGED;
}

static gd_status epoch_of_rows(gd_loader *loader, gd_epoch_sums *sums) {
    gd_engine *engine = &loader->run->engine;
    gd_status status = GD_OK;
    loader->sums = sums;
    loader->now = &loader->chunks[0], loader->next = &loader->chunks[1];
    stage_chunk(loader, loader->next, 0);
    while (!status && (loader->next->n || loader->next->long_row >= 0)) {
        gd_chunk *chunk = loader->next;
        loader->next = loader->now, loader->now = chunk;
        int64_t done = sums->updates;
        int n_threads = chunk->work < WORTH_A_THREAD ? 1 : engine->n_threads;
        engine->missing_threads += gd_parallel(2, update_or_stage, loader, n_threads);
        engine->rows_read += (double)(sums->updates - done);
        status = loader->status;
        if (!status && chunk->long_row >= 0) status = long_step(loader, chunk);
        if (!status && gd_engine_poll(engine)) status = GD_INTERRUPTED;
    }
    return status;
}

/* ---- an epoch ------------------------------------------------------------------------------------------------------ */

static gd_status one_batch(gd_run *run, const gd_rates *rates, gd_order *order, gd_epoch_sums *sums) {
    const gd_settings *settings = run->settings;
    gd_state *state = run->state;
    int64_t first, count;
    double error, weight;
    gd_engine *engine = &run->engine;
    const int64_t *rows = order_next(order, &engine->problem, engine, settings->batch_size ? settings->batch_size : order->n, &first, &count);
    if (engine->interrupted) return GD_INTERRUPTED;
    gd_status status = gd_engine_batch(engine, rows, order_known(order), first, count, state->weights, &error, run->gradient, &weight);
    if (status) return status;
    double eta = gd_rate_now(settings, rates, state->t + 1);
    gd_update(&engine->problem, settings, state, run->gradient, eta);
    sums->error += weight * error;
    sums->weight += weight;
    sums->eta += eta;
    sums->updates++;
    return settings->keep_path == 2 ? gd_run_keep(run, gd_run_weights(run)) : GD_OK;
}

/* loader->lazy->v NULL: rows are not sparse, or the rule is not plain. */
static gd_status epoch_of_batches(gd_loader *loader, gd_epoch_sums *sums) {
    gd_run *run = loader->run;
    gd_order *order = loader->order;
    gd_lazy *lazy = loader->lazy;
    int plain = is_plain(run);
    gd_status status = GD_OK;
    memset(sums, 0, sizeof *sums);
    order_start(order, run->settings, run->engine.problem.n, run->state->epoch);
    if (lazy->v) { /* what an epoch costs beside its rows, they may be few */
        if (gd_engine_poll(&run->engine)) return GD_INTERRUPTED;
        gd_lazy_take(lazy, run->state);
    }
    if (loader->arena) status = epoch_of_rows(loader, sums);
    while (!status && order->at < order->n) {
        status = plain ? plain_steps(run, loader->rates, order, lazy, sums) : one_batch(run, loader->rates, order, sums);
        if (!status && !isfinite(sums->error)) status = GD_DIVERGED;
    }
    if (lazy->v) gd_lazy_put(lazy, run->state);
    return status || gd_all_finite(run->size, run->state->weights) ? status : GD_DIVERGED;
}

/* Has the first epoch failed because X is not finite? A pass at w = 0 tells: then scores are not finite only if X is not. */
static gd_status why_not_finite(gd_run *run, double error) {
    double at_zero;
    memset(run->gradient, 0, sizeof *run->gradient * (size_t)run->size);
    gd_status status = gd_engine_evaluate(&run->engine, run->gradient, &at_zero, NULL);
    return status ? status : isfinite(at_zero) ? gd_diverged(run, error) : GD_NOT_FINITE;
}

/* schedule auto: an epoch that left the finite range, or whose mean error is over ten times the error it began with, is to be
 * taken back. good->error, NAN at first, becomes the exact error at its beginning once that is in question. */
static gd_status must_go_back(gd_run *run, const double *before, double error, int bad, gd_trial *good, int *answer) {
    *answer = 0;
    if (!bad && fabs(error) <= 10.0 * fabs(*before)) return GD_OK;
    if (isnan(good->error)) {
        gd_status status = gd_engine_evaluate(&run->engine, good->weights, &good->error, NULL);
        if (status) return status;
        if (isnan(good->error)) good->error = INFINITY;
    }
    *answer = bad || fabs(error) > 10.0 * fabs(good->error) + 1.0;
    return GD_OK;
}

/* Back to where the refused epoch began; one further if that was bad already, by the last update of the epoch before. */
static void go_back(gd_run *run, gd_trial *good, gd_trial *older) {
    if (!isfinite(good->error) && older->t < good->t) {
        gd_trial bad = *good;
        *good = *older, *older = bad;
        good->path_size = bad.path_size; /* its epoch has been recorded */
        older->t = good->t;
    }
    gd_trial_restore(run, good);
}

/* The mean error of an epoch, each batch's taken before its update, plus the penalty at its end. The gradient norm is that
 * of the mean step over the mean rate: for plain sgd, of the mean gradient. */
static void close_epoch(gd_run *run, const gd_epoch_sums *sums, const gd_trial *good, double *room, double *error, double *norm) {
    const gd_problem *problem = &run->engine.problem;
    const double *weights = gd_run_weights(run);
    for (int64_t j = 0; j < run->size; j++) room[j] = run->state->weights[j] - good->weights[j];
    *norm = sums->eta > 0.0 ? gd_norm(run->size, room) / sums->eta : 0.0;
    *error += gd_l2_penalty(problem, weights);
    gd_add_l1(problem, weights, error, NULL);
    run->state->epoch++;
}

/* schedule auto: nobody has seen the weights of the last epoch's last update. Where their error is not finite, those that the
 * epoch began with are returned. */
static gd_status check_last(gd_run *run, const gd_trial *good) {
    double error;
    gd_status status = gd_engine_evaluate(&run->engine, gd_run_weights(run), &error, NULL);
    int64_t kept = run->report->path.size;
    if (!status && !isfinite(error)) gd_trial_restore(run, good);
    run->report->path.size = kept;
    return status;
}

static gd_status descend_epochs(gd_loader *loader, gd_rates *rates, gd_trial *good, gd_trial *older, double *room) {
    gd_run *run = loader->run;
    const gd_settings *settings = run->settings;
    double before = NAN, scale = 0.0;
    int stop = 0;
    run->best_monitor = INFINITY;
    for (int64_t refused = 0; !stop && run->report->n_iter < settings->max_iter;) {
        gd_epoch_sums sums;
        if (!refused) {
            gd_trial next = *older;
            *older = *good, *good = next;
            gd_trial_save(run, NAN, good);
        }
        gd_status status = epoch_of_batches(loader, &sums);
        if (status && status != GD_DIVERGED) return status;
        double error = sums.weight > 0.0 ? sums.error / sums.weight : 0.0, norm;
        int bad = status != GD_OK, back = 0;
        if (settings->schedule == GD_AUTO) {
            if ((status = must_go_back(run, &before, error, bad, good, &back))) return status;
            if (back && !refused && bad && (status = why_not_finite(run, error)) == GD_NOT_FINITE) return status;
        } else if (bad) return why_not_finite(run, error);
        else if ((status = gd_exploded(run, error, run->state->square ? 1e6 : 1e3, &scale, &bad)) || bad) return status ? status : gd_diverged(run, error);
        if (back) {
            if (++refused > 200) return gd_diverged(run, error);
            go_back(run, good, older);
            rates->eta *= 0.5;
            continue;
        }
        refused = 0;
        before = error;
        close_epoch(run, &sums, good, room, &error, &norm);
        if (!isfinite(error)) return gd_diverged(run, error);
        status = gd_run_record(run, gd_run_weights(run), error, norm, sums.updates ? sums.eta / (double)sums.updates : 0.0, &stop);
        if (status) return status;
        if (!stop && settings->tol >= 0.0 && run->stale >= settings->n_iter_no_change) {
            run->stale = 0;
            if (gd_rate_adapts(settings)) rates->eta /= 5.0;
            if (!gd_rate_adapts(settings) || rates->eta < fmin(1e-6, 1e-3 * rates->eta0)) {
                run->report->reason = GD_STOP_NO_IMPROVEMENT;
                stop = 1;
            }
        }
    }
    gd_status status = settings->schedule == GD_AUTO ? check_last(run, good) : GD_OK;
    if (status || run->report->reason != GD_STOP_NO_IMPROVEMENT) return status;
    status = gd_rule_error(run, &before, run->gradient); /* no improvement where, though? */
    return status ? status : gd_certify(run, before, &run->report->suboptimality);
}

gd_status gd_descend_batches(gd_run *run, gd_rates *rates, double *room) {
    const gd_settings *settings = run->settings;
    int64_t n = run->engine.problem.n, batch = settings->batch_size ? gd_min(settings->batch_size, n) : n;
    int64_t trial = gd_trial_vectors(run->state) * run->size;
    gd_order order = {.capacity = settings->shuffle ? gd_max(ORDER, 2 * batch + AHEAD) : 0};
    gd_trial good = gd_trial_in(room, run->state), older = gd_trial_in(room + trial, run->state);
    gd_lazy lazy = {0};
    gd_loader loader = {.run = run, .rates = rates, .order = &order, .lazy = &lazy};
    order.rows = gd_alloc(order.capacity, sizeof *order.rows);
    gd_status status = order.rows ? GD_OK : GD_NO_MEMORY;
    if (!status && run->engine.pass.sparse && is_plain(run)) {
        status = gd_lazy_init(&lazy, &run->engine.problem, settings, run->engine.pass.k_pad, run->engine.bias);
        if (!status && settings->batch_size == 1 && run->engine.pass.k == 1) status = loader_init(&loader, run->engine.n_threads);
    }
    run->path_by_update = settings->keep_path == 2;
    if (!status) status = descend_epochs(&loader, rates, &good, &older, room + 2 * trial);
    gd_release(loader.arena);
    gd_lazy_free(&lazy);
    gd_release(order.rows);
    return status;
}
