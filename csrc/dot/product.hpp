// product: one matrix product with any strides on every operand: dot plus packing, cache blocks and the split among
// ranks.
//
//   C(i, j) = activation(alpha * sum over k of A(i, k) * B(k, j) + beta * old(i, j) + bias(j))
//
// The sums are dot's, or column's where C has one column; whatever is packed, blocked or split.
#pragma once
#include "dot/dot.hpp"

namespace quernel {
namespace QUERNEL_ISA {

struct Product {
    int64_t m, n, k;
    const float* a;
    ptrdiff_t a_m, a_k;
    const float* b;
    ptrdiff_t b_k, b_n;
    float* c;
    ptrdiff_t c_m, c_n;
    float alpha = 1, beta = 0;
    const float* old = nullptr;  // may be broadcast by zero strides; must not overlap C; read only where beta is not 0
    ptrdiff_t old_m = 0, old_n = 0;
    const float* bias = nullptr;
    ptrdiff_t bias_n = 1;
    Activation activation = NO_ACTIVATION;
    bool one_column =
        false;  // set where the whole C has n = 1 (a rank's part of a wider C may have, too): column's order
};

// Bytes of scratch that `product` needs for these sizes and strides; enough for every part that `share` makes of it.
int64_t product_scratch(const Product& p);

// Computes all of C on the calling thread.
void product(const Product& p, char* scratch);

// This rank's part: rows or columns, whichever there are more of. No barrier; `scratch` is this rank's own.
void share(const Product& p, const Team& team, char* scratch);

// Products of one shape over batch dimensions; a stride of 0 broadcasts an operand.
struct Products {
    Product each;
    int rank = 0;  // batch dimensions
    int64_t shape[MAX_RANK];
    ptrdiff_t a[MAX_RANK], b[MAX_RANK], c[MAX_RANK], old[MAX_RANK];

    int64_t count() const {
        int64_t n = 1;
        for (int d = 0; d < rank; ++d) n *= shape[d];
        return n;
    }
};

// Fills call.ranks, flops, bytes and scratch, after merging batch dimensions into rows where B and the strides allow
// it.
void plan_products(Call& call, Products& p);
void run_products(const Products& p, const Team& team, char* scratch);

}  // namespace QUERNEL_ISA
}  // namespace quernel
