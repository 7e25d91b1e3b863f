// outputs = start + inputs · weights for B streams at once, in registers.
//
// Weights are float32, or integers of 16 bits: those are sums of weight / scale, begun and ended by a power of two.
// A tile is P panels (16 outputs each) × S streams. Each of its sums is one chain of multiply-adds over the inputs in
// ascending order, whatever P and S are: how streams are grouped decides the speed, never a bit of the result.

#pragma once

#include "vector.h"

namespace wavenet::WAVENET_VARIANT {

// Rows of B streams: the row of stream s begins at data + s · stride. A stride of 0 gives all streams the same row.
struct Rows {
    float *data;
    int64_t stride;

    float *operator[](int64_t stream) const { return data + stream * stride; }
    Rows from(int64_t column) const { return {data + column, stride}; }
    Rows after(int64_t streams) const { return {data + streams * stride, stride}; }
};

template <typename Weight>
struct Task {
    const Weight *weights;  // packed; of the first panel and input to be worked on
    const float *scales;    // of the first panel; null: none
    int64_t panel_size;     // weights from one panel to the next
    int num_inputs;
    Rows inputs;
    Rows start;
    Rows outputs;

    Task after_panels(int64_t count) const {
        return {weights + count * panel_size, scales + (scales ? count * 2 * panel_width : 0), panel_size, num_inputs,
                inputs, start.from(count * panel_width), outputs.from(count * panel_width)};
    }
    Task after_streams(int64_t count) const {
        return {weights, scales, panel_size, num_inputs,
                inputs.after(count), start.after(count), outputs.after(count)};
    }
};

// Vector n of a tile times its outputs' scales, which begin at those of the first panel; float32 weights have none.
template <typename Weight>
inline Vector scaled(Vector value, const float *scales, int n) {
    if constexpr (sizeof(Weight) == sizeof(float)) return value;
    else return value * load(scales + n / vectors_per_panel * 2 * panel_width + n % vectors_per_panel * lanes);
}

// So far ahead of the multiply-adds weights are asked for. One stream reads them so fast that asking only takes time.
constexpr int64_t fetched_inputs = 32;

template <int P, int S, typename Weight>
inline void tile(const Task<Weight> &task) {
    constexpr int N = P * vectors_per_panel;
    Vector sums[S][N];
    WAVENET_UNROLLED for (int s = 0; s < S; ++s)
        WAVENET_UNROLLED for (int n = 0; n < N; ++n)
            sums[s][n] = scaled<Weight>(load(task.start[s] + n * lanes), task.scales, n);
    const Weight *weights = task.weights;
    const int64_t panel_size = task.panel_size;
    const Rows inputs = task.inputs;
    for (int64_t k = 0, end = task.num_inputs; k < end; ++k, weights += panel_width) {
        if constexpr (S > 2)
            WAVENET_UNROLLED for (int p = 0; p < P; ++p)
                __builtin_prefetch(weights + p * panel_size + fetched_inputs * panel_width);
        WAVENET_UNROLLED for (int first = 0; first < N; first += num_columns) {
            Vector column[num_columns];
            WAVENET_UNROLLED for (int n = 0; n < num_columns; ++n) {
                const int at = first + n;
                if (at < N)
                    column[n] = load(weights + at / vectors_per_panel * panel_size + at % vectors_per_panel * lanes);
            }
            WAVENET_UNROLLED for (int s = 0; s < S; ++s) {
                const Vector input = all(inputs[s][k]);
                WAVENET_UNROLLED for (int n = 0; n < num_columns; ++n)
                    if (first + n < N) sums[s][first + n] = multiply_add(column[n], input, sums[s][first + n]);
            }
            // Inputs are read again for the next columns: kept in registers, they would drive sums out of them.
            if constexpr (N > num_columns) asm volatile("" ::: "memory");
        }
    }
    WAVENET_UNROLLED for (int s = 0; s < S; ++s)
        WAVENET_UNROLLED for (int n = 0; n < N; ++n)
            store(task.outputs[s] + n * lanes, scaled<Weight>(sums[s][n], task.scales + panel_width, n));
}

// The widest tile for S streams that fits into the registers; 8 sums at a time suffice to keep the units busy.
template <int S>
constexpr int most_panels = num_accumulators / (vectors_per_panel * S) > 8   ? 8
                            : num_accumulators / (vectors_per_panel * S) > 1 ? num_accumulators / (vectors_per_panel * S)
                                                                             : 1;

constexpr int most_streams = num_accumulators / vectors_per_panel > 12 ? 12 : num_accumulators / vectors_per_panel;

template <int P, int S, typename Weight>
void tiles(Task<Weight> task, int num_panels) {
    for (; num_panels >= P; num_panels -= P, task = task.after_panels(P)) tile<P, S, Weight>(task);
    if constexpr (P > 1) {
        if (num_panels) tiles<P - 1, S, Weight>(task, num_panels);
    }
}

template <int S, typename Weight>
void tiles_of_streams(const Task<Weight> &task, int num_panels, int num_streams) {
    if constexpr (S > 1) {
        if (num_streams < S) return tiles_of_streams<S - 1, Weight>(task, num_panels, num_streams);
    }
    tiles<most_panels<S>, S, Weight>(task, num_panels);
}

// Inputs are taken in stretches, and with several groups of streams only so many panels at once that the second group
// finds them in the core's own cache: only the first group waits for the cache that all cores share.
constexpr int most_inputs = 1024;
constexpr int64_t cached_bytes = 128 * 1024;

template <typename Weight>
void product(const Weight *weights, const float *scales, int num_inputs, int num_panels, Rows inputs, Rows start,
             Rows outputs, int num_streams) {
    const int num_groups = (num_streams + most_streams - 1) / most_streams;
    for (int first = 0; first < num_inputs; first += most_inputs) {
        const int count = num_inputs - first < most_inputs ? num_inputs - first : most_inputs;
        Task<Weight> task{weights + int64_t{first} * panel_width, scales, int64_t{num_inputs} * panel_width, count,
                          inputs.from(first), first ? outputs : start, outputs};
        const int64_t fitting = cached_bytes / (int64_t{count} * panel_width * int64_t{sizeof(Weight)});
        const int together = num_groups == 1 ? num_panels : static_cast<int>(fitting > 2 ? fitting : 2);
        for (int panel = 0; panel < num_panels; panel += together) {
            const int panels = num_panels - panel < together ? num_panels - panel : together;
            for (int group = 0, stream = 0; group < num_groups; ++group) {
                const int streams = (num_streams - stream + num_groups - group - 1) / (num_groups - group);
                tiles_of_streams<most_streams, Weight>(task.after_panels(panel).after_streams(stream), panels, streams);
                stream += streams;
            }
        }
    }
}

// The same with the weights of one layer; a product that is there only once has number 0.
inline void product(const Weights &weights, int layer, int num_inputs, int num_panels, Rows inputs, Rows start,
                    Rows outputs, int num_streams) {
    const int64_t offset = int64_t{layer} * num_panels * num_inputs * panel_width;
    if (weights.scales)
        product(static_cast<const int16_t *>(weights.packed) + offset,
                weights.scales + int64_t{layer} * num_panels * 2 * panel_width, num_inputs, num_panels, inputs, start,
                outputs, num_streams);
    else
        product<float>(static_cast<const float *>(weights.packed) + offset, nullptr, num_inputs, num_panels, inputs,
                       start, outputs, num_streams);
}

}  // namespace wavenet::WAVENET_VARIANT
