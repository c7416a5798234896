/* Many models, one read of X: chunks of blocks over threads, each adding its blocks in order. */
#include "many.h"

#include <math.h>
#include <string.h>

#include "threads.h"

/* ---- setting up -------------------------------------------------------------------------------------------------- */

static int is_sound(const gd_grid *grid) {
    const gd_problem *problem = &grid->problem;
    if (grid->n_models < 1 || grid->n_splits < 0) return 0;
    for (int64_t m = 0; m < grid->n_models; m++) {
        const gd_model *model = &grid->models[m];
        int one_loss = problem->softmax || problem->n_outputs > 1;
        if (model->loss < 0 || model->loss >= GD_N_LOSSES || (one_loss && model->loss != problem->loss)) return 0;
        if (model->split < -1 || model->split >= grid->n_splits || (model->split >= 0 && !grid->roles)) return 0;
        if (model->class_weight && problem->target != GD_CODES) return 0;
    }
    return 1;
}

/* Models of the same split and class weights share what their rows count. */
static gd_status find_weightings(gd_many *many) {
    const gd_grid *grid = &many->grid;
    many->weighting = gd_alloc(grid->n_models, sizeof *many->weighting);
    many->weightings = gd_alloc(grid->n_models, sizeof *many->weightings);
    if (!many->weighting || !many->weightings) return GD_NO_MEMORY;
    for (int64_t m = 0; m < grid->n_models; m++) {
        const gd_model *model = &grid->models[m];
        int64_t g = 0;
        gd_weighting *list = many->weightings;
        while (g < many->n_weightings && (list[g].split != model->split || list[g].class_weight != model->class_weight)) g++;
        list[g] = (gd_weighting){model->split, model->class_weight, 0};
        many->weighting[m] = g;
        many->n_weightings = gd_max(many->n_weightings, g + 1);
    }
    return GD_OK;
}

/* How a pass over some models is laid out. */
static gd_many_pass plan_models(const gd_many *many, int64_t n_models, const int64_t *models) {
    const gd_pass *pass = &many->engine.pass;
    int64_t lanes = pass->doubles ? GD_LANES_D : GD_LANES_F, row_bytes = pass->sparse ? 0 : 2 * pass->d_pad * (pass->doubles ? 8 : 4);
    gd_many_pass plan = {.pass = pass, .grid = &many->grid, .weightings = many->weightings, .models = models, .weighting = many->weighting,
                         .n_models = n_models, .n_weightings = many->n_weightings, .columns = n_models * pass->k, .tile_rows = GD_MANY_ROWS,
                         .weights = many->weights, .bias = many->bias};
    plan.columns_pad = (plan.columns + lanes - 1) / lanes * lanes;
    while (plan.tile_rows > lanes && plan.tile_rows * row_bytes > 1 << 19) plan.tile_rows /= 2;
    plan.weight_at = n_models * 2 * GD_LANES_D;
    plan.bias_at = plan.weight_at + plan.n_weightings * 2 * GD_LANES_D;
    plan.gradient_at = plan.bias_at + plan.columns * GD_LANES_D;
    plan.size = plan.gradient_at + (pass->sparse ? pass->d * plan.columns_pad : plan.columns * pass->d_pad);
    plan.narrow = pass->sparse ? pass->problem->X.type == GD_F32 && !pass->problem->double_lanes : !pass->doubles;
    return plan;
}

static void cut_scratch(const gd_many *many, const gd_many_pass *plan, gd_cutter *cutter, gd_many_scratch *s) {
    const gd_problem *problem = &many->grid.problem;
    const gd_pass *pass = plan->pass;
    int64_t size = pass->doubles ? 8 : 4, rows = plan->tile_rows, k = pass->k, dense = !pass->sparse, floats = !pass->doubles;
    int margin = 0, other = 0;
    for (int64_t m = 0; m < many->grid.n_models; m++)
        if (gd_loss_is_margin(many->grid.models[m].loss)) margin = 1;
        else other = 1;
    if (problem->target == GD_VALUES) margin = 0, other = 1;
    gd_cut_csr(cutter, pass->sparse, &s->csr);
    s->tile = gd_cut(cutter, dense ? rows * pass->d_pad : plan->columns_pad, size);
    s->turned = gd_cut(cutter, dense ? pass->d_pad * rows : 0, size);
    s->Z = gd_cut(cutter, plan->columns * rows, size);
    s->R = gd_cut(cutter, plan->columns * rows, size);
    s->G = gd_cut(cutter, dense ? plan->columns * pass->d_pad : 0, size);
    s->y[0] = gd_cut(cutter, other ? k * rows : 0, 8);
    s->y[1] = gd_cut(cutter, margin ? k * rows : 0, 8);
    s->codes = gd_cut(cutter, rows, 8);
    s->s = gd_cut(cutter, rows, 8);
    s->offset = gd_cut(cutter, k * rows, 8);
    s->w = gd_cut(cutter, many->n_weightings * rows, 8);
    s->z = gd_cut(cutter, floats ? k * rows : 0, 8);
    s->r = gd_cut(cutter, floats ? k * rows : 0, 8);
    s->e = gd_cut(cutter, rows, 8);
    s->one = gd_cut(cutter, 4 * rows, 8);
    s->y_f = gd_cut(cutter, floats ? k * rows : 0, 4);
    s->w_f = gd_cut(cutter, floats ? many->n_weightings * rows : 0, 4);
    s->e_f = gd_cut(cutter, floats ? 3 * rows : 0, 4);
    if (!other) s->y[0] = NULL;
    if (!margin) s->y[1] = NULL;
}

static void cut_all(gd_many *many, int64_t n_models, gd_cutter *cutter) {
    gd_many_pass plan = plan_models(many, n_models, NULL);
    int64_t size = plan.pass->doubles ? 8 : 4;
    many->scratch = gd_cut(cutter, many->n_threads, sizeof *many->scratch);
    for (int t = 0; t < many->n_threads; t++) {
        gd_many_scratch scratch = {0};
        cut_scratch(many, &plan, cutter, &scratch);
        if (many->scratch) many->scratch[t] = scratch;
    }
    many->weights = gd_cut(cutter, plan.pass->sparse ? plan.pass->d * plan.columns_pad : plan.columns * plan.pass->d, size);
    many->bias = gd_cut(cutter, plan.columns, size);
    many->sums = gd_cut(cutter, many->n_chunks * plan.size, 8);
}

/* Memory that a pass over so many models takes; -1: more than can be counted. */
static int64_t bytes_for(gd_many *many, int64_t n_models) {
    gd_cutter cutter = {NULL, 0};
    cut_all(many, n_models, &cutter);
    return cutter.used;
}

/* Chunks depend on the shape of one model's data alone, since they decide the bits of its sums: neither on threads nor on other models. */
static void plan_chunks(gd_many *many) {
    const gd_engine *engine = &many->engine;
    int64_t n_blocks = (engine->problem.n + GD_BLOCK_ROWS - 1) / GD_BLOCK_ROWS;
    int64_t wanted = engine->pass.sparse ? engine->n_chunks : GD_MANY_CHUNKS;
    int64_t own = engine->pass.sparse ? engine->chunk_blocks : n_blocks > 1 ? 2 : 1;
    while (wanted > 1 && engine->pass.out_size > GD_MANY_BYTES / 16 / wanted) wanted /= 2;
    many->chunk_blocks = gd_max(own, (n_blocks + wanted - 1) / wanted);
    many->n_chunks = (n_blocks + many->chunk_blocks - 1) / many->chunk_blocks;
}

gd_status gd_many_init(gd_many *many, const gd_grid *grid, int n_threads, const gd_hooks *hooks) {
    memset(many, 0, sizeof *many);
    if (!is_sound(grid)) return GD_BAD_ARGUMENT;
    many->grid = *grid;
    gd_status status = gd_engine_init(&many->engine, &grid->problem, 1, hooks);
    if (!status) status = find_weightings(many);
    if (status) return status;
    many->n_threads = gd_threads_for((double)grid->n_models * (double)grid->problem.n_outputs, &grid->problem, n_threads);
    plan_chunks(many);
    int64_t least = 1, most = grid->n_models; /* the most models within the budget, at least one */
    while (least < most) {
        int64_t middle = least + (most - least + 1) / 2, bytes = bytes_for(many, middle);
        if (bytes >= 0 && bytes <= GD_MANY_BYTES) least = middle;
        else most = middle - 1;
    }
    many->most_models = least;
    int64_t bytes = bytes_for(many, least);
    if (bytes < 0 || !(many->arena = gd_alloc(bytes, 1))) return GD_NO_MEMORY;
    gd_cutter cutter = {many->arena, 0};
    cut_all(many, least, &cutter);
    return GD_OK;
}

void gd_many_free(gd_many *many) {
    gd_release(many->arena);
    gd_release(many->weighting);
    gd_release(many->weightings);
    gd_engine_free(&many->engine);
    many->arena = NULL, many->weighting = NULL, many->weightings = NULL;
}

/* ---- a read of X --------------------------------------------------------------------------------------------------- */

static void set_weights(const gd_many *many, const gd_many_pass *plan, const double *const *weights) {
    const gd_pass *pass = plan->pass;
    int64_t d = pass->d, k = pass->k, column_step = pass->sparse ? 1 : d, step = pass->sparse ? plan->columns_pad : 1;
    double *wide = many->weights, *wide_bias = many->bias;
    float *narrow = many->weights, *narrow_bias = many->bias;
    for (int64_t m = 0; m < plan->n_models; m++)
        for (int64_t c = m * k; c < (m + 1) * k; c++) {
            const double *w = weights[m] + (c - m * k) * d, bias = weights[m][k * d + c - m * k];
            if (pass->doubles)
                for (int64_t j = 0; j < d; j++) wide[c * column_step + j * step] = gd_to_double(w[j]);
            else
                for (int64_t j = 0; j < d; j++) narrow[c * d + j] = gd_to_float(w[j]);
            if (pass->doubles) wide_bias[c] = gd_to_double(bias);
            else narrow_bias[c] = gd_to_float(bias);
        }
}

typedef struct gd_many_job { gd_many *many; const gd_many_pass *plan; } gd_many_job;

static void sum_chunk(void *context, int64_t chunk, int worker) {
    const gd_many_job *job = context;
    gd_many *many = job->many;
    gd_engine *engine = &many->engine;
    int64_t from = chunk * many->chunk_blocks * GD_BLOCK_ROWS, to = gd_min(engine->problem.n, from + many->chunk_blocks * GD_BLOCK_ROWS);
    double *sums = many->sums + chunk * job->plan->size;
    memset(sums, 0, sizeof *sums * (size_t)job->plan->size);
    for (int64_t at = from; at < to; at += GD_BLOCK_ROWS) {
        if (gd_engine_ends(engine, worker)) return;
        int64_t rows = gd_min(to - at, GD_BLOCK_ROWS);
        if (engine->pass.sparse) engine->kernels->csr_many(job->plan, &many->scratch[worker], at, rows, sums);
        else engine->kernels->many[engine->pass.doubles](job->plan, &many->scratch[worker], at, rows, sums);
    }
}

/* many->sums of chunk 0 = the sums over all rows. */
static gd_status sum_rows(gd_many *many, const gd_many_pass *plan) {
    gd_many_job job = {many, plan};
    gd_engine *engine = &many->engine;
    unsigned long fp = gd_fp_enter();
    many->missing_threads += gd_parallel(many->n_chunks, sum_chunk, &job, many->n_threads);
    if (!engine->interrupted) gd_sum_tree(many->n_chunks, plan->size, many->sums);
    gd_fp_restore(fp);
    engine->rows_read += (double)engine->problem.n;
    for (int t = 0; t < many->n_threads; t++)
        if (*many->scratch[t].csr.bad) return GD_BAD_ROWS;
    return engine->interrupted ? GD_INTERRUPTED : GD_OK;
}

static double fold(const double *lanes) {
    double sum = 0.0;
    for (int l = 0; l < GD_LANES_D; l++) sum += lanes[l];
    return sum;
}

/* The sums of model m -> its errors and gradient. */
static void finish(const gd_many *many, const gd_many_pass *plan, int64_t m, const double *weights, double *error, double *validation,
                   double *gradient) {
    const gd_pass *pass = plan->pass;
    int64_t number = plan->models[m], d = pass->d, k = pass->k;
    int64_t column_step = pass->sparse ? 1 : pass->d_pad, step = pass->sparse ? plan->columns_pad : 1;
    gd_problem own = many->engine.problem;
    own.l2 = many->grid.models[number].l2;
    const double *lanes = many->sums + m * 2 * GD_LANES_D;
    const double *weight = many->sums + plan->weight_at + many->weighting[number] * 2 * GD_LANES_D;
    double train = fold(weight), held_out = fold(weight + GD_LANES_D);
    *error = (train > 0.0 ? fold(lanes) / train : 0.0) + gd_l2_penalty(&own, weights);
    if (validation) *validation = held_out > 0.0 ? fold(lanes + GD_LANES_D) / held_out : NAN;
    if (!gradient) return;
    double total = train > 0.0 ? train : INFINITY;
    for (int64_t c = 0; c < k; c++) {
        const double *G = many->sums + plan->gradient_at + (m * k + c) * column_step;
        for (int64_t j = 0; j < d; j++) gradient[c * d + j] = G[j * step] / total + own.l2 * weights[c * d + j];
        gradient[k * d + c] = own.fit_intercept ? fold(many->sums + plan->bias_at + (m * k + c) * GD_LANES_D) / total : 0.0;
    }
}

gd_status gd_many_evaluate(gd_many *many, int64_t count, const int64_t *models, const double *const *weights, double *error,
                           double *validation, double *const *gradient) {
    for (int64_t from = 0; from < count; from += many->most_models) {
        int64_t n = gd_min(count - from, many->most_models);
        gd_many_pass plan = plan_models(many, n, models + from);
        for (int64_t g = 0; g < many->n_weightings; g++) many->weightings[g].used = 0;
        for (int64_t m = 0; m < n; m++) many->weightings[many->weighting[models[from + m]]].used = 1;
        set_weights(many, &plan, weights + from);
        gd_status status = sum_rows(many, &plan);
        if (status) return status;
        for (int64_t m = 0; m < n; m++)
            finish(many, &plan, m, weights[from + m], error + from + m, validation ? validation + from + m : NULL,
                gradient ? gradient[from + m] : NULL);
    }
    return GD_OK;
}

/* The scores of that column. */
gd_status gd_read_column(const gd_problem *problem, const gd_matrix *column, const gd_hooks *hooks, double *values) {
    static const double one = 1.0, zero = 0.0;
    gd_problem of_column = *problem;
    of_column.X = *column, of_column.weight.data = of_column.offset.data = NULL;
    of_column.n_outputs = 1, of_column.double_lanes = 1, of_column.softmax = 0;
    return gd_scores(&of_column, &one, &zero, 1, hooks, values, 0);
}

/* ---- one call ------------------------------------------------------------------------------------------------------- */

gd_status gd_grid_error_and_gradient(const gd_grid *grid, const double *coef, const double *intercept, int n_threads,
                                     const gd_hooks *hooks, double *error, double *validation, double *grad_coef,
                                     double *grad_intercept) {
    int64_t k = grid->problem.n_outputs, size = k * grid->problem.X.n_cols, each = size + k, n = grid->n_models;
    gd_many many;
    unsigned long fp = gd_fp_enter();
    gd_status status = gd_many_init(&many, grid, n_threads, hooks);
    double *room = status ? NULL : gd_alloc(n * (2 * each + 1), 8), *errors = room ? room + 2 * n * each : NULL;
    int64_t *numbers = room ? gd_alloc(n, sizeof *numbers) : NULL;
    const double **weights = numbers ? gd_alloc(n, sizeof *weights) : NULL;
    double **gradient = weights ? gd_alloc(n, sizeof *gradient) : NULL;
    if (!status && !gradient) status = GD_NO_MEMORY;
    for (int64_t m = 0; !status && m < n; m++) {
        double *w = room + 2 * m * each;
        memcpy(w, coef + m * size, sizeof *w * (size_t)size);
        memcpy(w + size, intercept + m * k, sizeof *w * (size_t)k);
        numbers[m] = m, weights[m] = w, gradient[m] = w + each;
    }
    if (!status) {
        many.engine.problem.fit_intercept = 1;
        status = gd_many_evaluate(&many, n, numbers, weights, errors, validation, gradient);
    }
    for (int64_t m = 0; !status && m < n; m++) {
        gd_problem own = grid->problem;
        own.l1 = grid->models[m].l1;
        gd_add_l1(&own, weights[m], &errors[m], gradient[m]);
        if (error) error[m] = errors[m];
        if (grad_coef) memcpy(grad_coef + m * size, gradient[m], sizeof *coef * (size_t)size);
        if (grad_intercept) memcpy(grad_intercept + m * k, gradient[m] + size, sizeof *coef * (size_t)k);
    }
    gd_release(gradient);
    gd_release(weights);
    gd_release(numbers);
    gd_release(room);
    gd_many_free(&many);
    gd_fp_restore(fp);
    return status;
}
