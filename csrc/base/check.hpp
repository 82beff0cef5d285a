// What prepare() needs: refusing a bad call in words, choosing ranks, splitting rows among ranks.
#pragma once
#include <cstdio>

#include "base/op.hpp"

namespace quernel {
namespace QUERNEL_ISA {

// `return refuse(call, "...")` ends prepare. Python has checked before, in friendlier words; this is the second lock.
template <class... Args>
inline bool refuse(Call& call, const char* format, Args... args) {
    snprintf(call.error, sizeof(call.error), format, args...);
    return false;
}
inline bool refuse(Call& call, const char* text) { return refuse(call, "%s", text); }

inline bool all_f32(const View* views, int count) {
    for (int i = 0; i < count; ++i)
        if (!views[i].absent() && views[i].dtype != F32) return false;
    return true;
}
inline bool same_shape(const View& a, const View& b) {
    if (a.rank != b.rank) return false;
    for (int d = 0; d < a.rank; ++d)
        if (a.shape[d] != b.shape[d]) return false;
    return true;
}

// How many ranks pay: a warm region costs 1-3 us and a barrier 0.5 us, so a second rank must save about 4 us (wake_us =
// 8).
inline int worth(const Call& call, int64_t pieces, double us) {
    int64_t ranks = call.threads;
    if (call.wake_us > 0) {
        if (us < call.wake_us)
            ranks = 1;
        else if (us < ranks * call.wake_us / 2)
            ranks = (int64_t)(us / (call.wake_us / 2));
    }
    if (ranks > pieces) ranks = pieces;
    return ranks < 1 ? 1 : (int)ranks;
}

inline int worth(const Call& call, int64_t pieces) { return worth(call, pieces, estimated_us(call)); }

struct Range {
    int64_t begin, end;
};
// The fixed mapping of n pieces to ranks: contiguous, sizes differ by at most one.
inline Range split(int64_t n, int rank, int size) { return {n * rank / size, n * (rank + 1) / size}; }
inline Range split(int64_t n, const Team& team) { return split(n, team.rank, team.size); }
// The same in pieces of 64 elements: in aligned arrays no two ranks meet in a cache line and no vector crosses one.
inline Range split_lines(int64_t n, const Team& team) {
    constexpr int64_t PIECE = 64;
    const Range own = split((n + PIECE - 1) / PIECE, team);
    return {own.begin * PIECE, own.end * PIECE < n ? own.end * PIECE : n};
}

constexpr int64_t align64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace QUERNEL_ISA
}  // namespace quernel
