/* Where the channels of a pixel are: pictures that are NHWC, sections of their channels, and outputs that a pixel shuffle
 * rearranges while they are written. */
#ifndef SRK_VIEW_H
#define SRK_VIEW_H

#include <stdint.h>

typedef struct {
    float *data;                 /* NULL: there is none */
    int height, width, channels; /* before the shuffle; channels are padded */
    int pixel;                   /* floats between neighbouring pixels after the shuffle: more than the channels of a section */
    int shuffle;                 /* the factor r, or 1 */
    int spread;                  /* an input of 4 times the channels: see spread_of */
} view;

static inline int64_t view_size(const view *v) {
    return (int64_t)v->height * v->width * v->shuffle * v->shuffle * v->pixel;
}

/* The same view of another picture of a batch. */
static inline view view_of(view first, int image) {
    if (first.data) first.data += image * view_size(&first);
    return first;
}

/* Distances between the pixels of neighbouring columns and rows; they do not depend on the channel. A step down is r rows of
 * the shuffled picture. */
static inline int64_t view_step_x(const view *v) { return (int64_t)v->shuffle * v->pixel; }
static inline int64_t view_step_y(const view *v) { return (int64_t)v->width * v->shuffle * v->shuffle * v->pixel; }

/* Offset of channel c of the pixel at (y, x). Channel s * q + c of q = channels / r^2 goes to (r y + s / r, r x + s % r). */
static inline int64_t view_offset(const view *v, int y, int x, int c) {
    int64_t at = y * view_step_y(v) + x * view_step_x(v);
    if (v->shuffle == 1) return at + c;
    int r = v->shuffle, group = v->channels / (r * r), s = c / group;
    return at + (int64_t)(s / r) * v->width * r * v->pixel + s % r * v->pixel + c % group;
}

/* A spread input repeats its channels four times. Part p is the picture moved by spread_of(p / 2) rows up and
 * spread_of(p % 2) columns to the left. So a convolution of 3x3 reads 6x6 pixels, -2 to 3, of which each part covers a
 * quarter. */
static inline int spread_of(int half) { return 3 * half - 1; }

/* What is done to an output before it is stored: y = relu(sum + bias) + skip, and then 0 where mask is not positive. */
typedef struct {
    const float *bias; /* padded */
    view skip, mask;   /* of the output's size */
    int mask_from;     /* the output channel that meets the first channel of the mask; those before it are kept */
    int relu;
} epilogue;

static inline epilogue epilogue_of(epilogue end, int image) {
    end.skip = view_of(end.skip, image);
    end.mask = view_of(end.mask, image);
    return end;
}

#endif
