// few: two rows of A and VL / 2 columns in one vector, so that half of B's turn is done by stores and loads; and one
// row.
//
// A vector of sums holds rows 2p and 2p + 1 of a column in neighbouring lanes, and takes each term of B twice. So B
// need not be turned to the last term: pairs of terms are exchanged between rows in registers, halves of vectors by
// storing them where the columns lie side by side, and loads that repeat even or odd lanes hand them to the FMA. That
// leaves 32 shuffles for 16 x 16 terms, where a turn in registers takes 64 from one of the two ports that the FMAs
// need.
#include "dot/few.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int HALF = VL / 2;         // columns of a vector of sums; pairs of terms of a block
constexpr int GROUP = HALF * VL;     // floats of a block of VL terms of HALF columns, turned: [pair][column][2]
constexpr int64_t ROWS = 2 * CHAIN;  // floats of two rows of A, turned: [term][2]
constexpr int MOST = FEW / 2, THREE = MOST < 3 ? MOST : 3;  // pairs of rows
constexpr int WIDE = 4;  // vectors of columns side by side: chains wait 4 cycles for each term

// A block of HALF columns: row(j) is what to take of row j of B.
template <class Row>
QUERNEL_INLINE void turn(float* to, Row row) {
    vf r[HALF];
#pragma GCC unroll 8
    for (int j = 0; j < HALF; ++j) r[j] = row(j);
    store_pairs(to, r);
}

// At most VL terms of V vectors of which `columns` columns exist, P pairs of rows.
void part(int P, int V, int64_t columns, int64_t terms, const float* x, const float* b, ptrdiff_t b_n, vf* sums) {
    alignas(64) float turned[WIDE * GROUP];
    for (int v = 0; v < V; ++v) {
        const int64_t last = columns - 1 - v * HALF;  // a column that does not exist repeats it
        turn(turned + v * GROUP, [=](int64_t j) __attribute__((always_inline)) {
            return load_n(b + (v * HALF + (j < last ? j : last)) * b_n, (int)terms);
        });
    }
    for (int p = 0; p < P; ++p)
        for (int v = 0; v < V; ++v) {
            vf acc = sums[p * WIDE + v];
            const float *a = x + p * ROWS, *at = turned + v * GROUP;
            for (int64_t t = 0; t < terms; t += 2, a += 4, at += VL) {
                acc = fma(set_pair(a), load_even(at), acc);
                if (t + 1 < terms) acc = fma(set_pair(a + 2), load_odd(at), acc);
            }
            sums[p * WIDE + v] = acc;
        }
}

// Whole blocks. The next block is turned, a little with every few terms, while this one is multiplied: what has just
// been stored in halves cannot be loaded whole.
template <int P, int V>
void whole(int64_t columns, int64_t blocks, const float* x, const float* b, ptrdiff_t b_n, vf* sums) {
    constexpr int STEPS = V < HALF ? V : HALF, GROUPS = V / STEPS, PAIRS = HALF / STEPS;  // of a step
    alignas(64) float turned[2][V * GROUP];
    vf acc[P][V];
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) acc[p][v] = sums[p * WIDE + v];
    const auto group = [b_n, columns](float* to, const float* from, int64_t j) __attribute__((always_inline)) {
        turn(to, [=](int64_t i) __attribute__((always_inline)) {
            return loadu(V > 2 || j + i < columns ? from + i * b_n : from + (columns - 1 - j) * b_n);
        });
    };
    for (int v = 0; v < V; ++v) group(turned[0] + v * GROUP, b + v * HALF * b_n, v * HALF);
    for (int64_t q = 0; q < blocks; ++q) {
        const float* at = turned[q % 2];
        float* to = turned[(q + 1) % 2];
        const float* from = b += VL;
        for (int s = 0; s < STEPS; ++s) {
            if (q + 1 < blocks)
                for (int g = 0; g < GROUPS; ++g, to += GROUP, from += HALF * b_n)
                    group(to, from, (s * GROUPS + g) * HALF);
#pragma GCC unroll 4
            for (int i = 0; i < PAIRS; ++i, at += VL)
#pragma GCC unroll 2
                for (int odd = 0; odd < 2; ++odd, x += 2) {
                    vf a[P];
#pragma GCC unroll 4
                    for (int p = 0; p < P; ++p) a[p] = set_pair(x + p * ROWS);
#pragma GCC unroll 8
                    for (int v = 0; v < V; ++v) {
                        const vf bv = odd ? load_odd(at + v * GROUP) : load_even(at + v * GROUP);
#pragma GCC unroll 4
                        for (int p = 0; p < P; ++p) acc[p][v] = fma(a[p], bv, acc[p][v]);
                    }
                }
        }
    }
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sums[p * WIDE + v] = acc[p][v];
}

using Whole = void (*)(int64_t, int64_t, const float*, const float*, ptrdiff_t, vf*);
template <int V>
constexpr Whole wholes[] = {whole<1, V>, whole<2, V>, whole<THREE, V>, whole<MOST, V>};

// One chain of one row and PAIR columns, of `terms` terms, a multiple of TURN. A chain waits 4 cycles for each FMA,
// longer than it takes to turn a block of B: two groups of columns side by side fill that time.
constexpr int64_t PAIR = 2 * VL;
void pair(int64_t terms, const float* x, const float* b, ptrdiff_t b_n, vf* sums) {
    vf acc[2] = {sums[0], sums[1]};
    for (; terms > 0; terms -= TURN, x += TURN, b += TURN)
#pragma GCC unroll 2
        for (int g = 0; g < 2; ++g) {
            vf t[TURN];
            load_turned(t, b + g * VL * b_n, b_n);
#pragma GCC unroll 8
            for (int s = 0; s < TURN; ++s) acc[g] = fma(set1(x[s]), t[s], acc[g]);
        }
    sums[0] = acc[0], sums[1] = acc[1];
}

// Any number of terms of it, up to VL.
void part_of_pair(int64_t terms, const float* x, const float* b, ptrdiff_t b_n, vf* sums) {
    for (int g = 0; g < 2; ++g, b += VL * b_n) {
        vf t[VL];
#pragma GCC unroll 16
        for (int j = 0; j < VL; ++j) t[j] = load_n(b + j * b_n, (int)terms);
        transpose(t);
        alignas(64) float turned[VL * VL];
#pragma GCC unroll 16
        for (int s = 0; s < VL; ++s) storeu(turned + s * VL, t[s]);
        vf acc = sums[g];
        for (int64_t s = 0; s < terms; ++s) acc = fma(set1(x[s]), loadu(turned + s * VL), acc);
        sums[g] = acc;
    }
}

// One chain of the last columns of one row, fewer than PAIR, or of all of them where pairs do not pay.
void columns_of_row(int lanes, int64_t k, const float* x, const float* b, ptrdiff_t b_n, float* c, bool first) {
    vf acc = zero();
    int64_t q = 0;
    for (; q + VL <= k; q += VL, x += VL) {
        vf t[VL];
#pragma GCC unroll 16
        for (int j = 0; j < VL; ++j) t[j] = j < lanes ? loadu(b + j * b_n + q) : zero();
        transpose(t);
#pragma GCC unroll 16
        for (int s = 0; s < VL; ++s) acc = fma(set1(x[s]), t[s], acc);
    }
    for (; q < k; ++q, ++x) {
        alignas(64) float column[VL] = {};
        for (int j = 0; j < lanes; ++j) column[j] = b[j * b_n + q];
        acc = fma(set1(*x), loadu(column), acc);
    }
    store_n(c, first ? acc : add(load_n(c, lanes), acc), lanes);
}

// The pairs of columns of one row; returns the columns done.
int64_t one_row(int64_t n, int64_t k, const float* x, const float* b, ptrdiff_t b_n, float* c, bool first) {
    if (b_n % 1024 == 0) return 0;  // all rows of B would fall in one set of L1
    // Whole blocks start at cache lines where all rows can: L1 does not hold the rest of a line for long.
    const int64_t past = (int64_t)((uintptr_t)b / sizeof(float) % VL);
    const int64_t lead = b_n % VL == 0 && past && k >= VL ? VL - past : 0;
    const int64_t whole = (k - lead) / VL * VL, rest = k - lead - whole;
    int64_t j = 0;
    for (; j + PAIR <= n; j += PAIR, b += PAIR * b_n) {
        vf sums[2] = {zero(), zero()};
        if (lead) part_of_pair(lead, x, b, b_n, sums);
        pair(whole, x + lead, b + lead, b_n, sums);
        if (rest) part_of_pair(rest, x + lead + whole, b + lead + whole, b_n, sums);
        for (int g = 0; g < 2; ++g) {
            float* const to = c + j + g * VL;
            storeu(to, first ? sums[g] : add(loadu(to), sums[g]));
        }
    }
    return j;
}

void one_row_of_chains(int64_t n, int64_t k, const float* a, ptrdiff_t a_k, const float* b, ptrdiff_t b_n, float* c) {
    float x[CHAIN];
    for (int64_t begin = 0; begin == 0 || begin < k; begin += CHAIN, b += CHAIN) {
        const int64_t terms = k - begin < CHAIN ? k - begin : CHAIN;
        for (int64_t q = 0; q < terms; ++q) x[q] = a[(begin + q) * a_k];
        int64_t j = one_row(n, terms, x, b, b_n, c, begin == 0);
        for (; j < n; j += VL)
            columns_of_row(n - j < VL ? (int)(n - j) : VL, terms, x, b + j * b_n, b_n, c + j, begin == 0);
    }
}

}  // namespace

void few(int64_t m, int64_t n, int64_t k, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, const float* b, ptrdiff_t b_n,
         float* c, ptrdiff_t c_m) {
    if (m == 1) return one_row_of_chains(n, k, a, a_k, b, b_n, c);
    const int pairs = (int)(m + 1) / 2;
    alignas(64) float x[MOST * ROWS];
    // Whole blocks start at cache lines where all rows can: L1 does not hold the rest of a line for long.
    const int64_t past = (int64_t)((uintptr_t)b / sizeof(float) % VL);
    const bool odd = b_n % VL == 0 && past && k >= VL;
    for (int64_t begin = 0; begin == 0 || begin < k; begin += CHAIN) {
        const int64_t terms = k - begin < CHAIN ? k - begin : CHAIN;
        const int64_t lead = odd && terms >= VL ? VL - past : 0, blocks = (terms - lead) / VL;
        const int64_t rest = terms - lead - blocks * VL;
        for (int64_t i = 0; i < m; i += 2) {  // a last row alone takes both lanes
            const float *a0 = a + i * a_m + begin * a_k, *a1 = i + 1 < m ? a0 + a_m : a0;
            float* const to = x + i / 2 * ROWS;
            if (a_k == 1)
                for (int64_t q = 0; q < terms; ++q) to[2 * q] = a0[q], to[2 * q + 1] = a1[q];
            else
                for (int64_t q = 0; q < terms; ++q) to[2 * q] = a0[q * a_k], to[2 * q + 1] = a1[q * a_k];
        }
        for (int64_t j = 0; j < n;) {
            const int64_t left = n - j;
            const int V = left < WIDE * HALF ? 2 : WIDE;
            const int64_t columns = left < V * HALF ? left : V * HALF;
            const Whole run = V == 2 ? wholes<2>[pairs - 1] : wholes<WIDE>[pairs - 1];
            const float* from = b + j * b_n + begin;
            const float* at = x;
            alignas(64) vf sums[MOST * WIDE];
            for (vf& s : sums) s = zero();
            if (lead) part(pairs, V, columns, lead, at, from, b_n, sums), at += 2 * lead, from += lead;
            if (blocks) run(columns, blocks, at, from, b_n, sums), at += 2 * blocks * VL, from += blocks * VL;
            if (rest) part(pairs, V, columns, rest, at, from, b_n, sums);
            for (int64_t i = 0; i < m; ++i)
                for (int v = 0; v < V && v * HALF < columns; v += 2) {
                    const vf *s = sums + i / 2 * WIDE + v, r = i % 2 ? odd_lanes(s[0], s[1]) : even_lanes(s[0], s[1]);
                    const int lanes = columns - v * HALF < VL ? (int)columns - v * HALF : VL;
                    float* const to = c + i * c_m + j + v * HALF;
                    store_n(to, begin ? add(load_n(to, lanes), r) : r, lanes);
                }
            j += columns;
        }
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
