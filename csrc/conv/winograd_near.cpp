// winograd_near: one row of points: its transform of the image, and its products in tiles of 3 blocks.
#include "conv/winograd_near.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int BLOCKS = VL == 16 ? 3 : 1;  // of a tile: 4 points, 2 vectors; 24 sums of 32 registers, 8 of 16
constexpr int SIDE = 4;

template <int ROW>
void transform(const Source& s, const Run& run, int64_t k, int64_t channels, float* v, int32_t* flags) {
    constexpr int FIRST = ROW == 0 ? 0 : ROW == 2 ? 2 : 1, SECOND = ROW == 3 ? 3 : ROW == 2 ? 1 : 2;
    constexpr bool LOOK = ROW == 0 || ROW == 3;
    const Images& x = s.x;
    const int64_t high = s.size[0], wide = s.size[1], top = 2 * run.y - s.before[0], left = s.before[1];
    const auto line = [&](int r, ptrdiff_t& step) {
        const bool have = top + r >= 0 && top + r < high;
        step = have ? x.at[2] : 0;
        return have ? x.data + run.n * x.n + (top + r) * x.at[1] + k : NOTHING;
    };
    ptrdiff_t step, other_step;
    const float* const first = line(FIRST, step);
    const float* const second = line(SECOND, other_step);
    const vi magnitude = seti(0x7fffffff);
    const auto column = [&](int64_t at, vf& q, vf& largest) __attribute__((always_inline)) {
        if (at < 0 || at >= wide) {
            q = zero(), largest = zero();
            return;
        }
        const vf a = loadu(first + at * step), b = loadu(second + at * other_step);
        q = ROW == 1 ? add(a, b) : sub(a, b);
        if (LOOK) largest = larger(floats(andi(bits(a), magnitude)), floats(andi(bits(b), magnitude)));
    };
    float* to = v + run.at * SIDE * channels + k;
    int32_t* flag = flags + run.at;
    vf a, b, c, d, large_a, large_b, large_c, large_d;
    column(2 * run.x0 - left, a, large_a);
    column(2 * run.x0 + 1 - left, b, large_b);
    for (int64_t at = 2 * run.x0 + 2 - left, end = 2 * run.x1 + 2 - left; at < end; at += 2) {
        column(at, c, large_c);
        column(at + 1, d, large_d);
        storeu(to, sub(a, c));
        storeu(to + channels, add(b, c));
        storeu(to + 2 * channels, sub(c, b));
        storeu(to + 3 * channels, sub(b, d));
        to += SIDE * channels;
        if (LOOK) *flag++ |= any(ge(larger(larger(large_a, large_b), larger(large_c, large_d)), set1(HUGE_X)));
        a = c, b = d;
        if (LOOK) large_a = large_c, large_b = large_d;
    }
}

// N blocks from `first` on.
template <int N>
void tile(int row, const NearProducts& p, int64_t first) {
    const int64_t channels = p.channels, columns = p.columns;
    const float* const v = p.v + first * SIDE * channels;
    const float* u = p.u;
    float* const sums = p.sums + first * SIDE * columns + p.j;
#pragma GCC unroll 3
    for (int i = 0; i < N; ++i)
        for (int64_t j = p.j; j < p.j + NEAR_COLUMNS; j += VL) {
            __builtin_prefetch(p.results.of[(first + i) * SIDE + row] + j, 1, 2);
            if (j < channels) __builtin_prefetch(p.images.of[(first + i) * SIDE + row] + j, 0, 2);
        }
    const ptrdiff_t point = channels * (ptrdiff_t)sizeof(float);
    const char* a[N];
#pragma GCC unroll 3
    for (int i = 0; i < N; ++i) a[i] = reinterpret_cast<const char*>(v + i * SIDE * channels);
    vf acc[SIDE][N][2];
#pragma GCC unroll 4
    for (int s = 0; s < SIDE; ++s)
#pragma GCC unroll 3
        for (int i = 0; i < N; ++i) acc[s][i][0] = zero(), acc[s][i][1] = zero();
    for (int64_t k = channels; k > 0; --k) {
#pragma GCC unroll 4
        for (int s = 0; s < SIDE; ++s) {
            const vf b0 = held(loadu(u + s * NEAR_COLUMNS)), b1 = held(loadu(u + s * NEAR_COLUMNS + VL));
#pragma GCC unroll 3
            for (int i = 0; i < N; ++i) {
                const vf av = set1(*reinterpret_cast<const float*>(a[i] + s * point));
                acc[s][i][0] = fma(av, b0, acc[s][i][0]);
                acc[s][i][1] = fma(av, b1, acc[s][i][1]);
            }
        }
        u += SIDE * NEAR_COLUMNS;
#pragma GCC unroll 3
        for (int i = 0; i < N; ++i) {
            a[i] += sizeof(float);
            asm volatile("" : "+r"(a[i]));
        }
        asm volatile("" : "+r"(u));
    }
#pragma GCC unroll 3
    for (int i = 0; i < N; ++i)
#pragma GCC unroll 2
        for (int c = 0; c < 2; ++c) {
            const vf m0 = acc[0][i][c], m1 = acc[1][i][c], m2 = acc[2][i][c], m3 = acc[3][i][c];
            const vf half[2] = {add(add(m0, m1), m2), sub(sub(m1, m2), m3)};
#pragma GCC unroll 2
            for (int s = 0; s < 2; ++s) {
                float* const y0 = sums + (i * SIDE + s) * columns + c * VL;
                float* const y1 = y0 + 2 * columns;
                if (row == 0) storeu(y0, half[s]);
                if (row == 1 || row == 2) storeu(y0, add(loadu(y0), half[s]));
                if (row == 1) storeu(y1, half[s]);
                if (row >= 2) storeu(y1, sub(loadu(y1), half[s]));
            }
        }
}

}  // namespace

void transform_near(int row, const Source& source, const Run& run, int64_t k, int64_t channels, float* v,
                    int32_t* flags) {
    constexpr decltype(&transform<0>) rows[SIDE] = {transform<0>, transform<1>, transform<2>, transform<3>};
    rows[row](source, run, k, channels, v, flags);
}

void multiply_near(int row, const NearProducts& p) {
    int64_t i = 0;
    for (; i + BLOCKS <= p.blocks; i += BLOCKS) tile<BLOCKS>(row, p, i);
    for (; i < p.blocks; ++i) tile<1>(row, p, i);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
