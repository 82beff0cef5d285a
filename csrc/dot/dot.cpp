// dot: register tiles, their dispatch by shape, and the loop over them.
#include "dot/brief.hpp"
#include "simd/math.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

// Rows of a tile that is v vectors wide: rows * v accumulators, v of B and 1 of A fit the registers (AVX-512: 32, else
// 16), and there are at least 8 chains where they can be had (2 FMA ports, 4 cycles of latency).
constexpr int WIDEST = 8;
constexpr int most_rows(int v) {
#if defined(__AVX512F__)
    constexpr int rows[WIDEST + 1] = {0, 14, 14, 8, 6, 0, 0, 0, 3};
#else
    constexpr int rows[WIDEST + 1] = {0, 8, 6, 4, 2, 0, 0, 0, 1};
#endif
    return rows[v];
}
constexpr int MOST = 14;

// Rows of B that are prefetched ahead: 512^3 ran at 145 to 165 GFLOP/s with it where it ran at 134 to 155 without.
constexpr int AHEAD = 12;
// Terms of A that are prefetched ahead. Weight gradients step a row of A with every term: 0.92 of the time in a
// convolution of 32 channels, 0.81 in a dense layer (512, 10); nothing lost where terms are neighbours.
constexpr int A_AHEAD = 8;

// Terms from which the lines of C are fetched when a tile starts, which hides their way from memory: 3 to 4 % at
// 1024^3, 10 % at 8192 x 1024 x 256 NT. A tile of fewer terms waits for the fetches: 128^3 lost 4 %.
constexpr int FAR = 192;

struct Tile {
    const Dot* d;
    int64_t i, j;  // where the tile starts in C
    int lanes;     // columns of the last vector
    float* pack;   // where the copy of B goes, or null
    bool far;      // whether C is fetched ahead: there are enough terms to hide it
    int number;    // of the tiles that came before it in its panel
};

QUERNEL_INLINE vf relu(vf x) { return select(le(x, zero()), zero(), x); }  // NaN passes

#define QUERNEL_EACH [&](int i, int v) __attribute__((always_inline))
template <int R, int V, class F>
QUERNEL_INLINE void each(F body) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) body(i, v);
}

// One tile of R rows and V vectors. GCC keeps acc in registers as long as every index is a constant, hence the
// unrolling.
// PACK: B's rows go to t.pack as well, V whole vectors of each.
template <int R, int V, bool TAIL, bool PACK>
void tile(const Tile& t) {
    const Dot& d = *t.d;
    const int lanes = t.lanes;
    const auto load = [lanes](const float* p, int v) __attribute__((always_inline)) {
        return TAIL && v == V - 1 ? load_n(p + v * VL, lanes) : loadu(p + v * VL);
    };
    const auto store = [lanes](float* p, int v, vf x) __attribute__((always_inline)) {
        TAIL&& v == V - 1 ? store_n(p + v * VL, x, lanes) : storeu(p + v * VL, x);
    };
    float* const c = d.c + t.i * d.c_m + t.j;
    const ptrdiff_t row = d.a_m * (ptrdiff_t)sizeof(float), a_step = d.a_k * (ptrdiff_t)sizeof(float), b_step = d.b_k;
    const ptrdiff_t c_m = d.c_m;
    float* pack = t.pack;
    vf acc[R][V];
    alignas(64) float room_for_sums[R * V * VL];
    float* sums = room_for_sums;                 // of finished blocks
    asm volatile("" : "+r"(sums) : : "memory");  // or GCC warns: it cannot see that `have` guards them
    bool have = false, more = d.add;             // whether there are finished blocks in sums, and in C
    int64_t block = -1;

    const char* next = reinterpret_cast<const char*>(sums);  // this tile's share of what is read next, else a near line
    ptrdiff_t next_step = 0;
    if (d.next_pitch) {
        if (t.number < Dot::LINES) next = d.next + 64 * t.number, next_step = d.next_pitch;
    } else if (d.next) {
        next = d.next + d.next_bytes * t.i / d.m;
        next_step = d.next_bytes * R / (d.m * d.k) + 1;
    }

    if (t.far) each<R, V>(QUERNEL_EACH { __builtin_prefetch(c + i * c_m + v * VL, 1); });
    if (d.resume) {
        const float* const from = d.resume + t.i * d.resume_m + t.j;
        each<R, V>(QUERNEL_EACH { acc[i][v] = load(from + i * d.resume_m, v); });
        block = (d.taps ? (d.count ? d.taps[0].at : 0) : d.at) / CHAIN;
    } else {
        each<R, V>(QUERNEL_EACH { acc[i][v] = zero(); });
    }

    for (int64_t at_tap = 0; at_tap < d.count; ++at_tap) {
        Tap tap;
        if (d.taps)
            tap = d.taps[at_tap];
        else
            tap = {d.a + at_tap * d.a_b, d.b + at_tap * d.b_b, d.k, d.at + at_tap * d.at_b};
        // Three bumped pointers address all rows by small multiples of the row stride. The empty asm below hides the
        // bumps, or GCC makes one pointer for each row and spills.
        const char* a0 = reinterpret_cast<const char*>(tap.a) + t.i * row;
        const char* a1 = a0 + 5 * row;
        const char* a2 = a0 + 10 * row;
        const float* b = tap.b + t.j;
        for (int64_t left = tap.k, at = tap.at; left > 0;) {
            const int64_t here = at / CHAIN, room = (here + 1) * CHAIN - at;
            if (here != block) {
                if (block >= 0) {
                    if (more)
                        each<R, V>(QUERNEL_EACH { acc[i][v] = add(load(c + i * c_m, v), acc[i][v]); });
                    else if (have)
                        each<R, V>(QUERNEL_EACH { acc[i][v] = add(loadu(sums + (i * V + v) * VL), acc[i][v]); });
                    more = false;
                    each<R, V>(QUERNEL_EACH { storeu(sums + (i * V + v) * VL, acc[i][v]); });
                    each<R, V>(QUERNEL_EACH { acc[i][v] = zero(); });
                    have = true;
                }
                block = here;
            }
            int64_t k = left < room ? left : room;
            left -= k;
            at += k;
            do {
                if constexpr (V <= R) {
                    vf bv[V];
#pragma GCC unroll 8
                    for (int v = 0; v < V; ++v) {
                        bv[v] = load(b, v);
                        if constexpr (PACK) storeu(pack + v * VL, bv[v]);
                        __builtin_prefetch(b + AHEAD * b_step + v * VL);
                    }
                    __builtin_prefetch(a0 + A_AHEAD * a_step);
                    if constexpr (R > 10) __builtin_prefetch(a2 + 3 * row + A_AHEAD * a_step);
                    if constexpr (V == 4 && !PACK) {
                        __builtin_prefetch(next, 0, 2);
                        next += next_step;
                    }
#pragma GCC unroll 16
                    for (int i = 0; i < R; ++i) {
                        const char* base = i < 5 ? a0 : i < 10 ? a1 : a2;
                        const vf av = set1(*reinterpret_cast<const float*>(base + (i % 5) * row));
#pragma GCC unroll 8
                        for (int v = 0; v < V; ++v) acc[i][v] = fma(av, bv[v], acc[i][v]);
                    }
                } else {  // few rows: A stays, B streams
                    vf av[R];
#pragma GCC unroll 16
                    for (int i = 0; i < R; ++i) av[i] = set1(*reinterpret_cast<const float*>(a0 + i * row));
#pragma GCC unroll 8
                    for (int v = 0; v < V; ++v) {
                        const vf bv = load(b, v);
#pragma GCC unroll 16
                        for (int i = 0; i < R; ++i) acc[i][v] = fma(av[i], bv, acc[i][v]);
                    }
                }
                a0 += a_step;
                b += b_step;
                if constexpr (PACK) pack += d.pack_k;
                if constexpr (R > 5) a1 += a_step;
                if constexpr (R > 10) a2 += a_step;
                asm volatile("" : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(b));
            } while (--k);
        }
    }

    if (more && block < 0)
        each<R, V>(QUERNEL_EACH { acc[i][v] = load(c + i * c_m, v); });
    else if (more)
        each<R, V>(QUERNEL_EACH { acc[i][v] = add(load(c + i * c_m, v), acc[i][v]); });
    else if (have)
        each<R, V>(QUERNEL_EACH { acc[i][v] = add(loadu(sums + (i * V + v) * VL), acc[i][v]); });
    if (d.alpha != 1) each<R, V>(QUERNEL_EACH { acc[i][v] = mul(set1(d.alpha), acc[i][v]); });
    if (d.beta != 0) {
        const float* const old = d.old ? d.old + t.i * d.old_m + t.j : c;
        const vf beta = set1(d.beta);
        const ptrdiff_t old_m = d.old ? d.old_m : c_m;
        each<R, V>(QUERNEL_EACH { acc[i][v] = fma(beta, load(old + i * old_m, v), acc[i][v]); });
    }
    if (d.bias) each<R, V>(QUERNEL_EACH { acc[i][v] = add(acc[i][v], load(d.bias + t.j, v)); });
    if (d.activation == RELU) each<R, V>(QUERNEL_EACH { acc[i][v] = relu(acc[i][v]); });
    each<R, V>(QUERNEL_EACH { store(c + i * c_m, v, acc[i][v]); });
}
#undef QUERNEL_EACH

// tiles[v][r][tail]: filled by recursion over the shapes that exist.
using Run = void (*)(const Tile&);
struct Tiles {
    Run run[WIDEST + 1][MOST + 1][2];
    Run pack[5][2];  // of the most rows
};
template <int V, int R>
constexpr void fill(Tiles& t) {
    if constexpr (R > 0) {
        t.run[V][R][0] = tile<R, V, false, false>;
        t.run[V][R][1] = tile<R, V, true, false>;
        fill<V, R - 1>(t);
    }
}
template <int V>
constexpr void fill_pack(Tiles& t) {
    t.pack[V][0] = tile<most_rows(V), V, false, true>;
    t.pack[V][1] = tile<most_rows(V), V, true, true>;
}
constexpr Tiles make_tiles() {
    Tiles t{};
    fill_pack<1>(t);
    fill_pack<2>(t);
    fill_pack<3>(t);
    fill_pack<4>(t);
    fill<1, most_rows(1)>(t);
    fill<2, most_rows(2)>(t);
    fill<3, most_rows(3)>(t);
    fill<4, most_rows(4)>(t);
    fill<8, most_rows(8)>(t);
    return t;
}
constexpr Tiles TILES = make_tiles();

// The width, in vectors, of most panels: few rows want wide ones (more chains, longer reads of B); otherwise wide tiles
// need the fewest loads for an FMA, as long as they divide the columns.
int panel_width(int64_t m, int64_t vectors) {
    if (m <= most_rows(8) && vectors >= 8) return 8;
    if (m <= most_rows(4)) return 4;
    if (m <= most_rows(3)) return 3;
#if defined(__AVX512F__)
    if (vectors % 4 == 0) return 4;
    if (vectors % 3 == 0) return 3;
#else
    if (vectors % 2 && vectors % 3 == 0) return 3;
#endif
    return 2;
}

struct Panel {
    int64_t v, w;  // its first vector, and how many
    int lanes;     // of the last one
    bool far;
};

void squash(const Dot& d, const Panel& p, int64_t begin, int64_t end) {
    if (d.activation <= RELU) return;
    for (int64_t r = begin; r < end; ++r) activate(d.activation, d.c + r * d.c_m + p.v * VL, (p.w - 1) * VL + p.lanes);
}

// The rows from `begin` on, in tiles of nearly equal height.
QUERNEL_INLINE void rows(const Dot& d, const Panel& p, int64_t begin) {
    const int64_t m = d.m - begin, most = most_rows((int)p.w), tiles = (m + most - 1) / most;
    const int64_t height = m / tiles, over = m % tiles;
    Tile t{&d, begin, p.v * VL, p.lanes, nullptr, p.far, 0};
    for (int64_t carry = over; t.i < d.m; carry += over, ++t.number) {
        int64_t end = t.i + height;
        if (carry >= tiles) carry -= tiles, ++end;
        TILES.run[p.w][end - t.i][p.lanes < VL](t);
        squash(d, p, t.i, end);
        t.i = end;
    }
}

__attribute__((noinline)) void packing_rows(const Dot& d, const Panel& p) {
    const int64_t first = most_rows((int)p.w);
    TILES.pack[p.w][p.lanes < VL](Tile{&d, 0, p.v * VL, p.lanes, d.pack + p.v * VL, p.far, 0});
    squash(d, p, 0, first);
    Dot packed = d;
    packed.b = d.pack, packed.b_k = d.pack_k;
    rows(packed, p, first);
}

}  // namespace

void activate(Activation f, float* c, int64_t n) {
    if (f == NO_ACTIVATION) return;
    for (int64_t j = 0; j < n; j += VL) {
        const int lanes = n - j < VL ? (int)(n - j) : VL;
        const vf x = load_n(c + j, lanes);
        store_n(c + j, f == RELU ? relu(x) : f == SIGMOID ? vsigmoid(x) : vtanh(x), lanes);
    }
}

void dot(const Dot& d) {
    if (d.m <= 0 || d.n <= 0 || brief(d)) return;
    const int64_t vectors = (d.n + VL - 1) / VL;
    const int width = panel_width(d.m, vectors);
    Panel p{0, 0, VL, d.cold || d.count * (d.taps ? d.taps[0].k : d.k) >= FAR};
    for (; p.v < vectors; p.v += p.w) {
        p.w = vectors - p.v < width ? vectors - p.v : width;
        if (p.w > 4 && p.w < WIDEST) p.w = 4;
        if (p.v + p.w == vectors) p.lanes = (int)(d.n - (vectors - 1) * VL);
        if (d.pack && p.w <= 4 && d.m > most_rows((int)p.w))
            packing_rows(d, p);
        else
            rows(d, p, 0);
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
