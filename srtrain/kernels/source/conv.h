/* What the parts of the library share about convolutions. All of it is for code that has entered the library (pool_acquire). */
#ifndef SRK_CONV_H
#define SRK_CONV_H

#include "kernels.h"
#include "view.h"

struct srk_conv {
    int n_in, n_out;
    int padded_out; /* with a shuffle, each of the r^2 groups of channels is padded on its own */
    int kernel, shuffle, method;
    float *packed; /* the filters, in the order in which the method reads them */
    float *bias;   /* padded_out */
};

/* Fill in the sizes of a convolution; return how many floats its packed filters are. */
int64_t conv_size(srk_conv *conv, int n_in, int n_out, int kernel, int shuffle, int method);

/* Write the packed filters. With transposed, weight is (n_in, n_out, k, k) and turned by 180 degrees, which makes the
 * convolution the gradient with respect to its input. */
void conv_pack(srk_conv *conv, const float *weight, int transposed);

/* Run it on a batch of pictures; return 0, or 1 if memory is short. */
int conv_run(const srk_conv *conv, view x, view y, int n_images, epilogue end);

/* Write the gradients of the weights, (n_out, n_in, 3, 3), and of the bias; the views are padded. Returns as conv_run. */
int conv_gradients(view x, view dy, int n_images, int n_in, int n_out, int method, float *dweight, float *dbias);

#endif
