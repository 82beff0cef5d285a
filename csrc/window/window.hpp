// window: the block under pooling. A window slides over up to three spatial axes of (n, d, h, w, c); each channel is
// its own lane.
//
//   big   (n, in..., c)    the array that windows cover
//   small (n, out..., c)   one element a window
//
// Window o of an axis covers the inputs [o*stride - pad, o*stride - pad + pool), clipped to [0, in): padding is
// absence. Taps are visited in window order: d, then h, then w ascending. Fewer than three spatial axes: the leading
// ones have size 1.
#pragma once
#include "base/check.hpp"
#include "simd/vec.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace window {

struct Axis {
    int64_t in, out, pool, stride, pad;

    Range taps(int64_t o) const {
        const int64_t from = o * stride - pad, to = from + pool;
        return {from < 0 ? 0 : from, to > in ? in : to};
    }
};

struct Place {  // where an element (n, d, h, w, c) lies: strides in elements
    ptrdiff_t n, s[3], c;

    ptrdiff_t at(int64_t i, int64_t d, int64_t h, int64_t w) const { return i * n + d * s[0] + h * s[1] + w * s[2]; }
};

struct Windows {
    Axis axis[3];
    int64_t n, c;
    Place big, small;    // of the arrays that every op has: x and y, dx and dy
    Place big2, small2;  // of the further arrays of an op, where it has them
    bool unit;           // every channel stride is 1
    bool tiled;          // no overlap, no gap, no padding: an element of `big` is in at most one window

    int64_t rows() const { return n * axis[0].out * axis[1].out; }  // a row: the windows along w of one (n, d, h)
    int64_t taps() const { return axis[0].pool * axis[1].pool * axis[2].pool; }
    int64_t windows() const { return rows() * axis[2].out; }
    int64_t elements() const { return n * axis[0].in * axis[1].in * axis[2].in; }
};

struct Window {  // one window: where its taps lie in `big`
    int64_t n, o[3];
    Range d, h, w;

    int64_t count() const { return (d.end - d.begin) * (h.end - h.begin) * (w.end - w.begin); }
    bool two_by_two() const {  // the pool of every textbook network: worth code without loops
        return d.end - d.begin == 1 && h.end - h.begin == 2 && w.end - w.begin == 2;
    }
};

// visit(window) for the windows of one row, in order.
template <class Visit>
QUERNEL_INLINE void each_window(const Windows& g, int64_t row, Visit visit) {
    const Axis* a = g.axis;
    Window t;
    t.o[1] = row % a[1].out;
    t.o[0] = row / a[1].out % a[0].out;
    t.n = row / a[1].out / a[0].out;
    t.d = a[0].taps(t.o[0]);
    t.h = a[1].taps(t.o[1]);
    for (t.o[2] = 0; t.o[2] < a[2].out; ++t.o[2]) {
        t.w = a[2].taps(t.o[2]);
        visit(t);
    }
}

// visit(pointer) for the taps of a window from `from` (the first is tap 0), in window order; `p` is image t.n of `big`.
template <class T, class Visit>
QUERNEL_INLINE void each_tap(const Window& t, T* p, const Place& at, Visit visit) {
    for (int64_t d = t.d.begin; d < t.d.end; ++d)
        for (int64_t h = t.h.begin; h < t.h.end; ++h) {
            T* q = p + d * at.s[0] + h * at.s[1] + t.w.begin * at.s[2];
            for (int64_t w = t.w.begin; w < t.w.end; ++w, q += at.s[2]) visit(q);
        }
}

template <int N>
struct Count {
    static constexpr int value = N;
};

// How a body reads and writes one vector of channels.
struct Whole {
    QUERNEL_INLINE vf load(const float* p, ptrdiff_t) const { return loadu(p); }
    QUERNEL_INLINE void store(float* p, ptrdiff_t, vf v) const { storeu(p, v); }
};
struct Part {
    int n;
    QUERNEL_INLINE vf load(const float* p, ptrdiff_t) const { return load_n(p, n); }
    QUERNEL_INLINE void store(float* p, ptrdiff_t, vf v) const { store_n(p, v, n); }
};
struct Strided {
    int n;
    QUERNEL_INLINE vf load(const float* p, ptrdiff_t stride) const {
        float t[VL] = {};
        for (int i = 0; i < n; ++i) t[i] = p[i * stride];
        return loadu(t);
    }
    QUERNEL_INLINE void store(float* p, ptrdiff_t stride, vf v) const {
        float t[VL];
        storeu(t, v);
        for (int i = 0; i < n; ++i) p[i * stride] = t[i];
    }
};

// body(count, lanes, c0) for channels [begin, end): count::value vectors from channel c0, read and written through
// `lanes`. Four vectors side by side hide the latency of compare + select; which of them a channel meets does not
// change its bits.
template <class Body>
QUERNEL_INLINE void each_lanes(bool unit, int64_t begin, int64_t end, Body body) {
    int64_t c = begin;
    if (unit) {
        for (; c + 4 * VL <= end; c += 4 * VL) body(Count<4>{}, Whole{}, c);
        if (c + 2 * VL <= end) body(Count<2>{}, Whole{}, c), c += 2 * VL;
        if (c + VL <= end) body(Count<1>{}, Whole{}, c), c += VL;
        if (c < end) body(Count<1>{}, Part{(int)(end - c)}, c);
    } else {
        for (; c < end; c += VL) body(Count<1>{}, Strided{(int)(end - c < VL ? end - c : VL)}, c);
    }
}

}  // namespace window
}  // namespace QUERNEL_ISA
}  // namespace quernel
