/* The steps of a program that are no convolutions. All of them work on a batch. */
#ifndef SRK_STEPS_H
#define SRK_STEPS_H

#include "view.h"

/* to = from + other, where other may be missing, and then 0 where mask is not positive, unless it is missing. */
void step_add(view from, view other, view mask, view to, int n_images);

/* Add a constant to each of the first n channels, then multiply them. */
void step_shift(view to, int n_images, const float *constants, int n, float scale);

/* The mean of 2 x 2 pixels; and its gradient, added to other if there is one. */
void step_pool(view from, view to, int n_images);
void step_pool_back(view dy, view other, view to, int n_images);

/* A pixel shuffle of the first n channels of from, which no convolution precedes; and its gradient. */
void step_shuffle(view from, view to, int n_images, int n, int factor);
void step_shuffle_back(view dy, view to, int n_images, int n, int factor);

#endif
