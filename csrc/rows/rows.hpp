// What the kernels on rows of a table share: which rank owns a row, and fetching rows before they are needed.
//
// Rows lie anywhere in a table that no cache holds, so what costs is waiting for memory. A row has one owner, which
// does all that is done to it, in the order of the ids: bits depend on no number of ranks.
#pragma once
#include "move/value.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int64_t AHEAD = 8;   // rows between fetch and use
constexpr int64_t FETCH = 64;  // elements of a row that are fetched; the processor follows by itself from there

// Spreads the rows evenly, so that ids that fall in frequency (a vocabulary) meet all ranks: a multiplicative hash.
QUERNEL_INLINE int owner(int64_t row, int ranks) {
    const uint32_t mixed = (uint32_t)row * 2654435769u;  // 2^32 / golden ratio
    return (int)(((uint64_t)mixed * (uint32_t)ranks) >> 32);
}

template <bool written>
QUERNEL_INLINE void fetch_row(const float* row, int64_t n) {
    if (n > FETCH) n = FETCH;
    for (int64_t j = 0; j < n; j += 16) __builtin_prefetch(row + j, written);
}

// y = x (first) or y + x, n contiguous elements. A first term is added to +0, as sums are everywhere.
QUERNEL_INLINE void add_line(float* y, const float* x, int64_t n, bool first) {
    int64_t j = 0;
    for (; j + VL <= n; j += VL) storeu(y + j, add(first ? zero() : loadu(y + j), loadu(x + j)));
    const int rest = (int)(n - j);
    if (rest) store_n(y + j, add(first ? zero() : load_n(y + j, rest), load_n(x + j, rest)), rest);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
