// The vector type of one instruction set. Arithmetic is the compiler's own for such types; only the fused multiply-add
// needs a name, because it decides the last bit: -ffp-contract=off forbids the compiler to choose it by itself.

#pragma once

#include <cstdint>
#include <cstring>

#include "network.h"

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// For loops over registers: an array whose index is known only at run time would lie in memory.
#define WAVENET_UNROLLED _Pragma("GCC unroll 32")

namespace wavenet::WAVENET_VARIANT {

#if defined(WAVENET_EMULATED)  // by a test: the shape of AVX-512, computed element by element on any processor
constexpr int vector_bytes = 64;
constexpr int num_accumulators = 24;
constexpr int num_columns = 6;
#elif defined(__AVX512F__)
constexpr int vector_bytes = 64;
constexpr int num_accumulators = 24;  // of 32 registers; the rest hold weights and inputs,
constexpr int num_columns = 6;        // so many vectors of weights at a time: more would be kept in memory
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
constexpr int num_accumulators = 12;  // of 16
constexpr int num_columns = 2;
#elif defined(__aarch64__)
constexpr int vector_bytes = 16;
constexpr int num_accumulators = 24;  // of 32
constexpr int num_columns = 6;
#else
constexpr int vector_bytes = 16;
constexpr int num_accumulators = 12;  // of 16
constexpr int num_columns = 2;
#endif

typedef float Vector __attribute__((vector_size(vector_bytes)));
typedef int32_t Integers __attribute__((vector_size(vector_bytes)));
typedef double Doubles __attribute__((vector_size(vector_bytes)));
typedef int64_t Longs __attribute__((vector_size(vector_bytes)));

#if defined(WAVENET_FIXED)  // products take their inputs and weights as pairs of integers
constexpr int word_values = 2;
#else
constexpr int word_values = 1;
#endif

// Of a row of so many values, as products take it.
constexpr int64_t words(int64_t count) {
    return (count + word_values - 1) / word_values;
}

struct Pair {
    int16_t first, second;
};

constexpr int line_floats = 16;  // of a cache line
constexpr int lanes = vector_bytes / 4;
constexpr int double_lanes = vector_bytes / 8;
constexpr int vectors_per_panel = panel_width / lanes;

inline Vector load(const float *from) {
    Vector value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

// Exact, however it is done; the compiler's own conversion of vectors takes three times the instructions.
inline Vector load(const int16_t *from) {
#if !defined(WAVENET_EMULATED) && defined(__AVX512F__)
    // The forms without a mask warn of an uninitialized value in g++'s own header.
    const __m512i wide = _mm512_maskz_cvtepi16_epi32(0xffff, _mm256_loadu_si256((const __m256i *)from));
    return (Vector)_mm512_maskz_cvtepi32_ps(0xffff, wide);
#elif !defined(WAVENET_EMULATED) && defined(__AVX2__)
    return (Vector)_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)from)));
#elif !defined(WAVENET_EMULATED) && defined(__SSE2__)
    const __m128i narrow = _mm_loadl_epi64((const __m128i *)from);
    return (Vector)_mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpacklo_epi16(narrow, narrow), 16));
#elif defined(__aarch64__)
    return (Vector)vcvtq_f32_s32(vmovl_s16(vld1_s16(from)));
#else
    Vector value;
    for (int lane = 0; lane < lanes; ++lane) value[lane] = from[lane];
    return value;
#endif
}

inline Integers load(const Pair *from) {
    Integers value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

inline void store(float *to, Vector value) {
    std::memcpy(to, &value, sizeof value);
}

inline Doubles load(const double *from) {
    Doubles value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

inline void store(double *to, Doubles value) {
    std::memcpy(to, &value, sizeof value);
}

inline Vector all(float value) {
    return value - Vector{};
}

inline Doubles all(double value) {
    return value - Doubles{};
}

// a·b + c: rounded once where the processor can, twice in the portable variant.
inline Vector multiply_add(Vector a, Vector b, Vector c) {
#if defined(WAVENET_EMULATED)
    for (int lane = 0; lane < lanes; ++lane) c[lane] = __builtin_fmaf(a[lane], b[lane], c[lane]);
    return c;
#elif defined(__AVX512F__)
    return (Vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (Vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (Vector)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

inline Doubles multiply_add(Doubles a, Doubles b, Doubles c) {
#if defined(WAVENET_EMULATED)
    for (int lane = 0; lane < double_lanes; ++lane) c[lane] = __builtin_fma(a[lane], b[lane], c[lane]);
    return c;
#elif defined(__AVX512F__)
    return (Doubles)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX2__)
    return (Doubles)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
    return (Doubles)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
}

// One word of inputs in every lane.
template <typename Lanes>
inline Lanes all_words(const float *word) {
    int32_t bits;
    std::memcpy(&bits, word, sizeof bits);
    return (Lanes)(bits - Integers{});
}

inline Vector clamp(Vector value, float least, float most) {
#if defined(__AVX512F__) && !defined(WAVENET_EMULATED)  // half the instructions of what g++ makes of the comparisons
    const __m512 enough = _mm512_maskz_max_ps(0xffff, (__m512)all(least), (__m512)value);
    return (Vector)_mm512_maskz_min_ps(0xffff, (__m512)all(most), enough);
#elif defined(__AVX2__) && !defined(WAVENET_EMULATED)
    return (Vector)_mm256_min_ps((__m256)all(most), _mm256_max_ps((__m256)all(least), (__m256)value));
#endif
    value = value < all(least) ? all(least) : value;
    return value > all(most) ? all(most) : value;
}

inline void copy(float *to, const float *from, int64_t count) {
    int64_t done = 0;
    for (; done + lanes <= count; done += lanes) store(to + done, load(from + done));
    for (; done < count; ++done) to[done] = from[done];
}

}  // namespace wavenet::WAVENET_VARIANT
