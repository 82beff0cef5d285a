// winograd: which convolutions go this way.
#include "conv/winograd.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

// Products of one image in the direct sum: taps that a border clips are none.
int64_t direct_products(const Conv& v) {
    int64_t n = 1;
    for (const Axis& a : v.axis) {
        int64_t taps = 0;
        for (int64_t t = 0; t < a.taps; ++t) {
            const Range r = valid(a, t);
            if (r.end > r.begin) taps += r.end - r.begin;
        }
        n *= taps;
    }
    return n;
}

// Blocks of 2 x 2 positions of an image, which has `in` or `out` of them, or 0 where v is not 3 x 3 with stride 1.
int64_t blocks_of(const Conv& v, int64_t Axis::* size) {
    if (v.axis[0].in != 1 || v.axis[0].out != 1) return 0;
    int64_t blocks = 1;
    for (int d = 0; d < SPATIAL; ++d) {
        const Axis& a = v.axis[d];
        if (a.taps != (d ? 3 : 1) || (d && (a.stride != 1 || a.dilation != 1))) return 0;
        if (d) blocks *= (a.*size + 1) / 2;
    }
    return blocks;
}

// Fewer channels or filters: the transforms are as long as the products, (28, 28, 16) -> 16 gained 8 %. Few blocks: the
// weights' transform, which one image pays as well, 16 for (7, 7, 256) -> 256 lost. Many clipped taps, or blocks that
// stick out: little is left of 2.25, the gradient of (13, 13, 32) with 1.39 times fewer products gained 4 %, and more
// where a pool drops its rim.
bool pays(const Conv& v, int64_t blocks) {
    return v.c >= 32 && v.o >= 32 && blocks >= 36 && direct_products(v) >= blocks * 22;
}

}  // namespace

bool pays_winograd(const Conv& v, bool dx) { return pays(v, blocks_of(v, dx ? &Axis::in : &Axis::out)); }

bool pays_winograd_dw(const Conv& v) {
    for (int d = 1; d < SPATIAL; ++d)  // blocks read every x that the direct sum may have to look at
        if (v.axis[d].out + 2 - v.axis[d].low < v.axis[d].in) return false;
    return v.c % 4 == 0 && v.o % 4 == 0 && pays(v, blocks_of(v, &Axis::out));
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
