// Pooling over (n, spatial..., c), one to three spatial axes, float32, any strides: geometry shared by every op of the
// room.
//
// Attributes of the windowed ops, packed flat: [rank, then for each spatial axis pool, stride, pad_before].
// The global ops take none: their window is the image, their small array is (n, c) or (n, 1..., c).
//
//   max_pool         x -> y            y[o] = the first largest tap in window order; NaN if any tap is NaN
//   max_pool_dx      dy, x, y -> dx    dx[i] = sum over windows o, ascending, whose first tap equal to y[o] is i, of
//   dy[o] (NaN equals NaN) max_pool_gather  v, x, y -> z      z[o] = v[i] for that tap i, 0 where no tap equals y[o]
//   average_pool     x -> y            y[o] = (sum of the taps present, in window order) / their number
//   average_pool_dx  dy -> dx          dx[i] = sum over windows o, ascending, that hold i, of dy[o] / number of taps of
//   o
//
// Nothing may alias. n, c and spatial sizes may be 0; a window always holds at least one element.
#pragma once
#include "window/window.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace window {

inline Place place_of(const View& v,
                      int spatial) {  // spatial axes that the view lacks (global, no keepdims) have stride 0
    Place p{v.stride[0], {0, 0, 0}, v.stride[v.rank - 1]};
    const int has = v.rank - 2;
    for (int i = 0; i < has; ++i) p.s[3 - spatial + i] = v.stride[1 + i];
    return p;
}

inline bool finish_windows(Call& c, Windows& g, const View& big, const View& small, int spatial) {
    g.n = big.shape[0];
    g.c = big.shape[big.rank - 1];
    if (small.shape[0] != g.n || small.shape[small.rank - 1] != g.c) return refuse(c, "batch or channel sizes differ");
    g.big = g.big2 = place_of(big, spatial);
    g.small = g.small2 = place_of(small, spatial);
    g.unit = (g.big.c == 1 && g.small.c == 1) || g.c <= 1;
    g.tiled = true;
    for (const Axis& a : g.axis)
        g.tiled = g.tiled && a.pool == a.stride && a.pad == 0 && a.out > 0 && a.out * a.pool <= a.in;
    return true;
}

// From attributes: the geometry of a windowed op. Every window must hold an element.
inline bool sliding_windows(Call& c, Windows& g, const View& big, const View& small) {
    if (c.n_ints < 1 || c.n_floats) return refuse(c, "expected integer attributes");
    const int64_t k = c.ints[0];
    if (k < 1 || k > 3 || c.n_ints != 1 + 3 * k) return refuse(c, "expected 1 to 3 spatial axes with 3 numbers each");
    if (big.rank != k + 2 || small.rank != k + 2) return refuse(c, "arrays differ from the attributes in rank");
    for (Axis& a : g.axis) a = {1, 1, 1, 1, 0};
    for (int i = 0; i < k; ++i) {
        const int64_t* t = c.ints + 1 + 3 * i;
        Axis& a = g.axis[3 - k + i];
        a = {big.shape[1 + i], small.shape[1 + i], t[0], t[1], t[2]};
        constexpr int64_t most = INT32_MAX;
        if (a.pool < 1 || a.stride < 1 || a.pool > most || a.stride > most || a.pad < 0 || a.pad >= a.pool)
            return refuse(c, "pool sizes and strides must be positive and padding smaller than the pool");
        if (a.out && (a.in == 0 || (a.out - 1) > (a.in - 1 + a.pad) / a.stride))
            return refuse(c, "a window lies outside the array");
    }
    return finish_windows(c, g, big, small, (int)k);
}

// One window an image.
inline bool global_window(Call& c, Windows& g, const View& big, const View& small) {
    if (c.n_ints || c.n_floats) return refuse(c, "expected no attributes");
    const int k = big.rank - 2;
    if (k < 1 || k > 3) return refuse(c, "expected 1 to 3 spatial axes");
    if (small.rank != 2 && small.rank != big.rank) return refuse(c, "expected (n, c) or kept dimensions");
    for (Axis& a : g.axis) a = {1, 1, 1, 1, 0};
    for (int i = 0; i < k; ++i) {
        const int64_t in = big.shape[1 + i];
        g.axis[3 - k + i] = {in, 1, in, in, 0};
        if (small.rank != 2 && small.shape[1 + i] != 1) return refuse(c, "expected kept dimensions of size 1");
    }
    return finish_windows(c, g, big, small, k);
}

// Which taps hold the window's largest element: equal to it, or NaN where it is NaN.
QUERNEL_INLINE vm same_value(vf x, vf y) { return m_or(eq(x, y), m_and(isnan(x), isnan(y))); }

// A further array of an op lies like `big` (or `small`): shape checked, strides kept.
inline bool further(Call& c, Windows& g, const View& v, const View& like, Place& place) {
    if (!same_shape(v, like)) return refuse(c, "arrays that belong together differ in shape");
    place = place_of(v, like.rank == 2 ? 3 : like.rank - 2);
    g.unit = g.unit && (place.c == 1 || g.c <= 1);
    return true;
}

// What running costs: every element of `bigs` big and `smalls` small arrays moves once.
inline void estimate_windows(Call& c, const Windows& g, int bigs, int smalls, int64_t pieces) {
    c.flops = 2.0 * g.windows() * g.taps() * g.c;
    c.bytes = 4.0 * g.c * ((double)bigs * g.elements() + (double)smalls * g.windows());
    c.ranks = worth(c, pieces);
}

}  // namespace window
}  // namespace QUERNEL_ISA
}  // namespace quernel
