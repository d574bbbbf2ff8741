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
    MAX_SHARES = 8       /* parts of the sum over the tiles in a weight gradient */
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

/* The rest of an epilogue for a sum with bias; skip and mask point to the first channel of the pixel, or are NULL. */
static inline vec finish(vec value, const epilogue *end, const float *skip, const float *mask, int channel) {
    if (end->relu) value = positive(value);
    if (skip) value += load(skip + channel);
    if (mask && channel >= end->mask_from) value = where_positive(value, load(mask + channel - end->mask_from));
    return value;
}

/* The first channel of a pixel of a view without a shuffle, or NULL. */
static inline const float *pixel_of(const view *v, int64_t pixel) { return v->data ? v->data + pixel * v->pixel : NULL; }

/* ---- weights ---- */

int filters_padded_in(const filters *f) { return round_up(f->n_in, LANES); }
int filters_padded_out(const filters *f) {
    int n_groups = f->shuffle * f->shuffle;
    return n_groups * round_up(f->n_out / n_groups, LANES);
}

/* Return which output channel of the weights the padded channel n is, or -1 for padding. */
static int channel_of(const filters *f, int n) {
    int n_groups = f->shuffle * f->shuffle, real = f->n_out / n_groups, padded = round_up(real, LANES);
    return n % padded < real ? n / padded * real + n % padded : -1;
}

/* Return the taps from input channel k to output channel n, both padded, or NULL if they are not connected. */
static const float *taps_of(const filters *f, int k, int n) {
    if ((n = channel_of(f, n)) < 0 || k >= f->n_in) return NULL;
    int width = f->n_in / f->sections, per_group = f->n_in / f->groups;
    int place = k % width * f->sections + k / width - n / (f->n_out / f->groups) * per_group;
    if (place < 0 || place >= per_group) return NULL;
    return f->weight + ((int64_t)n * per_group + place) * f->kernel * f->kernel;
}

typedef struct {
    srk_conv *conv;
    const filters *filters;
    int transposed;
} pack_job;

/* Read the taps from input channel k of the convolution to LANES of its output channels. */
static void gather_taps(const pack_job *job, int k, int first_out, float taps[9][LANES]) {
    int n_taps = job->filters->kernel * job->filters->kernel;
    for (int lane = 0; lane < LANES; lane++) {
        int n = first_out + lane;
        const float *from = job->transposed ? taps_of(job->filters, n, k) : taps_of(job->filters, k, n);
        for (int tap = 0; tap < n_taps; tap++)
            taps[tap][lane] = from ? job->filters->scale * from[job->transposed ? n_taps - 1 - tap : tap] : 0.f;
    }
}

typedef struct {
    view x, dy;
    const filters *filters; /* weight is where the gradient goes */
    tiling tiling;
    int n_shares; /* sizes alone decide it, so that threads change no bit */
    float *sums, *bias_sums; /* n_shares of each */
    int64_t share_size;
    atomic_int *failed;
} gradient_job;

/* Write the gradients of the 9 taps from input channel k to LANES output channels. */
static void scatter_taps(const gradient_job *job, int k, int first_out, float taps[9][LANES]) {
    int n_taps = job->filters->kernel * job->filters->kernel;
    for (int lane = 0; lane < LANES; lane++) {
        float *to = (float *)taps_of(job->filters, k, first_out + lane);
        for (int tap = 0; to && tap < n_taps; tap++) to[tap] = job->filters->scale * taps[tap][lane];
    }
}

typedef struct {
    const srk_conv *conv;
    view x, y;
    epilogue end;
    int tiles, n_out; /* in a task */
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
    for (int n = 0; n < conv->padded_out; n += LANES) {
        float taps[9][LANES];
        gather_taps(job, k, n, taps);
        for (int tap = 0; tap < conv->kernel * conv->kernel; tap++)
            store(conv->packed + ((int64_t)tap * conv->n_in + k) * conv->padded_out + n, load(taps[tap]));
    }
}

int64_t conv_size(srk_conv *conv, const filters *f, int transposed, int method) {
    int side = method + 2;
    *conv = (srk_conv){.kernel = f->kernel, .shuffle = transposed ? 1 : f->shuffle};
    conv->n_in = transposed ? filters_padded_out(f) : f->n_in;
    conv->n_out = transposed ? f->n_in : f->n_out;
    conv->padded_out = transposed ? filters_padded_in(f) : filters_padded_out(f);
    conv->method = f->kernel == 3 ? method : SRK_DIRECT;
    return (int64_t)(conv->method == SRK_DIRECT ? f->kernel * f->kernel : side * side) * conv->n_in * conv->padded_out;
}

void conv_pack(srk_conv *conv, const filters *f, int transposed) {
    pack_job job = {conv, f, transposed};
    pool_run(conv->n_in, conv->method == SRK_F43 ? pack_f4 : conv->method == SRK_F23 ? pack_f2 : pack_direct, &job);
}

void conv_bias(srk_conv *conv, const filters *f, const float *bias) {
    for (int n = 0; n < conv->padded_out; n++) {
        int from = bias ? channel_of(f, n) : -1;
        conv->bias[n] = from < 0 ? 0.f : f->scale * bias[from];
    }
}

static float *allocate(int64_t n_floats) {
    return aligned_alloc(64, ((size_t)n_floats * sizeof(float) + 63) / 64 * 64);
}

srk_conv *srk_conv_new(const float *weight, const float *bias, int n_in, int n_out, int kernel, int shuffle, int method) {
    filters f = {weight, n_in, n_out, kernel, shuffle, 1, 1, 1.f};
    srk_conv *conv = malloc(sizeof *conv);
    if (!conv) return NULL;
    int64_t n_floats = conv_size(conv, &f, 0, method);
    conv->packed = allocate(n_floats);
    conv->bias = allocate(conv->padded_out);
    if (!conv->packed || !conv->bias) {
        srk_conv_free(conv);
        return NULL;
    }
    conv_bias(conv, &f, bias);
    pool_acquire();
    conv_pack(conv, &f, 0);
    pool_release();
    return conv;
}

void srk_conv_free(srk_conv *conv) {
    if (!conv) return;
    free(conv->packed);
    free(conv->bias);
    free(conv);
}

/* ---- the direct method: the reference ---- */

typedef struct {
    const srk_conv *conv;
    view x, y;
    epilogue end;
    atomic_int *failed;
} direct_job;

/* One task: a row of an output. Each value is a sum over taps, then input channels, in this order. */
static void direct_row(void *argument, int index, int thread) {
    const direct_job *job = argument;
    const srk_conv *conv = job->conv;
    int reach = conv->kernel / 2, image = index / job->y.height, row = index % job->y.height;
    view from = view_of(job->x, image), to = view_of(job->y, image);
    epilogue end = epilogue_of(job->end, image);
    (void)thread;
    for (int n = 0; n < conv->padded_out; n += LANES)
        for (int column = 0; column < to.width; column++) {
            vec sum = load(end.bias + n);
            for (int tap = 0; tap < conv->kernel * conv->kernel; tap++) {
                int y = row + tap / conv->kernel - reach, x = column + tap % conv->kernel - reach;
                if (y < 0 || y >= from.height || x < 0 || x >= from.width) continue;
                const float *filter = conv->packed + (int64_t)tap * conv->n_in * conv->padded_out + n;
                for (int k = 0; k < conv->n_in; k++)
                    sum += from.data[view_offset(&from, y, x, k)] * load(filter + (int64_t)k * conv->padded_out);
            }
            int64_t pixel = (int64_t)row * to.width + column;
            sum = finish(sum, &end, pixel_of(&end.skip, pixel), pixel_of(&end.mask, pixel), n);
            store(to.data + view_offset(&to, row, column, n), sum);
        }
}

/* ---- 1x1: a matrix product of pixels and filters ---- */

enum { PIXELS = 4 * MATMUL_ROWS };

/* One task: a run of pixels of one picture. */
static void pointwise(void *argument, int index, int thread) {
    const direct_job *job = argument;
    const srk_conv *conv = job->conv;
    int n_pixels = job->y.height * job->y.width, n_blocks = (n_pixels + PIXELS - 1) / PIXELS, n_out = conv->padded_out;
    int image = index / n_blocks, first = index % n_blocks * PIXELS, n = smaller(PIXELS, n_pixels - first);
    view from = view_of(job->x, image), to = view_of(job->y, image);
    epilogue end = epilogue_of(job->end, image);
    const float *pixels = from.data + (int64_t)first * from.pixel;
    float *products = pool_scratch(thread, 1, (int64_t)PIXELS * n_out), *copy = NULL;
    product one = {pixels, conv->packed, products, from.pixel, n_out, n_out, conv->n_in};
    if (n % MATMUL_ROWS) { /* whole rows of tiles would read past the picture */
        one.a = copy = pool_scratch(thread, 0, (int64_t)PIXELS * conv->n_in);
        one.a_row = conv->n_in;
        for (int p = 0; copy && p < n; p++)
            memcpy(copy + (int64_t)p * conv->n_in, pixels + (int64_t)p * from.pixel, sizeof(float) * conv->n_in);
    }
    if (!products || !one.a) {
        atomic_store(job->failed, 1);
        return;
    }
    matmul(one, round_up(n, MATMUL_ROWS), n_out, 0);
    for (int p = 0; p < n; p++) {
        const float *skip = pixel_of(&end.skip, first + p), *mask = pixel_of(&end.mask, first + p);
        float *out = to.data + (int64_t)(first + p) * to.pixel;
        for (int c = 0; c < n_out; c += LANES)
            store(out + c, finish(load(products + (int64_t)p * n_out + c) + load(end.bias + c), &end, skip, mask, c));
    }
}

/* ---- running ---- */

int conv_run(const srk_conv *conv, view x, view y, int n_images, epilogue end) {
    atomic_int failed = 0;
    if (conv->method == SRK_DIRECT) {
        direct_job job = {conv, x, y, end, &failed};
        int n_blocks = (y.height * y.width + PIXELS - 1) / PIXELS, by_pixel = conv->kernel == 1 && x.shuffle == 1 && y.shuffle == 1;
        pool_run(n_images * (by_pixel ? n_blocks : y.height), by_pixel ? pointwise : direct_row, &job);
        return failed;
    }
    winograd_job job = {.conv = conv, .x = x, .y = y, .end = end, .failed = &failed};
    job.tiles = conv->n_in > GROUP ? MANY_TILES : FEW_TILES;
    job.tiling = tiling_of(&y, n_images, conv->method);
    int n_blocks = (job.tiling.n_tiles + job.tiles - 1) / job.tiles, n_groups = (conv->padded_out + GROUP - 1) / GROUP;
    int n_parts = smaller(n_groups, (4 * pool_threads() + n_blocks - 1) / n_blocks); /* so that no thread waits long */
    job.n_out = (n_groups + n_parts - 1) / n_parts * GROUP;
    n_parts = (conv->padded_out + job.n_out - 1) / job.n_out;
    pool_run(n_blocks * n_parts, conv->method == SRK_F43 ? forward_f4 : forward_f2, &job);
    return failed;
}

int srk_conv_run(const srk_conv *conv, const float *x, int height, int width, int relu, const float *skip, float *y) {
    int padded_in = round_up(conv->n_in, LANES), r = conv->shuffle;
    view from = {(float *)x, height, width, padded_in, padded_in, 1};
    view to = {y, height, width, conv->padded_out, conv->padded_out / (r * r), r}, other = to;
    other.data = (float *)skip;
    pool_acquire();
    int failed = conv_run(conv, from, to, 1, (epilogue){.bias = conv->bias, .skip = other, .relu = relu});
    pool_release();
    return failed;
}

/* ---- the gradient of the filters ---- */

/* One task: the sums over a fixed share of the pixels for a 1x1 convolution. */
static void pointwise_sums(void *argument, int share, int thread) {
    const gradient_job *job = argument;
    int n_pixels = job->dy.height * job->dy.width, n_blocks = (n_pixels + PIXELS - 1) / PIXELS, n_out = job->dy.channels;
    int64_t n_all = (int64_t)job->tiling.n_tiles * n_blocks; /* n_tiles: pictures */
    float *sums = job->sums + share * job->share_size, *bias = job->bias_sums + share * n_out;
    (void)thread;
    memset(sums, 0, sizeof(float) * job->share_size);
    memset(bias, 0, sizeof(float) * n_out);
    for (int64_t b = n_all * share / job->n_shares; b < n_all * (share + 1) / job->n_shares; b++) {
        int image = b / n_blocks, first = b % n_blocks * PIXELS, n = smaller(PIXELS, n_pixels - first);
        view x = view_of(job->x, image), dy = view_of(job->dy, image);
        product one = {x.data + (int64_t)first * x.pixel, dy.data + (int64_t)first * dy.pixel, sums,
                       x.pixel, dy.pixel, n_out, n};
        matmul_transposed(one, x.channels, n_out);
        for (int p = 0; p < n; p++)
            for (int c = 0; c < n_out; c += LANES) store(bias + c, load(bias + c) + load(one.b + (int64_t)p * dy.pixel + c));
    }
}

/* One task: add the shares for one input channel of a 1x1 convolution, in their order. */
static void pointwise_finish(void *argument, int k, int thread) {
    const gradient_job *job = argument;
    (void)thread;
    for (int n = 0; n < job->dy.channels; n += LANES) {
        float taps[9][LANES];
        const float *from = job->sums + (int64_t)k * job->dy.channels + n;
        vec sum = load(from);
        for (int share = 1; share < job->n_shares; share++) sum += load(from + share * job->share_size);
        store(taps[0], sum);
        scatter_taps(job, k, n, taps);
    }
}

int conv_gradients(view x, view dy, int n_images, const filters *f, int method, float *dbias) {
    atomic_int failed = 0;
    int n_positions = f->kernel == 1 ? 1 : (method + 2) * (method + 2);
    gradient_job job = {.x = x, .dy = dy, .filters = f, .failed = &failed};
    job.tiling = f->kernel == 1 ? (tiling){.n_tiles = n_images} : tiling_of(&dy, n_images, method);
    job.share_size = (int64_t)n_positions * x.channels * dy.channels;
    int n_pairs = (x.channels + GROUP - 1) / GROUP * ((dy.channels + GROUP - 1) / GROUP);
    job.n_shares = f->kernel == 1 || n_pairs <= 4 ? MAX_SHARES : n_pairs < 32 ? 32 / n_pairs : 1;
    job.sums = pool_scratch(POOL_SHARED, 0, job.n_shares * (job.share_size + dy.channels));
    if (!job.sums) return 1;
    job.bias_sums = job.sums + job.n_shares * job.share_size;
    if (f->kernel == 1) {
        pool_run(job.n_shares, pointwise_sums, &job);
        pool_run(f->n_in, pointwise_finish, &job);
    } else {
        pool_run(job.n_shares * n_pairs, method == SRK_F43 ? sum_gradients_f4 : sum_gradients_f2, &job);
        if (failed) return 1;
        pool_run(f->n_in, method == SRK_F43 ? finish_gradient_f4 : finish_gradient_f2, &job);
    }
    for (int n = 0; n < dy.channels; n++) {
        int to = channel_of(f, n);
        float sum = 0;
        for (int share = 0; share < job.n_shares; share++) sum += job.bias_sums[share * dy.channels + n];
        if (to >= 0) dbias[to] = f->scale * sum;
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
