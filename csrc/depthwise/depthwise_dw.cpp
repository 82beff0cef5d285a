// depthwise_conv_dw: dw[t, c, m] = sum over n, p of x[n, i, c] * dy[n, p, c * M + m], vectors along the channels.
//
// Attributes and absent taps as in depthwise.cpp. Order: one chain of fused multiply-adds in (n, p) order, broken every
// 512 logical terms, block sums added in order to +0.
//
// Ranks share blocks of 512 terms, so each reads images of its own, one row after the other with all channels; the
// blocks' sums meet in scratch and are added in order, a wave of blocks at a time. Before, a few channels went through
// a whole block and three taps before the next did, which read memory in pieces of 128 bytes: 1.5 times the time on
// (28, 28, 128).
#include "depthwise/row.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int TAPS = 3;                  // of a row of the kernel, and rows: 9 taps share a load of dy
constexpr int WIDTH = VL == 16 ? 2 : 1;  // vectors of channels: 18 chains of 32 registers, 9 of 16
constexpr int64_t MOST_SUMS = 4 << 20;   // bytes of sums in a wave

// Bytes of images from which fetching the next rows pays, and that of dy too, unless 32 channels read it whole.
constexpr int64_t BEYOND_L2 = 2 << 20, BEYOND_L3 = 16 << 20;

struct Weights {
    Conv v;
    Images x, dy;  // dy.c: from channel to channel
    float* dw;
    ptrdiff_t dy_m, dw_tap[SPATIAL], dw_c, dw_m;
    int64_t positions, blocks, wave;  // blocks of 512 terms; how many of them in a wave
    int64_t slices, high, each;       // of channels, for every m; floats of sums: of a slice, of a block
    int64_t sums;                     // bytes
};

// Taps (h, w) and on, at a slice's channels, and the positions [begin, end) of a row of y.
struct Job {
    const Weights& s;
    const float *x, *dy;  // where tap 0, 0 of the job reads position 0, or would; position 0 of dy
    int64_t begin, end;
    Range range[TAPS];  // positions that each tap along the row meets
    float* sums;        // of the first tap
    ptrdiff_t sums_h;   // from a row of taps to the next
    int lanes;          // of the last vector
};

enum Kind { STRIDED, PART, WHOLE };  // one vector of channels with strides, one with a tail, WIDTH full ones

template <int H, int W, Kind KIND>
void rows(const Job& job) {
    constexpr int V = KIND == WHOLE ? WIDTH : 1;
    const Axis* const a = job.s.v.axis;
    const ptrdiff_t step = a[2].stride * job.s.x.at[2], hop = a[2].dilation * job.s.x.at[2];
    const ptrdiff_t down = a[1].dilation * job.s.x.at[1], dy_step = job.s.dy.at[2];
    // The row that the next row of y reads first, and the next row of dy: fetched into L2 while this one is summed,
    // about 0.75 of the time; L1 does not hold them until then (0.87 of the time of fetching them there).
    const ptrdiff_t ahead = a[1].stride * job.s.x.at[1] + (W - 1) * hop, dy_ahead = job.s.dy.at[1];
    const int lanes = job.lanes;
    const auto load = [lanes](const float* p, ptrdiff_t stride, int v) __attribute__((always_inline)) {
        if (KIND == WHOLE) return loadu(p + v * VL);
        if (KIND == PART) return load_n(p, lanes);
        alignas(64) float row[VL] = {};
        for (int j = 0; j < lanes; ++j) row[j] = p[j * stride];
        return loadu(row);
    };
    vf acc[H][W][V];
    const auto each = [&](auto body) __attribute__((always_inline)) {
#pragma GCC unroll 3
        for (int h = 0; h < H; ++h)
#pragma GCC unroll 3
            for (int w = 0; w < W; ++w)
#pragma GCC unroll 2
                for (int v = 0; v < V; ++v) body(h, w, v);
    };
    each([&](int h, int w, int v)
             __attribute__((always_inline)) { acc[h][w][v] = loadu(job.sums + h * job.sums_h + w * SLICE + v * VL); });
    int64_t i = job.begin;
    const float* d = job.dy + i * dy_step;
    const float* x0 = job.x + i * step;
    const float* x1 = x0 + (H > 1 ? down : 0);
    const float* x2 = x0 + (H > 2 ? 2 * down : 0);
    const auto fetch = [&](const float* d_, const float* x_, int v) __attribute__((always_inline)) {
        __builtin_prefetch(d_ + dy_ahead + v * VL, 0, 2);
        __builtin_prefetch(x_ + ahead + v * VL, 0, 2);
    };
    const auto terms = [&](int64_t end, auto some) __attribute__((always_inline)) {
        for (; i < end; ++i) {
            vf dv[V];
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) {
                dv[v] = load(d, job.s.dy.c, v);
                fetch(d, H > 2 ? x2 : H > 1 ? x1 : x0, v);
            }
#pragma GCC unroll 3
            for (int h = 0; h < H; ++h)
#pragma GCC unroll 3
                for (int w = 0; w < W; ++w) {
                    if (decltype(some)::value && (i < job.range[w].begin || i >= job.range[w].end)) continue;
                    const float* const p = (h == 0 ? x0 : h == 1 ? x1 : x2) + w * hop;
#pragma GCC unroll 2
                    for (int v = 0; v < V; ++v) acc[h][w][v] = fma(load(p, job.s.x.c, v), dv[v], acc[h][w][v]);
                }
            d += dy_step;
            x0 += step;
            if constexpr (H > 1) x1 += step;
            if constexpr (H > 2) x2 += step;
        }
    };
    Range all = job.range[0];
    for (int w = 1; w < W; ++w) {
        if (job.range[w].begin > all.begin) all.begin = job.range[w].begin;
        if (job.range[w].end < all.end) all.end = job.range[w].end;
    }
    terms(all.begin < job.end ? all.begin : job.end, Some<true>{});
    terms(all.end < job.end ? all.end : job.end, Some<false>{});
    terms(job.end, Some<true>{});
    each([&](int h, int w, int v)
             __attribute__((always_inline)) { storeu(job.sums + h * job.sums_h + w * SLICE + v * VL, acc[h][w][v]); });
}

using Run = void (*)(const Job&);
struct Runs {
    Run run[WHOLE + 1][TAPS + 1][TAPS + 1];
};
template <Kind KIND, int H, int W>
constexpr void fill(Runs& r) {
    if constexpr (W > 0) {
        r.run[KIND][H][W] = rows<H, W, KIND>;
        fill<KIND, H, W - 1>(r);
    } else if constexpr (H > 1) {
        fill<KIND, H - 1, TAPS>(r);
    }
}
constexpr Runs make_runs() {
    Runs r{};
    fill<STRIDED, 1, 1>(r);
    fill<PART, TAPS, TAPS>(r);
    fill<WHOLE, TAPS, TAPS>(r);
    return r;
}
constexpr Runs RUNS = make_runs();

// The chains of positions [begin, end) of one row of y, of slices [first, last); sums: of all slices, (tap, SLICE)
// each.
void add_terms(const Weights& s, int64_t n, int64_t z, int64_t y, int64_t begin, int64_t end, int64_t first,
               int64_t last, float* sums) {
    const Axis* const a = s.v.axis;
    const bool unit = (s.x.c == 1 && s.dy.c == 1) || s.v.c == 1;
    const int64_t size = s.v.n * s.x.n * (int64_t)sizeof(float);
    const int64_t slices = s.slices / s.v.o;
    const int most = unit ? TAPS : 1;
    const float* const x = s.x.data + n * s.x.n + (z * a[0].stride - a[0].low) * s.x.at[0] +
                           (y * a[1].stride - a[1].low) * s.x.at[1] - a[2].low * s.x.at[2];
    const float* const dy = s.dy.data + n * s.dy.n + z * s.dy.at[0] + y * s.dy.at[1];
    int64_t top = 0, bottom = a[1].taps;  // rows of the kernel that meet this row
    const int64_t origin = y * a[1].stride - a[1].low;
    while (top < bottom && origin + top * a[1].dilation < 0) ++top;
    while (top < bottom && origin + (bottom - 1) * a[1].dilation >= a[1].in) --bottom;
    for (int64_t d = 0; d < a[0].taps; ++d) {
        const int64_t at_d = z * a[0].stride + d * a[0].dilation - a[0].low;
        if (at_d < 0 || at_d >= a[0].in) continue;
        for (int64_t h = top; h < bottom; h += most)
            for (int64_t w = 0; w < a[2].taps; w += most) {
                const int64_t high = bottom - h < most ? bottom - h : most;
                const int64_t wide = a[2].taps - w < most ? a[2].taps - w : most;
                const float* const from =
                    x + d * a[0].dilation * s.x.at[0] + h * a[1].dilation * s.x.at[1] + w * a[2].dilation * s.x.at[2];
                float* const to = sums + ((d * a[1].taps + h) * a[2].taps + w) * SLICE;
                const bool ahead = h + high == bottom && s.x.at[2] == s.v.c && s.dy.at[2] == s.v.c;
                const Row row{from,
                              dy,
                              a[1].dilation * s.x.at[1],
                              s.x.at[2],
                              s.dy.at[2],
                              begin,
                              end,
                              a[2].low - w,
                              a[2].low - w + a[2].in,
                              high,
                              a[2].stride,
                              first * SLICE,
                              last * SLICE < s.v.c ? last * SLICE : s.v.c,
                              to,
                              a[2].taps * SLICE,
                              s.high,
                              from + high * a[1].dilation * s.x.at[1] + begin * a[2].stride * s.x.at[2],
                              dy + s.dy.at[1] + begin * s.dy.at[2],
                              ahead && size >= BEYOND_L2,
                              ahead && size >= BEYOND_L3 && a[2].stride == 1 && s.v.c >= SLICE};
                if (unit && s.v.o == 1 && wide == ROW_TAPS && a[2].dilation == 1 && fits(row)) {
                    add_row(row);
                    continue;
                }
                Job job{s, nullptr, nullptr, begin, end, {}, nullptr, a[2].taps * SLICE, 0};
                for (int64_t t = 0; t < wide; ++t) {
                    job.range[t] = valid(a[2], w + t);
                    if (job.range[t].begin < begin) job.range[t].begin = begin;
                    if (job.range[t].end < begin) job.range[t].end = begin;
                }
                for (int64_t slice = first; slice < last; ++slice) {
                    const int64_t c0 = slice % slices * SLICE, m = slice / slices;
                    const int64_t c1 = c0 + SLICE < s.v.c ? c0 + SLICE : s.v.c;
                    for (int64_t c = c0; c < c1;) {
                        const int64_t left = c1 - c;
                        const Kind kind = !unit ? STRIDED : left < WIDTH * VL ? PART : WHOLE;
                        job.x = from + c * s.x.c, job.dy = dy + m * s.dy_m + c * s.dy.c;
                        job.sums = to + slice * s.high + c - c0;
                        job.lanes = left < VL ? (int)left : VL;
                        RUNS.run[kind][high][wide](job);
                        c += kind == WHOLE ? WIDTH * VL : VL;
                    }
                }
            }
    }
}

}  // namespace

bool depthwise_conv_dw_prepare(Call& call) {
    if (call.n_in != 2 || call.n_out != 1) return refuse(call, "expected x, dy and dw");
    const View &x = call.in[0], &dy = call.in[1], &dw = call.out[0];
    Weights& s = call.as<Weights>();
    s = {};
    if (!parse(call, x, dy, dw, s.v, DEPTHWISE)) return false;
    s.x = images(x), s.dy = images(dy), s.dw = dw.f32w();
    s.dy_m = s.dy.c, s.dy.c *= s.v.o;
    tap_strides(dw, s.dw_tap);
    s.dw_c = dw.stride[dw.rank - 2], s.dw_m = dw.stride[dw.rank - 1];
    const Axis* a = s.v.axis;
    s.positions = a[0].out * a[1].out * a[2].out;
    s.blocks = (s.v.n * s.positions + CHAIN - 1) / CHAIN;
    s.slices = s.v.o * ((s.v.c + SLICE - 1) / SLICE);
    s.high = s.v.taps * SLICE;
    s.each = s.slices * s.high;
    s.wave = s.each ? MOST_SUMS / (4 * s.each) : 0;
    if (s.wave < 8) s.wave = 8;
    if (s.wave > s.blocks) s.wave = s.blocks;
    s.sums = align64(4 * s.each);
    call.flops = 2.0 * dy.size() * s.v.taps;
    call.bytes = 4.0 * (x.size() + dy.size());
    call.ranks = worth(call, s.wave * s.slices);
    call.scratch = s.sums * (1 + s.wave);
    return true;
}

void depthwise_conv_dw_run(const Call& call, const Team& team, char* scratch) {
    const Weights& s = call.as<Weights>();
    const Axis* a = s.v.axis;
    float* const total = reinterpret_cast<float*>(scratch);
    float* const waves = total + s.sums / 4;
    const int64_t terms = s.v.n * s.positions, slices = s.slices / (s.v.o ? s.v.o : 1);
    const Range own = split(s.each, team);  // of the sums
    for (int64_t i = own.begin; i < own.end; ++i) total[i] = 0;
    for (int64_t b0 = 0; b0 < s.blocks; b0 += s.wave) {
        const int64_t count = s.wave < s.blocks - b0 ? s.wave : s.blocks - b0;
        const Range mine = split(count * s.slices, team);
        for (int64_t i = mine.begin * s.high; i < mine.end * s.high; ++i) waves[i] = 0;
        for (int64_t item = mine.begin; item < mine.end;) {
            const int64_t b = item / s.slices, first = item % s.slices;
            const int64_t last = mine.end - b * s.slices < s.slices ? mine.end - b * s.slices : s.slices;
            const int64_t k1 = (b0 + b + 1) * CHAIN < terms ? (b0 + b + 1) * CHAIN : terms;
            for (int64_t k = (b0 + b) * CHAIN; k < k1;) {  // a row at a time
                const int64_t row = k / a[2].out, begin = k - row * a[2].out;
                const int64_t end = k1 - row * a[2].out < a[2].out ? k1 - row * a[2].out : a[2].out;
                add_terms(s, row / (a[0].out * a[1].out), row / a[1].out % a[0].out, row % a[1].out, begin, end, first,
                          last, waves + b * s.each);
                k += end - begin;
            }
            item += last - first;
        }
        team.barrier();
        for (int64_t b = 0; b < count; ++b)
            for (int64_t i = own.begin; i < own.end; ++i) total[i] = total[i] + waves[b * s.each + i];
        team.barrier();
    }
    for (int64_t slice = team.rank; slice < s.slices; slice += team.size) {
        const int64_t c = slice % slices * SLICE, m = slice / slices;
        for (int64_t t = 0; t < s.v.taps; ++t) {
            float* const to = s.dw + t / (a[1].taps * a[2].taps) * s.dw_tap[0] +
                              t / a[2].taps % a[1].taps * s.dw_tap[1] + t % a[2].taps * s.dw_tap[2] + c * s.dw_c +
                              m * s.dw_m;
            const float* const sum = total + slice * s.high + t * SLICE;
            for (int64_t j = 0; j < SLICE && c + j < s.v.c; ++j) to[j * s.dw_c] = sum[j];
        }
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
