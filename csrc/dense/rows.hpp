// rows: what the gradients of a dense layer share: leading dimensions as rows, and sums of products over them.
#pragma once
#include "dot/product.hpp"

namespace quernel {
namespace QUERNEL_ISA {

// The leading dimensions of v as one of `rows` at one stride; false where no single stride walks them in order.
bool merge_rows(const View& v, int64_t& rows, ptrdiff_t& stride);

// dw = x^T dy, the rows being the terms; x is a row of ones where absent.
struct SumOverRows {
    Product p;
    int64_t x_copy, dy_copy;  // bytes of scratch for rows that no single stride walks
};
// p: its m, A and C are set. Sets call.ranks, scratch, flops and bytes.
bool sum_over_rows(Call& call, const View* x, const View& dy, Product p, SumOverRows& s);
void run_sum_over_rows(const SumOverRows& s, const View* x, const View& dy, const Team& team, char* scratch);

}  // namespace QUERNEL_ISA
}  // namespace quernel
