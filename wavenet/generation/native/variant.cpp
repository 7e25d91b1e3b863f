// The network sample by sample, for one instruction set. Compiled once for each, with WAVENET_VARIANT its name; nothing
// here may be shared between the copies (no standard containers or algorithms): the linker would keep one for all.

#include "activation.h"
#include "draw.h"
#include "product.h"

namespace wavenet::WAVENET_VARIANT {
namespace {

int ring_rows(const Model &model, int layer) {
    return (model.kernel_size - 1) * model.dilations[layer];
}

// Where the numbers of one sample stand between the products; everything beyond it lies in the streams.
struct Workspace {
    Rows taps;         // K·R: a layer's inputs, oldest tap first
    Rows current;      // the newest of them
    Rows activations;  // 2·Dp: −2·filter and −gate
    Rows gated;        // L·D: of all layers
    Rows skip;         // Sp
    Rows hidden;       // Sp
    Rows logits;       // Qp
    float *biases;     // (L, B, 2·Dp): the streams' own, side by side: they are read with every sample
    int32_t *oldest;   // (B, L): the ring row of the oldest tap, which the newest input replaces

    Workspace(const Model &model, Stream *const *streams, int num_streams, void *memory) {
        float *next = static_cast<float *>(memory);
        const auto rows = [&](int64_t width) {
            const Rows made{next, padded(width + panel_width)};  // the last vector of a row may reach beyond it
            next += num_streams * made.stride;
            return made;
        };
        taps = rows(int64_t{model.kernel_size} * model.residual_channels);
        current = taps.from(int64_t{model.kernel_size - 1} * model.residual_channels);
        activations = rows(2 * padded(model.dilation_channels));
        gated = rows(int64_t{model.num_layers} * model.dilation_channels);
        skip = rows(model.skip_channels);
        hidden = rows(model.skip_channels);
        logits = rows(model.num_levels);
        biases = next;
        const int bias_width = 2 * static_cast<int>(padded(model.dilation_channels));
        for (int layer = 0; layer < model.num_layers; ++layer)
            for (int s = 0; s < num_streams; ++s, next += bias_width)
                copy(next, streams[s]->bias + int64_t{layer} * bias_width, bias_width);
        oldest = reinterpret_cast<int32_t *>(next);
        for (int s = 0; s < num_streams; ++s)
            for (int layer = 0; layer < model.num_layers; ++layer)
                *oldest_of(model, s, layer) = static_cast<int32_t>(streams[s]->num_taken % ring_rows(model, layer));
    }

    int32_t *oldest_of(const Model &model, int stream, int layer) const {
        return oldest + int64_t{stream} * model.num_layers + layer;
    }
};

// The convolution over one-hot levels is a sum of table rows.
void first_layer(const Model &model, const Stream &stream, float *current) {
    const int64_t width = padded(model.residual_channels);
    for (int tap = 0; tap < model.kernel_size; ++tap) {
        const int64_t level = stream.recent[model.kernel_size - 1 - tap];
        const float *row = model.input_tables + (int64_t{tap} * model.num_levels + level) * width;
        for (int64_t at = 0; at < width; at += lanes)
            store(current + at, tap ? load(current + at) + load(row + at) : load(row + at));
    }
}

// Past inputs from the ring into `taps`, and the newest into the ring; `ring` is the layer's.
void turn_ring(const Model &model, int layer, float *ring, int32_t &oldest, float *taps) {
    const int width = model.residual_channels, num_rows = ring_rows(model, layer);
    int row = oldest;
    for (int tap = 0; tap < model.kernel_size - 1; ++tap) {
        copy(taps + tap * width, ring + int64_t{row} * width, width);
        row += model.dilations[layer];
        if (row >= num_rows) row -= num_rows;
    }
    copy(ring + int64_t{oldest} * width, taps + (model.kernel_size - 1) * width, width);
    oldest = oldest + 1 == num_rows ? 0 : oldest + 1;
}

// The rows of a layer's past inputs lie far from all else; the products of one layer are time enough to fetch the next
// one's. Inlined by force: a call of a function that only fetches ahead is one that g++ takes for useless and leaves out.
[[gnu::always_inline]] inline void fetch_ring(const Model &model, int layer, const float *ring, int32_t oldest) {
    const int width = model.residual_channels, num_rows = ring_rows(model, layer);
    int row = oldest;
    for (int tap = 0; tap < model.kernel_size - 1; ++tap) {
        for (int at = 0; at < width; at += line_floats) __builtin_prefetch(ring + int64_t{row} * width + at);
        row += model.dilations[layer];
        if (row >= num_rows) row -= num_rows;
    }
}

// As if the newest input had been there for ever.
void fill_ring(const Model &model, int layer, float *ring, float *taps) {
    const int width = model.residual_channels, num_rows = ring_rows(model, layer);
    const float *newest = taps + (model.kernel_size - 1) * width;
    for (int row = 0; row < num_rows; ++row) copy(ring + int64_t{row} * width, newest, width);
    for (int tap = 0; tap < model.kernel_size - 1; ++tap) copy(taps + tap * width, newest, width);
}

// Take the newest level of every stream: its way through all layers, up to what they give to the head.
template <bool is_filling>
void take(const Model &model, Stream *const *streams, int num_streams, const Workspace &work) {
    const int residual = model.residual_channels, dilation = model.dilation_channels;
    const int64_t filter_width = padded(dilation), residual_width = padded(residual);
    for (int s = 0; s < num_streams; ++s) first_layer(model, *streams[s], work.current[s]);
    int64_t ring = 0;
    for (int layer = 0; layer < model.num_layers; ++layer) {
        const int64_t panels = 2 * filter_width / panel_width;
        for (int s = 0; s < num_streams; ++s) {
            float *rows = streams[s]->rings + ring;
            if constexpr (is_filling) fill_ring(model, layer, rows, work.taps[s]);
            else turn_ring(model, layer, rows, *work.oldest_of(model, s, layer), work.taps[s]);
        }
        ring += int64_t{ring_rows(model, layer)} * residual;
        if (!is_filling && layer + 1 < model.num_layers)
            for (int s = 0; s < num_streams; ++s)
                fetch_ring(model, layer + 1, streams[s]->rings + ring, *work.oldest_of(model, s, layer + 1));
        const int num_inputs = model.kernel_size * residual;
        const Rows biases{work.biases + int64_t{layer} * num_streams * 2 * filter_width, 2 * filter_width};
        product(model.filter_gate, layer, num_inputs, static_cast<int>(panels), work.taps, biases, work.activations,
                num_streams);
        const float *bias = model.residual_bias + layer * residual_width;
        for (int s = 0; s < num_streams; ++s) {
            gate(work.activations[s], filter_width, work.gated[s] + layer * dilation);
            for (int64_t at = 0; at < residual_width; at += lanes)
                store(work.current[s] + at, load(work.current[s] + at) + load(bias + at));
        }
        if (layer + 1 < model.num_layers)
            product(model.residual, layer, dilation, static_cast<int>(residual_width / panel_width),
                    work.gated.from(layer * dilation), work.current, work.current, num_streams);
    }
    for (int s = 0; s < num_streams; ++s) streams[s]->num_taken += is_filling ? 0 : 1;
}

void head(const Model &model, int num_streams, const Workspace &work) {
    const int skip = model.skip_channels;
    const int skip_panels = static_cast<int>(padded(skip) / panel_width);
    const int output_panels = static_cast<int>(padded(model.num_levels) / panel_width);
    const auto shared = [](const float *row) { return Rows{const_cast<float *>(row), 0}; };
    product(model.skip, 0, model.num_layers * model.dilation_channels, skip_panels, work.gated,
            shared(model.skip_bias), work.skip, num_streams);
    for (int s = 0; s < num_streams; ++s) rectify(work.skip[s], padded(skip));
    product(model.hidden, 0, skip, skip_panels, work.skip, shared(model.hidden_bias), work.hidden, num_streams);
    for (int s = 0; s < num_streams; ++s) rectify(work.hidden[s], padded(skip));
    product(model.output, 0, skip, output_panels, work.hidden, shared(model.output_bias), work.logits, num_streams);
}

void follow_with(Stream &stream, uint8_t level) {
    for (int age = 3; age > 0; --age) stream.recent[age] = stream.recent[age - 1];
    stream.recent[0] = level;
}

void keep_logits(const Model &model, Stream *const *streams, int num_streams, int64_t sample, const Workspace &work) {
    for (int s = 0; s < num_streams; ++s)
        if (streams[s]->logits) copy(streams[s]->logits + sample * model.num_levels, work.logits[s], model.num_levels);
}

void silence(const Model &model, Stream *const *streams, int num_streams, void *memory) {
    take<true>(model, streams, num_streams, Workspace(model, streams, num_streams, memory));
}

void force(const Model &model, Stream *const *streams, int num_streams, int num_samples, void *memory) {
    const Workspace work(model, streams, num_streams, memory);
    bool is_asked = false;
    for (int s = 0; s < num_streams; ++s) is_asked = is_asked || streams[s]->logits;
    for (int sample = 0; sample < num_samples; ++sample) {
        take<false>(model, streams, num_streams, work);
        if (is_asked) {
            head(model, num_streams, work);
            keep_logits(model, streams, num_streams, sample, work);
        }
        for (int s = 0; s < num_streams; ++s) follow_with(*streams[s], streams[s]->forced[sample]);
    }
}

void generate(const Model &model, Stream *const *streams, int num_streams, int num_samples, const Sampling &sampling,
              void *memory) {
    const Workspace work(model, streams, num_streams, memory);
    for (int sample = 0; sample < num_samples; ++sample) {
        take<false>(model, streams, num_streams, work);
        head(model, num_streams, work);
        keep_logits(model, streams, num_streams, sample, work);
        for (int s = 0; s < num_streams; ++s) {
            const uint8_t level = draw(work.logits[s], model.num_levels, sampling, streams[s]->uniforms[sample]);
            streams[s]->levels[streams[s]->num_drawn++] = level;
            follow_with(*streams[s], level);
        }
    }
}

// What the multiply-add units can do at most: sums that stay in registers. Returns the number of multiply-adds.
double peak(int64_t rounds) {
    Vector sums[num_accumulators];
    const Vector factor = all(0.999f), addend = all(0.001f);
    for (int i = 0; i < num_accumulators; ++i) sums[i] = all(static_cast<float>(i * rounds));  // equal ones would be merged
    for (int64_t round = 0; round < rounds; ++round)
        WAVENET_UNROLLED for (Vector &sum : sums) sum = multiply_add(sum, factor, addend);
    Vector total{};
    for (const Vector &sum : sums) total += sum;
    float sink = 0;
    for (int lane = 0; lane < lanes; ++lane) sink += total[lane];
    volatile float kept = sink;
    static_cast<void>(kept);
    return static_cast<double>(rounds) * num_accumulators * lanes;
}

bool runs_here() {
#if defined(__AVX512F__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return true;
#endif
}

}  // namespace

#define WAVENET_TEXT(name) #name
#define WAVENET_NAME(name) WAVENET_TEXT(name)

extern const Variant variant;
const Variant variant = {WAVENET_NAME(WAVENET_VARIANT), runs_here, silence, force, generate, peak};

}  // namespace wavenet::WAVENET_VARIANT
