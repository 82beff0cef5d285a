// brief: T taps of K terms each, V vectors of columns; a few rows at a time, to hide the latency of their chains.
#include "dot/brief.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int TERMS = 9, TAPS = 3;
constexpr int WIDE = VL == 16 ? 2 : 1;  // vectors: 18 of B and 8 sums are 26 of 32 registers, 9 and 4 are 13 of 16
constexpr int ROWS = 4;

struct Part {
    const float *a[TAPS], *b[TAPS];
    int64_t j;
    int lanes;  // of the last vector
};

template <int N>
struct Count {
    static constexpr int value = N;
};

template <int T, int K, int V>
void spread(const Dot& d, const Part& part) {
    const ptrdiff_t a_m = d.a_m, a_k = d.a_k, c_m = d.c_m;
    const int lanes = part.lanes;
    const bool relu = d.activation == RELU, biased = d.bias;
    const auto load = [lanes](const float* p, int v) __attribute__((always_inline)) {
        return v == V - 1 ? load_n(p + v * VL, lanes) : loadu(p + v * VL);
    };
    vf b[T][K][V], bias[V];
#pragma GCC unroll 3
    for (int t = 0; t < T; ++t)
#pragma GCC unroll 9
        for (int k = 0; k < K; ++k)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) b[t][k][v] = load(part.b[t] + k * d.b_k + part.j, v);
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) bias[v] = biased ? load(d.bias + part.j, v) : zero();
    const float* a[T];
#pragma GCC unroll 3
    for (int t = 0; t < T; ++t) a[t] = part.a[t];
    float* c = d.c + part.j;
    const auto rows = [&](auto some) __attribute__((always_inline)) {
        constexpr int R = decltype(some)::value;
        vf acc[R][V];
#pragma GCC unroll 4
        for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) acc[i][v] = zero();
#pragma GCC unroll 3
        for (int t = 0; t < T; ++t)
#pragma GCC unroll 9
            for (int k = 0; k < K; ++k)
#pragma GCC unroll 4
                for (int i = 0; i < R; ++i) {
                    const vf av = set1(a[t][i * a_m + k * a_k]);
#pragma GCC unroll 2
                    for (int v = 0; v < V; ++v) acc[i][v] = fma(av, b[t][k][v], acc[i][v]);
                }
#pragma GCC unroll 3
        for (int t = 0; t < T; ++t) a[t] += R * a_m;
#pragma GCC unroll 4
        for (int i = 0; i < R; ++i, c += c_m)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) {
                vf x = acc[i][v];
                if (biased) x = add(x, bias[v]);
                if (relu) x = select(le(x, zero()), zero(), x);
                if (v == V - 1)
                    store_n(c + v * VL, x, lanes);
                else
                    storeu(c + v * VL, x);
            }
    };
    int64_t i = 0;
    for (; i + ROWS <= d.m; i += ROWS) rows(Count<ROWS>{});
    if (i < d.m && i) {  // the last rows with some of those before once more: one row alone waits for its own sums
        const int64_t again = i + ROWS - d.m;
#pragma GCC unroll 3
        for (int t = 0; t < T; ++t) a[t] -= again * a_m;
        c -= again * c_m;
        rows(Count<ROWS>{});
        return;
    }
    for (; i < d.m; ++i) rows(Count<1>{});
}

using Run = void (*)(const Dot&, const Part&);
struct Runs {
    Run run[WIDE + 1][TAPS + 1][TERMS + 1];
};
template <int V, int T, int K>
constexpr void fill(Runs& r) {
    if constexpr (K > 0) {
        r.run[V][T][K] = spread<T, K, V>;
        fill<V, T, K - 1>(r);
    } else if constexpr (T > 1) {
        fill<V, T - 1, TERMS / (T - 1)>(r);
    }
}
constexpr Runs make_runs() {
    Runs r{};
    fill<1, TAPS, TERMS / TAPS>(r);
    fill<WIDE, TAPS, TERMS / TAPS>(r);
    return r;
}
constexpr Runs RUNS = make_runs();

}  // namespace

bool brief(const Dot& d) {
    if (d.count < 1 || d.count > TAPS || d.add || d.resume || d.alpha != 1 || d.beta != 0 || d.activation > RELU)
        return false;
    Part part;
    const int64_t k = d.taps ? d.taps[0].k : d.k;
    if (k < 1 || k * d.count > TERMS) return false;
    for (int64_t t = 0; t < d.count; ++t) {
        const Tap tap = d.taps ? d.taps[t] : Tap{d.a + t * d.a_b, d.b + t * d.b_b, d.k, d.at + t * d.at_b};
        if (tap.k != k || tap.at + k > CHAIN) return false;
        part.a[t] = tap.a;
        part.b[t] = tap.b;
    }
    for (part.j = 0; part.j < d.n; part.j += WIDE * VL) {
        const int64_t width = d.n - part.j < WIDE * VL ? d.n - part.j : WIDE * VL;
        const int vectors = (int)((width + VL - 1) / VL);
        part.lanes = (int)(width - (vectors - 1) * VL);
        RUNS.run[vectors][d.count][k](d, part);
    }
    return true;
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
