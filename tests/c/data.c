#include "data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const int type_size[GD_N_TYPES] = {[GD_F64] = 8, [GD_F32] = 4, [GD_F16] = 2, [GD_U8] = 1,  [GD_I8] = 1, [GD_U16] = 2,
                                          [GD_I16] = 2, [GD_U32] = 4, [GD_I32] = 4, [GD_U64] = 8, [GD_I64] = 8};

/* ---- dice ------------------------------------------------------------------------------------------------------ */

uint64_t roll(dice *d) {
    uint64_t x = d->state += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

int64_t roll_below(dice *d, int64_t n) { return (int64_t)(roll(d) % (uint64_t)n); }

double roll_between(dice *d, double a, double b) {
    double share = (double)(roll(d) >> 40) * 0x1p-24;
    return (double)(float)(a + (b - a) * share);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static char *pool_take(pool *p, size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (bytes + page - 1) / page * page + page;
    char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(base + size - page, page, PROT_NONE)) abort();
    p->pieces[p->n].base = base;
    p->pieces[p->n++].size = size;
    return base + size - page - bytes;
}

void pool_seal(pool *p) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < p->n; i++)
        if (mprotect(p->pieces[i].base, p->pieces[i].size - page, PROT_READ)) abort();
}

void pool_free(pool *p) {
    for (int i = 0; i < p->n; i++) munmap(p->pieces[i].base, p->pieces[i].size);
    p->n = 0;
}

/* ---- stored types ---------------------------------------------------------------------------------------------- */

static uint16_t half_bits(double v) {
    int sign = signbit(v) ? 0x8000 : 0, exponent;
    double size = fabs(v);
    if (size == 0.0) return (uint16_t)sign;
    if (isnan(v)) return 0x7e00;
    if (isinf(v)) return (uint16_t)(sign | 0x7c00);
    double share = frexp(size, &exponent);
    int bits = exponent < -13 ? (int)(size * 0x1p24) : ((exponent + 14) << 10) + (int)(share * 2048.0) - 1024;
    return (uint16_t)(sign | bits);
}

static void encode(double v, int type, int swapped, char *to) {
    union { double f64; float f32; uint16_t f16, u16; uint8_t u8; int8_t i8; int16_t i16; uint32_t u32; int32_t i32;
            uint64_t u64; int64_t i64; char bytes[8]; } e;
    switch (type) {
    case GD_F64: e.f64 = v; break;
    case GD_F32: e.f32 = (float)v; break;
    case GD_F16: e.f16 = half_bits(v); break;
    case GD_U8: e.u8 = (uint8_t)v; break;
    case GD_I8: e.i8 = (int8_t)v; break;
    case GD_U16: e.u16 = (uint16_t)v; break;
    case GD_I16: e.i16 = (int16_t)v; break;
    case GD_U32: e.u32 = (uint32_t)v; break;
    case GD_I32: e.i32 = (int32_t)v; break;
    case GD_U64: e.u64 = (uint64_t)v; break;
    default: e.i64 = (int64_t)v;
    }
    for (int b = 0; b < type_size[type]; b++) to[b] = e.bytes[swapped ? type_size[type] - 1 - b : b];
}

double draw(dice *d, int type) {
    switch (type) {
    case GD_F64: return roll_between(d, -2.0, 2.0) + 1e-9 * roll_between(d, -2.0, 2.0);
    case GD_F32: return roll_between(d, -2.0, 2.0);
    case GD_F16: /* now and then a subnormal half */
        if (roll_below(d, 16) == 0) return (double)(roll_below(d, 2047) - 1023) * 0x1p-24;
        return (double)(roll_below(d, 129) - 64) / 32.0;
    case GD_U8: return (double)roll_below(d, 256);
    case GD_I8: return (double)(roll_below(d, 256) - 128);
    case GD_U16: return (double)roll_below(d, 65536);
    case GD_I16: return (double)(roll_below(d, 65536) - 32768);
    case GD_U32: return (double)roll_below(d, (int64_t)1 << 32);
    case GD_I32: return (double)(roll_below(d, (int64_t)1 << 32) - ((int64_t)1 << 31));
    case GD_U64: return (double)(roll(d) >> 12) * 4096.0;
    default: return (double)((int64_t)roll(d) / 4096) * 4096.0;
    }
}

double draw_size(int type) {
    static const double sizes[GD_N_TYPES] = {[GD_F64] = 2.0,  [GD_F32] = 2.0,     [GD_F16] = 2.0,     [GD_U8] = 256.0,
                                             [GD_I8] = 128.0, [GD_U16] = 65536.0, [GD_I16] = 32768.0, [GD_U32] = 0x1p32,
                                             [GD_I32] = 0x1p31, [GD_U64] = 0x1p64, [GD_I64] = 0x1p63};
    return sizes[type];
}

gd_matrix store(pool *p, const double *values, int64_t rows, int64_t cols, int type, layout how) {
    int64_t size = type_size[type], row = cols * size, col = size, before = 0, after = 0;
    int swapped = how == LAYOUT_SWAPPED || how == LAYOUT_SWAPPED_F;
    switch (how) {
    case LAYOUT_F:
    case LAYOUT_SWAPPED_F:
    case LAYOUT_REVERSED_F: row = size, col = rows * size; break;
    case LAYOUT_SPREAD: col = 2 * size, row = 3 * cols * col; break;
    case LAYOUT_UNALIGNED: after = 1; break;
    case LAYOUT_PACKED: col = size + 1, row = cols * col; break;
    default: break;
    }
    int64_t reach = (rows - 1) * row + (cols - 1) * col;
    if (how == LAYOUT_REVERSED || how == LAYOUT_REVERSED_F) before = reach, row = -row, col = -col;
    char *start = pool_take(p, (size_t)(reach + size + after));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) encode(values[i * cols + j], type, swapped, start + before + i * row + j * col);
    return (gd_matrix){.data = start + before, .n_rows = rows, .n_cols = cols, .row_stride = row, .col_stride = col, .type = type, .swapped = swapped};
}

static void put_integer(void *to, int64_t at, int wide, int64_t value) {
    if (wide) ((int64_t *)to)[at] = value;
    else ((int32_t *)to)[at] = (int32_t)value;
}

gd_matrix store_csr(pool *p, const double *values, int64_t rows, int64_t cols, int type, int wide) {
    enum { OUTSIDE = 3 }; /* entries of no row, at each end */
    dice d = {(uint64_t)(rows * 131 + cols)};
    int64_t most = 2 * rows * cols + 2 * OUTSIDE, n = OUTSIDE, *columns = malloc(sizeof *columns * (size_t)most);
    double *entries = malloc(sizeof *entries * (size_t)most);
    int integer = wide ? 8 : 4;
    void *indptr = pool_take(p, (size_t)((rows + 1) * integer));
    if (!columns || !entries) abort();
    for (int64_t i = 0; i < rows; i++) {
        int64_t first = n;
        put_integer(indptr, i, wide, n);
        for (int64_t j = 0; j < cols; j++) {
            double v = values[i * cols + j];
            if (v == 0.0 && roll_below(&d, 10)) continue;
            int parts = roll_below(&d, 8) == 0 ? 2 : 1;
            for (int part = 0; part < parts; part++) entries[n] = v / parts, columns[n++] = j;
        }
        for (int64_t e = n - 1; e > first; e--) {
            int64_t other = first + roll_below(&d, e - first + 1), column = columns[e];
            double v = entries[e];
            entries[e] = entries[other], columns[e] = columns[other];
            entries[other] = v, columns[other] = column;
        }
    }
    put_integer(indptr, rows, wide, n);
    n += OUTSIDE;
    char *to = pool_take(p, (size_t)(n * type_size[type]));
    void *indices = pool_take(p, (size_t)(n * integer));
    for (int64_t e = 0; e < n; e++) {
        int outside = e < OUTSIDE || e >= n - OUTSIDE;
        encode(outside ? NAN : entries[e], type, 0, to + e * type_size[type]);
        put_integer(indices, e, wide, outside ? INT32_MAX : columns[e]);
    }
    free(columns), free(entries);
    return (gd_matrix){.data = to, .n_rows = rows, .n_cols = cols, .type = type, .indices = indices, .indptr = indptr, .n_stored = n, .wide = wide};
}

/* ---- problems -------------------------------------------------------------------------------------------------- */

double loss_param(int loss) {
    return loss == gd_loss_huber ? 0.7 : loss == gd_loss_quantile ? 0.3 : 0.2;
}

static double draw_target(dice *d, const recipe *r) {
    int small = r->y_type != GD_F64 && r->y_type != GD_F32; /* whole numbers then */
    switch (r->loss) {
    case gd_loss_poisson: return (double)roll_below(d, 7);
    case gd_loss_gamma: return small ? (double)(1 + roll_below(d, 4)) : roll_between(d, 0.1, 4.0);
    case gd_loss_log_loss: return small || roll_below(d, 2) ? (double)roll_below(d, 2) : roll_between(d, 0.0, 1.0);
    default: break;
    }
    if (gd_loss_is_margin(r->loss)) return roll_below(d, 2) ? 1.0 : -1.0;
    return small ? (double)roll_below(d, 4) : roll_between(d, -2.0, 2.0);
}

static double *room(int64_t count) {
    double *memory = calloc((size_t)count + 1, sizeof *memory);
    if (!memory) abort();
    return memory;
}

recipe random_recipe(dice *d, int64_t most_columns, int64_t most_outputs) {
    recipe r = {.n = 1 + roll_below(d, 600)};
    r.d = 1 + roll_below(d, most_columns), r.type = (int)roll_below(d, GD_N_TYPES), r.seed = roll(d) >> 40;
    r.k = roll_below(d, 2) ? 1 : 2 + roll_below(d, most_outputs - 1);
    r.how = (int)roll_below(d, N_LAYOUTS), r.y_how = (int)roll_below(d, N_LAYOUTS);
    r.loss = (int)roll_below(d, GD_N_LOSSES);
    r.softmax = r.loss == gd_loss_log_loss && r.k > 1 && roll_below(d, 3);
    r.codes = (gd_loss_is_margin(r.loss) || r.loss == gd_loss_log_loss) && roll_below(d, 2);
    if (roll_below(d, 3) == 0) r.sparse = 1 + (int)roll_below(d, 2), r.type = roll_below(d, 2) ? GD_F32 : GD_F64;
    r.weighted = (int)roll_below(d, 2), r.subset = (int)roll_below(d, 3) == 0;
    r.offset_cols = (int)(roll_below(d, 2) ? 0 : roll_below(d, 2) ? 1 : r.k);
    return r;
}

/* m rows are stored; `rows` lists the n that count. */
data data_make(const recipe *r) {
    data c;
    memset(&c, 0, sizeof c);
    dice d = {r->seed * 1000003 + (uint64_t)(r->n * 31 + r->d * 17 + r->k)};
    int64_t n = r->n, k = r->k, m = r->subset ? n + n / 2 + 1 : n, y_cols = r->codes ? 1 : k;
    double *X = room(m * r->d), *y = room(m * y_cols), *s = room(m), *offset = room(m * k);
    int64_t *rows = (int64_t *)(void *)room(n);
    for (int64_t i = 0; i < m * r->d; i++) X[i] = draw(&d, r->type);
    for (int64_t i = 0; r->sparse && i < m * r->d; i++)
        if (i / r->d % 5 == 3 || roll_below(&d, 3)) X[i] = 0.0;
    for (int64_t i = 0; i < m * y_cols; i++) y[i] = r->codes ? (double)roll_below(&d, k > 1 ? k : 2) : draw_target(&d, r);
    for (int64_t i = 0; i < m; i++) s[i] = r->weighted ? 0.5 * (double)roll_below(&d, 5) : 1.0;
    for (int64_t i = 0; i < m * k; i++) offset[i] = r->offset_cols ? roll_between(&d, -0.5, 0.5) : 0.0;
    for (int64_t i = 0; i < n; i++) rows[i] = r->subset ? roll_below(&d, m) : i;
    s[rows[0]] = 1.0;

    gd_problem *problem = &c.problem;
    problem->X = r->sparse ? store_csr(&c.memory, X, m, r->d, r->type, r->sparse == 2) : store(&c.memory, X, m, r->d, r->type, (layout)r->how);
    problem->y = store(&c.memory, y, m, y_cols, r->y_type, (layout)r->y_how);
    if (r->weighted) problem->weight = store(&c.memory, s, m, 1, GD_F32, LAYOUT_C);
    if (r->offset_cols) {
        for (int64_t i = 0; r->offset_cols == 1 && i < m; i++) offset[i] = offset[i * k];
        problem->offset = store(&c.memory, offset, m, r->offset_cols, GD_F64, LAYOUT_C);
    }
    pool_seal(&c.memory);
    problem->n = n, problem->n_outputs = k;
    problem->loss = r->loss, problem->softmax = r->softmax;
    problem->target = r->codes ? GD_CODES : GD_VALUES, problem->first_code = k > 1 ? 0 : 1;
    problem->fit_intercept = 1, problem->loss_param = loss_param(r->loss);
    problem->l2 = r->l2, problem->l1 = r->l1;
    problem->rows = r->subset ? rows : NULL;

    double other = gd_loss_is_margin(r->loss) ? -1.0 : 0.0;
    c.X = room(n * r->d), c.y = room(n * k), c.s = room(n), c.offset = room(n * k);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = rows[i];
        memcpy(c.X + i * r->d, X + at * r->d, sizeof *X * (size_t)r->d);
        c.s[i] = s[at];
        for (int64_t j = 0; j < k; j++) {
            double code = k == 1 ? 1.0 : (double)j;
            c.y[i * k + j] = !r->codes ? y[at * k + j] : y[at] == code ? 1.0 : other;
            c.offset[i * k + j] = r->offset_cols == 1 ? offset[at] : offset[at * k + j];
        }
    }
    for (int64_t i = 0; i < n; i++) problem->weight_mean += c.s[i] / (double)n;
    c.size = k * r->d + k;
    c.weights = room(c.size);
    for (int64_t j = 0; j < c.size; j++)
        c.weights[j] = roll_between(&d, -1.0, 1.0) / (j < k * r->d ? draw_size(r->type) * sqrt((double)r->d) / 4.0 : 1.0);
    free(X), free(y), free(s), free(offset);
    if (!r->subset) free(rows);
    return c;
}

void data_free(data *c) {
    free((void *)(uintptr_t)c->problem.rows);
    free(c->X), free(c->y), free(c->s), free(c->offset), free(c->weights);
    pool_free(&c->memory);
}
