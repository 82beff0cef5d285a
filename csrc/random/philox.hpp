// Philox4x32-10: four random 32-bit words from a counter of four words and a key of two, with no state between calls.
//
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
//
//   key      seed, low and high word
//   counter  block number (64 bits), then the low words of step and call; state = int64 [seed, step, call]
//
// Numbers are made in groups: group g holds the blocks 16 g ... 16 g + 15, one a lane, and its 64 words are ordered by
// word of the block, then by lane: word i of the group is word i / 16 of block 16 g + i % 16. So a group of lanes is
// stored without a transpose, and element e of an array uses word e % 64 of group e / 64, whoever computes it.
#pragma once
#include "base/check.hpp"
#include "move/strided.hpp"
#include "simd/vec.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int LANES = 16, GROUP = 4 * LANES;
constexpr int32_t LANE[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

struct Stream {
    uint32_t key0, key1, step, call;

    explicit Stream(const View& state) {
        const int64_t* s = state.as<const int64_t>();
        const ptrdiff_t d = state.stride[0];
        key0 = (uint32_t)(uint64_t)s[0];
        key1 = (uint32_t)((uint64_t)s[0] >> 32);
        step = (uint32_t)(uint64_t)s[d];
        call = (uint32_t)(uint64_t)s[2 * d];
    }

    // The 64 words of group g. 16 g + lane never carries into the counter's second word.
    void group(int64_t g, uint32_t* words) const {
        const uint64_t first = (uint64_t)g * LANES;
        const vi a = seti((int32_t)0xD2511F53u), b = seti((int32_t)0xCD9E8D57u);
        int32_t* out = reinterpret_cast<int32_t*>(words);
        for (int lane = 0; lane < LANES; lane += VL) {
            vi c0 = addi(seti((int32_t)(uint32_t)first), loadi(LANE + lane)), c1 = seti((int32_t)(first >> 32));
            vi c2 = seti((int32_t)step), c3 = seti((int32_t)call);
            uint32_t k0 = key0, k1 = key1;
            for (int round = 0; round < 10; ++round) {
                vi low0, high0, low1, high1;
                mul_wide(c0, a, low0, high0);
                mul_wide(c2, b, low1, high1);
                c0 = xori(xori(high1, c1), seti((int32_t)k0));
                c1 = low1;
                c2 = xori(xori(high0, c3), seti((int32_t)k1));
                c3 = low0;
                k0 += 0x9E3779B9u;
                k1 += 0xBB67AE85u;
            }
            storei(out + lane, c0);
            storei(out + lane + LANES, c1);
            storei(out + lane + 2 * LANES, c2);
            storei(out + lane + 3 * LANES, c3);
        }
    }
};

inline bool is_state(const View& v) { return !v.absent() && v.dtype == I64 && v.rank == 1 && v.shape[0] == 3; }

// Work of n elements of which a group makes `per_group`: about 0.5 ns an element for the words, `flops` more for the
// rest.
inline void estimate(Call& c, int64_t n, int64_t item, int per_group, double flops) {
    c.flops = (double)n * (30.0 * GROUP / per_group + flops);
    c.bytes = (double)n * item;
    c.ranks = worth(c, n / 1024 + 1);
}

// Elements of y in C order, `per_group` at a time: make(g, values) fills those of group g, which are then stored.
template <class T, class F>
inline void fill_groups(const View& y, int per_group, const Team& team, const F& make) {
    const int64_t n = y.size();
    const Range own = split((n + per_group - 1) / per_group, team);
    const bool dense = y.contiguous();
    const Nest nest = view_nest(y);
    T values[GROUP];
    for (int64_t g = own.begin; g < own.end; ++g) {
        const int64_t first = g * per_group;
        const int count = (int)(n - first < per_group ? n - first : per_group);
        if (dense && count == per_group) {
            make(g, y.as<T>() + first);
            continue;
        }
        make(g, values);
        Odometer at(nest, nest.rank, first);
        for (int i = 0; i < count; ++i, at.next()) y.as<T>()[at.to] = values[i];
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
