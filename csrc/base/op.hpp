// The contract between _core and the ISA modules: one op is two functions over one plain Call.
//
//   prepare(call)  validates views and attributes once more, picks blocks into call.state, reports scratch, flops and
//                  bytes, and says on how many ranks running pays (call.ranks, at most call.threads).
//                  Returns false with call.error set when the call is bad. Never touches array data.
//   run(call, team, scratch)
//                  computes. Called once per rank with the same call; never allocates, throws or touches Python.
//                  It may run with team.size <= call.ranks (a busy team runs alone) and must give the same bits.
//                  An index out of range sets *team.bad_index and writes something harmless; the caller raises.
//
// Eager execution is prepare + run; a plan keeps prepared calls and runs them many times, so after prepare the call is
// read only.
#pragma once
#include "base/view.hpp"

namespace quernel {

struct Team {
    int rank;
    int size;
    int32_t* bad_index;        // set to 1 when an index is out of range
    void (*wait)(void* self);  // null in a team of one
    void* self;

    // Every rank of the team must reach the same barriers. A team of one enters no threading code.
    void barrier() const {
        if (size > 1) wait(self);
    }
};

struct Call {
    // From the caller. In-place operands (optimizers) come as outputs and are read too.
    const View* in;
    const View* out;
    int32_t n_in, n_out;
    const int64_t* ints;  // attributes, in the order the op's header documents
    const double* floats;
    int32_t n_ints, n_floats;
    int32_t threads;  // upper bound for ranks
    double wake_us;   // work below this many microseconds stays on one rank (0 in tests: always share)

    // From prepare.
    int32_t ranks;
    int64_t scratch;      // bytes for the whole team, 64-byte aligned, contents undefined
    double flops, bytes;  // work, for the profiler and the choice of ranks
    char error[256];
    alignas(64) unsigned char state[1024];

    template <class T>
    T& as() {
        static_assert(sizeof(T) <= sizeof(state), "state too large for a Call");
        return *reinterpret_cast<T*>(state);
    }
    template <class T>
    const T& as() const {
        static_assert(sizeof(T) <= sizeof(state), "state too large for a Call");
        return *reinterpret_cast<const T*>(state);
    }
};

// Microseconds on one rank at 60 GFLOP/s and 20 GB/s: decides ranks and whether the GIL is released. A pure function of
// the work, never of a clock.
inline double estimated_us(const Call& call) { return call.flops / 60e3 + call.bytes / 20e3; }

struct Op {
    const char* name;
    const char* inputs;
    const char* outputs;
    bool (*prepare)(Call&);
    void (*run)(const Call&, const Team&, char* scratch);
};

// What the machine can do at most, for `quernel bench` (csrc/probe/probe.cpp): a loop over one rank's memory, `repeats`
// times. Returns the work of one repeat: floating-point operations, or bytes moved.
struct Probe {
    const char* name;
    double (*run)(float* memory, int64_t bytes, int64_t repeats);
};
constexpr int PROBES = 6;
constexpr int64_t TILE_BYTES = 24 << 10;  // what the probe "tile" needs: half of an L1 cache of 48 KB

struct Table {  // what a _core_<isa> exports, in a capsule named "quernel.table"
    const char* isa;
    const char* compiler;
    int32_t count;
    int32_t call_size;  // sizeof(Call): a module of another version is refused
    const Op* ops;
    const Probe* probes;  // PROBES of them
};

}  // namespace quernel
