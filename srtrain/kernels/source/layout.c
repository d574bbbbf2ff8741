/* Between NCHW, which MindSpore, ONNX and files use, and the library's NHWC. */
#include <string.h>

#include "kernels.h"
#include "pool.h"
#include "vector.h"

enum { PIXELS_PER_TASK = 1024 };

typedef struct {
    const float *from;
    float *to;
    int n_channels;
    int64_t n_pixels;
} job;

static void to_nhwc(void *argument, int index, int thread) {
    const job *j = argument;
    int64_t first = (int64_t)index * PIXELS_PER_TASK, last = first + PIXELS_PER_TASK;
    int padded = round_up(j->n_channels, LANES);
    (void)thread;
    if (last > j->n_pixels) last = j->n_pixels;
    memset(j->to + first * padded, 0, (size_t)(last - first) * padded * sizeof(float));
    for (int c = 0; c < j->n_channels; c++)
        for (int64_t p = first; p < last; p++) j->to[p * padded + c] = j->from[c * j->n_pixels + p];
}

static void to_nchw(void *argument, int index, int thread) {
    const job *j = argument;
    int64_t first = (int64_t)index * PIXELS_PER_TASK, last = first + PIXELS_PER_TASK;
    int padded = round_up(j->n_channels, LANES);
    (void)thread;
    if (last > j->n_pixels) last = j->n_pixels;
    for (int c = 0; c < j->n_channels; c++)
        for (int64_t p = first; p < last; p++) j->to[c * j->n_pixels + p] = j->from[p * padded + c];
}

static void run(pool_task task, const float *from, float *to, int n_channels, int64_t n_pixels) {
    job j = {from, to, n_channels, n_pixels};
    pool_acquire();
    pool_run((int)((n_pixels + PIXELS_PER_TASK - 1) / PIXELS_PER_TASK), task, &j);
    pool_release();
}

void srk_nchw_to_nhwc(const float *nchw, float *nhwc, int n_channels, int64_t n_pixels) {
    run(to_nhwc, nchw, nhwc, n_channels, n_pixels);
}

void srk_nhwc_to_nchw(const float *nhwc, float *nchw, int n_channels, int64_t n_pixels) {
    run(to_nchw, nhwc, nchw, n_channels, n_pixels);
}
