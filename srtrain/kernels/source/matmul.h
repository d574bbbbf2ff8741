/* Small matrix products that keep their result in registers: c = a b, or c += a b. */
#ifndef SRK_MATMUL_H
#define SRK_MATMUL_H

#include <stdint.h>

#include "vector.h"

/* Row-major matrices: the distance between rows is in floats. */
typedef struct {
    const float *a, *b;
    float *c;
    int64_t a_row, b_row, c_row;
    int depth; /* columns of a, rows of b */
} product;

enum { MATMUL_ROWS = 12 }; /* the number of rows of a must be a multiple of it */

/* ROWS x COLUMNS vectors of c at once. ROWS * COLUMNS accumulators, one vector of b per column and one broadcast of a fit into
 * the 32 registers of AVX-512, or the 16 of AVX2. */
#define DEFINE_TILE(ROWS, COLUMNS)                                                                          \
    static inline void tile_##ROWS##x##COLUMNS(product p, int row, int column, int add) {                   \
        vec sum[ROWS][COLUMNS];                                                                             \
        const float *a = p.a + row * p.a_row, *b = p.b + column;                                            \
        float *c = p.c + row * p.c_row + column;                                                            \
        UNROLL for (int i = 0; i < ROWS; i++)                                                               \
            UNROLL for (int j = 0; j < COLUMNS; j++)                                                        \
                sum[i][j] = add ? load(c + i * p.c_row + j * LANES) : (vec){0};                             \
        for (int k = 0; k < p.depth; k++) {                                                                 \
            vec right[COLUMNS];                                                                             \
            UNROLL for (int j = 0; j < COLUMNS; j++) right[j] = load(b + k * p.b_row + j * LANES);          \
            UNROLL for (int i = 0; i < ROWS; i++) {                                                         \
                vec left = broadcast(a[i * p.a_row + k]);                                                   \
                UNROLL for (int j = 0; j < COLUMNS; j++) sum[i][j] += left * right[j];                      \
            }                                                                                               \
        }                                                                                                   \
        UNROLL for (int i = 0; i < ROWS; i++)                                                               \
            UNROLL for (int j = 0; j < COLUMNS; j++) store(c + i * p.c_row + j * LANES, sum[i][j]);         \
    }

#if LANES == 16
DEFINE_TILE(6, 4)
DEFINE_TILE(12, 2)
#else
DEFINE_TILE(6, 2)
#endif
DEFINE_TILE(12, 1)

#define ALL_TILES(ROWS, COLUMNS)                                           \
    for (int j = 0; j < n_columns; j += COLUMNS * LANES)                   \
        for (int i = 0; i < n_rows; i += ROWS) tile_##ROWS##x##COLUMNS(p, i, j, add)

/* n_rows: a multiple of MATMUL_ROWS. n_columns: a multiple of LANES. */
static inline void matmul(product p, int n_rows, int n_columns, int add) {
    int n_vectors = n_columns / LANES;
#if LANES == 16
    if (n_vectors % 4 == 0) {
        ALL_TILES(6, 4);
        return;
    }
    if (n_vectors % 2 == 0) {
        ALL_TILES(12, 2);
        return;
    }
#else
    if (n_vectors % 2 == 0) {
        ALL_TILES(6, 2);
        return;
    }
#endif
    ALL_TILES(12, 1);
}

/* c += a^T b, where a is depth x rows: rows of a and b that belong together are the tiles of a weight gradient. */
#define DEFINE_TRANSPOSED_TILE(ROWS, COLUMNS)                                                               \
    static inline void transposed_##ROWS##x##COLUMNS(product p, int row, int column) {                      \
        vec sum[ROWS][COLUMNS];                                                                             \
        const float *a = p.a + row, *b = p.b + column;                                                      \
        float *c = p.c + row * p.c_row + column;                                                            \
        UNROLL for (int i = 0; i < ROWS; i++)                                                               \
            UNROLL for (int j = 0; j < COLUMNS; j++) sum[i][j] = load(c + i * p.c_row + j * LANES);         \
        for (int k = 0; k < p.depth; k++) {                                                                 \
            vec right[COLUMNS];                                                                             \
            UNROLL for (int j = 0; j < COLUMNS; j++) right[j] = load(b + k * p.b_row + j * LANES);          \
            UNROLL for (int i = 0; i < ROWS; i++) {                                                         \
                vec left = broadcast(a[k * p.a_row + i]);                                                   \
                UNROLL for (int j = 0; j < COLUMNS; j++) sum[i][j] += left * right[j];                      \
            }                                                                                               \
        }                                                                                                   \
        UNROLL for (int i = 0; i < ROWS; i++)                                                               \
            UNROLL for (int j = 0; j < COLUMNS; j++) store(c + i * p.c_row + j * LANES, sum[i][j]);         \
    }

DEFINE_TRANSPOSED_TILE(4, 4)
DEFINE_TRANSPOSED_TILE(4, 2)
DEFINE_TRANSPOSED_TILE(4, 1)

#define ALL_TRANSPOSED_TILES(COLUMNS)                                      \
    for (int i = 0; i < n_rows; i += 4)                                    \
        for (int j = 0; j < n_columns; j += COLUMNS * LANES) transposed_4x##COLUMNS(p, i, j)

/* n_rows: a multiple of 4. n_columns: a multiple of LANES. */
static inline void matmul_transposed(product p, int n_rows, int n_columns) {
    int n_vectors = n_columns / LANES;
    if (LANES == 16 && n_vectors % 4 == 0)
        ALL_TRANSPOSED_TILES(4);
    else if (n_vectors % 2 == 0)
        ALL_TRANSPOSED_TILES(2);
    else
        ALL_TRANSPOSED_TILES(1);
}

#endif
