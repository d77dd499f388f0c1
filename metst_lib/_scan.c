/* The selective scan of ssm.py, forward and backward, for one thread of a CPU.

   For each window and channel the recurrence over T frames keeps its n states in registers or first-level
   cache; the backward pass replays the states of one channel, then runs the adjoint from the last frame to
   the first. No array over all windows, frames, channels and states is ever formed.

       h[t] = exp(delta[t] A) h[t-1] + delta[t] u[t] B[t],    y[t] = C[t] . h[t]

   Arrays have channels last: u, delta, y (b, l, c); A (c, n); B, C (b, l, n). Sums run in a fixed order, so that
   equal inputs give equal bits on one machine.

   No header of Python or torch is needed: ssm.py calls these functions by ctypes. The same text is compiled
   for float and double, for state sizes 16, 64 and any, and on x86 for plain, AVX2 and AVX-512 processors; the
   processor that runs it decides, not the one that compiled it. */

#ifndef REAL /* ------------------------------------------------------------- once: the two types, by inclusion */

#include <stdint.h>
#include <string.h>

/* One call. ssm.py has the same structure, field by field. */
struct scan {
    int64_t batch, length, channels, states;
    int64_t row; /* elements from one frame of B, and of C, to the next: they may be columns of wider rows */
    const void *u, *delta, *A, *B, *C, *dy;
    void *y, *du, *ddelta; /* written */
    void *dA, *dB, *dC;    /* added to: they come as zeros */
    void *work;            /* forward 2 n numbers, backward (2 l + 3) n */
};

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)
#define HAS_LEVELS 1
#define AVX2 __attribute__((target("avx2,fma")))
#if defined(__clang__)
#define AVX512 __attribute__((target("avx512f,avx512dq"), min_vector_width(512)))
#else
#define AVX512 __attribute__((target("avx512f,avx512dq,prefer-vector-width=512")))
#endif
#endif

#define LOG2_E 1.44269504088896340736

/* 2^f = 1 + f q(f) on -1/2 <= f <= 1/2: Chebyshev interpolation of q, relative error 5e-9 and 8e-18. */
static const float exp2_terms_float[] = {
    0.69314718802622878106f, 0.24022650760568126945f, 0.055503571142190778186f,
    0.0096180825572778514913f, 0.0013390863364671234381f, 0.00015453162945120690177f,
};
static const double exp2_terms_double[] = {
    0.69314718055994530942, 0.2402265069591009822, 0.055504108664821594339, 0.0096181291076068885273,
    0.001333355814641693531, 0.00015403530441736050155, 0.000015252733829836118394, 1.3215442587921689653e-6,
    1.0178062445845773521e-7, 7.0725859492692236999e-9, 4.4549605981865183938e-10,
};

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(function) JOIN(function, REAL)

static int level(void);

#define REAL float
#define BITS uint32_t
#define FRACTION 23
#define BIAS 127
#include "_scan.c"
#undef REAL
#undef BITS
#undef FRACTION
#undef BIAS

#define REAL double
#define BITS uint64_t
#define FRACTION 52
#define BIAS 1023
#include "_scan.c"

/* What ssm.py expects of this file; to be raised with every change of the structure. */
int scan_version(void) { return 1; }

/* The best set of instructions that this processor has: 0 plain, 1 AVX2, 2 AVX-512. */
static int level(void) {
#ifdef HAS_LEVELS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
    return 0;
}

#else /* -------------------------------------------------------------------------------- for each type */

/* 2^x. Adding `round` moves the whole part of x into the lowest bits, from where it becomes the exponent.
   Below the normal numbers the result is 0, above them infinity; NaN stays NaN. */
ALWAYS_INLINE REAL NAME(exp2)(REAL x) {
    const REAL low = -BIAS, high = BIAS + 1, round = (REAL)3 * ((BITS)1 << (FRACTION - 1));
    const REAL *q = NAME(exp2_terms);
    const int terms = sizeof(NAME(exp2_terms)) / sizeof(REAL);
    BITS bits;
    REAL scale, poly;
    x = x < low ? low : x;
    x = x > high ? high : x;
    const REAL shifted = x + round, f = x - (shifted - round);
    poly = q[terms - 1];
    for (int i = terms - 2; i >= 0; i--) poly = poly * f + q[i];
    poly = poly * f + 1;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << FRACTION) + ((BITS)BIAS << FRACTION);
    memcpy(&scale, &bits, sizeof scale);
    return poly * scale;
}

ALWAYS_INLINE void NAME(forward_states)(const struct scan *s, const int64_t states) {
    const REAL *u = s->u, *delta = s->delta, *A = s->A, *B = s->B, *C = s->C;
    REAL *y = s->y, *restrict rate = s->work, *restrict h = rate + states;
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t c = 0; c < s->channels; c++) {
            for (int64_t n = 0; n < states; n++) rate[n] = A[c * states + n] * (REAL)LOG2_E;
            memset(h, 0, states * sizeof(REAL));
            for (int64_t t = 0; t < s->length; t++) {
                const int64_t frame = b * s->length + t, at = frame * s->channels + c;
                const REAL *restrict Bt = B + frame * s->row, *restrict Ct = C + frame * s->row;
                const REAL step = delta[at], input = step * u[at];
                REAL sum = 0;
#pragma omp simd reduction(+ : sum)
                for (int64_t n = 0; n < states; n++) {
                    h[n] = NAME(exp2)(step * rate[n]) * h[n] + input * Bt[n];
                    sum += h[n] * Ct[n];
                }
                y[at] = sum;
            }
        }
}

/* Gradients of the sum of dy y. */
ALWAYS_INLINE void NAME(backward_states)(const struct scan *s, const int64_t states) {
    const REAL *u = s->u, *delta = s->delta, *A = s->A, *B = s->B, *C = s->C, *dy = s->dy;
    REAL *du = s->du, *ddelta = s->ddelta, *dA = s->dA, *dB = s->dB, *dC = s->dC;
    REAL *restrict rate = s->work, *restrict g = rate + states, *restrict past = g + states; /* past: (l + 1, n) */
    REAL *restrict decay = past + (s->length + 1) * states;                                  /* (l, n) */
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t c = 0; c < s->channels; c++) {
            const REAL *restrict Ac = A + c * states;
            REAL *restrict dAc = dA + c * states;
            for (int64_t n = 0; n < states; n++) rate[n] = Ac[n] * (REAL)LOG2_E;
            memset(past, 0, states * sizeof(REAL));
            for (int64_t t = 0; t < s->length; t++) { /* the states again */
                const int64_t frame = b * s->length + t, at = frame * s->channels + c;
                const REAL *restrict Bt = B + frame * s->row;
                const REAL step = delta[at], input = step * u[at];
                REAL *restrict h = past + t * states, *restrict a = decay + t * states;
                REAL *restrict next = h + states;
#pragma omp simd
                for (int64_t n = 0; n < states; n++) {
                    a[n] = NAME(exp2)(step * rate[n]);
                    next[n] = a[n] * h[n] + input * Bt[n];
                }
            }
            memset(g, 0, states * sizeof(REAL)); /* what later frames ask of h[t], through the decay */
            for (int64_t t = s->length - 1; t >= 0; t--) {
                const int64_t frame = b * s->length + t, at = frame * s->channels + c;
                const REAL *restrict Bt = B + frame * s->row, *restrict Ct = C + frame * s->row;
                REAL *restrict dBt = dB + frame * states, *restrict dCt = dC + frame * states;
                const REAL *restrict h = past + t * states, *restrict next = h + states;
                const REAL *restrict a = decay + t * states;
                const REAL step = delta[at], input = step * u[at], out = dy[at];
                REAL of_input = 0, of_step = 0;
#pragma omp simd reduction(+ : of_input, of_step)
                for (int64_t n = 0; n < states; n++) {
                    const REAL of_state = g[n] + out * Ct[n];
                    dCt[n] += out * next[n];
                    dBt[n] += input * of_state;
                    of_input += of_state * Bt[n];
                    g[n] = of_state * a[n];
                    const REAL of_exponent = g[n] * h[n];
                    of_step += of_exponent * Ac[n];
                    dAc[n] += step * of_exponent;
                }
                du[at] = step * of_input;
                ddelta[at] = u[at] * of_input + of_step;
            }
        }
}

/* A known number of states lets the compiler unroll the loops over them. */
#define FOR_LEVEL(pass, level, instructions)                                         \
    instructions static void JOIN(NAME(pass), level)(const struct scan *s) {         \
        if (s->states == 64) JOIN(pass##_states, REAL)(s, 64);                       \
        else if (s->states == 16) JOIN(pass##_states, REAL)(s, 16);                  \
        else JOIN(pass##_states, REAL)(s, s->states);                                \
    }
#ifdef HAS_LEVELS
#define FOR_ALL(pass)                                                                \
    FOR_LEVEL(pass, plain, )                                                         \
    FOR_LEVEL(pass, avx2, AVX2)                                                      \
    FOR_LEVEL(pass, avx512, AVX512)                                                  \
    void JOIN(scan_##pass, REAL)(const struct scan *s) {                             \
        if (level() == 2) JOIN(NAME(pass), avx512)(s);                               \
        else if (level() == 1) JOIN(NAME(pass), avx2)(s);                            \
        else JOIN(NAME(pass), plain)(s);                                             \
    }
#else
#define FOR_ALL(pass)                                                                \
    FOR_LEVEL(pass, plain, )                                                         \
    void JOIN(scan_##pass, REAL)(const struct scan *s) { JOIN(NAME(pass), plain)(s); }
#endif

FOR_ALL(forward)
FOR_ALL(backward)

#undef FOR_LEVEL
#undef FOR_ALL
#endif
