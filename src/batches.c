/* Mini-batches: the order of the rows, and an epoch. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "march.h"
#include "rng.h"
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
static gd_status epoch_of_batches(void *context, gd_epoch_sums *sums) {
    gd_loader *loader = context;
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

gd_status gd_descend_batches(gd_run *run, double *room) {
    const gd_settings *settings = run->settings;
    int64_t n = run->engine.problem.n, batch = settings->batch_size ? gd_min(settings->batch_size, n) : n;
    gd_order order = {.capacity = settings->shuffle ? gd_max(ORDER, 2 * batch + AHEAD) : 0};
    gd_lazy lazy = {0};
    gd_march march = {.run = run, .epoch = epoch_of_batches};
    gd_loader loader = {.run = run, .rates = &march.rates, .order = &order, .lazy = &lazy};
    march.context = &loader;
    order.rows = gd_alloc(order.capacity, sizeof *order.rows);
    gd_status status = order.rows ? GD_OK : GD_NO_MEMORY;
    if (!status && run->engine.pass.sparse && is_plain(run)) {
        status = gd_lazy_init(&lazy, &run->engine.problem, settings, run->engine.pass.k_pad, run->engine.bias);
        if (!status && settings->batch_size == 1 && run->engine.pass.k == 1) status = loader_init(&loader, run->engine.n_threads);
    }
    run->path_by_update = settings->keep_path == 2;
    if (!status) status = gd_march_begin(&march, room);
    if (!status) status = gd_march_alone(&march);
    gd_release(loader.arena);
    gd_lazy_free(&lazy);
    gd_release(order.rows);
    return status;
}
