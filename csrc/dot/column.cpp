// column: a matrix times one vector by rows (A's rows contiguous) or by columns (A's columns contiguous).
#include "dot/column.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int ROWS = VL == 16 ? 4 : 1;  // rows at a time: ROWS * PARTS accumulators share the loads of b

// One chunk of R rows: out[i] = the first levels of row i's tree, down to one vector. AHEAD: the next R rows are
// fetched.
template <int R, bool AHEAD = false>
QUERNEL_INLINE void vectors_of_rows(int n, const float* a, ptrdiff_t a_m, const float* b, vf* out) {
    vf acc[R][PARTS];
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
        for (int v = 0; v < PARTS; ++v) acc[i][v] = zero();
    int k = 0;
    for (; k + LANES <= n; k += LANES) {
#pragma GCC unroll 16
        for (int v = 0; v < PARTS; ++v) {
            const vf bv = loadu(b + k + v * VL);
#pragma GCC unroll 4
            for (int i = 0; i < R; ++i) {
                if (AHEAD) __builtin_prefetch(a + (i + R) * a_m + k + v * VL);
                acc[i][v] = fma(loadu(a + i * a_m + k + v * VL), bv, acc[i][v]);
            }
        }
    }
#pragma GCC unroll 16
    for (int v = 0; v < PARTS; ++v) {
        const int rest = n - k - v * VL, lanes = rest < 0 ? 0 : rest < VL ? rest : VL;
        if (lanes == 0) continue;
        const vf bv = load_n(b + k + v * VL, lanes);
#pragma GCC unroll 4
        for (int i = 0; i < R; ++i)  // lanes past the end keep their bits, a negative zero too
            acc[i][v] = select(first_n(lanes), fma(load_n(a + i * a_m + k + v * VL, lanes), bv, acc[i][v]), acc[i][v]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
        for (int h = PARTS / 2; h; h /= 2)
#pragma GCC unroll 8
            for (int v = 0; v < h; ++v) acc[i][v] = add(acc[i][v], acc[i][v + h]);
        out[i] = acc[i][0];
    }
}

// The chunk's value of each of R rows.
template <int R>
void chunk_of_rows(int n, const float* a, ptrdiff_t a_m, const float* b, float* out) {
    vf v[R];
    vectors_of_rows<R>(n, a, a_m, b, v);
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i) out[i] = fold_vector<SumF>(v[i]);
}

// `count` <= VL rows of one chunk. The last levels of their trees run side by side, after a transpose: a tree of its
// own costs a row more than its terms where they are few.
template <bool AHEAD>
void many_rows(int count, int n, const float* a, ptrdiff_t a_m, const float* b, float* s) {
    vf r[VL];
    constexpr int V = 16 / VL;
    if (n <= 16) {  // lanes 16 to 63 stay empty: they add +0, which turns a -0 into +0
        vf bv[V];
        int lanes[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            lanes[v] = n < v * VL ? 0 : n - v * VL < VL ? n - v * VL : VL;
            bv[v] = load_n(b + v * VL, lanes[v]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < VL; ++i) {
            vf p[V];
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v)
                p[v] = i < count ? add(fma(load_n(a + i * a_m + v * VL, lanes[v]), bv[v], zero()), zero()) : zero();
#pragma GCC unroll 4
            for (int h = V / 2; h; h /= 2)
#pragma GCC unroll 4
                for (int v = 0; v < h; ++v) p[v] = add(p[v], p[v + h]);
            r[i] = p[0];
        }
    } else {
        int i = 0;
        for (; i + ROWS <= count; i += ROWS) vectors_of_rows<ROWS, AHEAD>(n, a + i * a_m, a_m, b, r + i);
        for (; i < count; ++i) vectors_of_rows<1>(n, a + i * a_m, a_m, b, r + i);
        for (; i < VL; ++i) r[i] = zero();
    }
    transpose(r);
#pragma GCC unroll 4
    for (int h = VL / 2; h; h /= 2)
#pragma GCC unroll 8
        for (int l = 0; l < h; ++l) r[l] = add(r[l], r[l + h]);
    store_n(s, r[0], count);
}

template <int R>
void rows(int64_t k, const float* a, ptrdiff_t a_m, const float* b, float* s) {
    if (k <= CHUNK) return chunk_of_rows<R>((int)k, a, a_m, b, s);
    Tree<SumF> tree[R];
    for (int64_t at = 0; at < k; at += CHUNK) {
        float value[R];
        chunk_of_rows<R>((int)(k - at < CHUNK ? k - at : CHUNK), a + at, a_m, b + at, value);
        for (int i = 0; i < R; ++i) tree[i].push(value[i]);
    }
    for (int i = 0; i < R; ++i) s[i] = tree[i].value();
}

// One chunk of V * VL neighbouring rows of A, whose columns are contiguous: lane by lane, its chains in registers.
template <int V>
void chunk_of_columns(int n, int lanes, const float* a, ptrdiff_t a_k, const float* b, float* out) {
    alignas(64) float lane[LANES][V * VL];
    const int used = n < LANES ? n : LANES;
    for (int l = 0; l < used; ++l) {
        vf acc[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[v] = zero();
        const float* x = a + l * a_k;
        for (int k = l; k < n; k += LANES, x += LANES * a_k) {
            const vf bv = set1(b[k]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v)
                acc[v] = fma(v == V - 1 ? load_n(x + v * VL, lanes) : loadu(x + v * VL), bv, acc[v]);
        }
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) storeu(lane[l] + v * VL, acc[v]);
    }
    for (int h = LANES / 2; h; h /= 2)
        for (int l = 0; l < h && l < used; ++l)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) {
                const vf other = l + h < used ? loadu(lane[l + h] + v * VL) : zero();
                storeu(lane[l] + v * VL, add(loadu(lane[l] + v * VL), other));
            }
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store_n(out + v * VL, used ? loadu(lane[0] + v * VL) : zero(), v == V - 1 ? lanes : VL);
}

template <int V>
void columns(int64_t k, int lanes, const float* a, ptrdiff_t a_k, const float* b, float* s) {
    if (k <= CHUNK) return chunk_of_columns<V>((int)k, lanes, a, a_k, b, s);
    const int n = (V - 1) * VL + lanes;
    Tree<SumF> tree[V * VL];
    for (int64_t at = 0; at < k; at += CHUNK) {
        float value[V * VL];
        chunk_of_columns<V>((int)(k - at < CHUNK ? k - at : CHUNK), lanes, a + at * a_k, a_k, b + at, value);
        for (int i = 0; i < n; ++i) tree[i].push(value[i]);
    }
    for (int i = 0; i < n; ++i) s[i] = tree[i].value();
}

// One chunk of `m` <= STRIP rows of A whose columns are contiguous, lane after lane in the order in which the tree adds
// them: some of A's columns are read side by side from end to end, and sums that wait for their other half stay in L1.
constexpr int64_t STRIP = 512;
template <int N>
struct Count {
    static constexpr int value = N;
};
void lanes_along_rows(int64_t m, int n, const float* a, ptrdiff_t a_k, const float* b, float* s) {
    alignas(64) float sums[7][STRIP];
    for (int i = 0; i < LANES; ++i) {
        const int l = (i & 1) << 5 | (i & 2) << 3 | (i & 4) << 1 | (i & 8) >> 1 | (i & 16) >> 3 | (i & 32) >> 5;
        int waiting = 0, done = 0;  // ones of i; those at its end: levels that lane l completes
        for (int bits = i; bits; bits &= bits - 1) ++waiting;
        while (i >> done & 1) ++done;
        const auto vectors = [&](int64_t j, auto count, int lanes) __attribute__((always_inline)) {
            constexpr int V = decltype(count)::value;
            vf acc[V];
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[v] = zero();
            const float* x = a + l * a_k + j;
            for (int k = l; k < n; k += LANES, x += LANES * a_k) {
                const vf bv = set1(b[k]);
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v)
                    acc[v] = fma(lanes < VL ? load_n(x + v * VL, lanes) : loadu(x + v * VL), bv, acc[v]);
            }
            for (int d = 1; d <= done; ++d)
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) acc[v] = add(loadu(sums[waiting - d] + j + v * VL), acc[v]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) storeu(sums[waiting - done] + j + v * VL, acc[v]);
        };
        int64_t j = 0;
        for (; j + 4 * VL <= m; j += 4 * VL) vectors(j, Count<4>{}, VL);
        for (; j < m; j += VL) vectors(j, Count<1>{}, m - j < VL ? (int)(m - j) : VL);
    }
    for (int64_t j = 0; j < m; j += VL) {
        const int lanes = m - j < VL ? (int)(m - j) : VL;
        store_n(s + j, load_n(sums[0] + j, lanes), lanes);
    }
}

}  // namespace

int64_t column_scratch(ptrdiff_t a_m, ptrdiff_t a_k) { return a_k == 1 || a_m == 1 ? 0 : align64(4 * CHUNK); }

void column(int64_t m, int64_t k, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, const float* b, float* s,
            char* scratch) {
    int64_t i = 0;
    if (a_k == 1) {
        // Vectors that straddle cache lines wait twice for each line that is not in L1: rows are fetched ahead, as long
        // as they stay there (512 x 512, 16 bytes off: 31 -> 35 GFLOP/s; aligned it would lose a tenth).
        const bool straddles = ((uintptr_t)a / sizeof(float) | (uintptr_t)a_m) % VL;
        const auto many = straddles && k <= 1024 && m * k >= 12 * 1024 ? many_rows<true> : many_rows<false>;
        if (k <= CHUNK)
            for (; i + 4 <= m; i += VL) many(m - i < VL ? (int)(m - i) : VL, (int)k, a + i * a_m, a_m, b, s + i);
        for (; i + ROWS <= m; i += ROWS) rows<ROWS>(k, a + i * a_m, a_m, b, s + i);
        for (; i < m; ++i) rows<1>(k, a + i * a_m, a_m, b, s + i);
        return;
    }
    if (a_m == 1) {
        // Aligned vectors of A's rows where they can be had: straddling cache lines costs 512^2 a quarter of its rate.
        constexpr uintptr_t bytes = VL * sizeof(float);
        const int64_t past = (int64_t)((uintptr_t)a % bytes / sizeof(float));
        if (past && a_k % VL == 0 && m >= 8 * VL) {
            i = VL - past;
            columns<1>(k, (int)i, a, a_k, b, s);
        }
        // Of up to 384 KB: 128 x 256 41 -> 48 GFLOP/s, 300 x 300 27 -> 29; 512 x 512 would lose 2 %, 1024 x 1024 7 %.
        if (k >= 4 * LANES && k <= CHUNK && m - i >= 8 * VL && m * k <= 96 * 1024)
            for (; i < m; i += STRIP) lanes_along_rows(m - i < STRIP ? m - i : STRIP, (int)k, a + i, a_k, b, s + i);
        for (; i + 4 * VL <= m; i += 4 * VL) columns<4>(k, VL, a + i, a_k, b, s + i);
        for (; i < m; i += VL) columns<1>(k, m - i < VL ? (int)(m - i) : VL, a + i, a_k, b, s + i);
        return;
    }
    float* row = reinterpret_cast<float*>(scratch);
    for (; i < m; ++i) {
        Tree<SumF> tree;
        int64_t at = 0;
        do {
            const int n = (int)(k - at < CHUNK ? k - at : CHUNK);
            for (int q = 0; q < n; ++q) row[q] = a[i * a_m + (at + q) * a_k];
            float value;
            chunk_of_rows<1>(n, row, 0, b + at, &value);
            tree.push(value);
            at += CHUNK;
        } while (at < k);
        s[i] = tree.value();
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
