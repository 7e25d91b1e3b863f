// What Python calls: the table of the variants that were compiled, best first, and a function for each thing to do.

#include "network.h"

// WAVENET_VARIANTS: X(avx512) X(avx2) X(portable), as compiled.
#define X(name) \
    namespace wavenet::name { \
    extern const Variant variant; \
    }
WAVENET_VARIANTS
#undef X

namespace {

using wavenet::padded;
using wavenet::panel_width;

#define X(name) &wavenet::name::variant,
const wavenet::Variant *const variants[] = {WAVENET_VARIANTS};
#undef X

constexpr int32_t num_variants = sizeof variants / sizeof *variants;

}  // namespace

// Everything else is compiled hidden.
#pragma GCC visibility push(default)

extern "C" {

int32_t wavenet_num_variants() {
    return num_variants;
}

const char *wavenet_variant_name(int32_t number) {
    return variants[number]->name;
}

int32_t wavenet_variant_word_values(int32_t number) {
    return variants[number]->word_values;
}

int32_t wavenet_variant_runs_here(int32_t number) {
    return variants[number]->runs_here();
}

// So that Python notices when its mirror of the structures is another one.
int32_t wavenet_structure_bytes() {
    return static_cast<int32_t>(sizeof(wavenet::Model) + sizeof(wavenet::Stream) + sizeof(wavenet::Sampling) +
                                sizeof(wavenet::Team));
}

// What `silence`, `force` and `generate` need for themselves; aligned to 64 bytes.
int64_t wavenet_workspace_bytes(const wavenet::Model *model, int32_t num_streams) {
    const auto row = [](int64_t width) { return padded(width + panel_width); };
    const int64_t floats = row(model->residual_channels) + row(int64_t{model->kernel_size} * model->residual_channels) +
                           row(2 * padded(model->dilation_channels)) +
                           row(int64_t{model->num_layers} * model->dilation_channels) + 2 * row(model->skip_channels) +
                           row(model->num_levels) + model->num_layers * (2 * padded(model->dilation_channels) + 1);
    return (num_streams * floats + 2 * padded(num_streams)) * int64_t{sizeof(float)};
}

// Give the streams the past of endless silence, whose level stands in `recent`.
void wavenet_silence(int32_t number, const wavenet::Model *model, wavenet::Stream *const *streams, int32_t num_streams,
                     void *workspace) {
    variants[number]->silence(*model, streams, num_streams, workspace);
}

// Let the streams take levels, with their logits where they are asked for.
void wavenet_force(int32_t number, const wavenet::Model *model, wavenet::Stream *const *streams, int32_t num_streams,
                   int32_t num_samples, void *workspace) {
    variants[number]->force(*model, streams, num_streams, num_samples, workspace);
}

// Draw levels, with all others of the team in `wavenet_help`; they return when all are drawn.
void wavenet_generate(int32_t number, const wavenet::Model *model, wavenet::Stream *const *streams, int32_t num_streams,
                      int32_t num_samples, const wavenet::Sampling *sampling, wavenet::Team *team, void *workspace) {
    variants[number]->generate(*model, streams, num_streams, num_samples, *sampling, *team, workspace);
}

void wavenet_help(int32_t number, wavenet::Team *team, int32_t number_in_team) {
    variants[number]->help(*team, number_in_team);
}

double wavenet_peak(int32_t number, int64_t rounds) {
    return variants[number]->peak(rounds);
}

}  // extern "C"

#pragma GCC visibility pop
