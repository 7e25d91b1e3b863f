// Runs the kernel where there is no Python: a model and streams from a file, their logits and levels to another.
// Linked with variant.cpp and library.cpp for another processor, and run by an emulator of it; see other_processor.py.

#include <cstdio>
#include <cstdlib>

#include "network.h"

extern "C" {
int64_t wavenet_workspace_bytes(const wavenet::Model *model, int32_t num_streams);
void wavenet_silence(int32_t, const wavenet::Model *, wavenet::Stream *const *, int32_t, void *);
void wavenet_generate(int32_t, const wavenet::Model *, wavenet::Stream *const *, int32_t, int32_t,
                      const wavenet::Sampling *, wavenet::Team *, void *);
}

namespace {

std::FILE *in, *out;

// An array with its size in bytes in front; at the beginning of a cache line, and null where it is empty.
void *next() {
    int64_t bytes = 0;
    if (std::fread(&bytes, sizeof bytes, 1, in) != 1) std::exit(2);
    if (!bytes) return nullptr;
    void *memory = std::aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (std::fread(memory, 1, bytes, in) != static_cast<size_t>(bytes)) std::exit(2);
    return memory;
}

}  // namespace

int main(int, char **arguments) {
    in = std::fopen(arguments[1], "rb");
    out = std::fopen(arguments[2], "wb");
    const int32_t *sizes = static_cast<int32_t *>(next());
    const int32_t num_samples = sizes[6], num_streams = sizes[7];
    wavenet::Model model{};
    int32_t *const counts[] = {&model.num_levels,        &model.kernel_size,       &model.num_layers,
                               &model.residual_channels, &model.dilation_channels, &model.skip_channels};
    for (int i = 0; i < 6; ++i) *counts[i] = sizes[i];
    const void **const first = reinterpret_cast<const void **>(&model.dilations);
    const void **const last = reinterpret_cast<const void **>(&model.output_bias);
    for (const void **field = first; field <= last; ++field) *field = next();
    wavenet::Stream **streams = static_cast<wavenet::Stream **>(std::calloc(num_streams, sizeof(void *)));
    for (int s = 0; s < num_streams; ++s) {
        wavenet::Stream *made = streams[s] = new wavenet::Stream{};
        made->rings = static_cast<float *>(next());
        made->bias = static_cast<float *>(next());
        made->uniforms = static_cast<float *>(next());
        for (uint8_t &level : made->recent) level = static_cast<uint8_t>(sizes[8]);
        made->levels = static_cast<uint8_t *>(std::calloc(num_samples, 1));
        made->logits = static_cast<float *>(std::calloc(int64_t{num_samples} * model.num_levels, sizeof(float)));
    }
    void *workspace = std::aligned_alloc(64, (wavenet_workspace_bytes(&model, num_streams) + 127) / 64 * 64);
    const wavenet::Sampling sampling{1.0, 1.0, 0};
    wavenet_silence(0, &model, streams, num_streams, workspace);
    wavenet::Team alone{1, 0, 0, nullptr};
    wavenet_generate(0, &model, streams, num_streams, num_samples, &sampling, &alone, workspace);
    for (int s = 0; s < num_streams; ++s) {
        std::fwrite(streams[s]->levels, 1, num_samples, out);
        std::fwrite(streams[s]->logits, sizeof(float), int64_t{num_samples} * model.num_levels, out);
    }
    return std::fclose(out);
}
