// exp by one polynomial for all of the network, and the gate made of it.

#pragma once

#include "fixed.h"

namespace wavenet::WAVENET_VARIANT {

// e^x for |x| <= 80, to 1.5 units in the last place: 2^n · e^r with |r| <= ln 2 / 2.
inline Vector exponential(Vector x) {
    constexpr float shift = 0x1.8p23f;  // adding it rounds to an integer, which the lowest bits then hold
    const Vector shifted = multiply_add(x, all(0x1.715476p0f), all(shift));
    const Vector n = shifted - all(shift);
    Vector r = multiply_add(n, all(-0x1.62e4p-1f), x);  // ln 2 in two parts, n · the first is exact
    r = multiply_add(n, all(-0x1.7f7d1cp-20f), r);
    Vector y = all(0x1.6d2c16p-10f);  // 1/6!, 1/5!, …
    y = multiply_add(y, r, all(0x1.111112p-7f));
    y = multiply_add(y, r, all(0x1.555556p-5f));
    y = multiply_add(y, r, all(0x1.555556p-3f));
    y = multiply_add(y, r, all(0.5f));
    y = multiply_add(y, r, all(1.0f));
    y = multiply_add(y, r, all(1.0f));
    return (Vector)((Integers)y + ((Integers)shifted << 23));
}

// tanh(f)·sigmoid(g) of −2f and −g: with a = e^(−2f) and b = e^(−g) it is (1 − a) / ((1 + a)(1 + b)), one division.
// Beyond the clamps tanh is 1 in float32, and the sigmoid below 2^-72.
inline void gate(const float *activations, int64_t width, float *gated) {
    for (int64_t at = 0; at < width; at += lanes) {
        const Vector a = exponential(clamp(load(activations + at), -30, 30));
        const Vector b = exponential(clamp(load(activations + width + at), -50, 50));
        store_gated(gated + words(at), (all(1.0f) - a) / ((all(1.0f) + a) * (all(1.0f) + b)));
    }
}

inline void rectify(const float *row, int64_t width, float *rectified) {
    for (int64_t at = 0; at < width; at += lanes) {
        const Vector value = load(row + at);
        store(rectified + at, value > Vector{} ? value : Vector{});
    }
}

}  // namespace wavenet::WAVENET_VARIANT
