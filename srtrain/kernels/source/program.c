/* The operators that MindSpore calls (ops.Custom, func_type="aot"): a whole network, or a part of one, as a list of steps, and
 * the gradient of that as another list. srtrain/kernels/program.py writes both.
 *
 * An operator gets the data, the numbers of dimensions, the shapes and the types of its inputs and outputs. It returns 0, or
 * another number, on which MindSpore raises an error. */
#include <stddef.h>
#include <string.h>

#include "conv.h"
#include "layout.h"
#include "pool.h"
#include "steps.h"
#include "vector.h"

enum { NOT_FLOAT32 = 1, NO_MEMORY = 2 };

/* ---- how a program is written: integers, as program.py has them ---- */

enum { ENTER, LEAVE, SHIFT, CONV, CONV_BACK, CONV_GRADIENT, ADD, POOL, POOL_BACK, SHUFFLE, SHUFFLE_BACK };

/* A picture of each image of the batch, `times` / `over` as high and wide as the input. Its memory begins after `offset`
 * quarters of a float for each input pixel of the batch, so that half the size is a whole number. */
typedef struct {
    int is_gradient, offset, channels, times, over;
} buffer;

/* Some channels of a buffer; buffer = -1 for none. */
typedef struct {
    int buffer, first, channels;
} section;

typedef struct {
    int kind, parameter; /* the weight's number; the bias follows */
    section from, to, skip, mask;
    int n_in, n_out, kernel, shuffle, sections, groups, relu, spread;
    float scale;
} step;

/* method: of 3x3 convolutions. gradient_size: of the memory for gradients, in the unit of offsets. Buffers, steps and the
 * constants of SHIFT follow, of which `parameter` is the first. */
typedef struct {
    int n_buffers, n_steps, method, gradient_size;
} header;

/* ---- a run ---- */

typedef struct {
    const header *head;
    const buffer *buffers;
    const float *constants;
    int n_images, height, width;
    float *tape, *gradients;
    const float *in; /* NCHW: what ENTER reads */
    float *out;      /* NCHW: what LEAVE writes */
    float **weights; /* parameters */
    float **found;   /* their gradients */
    float *packed;   /* prepared filters and biases that are left, in the order of the steps; or NULL */
    int failed;
} run;

static view view_in(const run *r, const section *s, int shuffle) {
    if (s->buffer < 0) return (view){.shuffle = 1};
    const buffer *b = &r->buffers[s->buffer];
    int64_t offset = (int64_t)b->offset * r->n_images * r->height * r->width / 4;
    int height = r->height * b->times / b->over, width = r->width * b->times / b->over;
    float *data = (b->is_gradient ? r->gradients : r->tape) + offset + s->first;
    return (view){data, height / shuffle, width / shuffle, s->channels * shuffle * shuffle, b->channels, shuffle, 0};
}

static filters filters_in(const step *s, float *weight) {
    return (filters){weight, s->n_in, s->n_out, s->kernel, s->shuffle, s->sections, s->groups, s->scale};
}

/* Slots of memory that an operator keeps: conv_gradients has slot 0. */
enum { SLOT_FILTERS = 1, SLOT_BIAS = 2, SLOT_GRADIENTS = 3 };

/* Let a convolution have the next part of the prepared memory. */
static void next_packed(run *r, srk_conv *conv, int64_t n_floats) {
    conv->packed = r->packed;
    conv->bias = conv->packed + n_floats;
    r->packed = conv->bias + conv->padded_out;
}

static void run_conv(run *r, const step *s, int transposed) {
    srk_conv conv;
    filters f = filters_in(s, r->packed ? NULL : r->weights[s->parameter]);
    view from = view_in(r, &s->from, transposed ? s->shuffle : 1), to = view_in(r, &s->to, transposed ? 1 : s->shuffle);
    epilogue end = {.skip = view_in(r, &s->skip, 1), .mask = view_in(r, &s->mask, 1), .relu = s->relu};
    from.spread = s->spread;
    end.mask_from = s->to.channels - s->mask.channels; /* the mask is for the last channels */
    int64_t n_floats = conv_size(&conv, &f, transposed, r->head->method);
    if (r->packed) {
        next_packed(r, &conv, n_floats);
    } else {
        conv.packed = pool_scratch(POOL_SHARED, SLOT_FILTERS, n_floats);
        conv.bias = pool_scratch(POOL_SHARED, SLOT_BIAS, conv.padded_out);
        if (!conv.packed || !conv.bias) {
            r->failed = NO_MEMORY;
            return;
        }
        conv_pack(&conv, &f, transposed);
        conv_bias(&conv, &f, transposed ? NULL : r->weights[s->parameter + 1]);
    }
    end.bias = conv.bias;
    if (conv_run(&conv, from, to, r->n_images, end)) r->failed = NO_MEMORY;
}

static void run_conv_gradient(run *r, const step *s) {
    filters f = filters_in(s, r->found[s->parameter]);
    view x = view_in(r, &s->from, 1), dy = view_in(r, &s->to, s->shuffle);
    if (conv_gradients(x, dy, r->n_images, &f, r->head->method, r->found[s->parameter + 1])) r->failed = NO_MEMORY;
}

static void run_step(run *r, const step *s) {
    view from = view_in(r, &s->from, 1), to = view_in(r, &s->to, 1), skip = view_in(r, &s->skip, 1);
    int n = r->n_images;
    switch (s->kind) {
        case ENTER: layout_to_nhwc(r->in, to.data, n, s->n_in, (int64_t)to.height * to.width); break;
        case LEAVE: layout_to_nchw(from.data, r->out, n, s->n_in, from.height, from.width, s->shuffle); break;
        case SHIFT: step_shift(to, n, r->constants + s->parameter, s->n_in, s->scale); break;
        case CONV: run_conv(r, s, 0); break;
        case CONV_BACK: run_conv(r, s, 1); break;
        case CONV_GRADIENT: run_conv_gradient(r, s); break;
        case ADD: step_add(from, skip, view_in(r, &s->mask, 1), to, n); break;
        case POOL: step_pool(from, to, n); break;
        case POOL_BACK: step_pool_back(from, skip, to, n); break;
        case SHUFFLE: step_shuffle(from, to, n, s->n_in, s->shuffle); break;
        case SHUFFLE_BACK: step_shuffle_back(from, to, n, s->n_in, s->shuffle); break;
    }
}

/* Find the parts of a program; return its steps. */
static const step *open_program(run *r, const int32_t *words) {
    r->head = (const header *)words;
    r->buffers = (const buffer *)(r->head + 1);
    const step *steps = (const step *)(r->buffers + r->head->n_buffers);
    r->constants = (const float *)(steps + r->head->n_steps);
    return steps;
}

static int run_program(run *r, const int32_t *words, const int64_t *shape) {
    const step *steps = open_program(r, words);
    r->n_images = shape[0], r->height = shape[2], r->width = shape[3];
    pool_acquire();
    if (r->head->gradient_size) {
        int64_t size = (int64_t)r->head->gradient_size * r->n_images * r->height * r->width / 4;
        r->gradients = pool_scratch(POOL_SHARED, SLOT_GRADIENTS, size);
        if (!r->gradients) r->failed = NO_MEMORY;
    }
    for (int i = 0; i < r->head->n_steps && !r->failed; i++) run_step(r, &steps[i]);
    pool_release();
    return r->failed;
}

/* ---- the operators ---- */

enum { PROGRAM = 1 }; /* the number of the input that is no float32 */

static int all_float32(int n, const char **types) {
    for (int i = 0; types && i < n; i++)
        if (i != PROGRAM && strcmp(types[i], "float32") != 0) return 0;
    return 1;
}

/* x (N, C, H, W), program, parameters -> y, tape */
int srk_op_program(int n, void **data, int *n_dims, int64_t **shapes, const char **types, void *stream, void *extra) {
    (void)n_dims, (void)stream, (void)extra;
    if (!all_float32(n, types)) return NOT_FLOAT32;
    run r = {.in = data[0], .weights = (float **)data + 2, .out = data[n - 2], .tape = data[n - 1]};
    return run_program(&r, data[PROGRAM], shapes[0]);
}

/* x, program of the gradient, tape, dy, parameters -> dx, gradients of the parameters */
int srk_op_program_grad(int n, void **data, int *n_dims, int64_t **shapes, const char **types, void *stream, void *extra) {
    int n_parameters = (n - 5) / 2;
    (void)n_dims, (void)stream, (void)extra;
    if (!all_float32(n, types)) return NOT_FLOAT32;
    run r = {.tape = data[2], .in = data[3], .weights = (float **)data + 4};
    r.out = data[4 + n_parameters];
    r.found = (float **)data + 5 + n_parameters;
    return run_program(&r, data[PROGRAM], shapes[0]);
}

/* ---- without MindSpore ---- */

int64_t srk_program_packed_size(const int32_t *words) {
    run r = {0};
    const step *steps = open_program(&r, words);
    int64_t size = 0;
    for (int i = 0; i < r.head->n_steps; i++) {
        if (steps[i].kind != CONV) continue;
        srk_conv conv;
        filters f = filters_in(&steps[i], NULL);
        size += conv_size(&conv, &f, 0, r.head->method);
        size += conv.padded_out;
    }
    return size;
}

void srk_program_pack(const int32_t *words, float **parameters, float *packed) {
    run r = {.packed = packed};
    const step *steps = open_program(&r, words);
    pool_acquire();
    for (int i = 0; i < r.head->n_steps; i++) {
        if (steps[i].kind != CONV) continue;
        srk_conv conv;
        filters f = filters_in(&steps[i], parameters[steps[i].parameter]);
        next_packed(&r, &conv, conv_size(&conv, &f, 0, r.head->method));
        conv_pack(&conv, &f, 0);
        conv_bias(&conv, &f, parameters[steps[i].parameter + 1]);
    }
    pool_release();
}

int srk_program_run(const int32_t *words, float *packed, const float *x, const int64_t *shape, float *memory, float *y) {
    run r = {.in = x, .packed = packed, .tape = memory, .out = y};
    return run_program(&r, words, shape);
}
