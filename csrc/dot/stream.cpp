// stream: a strip of columns at a time, whose chains stay in L1, a few rows of B at a time.
#include "dot/stream.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int64_t STRIP = 1024;  // columns: 4 KB of each row of B, at most 12 KB of chains
constexpr int terms(int rows) { return VL == 16 || rows == 1 ? 8 : 4; }

// Vectors of columns at a time: their chains run side by side.
constexpr int wide(int rows) { return rows == 1 ? 4 : VL == 16 ? (rows == 2 ? 4 : 2) : (rows == 2 ? 2 : 1); }

template <int N>
struct Count {
    static constexpr int value = N;
};

// T terms more in the chains of R rows: sums[i * STRIP + j], from +0 where they are the first.
template <int R, int T>
void step(int64_t n, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, const float* b, ptrdiff_t b_k, float* sums,
          bool first) {
    vf x[R][T];
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) x[i][t] = set1(a[i * a_m + t * a_k]);
    const auto vectors = [&](int64_t j, auto count, auto load) __attribute__((always_inline)) {
        constexpr int V = decltype(count)::value;
        vf acc[R][V];
#pragma GCC unroll 4
        for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[i][v] = first ? zero() : loadu(sums + i * STRIP + j + v * VL);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) {
                const vf bv = load(b + t * b_k + j + v * VL);
#pragma GCC unroll 4
                for (int i = 0; i < R; ++i) acc[i][v] = fma(x[i][t], bv, acc[i][v]);
            }
#pragma GCC unroll 4
        for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) storeu(sums + i * STRIP + j + v * VL, acc[i][v]);
    };
    const auto whole = [](const float* p) __attribute__((always_inline)) { return loadu(p); };
    constexpr int W = wide(R);
    int64_t j = 0;
    for (; j + W * VL <= n; j += W * VL) vectors(j, Count<W>{}, whole);
    for (; j + VL <= n; j += VL) vectors(j, Count<1>{}, whole);
    const int lanes = (int)(n - j);
    if (lanes) vectors(j, Count<1>{}, [lanes](const float* p) { return load_n(p, lanes); });
}

template <int R>
void rows(int64_t n, int64_t k, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, const float* b, ptrdiff_t b_k, float* c,
          ptrdiff_t c_m) {
    constexpr int T = terms(R);
    alignas(64) float sums[R * STRIP];
    for (int64_t begin = 0; begin < k; begin += CHAIN) {
        const int64_t end = k - begin < CHAIN ? k : begin + CHAIN;
        int64_t q = begin;
        for (; q + T <= end; q += T) step<R, T>(n, a + q * a_k, a_m, a_k, b + q * b_k, b_k, sums, q == begin);
        for (; q < end; ++q) step<R, 1>(n, a + q * a_k, a_m, a_k, b + q * b_k, b_k, sums, q == begin);
        for (int i = 0; i < R; ++i)
            for (int64_t j = 0; j < n; j += VL) {
                const int lanes = n - j < VL ? (int)(n - j) : VL;
                const vf s = loadu(sums + i * STRIP + j);
                float* const to = c + i * c_m + j;
                store_n(to, begin ? add(load_n(to, lanes), s) : s, lanes);
            }
    }
}

}  // namespace

void stream(int64_t m, int64_t n, int64_t k, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, const float* b,
            ptrdiff_t b_k, float* c, ptrdiff_t c_m, int64_t head) {
    const auto run = m == 1 ? rows<1> : m == 2 ? rows<2> : rows<3>;
    for (int64_t j = 0, strip = head ? head : STRIP; j < n; j += strip, strip = STRIP)
        run(n - j < strip ? n - j : strip, k, a, a_m, a_k, b + j, b_k, c + j, c_m);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
