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
    int64_t level; /* best set of instructions to use: 0 plain, 1 AVX2, 2 AVX-512; the processor's own if lower */
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

/* 2^f = 1 + f q(f) on -1/2 <= f <= 1/2: Chebyshev interpolation of q, relative error 5e-9 and 8e-18. */
static const float exp2_terms_float[6] = {
    0.69314718802622878106f, 0.24022650760568126945f, 0.055503571142190778186f,
    0.0096180825572778514913f, 0.0013390863364671234381f, 0.00015453162945120690177f,
};
static const double exp2_terms_double[11] = {
    0.69314718055994530942, 0.2402265069591009822, 0.055504108664821594339, 0.0096181291076068885273,
    0.001333355814641693531, 0.00015403530441736050155, 0.000015252733829836118394, 1.3215442587921689653e-6,
    1.0178062445845773521e-7, 7.0725859492692236999e-9, 4.4549605981865183938e-10,
};

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(function) JOIN(function, REAL)

#ifdef HAS_LEVELS
static int level(void);
#endif

#define REAL float
#define BITS int32_t
#define UNSIGNED uint32_t
#define FRACTION 23
#define BIAS 127
#define TERMS 6
#include "_scan.c"
#undef REAL
#undef BITS
#undef UNSIGNED
#undef FRACTION
#undef BIAS
#undef TERMS

#define REAL double
#define BITS int64_t
#define UNSIGNED uint64_t
#define FRACTION 52
#define BIAS 1023
#define TERMS 11
#include "_scan.c"

/* What ssm.py expects of this file; to be raised with every change of the structure. */
int scan_version(void) { return 2; }

#ifdef HAS_LEVELS
/* The best set of instructions that this processor has. */
static int level(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return 2;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

#else /* -------------------------------------------------------------------------------- for each type */

/* 2^x. In x + ROUND the lowest bits hold the whole part of x plus the exponent's bias: shifted up, they are the
   power of two. As whole numbers, bits of a float are ordered as it is, so they can be held within the range of
   exponents: 0 below the normal numbers, infinity above them. NaN stays NaN through the fraction. */
ALWAYS_INLINE REAL NAME(exp2)(REAL x) {
    const REAL ROUND = (REAL)3 * ((BITS)1 << (FRACTION - 1)) + BIAS;
    const REAL *q = NAME(exp2_terms);
    BITS bits, lowest;
    REAL power, poly;
    const REAL shifted = x + ROUND, fraction = x - (shifted - ROUND), zero = ROUND - BIAS;
    poly = q[TERMS - 1];
    for (int i = TERMS - 2; i >= 0; i--) poly = poly * fraction + q[i];
    poly = poly * fraction + 1;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&lowest, &zero, sizeof lowest);
    bits = bits < lowest ? lowest : bits;
    bits = bits > lowest + 2 * BIAS + 1 ? lowest + 2 * BIAS + 1 : bits;
    bits = (BITS)((UNSIGNED)bits << FRACTION);
    memcpy(&power, &bits, sizeof power);
    return poly * power;
}

/* exp(step A) is computed as 2^(step rate). The bound keeps an infinite A from giving NaN. */
ALWAYS_INLINE void NAME(rates)(const REAL *A, REAL *rate, const int64_t states) {
    for (int64_t n = 0; n < states; n++) {
        const REAL r = A[n] * (REAL)1.44269504088896340736;
        rate[n] = r < (REAL)-1e30 ? (REAL)-1e30 : r;
    }
}

ALWAYS_INLINE void NAME(forward_states)(const struct scan *s, const int64_t states) {
    const REAL *u = s->u, *delta = s->delta, *A = s->A, *B = s->B, *C = s->C;
    REAL *y = s->y, *restrict rate = s->work, *restrict h = rate + states;
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t c = 0; c < s->channels; c++) {
            NAME(rates)(A + c * states, rate, states);
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
            NAME(rates)(Ac, rate, states);
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
#define FOR_LEVEL(pass, level, instructions)                                        \
    instructions static void JOIN(NAME(pass), level)(const struct scan *s) {        \
        if (s->states == 64) JOIN(pass##_states, REAL)(s, 64);                      \
        else if (s->states == 16) JOIN(pass##_states, REAL)(s, 16);                 \
        else JOIN(pass##_states, REAL)(s, s->states);                               \
    }

FOR_LEVEL(forward, plain, )
FOR_LEVEL(backward, plain, )
#ifdef HAS_LEVELS
FOR_LEVEL(forward, avx2, AVX2)
FOR_LEVEL(forward, avx512, AVX512)
FOR_LEVEL(backward, avx2, AVX2)
FOR_LEVEL(backward, avx512, AVX512)
#define CHOOSE(pass, s)                                                             \
    {                                                                               \
        const int64_t here = level(), wanted = s->level < here ? s->level : here;   \
        if (wanted == 2) JOIN(NAME(pass), avx512)(s);                               \
        else if (wanted == 1) JOIN(NAME(pass), avx2)(s);                            \
        else JOIN(NAME(pass), plain)(s);                                            \
    }
#else
#define CHOOSE(pass, s) JOIN(NAME(pass), plain)(s);
#endif

void NAME(scan_forward)(const struct scan *s) { CHOOSE(forward, s) }
void NAME(scan_backward)(const struct scan *s) { CHOOSE(backward, s) }

#undef FOR_LEVEL
#undef CHOOSE
#endif
