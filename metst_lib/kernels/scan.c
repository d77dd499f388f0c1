/* The selective scan of ssm.py and the short convolution before it, forward and backward, for one thread of a CPU.

   Sixteen channels (eight in double) lie side by side in a vector and go through all frames of a window before
   the next sixteen; the backward pass replays a few states of these, then runs their adjoint from the last frame
   to the first. So all that a pass touches stays in cache, and no array over all windows, frames, channels and
   states is ever formed.

       step[t] = softplus(delta[t] + bias),  h[t] = exp(step[t] A) h[t-1] + step[t] u[t] B[t]
       y[t] = C[t] . h[t] + D u[t],          out[t] = y[t] silu(z[t])

   Arrays have channels last: u, delta, z, y (b, l, c); A (c, n); B, C (b, l, n). Sums run in a fixed order, so that
   equal inputs give equal bits on one machine.

   No header of Python or torch is needed: scan.py calls these functions by ctypes. The same text is compiled
   for float and double, and on x86 for plain, AVX2 and AVX-512 processors; the
   processor that runs it decides, not the one that compiled it. */

#ifndef REAL /* ------------------------------------------------------------- once: the two types, by inclusion */

#include <stdint.h>
#include <string.h>

/* One call of the scan. ssm.py has the same structure, field by field. What is absent is a null pointer. */
struct scan {
    int64_t level; /* best set of instructions to use: 0 plain, 1 AVX2, 2 AVX-512; the processor's own if lower */
    int64_t batch, length, channels, states, softplus;
    int64_t row_B, row_z, row_dB, row_dz; /* elements from one frame to the next: they may be columns of wider rows */
    const void *u, *delta, *A, *B, *C, *D, *z, *bias, *dout;
    void *step, *y, *out;           /* forward writes them, backward reads step and y; step is not used without */
    void *du, *ddelta, *dz;         /* softplus or bias, y not without z. Backward writes these */
    void *dA, *dB, *dC;             /* and these, */
    void *dD, *dbias;               /* and adds to these: they come as zeros */
    void *work;                     /* as many numbers as scan_work says */
};

/* One call of the convolution: out[t] = silu(bias + sum over j of weight[j] x[t - taps + 1 + j]). */
struct convolution {
    int64_t level, batch, length, channels, taps;
    int64_t row_x, row_dx;
    const void *x, *weight, *bias, *dout; /* weight (taps, c) */
    void *out, *dx, *dweight, *dbias;     /* dweight and dbias are added to */
    void *work;                           /* forward c numbers, backward (l + 1) c */
};

/* States that the backward pass works on at a time: few enough for first-level cache. */
#define CHUNK 8

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
#define LOG_TERMS 8
#include "scan.c"
#undef REAL
#undef BITS
#undef UNSIGNED
#undef FRACTION
#undef BIAS
#undef TERMS
#undef LOG_TERMS

#define REAL double
#define BITS int64_t
#define UNSIGNED uint64_t
#define FRACTION 52
#define BIAS 1023
#define TERMS 11
#define LOG_TERMS 17
#include "scan.c"

/* What scan.py expects of this file; to be raised with every change of the structure. */
int scan_version(void) { return 3; }

/* Numbers of the type at hand that a call of the scan wants as work; `lanes` is 16 for float and 8 for double. */
int64_t scan_work(int64_t backward, int64_t length, int64_t channels, int64_t states, int64_t lanes) {
    const int64_t blocks = (channels + lanes - 1) / lanes;
    if (!backward) return (blocks + 1) * states * lanes;
    return channels + (3 * blocks * states + 5 * blocks * length + (4 * length + 2) * CHUNK) * lanes;
}

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

/* Channels abreast. */
#define LANES (64 / (int64_t)sizeof(REAL))
#define EACH_LANE _Pragma("omp simd") for (int64_t v = 0; v < LANES; v++)

/* A (c, n) as (blocks, n, LANES), missing channels as zeros; and rate, for exp(step A) is computed as
   2^(step rate). The bound keeps an infinite A from giving NaN. */
ALWAYS_INLINE void NAME(lay)(const struct scan *s, REAL *restrict lanes, REAL *restrict rate) {
    const REAL *A = s->A;
    const int64_t blocks = (s->channels + LANES - 1) / LANES;
    for (int64_t block = 0; block < blocks; block++)
        for (int64_t n = 0; n < s->states; n++)
            for (int64_t v = 0; v < LANES; v++) {
                const int64_t c = block * LANES + v, at = (block * s->states + n) * LANES + v;
                const REAL a = c < s->channels ? A[c * s->states + n] : 0, r = a * (REAL)1.44269504088896340736;
                if (lanes) lanes[at] = a;
                rate[at] = r < (REAL)-1e30 ? (REAL)-1e30 : r;
            }
}

ALWAYS_INLINE REAL NAME(exp)(REAL x) { /* bounded, so that an infinity comes out as one and not as NaN */
    x *= (REAL)1.44269504088896340736;
    x = x < -4 * BIAS ? -4 * BIAS : x;
    return NAME(exp2)(x > 4 * BIAS ? 4 * BIAS : x);
}

ALWAYS_INLINE REAL NAME(sigmoid)(const REAL x) { return 1 / (1 + NAME(exp)(-x)); }

/* log(1 + exp(x)) = max(x, 0) + log(1 + w), w = exp(-|x|), and log(1 + w) = 2 artanh(w / (2 + w)): with s <= 1/3,
   s + s^3 / 3 + s^5 / 5 + ... ends soon. Above 20 it is x, as in torch. */
ALWAYS_INLINE REAL NAME(softplus)(const REAL x) {
    const REAL w = NAME(exp)(x < 0 ? x : -x), s = w / (2 + w), square = s * s;
    REAL series = 0;
    for (int i = LOG_TERMS - 1; i >= 0; i--) series = series * square + (REAL)1 / (2 * i + 1);
    return x > 20 ? x : (x < 0 ? 0 : x) + 2 * s * series;
}

/* Rows of one frame each; a pass over one stays in first-level cache. */
#define EACH_ROW(s) for (int64_t i = 0; i < (s)->batch * (s)->length; i++)
#define EACH_CHANNEL(s) _Pragma("omp simd") for (int64_t c = 0; c < (s)->channels; c++)

ALWAYS_INLINE void NAME(find_steps)(const struct scan *s) {
    EACH_ROW(s) {
        const REAL *restrict delta = (const REAL *)s->delta + i * s->channels, *restrict bias = s->bias;
        REAL *restrict step = (REAL *)s->step + i * s->channels;
        if (bias) EACH_CHANNEL(s) step[c] = delta[c] + bias[c];
        else memcpy(step, delta, s->channels * sizeof(REAL));
        if (s->softplus) EACH_CHANNEL(s) step[c] = NAME(softplus)(step[c]);
    }
}

ALWAYS_INLINE void NAME(gate)(const struct scan *s) {
    EACH_ROW(s) {
        const REAL *restrict u = (const REAL *)s->u + i * s->channels, *restrict D = s->D;
        REAL *restrict y = (REAL *)(s->z ? s->y : s->out) + i * s->channels;
        if (D) EACH_CHANNEL(s) y[c] += D[c] * u[c];
        if (s->z) {
            const REAL *restrict z = (const REAL *)s->z + i * s->row_z;
            REAL *restrict out = (REAL *)s->out + i * s->channels;
            EACH_CHANNEL(s) out[c] = y[c] * z[c] * NAME(sigmoid)(z[c]);
        }
    }
}

ALWAYS_INLINE void NAME(forward_any)(const struct scan *s) {
    const int simple = !s->softplus && !s->bias;
    const int64_t states = s->states, blocks = (s->channels + LANES - 1) / LANES;
    const REAL *u = s->u, *delta = simple ? s->delta : s->step, *B = s->B, *C = s->C;
    REAL *y = s->z ? s->y : s->out, *restrict rates = s->work, *restrict h = rates + blocks * states * LANES;
    if (!simple) NAME(find_steps)(s);
    NAME(lay)(s, 0, rates);
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t block = 0; block < blocks; block++) {
            const int64_t first = block * LANES, left = s->channels - first, width = left < LANES ? left : LANES;
            const REAL *restrict rate = rates + first * states;
            memset(h, 0, states * LANES * sizeof(REAL));
            for (int64_t t = 0; t < s->length; t++) {
                const int64_t frame = b * s->length + t, at = frame * s->channels + first;
                const REAL *restrict Bt = B + frame * s->row_B, *restrict Ct = C + frame * s->row_B;
                REAL step[LANES] = {0}, input[LANES] = {0}, sum[LANES] = {0};
                for (int64_t v = 0; v < width; v++) {
                    step[v] = delta[at + v];
                    input[v] = step[v] * u[at + v];
                }
                for (int64_t n = 0; n < states; n++)
                    EACH_LANE {
                        const int64_t i = n * LANES + v;
                        h[i] = NAME(exp2)(step[v] * rate[i]) * h[i] + input[v] * Bt[n];
                        sum[v] += h[i] * Ct[n];
                    }
                for (int64_t v = 0; v < width; v++) y[at + v] = sum[v];
            }
        }
    NAME(gate)(s);
}

/* From the gradient of out to that of y, which takes the place of ddelta for now; du comes through D first. */
ALWAYS_INLINE void NAME(gate_backward)(const struct scan *s) {
    REAL *restrict dD = s->dD;
    EACH_ROW(s) {
        const int64_t at = i * s->channels;
        const REAL *restrict u = (const REAL *)s->u + at, *restrict D = s->D, *restrict dout = (const REAL *)s->dout + at;
        REAL *restrict dy = (REAL *)s->ddelta + at, *restrict du = (REAL *)s->du + at;
        if (s->z) {
            const REAL *restrict z = (const REAL *)s->z + i * s->row_z, *restrict y = (const REAL *)s->y + at;
            REAL *restrict dz = (REAL *)s->dz + i * s->row_dz;
            EACH_CHANNEL(s) {
                const REAL open = NAME(sigmoid)(z[c]);
                dz[c] = dout[c] * y[c] * open * (1 + z[c] * (1 - open));
                dy[c] = dout[c] * z[c] * open;
            }
        } else memcpy(dy, dout, s->channels * sizeof(REAL));
        if (D) EACH_CHANNEL(s) {
            du[c] = D[c] * dy[c];
            dD[c] += u[c] * dy[c];
        } else memset(du, 0, s->channels * sizeof(REAL));
    }
}

ALWAYS_INLINE void NAME(steps_backward)(const struct scan *s) {
    EACH_ROW(s) {
        const REAL *restrict delta = (const REAL *)s->delta + i * s->channels, *restrict bias = s->bias;
        REAL *restrict ddelta = (REAL *)s->ddelta + i * s->channels, *restrict x = s->work, *restrict dbias = s->dbias;
        if (bias) EACH_CHANNEL(s) x[c] = delta[c] + bias[c];
        else memcpy(x, delta, s->channels * sizeof(REAL));
        if (s->softplus) EACH_CHANNEL(s) ddelta[c] *= x[c] > 20 ? 1 : NAME(sigmoid)(x[c]);
        if (bias) EACH_CHANNEL(s) dbias[c] += ddelta[c];
    }
}

/* What the backward pass keeps of one window; each of LANES numbers, times what stands beside. */
struct NAME(tape) {
    REAL *step, *input, *out;   /* blocks l */
    REAL *of_input, *of_step;   /* blocks l: gradients of input and step, summed over the states so far */
    REAL *past, *decay, *g;     /* (l + 1) CHUNK, l CHUNK, CHUNK: h[t-1], exp(step A) and the adjoint */
    REAL *dB, *dC;              /* l CHUNK: summed over the channels so far */
};

/* Replay and adjoint of `count` states of one window and block of channels; B, C, A, rate and dA begin at the first. */
ALWAYS_INLINE void NAME(backward_chunk)(const struct scan *s, const struct NAME(tape) *tape, const int64_t block,
        const int64_t count, const REAL *B, const REAL *C, const REAL *restrict A, const REAL *restrict rate,
        REAL *restrict dA) {
    const int64_t first = block * s->length * LANES;
    REAL *restrict g = tape->g;
    memset(tape->past, 0, count * LANES * sizeof(REAL));
    memset(g, 0, count * LANES * sizeof(REAL)); /* what later frames ask of h[t], through the decay */
    for (int64_t t = 0; t < s->length; t++) {
        const REAL *restrict step = tape->step + first + t * LANES, *restrict input = tape->input + first + t * LANES;
        const REAL *restrict Bt = B + t * s->row_B, *restrict h = tape->past + t * count * LANES;
        REAL *restrict next = tape->past + (t + 1) * count * LANES, *restrict a = tape->decay + t * count * LANES;
        _Pragma("GCC unroll 8") for (int64_t n = 0; n < count; n++)
            EACH_LANE {
                const int64_t i = n * LANES + v;
                a[i] = NAME(exp2)(step[v] * rate[i]);
                next[i] = a[i] * h[i] + input[v] * Bt[n];
            }
    }
    for (int64_t t = s->length - 1; t >= 0; t--) {
        const REAL *restrict step = tape->step + first + t * LANES, *restrict input = tape->input + first + t * LANES;
        const REAL *restrict out = tape->out + first + t * LANES;
        const REAL *restrict Bt = B + t * s->row_B, *restrict Ct = C + t * s->row_B;
        const REAL *restrict h = tape->past + t * count * LANES, *restrict next = h + count * LANES;
        const REAL *restrict a = tape->decay + t * count * LANES;
        REAL *restrict dBt = tape->dB + t * count * LANES, *restrict dCt = tape->dC + t * count * LANES;
        REAL *restrict of_input_t = tape->of_input + first + t * LANES;
        REAL *restrict of_step_t = tape->of_step + first + t * LANES;
        REAL of_input[LANES] = {0}, of_step[LANES] = {0};
        _Pragma("GCC unroll 8") for (int64_t n = 0; n < count; n++)
            EACH_LANE {
                const int64_t i = n * LANES + v;
                const REAL of_state = g[i] + out[v] * Ct[n];
                dCt[i] += out[v] * next[i];
                dBt[i] += input[v] * of_state;
                of_input[v] += of_state * Bt[n];
                g[i] = of_state * a[i];
                const REAL of_exponent = g[i] * h[i];
                of_step[v] += of_exponent * A[i];
                dA[i] += step[v] * of_exponent;
            }
        EACH_LANE {
            of_input_t[v] += of_input[v];
            of_step_t[v] += of_step[v];
        }
    }
}

/* The sum over the lanes. */
ALWAYS_INLINE REAL NAME(total)(const REAL *restrict lanes) {
    REAL sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t v = 0; v < LANES; v++) sum += lanes[v];
    return sum;
}

/* Between the rows of window b, `at` in (b, l, c), and the tape's lanes, `i` in (blocks, l, LANES). */
#define EACH_LANE_OF(s, body)                                                       \
    for (int64_t t = 0; t < (s)->length; t++)                                       \
        for (int64_t first = 0; first < (s)->channels; first += LANES) {            \
            const int64_t start = (b * (s)->length + t) * (s)->channels + first;    \
            const int64_t lane = first * (s)->length + t * LANES, left = (s)->channels - first; \
            if (left >= LANES) EACH_LANE { const int64_t at = start + v, i = lane + v; body } \
            else for (int64_t v = 0; v < left; v++) { const int64_t at = start + v, i = lane + v; body } \
        }

/* Gradients of the sum of dout out. */
ALWAYS_INLINE void NAME(backward_any)(const struct scan *s) {
    const int simple = !s->softplus && !s->bias;
    const int64_t states = s->states, length = s->length, channels = s->channels;
    const int64_t blocks = (channels + LANES - 1) / LANES, laid = blocks * states * LANES, rows = blocks * length * LANES;
    const REAL *u = s->u, *delta = simple ? s->delta : s->step;
    REAL *du = s->du, *ddelta = s->ddelta, *dA = s->dA, *dB = s->dB, *dC = s->dC;
    REAL *A = (REAL *)s->work + channels, *rates = A + laid, *dA_laid = rates + laid; /* first c: steps_backward's */
    struct NAME(tape) tape = {.step = dA_laid + laid};
    tape.input = tape.step + rows;
    tape.out = tape.input + rows;
    tape.of_input = tape.out + rows;
    tape.of_step = tape.of_input + rows;
    tape.g = tape.of_step + rows;
    tape.past = tape.g + CHUNK * LANES;
    tape.decay = tape.past + (length + 1) * CHUNK * LANES;
    tape.dB = tape.decay + length * CHUNK * LANES;
    tape.dC = tape.dB + length * CHUNK * LANES;
    NAME(gate_backward)(s);
    NAME(lay)(s, A, rates);
    memset(dA_laid, 0, laid * sizeof(REAL));
    memset(tape.step, 0, 3 * rows * sizeof(REAL)); /* lanes without a channel stay zero */
    for (int64_t b = 0; b < s->batch; b++) {
        memset(tape.of_input, 0, 2 * rows * sizeof(REAL));
        EACH_LANE_OF(s, {
            tape.step[i] = delta[at];
            tape.input[i] = delta[at] * u[at];
            tape.out[i] = ddelta[at];
        })
        for (int64_t start = 0; start < states; start += CHUNK) {
            const int64_t count = states - start < CHUNK ? states - start : CHUNK;
            const REAL *B = (const REAL *)s->B + b * length * s->row_B + start;
            const REAL *C = (const REAL *)s->C + b * length * s->row_B + start;
            memset(tape.dB, 0, 2 * length * CHUNK * LANES * sizeof(REAL));
            for (int64_t block = 0; block < blocks; block++) {
                const int64_t i = (block * states + start) * LANES;
                if (count == CHUNK) NAME(backward_chunk)(s, &tape, block, CHUNK, B, C, A + i, rates + i, dA_laid + i);
                else NAME(backward_chunk)(s, &tape, block, count, B, C, A + i, rates + i, dA_laid + i);
            }
            for (int64_t t = 0; t < length; t++)
                for (int64_t n = 0; n < count; n++) {
                    const int64_t at = (b * length + t) * s->row_dB + start + n, i = (t * count + n) * LANES;
                    dB[at] = NAME(total)(tape.dB + i);
                    dC[at] = NAME(total)(tape.dC + i);
                }
        }
        EACH_LANE_OF(s, {
            du[at] += tape.step[i] * tape.of_input[i];
            ddelta[at] = u[at] * tape.of_input[i] + tape.of_step[i];
        })
    }
    for (int64_t c = 0; c < channels; c++)
        for (int64_t n = 0; n < states; n++) dA[c * states + n] = dA_laid[(c / LANES * states + n) * LANES + c % LANES];
    if (!simple) NAME(steps_backward)(s);
}

/* One frame before silu, (c): v = bias + sum over j of weight[j] x[t - taps + 1 + j]. */
ALWAYS_INLINE void NAME(convolve)(const struct convolution *s, const int64_t b, const int64_t t, REAL *restrict v) {
    const REAL *restrict bias = s->bias;
    EACH_CHANNEL(s) v[c] = bias[c];
    for (int64_t j = s->taps - 1 - t > 0 ? s->taps - 1 - t : 0; j < s->taps; j++) {
        const REAL *restrict w = (const REAL *)s->weight + j * s->channels;
        const REAL *restrict x = (const REAL *)s->x + (b * s->length + t - s->taps + 1 + j) * s->row_x;
        EACH_CHANNEL(s) v[c] += w[c] * x[c];
    }
}

ALWAYS_INLINE void NAME(convolution_forward_any)(const struct convolution *s) {
    REAL *restrict v = s->work;
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t t = 0; t < s->length; t++) {
            REAL *restrict out = (REAL *)s->out + (b * s->length + t) * s->channels;
            NAME(convolve)(s, b, t, v);
            EACH_CHANNEL(s) out[c] = v[c] * NAME(sigmoid)(v[c]);
        }
}

ALWAYS_INLINE void NAME(convolution_backward_any)(const struct convolution *s) {
    REAL *restrict v = s->work, *dv = v + s->channels; /* dv (l, c) */
    REAL *restrict dbias = s->dbias;
    for (int64_t b = 0; b < s->batch; b++) {
        for (int64_t t = 0; t < s->length; t++) {
            const REAL *restrict dout = (const REAL *)s->dout + (b * s->length + t) * s->channels;
            REAL *restrict dvt = dv + t * s->channels;
            NAME(convolve)(s, b, t, v);
            EACH_CHANNEL(s) {
                const REAL open = NAME(sigmoid)(v[c]);
                dvt[c] = dout[c] * open * (1 + v[c] * (1 - open));
                dbias[c] += dvt[c];
            }
            for (int64_t j = s->taps - 1 - t > 0 ? s->taps - 1 - t : 0; j < s->taps; j++) {
                const REAL *restrict x = (const REAL *)s->x + (b * s->length + t - s->taps + 1 + j) * s->row_x;
                REAL *restrict dw = (REAL *)s->dweight + j * s->channels;
                EACH_CHANNEL(s) dw[c] += dvt[c] * x[c];
            }
        }
        for (int64_t t = 0; t < s->length; t++) { /* x[t] went into v[t] by the last tap, … v[t + taps - 1] by the first */
            REAL *restrict dx = (REAL *)s->dx + (b * s->length + t) * s->row_dx;
            memset(dx, 0, s->channels * sizeof(REAL));
            for (int64_t j = 0; j < s->taps && t + j < s->length; j++) {
                const REAL *restrict dvt = dv + (t + j) * s->channels;
                const REAL *restrict w = (const REAL *)s->weight + (s->taps - 1 - j) * s->channels;
                EACH_CHANNEL(s) dx[c] += w[c] * dvt[c];
            }
        }
    }
}

#define FOR_LEVEL(structure, pass, level, instructions)                             \
    instructions static void JOIN(NAME(pass), level)(const struct structure *s) { JOIN(pass##_any, REAL)(s); }

#define EVERY_PASS(level, instructions)                                             \
    FOR_LEVEL(scan, forward, level, instructions)                                   \
    FOR_LEVEL(scan, backward, level, instructions)                                  \
    FOR_LEVEL(convolution, convolution_forward, level, instructions)                \
    FOR_LEVEL(convolution, convolution_backward, level, instructions)

EVERY_PASS(plain, )
#ifdef HAS_LEVELS
EVERY_PASS(avx2, AVX2)
EVERY_PASS(avx512, AVX512)
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
void NAME(convolution_forward)(const struct convolution *s) { CHOOSE(convolution_forward, s) }
void NAME(convolution_backward)(const struct convolution *s) { CHOOSE(convolution_backward, s) }

#undef EACH_ROW
#undef EACH_CHANNEL
#undef EACH_LANE
#undef EACH_LANE_OF
#undef LANES
#undef EVERY_PASS
#undef FOR_LEVEL
#undef CHOOSE
#endif
