// outputs = start + inputs · weights for B streams at once, in registers.
//
// Weights are float32; or integers of 16 bits: those are sums of weight / scale, begun and ended by a power of two; or, in
// fixed point, pairs of integers, as the inputs are.
// A tile is P panels (16 outputs each) × S streams. Each of its sums is one chain of multiply-adds over the inputs in
// ascending order (in fixed point, over exact sums of as many as can be), whatever P and S are: how streams are grouped
// decides the speed, never a bit of the result.

#pragma once

#include <type_traits>

#include "fixed.h"

namespace wavenet::WAVENET_VARIANT {

// Rows of B streams: the row of stream s begins at data + s · stride. A stride of 0 gives all streams the same row.
struct Rows {
    float *data;
    int64_t stride;

    float *operator[](int64_t stream) const { return data + stream * stride; }
    Rows from(int64_t column) const { return {data + column, stride}; }
    Rows after(int64_t streams) const { return {data + streams * stride, stride}; }
};

// Inputs of a product: rows of words, and what 1 stands for in the row of each stream.
struct Inputs {
    Rows rows;
    const float *units;

    Inputs from(int64_t word) const { return {rows.from(word), units}; }
    Inputs after(int64_t streams) const { return {rows.after(streams), units + streams}; }
};

// What a group of streams does with some of a product's panels.
template <typename Weight>
struct Task {
    const Weight *weights;  // packed; of the first panel and input to be worked on
    const float *scales;    // of the first panel; null: none
    int64_t panel_size;     // weights from one panel to the next
    int64_t num_inputs;
    int64_t num_panels;
    Inputs inputs;
    Rows start;
    Rows outputs;
};

template <typename Weight>
constexpr bool is_fixed = std::is_same_v<Weight, Pair>;

template <typename Weight>
using Sums = std::conditional_t<is_fixed<Weight>, Integers, Vector>;

// Vector n of a tile's scales, which begin at those of its first panel, or at their inverses.
inline Vector scale_of(const float *scales, int n) {
    return load(scales + n / vectors_per_panel * 2 * panel_width + n % vectors_per_panel * lanes);
}

template <typename Weight>
inline Sums<Weight> begun(const float *start, const float *scales, int n) {
    if constexpr (is_fixed<Weight>) return Integers{};
    else if constexpr (std::is_same_v<Weight, int16_t>) return load(start) * scale_of(scales, n);
    else return load(start);
}

template <typename Weight>
inline Vector ended(Sums<Weight> sums, const float *start, const float *scales, int n, const float *unit) {
    const float *const real = scales + panel_width;
    if constexpr (is_fixed<Weight>)
        return multiply_add(__builtin_convertvector(sums, Vector), scale_of(real, n) * all(*unit), load(start));
    else if constexpr (std::is_same_v<Weight, int16_t>) return sums * scale_of(real, n);
    else return sums;
}

// So far ahead of the multiply-adds weights are asked for. One stream reads them so fast that asking only takes time.
constexpr int64_t fetched_inputs = 32;

// outputs = start + the inputs from `first` to `end` times their weights, all of the panels at once.
template <int P, int S, typename Weight>
[[gnu::always_inline]] inline void part(const Task<Weight> &task, int64_t panel, int64_t first, int64_t end, Rows start,
                                        Rows outputs) {
    constexpr int N = P * vectors_per_panel;
    const int64_t panel_size = task.panel_size;
    const float *const scales = task.scales + panel * 2 * panel_width;
    const Inputs inputs = task.inputs;
    Sums<Weight> sums[S][N];
    WAVENET_UNROLLED for (int s = 0; s < S; ++s)
        WAVENET_UNROLLED for (int n = 0; n < N; ++n) sums[s][n] = begun<Weight>(start[s] + n * lanes, scales, n);
    const Weight *weights = task.weights + panel * panel_size + first * panel_width;
    for (int64_t k = first; k < end; ++k, weights += panel_width) {
        if constexpr (S > 2)
            WAVENET_UNROLLED for (int p = 0; p < P; ++p)
                __builtin_prefetch(weights + p * panel_size + fetched_inputs * panel_width);
        WAVENET_UNROLLED for (int from = 0; from < N; from += num_columns) {
            Sums<Weight> column[num_columns];
            WAVENET_UNROLLED for (int n = 0; n < num_columns; ++n) {
                const int at = from + n;
                if (at < N)
                    column[n] = load(weights + at / vectors_per_panel * panel_size + at % vectors_per_panel * lanes);
            }
            WAVENET_UNROLLED for (int s = 0; s < S; ++s) {
                const auto input = all_words<Sums<Weight>>(inputs.rows[s] + k);
                WAVENET_UNROLLED for (int n = 0; n < num_columns; ++n)
                    if (from + n < N) sums[s][from + n] = multiply_add(column[n], input, sums[s][from + n]);
            }
            // Inputs are read again for the next columns: kept in registers, they would drive sums out of them.
            if constexpr (N > num_columns) asm volatile("" ::: "memory");
        }
    }
    WAVENET_UNROLLED for (int s = 0; s < S; ++s)
        WAVENET_UNROLLED for (int n = 0; n < N; ++n)
            store(outputs[s] + n * lanes, ended<Weight>(sums[s][n], start[s] + n * lanes, scales, n, inputs.units + s));
}

template <int P, int S, typename Weight>
[[gnu::always_inline]] inline void tile(const Task<Weight> &task, int64_t panel) {
    const Rows start = task.start.from(panel * panel_width), outputs = task.outputs.from(panel * panel_width);
    if constexpr (is_fixed<Weight>)
        for (int64_t first = 0; first < task.num_inputs; first += exact_words) {
            const int64_t end = first + exact_words < task.num_inputs ? first + exact_words : task.num_inputs;
            part<P, S>(task, panel, first, end, first ? outputs : start, outputs);
        }
    else part<P, S>(task, panel, 0, task.num_inputs, start, outputs);
}

// The widest tile for S streams that fits into the registers; 8 sums at a time suffice to keep the units busy.
template <int S>
constexpr int most_panels = num_accumulators / (vectors_per_panel * S) > 8   ? 8
                            : num_accumulators / (vectors_per_panel * S) > 1 ? num_accumulators / (vectors_per_panel * S)
                                                                             : 1;

constexpr int most_streams = num_accumulators / vectors_per_panel > 12 ? 12 : num_accumulators / vectors_per_panel;

template <int P, int S, typename Weight>
[[gnu::always_inline]] inline void last_tile(const Task<Weight> &task, int64_t panel) {
    if constexpr (P > 0) {
        if (task.num_panels - panel == P) tile<P, S>(task, panel);
        else last_tile<P - 1, S>(task, panel);
    }
}

template <int S, typename Weight>
[[gnu::noinline]] void tiles(const Task<Weight> &task) {
    constexpr int P = most_panels<S>;
    int64_t panel = 0;
    for (; panel + P <= task.num_panels; panel += P) tile<P, S>(task, panel);
    last_tile<P - 1, S>(task, panel);
}

template <int S, typename Weight>
[[gnu::always_inline]] inline void tiles_of(const Task<Weight> &task, int num_streams) {
    if (num_streams == S) tiles<S>(task);
    else if constexpr (S > 1) tiles_of<S - 1>(task, num_streams);
}

// Inputs are taken in stretches whose rows, which every panel reads anew, stay in the fastest cache; and with several
// groups of streams only so many panels at once that the second group finds them in the core's own cache: only the first
// group waits for the cache that all cores share.
constexpr int64_t input_bytes = 16 * 1024;
constexpr int64_t cached_bytes = 128 * 1024;

inline int stretch_of(int num_streams) {
    return static_cast<int>((input_bytes / (int64_t{sizeof(float)} * exact_words * num_streams) + 1) * exact_words);
}

template <typename Weight>
void product(const Weight *weights, const float *scales, int num_inputs, int num_panels, Inputs inputs, Rows start,
             Rows outputs, int num_streams) {
    const int64_t panel_size = int64_t{num_inputs} * panel_width;
    const int stretch = stretch_of(num_streams);
    if (num_inputs <= stretch && num_streams <= most_streams)
        return tiles_of<most_streams>(
            Task<Weight>{weights, scales, panel_size, num_inputs, num_panels, inputs, start, outputs}, num_streams);
    const int num_groups = (num_streams + most_streams - 1) / most_streams;
    for (int first = 0; first < num_inputs; first += stretch) {
        const int count = num_inputs - first < stretch ? num_inputs - first : stretch;
        const int64_t fitting = cached_bytes / (int64_t{count} * panel_width * int64_t{sizeof(Weight)});
        const int together = num_groups == 1 ? num_panels : static_cast<int>(fitting > 2 ? fitting : 2);
        for (int panel = 0; panel < num_panels; panel += together) {
            const int panels = num_panels - panel < together ? num_panels - panel : together;
            const int64_t column = int64_t{panel} * panel_width;
            for (int group = 0, stream = 0; group < num_groups; ++group) {
                const int streams = (num_streams - stream + num_groups - group - 1) / (num_groups - group);
                const Rows begun = (first ? outputs : start).from(column).after(stream);
                tiles_of<most_streams>(Task<Weight>{weights + int64_t{first} * panel_width + panel * panel_size,
                                                    scales ? scales + 2 * column : nullptr, panel_size, count, panels,
                                                    inputs.from(first).after(stream), begun,
                                                    outputs.from(column).after(stream)},
                                       streams);
                stream += streams;
            }
        }
    }
}

// The same with some of the panels of all layers; `start` and `outputs` begin with the first of them.
inline void product(const Weights &weights, int64_t first_panel, int num_inputs, int num_panels, Inputs inputs,
                    Rows start, Rows outputs, int num_streams) {
    const int64_t offset = first_panel * num_inputs * panel_width;
    const float *const scales = weights.scales ? weights.scales + first_panel * 2 * panel_width : nullptr;
    const auto by = [&](const auto *packed) {
        product(packed + offset, scales, num_inputs, num_panels, inputs, start, outputs, num_streams);
    };
    if constexpr (word_values == 2) by(static_cast<const Pair *>(weights.packed));
    else if (weights.scales) by(static_cast<const int16_t *>(weights.packed));
    else by(static_cast<const float *>(weights.packed));
}

}  // namespace wavenet::WAVENET_VARIANT
