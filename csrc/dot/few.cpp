// few: VL columns at a time, VL terms at a time.
#include "dot/few.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

template <int R>
void columns(int lanes, int64_t k, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, const float* b, ptrdiff_t b_n,
             float* c, ptrdiff_t c_m) {
    vf acc[R], sum[R];
    bool have = false;
    for (int64_t begin = 0; begin == 0 || begin < k; begin += CHAIN) {
        const int64_t end = k - begin < CHAIN ? k : begin + CHAIN;
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) acc[i] = zero();
        int64_t q = begin;
        for (; q + VL <= end; q += VL) {
            vf t[VL];
            if (lanes == VL) {
#pragma GCC unroll 16
                for (int j = 0; j < VL; ++j) t[j] = loadu(b + j * b_n + q);
            } else {
#pragma GCC unroll 16
                for (int j = 0; j < VL; ++j) t[j] = j < lanes ? loadu(b + j * b_n + q) : zero();
            }
            transpose(t);
            const float* x = a + q * a_k;
#pragma GCC unroll 16
            for (int s = 0; s < VL; ++s) {
#pragma GCC unroll 8
                for (int i = 0; i < R; ++i) acc[i] = fma(set1(x[i * a_m + s * a_k]), t[s], acc[i]);
            }
        }
        for (; q < end; ++q) {
            alignas(64) float column[VL] = {};
            for (int j = 0; j < lanes; ++j) column[j] = b[j * b_n + q];
            const vf t = loadu(column);
#pragma GCC unroll 8
            for (int i = 0; i < R; ++i) acc[i] = fma(set1(a[i * a_m + q * a_k]), t, acc[i]);
        }
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) sum[i] = have ? add(sum[i], acc[i]) : acc[i];
        have = true;
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) store_n(c + i * c_m, sum[i], lanes);
}

}  // namespace

void few(int64_t m, int64_t n, int64_t k, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, const float* b, ptrdiff_t b_n,
         float* c, ptrdiff_t c_m) {
    using Run = void (*)(int, int64_t, const float*, ptrdiff_t, ptrdiff_t, const float*, ptrdiff_t, float*, ptrdiff_t);
    constexpr Run runs[] = {columns<1>, columns<2>, columns<3>, columns<4>,
                            columns<5>, columns<6>, columns<7>, columns<8>};
    const Run run = runs[m - 1];
    for (int64_t j = 0; j < n; j += VL)
        run(n - j < VL ? (int)(n - j) : VL, k, a, a_m, a_k, b + j * b_n, b_n, c + j, c_m);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
