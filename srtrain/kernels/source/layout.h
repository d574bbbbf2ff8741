/* Changes of layout for code that has entered the library already (pool_acquire). */
#ifndef SRK_LAYOUT_H
#define SRK_LAYOUT_H

#include <stdint.h>

/* n_channels are the real ones; the NHWC side has them rounded up, and zeros there. shuffle: the factor of a pixel shuffle on
 * the way, whose channels are in the order (r, r, C); or 1. */
void layout_to_nhwc(const float *from, float *to, int n_images, int n_channels, int64_t n_pixels);
void layout_to_nchw(const float *from, float *to, int n_images, int n_channels, int height, int width, int shuffle);

#endif
