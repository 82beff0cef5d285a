// dot, the block under every matrix product: C = finish(sum over taps and k of A * B), one C tile in registers at a
// time.
//
//   S(i, j) = sum over taps t, k < taps[t].k of  taps[t].a[i * a_m + k * a_k] * taps[t].b[k * b_k + j]
//   C(i, j) = activation(alpha * S(i, j) + beta * old(i, j) + bias[j])           0 <= i < m, 0 <= j < n
//
// A tap is one entry of the batch-reduce sum: a dense product has one, a convolution one for each kernel row or kernel
// position, a weight gradient one for each image row. All taps are accumulated in registers; C is touched once, at the
// end.
//
// Strides count elements and may be negative or zero. A is read by broadcast loads, so any (a_m, a_k) runs at the same
// speed:
//   rows of A contiguous                      a_k = 1, a_m = row stride
//   A transposed (weight gradients)           a_m = 1, a_k = row stride
//   images as rows, pixels as rows, strides   whatever they are
// B's and C's columns are contiguous. No alignment is assumed. Nothing outside the m x n outputs and the operands' own
// elements is touched: the last vector is masked, there is no padding to provide. C must not overlap A or B. m, n, k,
// taps may be zero.
//
// The order of operations, which is public API (docs/numerics.md): each output is one chain of fused multiply-adds from
// +0 over its terms in (tap, k) order, broken where the *logical* position of the terms passes a multiple of 512; block
// sums are added in order, blocks without a term contribute nothing; then, each as one rounding and only where asked
// for, r = alpha * r, r = fma(beta, old, r), r = r + bias, activation. It does not depend on m, on tile shapes, on
// packing or on the vector width. `at` is the logical position of a tap's first term: a convolution that clips a border
// tap passes the position that the term has in the unclipped sum, so an output's blocks are the same whatever loop nest
// computes it. Positions must not decrease.
//
// Cache blocking along k: cut at a multiple of 512 and set `add` from the second call on, or cut anywhere, keep the
// unfinished chain of the current block in a buffer and hand it to the next call as `resume`.
#pragma once
#include "base/check.hpp"
#include "simd/vec.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int64_t CHAIN = 512;  // terms of one chain: one chain of 43k terms errs 1e-5, blocks of 512 err 5e-7

enum Activation : int32_t { NO_ACTIVATION, RELU, SIGMOID, TANH };  // the numbers are those of kernels/dense.py

struct Tap {
    const float* a;
    const float* b;
    int64_t k;   // number of terms
    int64_t at;  // logical position of the first one
};

struct Dot {
    int64_t m = 0, n = 0;
    ptrdiff_t a_m = 0, a_k = 1, b_k = 0;
    float* c = nullptr;
    ptrdiff_t c_m = 0;

    // The taps: a list ...
    const Tap* taps = nullptr;
    int64_t count = 0;
    // ... or, where taps is null, `count` regular ones: {a + t * a_b, b + t * b_b, k, at + t * at_b}.
    const float* a = nullptr;
    const float* b = nullptr;
    int64_t k = 0, at = 0;
    ptrdiff_t a_b = 0, b_b = 0;
    int64_t at_b = 0;

    // Room for a copy of B, k rows of pack_k floats (n, rounded up to whole vectors, or more), or null. With one
    // regular tap, the first rows of tiles fill it in passing and the others read it: that pays where B's rows are
    // unaligned or lie pages apart.
    float* pack = nullptr;
    ptrdiff_t pack_k = 0;

    // What the caller reads after this call, fetched into L2 by tiles 4 vectors wide, a little with every term; or
    // null. One regular tap only. With next_pitch: instead of bytes in a row the first LINES lines of k rows.
    const char* next = nullptr;
    int64_t next_bytes = 0;
    ptrdiff_t next_pitch = 0;  // bytes
    static constexpr int LINES = 4;
    bool cold = false;  // C lies beyond L2: its lines are fetched when a tile starts, however few the terms

    bool add = false;               // C holds the sum of earlier blocks: add to it, in this order: C + block
    const float* resume = nullptr;  // where the chain of the first tap's block starts, instead of +0
    ptrdiff_t resume_m = 0;

    // The epilogue. Leave it off in all but the last of several calls on one C.
    float alpha = 1, beta = 0;   // beta 0 never reads old
    const float* old = nullptr;  // null: C itself; then `add` and a non-zero beta exclude each other
    ptrdiff_t old_m = 0;
    const float* bias = nullptr;
    Activation activation = NO_ACTIVATION;
};

// Computes all of C on the calling thread. A team shares a product by splitting its rows or columns: same bits.
void dot(const Dot& d);

// The whole of A times B, one tap: the usual call.
inline void dot(int64_t m, int64_t n, int64_t k, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, const float* b,
                ptrdiff_t b_k, float* c, ptrdiff_t c_m) {
    Dot d;
    d.m = m, d.n = n, d.k = k, d.count = 1;
    d.a = a, d.a_m = a_m, d.a_k = a_k;
    d.b = b, d.b_k = b_k;
    d.c = c, d.c_m = c_m;
    dot(d);
}

// The activation on n contiguous floats, in place: what the epilogue applies.
void activate(Activation f, float* c, int64_t n);

}  // namespace QUERNEL_ISA
}  // namespace quernel
