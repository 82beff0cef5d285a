// few: VL columns at a time, VL terms at a time.
#include "dot/few.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

// t[s][j] = element s of the row of bytes j, 0 <= s < VL, 0 <= j < lanes.
QUERNEL_INLINE void turn(vf (&t)[VL], int lanes, const char* b, ptrdiff_t row) {
    if (lanes == VL) {
        ptrdiff_t row2 = 2 * row, row3 = 3 * row;
        asm volatile("" : "+r"(row2), "+r"(row3));  // or GCC keeps an address for each row, and spills
#pragma GCC unroll 4
        for (int j = 0; j < VL; j += 4) {
            t[j] = loadu(reinterpret_cast<const float*>(b));
            t[j + 1] = loadu(reinterpret_cast<const float*>(b + row));
            t[j + 2] = loadu(reinterpret_cast<const float*>(b + row2));
            t[j + 3] = loadu(reinterpret_cast<const float*>(b + row3));
            b += 4 * row;
            asm volatile("" : "+r"(b));
        }
    } else {
#pragma GCC unroll 16
        for (int j = 0; j < VL; ++j) t[j] = j < lanes ? loadu(reinterpret_cast<const float*>(b + j * row)) : zero();
    }
    transpose(t);
}

// One chain of k <= CHAIN terms of R rows and `lanes` columns, added to C where it is not the first. x[q * R + i]: term
// q of row i. From 4 rows on, a block of B is turned ahead, while the FMAs of the one before run: a block's own FMAs
// would fill the scheduler while they wait for it (8 rows: 70 -> 100 GFLOP/s).
template <int R>
void columns(int lanes, int64_t k, const float* x, const float* b, ptrdiff_t b_n, float* c, ptrdiff_t c_m, bool first) {
    constexpr bool AHEAD = R >= 4;
    vf acc[R], t[VL];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) acc[i] = zero();
    alignas(64) float turned[AHEAD ? 2 : 1][VL * VL];
    const auto keep = [&turned, &t](int64_t q) __attribute__((always_inline)) {
#pragma GCC unroll 16
        for (int s = 0; s < VL; ++s) storeu(turned[q % 2] + s * VL, t[s]);
    };
    const ptrdiff_t row = b_n * (ptrdiff_t)sizeof(float);
    const char* at = reinterpret_cast<const char*>(b);
    const int64_t blocks = k / VL;
    if (AHEAD && blocks) {
        turn(t, lanes, at, row);
        keep(0);
        at += VL * sizeof(float);
    }
    for (int64_t q = 0; q < blocks; ++q, x += VL * R, at += VL * sizeof(float)) {
        if (!AHEAD || q + 1 < blocks) turn(t, lanes, at, row);
        if (AHEAD && q + 1 < blocks) keep(q + 1);
#pragma GCC unroll 16
        for (int s = 0; s < VL; ++s) {
            const vf bv = AHEAD ? loadu(turned[q % 2] + s * VL) : t[s];
#pragma GCC unroll 8
            for (int i = 0; i < R; ++i) acc[i] = fma(set1(x[s * R + i]), bv, acc[i]);
        }
    }
    for (int64_t q = blocks * VL; q < k; ++q, x += R) {
        alignas(64) float column[VL] = {};
        for (int j = 0; j < lanes; ++j) column[j] = b[j * b_n + q];
        const vf bv = loadu(column);
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) acc[i] = fma(set1(x[i]), bv, acc[i]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
        float* const to = c + i * c_m;
        store_n(to, first ? acc[i] : add(load_n(to, lanes), acc[i]), lanes);
    }
}

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

}  // namespace

void few(int64_t m, int64_t n, int64_t k, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, const float* b, ptrdiff_t b_n,
         float* c, ptrdiff_t c_m) {
    using Run = void (*)(int, int64_t, const float*, const float*, ptrdiff_t, float*, ptrdiff_t, bool);
    constexpr Run runs[] = {columns<1>, columns<2>, columns<3>, columns<4>,
                            columns<5>, columns<6>, columns<7>, columns<8>};
    const Run run = runs[m - 1];
    float x[CHAIN * FEW];  // the rows of A side by side, so that their terms stand at constant distances
    for (int64_t begin = 0; begin == 0 || begin < k; begin += CHAIN) {
        const int64_t terms = k - begin < CHAIN ? k - begin : CHAIN;
        for (int64_t i = 0; i < m; ++i)
            for (int64_t q = 0; q < terms; ++q) x[q * m + i] = a[i * a_m + (begin + q) * a_k];
        int64_t j = m == 1 ? one_row(n, terms, x, b + begin, b_n, c, begin == 0) : 0;
        for (; j < n; j += VL)
            run(n - j < VL ? (int)(n - j) : VL, terms, x, b + j * b_n + begin, b_n, c + j, c_m, begin == 0);
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
