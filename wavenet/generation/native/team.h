// A product of the head by all threads of a team. Every output is one thread's: no bit depends on their number.

#pragma once

#include <sched.h>

#include "product.h"

namespace wavenet::WAVENET_VARIANT {

struct Posted {
    const Weights &weights;
    int num_inputs;
    int num_panels;
    Inputs inputs;
    Rows start;
    Rows outputs;
    int num_streams;
};

inline void do_share(const Posted &work, int number, int size) {
    const int first = work.num_panels * number / size, end = work.num_panels * (number + 1) / size;
    const int64_t column = int64_t{first} * panel_width;
    product(work.weights, first, work.num_inputs, end - first, work.inputs, work.start.from(column),
            work.outputs.from(column), work.num_streams);
}

// A product takes some microseconds, and so does the wait for the others; where a thread has no processor, it takes as long
// as the scheduler likes, and waiting for it must not keep it from running.
template <typename Condition>
void wait_until(Condition is_so) {
    constexpr int most_turns = 2000;
    for (int turn = 0; !is_so(); ++turn) {
        if (turn > most_turns) sched_yield();
#if defined(__SSE2__)
        else _mm_pause();
#endif
    }
}

inline void product_by(Team &team, const Posted &work) {
    if (team.size > 1) {
        team.posted = &work;
        __atomic_store_n(&team.num_posted, team.num_posted + 1, __ATOMIC_RELEASE);
    }
    do_share(work, 0, team.size);
    const int32_t wanted = team.num_posted * (team.size - 1);
    wait_until([&] { return __atomic_load_n(&team.num_helped, __ATOMIC_ACQUIRE) == wanted; });
}

inline void help(Team &team, int number) {
    for (int32_t done = 0;; ++done) {
        int32_t posted = done;
        wait_until([&] { return (posted = __atomic_load_n(&team.num_posted, __ATOMIC_ACQUIRE)) != done; });
        if (posted < 0) return;
        do_share(*static_cast<const Posted *>(team.posted), number, team.size);
        __atomic_fetch_add(&team.num_helped, 1, __ATOMIC_RELEASE);
    }
}

inline void dismiss(Team &team) {
    __atomic_store_n(&team.num_posted, -1, __ATOMIC_RELEASE);
}

}  // namespace wavenet::WAVENET_VARIANT
