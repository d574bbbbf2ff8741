/* Vectors of floats, by the extension that GCC and Clang share; the compiler's flags choose their length. */
#ifndef SRK_VECTOR_H
#define SRK_VECTOR_H

#if defined(LANES) /* a test builds every length, which the compiler emulates */
#elif defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

/* Aligned like a float, since rows begin anywhere. */
typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

static inline vec load(const float *p) { return *(const vec *)p; }
static inline void store(float *p, vec v) { *(vec *)p = v; }
/* a - 0 is a for every a, also for -0, so that compilers drop it. a + 0 is not. */
static inline vec broadcast(float a) { return a - (vec){0}; }

/* v where decider is positive, else 0. */
static inline vec where_positive(vec v, vec decider) {
    typedef int mask __attribute__((vector_size(LANES * 4), may_alias));
    mask above = (mask)(decider > (vec){0});
    return (vec)((mask)v & above);
}
static inline vec positive(vec v) { return where_positive(v, v); }

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

static inline int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }
static inline int smaller(int a, int b) { return a < b ? a : b; }

#endif
