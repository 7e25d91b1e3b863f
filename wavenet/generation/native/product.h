// outputs = start + inputs · weights for B streams at once, in registers.
//
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

struct Task {
    const float *weights;  // packed; of the first panel and input to be worked on
    int64_t panel_size;    // floats from one panel to the next
    int num_inputs;
    Rows inputs;
    Rows start;
    Rows outputs;

    Task after_panels(int64_t count) const {
        return {weights + count * panel_size, panel_size, num_inputs, inputs,
                start.from(count * panel_width), outputs.from(count * panel_width)};
    }
    Task after_streams(int64_t count) const {
        return {weights, panel_size, num_inputs, inputs.after(count), start.after(count), outputs.after(count)};
    }
};

// So far ahead of the multiply-adds weights are asked for. One stream reads them so fast that asking only takes time.
constexpr int64_t fetched_floats = 32 * panel_width;

template <int P, int S>
inline void tile(const Task &task) {
    constexpr int N = P * vectors_per_panel;
    Vector sums[S][N];
    WAVENET_UNROLLED for (int s = 0; s < S; ++s)
        WAVENET_UNROLLED for (int n = 0; n < N; ++n) sums[s][n] = load(task.start[s] + n * lanes);
    const float *weights = task.weights;
    for (int64_t k = 0; k < task.num_inputs; ++k, weights += panel_width) {
        if constexpr (S > 2)
            WAVENET_UNROLLED for (int p = 0; p < P; ++p) __builtin_prefetch(weights + p * task.panel_size + fetched_floats);
        Vector column[N];
        WAVENET_UNROLLED for (int n = 0; n < N; ++n)
            column[n] = load(weights + n / vectors_per_panel * task.panel_size + n % vectors_per_panel * lanes);
        WAVENET_UNROLLED for (int s = 0; s < S; ++s) {
            const Vector input = all(task.inputs[s][k]);
            WAVENET_UNROLLED for (int n = 0; n < N; ++n) sums[s][n] = multiply_add(column[n], input, sums[s][n]);
        }
    }
    WAVENET_UNROLLED for (int s = 0; s < S; ++s)
        WAVENET_UNROLLED for (int n = 0; n < N; ++n) store(task.outputs[s] + n * lanes, sums[s][n]);
}

// The widest tile for S streams that fits into the registers; 8 sums at a time suffice to keep the units busy.
template <int S>
constexpr int most_panels = num_accumulators / (vectors_per_panel * S) > 8   ? 8
                            : num_accumulators / (vectors_per_panel * S) > 1 ? num_accumulators / (vectors_per_panel * S)
                                                                             : 1;

constexpr int most_streams = num_accumulators / vectors_per_panel > 12 ? 12 : num_accumulators / vectors_per_panel;

template <int P, int S>
void tiles(Task task, int num_panels) {
    for (; num_panels >= P; num_panels -= P, task = task.after_panels(P)) tile<P, S>(task);
    if constexpr (P > 1) {
        if (num_panels) tiles<P - 1, S>(task, num_panels);
    }
}

template <int S>
void tiles_of_streams(const Task &task, int num_panels, int num_streams) {
    if constexpr (S > 1) {
        if (num_streams < S) return tiles_of_streams<S - 1>(task, num_panels, num_streams);
    }
    tiles<most_panels<S>, S>(task, num_panels);
}

// Inputs are taken in stretches, and with several groups of streams only so many panels at once that the second group
// finds them in the core's own cache: only the first group waits for the cache that all cores share.
constexpr int most_inputs = 1024;
constexpr int64_t cached_floats = 32 * 1024;

inline void product(const float *weights, int num_inputs, int num_panels, Rows inputs, Rows start, Rows outputs,
                    int num_streams) {
    const int num_groups = (num_streams + most_streams - 1) / most_streams;
    for (int first = 0; first < num_inputs; first += most_inputs) {
        const int count = num_inputs - first < most_inputs ? num_inputs - first : most_inputs;
        Task task{weights + int64_t{first} * panel_width, int64_t{num_inputs} * panel_width, count,
                  inputs.from(first), first ? outputs : start, outputs};
        const int64_t fitting = cached_floats / (int64_t{count} * panel_width);
        const int together = num_groups == 1 ? num_panels : static_cast<int>(fitting > 2 ? fitting : 2);
        for (int panel = 0; panel < num_panels; panel += together) {
            const int panels = num_panels - panel < together ? num_panels - panel : together;
            for (int group = 0, stream = 0; group < num_groups; ++group) {
                const int streams = (num_streams - stream + num_groups - group - 1) / (num_groups - group);
                tiles_of_streams<most_streams>(task.after_panels(panel).after_streams(stream), panels, streams);
                stream += streams;
            }
        }
    }
}

}  // namespace wavenet::WAVENET_VARIANT
