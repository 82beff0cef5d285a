// The walk of an optimizer over its segments: one call updates every variable, shared among ranks by element.
//
// Each segment is split as a product splits the rows of a weight's gradient, so that most of it is still in the cache
// of the rank that updates it: in a training step of 784-128-32-128-784 the update took 128 us where it took 158 with
// all segments split as one, and 125 on one rank. An update is elementwise, so the split never shows in the bits.
// Contiguous arrays are updated where they are; others pass through a buffer of CHUNK elements.
#pragma once
#include "move/strided.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int64_t CHUNK = 512;  // 2 KB an array: five of them stay in L1
constexpr int64_t PIECE = 64;   // 4 cache lines: no two ranks write the same one

// Elements a rank: in the caches, where so few lie, they take 2 to 5 us, less than it takes to wake a rank and wait for
// it (10000 parameters with momentum: 29 us an eager call on one rank, 41 on two).
constexpr int64_t SHARE = 16384;

template <int arrays>
struct Segment {
    const View* views[arrays];

    bool contiguous() const {
        for (int a = 0; a < arrays; ++a)
            if (!views[a]->contiguous()) return false;
        return true;
    }
    // update(float* const pointers[arrays], n); array 0 ... writes - 1 are written back.
    template <class F>
    void update(int64_t begin, int64_t end, int writes, const F& f) const {
        float* p[arrays];
        if (contiguous()) {
            for (int a = 0; a < arrays; ++a) p[a] = views[a]->f32w() + begin;
            f(p, end - begin);
            return;
        }
        float buffer[arrays][CHUNK];
        for (; begin < end; begin += CHUNK) {
            const int64_t n = end - begin < CHUNK ? end - begin : CHUNK;
            for (int a = 0; a < arrays; ++a) {
                p[a] = buffer[a];
                const Nest nest = view_nest(*views[a]);
                Odometer at(nest, nest.rank, begin);
                for (int64_t i = 0; i < n; ++i, at.next()) buffer[a][i] = views[a]->f32()[at.to];
            }
            f(p, n);
            for (int a = 0; a < writes; ++a) {
                const Nest nest = view_nest(*views[a]);
                Odometer at(nest, nest.rank, begin);
                for (int64_t i = 0; i < n; ++i, at.next()) views[a]->f32w()[at.to] = buffer[a][i];
            }
        }
    }
};

// Calls segment(i, begin, end) for the parts of the segments (views[i], i < count) that this rank owns.
template <class F>
inline void walk_segments(const View* views, int64_t count, const Team& team, const F& segment) {
    for (int64_t i = 0; i < count; ++i) {
        const int64_t n = views[i].size(), pieces = (n + PIECE - 1) / PIECE;
        if (pieces <= 1) {
            if (n && i % team.size == team.rank) segment(i, 0, n);
            continue;
        }
        const Range own = split(pieces, team);
        const int64_t end = own.end * PIECE < n ? own.end * PIECE : n;
        if (own.begin * PIECE < end) segment(i, own.begin * PIECE, end);
    }
}

// Segment lists of one call: `lists` lists of `count` float32 views that agree in shape with `first`.
inline bool same_segments(Call& c, const View* first, const View* other, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        if (first[i].absent() || first[i].dtype != F32 || other[i].dtype != F32)
            return refuse(c, "segment %lld: expected float32 arrays", (long long)i);
        if (!same_shape(first[i], other[i])) return refuse(c, "segment %lld: shapes differ", (long long)i);
    }
    return true;
}

inline bool is_scalar(const View& v, int32_t dtype) { return !v.absent() && v.dtype == dtype && v.size() == 1; }

}  // namespace QUERNEL_ISA
}  // namespace quernel
