// pack: copies of operands of a product, for dot to read: B as a panel, A by rows.
#include "dot/pack.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

// Terms and columns of B transposed, at most VL of each: what is left of whole vectors.
void pack_edge(float* out, int64_t width, const float* b, ptrdiff_t b_n, int terms, int columns) {
    vf t[VL];
#pragma GCC unroll 16
    for (int j = 0; j < VL; ++j) t[j] = load_n(b + (j < columns ? j : 0) * b_n, terms);
    transpose(t);
#pragma GCC unroll 16
    for (int i = 0; i < VL; ++i, out += width)
        if (i < terms) store_n(out, t[i], columns);
}
constexpr int64_t EDGE = 4;  // columns from which that is quicker than one by one

}  // namespace

void pack_b(float* out, int64_t width, const float* b, ptrdiff_t b_k, ptrdiff_t b_n, int64_t k, int64_t n) {
    if (b_n == 1) {
        for (int64_t q = 0; q < k; ++q, b += b_k, out += width) {
            int64_t j = 0;
            for (; j + VL <= n; j += VL) storeu(out + j, loadu(b + j));
            if (j < n) store_n(out + j, load_n(b + j, (int)(n - j)), (int)(n - j));
        }
        return;
    }
    int64_t j = 0;
    if (b_k == 1) {
        for (; j + VL <= n; j += VL) {
            int64_t q = 0;
            for (; q + TURN <= k; q += TURN) {
                vf t[TURN];
                load_turned(t, b + j * b_n + q, b_n);
#pragma GCC unroll 16
                for (int i = 0; i < TURN; ++i) storeu(out + (q + i) * width + j, t[i]);
            }
            if (q < k) pack_edge(out + q * width + j, width, b + j * b_n + q, b_n, (int)(k - q), VL);
        }
        if (n - j >= EDGE) {
            for (int64_t q = 0; q < k; q += VL)
                pack_edge(out + q * width + j, width, b + j * b_n + q, b_n, k - q < VL ? (int)(k - q) : VL,
                          (int)(n - j));
            return;
        }
    }
    for (int64_t q = 0; q < k; ++q)
        for (int64_t i = j; i < n; ++i) out[q * width + i] = b[q * b_k + i * b_n];
}

void pack_a(float* out, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, int64_t m, int64_t k) {
    int64_t i = 0;
    if (a_m == 1 && a_k != 1) {  // VL terms of all rows, then the next: their pages are visited once
        int64_t q = 0;
        for (; q + VL <= k; q += VL)
            for (i = 0; i < m; i += VL) {
                const int lanes = m - i < VL ? (int)(m - i) : VL;
                vf r[VL];
#pragma GCC unroll 16
                for (int t = 0; t < VL; ++t) r[t] = load_n(a + i + (q + t) * a_k, lanes);
                transpose(r);
                float* to = out + i * A_ROW + q;
#pragma GCC unroll 16
                for (int t = 0; t < VL; ++t)
                    if (t < lanes) storeu(to + t * A_ROW, r[t]);
            }
        for (; q < k; ++q)
            for (i = 0; i < m; ++i) out[i * A_ROW + q] = a[i + q * a_k];
        return;
    }
    for (; i < m; ++i) {
        const float* from = a + i * a_m;
        float* to = out + i * A_ROW;
        int64_t q = 0;
        if (a_k == 1)
            for (; q + VL <= k; q += VL) storeu(to + q, loadu(from + q));
        for (; q < k; ++q) to[q] = from[q * a_k];
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
