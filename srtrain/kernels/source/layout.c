/* Between NCHW, which MindSpore, ONNX and files use, and the library's NHWC. */
#include "layout.h"

#include <string.h>

#include "kernels.h"
#include "pool.h"
#include "vector.h"

enum {
    PIXELS_PER_TASK = 1024,
    BLOCK = 16 /* pixels and channels that are moved at once: their lines fit into the first-level cache */
};

typedef struct {
    const float *from;
    float *to;
    int n_channels, n_blocks; /* tasks for each picture */
    int64_t n_pixels;         /* of a picture */
} job;

static void to_nhwc(void *argument, int index, int thread) {
    const job *j = argument;
    int padded = round_up(j->n_channels, LANES);
    int64_t image = index / j->n_blocks, first = (int64_t)(index % j->n_blocks) * PIXELS_PER_TASK;
    int64_t last = first + PIXELS_PER_TASK < j->n_pixels ? first + PIXELS_PER_TASK : j->n_pixels;
    const float *from = j->from + image * j->n_channels * j->n_pixels;
    float *to = j->to + image * padded * j->n_pixels;
    (void)thread;
    if (padded != j->n_channels) memset(to + first * padded, 0, (size_t)(last - first) * padded * sizeof(float));
    for (int64_t p0 = first; p0 < last; p0 += BLOCK)
        for (int c0 = 0; c0 < j->n_channels; c0 += BLOCK)
            for (int64_t p = p0; p < p0 + BLOCK && p < last; p++)
                for (int c = c0; c < c0 + BLOCK && c < j->n_channels; c++)
                    to[p * padded + c] = from[c * j->n_pixels + p];
}

static void to_nchw(void *argument, int index, int thread) {
    const job *j = argument;
    int padded = round_up(j->n_channels, LANES);
    int64_t image = index / j->n_blocks, first = (int64_t)(index % j->n_blocks) * PIXELS_PER_TASK;
    int64_t last = first + PIXELS_PER_TASK < j->n_pixels ? first + PIXELS_PER_TASK : j->n_pixels;
    const float *from = j->from + image * padded * j->n_pixels;
    float *to = j->to + image * j->n_channels * j->n_pixels;
    (void)thread;
    for (int64_t p0 = first; p0 < last; p0 += BLOCK)
        for (int c0 = 0; c0 < j->n_channels; c0 += BLOCK)
            for (int c = c0; c < c0 + BLOCK && c < j->n_channels; c++)
                for (int64_t p = p0; p < p0 + BLOCK && p < last; p++)
                    to[c * j->n_pixels + p] = from[p * padded + c];
}

static void move(pool_task task, const float *from, float *to, int n_images, int n_channels, int64_t n_pixels) {
    job j = {from, to, n_channels, (int)((n_pixels + PIXELS_PER_TASK - 1) / PIXELS_PER_TASK), n_pixels};
    pool_run(n_images * j.n_blocks, task, &j);
}

void layout_to_nhwc(const float *from, float *to, int n_images, int n_channels, int64_t n_pixels) {
    move(to_nhwc, from, to, n_images, n_channels, n_pixels);
}

typedef struct {
    const float *from;
    float *to;
    int n_channels, height, width, factor;
} shuffle_job;

/* One task: a row of pixels before the shuffle, which becomes `factor` rows. */
static void shuffle_row(void *argument, int index, int thread) {
    const shuffle_job *j = argument;
    int r = j->factor, real = j->n_channels / (r * r), padded = round_up(j->n_channels, LANES);
    int64_t image = index / j->height, row = index % j->height, plane = (int64_t)j->height * j->width * r * r;
    const float *from = j->from + (int64_t)index * j->width * padded;
    (void)thread;
    for (int s = 0; s < r * r; s++)
        for (int c = 0; c < real; c++) {
            float *to = j->to + (image * real + c) * plane + (row * r + s / r) * j->width * r + s % r;
            for (int64_t x = 0; x < j->width; x++) to[x * r] = from[x * padded + s * real + c];
        }
}

void layout_to_nchw(const float *from, float *to, int n_images, int n_channels, int height, int width, int shuffle) {
    if (shuffle == 1) {
        move(to_nchw, from, to, n_images, n_channels, (int64_t)height * width);
    } else {
        shuffle_job j = {from, to, n_channels, height, width, shuffle};
        pool_run(n_images * height, shuffle_row, &j);
    }
}

void srk_nchw_to_nhwc(const float *nchw, float *nhwc, int n_channels, int64_t n_pixels) {
    pool_acquire();
    layout_to_nhwc(nchw, nhwc, 1, n_channels, n_pixels);
    pool_release();
}

void srk_nhwc_to_nchw(const float *nhwc, float *nchw, int n_channels, int64_t n_pixels) {
    pool_acquire();
    move(to_nchw, nhwc, nchw, 1, n_channels, n_pixels);
    pool_release();
}
