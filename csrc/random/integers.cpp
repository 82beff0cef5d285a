// random_integers and random_permutation, from 64-bit numbers: words (0, 1) of a block, then (2, 3), low word first, so
// that number e is lane e % 16 of pair (e % 32) / 16 of group e / 32.
//
// random_integers:    y = minval + floor(number * range / 2^64).  ints: minval, range = maxval - minval as 64 bits.
//                     A value's probability is off by less than range / 2^64.
// random_permutation: Fisher-Yates: p = 0 ... n - 1; for e = 0 ... n - 2, with i = n - 1 - e, swap p[i] and
//                     p[floor(number(e) * (i + 1) / 2^64)].  One rank.
#include "random/philox.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int NUMBERS = GROUP / 2;

inline void numbers_of(const Stream& stream, int64_t g, uint64_t* numbers) {
    uint32_t words[GROUP];
    stream.group(g, words);
    for (int i = 0; i < NUMBERS; ++i) {
        const int at = i / LANES * 2 * LANES + i % LANES;
        numbers[i] = (uint64_t)words[at + LANES] << 32 | words[at];
    }
}

// floor(a * b / 2^64)
inline uint64_t multiply_high(uint64_t a, uint64_t b) { return (uint64_t)((unsigned __int128)a * b >> 64); }

template <class T>
void integers(const Call& c, const Team& team) {
    const Stream stream(c.in[0]);
    const uint64_t low = (uint64_t)c.ints[0], range = (uint64_t)c.ints[1];
    fill_groups<T>(c.out[0], NUMBERS, team, [&](int64_t g, T* y) {
        uint64_t numbers[NUMBERS];
        numbers_of(stream, g, numbers);
        for (int i = 0; i < NUMBERS; ++i) y[i] = (T)(low + multiply_high(numbers[i], range));
    });
}

}  // namespace

bool random_integers_prepare(Call& c) {
    if (c.n_in != 1 || c.n_out != 1 || c.n_ints != 2) return refuse(c, "expected a state, one output and two limits");
    if (!is_state(c.in[0])) return refuse(c, "state: expected three int64");
    const int32_t dtype = c.out[0].dtype;
    if (dtype != I32 && dtype != I64 && dtype != U8) return refuse(c, "expected an int32, int64 or uint8 output");
    estimate(c, c.out[0].size(), item_size(dtype), NUMBERS, 10);
    return true;
}

void random_integers_run(const Call& c, const Team& team, char*) {
    if (c.out[0].dtype == I32)
        integers<raw4>(c, team);
    else if (c.out[0].dtype == I64)
        integers<raw8>(c, team);
    else
        integers<raw1>(c, team);
}

bool random_permutation_prepare(Call& c) {
    if (c.n_in != 1 || c.n_out != 1) return refuse(c, "expected a state and one output");
    if (!is_state(c.in[0])) return refuse(c, "state: expected three int64");
    if (c.out[0].dtype != I64 || c.out[0].rank != 1) return refuse(c, "expected an int64 output of one axis");
    c.flops = 300.0 * c.out[0].size();
    c.bytes = 16.0 * c.out[0].size();
    return true;
}

void random_permutation_run(const Call& c, const Team& team, char*) {
    if (team.rank) return;
    const Stream stream(c.in[0]);
    const View& y = c.out[0];
    const int64_t n = y.shape[0];
    const ptrdiff_t step = y.stride[0];
    int64_t* p = y.as<int64_t>();
    for (int64_t i = 0; i < n; ++i) p[i * step] = i;
    uint64_t numbers[NUMBERS];
    for (int64_t e = 0; e < n - 1; ++e) {
        if (e % NUMBERS == 0) numbers_of(stream, e / NUMBERS, numbers);
        const int64_t i = n - 1 - e, j = (int64_t)multiply_high(numbers[e % NUMBERS], (uint64_t)i + 1);
        const int64_t kept = p[i * step];
        p[i * step] = p[j * step];
        p[j * step] = kept;
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
