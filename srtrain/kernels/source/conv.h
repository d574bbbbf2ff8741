/* What the parts of the library share about convolutions. All of it is for code that has entered the library (pool_acquire). */
#ifndef SRK_CONV_H
#define SRK_CONV_H

#include "kernels.h"
#include "view.h"

/* The filters of a convolution as MindSpore stores them, (n_out, n_in / groups, kernel, kernel), and how they meet channels.
 *
 * With sections c > 1, the input consists of c sections, and its channels are shuffled before they are convolved: channel i of
 * section j is number i c + j for the filters. */
typedef struct {
    const float *weight;
    int n_in, n_out, kernel;
    int shuffle; /* the factor r of a pixel shuffle of the output, whose r^2 groups of channels are padded one by one; or 1 */
    int sections, groups;
    float scale; /* of the output, bias included */
} filters;

/* Numbers of channels as views have them. */
int filters_padded_in(const filters *f);
int filters_padded_out(const filters *f);

struct srk_conv {
    int n_in, padded_out;
    int n_out; /* real ones */
    int kernel, shuffle, method;
    float *packed; /* the filters, in the order in which the method reads them */
    float *bias;   /* padded_out */
};

/* Fill in the sizes of a convolution; return how many floats its packed filters are. With transposed, it is the gradient with
 * respect to the input. */
int64_t conv_size(srk_conv *conv, const filters *f, int transposed, int method);

/* Write the packed filters. */
void conv_pack(srk_conv *conv, const filters *f, int transposed);

/* Write a bias, or zeros, to conv->bias. */
void conv_bias(srk_conv *conv, const filters *f, const float *bias);

/* Run it on a batch of pictures; return 0, or 1 if memory is short. */
int conv_run(const srk_conv *conv, view x, view y, int n_images, epilogue end);

/* Write the gradients of the weights, to f->weight, and of the bias. Returns as conv_run. */
int conv_gradients(view x, view dy, int n_images, const filters *f, int method, float *dbias);

#endif
