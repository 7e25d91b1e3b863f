// From logits to a level, in double: temperature, the k likeliest, the nucleus, and the draw itself.
//
// Double, because two programs that round differently agree on nearly every draw in float32, but on all in double.

#pragma once

#include <cmath>

#include "vector.h"

namespace wavenet::WAVENET_VARIANT {

// e^x for x <= 0; 0 below −700.
inline Doubles exponential(Doubles x) {
    const Doubles least = all(-700.0);
    const Doubles bounded = x < least ? least : x;
    constexpr double shift = 0x1.8p52;
    const Doubles shifted = multiply_add(bounded, all(0x1.71547652b82fep0), all(shift));
    const Doubles n = shifted - all(shift);
    Doubles r = multiply_add(n, all(-0x1.62e42feep-1), bounded);  // ln 2 in two parts, n · the first is exact
    r = multiply_add(n, all(-0x1.a39ef35793c76p-33), r);
    Doubles y = all(1.0 / 6227020800.0);  // 1/13!
    constexpr double factors[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
                                  1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0};
    WAVENET_UNROLLED for (double factor : factors) y = multiply_add(y, r, all(factor));
    const Doubles power = (Doubles)((Longs)y + ((Longs)shifted << 52));
    return x < least ? Doubles{} : power;
}

constexpr int most_levels = 256;
constexpr int block_levels = panel_width;

struct Distribution {
    alignas(64) double weights[most_levels];  // probabilities, not divided by their sum
    alignas(64) uint32_t ranks[most_levels];  // of logits: as integers in the same order
    int num_levels;

    double weight_above(uint32_t rank) const {
        double sum = 0;
        for (int level = 0; level < num_levels; ++level) sum += ranks[level] > rank ? weights[level] : 0;
        return sum;
    }
    int number_above(uint32_t rank) const {
        int number = 0;
        for (int level = 0; level < num_levels; ++level) number += ranks[level] > rank;
        return number;
    }
    void keep_from(uint32_t rank) {
        for (int level = 0; level < num_levels; ++level)
            if (ranks[level] < rank) weights[level] = 0;
    }
};

// The lowest rank for which `is_kept` holds; it holds for all above that.
template <typename Rule>
uint32_t lowest_rank(Rule is_kept) {
    uint32_t low = 0, high = UINT32_MAX;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (is_kept(middle)) high = middle;
        else low = middle + 1;
    }
    return low;
}

// Beyond the last level weights are 0, up to the end of its block.
inline void weigh(Distribution &found, const float *logits, double temperature) {
    const double factor = 1 / temperature;
    float largest = logits[0];
    for (int level = 1; level < found.num_levels; ++level) largest = logits[level] > largest ? logits[level] : largest;
    const double most = static_cast<double>(largest) * factor;
    const int end = static_cast<int>(padded(found.num_levels));
    for (int level = 0; level < found.num_levels; ++level) found.weights[level] = static_cast<double>(logits[level]) * factor;
    for (int level = found.num_levels; level < end; ++level) found.weights[level] = -HUGE_VAL;
    for (int level = 0; level < end; level += double_lanes)
        store(found.weights + level, exponential(load(found.weights + level) - all(most)));
}

inline void rank(Distribution &found, const float *logits) {
    for (int level = 0; level < found.num_levels; ++level) {
        const float logit = logits[level] + 0.0f;  // −0 and 0 are one value
        uint32_t bits;
        std::memcpy(&bits, &logit, sizeof bits);
        found.ranks[level] = bits >> 31 ? ~bits : bits | 0x80000000u;
    }
}

inline void keep_likeliest(Distribution &found, const float *logits, const Sampling &sampling) {
    const bool is_k = 0 < sampling.top_k && sampling.top_k < found.num_levels;
    const bool is_p = sampling.top_p < 1;
    if (is_k || is_p) rank(found, logits);
    if (is_k) found.keep_from(lowest_rank([&](uint32_t rank) { return found.number_above(rank) < sampling.top_k; }));
    if (is_p) {
        const double wanted = sampling.top_p * found.weight_above(0);
        found.keep_from(lowest_rank([&](uint32_t rank) { return found.weight_above(rank) < wanted; }));
    }
}

// The first level up to which more than uniform × total lies: by blocks, then within one.
inline int invert(const Distribution &found, float uniform) {
    double up_to[most_levels / block_levels];
    double sum = 0;
    const int num_blocks = static_cast<int>(padded(found.num_levels) / block_levels);
    for (int block = 0; block < num_blocks; ++block) {
        Doubles parts{};
        for (int level = 0; level < block_levels; level += double_lanes)
            parts += load(found.weights + block * block_levels + level);
        for (int lane = 0; lane < double_lanes; ++lane) sum += parts[lane];
        up_to[block] = sum;
    }
    const double threshold = static_cast<double>(uniform) * sum;
    int block = 0;
    while (block < num_blocks - 1 && up_to[block] <= threshold) ++block;
    double below = block ? up_to[block - 1] : 0;
    int drawn = block * block_levels;
    for (int level = drawn; level < found.num_levels && level < (block + 1) * block_levels; ++level) {
        if (found.weights[level] > 0) drawn = level;  // by rounding, a block's levels may end just below its sum
        if ((below += found.weights[level]) > threshold) break;
    }
    return drawn;
}

inline uint8_t draw(const float *logits, int num_levels, const Sampling &sampling, float uniform) {
    Distribution found;
    found.num_levels = num_levels;
    weigh(found, logits, sampling.temperature);
    keep_likeliest(found, logits, sampling);
    return static_cast<uint8_t>(invert(found, uniform));
}

}  // namespace wavenet::WAVENET_VARIANT
