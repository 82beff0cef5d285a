// depthwise_conv_dw: dw[t, c, m] = sum over n, p of x[n, i, c] * dy[n, p, c * M + m], vectors along the channels.
//
// Attributes and absent taps as in depthwise.cpp. Order: one chain of fused multiply-adds in (n, p) order, broken every
// 512 logical terms, block sums added in order to +0. A rank owns channels and rows of taps and sums them over all
// images.
#include "conv/conv.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int TAPS =
    3;  // taps of a row that are summed together: with 2 vectors of channels 6 chains, and 2 loads of dy
constexpr int WIDTH = 2;  // vectors of channels

struct Weights {
    Conv v;
    Images x, dy;  // dy.c: from channel to channel
    float* dw;
    ptrdiff_t dy_m, dw_tap[SPATIAL], dw_c, dw_m;
    int64_t positions, groups, units;  // groups of taps in a row; units of work: (m, channels, taps)
};

struct Job {
    const Weights& s;
    int64_t tap[SPATIAL];
    Range range[TAPS];    // positions along a row that each tap meets
    ptrdiff_t origin;     // of the taps in x, without the taps along the row
    const float *x, *dy;  // at the job's channels
};

// Adds the terms of positions [begin, end) of a row to the chains.
template <int T, int V, bool UNIT>
QUERNEL_INLINE void span(const Job& job, vf (&acc)[TAPS][WIDTH], const float* x, const float* dy, int64_t begin,
                         int64_t end, bool check, int lanes) {
    const Axis& a = job.s.v.axis[2];
    const ptrdiff_t step = a.stride * job.s.x.at[2], hop = a.dilation * job.s.x.at[2];
    const auto load = [lanes](const float* p, ptrdiff_t stride, int v) __attribute__((always_inline)) {
        if (UNIT) return v == V - 1 ? load_n(p + v * VL, lanes) : loadu(p + v * VL);
        alignas(64) float row[VL] = {};
        for (int j = 0; j < (v == V - 1 ? lanes : VL); ++j) row[j] = p[(v * VL + j) * stride];
        return loadu(row);
    };
    for (int64_t i = begin; i < end; ++i) {
        const float* const d = dy + i * job.s.dy.at[2];
        const float* const p = x + i * step;
        vf dv[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) dv[v] = load(d, job.s.dy.c, v);
#pragma GCC unroll 3
        for (int t = 0; t < T; ++t) {
            if (check && (i < job.range[t].begin || i >= job.range[t].end)) continue;
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) acc[t][v] = fma(load(p + t * hop, job.s.x.c, v), dv[v], acc[t][v]);
        }
    }
}

// One block of the chain: terms [k0, k1). sums: [tap][channel], WIDTH * VL channels a tap.
template <int T, int V, bool UNIT>
void block(const Job& job, int64_t k0, int64_t k1, int lanes, float* sums) {
    const Axis* a = job.s.v.axis;
    const int64_t rows = a[0].out * a[1].out;
    Range all = job.range[0];
    for (int t = 1; t < T; ++t) {
        if (job.range[t].begin > all.begin) all.begin = job.range[t].begin;
        if (job.range[t].end < all.end) all.end = job.range[t].end;
    }
    if (all.begin >= all.end) all = {0, 0};
    const Range h = valid(a[1], job.tap[1]), d = valid(a[0], job.tap[0]);
    vf acc[TAPS][WIDTH];
#pragma GCC unroll 3
    for (int t = 0; t < T; ++t)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) acc[t][v] = zero();
    for (int64_t row = k0 / a[2].out; row * a[2].out < k1; ++row) {
        const int64_t n = row / rows, y = row % a[1].out, z = row / a[1].out % a[0].out;
        if (y < h.begin || y >= h.end || z < d.begin || z >= d.end) continue;
        const int64_t begin = k0 > row * a[2].out ? k0 - row * a[2].out : 0;
        const int64_t end = k1 - row * a[2].out < a[2].out ? k1 - row * a[2].out : a[2].out;
        const float* const x =
            job.x + n * job.s.x.n + z * a[0].stride * job.s.x.at[0] + y * a[1].stride * job.s.x.at[1];
        const float* const dy = job.dy + n * job.s.dy.n + z * job.s.dy.at[0] + y * job.s.dy.at[1];
        const int64_t left = begin > all.begin ? begin : all.begin < end ? all.begin : end;
        const int64_t right = end < all.end ? end : all.end > left ? all.end : left;
        span<T, V, UNIT>(job, acc, x, dy, begin, left, true, lanes);
        span<T, V, UNIT>(job, acc, x, dy, left, right, false, lanes);
        span<T, V, UNIT>(job, acc, x, dy, right, end, true, lanes);
    }
#pragma GCC unroll 3
    for (int t = 0; t < T; ++t)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) {
            float* const to = sums + (t * WIDTH + v) * VL;
            storeu(to, add(loadu(to), acc[t][v]));
        }
}

template <bool UNIT>
void block_of(int64_t taps, int vectors, const Job& job, int64_t k0, int64_t k1, int lanes, float* sums) {
    if (taps == 3)
        return vectors == 2 ? block<3, 2, UNIT>(job, k0, k1, lanes, sums) : block<3, 1, UNIT>(job, k0, k1, lanes, sums);
    if (taps == 2)
        return vectors == 2 ? block<2, 2, UNIT>(job, k0, k1, lanes, sums) : block<2, 1, UNIT>(job, k0, k1, lanes, sums);
    return vectors == 2 ? block<1, 2, UNIT>(job, k0, k1, lanes, sums) : block<1, 1, UNIT>(job, k0, k1, lanes, sums);
}

}  // namespace

bool depthwise_conv_dw_prepare(Call& call) {
    if (call.n_in != 2 || call.n_out != 1) return refuse(call, "expected x, dy and dw");
    const View &x = call.in[0], &dy = call.in[1], &dw = call.out[0];
    Weights& s = call.as<Weights>();
    s = {};
    if (!parse(call, x, dy, dw, s.v, true)) return false;
    s.x = images(x), s.dy = images(dy), s.dw = dw.f32w();
    s.dy_m = s.dy.c, s.dy.c *= s.v.o;
    tap_strides(dw, s.dw_tap);
    s.dw_c = dw.stride[dw.rank - 2], s.dw_m = dw.stride[dw.rank - 1];
    const Axis* a = s.v.axis;
    s.positions = a[0].out * a[1].out * a[2].out;
    s.groups = (a[2].taps + TAPS - 1) / TAPS;
    s.units = s.v.o * ((s.v.c + WIDTH * VL - 1) / (WIDTH * VL)) * a[0].taps * a[1].taps * s.groups;
    call.flops = 2.0 * dy.size() * s.v.taps;
    call.bytes = 4.0 * (x.size() + dy.size());
    call.ranks = worth(call, s.units);
    call.scratch = s.units * TAPS * WIDTH * VL * 4;
    return true;
}

void depthwise_conv_dw_run(const Call& call, const Team& team, char* scratch) {
    const Weights& s = call.as<Weights>();
    const Axis* a = s.v.axis;
    const int64_t rows = a[0].taps * a[1].taps * s.groups, blocks = (s.v.c + WIDTH * VL - 1) / (WIDTH * VL);
    const int64_t total = s.v.n * s.positions;
    const Range mine = split(s.units, team);
    float* const sums = reinterpret_cast<float*>(scratch);
    for (int64_t i = mine.begin * TAPS * WIDTH * VL; i < mine.end * TAPS * WIDTH * VL; ++i) sums[i] = 0;
    const auto each = [&](auto body) {  // (m, first channel, taps, first tap, sums)
        for (int64_t i = mine.begin; i < mine.end; ++i) {
            const int64_t row = i % rows, c = i / rows % blocks * (WIDTH * VL), m = i / rows / blocks;
            const int64_t tap[SPATIAL] = {row / s.groups / a[1].taps, row / s.groups % a[1].taps,
                                          row % s.groups * TAPS};
            const int64_t taps = a[2].taps - tap[2] < TAPS ? a[2].taps - tap[2] : TAPS;
            body(m, c, taps, tap, sums + i * TAPS * WIDTH * VL);
        }
    };
    for (int64_t k0 = 0; k0 < total; k0 += CHAIN) {  // x and dy of one block stay in L2 while channels and taps pass
        const int64_t k1 = k0 + CHAIN < total ? k0 + CHAIN : total;
        each([&](int64_t m, int64_t c, int64_t taps, const int64_t* tap, float* sum) {
            Job job{s, {tap[0], tap[1], tap[2]}, {}, 0, nullptr, s.dy.data + m * s.dy_m + c * s.dy.c};
            for (int64_t t = 0; t < taps; ++t) job.range[t] = valid(a[2], tap[2] + t);
            for (int d = 0; d < SPATIAL; ++d) job.origin += (tap[d] * a[d].dilation - a[d].low) * s.x.at[d];
            job.x = s.x.data + job.origin + c * s.x.c;
            const int64_t left = s.v.c - c;
            const int vectors = left > VL ? 2 : 1, lanes = left < vectors * VL ? (int)(left - (vectors - 1) * VL) : VL;
            if ((s.x.c == 1 && s.dy.c == 1) || s.v.c == 1)
                block_of<true>(taps, vectors, job, k0, k1, lanes, sum);
            else
                block_of<false>(taps, vectors, job, k0, k1, lanes, sum);
        });
    }
    each([&](int64_t m, int64_t c, int64_t taps, const int64_t* tap, const float* sum) {
        for (int64_t t = 0; t < taps; ++t) {
            float* const to = s.dw + tap[0] * s.dw_tap[0] + tap[1] * s.dw_tap[1] + (tap[2] + t) * s.dw_tap[2] +
                              c * s.dw_c + m * s.dw_m;
            for (int64_t j = 0; j < WIDTH * VL && c + j < s.v.c; ++j) to[j * s.dw_c] = sum[t * WIDTH * VL + j];
        }
    });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
