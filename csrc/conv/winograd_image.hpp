// winograd_image: what both ways through F(2 x 2, 3 x 3) and F(3 x 3, 2 x 2) share: runs of blocks, B' d B of the
// image.
#pragma once
#include "conv/conv.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int POINTS = 16;
constexpr float HUGE_X = 0x1p120f;  // from here on the direct sum

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Blocks x0 <= x < x1 of one row of blocks of one image, which stand from `at` on in their group.
struct Run {
    int64_t n, y, x0, x1, at;
};

// `lanes` floats, `step` apart.
__attribute__((noinline)) inline vf collect(const float* p, ptrdiff_t step, int lanes) {
    alignas(64) float x[VL] = {};
    for (int i = 0; i < lanes; ++i) x[i] = p[i * step];
    return loadu(x);
}

// Four places, `step` apart; the asm keeps GCC from making a pointer of its own for each.
template <class T>
struct Four {
    T* first;
    ptrdiff_t step;
    QUERNEL_INLINE T* operator[](int i) const { return first + i * step; }
    QUERNEL_INLINE void next(ptrdiff_t by) {
        first += by;
        asm volatile("" : "+r"(first));
    }
};

alignas(64) constexpr float NOTHING[VL] = {};

// The image read: positions along its last two axes, and how many before the first are read as 0.
struct Source {
    Images x;
    int64_t size[2], before[2];
};

// Where V lies: points and blocks are apart by so much.
struct Place {
    ptrdiff_t point, block;
};

// Rows FIRST to FIRST + ROWS of B' d B, of channels k to k + lanes, for the blocks of a run; v: those of the group's
// first block. PLAIN: a whole vector of neighbours. flags[block] becomes 1 where a magnitude that was read is too
// large.
template <bool PLAIN, int FIRST, int ROWS>
void transform_image(const Source& s, const Place& place, const Run& run, int64_t k, int lanes, float* v,
                     int32_t* flags) {
    constexpr int LOW = FIRST ? 1 : 0, HIGH = FIRST + ROWS == 4 ? 4 : 3;  // row 0 needs no d3, row 3 no d0
    const Images& x = s.x;
    const int64_t high = s.size[0], wide = s.size[1], left = s.before[1];
    const ptrdiff_t x_c = x.c;
    const float* rows[4];
    ptrdiff_t steps[4];
#pragma GCC unroll 4
    for (int r = LOW; r < HIGH; ++r) {
        const int64_t at = 2 * run.y + r - s.before[0];
        const bool have = at >= 0 && at < high;
        rows[r] = have ? x.data + run.n * x.n + at * x.at[1] + k * x_c : NOTHING;
        steps[r] = have ? x.at[2] : 0;
    }
    const vi magnitude = seti(0x7fffffff);
    struct Column {
        vf q[4], largest;
    };
    const auto column = [&](int64_t at, Column& c) __attribute__((always_inline)) {
        if (at < 0 || at >= wide) {
#pragma GCC unroll 4
            for (int r = 0; r < 4; ++r) c.q[r] = zero();
            c.largest = zero();
            return;
        }
        vf d[4] = {zero(), zero(), zero(), zero()}, size[4] = {zero(), zero(), zero(), zero()};
#pragma GCC unroll 4
        for (int r = LOW; r < HIGH; ++r) {
            const float* const p = rows[r] + at * steps[r];
            d[r] = PLAIN ? loadu(p) : collect(p, rows[r] == NOTHING ? 0 : x_c, lanes);
            size[r] = floats(andi(bits(d[r]), magnitude));
        }
        c.q[0] = sub(d[0], d[2]);
        c.q[1] = add(d[1], d[2]);
        c.q[2] = sub(d[2], d[1]);
        c.q[3] = sub(d[1], d[3]);
        c.largest = larger(size[1], size[2]);
        if (LOW == 0) c.largest = larger(c.largest, size[0]);
        if (HIGH == 4) c.largest = larger(c.largest, size[3]);
    };
    const ptrdiff_t point = place.point, block = place.block;
    float* const to = v + run.at * block;
    Four<float> out[4];
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r) out[r] = {to + 4 * r * point, point};
    int32_t* flag = flags + run.at;
    Column a, b, c, d;
    column(2 * run.x0 - left, a);
    column(2 * run.x0 + 1 - left, b);
    for (int64_t at = 2 * run.x0 + 2 - left, end = 2 * run.x1 + 2 - left; at < end; at += 2) {
        column(at, c);
        column(at + 1, d);
#pragma GCC unroll 4
        for (int i = 0; i < ROWS; ++i) {
            const int r = FIRST + i;
            const vf values[4] = {sub(a.q[r], c.q[r]), add(b.q[r], c.q[r]), sub(c.q[r], b.q[r]), sub(b.q[r], d.q[r])};
#pragma GCC unroll 4
            for (int p = 0; p < 4; ++p) PLAIN ? storeu(out[i][p], values[p]) : store_n(out[i][p], values[p], lanes);
            out[i].next(block);
        }
        *flag++ |= any(ge(larger(larger(a.largest, b.largest), larger(c.largest, d.largest)), set1(HUGE_X)));
        a = c, b = d;
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
