// The network sample by sample, for one instruction set. Compiled once for each, with WAVENET_VARIANT its name; nothing
// here may be shared between the copies (no standard containers or algorithms): the linker would keep one for all.

#include "activation.h"
#include "draw.h"
#include "team.h"

namespace wavenet::WAVENET_VARIANT {
namespace {

int ring_rows(const Model &model, int layer) {
    return (model.kernel_size - 1) * model.dilations[layer];
}

// Where the numbers of one sample stand between the products; everything beyond it lies in the streams.
struct Workspace {
    Rows current;      // Rp: what a layer is given, and then the next
    Rows taps;         // K·R: the same with what it was given before, oldest tap first; then its words
    Rows activations;  // 2·Dp: −2·filter and −gate
    Rows gated;        // L words of D: of all layers
    Rows rectified;    // S, or its words: what the hidden and the output layer are given
    Rows skip;         // Sp; of the hidden layer, too
    Rows logits;       // Qp
    float *units;      // (B): what 1 stands for in the words of taps and rectified
    float *gated_units;  // (B): and in those of gated
    float *biases;     // (L, B, 2·Dp): the streams' own, side by side: they are read with every sample
    int32_t *oldest;   // (B, L): the ring row of the oldest tap, which the newest input replaces

    Workspace(const Model &model, Stream *const *streams, int num_streams, void *memory) {
        float *next = static_cast<float *>(memory);
        const auto rows = [&](int64_t width) {
            const Rows made{next, padded(width + panel_width)};  // the last vector of a row may reach beyond it
            next += num_streams * made.stride;
            return made;
        };
        current = rows(model.residual_channels);
        taps = rows(model.kernel_size * model.residual_channels);
        activations = rows(2 * padded(model.dilation_channels));
        gated = rows(model.num_layers * words(model.dilation_channels));
        rectified = rows(model.skip_channels);
        skip = rows(model.skip_channels);
        logits = rows(model.num_levels);
        units = next;
        gated_units = next + padded(num_streams);
        for (int s = 0; s < num_streams; ++s) gated_units[s] = gated_unit;
        biases = gated_units + padded(num_streams);
        next = biases;
        const int bias_width = 2 * static_cast<int>(padded(model.dilation_channels));
        for (int layer = 0; layer < model.num_layers; ++layer)
            for (int s = 0; s < num_streams; ++s, next += bias_width)
                copy(next, streams[s]->bias + int64_t{layer} * bias_width, bias_width);
        oldest = reinterpret_cast<int32_t *>(next);
        for (int s = 0; s < num_streams; ++s)
            for (int layer = 0; layer < model.num_layers; ++layer)
                *oldest_of(model, s, layer) = static_cast<int32_t>(streams[s]->num_taken % ring_rows(model, layer));
    }

    Inputs gated_from(int64_t word) const { return {gated.from(word), gated_units}; }

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

// Past inputs from the ring into `taps`, and the newest behind them and into the ring; `ring` is the layer's.
void turn_ring(const Model &model, int layer, float *ring, int32_t &oldest, const float *newest, float *taps) {
    const int64_t width = model.residual_channels;
    const int num_rows = ring_rows(model, layer);
    int row = oldest;
    for (int tap = 0; tap < model.kernel_size - 1; ++tap) {
        copy(taps + tap * width, ring + row * width, width);
        row += model.dilations[layer];
        if (row >= num_rows) row -= num_rows;
    }
    copy(taps + (model.kernel_size - 1) * width, newest, width);
    copy(ring + oldest * width, newest, width);
    oldest = oldest + 1 == num_rows ? 0 : oldest + 1;
}

// The rows of a layer's past inputs lie far from all else; the products of one layer are time enough to fetch the next
// one's. Inlined by force: a call of a function that only fetches ahead is one that g++ takes for useless and leaves out.
[[gnu::always_inline]] inline void fetch_ring(const Model &model, int layer, const float *ring, int32_t oldest) {
    const int64_t width = model.residual_channels;
    const int num_rows = ring_rows(model, layer);
    int row = oldest;
    for (int tap = 0; tap < model.kernel_size - 1; ++tap) {
        for (int64_t at = 0; at < width; at += line_floats) __builtin_prefetch(ring + row * width + at);
        row += model.dilations[layer];
        if (row >= num_rows) row -= num_rows;
    }
}

// As if the newest input had been there for ever.
void fill_ring(const Model &model, int layer, float *ring, const float *newest, float *taps) {
    const int64_t width = model.residual_channels;
    const int num_rows = ring_rows(model, layer);
    for (int row = 0; row < num_rows; ++row) copy(ring + row * width, newest, width);
    for (int tap = 0; tap < model.kernel_size; ++tap) copy(taps + tap * width, newest, width);
}

// Take the newest level of every stream: its way through all layers, up to what they give to the head.
template <bool is_filling>
void take(const Model &model, Stream *const *streams, int num_streams, const Workspace &work) {
    const int64_t tap_values = model.kernel_size * model.residual_channels, dilation = words(model.dilation_channels);
    const int64_t filter_width = padded(model.dilation_channels), residual_width = padded(model.residual_channels);
    for (int s = 0; s < num_streams; ++s) first_layer(model, *streams[s], work.current[s]);
    int64_t ring = 0;
    for (int layer = 0; layer < model.num_layers; ++layer) {
        const int64_t panels = 2 * filter_width / panel_width;
        for (int s = 0; s < num_streams; ++s) {
            float *rows = streams[s]->rings + ring;
            if constexpr (is_filling) fill_ring(model, layer, rows, work.current[s], work.taps[s]);
            else turn_ring(model, layer, rows, *work.oldest_of(model, s, layer), work.current[s], work.taps[s]);
            work.units[s] = as_words(work.taps[s], tap_values);
        }
        ring += int64_t{ring_rows(model, layer)} * model.residual_channels;
        if (!is_filling && layer + 1 < model.num_layers)
            for (int s = 0; s < num_streams; ++s)
                fetch_ring(model, layer + 1, streams[s]->rings + ring, *work.oldest_of(model, s, layer + 1));
        const int num_inputs = static_cast<int>(words(tap_values));
        const Rows biases{work.biases + int64_t{layer} * num_streams * 2 * filter_width, 2 * filter_width};
        product(model.filter_gate, layer * panels, num_inputs, static_cast<int>(panels), {work.taps, work.units},
                biases, work.activations, num_streams);
        const float *bias = model.residual_bias + layer * residual_width;
        for (int s = 0; s < num_streams; ++s) {
            gate(work.activations[s], filter_width, work.gated[s] + layer * dilation);
            for (int64_t at = 0; at < residual_width; at += lanes)
                store(work.current[s] + at, load(work.current[s] + at) + load(bias + at));
        }
        const int64_t residual_panels = residual_width / panel_width;
        if (layer + 1 < model.num_layers)
            product(model.residual, layer * residual_panels, static_cast<int>(dilation),
                    static_cast<int>(residual_panels), work.gated_from(layer * dilation), work.current, work.current,
                    num_streams);
    }
    for (int s = 0; s < num_streams; ++s) streams[s]->num_taken += is_filling ? 0 : 1;
}

void head(const Model &model, int num_streams, Team &team, const Workspace &work) {
    const int gated = static_cast<int>(model.num_layers * words(model.dilation_channels));
    const int skip = static_cast<int>(words(model.skip_channels));
    const int skip_panels = static_cast<int>(padded(model.skip_channels) / panel_width);
    const int output_panels = static_cast<int>(padded(model.num_levels) / panel_width);
    const auto shared = [](const float *row) { return Rows{const_cast<float *>(row), 0}; };
    const Inputs rectified{work.rectified, work.units};
    const auto rectify_all = [&] {
        for (int s = 0; s < num_streams; ++s) {
            rectify(work.skip[s], padded(model.skip_channels), work.rectified[s]);
            work.units[s] = as_words(work.rectified[s], model.skip_channels);
        }
    };
    product_by(team,
               {model.skip, gated, skip_panels, work.gated_from(0), shared(model.skip_bias), work.skip, num_streams});
    rectify_all();
    product_by(team, {model.hidden, skip, skip_panels, rectified, shared(model.hidden_bias), work.skip, num_streams});
    rectify_all();
    product_by(team, {model.output, skip, output_panels, rectified, shared(model.output_bias), work.logits, num_streams});
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
    Team alone{1, 0, 0, nullptr};
    for (int sample = 0; sample < num_samples; ++sample) {
        take<false>(model, streams, num_streams, work);
        if (is_asked) {
            head(model, num_streams, alone, work);
            keep_logits(model, streams, num_streams, sample, work);
        }
        for (int s = 0; s < num_streams; ++s) follow_with(*streams[s], streams[s]->forced[sample]);
    }
}

void generate(const Model &model, Stream *const *streams, int num_streams, int num_samples, const Sampling &sampling,
              Team &team, void *memory) {
    const Workspace work(model, streams, num_streams, memory);
    for (int sample = 0; sample < num_samples; ++sample) {
        take<false>(model, streams, num_streams, work);
        head(model, num_streams, team, work);
        keep_logits(model, streams, num_streams, sample, work);
        for (int s = 0; s < num_streams; ++s) {
            const uint8_t level = draw(work.logits[s], model.num_levels, sampling, streams[s]->uniforms[sample]);
            streams[s]->levels[streams[s]->num_drawn++] = level;
            follow_with(*streams[s], level);
        }
    }
    dismiss(team);
}

// What the multiply-add units can do at most: sums that stay in registers. Returns the number of multiply-adds.
double peak(int64_t rounds) {
#if defined(WAVENET_FIXED)
    using Sum = Integers;
    Sum factor = 0x00010001 - Sum{};
    const Sum addend = factor;
#else
    using Sum = Vector;
    Sum factor = all(0.999f);
    const Sum addend = all(0.001f);
#endif
    Sum sums[num_accumulators];
    for (int i = 0; i < num_accumulators; ++i)  // equal ones would be merged
        sums[i] = Sum{} + static_cast<decltype(factor[0] + 0)>(i * rounds);
    for (int64_t round = 0; round < rounds; ++round)
        WAVENET_UNROLLED for (Sum &sum : sums) {
#if defined(__SSE2__) && !defined(WAVENET_EMULATED)
            asm("" : "+x"(factor));  // else a product that does not change would be computed once
#endif
            sum = multiply_add(factor, addend, sum);
        }
    Sum total{};
    for (const Sum &sum : sums) total += sum;
    float sink = 0;
    for (int lane = 0; lane < lanes; ++lane) sink += static_cast<float>(total[lane]);
    volatile float kept = sink;
    static_cast<void>(kept);
    return static_cast<double>(rounds) * num_accumulators * lanes * word_values;
}

bool runs_here() {
#if defined(__AVX512VNNI__)
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#elif defined(__AVX512F__)
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
const Variant variant = {WAVENET_NAME(WAVENET_VARIANT), word_values, runs_here, silence, force, generate, help, peak};

}  // namespace wavenet::WAVENET_VARIANT
