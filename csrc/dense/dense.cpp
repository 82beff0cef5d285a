// dense: the products of a fully connected layer. x (..., i), w (i, o), b (o), y and dy (..., o).
//
//   dense_forward   y = activation(x @ w + b)     ints: activation (0 none, 1 relu, 2 sigmoid, 3 tanh)
//   dense_dx        dx = dy @ w^T
//   dense_dw        dw = sum over rows of x^T dy  the rows are the terms, in order
//
// Any strides on every operand.
#include "dense/rows.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool merge_rows(const View& v, int64_t& rows, ptrdiff_t& stride) {
    rows = 1;
    stride = 0;
    bool merged = true;
    for (int d = v.rank - 2; d >= 0; --d) {
        if (v.shape[d] == 1) continue;
        if (rows == 1)
            stride = v.stride[d];
        else if (v.stride[d] != rows * stride)
            merged = false;
        rows *= v.shape[d];
    }
    return merged;
}

namespace {

// x (..., k) times one B (k, n) into y (..., n): the rows of the last leading dimension, the others as batch.
bool rows_times(Call& call, const View& x, const View& y, Products& p) {
    if (x.rank < 1 || x.rank != y.rank) return refuse(call, "expected inputs and outputs of one rank, 1 or more");
    for (int d = 0; d < x.rank - 1; ++d)
        if (x.shape[d] != y.shape[d]) return refuse(call, "the leading dimensions of input and output differ");
    const int last = x.rank - 1;
    Product& e = p.each;
    e.a = x.f32(), e.a_k = x.stride[last];
    e.c = y.f32w(), e.c_n = y.stride[last];
    e.m = 1, e.a_m = e.c_m = 0;
    p.rank = last;
    for (int d = 0; d < last; ++d) {
        p.shape[d] = x.shape[d];
        p.a[d] = x.stride[d];
        p.c[d] = y.stride[d];
        p.b[d] = p.old[d] = 0;
    }
    plan_products(call, p);
    call.as<Products>() = p;
    return true;
}

}  // namespace

bool dense_forward_prepare(Call& call) {
    if (call.n_in != 3 || call.n_out != 1 || call.n_ints != 1) return refuse(call, "expected x, w, b, y and 1 int");
    const View &x = call.in[0], &w = call.in[1], &b = call.in[2], &y = call.out[0];
    if (!all_f32(call.in, 3) || y.dtype != F32) return refuse(call, "expected float32 arrays");
    if (x.rank < 1 || w.rank != 2 || y.rank != x.rank || x.shape[x.rank - 1] != w.shape[0] ||
        y.shape[y.rank - 1] != w.shape[1])
        return refuse(call, "expected x (..., i), w (i, o), y (..., o)");
    if (!b.absent() && (b.rank != 1 || b.shape[0] != w.shape[1])) return refuse(call, "expected b (o,)");
    if (call.ints[0] < NO_ACTIVATION || call.ints[0] > TANH) return refuse(call, "unknown activation");
    Products p;
    p.each.k = w.shape[0], p.each.n = w.shape[1];
    p.each.b = w.f32(), p.each.b_k = w.stride[0], p.each.b_n = w.stride[1];
    if (!b.absent()) p.each.bias = b.f32(), p.each.bias_n = b.stride[0];
    p.each.activation = (Activation)call.ints[0];
    return rows_times(call, x, y, p);
}
void dense_forward_run(const Call& call, const Team& team, char* scratch) {
    run_products(call.as<Products>(), team, scratch);
}

bool dense_dx_prepare(Call& call) {
    if (call.n_in != 2 || call.n_out != 1) return refuse(call, "expected dy, w and dx");
    const View &dy = call.in[0], &w = call.in[1], &dx = call.out[0];
    if (!all_f32(call.in, 2) || dx.dtype != F32) return refuse(call, "expected float32 arrays");
    if (dy.rank < 1 || w.rank != 2 || dx.rank != dy.rank || dy.shape[dy.rank - 1] != w.shape[1] ||
        dx.shape[dx.rank - 1] != w.shape[0])
        return refuse(call, "expected dy (..., o), w (i, o), dx (..., i)");
    Products p;
    p.each.k = w.shape[1], p.each.n = w.shape[0];
    p.each.b = w.f32(), p.each.b_k = w.stride[1], p.each.b_n = w.stride[0];
    return rows_times(call, dy, dx, p);
}
void dense_dx_run(const Call& call, const Team& team, char* scratch) {
    run_products(call.as<Products>(), team, scratch);
}

namespace {

// Rows of v, contiguous, by all ranks together.
void copy_rows(const View& v, float* out, const Team& team) {
    const int last = v.rank - 1;
    const int64_t n = v.shape[last], rows = v.size() / n;
    const Range mine = split(rows, team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
        const float* from = v.f32();
        int64_t rest = i;
        for (int d = last - 1; d >= 0; --d) {
            from += rest % v.shape[d] * v.stride[d];
            rest /= v.shape[d];
        }
        for (int64_t j = 0; j < n; ++j) out[i * n + j] = from[j * v.stride[last]];
    }
}

}  // namespace

bool sum_over_rows(Call& call, const View* x, const View& dy, Product p, SumOverRows& s) {
    s.x_copy = s.dy_copy = 0;
    if (x && !merge_rows(*x, p.k, p.a_k) && x->size() > 0) s.x_copy = align64(4 * x->size()), p.a_m = 1, p.a_k = p.m;
    p.n = dy.shape[dy.rank - 1];
    p.b = dy.f32(), p.b_n = dy.stride[dy.rank - 1];
    if (!merge_rows(dy, p.k, p.b_k) && dy.size() > 0) s.dy_copy = align64(4 * dy.size()), p.b_n = 1, p.b_k = p.n;
    p.one_column = p.n == 1;
    s.p = p;
    const double m = (double)p.m, n = (double)p.n, k = (double)p.k;
    call.flops = 2 * m * n * k;
    call.bytes = 4 * ((x ? m * k : 0) + k * n + m * n);
    call.ranks = worth(call, p.m > p.n / VL ? p.m : p.n / VL);
    call.scratch = s.x_copy + s.dy_copy + call.ranks * product_scratch(p);
    return true;
}
void run_sum_over_rows(const SumOverRows& s, const View* x, const View& dy, const Team& team, char* scratch) {
    Product p = s.p;
    const int64_t each = product_scratch(p);
    if (s.x_copy) {
        float* rows = reinterpret_cast<float*>(scratch);
        copy_rows(*x, rows, team);
        p.a = rows;
        scratch += s.x_copy;
    }
    if (s.dy_copy) {
        float* rows = reinterpret_cast<float*>(scratch);
        copy_rows(dy, rows, team);
        p.b = rows;
        scratch += s.dy_copy;
    }
    if (s.x_copy || s.dy_copy) team.barrier();
    share(p, team, scratch + team.rank * each);
}

bool dense_dw_prepare(Call& call) {
    if (call.n_in != 2 || call.n_out != 1) return refuse(call, "expected x, dy and dw");
    const View &x = call.in[0], &dy = call.in[1], &dw = call.out[0];
    if (!all_f32(call.in, 2) || dw.dtype != F32) return refuse(call, "expected float32 arrays");
    if (x.rank < 1 || x.rank != dy.rank || dw.rank != 2)
        return refuse(call, "expected x (..., i), dy (..., o), dw (i, o)");
    const int last = x.rank - 1;
    for (int d = 0; d < last; ++d)
        if (x.shape[d] != dy.shape[d]) return refuse(call, "the leading dimensions of x and dy differ");
    if (dw.shape[0] != x.shape[last] || dw.shape[1] != dy.shape[last]) return refuse(call, "expected dw (i, o)");
    Product p;
    p.m = x.shape[last];
    p.a = x.f32(), p.a_m = x.stride[last];
    p.c = dw.f32w(), p.c_m = dw.stride[0], p.c_n = dw.stride[1];
    return sum_over_rows(call, &x, dy, p, call.as<SumOverRows>());
}
void dense_dw_run(const Call& call, const Team& team, char* scratch) {
    run_sum_over_rows(call.as<SumOverRows>(), &call.in[0], call.in[1], team, scratch);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
