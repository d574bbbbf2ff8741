#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "matmul.h"
#include "pool.h"
#include "vector.h"
#include "view.h"

enum {
    GROUP = 64,       /* channels that a matrix product takes at once: its operands stay in the second-level cache */
    FEW_TILES = 12,   /* tiles in a task: a multiple of MATMUL_ROWS */
    MANY_TILES = 36   /* with more than GROUP input channels, whose filters are read once for each task */
};

struct srk_conv {
    int n_in, n_out;
    int padded_out; /* with a shuffle, each of the r^2 groups of channels is padded on its own */
    int kernel, shuffle, method;
    float *packed; /* the filters, in the order in which the method reads them */
    float *bias;   /* padded_out */
};

/* ---- preparing the weights ---- */

/* Return which output channel of the weights the padded channel n is, or -1 for padding. */
static int channel_of(const srk_conv *conv, int n) {
    int n_groups = conv->shuffle * conv->shuffle;
    int padded = conv->padded_out / n_groups, real = conv->n_out / n_groups;
    return n % padded < real ? n / padded * real + n % padded : -1;
}

/* Read the 9 taps from input channel k to LANES output channels. */
static void gather_taps(const srk_conv *conv, const float *weight, int k, int first_out, float taps[9][LANES]) {
    for (int lane = 0; lane < LANES; lane++) {
        int n = channel_of(conv, first_out + lane);
        for (int i = 0; i < 9; i++) taps[i][lane] = n < 0 ? 0.f : weight[((int64_t)n * conv->n_in + k) * 9 + i];
    }
}

typedef struct {
    const srk_conv *conv;
    view x, y;
    epilogue end;
    int tiles; /* in a task */
    int tiles_x, n_tiles;
    atomic_int *failed;
} winograd_job;

#define TILE 4
#include "winograd.inc"
#undef TILE
#define TILE 2
#include "winograd.inc"
#undef TILE

/* [tap][in][out], for the direct method. */
static void pack_direct(const srk_conv *conv, const float *weight, float *to) {
    int n_taps = conv->kernel * conv->kernel;
    for (int tap = 0; tap < n_taps; tap++)
        for (int k = 0; k < conv->n_in; k++)
            for (int n = 0; n < conv->padded_out; n++) {
                int from = channel_of(conv, n);
                *to++ = from < 0 ? 0.f : weight[((int64_t)from * conv->n_in + k) * n_taps + tap];
            }
}

static float *allocate(int64_t n_floats) {
    return aligned_alloc(64, ((size_t)n_floats * sizeof(float) + 63) / 64 * 64);
}

srk_conv *srk_conv_new(const float *weight, const float *bias, int n_in, int n_out, int kernel, int shuffle, int method) {
    srk_conv *conv = calloc(1, sizeof *conv);
    if (!conv) return NULL;
    int n_groups = shuffle * shuffle, side = method + 2;
    *conv = (srk_conv){.n_in = n_in, .n_out = n_out, .kernel = kernel, .shuffle = shuffle};
    conv->padded_out = n_groups * round_up(n_out / n_groups, LANES);
    conv->method = kernel == 3 ? method : SRK_DIRECT;
    int n_positions = conv->method == SRK_DIRECT ? kernel * kernel : side * side;
    conv->packed = allocate((int64_t)n_positions * n_in * conv->padded_out);
    conv->bias = allocate(conv->padded_out);
    if (!conv->packed || !conv->bias) {
        srk_conv_free(conv);
        return NULL;
    }
    for (int n = 0; n < conv->padded_out; n++) {
        int from = channel_of(conv, n);
        conv->bias[n] = from < 0 ? 0.f : bias[from];
    }
    if (conv->method == SRK_F43)
        pack_f4(conv, weight, conv->packed);
    else if (conv->method == SRK_F23)
        pack_f2(conv, weight, conv->packed);
    else
        pack_direct(conv, weight, conv->packed);
    return conv;
}

void srk_conv_free(srk_conv *conv) {
    if (!conv) return;
    free(conv->packed);
    free(conv->bias);
    free(conv);
}

/* ---- the direct method: the reference, and the way of 1x1 convolutions ---- */

typedef struct {
    const srk_conv *conv;
    view x, y;
    epilogue end;
} direct_job;

/* One task: a row of the output. Each output is a sum over taps, then input channels, in this order. */
static void direct_row(void *argument, int row, int thread) {
    const direct_job *job = argument;
    const srk_conv *conv = job->conv;
    int reach = conv->kernel / 2;
    (void)thread;
    for (int n = 0; n < conv->padded_out; n += LANES)
        for (int column = 0; column < job->y.width; column++) {
            vec sum = load(job->end.bias + n);
            for (int tap = 0; tap < conv->kernel * conv->kernel; tap++) {
                int y = row + tap / conv->kernel - reach, x = column + tap % conv->kernel - reach;
                if (y < 0 || y >= job->x.height || x < 0 || x >= job->x.width) continue;
                const float *pixel = job->x.data + view_offset(&job->x, y, x, 0);
                const float *filter = conv->packed + (int64_t)tap * conv->n_in * conv->padded_out + n;
                for (int k = 0; k < conv->n_in; k++) sum += pixel[k] * load(filter + (int64_t)k * conv->padded_out);
            }
            int64_t at = view_offset(&job->y, row, column, n);
            if (job->end.relu) sum = positive(sum);
            if (job->end.skip) sum += load(job->end.skip + at);
            store(job->y.data + at, sum);
        }
}

/* ---- running ---- */

int srk_conv_run(const srk_conv *conv, const float *x, int height, int width, int relu, const float *skip, float *y) {
    view from = {(float *)x, height, width, round_up(conv->n_in, LANES), 1};
    view to = {y, height, width, conv->padded_out, conv->shuffle};
    epilogue end = {conv->bias, skip, relu};
    atomic_int failed = 0;
    pool_acquire();
    if (conv->method == SRK_DIRECT) {
        direct_job job = {conv, from, to, end};
        pool_run(height, direct_row, &job);
    } else {
        int tile = conv->method, tiles_x = (width + tile - 1) / tile;
        winograd_job job = {conv, from, to, end, conv->n_in > GROUP ? MANY_TILES : FEW_TILES, tiles_x,
                            tiles_x * ((height + tile - 1) / tile), &failed};
        int n_blocks = (job.n_tiles + job.tiles - 1) / job.tiles, n_groups = (conv->padded_out + GROUP - 1) / GROUP;
        pool_run(n_blocks * n_groups, tile == 4 ? block_f4 : block_f2, &job);
    }
    pool_release();
    return failed;
}

int srk_lanes(void) { return LANES; }

/* ---- the peak ---- */

enum { PEAK_TASKS = 64, PEAK_SIDE = 64 };

static void peak_task(void *argument, int index, int thread) {
    int n_repeats = *(int *)argument;
    float *a = pool_scratch(thread, 2, MATMUL_ROWS * PEAK_SIDE), *b = pool_scratch(thread, 3, PEAK_SIDE * PEAK_SIDE);
    float *c = pool_scratch(thread, 4, MATMUL_ROWS * PEAK_SIDE);
    product p = {a, b, c, PEAK_SIDE, PEAK_SIDE, PEAK_SIDE, PEAK_SIDE};
    (void)index;
    if (!a || !b || !c) return;
    for (int i = 0; i < n_repeats; i++) matmul(p, MATMUL_ROWS, PEAK_SIDE, 0);
}

double srk_peak_flop(int n_repeats) {
    pool_acquire();
    pool_run(PEAK_TASKS, peak_task, &n_repeats);
    pool_release();
    return 2.0 * MATMUL_ROWS * PEAK_SIDE * PEAK_SIDE * n_repeats * PEAK_TASKS;
}
