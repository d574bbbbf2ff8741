#include "steps.h"

#include <string.h>

#include "pool.h"
#include "vector.h"

typedef struct {
    view from, other, mask, to;
    const float *constants;
    int n, factor;
    float scale;
} job;

/* What is left of the name of a task, its index, is a row of a batch. */
static int image_of(const view *v, int index) { return index / v->height; }
static int row_of(const view *v, int index) { return index % v->height; }

static float *pixel_at(const view *v, int image, int y, int x) {
    return v->data + image * view_size(v) + view_offset(v, y, x, 0);
}

/* The next pixel of a row, where there is one. */
static const float *after(const float *pixel, const view *v) { return pixel ? pixel + v->pixel : NULL; }

static void add_row(void *argument, int index, int thread) {
    const job *j = argument;
    int image = image_of(&j->to, index), y = row_of(&j->to, index);
    const float *from = pixel_at(&j->from, image, y, 0);
    const float *other = j->other.data ? pixel_at(&j->other, image, y, 0) : NULL;
    const float *mask = j->mask.data ? pixel_at(&j->mask, image, y, 0) : NULL;
    float *to = pixel_at(&j->to, image, y, 0);
    (void)thread;
    for (int x = 0; x < j->to.width; x++) {
        for (int c = 0; c < j->to.channels; c += LANES) {
            vec value = load(from + c);
            if (other) value += load(other + c);
            if (mask) value = where_positive(value, load(mask + c));
            store(to + c, value);
        }
        from = after(from, &j->from), other = after(other, &j->other), mask = after(mask, &j->mask);
        to += j->to.pixel;
    }
}

void step_add(view from, view other, view mask, view to, int n_images) {
    job j = {.from = from, .other = other, .mask = mask, .to = to};
    pool_run(n_images * to.height, add_row, &j);
}

static void shift_row(void *argument, int index, int thread) {
    const job *j = argument;
    (void)thread;
    for (int x = 0; x < j->to.width; x++) {
        float *to = pixel_at(&j->to, image_of(&j->to, index), row_of(&j->to, index), x);
        for (int c = 0; c < j->n; c++) to[c] = (to[c] + j->constants[c]) * j->scale;
    }
}

void step_shift(view to, int n_images, const float *constants, int n, float scale) {
    job j = {.to = to, .constants = constants, .n = n, .scale = scale};
    pool_run(n_images * to.height, shift_row, &j);
}

static void pool_row(void *argument, int index, int thread) {
    const job *j = argument;
    int image = image_of(&j->to, index), y = row_of(&j->to, index);
    (void)thread;
    for (int x = 0; x < j->to.width; x++) {
        const float *top = pixel_at(&j->from, image, 2 * y, 2 * x), *bottom = pixel_at(&j->from, image, 2 * y + 1, 2 * x);
        float *to = pixel_at(&j->to, image, y, x);
        for (int c = 0; c < j->to.channels; c += LANES)
            store(to + c, 0.25f * ((load(top + c) + load(top + j->from.pixel + c)) +
                                   (load(bottom + c) + load(bottom + j->from.pixel + c))));
    }
}

void step_pool(view from, view to, int n_images) {
    job j = {.from = from, .to = to};
    pool_run(n_images * to.height, pool_row, &j);
}

static void pool_back_row(void *argument, int index, int thread) {
    const job *j = argument;
    int image = image_of(&j->to, index), y = row_of(&j->to, index);
    (void)thread;
    for (int x = 0; x < j->to.width; x++) {
        const float *from = pixel_at(&j->from, image, y / 2, x / 2);
        const float *other = j->other.data ? pixel_at(&j->other, image, y, x) : NULL;
        float *to = pixel_at(&j->to, image, y, x);
        for (int c = 0; c < j->to.channels; c += LANES) {
            vec value = 0.25f * load(from + c);
            if (other) value += load(other + c);
            store(to + c, value);
        }
    }
}

void step_pool_back(view dy, view other, view to, int n_images) {
    job j = {.from = dy, .other = other, .to = to};
    pool_run(n_images * to.height, pool_back_row, &j);
}

/* A row of the small picture. Channel s * q + c goes to the pixel s of the factor^2 that it becomes. */
static void shuffle_row(void *argument, int index, int thread) {
    const job *j = argument;
    int r = j->factor, q = j->n / (r * r), image = image_of(&j->from, index), y = row_of(&j->from, index);
    (void)thread;
    for (int x = 0; x < j->from.width; x++)
        for (int s = 0; s < r * r; s++) {
            float *to = pixel_at(&j->to, image, r * y + s / r, r * x + s % r);
            memcpy(to, pixel_at(&j->from, image, y, x) + s * q, sizeof(float) * q);
            memset(to + q, 0, sizeof(float) * (j->to.channels - q));
        }
}

void step_shuffle(view from, view to, int n_images, int n, int factor) {
    job j = {.from = from, .to = to, .n = n, .factor = factor};
    pool_run(n_images * from.height, shuffle_row, &j);
}

static void shuffle_back_row(void *argument, int index, int thread) {
    const job *j = argument;
    int r = j->factor, q = j->n / (r * r), image = image_of(&j->to, index), y = row_of(&j->to, index);
    (void)thread;
    for (int x = 0; x < j->to.width; x++) {
        float *to = pixel_at(&j->to, image, y, x);
        for (int s = 0; s < r * r; s++)
            memcpy(to + s * q, pixel_at(&j->from, image, r * y + s / r, r * x + s % r), sizeof(float) * q);
        memset(to + j->n, 0, sizeof(float) * (j->to.channels - j->n));
    }
}

void step_shuffle_back(view dy, view to, int n_images, int n, int factor) {
    job j = {.from = dy, .to = to, .n = n, .factor = factor};
    pool_run(n_images * to.height, shuffle_back_row, &j);
}
