/* A plain C program around the engine: no Python, no gdfast installed where it runs. It is compiled together with the
 * engine's sources, which the Python package carries; README.md has the command. */
#include <gdfast.h>

#include <stdio.h>

enum { N = 20000, D = 3 };

static float X[N][D]; /* samples of very different scale, which solver auto does not mind */
static double y[N];

/* Uniform in [0, 1): enough of a generator for an example. */
static double uniform(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* y = 3 x0 - 0.02 x1 + 500 x2 - 7, and noise. */
static void make_data(void) {
    uint64_t state = 1;
    for (int i = 0; i < N; i++) {
        X[i][0] = (float)uniform(&state);
        X[i][1] = (float)(1000 * uniform(&state));
        X[i][2] = (float)(0.01 * uniform(&state));
        y[i] = 3.0 * X[i][0] - 0.02 * X[i][1] + 500.0 * X[i][2] - 7.0 + 0.1 * (uniform(&state) - 0.5);
    }
}

/* A gd_epoch_hook: tell of each epoch, go on. */
static int tell(void *context, const gd_epoch *epoch) {
    fprintf(context, "epoch %d: error %.6g\n", (int)epoch->epoch, epoch->error);
    return 0;
}

/* Train, and print the weights and the first scores. */
static gd_status run(const gd_problem *problem) {
    gd_settings settings = {.solver = GD_SOLVER_AUTO, .max_iter = 100, .tol = 1e-9, .n_threads = 2};
    gd_hooks hooks = {.context = stdout};
    gd_report report;
    gd_state state;
    float scores[N];
    gd_status status = gd_state_init(&state, &settings, D + 1); /* weights start at 0 */
    if (status) return status;
    status = gd_descend(problem, NULL, &settings, &hooks, tell, &state, &report);
    if (!status) status = gd_scores(problem, state.answer, state.answer + D, 2, NULL, scores, 1);
    if (!status) {
        const double *w = state.answer;
        printf("weights %.17g %.17g %.17g bias %.17g\n", w[0], w[1], w[2], w[D]);
        printf("error %.6g after %d steps, %d reads of X\n", report.error, (int)report.n_iter, (int)report.n_passes);
        for (int i = 0; i < 3; i++) printf("row %d: y %.3f, score %.3f\n", i, y[i], scores[i]);
    }
    gd_report_free(&report);
    gd_state_free(&state);
    return status;
}

/* n rows of m doubles or floats, one behind the other. */
static gd_matrix matrix(const void *data, int64_t n, int64_t m, gd_type type) {
    int64_t size = type == GD_F64 ? 8 : 4;
    return (gd_matrix){.data = data, .n_rows = n, .n_cols = m, .row_stride = m * size, .col_stride = size, .type = type};
}

int main(void) {
    gd_problem problem = {.n = N, .n_outputs = 1, .loss = gd_loss_squared_error, .fit_intercept = 1};
    gd_status status = gd_init(NULL);
    if (status) return fprintf(stderr, "gd_init: status %d\n", status), 1;
    printf("gdfast.h version %d, instruction set %s\n", gd_api_version(), gd_isa_name());
    make_data();
    problem.X = matrix(X, N, D, GD_F32);
    problem.y = matrix(y, N, 1, GD_F64);
    status = run(&problem);
    if (status) return fprintf(stderr, "gdfast: status %d\n", status), 1;
    return 0;
}
