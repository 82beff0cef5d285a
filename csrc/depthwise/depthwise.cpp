// depthwise_conv_forward and depthwise_conv_dx: every channel under a window of its own, vectors along the channels.
//
//   forward  y[n, p, c * M + m] = activation(b[c * M + m] + sum over t of x[n, i, c] * w[t, c, m])
//   dx       dx[n, i, c]        = sum over t, m of dy[n, p, c * M + m] * w[t, c, m]
//
// with i = p * stride + t * dilation - low; attributes and absent taps as in conv/conv.hpp, groups always 1.
// Order: one chain of fused multiply-adds from +0, forward in tap order, dx in (t, m) order with t from the last tap to
// the first; then bias, activation. Any strides; strided channels are gathered and scattered one by one.
#include "conv/conv.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

struct Window {
    Images from, to;
    int64_t n, size[SPATIAL], taps[SPATIAL], c;
    int64_t outer, inner;    // M of forward and of dx; the other one is 1
    ptrdiff_t from_m, to_m;  // strides of m
    const float* w;
    ptrdiff_t w_tap[SPATIAL], w_c, w_m;
    const float* bias;
    ptrdiff_t bias_c, bias_m;
    Activation activation;
    Axis axis[SPATIAL];
    int64_t (*lines)(const Axis&, Line*);
    int64_t packed, line_room, room;
};

struct Term {
    ptrdiff_t from;  // from the position read first
    const float* w;  // of all channels, packed
};

constexpr int PIXELS = 5, WIDTH = 2;  // 10 chains; 5 pixels share the 2 vectors of weights

// P positions, V vectors of channels; the last vector has `lanes`.
struct Tile {
    const Term* terms;
    int64_t count;
    const float* from;
    ptrdiff_t a_m, a_c;  // strides of positions and channels read
    float* to;
    ptrdiff_t c_m, c_c;
    const float* bias;  // packed, or null
    Activation activation;
    int64_t at;  // first channel
    int lanes;
};

template <int P, int V, bool WHOLE, bool UNIT>
void tile(const Tile& t) {
    const int lanes = WHOLE ? VL : t.lanes;
    const auto load = [lanes](const float* p, int v) __attribute__((always_inline)) {
        return !WHOLE && v == V - 1 ? load_n(p + v * VL, lanes) : loadu(p + v * VL);
    };
    vf acc[P][V];
#pragma GCC unroll 8
    for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) acc[i][v] = zero();
    for (int64_t u = 0; u < t.count; ++u) {
        const float* const w = t.terms[u].w + t.at;
        const float* const a = t.from + t.terms[u].from;
        vf wv[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) wv[v] = load(w, v);
#pragma GCC unroll 8
        for (int i = 0; i < P; ++i) {
            if constexpr (UNIT) {
#pragma GCC unroll 2
                for (int v = 0; v < V; ++v) acc[i][v] = fma(load(a + i * t.a_m, v), wv[v], acc[i][v]);
            } else {
                alignas(64) float row[V * VL] = {};
                for (int j = 0; j < (V - 1) * VL + lanes; ++j) row[j] = a[i * t.a_m + j * t.a_c];
                for (int v = 0; v < V; ++v) acc[i][v] = fma(loadu(row + v * VL), wv[v], acc[i][v]);
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < P; ++i) {
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) {
            if (t.bias) acc[i][v] = add(acc[i][v], load(t.bias + t.at, v));
            if (t.activation == RELU) acc[i][v] = select(le(acc[i][v], zero()), zero(), acc[i][v]);
        }
        alignas(64) float row[V * VL];
        const bool direct = UNIT && t.c_c == 1 && t.activation <= RELU;
        float* const to = direct ? t.to + i * t.c_m : row;
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v)
            if (!WHOLE && v == V - 1)
                store_n(to + v * VL, acc[i][v], lanes);
            else
                storeu(to + v * VL, acc[i][v]);
        if (!direct) {
            const int n = (V - 1) * VL + lanes;
            if (t.activation > RELU) activate(t.activation, row, n);
            for (int j = 0; j < n; ++j) t.to[i * t.c_m + j * t.c_c] = row[j];
        }
    }
}

template <int P>
void tile_of(const Tile& t, int vectors, bool unit) {
    if (!unit) return vectors == 2 ? tile<P, 2, false, false>(t) : tile<P, 1, false, false>(t);
    if (t.lanes == VL) return vectors == 2 ? tile<P, 2, true, true>(t) : tile<P, 1, true, true>(t);
    return vectors == 2 ? tile<P, 2, false, true>(t) : tile<P, 1, false, true>(t);
}
using Run = void (*)(const Tile&, int, bool);
constexpr Run RUN[PIXELS + 1] = {nullptr, tile_of<1>, tile_of<2>, tile_of<3>, tile_of<4>, tile_of<5>};

void pack(const Window& g, float* w, float* bias) {  // w: (outer m, tap, inner m, channel); bias: (outer m, channel)
    for (int64_t m = 0; m < g.outer; ++m) {
        for (int64_t d = 0; d < g.taps[0]; ++d)
            for (int64_t h = 0; h < g.taps[1]; ++h)
                for (int64_t x = 0; x < g.taps[2]; ++x)
                    for (int64_t i = 0; i < g.inner; ++i) {
                        const float* from = g.w + d * g.w_tap[0] + h * g.w_tap[1] + x * g.w_tap[2] + (m + i) * g.w_m;
                        for (int64_t c = 0; c < g.c; ++c) *w++ = from[c * g.w_c];
                    }
        for (int64_t c = 0; g.bias && c < g.c; ++c) *bias++ = g.bias[c * g.bias_c + m * g.bias_m];
    }
}

void plan(Call& call, Window& g) {
    const int64_t taps = g.taps[0] * g.taps[1] * g.taps[2] * g.inner;
    g.packed = align64(g.outer * taps * g.c * 4);
    g.line_room = align64((g.size[0] + g.size[1] + g.size[2]) * (int64_t)sizeof(Line));
    g.room = g.packed + align64(g.outer * g.c * 4) + g.line_room + align64(taps * (int64_t)sizeof(Term));
    call.ranks = worth(call, g.n * g.size[1]);
    call.scratch = call.ranks * g.room;
}

// The positions of one region in one image.
void region(const Window& g, Tile t, Term* terms, const float* weights, const Line& ld, const Line& lh, const Line& lw,
            const float* from, float* to) {
    const Images &x = g.from, &y = g.to;
    const bool unit = x.c == 1 || g.c == 1;
    from += ld.read * x.at[0] + lh.read * x.at[1] + lw.read * x.at[2];
    to += ld.first * y.at[0] + lh.first * y.at[1] + lw.first * y.at[2];
    t.terms = terms;
    t.count = 0;
    for (int64_t d = 0; d < ld.taps; ++d)
        for (int64_t h = 0; h < lh.taps; ++h)
            for (int64_t w = 0; w < lw.taps; ++w) {
                const int64_t tap = ((ld.tap + d * ld.tap_step) * g.taps[1] + lh.tap + h * lh.tap_step) * g.taps[2] +
                                    lw.tap + w * lw.tap_step;
                for (int64_t m = 0; m < g.inner; ++m)
                    terms[t.count++] = {
                        d * ld.hop * x.at[0] + h * lh.hop * x.at[1] + w * lw.hop * x.at[2] + m * g.from_m,
                        weights + (tap * g.inner + m) * g.c};
            }
    t.a_m = lw.read_step * x.at[2], t.c_m = lw.step * y.at[2];
    t.a_c = x.c, t.c_c = y.c;
    const int64_t tiles = (lw.count + PIXELS - 1) / PIXELS;
    for (int64_t d = 0; d < ld.count; ++d)
        for (int64_t h = 0; h < lh.count; ++h)
            for (int64_t i = 0; i < tiles; ++i) {
                const Range r = split(lw.count, (int)i, (int)tiles);
                const float* const a = from + d * ld.read_step * x.at[0] + h * lh.read_step * x.at[1] + r.begin * t.a_m;
                float* const c = to + d * ld.step * y.at[0] + h * lh.step * y.at[1] + r.begin * t.c_m;
                for (t.at = 0; t.at < g.c; t.at += WIDTH * VL) {
                    const int64_t left = g.c - t.at;
                    const int vectors = left > VL ? 2 : 1;
                    t.lanes = left < vectors * VL ? (int)(left - (vectors - 1) * VL) : VL;
                    t.from = a + t.at * t.a_c, t.to = c + t.at * t.c_c;
                    RUN[r.end - r.begin](t, vectors, unit);
                }
            }
}

void run(const Window& g, const Team& team, char* scratch) {
    const int64_t taps = g.taps[0] * g.taps[1] * g.taps[2] * g.inner;
    char* room = scratch + team.rank * g.room;
    float* const weights = reinterpret_cast<float*>(room);
    float* const bias = reinterpret_cast<float*>(room + g.packed);
    room += g.packed + align64(g.outer * g.c * 4);
    pack(g, weights, bias);
    Line* lines[SPATIAL];
    int64_t count[SPATIAL];
    lines[0] = reinterpret_cast<Line*>(room);
    for (int d = 0; d < SPATIAL; ++d) {
        count[d] = g.lines(g.axis[d], lines[d]);
        if (d + 1 < SPATIAL) lines[d + 1] = lines[d] + count[d];
    }
    Term* const terms = reinterpret_cast<Term*>(room + g.line_room);
    const int64_t h = g.size[1];
    const Range mine = split(g.n * h, team);
    for (int64_t i = h ? mine.begin / h : 0; i * h < mine.end; ++i) {
        const int64_t top = mine.begin > i * h ? mine.begin - i * h : 0, bottom = mine.end - i * h;
        for (int64_t m = 0; m < g.outer; ++m)
            for (int64_t d = 0; d < count[0]; ++d)
                for (int64_t r = 0, before = 0; r < count[1]; before += lines[1][r++].count) {
                    const Line row = part(lines[1][r], before, top, bottom);
                    if (!row.count) continue;
                    Tile t{};
                    t.bias = g.bias ? bias + m * g.c : nullptr;
                    t.activation = g.activation;
                    for (int64_t c = 0; c < count[2]; ++c)
                        region(g, t, terms, weights + m * taps * g.c, lines[0][d], row, lines[2][c],
                               g.from.data + i * g.from.n, g.to.data + i * g.to.n + m * g.to_m);
                }
    }
}

}  // namespace

bool depthwise_conv_forward_prepare(Call& call) {
    if (call.n_in != 3 || call.n_out != 1) return refuse(call, "expected x, w, b and y");
    const View &x = call.in[0], &w = call.in[1], &b = call.in[2], &y = call.out[0];
    Conv v;
    if (!parse(call, x, y, w, v, true)) return false;
    if (!b.absent() && (b.rank != 1 || b.shape[0] != v.c * v.o || b.dtype != F32))
        return refuse(call, "expected a float32 bias of one value a filter");
    Window& g = call.as<Window>();
    g = {};
    g.from = images(x), g.to = images(y);
    g.to_m = g.to.c, g.to.c *= v.o;
    g.n = v.n, g.c = v.c, g.outer = v.o, g.inner = 1;
    g.w = w.f32(), g.w_c = w.stride[w.rank - 2], g.w_m = w.stride[w.rank - 1];
    tap_strides(w, g.w_tap);
    for (int d = 0; d < SPATIAL; ++d) {
        g.axis[d] = v.axis[d];
        g.size[d] = v.axis[d].out;
        g.taps[d] = v.axis[d].taps;
    }
    if (!b.absent()) g.bias = b.f32(), g.bias_m = b.stride[0], g.bias_c = b.stride[0] * v.o;
    g.activation = v.activation;
    g.lines = lines_of_y;
    call.flops = 2.0 * y.size() * v.taps;
    call.bytes = 4.0 * (x.size() + y.size());
    plan(call, g);
    return true;
}

void depthwise_conv_forward_run(const Call& call, const Team& team, char* scratch) {
    run(call.as<Window>(), team, scratch);
}

bool depthwise_conv_dx_prepare(Call& call) {
    if (call.n_in != 2 || call.n_out != 1) return refuse(call, "expected dy, w and dx");
    const View &dy = call.in[0], &w = call.in[1], &dx = call.out[0];
    Conv v;
    if (!parse(call, dx, dy, w, v, true)) return false;
    Window& g = call.as<Window>();
    g = {};
    g.from = images(dy), g.to = images(dx);
    g.from_m = g.from.c, g.from.c *= v.o;
    g.n = v.n, g.c = v.c, g.outer = 1, g.inner = v.o;
    g.w = w.f32(), g.w_c = w.stride[w.rank - 2], g.w_m = w.stride[w.rank - 1];
    tap_strides(w, g.w_tap);
    for (int d = 0; d < SPATIAL; ++d) {  // taps from the last to the first
        g.axis[d] = v.axis[d];
        g.size[d] = v.axis[d].in;
        g.taps[d] = v.axis[d].taps;
        g.w += (g.taps[d] - 1) * g.w_tap[d];
        g.w_tap[d] = -g.w_tap[d];
    }
    g.lines = lines_of_dx;
    call.flops = 2.0 * dy.size() * v.taps;
    call.bytes = 4.0 * (dx.size() + dy.size());
    plan(call, g);
    return true;
}

void depthwise_conv_dx_run(const Call& call, const Team& team, char* scratch) { run(call.as<Window>(), team, scratch); }

}  // namespace QUERNEL_ISA
}  // namespace quernel
