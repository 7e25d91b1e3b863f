// Fixed point: products of integers of 16 bits, whose sums are exact, twice as many at a time as of float32.
//
// The inputs of a product are rounded together: the largest decides the power of two that all share (block floating
// point), and none is beyond 2^13. Python rounds the weights so that no sum of `exact_words` words can leave 32 bits.

#pragma once

#include "vector.h"

namespace wavenet::WAVENET_VARIANT {

constexpr int64_t exact_words = 64;  // rounding.py knows it as 128 inputs

constexpr float gated_unit = word_values == 1 ? 1.0f : 0x1p-13f;  // of what the gates give: it is never beyond 1

// Sums of products of both halves of every word.
inline Integers multiply_add(Integers a, Integers b, Integers sums) {
#if defined(WAVENET_EMULATED) || !defined(WAVENET_FIXED)
    for (int lane = 0; lane < lanes; ++lane)
        sums[lane] += static_cast<int16_t>(a[lane]) * static_cast<int16_t>(b[lane]) + (a[lane] >> 16) * (b[lane] >> 16);
    return sums;
#elif defined(__AVX512VNNI__)
    return (Integers)_mm512_dpwssd_epi32((__m512i)sums, (__m512i)a, (__m512i)b);
#else
    return sums + (Integers)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#endif
}

// The nearest integers, and of two the even one, side by side in half the space. They are below 2^15.
inline void store_rounded(float *to, Vector values) {
    const Integers shifted = (Integers)(values + all(0x1.8p23f));  // whose lowest bits hold them
#if defined(__AVX512F__) && !defined(WAVENET_EMULATED)
    const __m256i halves = _mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)shifted);  // g++ would take six instructions
#else
    typedef int16_t Halves __attribute__((vector_size(vector_bytes / 2)));
    const Halves halves = __builtin_convertvector(shifted, Halves);
#endif
    std::memcpy(to, &halves, sizeof halves);
}

inline int32_t largest(Integers values) {
#if defined(__AVX2__) && !defined(WAVENET_EMULATED)
    __m256i eight[vector_bytes / 32];  // g++'s header warns of its own instructions that take a half
    std::memcpy(eight, &values, sizeof eight);
    if constexpr (vector_bytes == 64) eight[0] = _mm256_max_epi32(eight[0], eight[vector_bytes / 64]);
    const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight[0]), _mm256_extracti128_si256(eight[0], 1));
    const __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
#else
    int32_t most = values[0];
    for (int lane = 1; lane < lanes; ++lane) most = values[lane] > most ? values[lane] : most;
    return most;
#endif
}

inline float of_bits(int32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// A row of `count` values becomes, in place, the words that a product takes; what 1 stands for in them is returned.
inline float as_words(float *row, int64_t count) {
    if constexpr (word_values == 1) return 1;
    for (int64_t at = count; at % lanes; ++at) row[at] = 0;
    Integers most{};
    for (int64_t at = 0; at < count; at += lanes) {
        const Integers magnitude = (Integers)load(row + at) & 0x7fffffff;
        most = magnitude > most ? magnitude : most;
    }
    constexpr int32_t one_exponent = 1 << 23, least = 20 * one_exponent;
    int32_t power = largest(most) & 0x7f800000;  // of two, at most the largest and more than half of it
    if (power < least) power = least;  // the factor of a smaller one would be infinite; a row of zeros has none
    const Vector factor = all(of_bits(2 * 127 * one_exponent - power + 12 * one_exponent));  // makes 2^12 of it
    for (int64_t at = 0; at < count; at += lanes) store_rounded(row + words(at), load(row + at) * factor);
    return of_bits(power - 12 * one_exponent);
}

// What the gates give, as inputs of products.
inline void store_gated(float *to, Vector values) {
    if constexpr (word_values == 1) store(to, values);
    else store_rounded(to, values * all(1 / gated_unit));
}

}  // namespace wavenet::WAVENET_VARIANT
