// Which bytes a view touches, and whether views meet: the checks of outputs, and the plan's schedule.
#pragma once
#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "base/view.hpp"

namespace quernel {

struct Span {  // addresses, or offsets in some space of their own; empty where begin == end
    int64_t begin, end;
    bool empty() const { return begin >= end; }
    bool meets(const Span& other) const { return begin < other.end && other.begin < end; }
};

// The smallest span around the elements of v when element (0, 0, ...) lies at `at`.
inline Span span_at(const View& v, int64_t at) {
    const int64_t item = item_size(v.dtype);
    Span s{at, at + item};
    for (int d = 0; d < v.rank; ++d) {
        if (v.shape[d] == 0) return {0, 0};
        const int64_t reach = v.stride[d] * (v.shape[d] - 1) * item;
        (reach < 0 ? s.begin : s.end) += reach;
    }
    return s;
}
inline Span span_of(const View& v) { return span_at(v, reinterpret_cast<int64_t>(v.data)); }

// Whether elements of one array may share memory: an axis steps over less than the axes of smaller steps reach.
inline bool overlaps_itself(const View& v) {
    ptrdiff_t reach = 0;  // of the axes seen so far, in elements
    int axes[MAX_RANK];
    std::iota(axes, axes + v.rank, 0);
    std::sort(axes, axes + v.rank, [&](int a, int b) { return std::abs(v.stride[a]) < std::abs(v.stride[b]); });
    for (int i = 0; i < v.rank; ++i) {
        const int d = axes[i];
        if (v.shape[d] <= 1) continue;
        if (std::abs(v.stride[d]) <= reach) return true;
        reach += std::abs(v.stride[d]) * (v.shape[d] - 1);
    }
    return false;
}

}  // namespace quernel
