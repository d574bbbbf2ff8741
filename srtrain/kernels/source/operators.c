/* The operators that MindSpore calls (ops.Custom, func_type="aot"): a 3x3 convolution on NCHW tensors, and its gradients.
 *
 * Each function gets the data, the numbers of dimensions, the shapes and the types of its inputs and outputs. It returns 0, or
 * another number, on which MindSpore raises an error. */
#include <stddef.h>
#include <string.h>

#include "conv.h"
#include "layout.h"
#include "pool.h"
#include "vector.h"

enum { NOT_FLOAT32 = 1, NO_MEMORY = 2 };

static int training_method = SRK_F43;

void srk_set_training_method(int method) { training_method = method; }

static int all_float32(int n, const char **types) {
    for (int i = 0; types && i < n; i++)
        if (strcmp(types[i], "float32") != 0) return 0;
    return 1;
}

/* Slots of memory that an operation keeps: conv_gradients has slot 0. */
enum { SLOT_FILTERS = 1, SLOT_FROM = 2, SLOT_TO = 3, SLOT_BIAS = 4 };

/* Rearrange a batch into the library's layout. */
static view enter(const float *nchw, int n_images, int n_channels, int height, int width, int slot) {
    int padded = round_up(n_channels, LANES);
    view v = {NULL, height, width, padded, 1};
    v.data = pool_scratch(POOL_SHARED, slot, n_images * view_size(&v));
    if (v.data && nchw) layout_to_nhwc(nchw, v.data, n_images, n_channels, (int64_t)height * width);
    return v;
}

/* Convolve x, which is in the library's layout, and write the result as NCHW. */
static int convolve(view x, int n_images, const float *weight, const float *bias, int n_in, int n_out, int transposed,
                    float *nchw) {
    srk_conv conv;
    int64_t n_floats = conv_size(&conv, n_in, n_out, 3, 1, training_method);
    view y = enter(NULL, n_images, n_out, x.height, x.width, SLOT_TO);
    float *padded_bias = pool_scratch(POOL_SHARED, SLOT_BIAS, conv.padded_out);
    conv.packed = pool_scratch(POOL_SHARED, SLOT_FILTERS, n_floats);
    if (!y.data || !padded_bias || !conv.packed) return NO_MEMORY;
    memset(padded_bias, 0, sizeof(float) * conv.padded_out);
    if (bias) memcpy(padded_bias, bias, sizeof(float) * n_out);
    conv_pack(&conv, weight, transposed);
    if (conv_run(&conv, x, y, n_images, (epilogue){padded_bias, NULL, 0})) return NO_MEMORY;
    layout_to_nchw(y.data, nchw, n_images, n_out, (int64_t)x.height * x.width);
    return 0;
}

/* x (N, C, H, W), weight (K, C, 3, 3), bias (K) -> y (N, K, H, W) */
int srk_op_conv(int n_params, void **params, int *n_dims, int64_t **shapes, const char **types, void *stream, void *extra) {
    const int64_t *x_shape = shapes[0], *w_shape = shapes[1];
    (void)n_dims, (void)stream, (void)extra;
    if (!all_float32(n_params, types)) return NOT_FLOAT32;
    pool_acquire();
    view x = enter(params[0], x_shape[0], x_shape[1], x_shape[2], x_shape[3], SLOT_FROM);
    int failed = x.data ? convolve(x, x_shape[0], params[1], params[2], w_shape[1], w_shape[0], 0, params[3]) : NO_MEMORY;
    pool_release();
    return failed;
}

/* x (N, C, H, W), weight (K, C, 3, 3), dy (N, K, H, W) -> dx (N, C, H, W), dweight, dbias */
int srk_op_conv_grad(int n_params, void **params, int *n_dims, int64_t **shapes, const char **types, void *stream,
                  void *extra) {
    const int64_t *s = shapes[0];
    int n_images = s[0], n_in = shapes[1][1], n_out = shapes[1][0], failed = NO_MEMORY;
    (void)n_dims, (void)stream, (void)extra;
    if (!all_float32(n_params, types)) return NOT_FLOAT32;
    pool_acquire();
    view x = enter(params[0], n_images, n_in, s[2], s[3], SLOT_TO);
    view dy = enter(params[2], n_images, n_out, s[2], s[3], SLOT_FROM);
    if (x.data && dy.data)
        failed = conv_gradients(x, dy, n_images, n_in, n_out, training_method, params[4], params[5]) ? NO_MEMORY : 0;
    if (!failed) failed = convolve(dy, n_images, params[1], NULL, n_out, n_in, 1, params[3]);
    pool_release();
    return failed;
}
