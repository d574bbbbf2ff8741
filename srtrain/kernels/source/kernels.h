/* Convolutions for CPUs: 3x3 by Winograd's minimal filtering, 1x1 and small kernels directly, in float32.
 *
 * Inside the library a picture is NHWC, and the number of its channels is rounded up to a multiple of the vector length
 * (srk_lanes). The added channels are zero. Weights are OIHW, as MindSpore and ONNX store them.
 *
 * Results have the same bits for any number of threads: a task computes its outputs from start to end, and where the work is
 * cut depends on the sizes alone.
 */
#ifndef SRK_KERNELS_H
#define SRK_KERNELS_H

#include <stdint.h>

/* How a convolution is computed. */
enum { SRK_DIRECT = 0, SRK_F23 = 2, SRK_F43 = 4 };

typedef struct srk_conv srk_conv;

/* Number of floats in a vector: 16 with AVX-512, 8 with AVX2, else 4. */
int srk_lanes(void);

/* Use this many threads from now on, the caller's included. */
void srk_set_threads(int n_threads);

/* Prepare a convolution with stride 1 that keeps height and width.
 *
 * kernel: 1 or 3. shuffle: 1, or the factor r of a pixel shuffle of the output, whose channels are in the order (r, r, C)
 * that ONNX calls DCR. method: SRK_DIRECT, SRK_F23 or SRK_F43; kernel 1 is always direct. Returns NULL if memory is short. */
srk_conv *srk_conv_new(const float *weight, const float *bias, int n_in, int n_out, int kernel, int shuffle, int method);
void srk_conv_free(srk_conv *conv);

/* Run it on one picture of height x width.
 *
 * y = relu(conv(x) + bias) + skip, where relu is done if asked to and skip may be NULL. With a shuffle, y is r times as high
 * and wide, and skip must be NULL. Returns 0, or 1 if memory is short. */
int srk_conv_run(const srk_conv *conv, const float *x, int height, int width, int relu, const float *skip, float *y);

/* Rearrange one picture. n_channels are the real ones; the NHWC side has them rounded up. */
void srk_nchw_to_nhwc(const float *nchw, float *nhwc, int n_channels, int64_t n_pixels);
void srk_nhwc_to_nchw(const float *nhwc, float *nchw, int n_channels, int64_t n_pixels);

/* A program (program.c) without gradients. Pack the parameters once, into srk_program_packed_size floats, then run it on batches
 * x of shape (N, C, H, W). memory: for its buffers, as the program says. Returns 0, or another number if memory is short. */
int64_t srk_program_packed_size(const int32_t *words);
void srk_program_pack(const int32_t *words, float **parameters, float *packed);
int srk_program_run(const int32_t *words, float *packed, const float *x, const int64_t *shape, float *memory, float *y);

/* Floating-point operations per call of the library's best matrix product on data in the first-level cache: the peak that
 * its convolutions are measured against. */
double srk_peak_flop(int n_repeats);

#endif
