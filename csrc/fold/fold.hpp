// fold: reductions of a row of n elements in one fixed order, whatever the layout, the vector width and the threads.
//
//   The row is cut into chunks of 4096. Within a chunk, lane l of 64 starts at the fold's identity and takes the
//   elements l, l + 64, l + 128, ... in order; then lane l takes lane l + 32, + 16, + 8, + 4, + 2, + 1 (lane 0 is the
//   chunk's value). Chunk values are combined pairwise: 0 with 1, 2 with 3, then pairs of those, ...; an odd one out
//   waits for the next level. Lanes beyond the row's end hold the identity, which changes no bit, so short rows may
//   skip them.
//
// A Fold names the element type, the vector type and `combine(earlier, later)`:
//   Sum   +, from +0                      int32: modulo 2^32
//   Max   later > earlier ? later : earlier, NaN propagates; of two equal zeros the earlier in the tree stays
//   Min   the same with <
//
// Three ways to the same bits:
//   fold_row<F>(n, load)       load(i, m) gives elements i .. i+m-1 of the row, the identity in lanes >= m; it may also
//                              store what it computes (softmax keeps its exponentials)
//   fold_chunk<F>(m, load), then fold_tree<F>(values, chunks)      for sharing one row among ranks
//   fold_columns<F>(m, width, row, out), then fold_tree            `width` rows that lie side by side in memory
#pragma once
#include "base/check.hpp"
#include "simd/vec.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int LANES = 64;  // 4 zmm, 8 ymm or 16 base vectors: enough independent chains to hide the latency of an add
constexpr int CHUNK = 4096;
constexpr int PARTS = LANES / VL;
constexpr int FETCH =
    512;  // elements that short rows are fetched ahead: their sums keep the core as busy as memory does

struct FloatItems {
    using item = float;
    using vec = vf;
    static QUERNEL_INLINE vec load(const item* p) { return loadu(p); }
    static QUERNEL_INLINE vec load_some(const item* p, int n) { return load_n(p, n); }
    static QUERNEL_INLINE void store(item* p, vec v) { storeu(p, v); }
    static QUERNEL_INLINE void store_some(item* p, vec v, int n) { store_n(p, v, n); }
    static QUERNEL_INLINE vec pick(vm m, vec a, vec b) { return select(m, a, b); }
    template <int k>
    static QUERNEL_INLINE vec swapped(vec v) {
        return swap<k>(v);
    }
    static QUERNEL_INLINE item lane0(vec v) { return first(v); }
    static QUERNEL_INLINE vf raw(vec v) { return v; }
    static QUERNEL_INLINE vec of_raw(vf v) { return v; }
    static QUERNEL_INLINE vm same(vec a, item b) { return m_or(eq(a, set1(b)), isnan(a)); }
    static QUERNEL_INLINE bool same(item a, item b) { return a == b || a != a; }
};
struct IntItems {
    using item = int32_t;
    using vec = vi;
    static QUERNEL_INLINE vec load(const item* p) { return loadi(p); }
    static QUERNEL_INLINE vec load_some(const item* p, int n) { return loadi_n(p, n); }
    static QUERNEL_INLINE void store(item* p, vec v) { storei(p, v); }
    static QUERNEL_INLINE void store_some(item* p, vec v, int n) { storei_n(p, v, n); }
    static QUERNEL_INLINE vec pick(vm m, vec a, vec b) { return selecti(m, a, b); }
    template <int k>
    static QUERNEL_INLINE vec swapped(vec v) {
        return swapi<k>(v);
    }
    static QUERNEL_INLINE item lane0(vec v) { return firsti(v); }
    static QUERNEL_INLINE vf raw(vec v) { return floats(v); }
    static QUERNEL_INLINE vec of_raw(vf v) { return bits(v); }
    static QUERNEL_INLINE vm same(vec a, item b) { return eqi(a, seti(b)); }
    static QUERNEL_INLINE bool same(item a, item b) { return a == b; }
};

struct SumF : FloatItems {
    static constexpr bool zero_fills = true;  // load_n's zeros are the identity
    static QUERNEL_INLINE vec identity() { return zero(); }
    static QUERNEL_INLINE vec combine(vec a, vec b) { return add(a, b); }
    static QUERNEL_INLINE item combine(item a, item b) { return a + b; }
};
struct MaxF : FloatItems {
    static constexpr bool zero_fills = false;
    static QUERNEL_INLINE vec identity() { return set1(-__builtin_inff()); }
    static QUERNEL_INLINE vec combine(vec a, vec b) { return select(isnan(b), b, larger(a, b)); }
    static QUERNEL_INLINE item combine(item a, item b) { return b > a || b != b ? b : a; }
    static QUERNEL_INLINE vm beats(vec later, vec earlier) { return gt(later, earlier); }
};
struct MinF : FloatItems {
    static constexpr bool zero_fills = false;
    static QUERNEL_INLINE vec identity() { return set1(__builtin_inff()); }
    static QUERNEL_INLINE vec combine(vec a, vec b) { return select(isnan(b), b, smaller(a, b)); }
    static QUERNEL_INLINE item combine(item a, item b) { return b < a || b != b ? b : a; }
    static QUERNEL_INLINE vm beats(vec later, vec earlier) { return lt(later, earlier); }
};
struct SumI : IntItems {
    static constexpr bool zero_fills = true;
    static QUERNEL_INLINE vec identity() { return seti(0); }
    static QUERNEL_INLINE vec combine(vec a, vec b) { return addi(a, b); }
    static QUERNEL_INLINE item combine(item a, item b) { return (item)((uint32_t)a + (uint32_t)b); }
};
struct MaxI : IntItems {
    static constexpr bool zero_fills = false;
    static QUERNEL_INLINE vec identity() { return seti(INT32_MIN); }
    static QUERNEL_INLINE vec combine(vec a, vec b) { return selecti(gti(b, a), b, a); }
    static QUERNEL_INLINE item combine(item a, item b) { return b > a ? b : a; }
};
struct MinI : IntItems {
    static constexpr bool zero_fills = false;
    static QUERNEL_INLINE vec identity() { return seti(INT32_MAX); }
    static QUERNEL_INLINE vec combine(vec a, vec b) { return selecti(gti(a, b), b, a); }
    static QUERNEL_INLINE item combine(item a, item b) { return b < a ? b : a; }
};

// m <= VL elements at p, the identity above them.
template <class F>
QUERNEL_INLINE typename F::vec take(const typename F::item* p, int m) {
    if (m == VL) return F::load(p);
    if (F::zero_fills) return F::load_some(p, m);
    return F::pick(first_n(m), F::load_some(p, m), F::identity());
}

// The value of all lanes of v by the tree's last levels.
template <class F>
QUERNEL_INLINE typename F::item fold_vector(typename F::vec v) {
    if constexpr (VL >= 16) v = F::combine(v, F::template swapped<8>(v));
    if constexpr (VL >= 8) v = F::combine(v, F::template swapped<4>(v));
    v = F::combine(v, F::template swapped<2>(v));
    v = F::combine(v, F::template swapped<1>(v));
    return F::lane0(v);
}

// One chunk up to the levels within a vector: load(i, m) with i counted from the chunk's start, 0 <= n <= CHUNK.
template <class F, class Load>
QUERNEL_INLINE typename F::vec fold_lanes(int n, Load load) {
    typename F::vec a[PARTS];
#pragma GCC unroll 16
    for (int v = 0; v < PARTS; ++v) a[v] = F::identity();
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
#pragma GCC unroll 16
        for (int v = 0; v < PARTS; ++v) a[v] = F::combine(a[v], load(i + v * VL, VL));
    }
#pragma GCC unroll 16
    for (int v = 0; v < PARTS; ++v) {
        const int m = n - i - v * VL;
        if (m >= VL)
            a[v] = F::combine(a[v], load(i + v * VL, VL));
        else if (m > 0)
            a[v] = F::combine(a[v], load(i + v * VL, m));
    }
    if (n > VL) {
#pragma GCC unroll 4
        for (int h = PARTS / 2; h; h /= 2)
#pragma GCC unroll 8
            for (int v = 0; v < h; ++v) a[v] = F::combine(a[v], a[v + h]);
    }
    return a[0];
}

// One chunk.
template <class F, class Load>
QUERNEL_INLINE typename F::item fold_chunk(int n, Load load) {
    return fold_vector<F>(fold_lanes<F>(n, load));
}

// fold_vector of VL vectors: lane i of the result is the value of v[i]. 4 shuffles a row where fold_vector waits for 4,
// one after the other.
template <class F>
QUERNEL_INLINE typename F::vec fold_vectors(const typename F::vec (&v)[VL]) {
    vf t[VL];
#pragma GCC unroll 16
    for (int i = 0; i < VL; ++i) t[i] = F::raw(v[i]);
    transpose(t);
#pragma GCC unroll 4
    for (int h = VL / 2; h; h /= 2)
#pragma GCC unroll 8
        for (int l = 0; l < h; ++l) t[l] = F::raw(F::combine(F::of_raw(t[l]), F::of_raw(t[l + h])));
    return F::of_raw(t[0]);
}

// Chunk values arriving in order, combined pairwise like the carries of a binary counter.
template <class F>
class Tree {
    typename F::item level_[52];  // 2^52 chunks
    int64_t count_ = 0;

  public:
    void push(typename F::item value) {
        int at = 0;
        for (int64_t bit = count_; bit & 1; bit >>= 1) value = F::combine(level_[at++], value);
        level_[at] = value;
        ++count_;
    }
    typename F::item value() const {  // at least one push before
        int at = __builtin_ctzll((unsigned long long)count_);
        typename F::item total = level_[at];
        for (int64_t bits = count_ >> (at + 1); bits; bits >>= 1) {
            ++at;
            if (bits & 1) total = F::combine(level_[at], total);
        }
        return total;
    }
};

template <class F>
inline typename F::item fold_tree(const typename F::item* values, int64_t count) {
    Tree<F> tree;
    for (int64_t c = 0; c < count; ++c) tree.push(values[c]);
    return tree.value();
}

template <class F, class Load>
QUERNEL_INLINE typename F::item fold_row(int64_t n, Load load) {
    if (n <= CHUNK)
        return fold_chunk<F>((int)n, [&](int i, int m) __attribute__((always_inline)) { return load((int64_t)i, m); });
    Tree<F> tree;
    for (int64_t at = 0; at < n; at += CHUNK) {
        const int count = n - at < CHUNK ? (int)(n - at) : CHUNK;
        tree.push(fold_chunk<F>(count, [&](int i, int m) __attribute__((always_inline)) { return load(at + i, m); }));
    }
    return tree.value();
}

// The accumulators of fold_columns: 64 lanes of 64 columns are 16 KB. 32 KB and more were up to 25 % slower on rows 4
// KB apart, where they fight for L1 with the rows themselves. Fewer lanes leave room for more columns.
constexpr int COLUMN_ITEMS = 4096;
inline int column_block(int64_t n) {
    const int lanes = n < LANES ? (n < 1 ? 1 : (int)n) : LANES;
    return COLUMN_ITEMS / lanes / 16 * 16;
}

// The same for n <= LANES rows, one element a lane: the tree runs in registers, V vectors of columns side by side. Lane
// l of 8 first takes in l + 32, l + 16, l + 48, ..., then the 8 meet.
template <class F, int V, class Row>
QUERNEL_INLINE void fold_few(int n, int j, int last, Row row, ptrdiff_t ahead, typename F::item* out) {
    using vec = typename F::vec;
    constexpr int G = 8;
    vec t[G][V];
    const auto leaf = [&](int l, vec* to) __attribute__((always_inline)) {
        const typename F::item* x = row(l) + j;
        __builtin_prefetch(x + ahead);
        if (V > 1) __builtin_prefetch(x + ahead + VL);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) to[v] = v == V - 1 ? take<F>(x + v * VL, last) : F::load(x + v * VL);
    };
    const auto join = [](vec* a, const vec* b) __attribute__((always_inline)) {
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) a[v] = F::combine(a[v], b[v]);
    };
    const int some = n < G ? n : G;
    for (int l = 0; l < some; ++l) {
        vec a[V], b[V], c[V];
        leaf(l, a);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) a[v] = F::combine(F::identity(), a[v]);
        if (l + 32 < n) leaf(l + 32, b), join(a, b);
        if (l + 16 < n) {
            leaf(l + 16, b);
            if (l + 48 < n) leaf(l + 48, c), join(b, c);
            join(a, b);
        }
        if (l + 8 < n) {
            leaf(l + 8, b);
            if (l + 40 < n) leaf(l + 40, c), join(b, c);
            if (l + 24 < n) {
                vec d[V];
                leaf(l + 24, c);
                if (l + 56 < n) leaf(l + 56, d), join(c, d);
                join(b, c);
            }
            join(a, b);
        }
        for (int v = 0; v < V; ++v) t[l][v] = a[v];
    }
    for (int h = G / 2; h; h /= 2)
        for (int l = 0; l < h && l + h < some; ++l) join(t[l], t[l + h]);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) F::store_some(out + j + v * VL, t[0][v], v == V - 1 ? last : VL);
}

// One chunk of n <= CHUNK rows of `width` <= column_block(n) columns: out[j] = fold over i of row(i)[j]. Aliasing:
// none.
template <class F, class Row>
inline void fold_columns(int n, int width, Row row, typename F::item* out) {
    using item = typename F::item;
    alignas(64) item lanes[COLUMN_ITEMS];
    const int used = n < LANES ? n : LANES, full = width / VL * VL, tail = width - full;
    const int pitch = (width + VL - 1) / VL * VL;
    if (n == 0) {
        const item none = F::lane0(F::identity());
        for (int j = 0; j < width; ++j) out[j] = none;
        return;
    }
    if (n <= LANES) {
        // The next rows where they lie one behind the other; else along each row, and not so far that 64 rows fill L1.
        const ptrdiff_t ahead = n > 1 && row(1) - row(0) == width ? FETCH : 2 * LANES;
        int j = 0;
        for (; j + 2 * VL <= width; j += 2 * VL) fold_few<F, 2>(n, j, VL, row, ahead, out);
        if (j + VL <= width) fold_few<F, 1>(n, j, VL, row, ahead, out), j += VL;
        if (j < width) fold_few<F, 1>(n, j, width - j, row, ahead, out);
        return;
    }
    for (int l = 0; l < used; ++l) {
        item* a = lanes + l * pitch;
        const item* x = row(l);
        for (int j = 0; j < full; j += VL) F::store(a + j, F::combine(F::identity(), F::load(x + j)));
        if (tail) F::store(a + full, F::combine(F::identity(), take<F>(x + full, tail)));
    }
    int i = LANES;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {  // four rows a visit: a quarter of the traffic to the accumulators
        for (int l = 0; l < LANES; ++l) {
            item* a = lanes + l * pitch;
            const item *x0 = row(i + l), *x1 = row(i + l + LANES), *x2 = row(i + l + 2 * LANES),
                       *x3 = row(i + l + 3 * LANES);
            for (int j = 0; j < full; j += VL) {
                auto v = F::combine(F::combine(F::load(a + j), F::load(x0 + j)), F::load(x1 + j));
                F::store(a + j, F::combine(F::combine(v, F::load(x2 + j)), F::load(x3 + j)));
            }
            if (tail) {
                auto v = F::combine(F::combine(F::load(a + full), take<F>(x0 + full, tail)), take<F>(x1 + full, tail));
                F::store(a + full, F::combine(F::combine(v, take<F>(x2 + full, tail)), take<F>(x3 + full, tail)));
            }
        }
    }
    for (; i < n; ++i) {
        item* a = lanes + i % LANES * pitch;
        const item* x = row(i);
        for (int j = 0; j < full; j += VL) F::store(a + j, F::combine(F::load(a + j), F::load(x + j)));
        if (tail) F::store(a + full, F::combine(F::load(a + full), take<F>(x + full, tail)));
    }
    for (int h = LANES / 2; h; h /= 2)
        for (int l = 0; l < h && l + h < used; ++l) {
            item *a = lanes + l * pitch, *b = lanes + (l + h) * pitch;
            for (int j = 0; j < pitch; j += VL) F::store(a + j, F::combine(F::load(a + j), F::load(b + j)));
        }
    for (int j = 0; j < full; j += VL) F::store(out + j, F::load(lanes + j));
    if (tail) F::store_some(out + full, F::load(lanes + full), tail);
}

// The first i with x[i] equal to `value` or NaN; n where there is none.
template <class F>
inline int64_t find_first(const typename F::item* x, int64_t n, typename F::item value) {
    for (int64_t i = 0; i < n; i += VL) {
        const int m = n - i < VL ? (int)(n - i) : VL;
        const unsigned hit = m_bits(m_and(F::same(take<F>(x + i, m), value), first_n(m)));
        if (hit) return i + __builtin_ctz(hit);
    }
    return n;
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
