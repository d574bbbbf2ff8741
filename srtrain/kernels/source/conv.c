#include "conv.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "matmul.h"
#include "pool.h"
#include "vector.h"

enum {
    GROUP = 64,      /* channels that a matrix product takes at once: its operands stay in the second-level cache */
    FEW_TILES = 12,  /* tiles in a task: a multiple of MATMUL_ROWS */
    MANY_TILES = 36, /* with more than GROUP input channels, whose filters are read once for each task */
    N_SHARES = 8     /* parts of the sum over the tiles in a weight gradient; fixed, so that threads change no bit */
};

/* ---- where things are ---- */

/* Packed filters are in blocks of GROUP x GROUP channels. `before` counts the floats of one position before the block. */
typedef struct {
    int64_t before;
    int n_in, n_out; /* of the block */
    int k, n;        /* the channel pair's place in it */
} block;

static block block_of(int n_in, int n_out, int k, int n) {
    int in0 = k / GROUP * GROUP, out0 = n / GROUP * GROUP;
    block b = {.n_in = smaller(GROUP, n_in - in0), .n_out = smaller(GROUP, n_out - out0), .k = k - in0, .n = n - out0};
    b.before = (int64_t)out0 * n_in + (int64_t)in0 * b.n_out;
    return b;
}

/* The tiles of a batch, counted row by row and picture by picture. */
typedef struct {
    int per_row, per_image, n_tiles;
} tiling;

typedef struct {
    int image, y, x;
} place;

static tiling tiling_of(const view *y, int n_images, int tile) {
    int per_row = (y->width + tile - 1) / tile, per_image = per_row * ((y->height + tile - 1) / tile);
    return (tiling){per_row, per_image, n_images * per_image};
}

static place place_of(const tiling *t, int tile) {
    int inside = tile % t->per_image;
    return (place){tile / t->per_image, inside / t->per_row, inside % t->per_row};
}

/* ---- weights ---- */

typedef struct {
    const srk_conv *conv;
    const float *weight;
    int transposed;
} pack_job;

/* Return which output channel of the weights the padded channel n is, or -1 for padding. */
static int channel_of(const srk_conv *conv, int n) {
    int n_groups = conv->shuffle * conv->shuffle;
    int padded = conv->padded_out / n_groups, real = conv->n_out / n_groups;
    return n % padded < real ? n / padded * real + n % padded : -1;
}

static float tap_of(const pack_job *job, int k, int n, int tap) {
    int n_taps = job->conv->kernel * job->conv->kernel;
    if (job->transposed) return job->weight[((int64_t)k * job->conv->n_out + n) * n_taps + n_taps - 1 - tap];
    return job->weight[((int64_t)n * job->conv->n_in + k) * n_taps + tap];
}

/* Read the 9 taps from input channel k to LANES output channels. */
static void gather_taps(const pack_job *job, int k, int first_out, float taps[9][LANES]) {
    for (int lane = 0; lane < LANES; lane++) {
        int n = channel_of(job->conv, first_out + lane);
        for (int tap = 0; tap < 9; tap++) taps[tap][lane] = n < 0 ? 0.f : tap_of(job, k, n, tap);
    }
}

typedef struct {
    view x, dy;
    int n_in, n_out;
    tiling tiling;
    float *sums, *bias_sums; /* N_SHARES of each */
    int64_t share_size;
    float *dweight;
    atomic_int *failed;
} gradient_job;

/* Write the gradients of the 9 taps from input channel k to LANES output channels. */
static void scatter_taps(const gradient_job *job, int k, int first_out, float taps[9][LANES]) {
    for (int lane = 0; lane < LANES && first_out + lane < job->n_out; lane++)
        for (int tap = 0; tap < 9; tap++)
            job->dweight[((int64_t)(first_out + lane) * job->n_in + k) * 9 + tap] = taps[tap][lane];
}

typedef struct {
    const srk_conv *conv;
    view x, y;
    epilogue end;
    int tiles; /* in a task */
    tiling tiling;
    atomic_int *failed;
} winograd_job;

#define TILE 4
#include "winograd.inc"
#undef TILE
#define TILE 2
#include "winograd.inc"
#undef TILE

/* One task: input channel k of every tap, [tap][in][out], for the direct method. */
static void pack_direct(void *argument, int k, int thread) {
    const pack_job *job = argument;
    const srk_conv *conv = job->conv;
    (void)thread;
    for (int tap = 0; tap < conv->kernel * conv->kernel; tap++)
        for (int n = 0; n < conv->padded_out; n++) {
            int from = channel_of(conv, n);
            float *to = conv->packed + ((int64_t)tap * conv->n_in + k) * conv->padded_out + n;
            *to = from < 0 ? 0.f : tap_of(job, k, from, tap);
        }
}

int64_t conv_size(srk_conv *conv, int n_in, int n_out, int kernel, int shuffle, int method) {
    int n_groups = shuffle * shuffle, side = method + 2;
    *conv = (srk_conv){.n_in = n_in, .n_out = n_out, .kernel = kernel, .shuffle = shuffle};
    conv->padded_out = n_groups * round_up(n_out / n_groups, LANES);
    conv->method = kernel == 3 ? method : SRK_DIRECT;
    return (int64_t)(conv->method == SRK_DIRECT ? kernel * kernel : side * side) * n_in * conv->padded_out;
}

void conv_pack(srk_conv *conv, const float *weight, int transposed) {
    pack_job job = {conv, weight, transposed};
    pool_run(conv->n_in, conv->method == SRK_F43 ? pack_f4 : conv->method == SRK_F23 ? pack_f2 : pack_direct, &job);
}

static float *allocate(int64_t n_floats) {
    return aligned_alloc(64, ((size_t)n_floats * sizeof(float) + 63) / 64 * 64);
}

srk_conv *srk_conv_new(const float *weight, const float *bias, int n_in, int n_out, int kernel, int shuffle, int method) {
    srk_conv *conv = malloc(sizeof *conv);
    if (!conv) return NULL;
    int64_t n_floats = conv_size(conv, n_in, n_out, kernel, shuffle, method);
    conv->packed = allocate(n_floats);
    conv->bias = allocate(conv->padded_out);
    if (!conv->packed || !conv->bias) {
        srk_conv_free(conv);
        return NULL;
    }
    for (int n = 0; n < conv->padded_out; n++) {
        int from = channel_of(conv, n);
        conv->bias[n] = from < 0 ? 0.f : bias[from];
    }
    pool_acquire();
    conv_pack(conv, weight, 0);
    pool_release();
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

/* One task: a row of an output. Each value is a sum over taps, then input channels, in this order. */
static void direct_row(void *argument, int index, int thread) {
    const direct_job *job = argument;
    const srk_conv *conv = job->conv;
    int reach = conv->kernel / 2, image = index / job->y.height, row = index % job->y.height;
    view from = view_of(job->x, image), to = view_of(job->y, image);
    const float *skip = job->end.skip ? job->end.skip + image * view_size(&to) : NULL;
    (void)thread;
    for (int n = 0; n < conv->padded_out; n += LANES)
        for (int column = 0; column < to.width; column++) {
            vec sum = load(job->end.bias + n);
            for (int tap = 0; tap < conv->kernel * conv->kernel; tap++) {
                int y = row + tap / conv->kernel - reach, x = column + tap % conv->kernel - reach;
                if (y < 0 || y >= from.height || x < 0 || x >= from.width) continue;
                const float *pixel = from.data + view_offset(&from, y, x, 0);
                const float *filter = conv->packed + (int64_t)tap * conv->n_in * conv->padded_out + n;
                for (int k = 0; k < conv->n_in; k++) sum += pixel[k] * load(filter + (int64_t)k * conv->padded_out);
            }
            int64_t at = view_offset(&to, row, column, n);
            if (job->end.relu) sum = positive(sum);
            if (skip) sum += load(skip + at);
            store(to.data + at, sum);
        }
}

/* ---- running ---- */

int conv_run(const srk_conv *conv, view x, view y, int n_images, epilogue end) {
    atomic_int failed = 0;
    if (conv->method == SRK_DIRECT) {
        direct_job job = {conv, x, y, end};
        pool_run(n_images * y.height, direct_row, &job);
        return 0;
    }
    int tiles = conv->n_in > GROUP ? MANY_TILES : FEW_TILES;
    winograd_job job = {conv, x, y, end, tiles, tiling_of(&y, n_images, conv->method), &failed};
    int n_blocks = (job.tiling.n_tiles + tiles - 1) / tiles, n_groups = (conv->padded_out + GROUP - 1) / GROUP;
    pool_run(n_blocks * n_groups, conv->method == SRK_F43 ? forward_f4 : forward_f2, &job);
    return failed;
}

int srk_conv_run(const srk_conv *conv, const float *x, int height, int width, int relu, const float *skip, float *y) {
    view from = {(float *)x, height, width, round_up(conv->n_in, LANES), 1};
    view to = {y, height, width, conv->padded_out, conv->shuffle};
    pool_acquire();
    int failed = conv_run(conv, from, to, 1, (epilogue){conv->bias, skip, relu});
    pool_release();
    return failed;
}

int conv_gradients(view x, view dy, int n_images, int n_in, int n_out, int method, float *dweight, float *dbias) {
    atomic_int failed = 0;
    int n_positions = (method + 2) * (method + 2);
    gradient_job job = {.x = x, .dy = dy, .n_in = n_in, .n_out = n_out, .dweight = dweight, .failed = &failed};
    job.tiling = tiling_of(&dy, n_images, method);
    job.share_size = (int64_t)n_positions * x.channels * dy.channels;
    job.sums = pool_scratch(POOL_SHARED, 0, N_SHARES * (job.share_size + dy.channels));
    if (!job.sums) return 1;
    job.bias_sums = job.sums + N_SHARES * job.share_size;
    int n_pairs = (x.channels + GROUP - 1) / GROUP * ((dy.channels + GROUP - 1) / GROUP);
    pool_run(N_SHARES * n_pairs, method == SRK_F43 ? sum_gradients_f4 : sum_gradients_f2, &job);
    if (failed) return 1;
    pool_run(n_in, method == SRK_F43 ? finish_gradient_f4 : finish_gradient_f2, &job);
    for (int n = 0; n < n_out; n++) {
        float sum = 0;
        for (int share = 0; share < N_SHARES; share++) sum += job.bias_sums[share * dy.channels + n];
        dbias[n] = sum;
    }
    return 0;
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
