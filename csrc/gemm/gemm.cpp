// gemm: y = alpha * op(a) @ op(b) + beta * c, batched; batch dimensions broadcast.
//
//   a (..., m, k), or (..., k, m) where transposed; b (..., k, n), or (..., n, k); c broadcastable to y; y (..., m, n)
//   ints: transpose_a, transpose_b; floats: alpha, beta
//
// c is read only where beta is not 0. Any strides, through which transposed operands are read.
#include "dot/product.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

// The stride of v along y's dimension d, 0 where v is broadcast; false where the sizes do not agree.
bool stride_along(const View& v, const View& y, int d, ptrdiff_t& stride) {
    const int at = d - (y.rank - v.rank);
    stride = 0;
    if (at < 0 || v.shape[at] == 1) return true;
    stride = v.stride[at];
    return v.shape[at] == y.shape[d];
}

}  // namespace

bool gemm_prepare(Call& call) {
    if (call.n_in != 3 || call.n_out != 1 || call.n_ints != 2 || call.n_floats != 2)
        return refuse(call, "expected a, b, c, one output, 2 ints and 2 floats");
    const View &a = call.in[0], &b = call.in[1], &c = call.in[2], &y = call.out[0];
    if (!all_f32(call.in, 3) || y.dtype != F32) return refuse(call, "expected float32 arrays");
    if (a.rank < 2 || b.rank < 2 || y.rank < a.rank || y.rank < b.rank || (!c.absent() && c.rank > y.rank))
        return refuse(call, "expected a and b of rank 2 or more, and y of the larger rank");
    const int ta = call.ints[0] != 0, tb = call.ints[1] != 0;
    Products p;
    Product& e = p.each;
    e.m = a.shape[a.rank - 2 + ta], e.k = a.shape[a.rank - 1 - ta], e.n = b.shape[b.rank - 1 - tb];
    if (b.shape[b.rank - 2 + tb] != e.k || y.shape[y.rank - 2] != e.m || y.shape[y.rank - 1] != e.n)
        return refuse(call, "a, b and y do not agree on m, n and k");
    e.a = a.f32(), e.a_m = a.stride[a.rank - 2 + ta], e.a_k = a.stride[a.rank - 1 - ta];
    e.b = b.f32(), e.b_k = b.stride[b.rank - 2 + tb], e.b_n = b.stride[b.rank - 1 - tb];
    e.c = y.f32w(), e.c_m = y.stride[y.rank - 2], e.c_n = y.stride[y.rank - 1];
    e.alpha = (float)call.floats[0];
    e.beta = c.absent() ? 0 : (float)call.floats[1];
    p.rank = y.rank - 2;
    for (int d = 0; d < p.rank; ++d) {
        p.shape[d] = y.shape[d];
        p.c[d] = y.stride[d];
        if (!stride_along(a, y, d, p.a[d]) || !stride_along(b, y, d, p.b[d]))
            return refuse(call, "the batch dimensions of a and b do not broadcast to those of y");
        p.old[d] = 0;
    }
    if (e.beta != 0) {
        e.old = c.f32();
        bool fits = stride_along(c, y, y.rank - 2, e.old_m) && stride_along(c, y, y.rank - 1, e.old_n);
        for (int d = 0; d < p.rank; ++d) fits = fits && stride_along(c, y, d, p.old[d]);
        if (!fits) return refuse(call, "c does not broadcast to y");
    }
    plan_products(call, p);
    call.as<Products>() = p;
    return true;
}

void gemm_run(const Call& call, const Team& team, char* scratch) { run_products(call.as<Products>(), team, scratch); }

}  // namespace QUERNEL_ISA
}  // namespace quernel
