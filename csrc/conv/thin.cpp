// thin: tiles over the rows of several kernel rows, blocks of 512 terms to ranks.
#include "conv/thin.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int64_t MOST_SUMS = 4 << 20;  // bytes of block sums; beyond that there are rows enough for the usual way
constexpr int LINES = 3;                // kernel rows of a tile: three pointers into x
constexpr int AHEAD = 32;               // positions of dy that are prefetched: 0.8 of the time where dy comes from L3
// Rows of a tile of 1 or 2 vectors: their chains, the columns of dy and one value of x fit the registers.
constexpr int most_rows(int vectors) { return VL == 16 ? 14 : vectors == 1 ? 12 : 6; }
constexpr int MOST = 14;

int64_t clamp(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

// Positions p, ..., p + n - 1 of one line of an image: terms of a block that follow each other.
struct Span {
    const float *x, *dy;  // x: where tap 0 of position p reads, or would
    int64_t at[2], p, n;  // the line
};

struct Tile {
    const Thin& s;
    const Span* spans;
    int64_t count;
    int64_t line, first;  // first kernel row, first row of it
    int64_t j;            // first column
    int lanes;            // of the last vector
    float* out;           // row 0 of dw, column j
    float* bias;          // db, column j: where BIAS, the sum of dy without x
};

template <int K, int H, int V, bool BIAS = false>
void tile(const Tile& t) {
    constexpr int R = K * H;
    const Thin& s = t.s;
    const Axis* const a = s.v.axis;
    const int64_t c = s.v.c;
    const ptrdiff_t x_step = a[2].stride * s.x.at[2], dy_step = s.dy.at[2];
    ptrdiff_t offset[K];
    int64_t tap[K][2];
#pragma GCC unroll 3
    for (int k = 0; k < K; ++k) {
        tap[k][0] = (t.line + k) / a[1].taps * a[0].dilation - a[0].low;
        tap[k][1] = (t.line + k) % a[1].taps * a[1].dilation - a[1].low;
        offset[k] = (t.line + k) / a[1].taps * a[0].dilation * s.x.at[0] +
                    (t.line + k) % a[1].taps * a[1].dilation * s.x.at[1] + t.first;
    }
    const Range left = valid(a[2], t.first / c), right = valid(a[2], (t.first + H - 1) / c);
    constexpr unsigned ALL_ROWS = (1u << R) - 1, ONE_LINE = (1u << H) - 1;
    const auto load = [&t](const float* p, int v) __attribute__((always_inline)) {
        return v == V - 1 ? load_n(p + v * VL, t.lanes) : loadu(p + v * VL);
    };

    vf acc[R][V];
#pragma GCC unroll 14
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) acc[i][v] = zero();
    vf bias[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) bias[v] = zero();
    for (int64_t q = 0; q < t.count; ++q) {
        const Span span = t.spans[q];
        unsigned present = 0;
#pragma GCC unroll 3
        for (int k = 0; k < K; ++k) {
            const int64_t d = span.at[0] * a[0].stride + tap[k][0], h = span.at[1] * a[1].stride + tap[k][1];
            if (d >= 0 && d < a[0].in && h >= 0 && h < a[1].in) present |= ONE_LINE << (k * H);
        }
        if (!present && !BIAS) continue;
        const int64_t end = span.p + span.n;
        const int64_t from = present == ALL_ROWS ? clamp(left.begin, span.p, end) : end;
        const int64_t to = present == ALL_ROWS ? clamp(right.end, from, end) : end;
        const float* x0 = span.x + offset[0];
        const float* x1 = span.x + offset[K > 1 ? 1 : 0];
        const float* x2 = span.x + offset[K > 2 ? 2 : 0];
        const float* b = span.dy + t.j;
        int64_t p = span.p;
        const auto terms = [&](int64_t stop, auto some) __attribute__((always_inline)) {
            for (; p < stop; ++p) {
                unsigned rows = ALL_ROWS;
                if constexpr (decltype(some)::value) {
                    const int64_t origin = p * a[2].stride - a[2].low;
                    const int64_t low = clamp(-origin * c - t.first, 0, H);
                    const int64_t high = clamp((a[2].in - origin) * c - t.first, low, H);
                    rows = (1u << high) - (1u << low);
                    if constexpr (K > 1) rows |= rows << H;
                    if constexpr (K > 2) rows |= rows << H;
                    rows &= present;
                }
                vf bv[V];
#pragma GCC unroll 2
                for (int v = 0; v < V; ++v) {
                    bv[v] = load(b, v);
                    if constexpr (BIAS)
                        bias[v] = add(bias[v], bv[v]);
                    else
                        __builtin_prefetch(b + AHEAD * dy_step + v * VL);
                }
#pragma GCC unroll 14
                for (int i = 0; i < R; ++i) {
                    if (decltype(some)::value && !(rows >> i & 1)) continue;
                    const float* const x = i < H ? x0 : i < 2 * H ? x1 : x2;
                    const vf av = set1(x[i % H]);
#pragma GCC unroll 2
                    for (int v = 0; v < V; ++v) acc[i][v] = fma(av, bv[v], acc[i][v]);
                }
                x0 += x_step, b += dy_step;
                if constexpr (K > 1) x1 += x_step;
                if constexpr (K > 2) x2 += x_step;
                asm volatile("" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(b));
            }
        };
        terms(from, Some<true>{});
        terms(to, Some<false>{});
        terms(end, Some<true>{});
    }
#pragma GCC unroll 2
    for (int v = 0; BIAS && v < V; ++v) store_n(t.bias + v * VL, bias[v], v == V - 1 ? t.lanes : VL);
#pragma GCC unroll 14
    for (int i = 0; i < R; ++i) {
        float* to = t.out + ((t.line + i / H) * s.high + t.first + i % H) * s.v.o;
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) store_n(to + v * VL, acc[i][v], v == V - 1 ? t.lanes : VL);
    }
}

using Run = void (*)(const Tile&);
struct Tiles {
    Run run[3][LINES + 1][MOST + 1];
};
template <int V, int K, int H>
constexpr void fill(Tiles& t) {
    if constexpr (K * H > 0) {
        if constexpr (K * H <= most_rows(V)) t.run[V][K][H] = tile<K, H, V>;
        fill<V, K, H - 1>(t);
    } else if constexpr (K > 0) {
        fill<V, K - 1, MOST>(t);
    }
}
constexpr Tiles make_tiles() {
    Tiles t{};
    fill<1, LINES, MOST>(t);
    fill<2, LINES, MOST>(t);
    return t;
}
constexpr Tiles TILES = make_tiles();

// Tiles of the usual kernels that sum db in passing.
template <int V>
Run biased(int64_t lines, int64_t high) {
    if (VL < 16) return nullptr;  // too few registers
    if (lines == 3 && high == 3) return tile<3, 3, V, VL == 16>;
    if (lines == 1 && high == 9) return tile<1, 9, V, VL == 16>;
    return nullptr;
}

void bias_sums(const Thin& s, const Span* spans, int64_t count, int64_t j, int64_t width, float* out);

int64_t parts(int64_t n, int64_t most) { return (n + most - 1) / most; }

// All rows of dw for one block's terms.
void block_sums(const Thin& s, const Span* spans, int64_t count, float* out) {
    for (int64_t j = 0; j < s.v.o; j += 2 * VL) {
        const int64_t width = s.v.o - j < 2 * VL ? s.v.o - j : 2 * VL;
        const int vectors = width > VL ? 2 : 1;
        const int64_t most = most_rows(vectors), pieces = parts(s.high, most);
        int64_t lines = pieces > 1 ? 1 : most / s.high;
        if (lines > LINES) lines = LINES;
        const int64_t bands = parts(s.lines, lines);
        for (int64_t band = 0; band < bands; ++band) {
            const int64_t line = s.lines * band / bands, next = s.lines * (band + 1) / bands;
            for (int64_t piece = 0; piece < pieces; ++piece) {
                const int64_t first = s.high * piece / pieces, end = s.high * (piece + 1) / pieces;
                float* const bias = out + s.rows * s.v.o + j;
                Run run = TILES.run[vectors][next - line][end - first];
                if (s.pooled && line + first == 0) {
                    const Run both = (vectors == 2 ? biased<2> : biased<1>)(next, end);
                    if (both)
                        run = both;
                    else
                        bias_sums(s, spans, count, j, width, bias);
                }
                run({s, spans, count, line, first, j, (int)(width - (vectors - 1) * VL), out + j, bias});
            }
        }
    }
}

// The terms [begin, end) as spans.
int64_t list(const Thin& s, int64_t begin, int64_t end, Span* spans) {
    const Axis* const a = s.v.axis;
    const int64_t wide = a[2].out;
    int64_t p = begin % wide, h = begin / wide % a[1].out, d = begin / wide / a[1].out % a[0].out;
    int64_t n = begin / wide / a[1].out / a[0].out, count = 0;
    for (int64_t k = begin; k < end;) {
        const int64_t run = wide - p < end - k ? wide - p : end - k;
        const int64_t at[3] = {d, h, p};
        Span& span = spans[count++];
        span = {s.x.data + n * s.x.n, s.dy.data + n * s.dy.n, {d, h}, p, run};
        for (int i = 0; i < SPATIAL; ++i) {
            span.x += (at[i] * a[i].stride - a[i].low) * s.x.at[i];
            span.dy += at[i] * s.dy.at[i];
        }
        k += run;
        p = 0;
        if (++h == a[1].out) {
            h = 0;
            if (++d == a[0].out) d = 0, ++n;
        }
    }
    return count;
}

// db's terms in one block: one chain, as bias_db has.
void bias_sums(const Thin& s, const Span* spans, int64_t count, int64_t j, int64_t width, float* out) {
    const int n = (int)clamp(width, 0, VL), m = (int)clamp(width - VL, 0, VL);
    vf sum = zero(), next = zero();
    for (int64_t q = 0; q < count; ++q) {
        const float* dy = spans[q].dy + j;
        for (int64_t i = 0; i < spans[q].n; ++i, dy += s.v.o) {
            sum = add(sum, load_n(dy, n));
            if (m) next = add(next, load_n(dy + VL, m));
        }
    }
    store_n(out, sum, n);
    if (m) store_n(out + VL, next, m);
}

int64_t sum_rows(const Thin& s) { return s.rows + (s.pooled ? 1 : 0); }
int64_t sums_bytes(const Thin& s) { return align64(4 * s.blocks * sum_rows(s) * s.v.o); }
constexpr int64_t SPANS = align64((CHAIN + 1) * (int64_t)sizeof(Span));

Bands bands_of(const Thin& s, float* ring) {
    const int64_t high = s.v.axis[1].out, wide = s.v.axis[2].out;
    return {s.pool, s.dy_of_pool, high, wide, ring, s.pooled ? Bands::slots_for(s.pool, high, CHAIN / wide + 2) : 0};
}

}  // namespace

bool plan_thin(Call& call, const View& x, const View& dy, const View& dw, const Conv& v, Thin& s) {
    s.v = v;
    s.x = images(x), s.dy = images(dy), s.dw = dw.f32w();
    tap_strides(dw, s.dw_tap);
    s.dw_c = dw.stride[dw.rank - 2], s.dw_o = dw.stride[dw.rank - 1];
    s.lines = v.axis[0].taps * v.axis[1].taps;
    s.high = v.axis[2].taps * v.c;
    s.rows = s.lines * s.high;
    s.total = v.n * v.axis[0].out * v.axis[1].out * v.axis[2].out;
    s.blocks = (s.total + CHAIN - 1) / CHAIN;
    const bool neighbours = v.c == 1 ? s.x.at[2] == 1 : s.x.c == 1 && s.x.at[2] == v.c;
    if (v.groups > 1 || v.axis[2].dilation > 1 || v.c >= 8 || !neighbours || (s.dy.c != 1 && v.o > 1)) return false;
    if (!s.rows || !v.o || !s.total) return false;
    if (!s.pooled && (s.blocks < 4 * call.threads || sums_bytes(s) > MOST_SUMS)) return false;
    call.ranks = worth(call, s.blocks);
    call.scratch = sums_bytes(s) + call.ranks * (SPANS + (s.pooled ? bands_of(s, nullptr).bytes() : 0));
    return true;
}

void run_thin(const Thin& s, const Team& team, char* scratch) {
    float* const sums = reinterpret_cast<float*>(scratch);
    Bands bands = bands_of(s, nullptr);
    char* const room = scratch + sums_bytes(s) + team.rank * (SPANS + (s.pooled ? bands.bytes() : 0));
    Span* const spans = reinterpret_cast<Span*>(room);
    bands.ring = reinterpret_cast<float*>(room + SPANS);
    if (s.pooled) bands.start();
    const int64_t each = sum_rows(s) * s.v.o, wide = s.v.axis[2].out;
    const Range blocks = split(s.blocks, team);
    for (int64_t b = blocks.begin; b < blocks.end; ++b) {
        const int64_t begin = b * CHAIN, end = begin + CHAIN < s.total ? begin + CHAIN : s.total;
        const int64_t count = list(s, begin, end, spans);
        if (s.pooled) {
            for (int64_t q = 0; q < count; ++q) spans[q].dy = bands.row(begin / wide + q) + spans[q].p * s.v.o;
        }
        block_sums(s, spans, count, sums + b * each);
    }
    team.barrier();
    const Axis* const a = s.v.axis;
    const Range rows = split(sum_rows(s), team);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
        const int64_t c = row % s.v.c;
        int64_t tap = row / s.v.c;
        float* to = s.dw + c * s.dw_c;
        for (int d = SPATIAL - 1; d >= 0; tap /= a[d--].taps) to += tap % a[d].taps * s.dw_tap[d];
        const ptrdiff_t step = row < s.rows ? s.dw_o : s.db_o;
        if (row == s.rows) to = s.db;
        for (int64_t j = 0; j < s.v.o; j += VL) {
            const int lanes = s.v.o - j < VL ? (int)(s.v.o - j) : VL;
            const float* from = sums + row * s.v.o + j;
            vf sum = load_n(from, lanes);
            for (int64_t b = 1; b < s.blocks; ++b) sum = add(sum, load_n(from + b * each, lanes));
            alignas(64) float out[VL];
            storeu(out, sum);
            for (int i = 0; i < lanes; ++i) to[(j + i) * step] = out[i];
        }
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
