// depthwise_conv_forward and depthwise_conv_dx: every channel under a window of its own, vectors along the channels.
//
//   forward  y[n, p, c * M + m] = activation(b[c * M + m] + sum over t of x[n, i, c] * w[t, c, m])
//   dx       dx[n, i, c]        = sum over t, m of dy[n, p, c * M + m] * w[t, c, m]
//
// with i = p * stride + t * dilation - low; attributes and absent taps as in conv/conv.hpp, groups always 1.
// Order: one chain of fused multiply-adds from +0, forward in tap order, dx in (t, m) order with t from the last tap to
// the first; then bias, activation. Any strides; strided channels are gathered and scattered one by one.
#include "depthwise/block.hpp"
#include "simd/stream.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

struct Term {
    ptrdiff_t from;  // from the position read first
    const float* w;  // of all channels, packed
};

struct Stretch {  // of the rows that three lines make: the one along the row, and the terms of its positions
    const Line* line;
    const Term* terms;
    int64_t count;
};

constexpr int PIXELS = 7;                // positions of a tile, which share the vectors of weights
constexpr int WIDTH = VL == 16 ? 2 : 1;  // vectors of channels: 14 chains, 6 of weights, 2 read; 12 of 16 registers
constexpr int SHARES[] = {1, 3, 5};      // taps along a row that share what they read, where they can
enum Kind { STRIDED, PART, WHOLE };      // one vector of channels with strides, one with a tail, WIDTH full ones

struct Tile {
    const Term* terms;
    int64_t count;
    const float* from;
    ptrdiff_t a_m, a_c;  // strides of positions and channels read
    // To the row that the next row of results is the first to read, and to that row of results: both are fetched
    // meanwhile, 0.8 of the time.
    ptrdiff_t ahead, next;
    float* to;
    ptrdiff_t c_m, c_c;
    const float* bias;  // packed, or null
    Activation activation;
    int64_t at;  // first channel
    int lanes;
    bool past;  // whole lines of the result go past the caches
};

// ROW terms at a time, each one position further: what one position reads second the next reads first. A load for each
// tap would be 1.2 for an FMA where it is 0.57 with 3 taps and 0.46 with 5, and most of them cross a line unless arrays
// are aligned.
template <int P, Kind KIND, int ROW>
void tile(const Tile& t) {
    constexpr int V = KIND == WHOLE ? WIDTH : 1;
    const int lanes = KIND == WHOLE ? VL : t.lanes;
    const auto load = [lanes](const float* p, int v) __attribute__((always_inline)) {
        return KIND == WHOLE ? loadu(p + v * VL) : load_n(p, lanes);
    };
    const ptrdiff_t row = t.a_m * (ptrdiff_t)sizeof(float);
    vf acc[P][V];
    const auto each = [&](auto body) __attribute__((always_inline)) {
#pragma GCC unroll 7
        for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) body(i, v);
    };
    each([&](int i, int v) __attribute__((always_inline)) { acc[i][v] = zero(); });
    if (t.past)
        each([&](int i, int v)
                 __attribute__((always_inline)) { __builtin_prefetch(t.from + t.ahead + i * t.a_m + v * VL, 0, 2); });
    else
        each([&](int i, int v) __attribute__((always_inline)) {
            __builtin_prefetch(t.from + t.ahead + i * t.a_m + v * VL);
            __builtin_prefetch(t.to + t.next + i * t.c_m + v * VL, 1);
        });
    for (const Term *u = t.terms, *const end = u + t.count; u < end; u += ROW) {
        const char* from = reinterpret_cast<const char*>(t.from + u->from);
        asm volatile("" : "+r"(from));  // or GCC steps from position to position by additions
        vf w[ROW][V];
#pragma GCC unroll 5
        for (int s = 0; s < ROW; ++s)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) w[s][v] = load(u[s].w + t.at, v);
#pragma GCC unroll 11
        for (int j = 0; j < P + ROW - 1; ++j)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) {
                const float* const a = reinterpret_cast<const float*>(from + j * row);
                vf x;
                if constexpr (KIND == STRIDED) {
                    alignas(64) float lane[VL] = {};
                    for (int i = 0; i < lanes; ++i) lane[i] = a[i * t.a_c];
                    x = loadu(lane);
                } else {
                    x = ROW > 1 ? held(load(a, v)) : load(a, v);
                }
#pragma GCC unroll 5
                for (int s = 0; s < ROW; ++s)
                    if (j >= s && j - s < P) acc[j - s][v] = fma(x, w[s][v], acc[j - s][v]);
            }
    }
    if (t.bias)
        each([&](int i, int v) __attribute__((always_inline)) { acc[i][v] = add(acc[i][v], load(t.bias + t.at, v)); });
    if (t.activation == RELU)
        each([&](int i, int v)
                 __attribute__((always_inline)) { acc[i][v] = select(le(acc[i][v], zero()), zero(), acc[i][v]); });
    if (KIND != STRIDED && t.c_c == 1 && t.activation <= RELU) {
        each([&](int i, int v) __attribute__((always_inline)) {
            float* const to = t.to + i * t.c_m + v * VL;
            if (KIND == WHOLE && t.past) return stream(to, acc[i][v]);
            KIND == WHOLE ? storeu(to, acc[i][v]) : store_n(to, acc[i][v], lanes);
        });
        return;
    }
    alignas(64) float rows[P][V * VL];
    each([&](int i, int v) __attribute__((always_inline)) { storeu(rows[i] + v * VL, acc[i][v]); });
    const int n = (V - 1) * VL + lanes;
    for (int i = 0; i < P; ++i) {
        activate(t.activation > RELU ? t.activation : NO_ACTIVATION, rows[i], n);
        for (int j = 0; j < n; ++j) t.to[i * t.c_m + j * t.c_c] = rows[i][j];
    }
}

using Run = void (*)(const Tile&);
struct Runs {
    Run run[WHOLE + 1][3][PIXELS + 1];  // by SHARES; some are null
};
template <Kind KIND, int P>
constexpr void fill(Runs& r) {
    r.run[KIND][0][P] = tile<P, KIND, SHARES[0]>;
    if constexpr (KIND != STRIDED) r.run[KIND][1][P] = tile<P, KIND, SHARES[1]>;
    if constexpr (KIND != STRIDED) r.run[KIND][2][P] = tile<P, KIND, SHARES[2]>;
    if constexpr (P > 1) fill<KIND, P - 1>(r);
}
constexpr Runs make_runs() {
    Runs r{};
    fill<STRIDED, 1>(r);
    fill<PART, PIXELS>(r);
    fill<WHOLE, PIXELS>(r);
    return r;
}
constexpr Runs RUNS = make_runs();

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
    // Lines along a row: one for each tap that a border clips, on both sides, and what lies between, for each phase.
    const int64_t most = 2 * g.taps[2] + 3 * g.axis[2].stride;
    const int64_t stretches = g.size[2] < most ? g.size[2] : most;
    g.room = g.packed + align64(g.outer * g.c * 4) + g.line_room + align64(stretches * (int64_t)sizeof(Stretch)) +
             align64(stretches * taps * (int64_t)sizeof(Term));
    // Past the caches only in whole lines that one tile writes: (64, 28, 28, 128) takes 0.79 of the time.
    g.past = WIDTH * VL % 16 == 0 && streams(4 * g.n * g.size[0] * g.size[1] * g.size[2] * g.c) && g.to.c == 1 &&
             reinterpret_cast<uintptr_t>(g.to.data) % 64 == 0 && g.to.n % 16 == 0;
    for (int d = 0; d < SPATIAL; ++d) g.past = g.past && g.to.at[d] % 16 == 0;
    call.ranks = worth(call, g.n * g.size[1]);
    call.scratch = call.ranks * g.room;
}

// Lists the terms that the positions of three lines share; returns their end.
Term* list(const Window& g, const float* weights, const Line& ld, const Line& lh, const Line& lw, Term* terms) {
    const Images& x = g.from;
    for (int64_t d = 0; d < ld.taps; ++d)
        for (int64_t h = 0; h < lh.taps; ++h)
            for (int64_t w = 0; w < lw.taps; ++w) {
                const int64_t tap = ((ld.tap + d * ld.tap_step) * g.taps[1] + lh.tap + h * lh.tap_step) * g.taps[2] +
                                    lw.tap + w * lw.tap_step;
                for (int64_t m = 0; m < g.inner; ++m)
                    *terms++ = {d * ld.hop * x.at[0] + h * lh.hop * x.at[1] + w * lw.hop * x.at[2] + m * g.from_m,
                                weights + (tap * g.inner + m) * g.c};
            }
    return terms;
}

// The positions of one line of a row; from and to: of the row.
void stretch(const Window& g, Tile t, const Stretch& s, const float* from, float* to) {
    const bool unit = g.from.c == 1 || g.c == 1;
    const bool shared = unit && g.inner == 1 && s.line->hop == s.line->read_step;
    int row = 0;
    for (int i = 1; shared && i < 3; ++i)
        if (s.line->taps == SHARES[i]) row = i;
    t.terms = s.terms, t.count = s.count;
    t.a_m = s.line->read_step * g.from.at[2], t.c_m = s.line->step * g.to.at[2];
    from += s.line->read * g.from.at[2], to += s.line->first * g.to.at[2];
    const int64_t tiles = unit ? (s.line->count + PIXELS - 1) / PIXELS : s.line->count;
    for (int64_t i = 0; i < tiles; ++i) {
        const Range r = split(s.line->count, (int)i, (int)tiles);
        const int64_t size = r.end - r.begin;
        for (t.at = 0; t.at < g.c;) {
            const int64_t rest = g.c - t.at;
            const Kind kind = !unit ? STRIDED : rest < WIDTH * VL ? PART : WHOLE;
            t.lanes = rest < VL ? (int)rest : VL;
            t.from = from + t.at * t.a_c, t.to = to + t.at * t.c_c;
            RUNS.run[kind][row][size](t);
            t.at += kind == WHOLE ? WIDTH * VL : VL;
        }
        from += size * t.a_m, to += size * t.c_m;
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
    Stretch* const parts = reinterpret_cast<Stretch*>(room + g.line_room);
    Term* const terms = reinterpret_cast<Term*>(room + g.line_room + align64(count[2] * (int64_t)sizeof(Stretch)));
    const Images &x = g.from, &y = g.to;
    const int64_t h = g.size[1];
    const Range mine = split(g.n * h, team);
    for (int64_t i = h ? mine.begin / h : 0; i * h < mine.end; ++i) {
        const int64_t top = mine.begin > i * h ? mine.begin - i * h : 0, bottom = mine.end - i * h;
        for (int64_t m = 0; m < g.outer; ++m)
            for (int64_t d = 0; d < count[0]; ++d)
                for (int64_t r = 0, before = 0; r < count[1]; before += lines[1][r++].count) {
                    const Line &ld = lines[0][d], lh = part(lines[1][r], before, top, bottom);
                    if (!lh.count) continue;
                    const Rows rows{ld, lh, lines[2], count[2], i, m};
                    if (fits_blocks(g, rows)) {
                        run_blocks(g, rows, weights, g.bias ? bias : nullptr);
                        continue;
                    }
                    Term* end = terms;
                    for (int64_t c = 0; c < count[2]; ++c) {
                        Term* const first = end;
                        end = list(g, weights + m * taps * g.c, ld, lh, lines[2][c], first);
                        parts[c] = {lines[2] + c, first, end - first};
                    }
                    Tile t{};
                    t.bias = g.bias ? bias + m * g.c : nullptr;
                    t.activation = g.activation;
                    t.a_c = x.c, t.c_c = y.c, t.past = g.past;
                    t.next = lh.step * y.at[1];
                    t.ahead = ((lh.taps - 1) * lh.hop + lh.read_step) * x.at[1];
                    for (int64_t z = 0; z < ld.count; ++z)
                        for (int64_t q = 0; q < lh.count; ++q)
                            for (int64_t c = 0; c < count[2]; ++c)
                                stretch(g, t, parts[c],
                                        x.data + i * x.n + (ld.read + z * ld.read_step) * x.at[0] +
                                            (lh.read + q * lh.read_step) * x.at[1],
                                        y.data + i * y.n + m * g.to_m + (ld.first + z * ld.step) * y.at[0] +
                                            (lh.first + q * lh.step) * y.at[1]);
                }
    }
    if (g.past) stream_end();
}

}  // namespace

bool depthwise_conv_forward_prepare(Call& call) {
    if (call.n_in != 3 || call.n_out != 1) return refuse(call, "expected x, w, b and y");
    const View &x = call.in[0], &w = call.in[1], &b = call.in[2], &y = call.out[0];
    Conv v;
    if (!parse(call, x, y, w, v, DEPTHWISE)) return false;
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
    if (!parse(call, dx, dy, w, v, DEPTHWISE)) return false;
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
