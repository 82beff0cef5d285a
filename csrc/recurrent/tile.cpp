// The register tiles of a step's product: a few rows times the vectors of one panel of recurrent weights.
#include "recurrent/recurrent.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace recurrent {

namespace {

constexpr int WIDEST = 8, MOST = 8;
constexpr int AHEAD = 12;  // terms of B that are fetched ahead, as in dot

// Rows of a tile that is v vectors wide: its accumulators, the vectors of B and one of A (or the other way round) fit
// the registers (AVX-512: 32, else 16).
constexpr int rows_of(int v) {
#if defined(__AVX512F__)
    constexpr int rows[WIDEST + 1] = {0, 8, 8, 8, 6, 0, 4, 0, 3};
#else
    constexpr int rows[WIDEST + 1] = {0, 4, 4, 4, 3, 0, 1, 0, 1};
#endif
    return rows[v];
}

#define QUERNEL_EACH [&](int i, int v) __attribute__((always_inline))
template <int R, int V, class F>
QUERNEL_INLINE void each(F body) {
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) body(i, v);
}

template <int R, int V>
void tile(const Tile& t) {
    constexpr int PAIR = V > 4 ? 2 : 1;  // vectors that lie side by side whatever b_g
    const ptrdiff_t row = t.a_m * (ptrdiff_t)sizeof(float), b_k = t.b_k, b_g = t.b_g;
    vf acc[R][V];
    if (t.from)
        each<R, V>(QUERNEL_EACH { acc[i][v] = loadu(t.from + (i * V + v) * VL); });
    else
        each<R, V>(QUERNEL_EACH { acc[i][v] = zero(); });
    const char* a0 = reinterpret_cast<const char*>(t.a);
    const char* a1 = a0 + 5 * row;
    const float* b = t.b;
    uint64_t line = 0;  // in units of 2^-32
    const uint64_t step = t.lines && t.k > 0 ? ((uint64_t)t.lines << 32) / (uint64_t)t.k : 0;
    for (int64_t k = t.k; k > 0; --k) {
        __builtin_prefetch(t.line[line >> 32]);
        line += step;
        const auto b_of = [&](int v) __attribute__((always_inline)) { return b + v / PAIR * b_g + v % PAIR * VL; };
        const auto a_of = [&](int i) __attribute__((always_inline)) {
            return set1(*reinterpret_cast<const float*>((i < 5 ? a0 : a1) + i % 5 * row));
        };
        if constexpr (V <= R) {
            vf bv[V];
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) {
                bv[v] = loadu(b_of(v));
                __builtin_prefetch(b_of(v) + AHEAD * b_k);
            }
#pragma GCC unroll 8
            for (int i = 0; i < R; ++i) {
                const vf av = a_of(i);
#pragma GCC unroll 8
                for (int v = 0; v < V; ++v) acc[i][v] = fma(av, bv[v], acc[i][v]);
            }
        } else {  // few rows: A stays, B streams
            vf av[R];
#pragma GCC unroll 8
            for (int i = 0; i < R; ++i) av[i] = a_of(i);
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) {
                const vf bv = loadu(b_of(v));
#pragma GCC unroll 8
                for (int i = 0; i < R; ++i) acc[i][v] = fma(av[i], bv, acc[i][v]);
            }
        }
        a0 += sizeof(float);
        if constexpr (R > 5) a1 += sizeof(float);
        b += b_k;
        asm volatile("" : "+r"(a0), "+r"(a1), "+r"(b));  // or GCC makes a pointer for each row, and spills
    }
    if (t.sum) each<R, V>(QUERNEL_EACH { acc[i][v] = add(loadu(t.sum + (i * V + v) * VL), acc[i][v]); });
    each<R, V>(QUERNEL_EACH { storeu(t.to + (i * V + v) * VL, acc[i][v]); });
}
#undef QUERNEL_EACH

struct Tiles {
    RunTile run[WIDEST + 1][MOST + 1];
};
template <int V, int R>
constexpr void fill(Tiles& t) {
    if constexpr (R > 0) {
        t.run[V][R] = tile<R, V>;
        fill<V, R - 1>(t);
    }
}
constexpr Tiles make_tiles() {
    Tiles t{};
    fill<1, rows_of(1)>(t);
    fill<2, rows_of(2)>(t);
    fill<3, rows_of(3)>(t);
    fill<4, rows_of(4)>(t);
    fill<6, rows_of(6)>(t);
    fill<8, rows_of(8)>(t);
    return t;
}
constexpr Tiles TILES = make_tiles();

}  // namespace

int Weights::most_rows() const { return rows_of(vectors()); }
RunTile tile_of(int rows, int vectors) { return TILES.run[vectors][rows]; }

}  // namespace recurrent
}  // namespace QUERNEL_ISA
}  // namespace quernel
