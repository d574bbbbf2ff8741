/* Where the channels of a pixel are: pictures that are NHWC, and outputs that a pixel shuffle rearranges while they are written. */
#ifndef SRK_VIEW_H
#define SRK_VIEW_H

#include <stdint.h>

typedef struct {
    float *data;
    int height, width, channels; /* before the shuffle; channels are padded */
    int shuffle;                 /* the factor r, or 1 */
} view;

static inline int64_t view_size(const view *v) { return (int64_t)v->height * v->width * v->channels; }

/* The same view of another picture of a batch. */
static inline view view_of(view first, int image) {
    first.data += image * view_size(&first);
    return first;
}

/* Offset of channel c of the pixel at (y, x). Channel s * q + c of q = channels / r^2 goes to (r y + s / r, r x + s % r). */
static inline int64_t view_offset(const view *v, int y, int x, int c) {
    int r = v->shuffle;
    int group = v->channels / (r * r), s = c / group;
    int64_t pixel = group, row = (int64_t)v->width * r * pixel;
    return (y * r + s / r) * row + (x * r + s % r) * pixel + c % group;
}

/* Distances between the pixels of neighbouring columns and rows; they do not depend on the channel. A step down is r rows of the
 * shuffled picture, which hold as many floats as one row without a shuffle. */
static inline int64_t view_step_x(const view *v) { return v->channels / v->shuffle; }
static inline int64_t view_step_y(const view *v) { return (int64_t)v->width * v->channels; }

/* What is done to an output before it is stored: y = relu(sum + bias) + skip. */
typedef struct {
    const float *bias; /* padded */
    const float *skip; /* of the output's layout, or NULL */
    int relu;
} epilogue;

#endif
