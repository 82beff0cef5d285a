// row: the loops along the columns, for each number of rows of taps and stride.
#include "depthwise/row.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int TAPS = ROW_TAPS;
constexpr int WIDTH =
    VL == 16 ? 2 : 1;  // vectors of channels: 18 chains, 6 of dy and 2 of x; 9, 3 and 1 of 16 registers

// The sums of V vectors of channels, and dy of the newest position and of those before it.
template <int H, int S, int V>
struct Sums {
    vf acc[H][TAPS][V], dy[TAPS][V];
};

// The terms of one column: taps FIRST, FIRST + S, ... below END, of the positions S columns apart.
template <int FIRST, int END, int H, int S, int V, class Load>
QUERNEL_INLINE void terms(Sums<H, S, V>& s, const float* from, ptrdiff_t down, const Load& load) {
#pragma GCC unroll 3
    for (int h = 0; h < H; ++h)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) {
            const vf x = held(load(from + h * down, v));
#pragma GCC unroll 3
            for (int w = FIRST; w < END; w += S) s.acc[h][w][v] = fma(x, s.dy[w / S][v], s.acc[h][w][v]);
        }
}

template <int H, int S, int V, class Load>
QUERNEL_INLINE void take(Sums<H, S, V>& s, const float* from, const Load& load) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) s.dy[2][v] = s.dy[1][v], s.dy[1][v] = s.dy[0][v], s.dy[0][v] = load(from, v);
}

// V vectors of channels of one slice from channel c on, the last with `lanes` lanes; sums: of the first.
template <int H, int S, int V, bool TAIL>
void columns(const Row& r, int64_t c, float* sums, int lanes) {
    const auto load = [lanes](const float* p, int v)
                          __attribute__((always_inline)) { return TAIL ? load_n(p, lanes) : loadu(p + v * VL); };
    const ptrdiff_t down = r.down, column = r.column, along = r.along, sums_h = r.sums_h;
    // A share of the next rows that is as large as what these channels read now, into L2.
    const bool ahead_x = r.ahead_x, ahead_dy = r.ahead_dy;
    const int64_t before = c * (r.end - r.begin);
    const float *next_x = r.next_x + S * S * before, *next_dy = r.next_dy + before;
    const auto fetch = [&]() __attribute__((always_inline)) {
        if (ahead_x)
#pragma GCC unroll 8
            for (int i = 0; i < S * S * V; ++i) __builtin_prefetch(next_x + i * VL, 0, 2);
        if (ahead_dy)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) __builtin_prefetch(next_dy + v * VL, 0, 2);
        next_x += S * S * V * VL, next_dy += V * VL;
    };
    Sums<H, S, V> s;
#pragma GCC unroll 3
    for (int h = 0; h < H; ++h)
#pragma GCC unroll 3
        for (int w = 0; w < TAPS; ++w)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) s.acc[h][w][v] = loadu(sums + h * sums_h + w * SLICE + v * VL);
#pragma GCC unroll 3
    for (int i = 0; i < TAPS; ++i)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) s.dy[i][v] = zero();
    const int64_t q = r.begin * S;  // its columns: the first ones may not exist, nor those past the last position
    const float* from = r.x + c + q * column;
    const float* dy = r.dy + c + r.begin * along;
    fetch();
    take(s, dy, load);
    if (q >= r.first) terms<0, 1>(s, from, down, load);
    if (S == 2 && q + 1 >= r.first) terms<1, 2>(s, from + column, down, load);
    fetch();
    take(s, dy + along, load);
    if (q + S >= r.first) terms<0, S == 1 ? 2 : 3>(s, from + S * column, down, load);
    if (S == 2 && q + 3 >= r.first) terms<1, 2>(s, from + 3 * column, down, load);
    for (int64_t left = r.end - r.begin - 2; left > 0; --left) {
        fetch();
        take(s, dy + 2 * along, load);
        terms<0, TAPS>(s, from + 2 * S * column, down, load);
        if (S == 2) terms<1, 2>(s, from + 5 * column, down, load);
        from += S * column, dy += along;
        asm volatile("" : "+r"(from), "+r"(dy));
    }
    take(s, dy + along, load);  // of no position: the taps that it would meet are left out
    if (r.end * S < r.last) terms<S, TAPS>(s, from + 2 * S * column, down, load);
    if (S == 1 && r.end + 1 < r.last) {
        take(s, dy + along, load);
        terms<2, TAPS>(s, from + 3 * column, down, load);
    }
#pragma GCC unroll 3
    for (int h = 0; h < H; ++h)
#pragma GCC unroll 3
        for (int w = 0; w < TAPS; ++w)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) storeu(sums + h * sums_h + w * SLICE + v * VL, s.acc[h][w][v]);
}

using Run = void (*)(const Row&, int64_t, float*, int);
struct Runs {
    Run whole, tail;
};
template <int H>
constexpr Runs runs_of(int64_t step) {
    return step == 1 ? Runs{columns<H, 1, WIDTH, false>, columns<H, 1, 1, true>}
                     : Runs{columns<H, 2, WIDTH, false>, columns<H, 2, 1, true>};
}

}  // namespace

void add_row(const Row& r) {
    const Runs runs = r.rows == 3 ? runs_of<3>(r.step) : r.rows == 2 ? runs_of<2>(r.step) : runs_of<1>(r.step);
    for (int64_t c = r.channel; c < r.channels;) {
        const int64_t left = r.channels - c;
        float* const sums = r.sums + c / SLICE * r.slice + c % SLICE;
        const bool whole = left >= WIDTH * VL;
        (whole ? runs.whole : runs.tail)(r, c, sums, left < VL ? (int)left : VL);
        c += whole ? WIDTH * VL : VL;
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
