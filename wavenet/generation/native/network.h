// What Python and the kernel agree on: plain structures, laid out as C does. `library.py` mirrors every field.
//
// Letters: B streams, K taps, L layers, R residual, D dilation, S skip channels, Q levels. A "p" behind a letter means
// padded to a whole number of panels of 16: Rp, Dp, Sp, Qp. A packed product of n inputs is an array (panels, n, 16):
// the weights of 16 outputs for one input are one cache line, and one panel is read from start to end. In fixed point two
// inputs are one word of 32 bits and share a line; "words" of a row of n values: n, or (n + 1) / 2 in fixed point.

#pragma once

#include <cstdint>

namespace wavenet {

constexpr int panel_width = 16;

// A packed product, or one of each layer: float32; or, with scales, integers of 16 bits, one by one or in pairs for
// variants in fixed point: a weight is integer · scale, a power of two for each output, so that scaling never rounds. Of
// a panel of 16 outputs there are 16 times 1 / scale, then 16 times the scale.
struct Weights {
    const void *packed;
    const float *scales;           // null: no integers
};

struct Model {
    int32_t num_levels;
    int32_t kernel_size;
    int32_t num_layers;
    int32_t residual_channels;
    int32_t dilation_channels;
    int32_t skip_channels;
    const int32_t *dilations;      // (L)
    const float *input_tables;     // (K, Q, Rp) oldest tap first
    Weights filter_gate;           // (L) packed products K·R → 2·Dp, oldest tap first; gives −2·filter, then −gate
    Weights residual;              // (L) packed products D → Rp
    const float *residual_bias;    // (L, Rp)
    Weights skip;                  // packed product L·D → Sp: all layers at once
    const float *skip_bias;        // (Sp)
    Weights hidden;                // packed product S → Sp
    const float *hidden_bias;      // (Sp)
    Weights output;                // packed product S → Qp
    const float *output_bias;      // (Qp)
};

struct Stream {
    float *rings;                  // for each layer (K − 1)·dilation rows of R: its past inputs
    const float *bias;             // (L, 2·Dp): −2·filter, −gate; the stream's condition is in it
    int64_t num_taken;             // levels that the network has taken: where in its rings each layer stands
    int64_t num_drawn;             // levels drawn
    uint8_t recent[4];             // the last K levels, newest first; the newest has not been taken yet
    const uint8_t *forced;         // levels to take, for `force`
    const float *uniforms;         // numbers in [0, 1) to draw the next levels with, for `generate`
    uint8_t *levels;               // where drawn levels go, the first of all in front
    float *logits;                 // where logits (samples, Q) go; null: nowhere
};

struct Sampling {
    double temperature;
    double top_p;
    int32_t top_k;
};

// Threads that compute the head's products together, each its panels of 16 outputs. The others call `help` and wait for
// each product that the one which draws has posted; nothing else is shared.
struct Team {
    int32_t size;                  // with the one that draws
    int32_t num_posted;            // products so far; -1: no more will come
    int32_t num_helped;            // products so far, by each of the others
    const void *posted;            // the newest
};

// One instruction set's functions. They allocate nothing, fail never and touch only what they are given.
struct Variant {
    const char *name;
    int32_t word_values;           // values in a word of a product's inputs: 1, or 2 in fixed point
    bool (*runs_here)();
    void (*silence)(const Model &, Stream *const *, int num_streams, void *workspace);
    void (*force)(const Model &, Stream *const *, int num_streams, int num_samples, void *workspace);
    void (*generate)(const Model &, Stream *const *, int num_streams, int num_samples, const Sampling &, Team &,
                     void *workspace);
    void (*help)(Team &, int number);
    double (*peak)(int64_t rounds);
};

constexpr int64_t padded(int64_t count) {
    return (count + panel_width - 1) / panel_width * panel_width;
}

}  // namespace wavenet
