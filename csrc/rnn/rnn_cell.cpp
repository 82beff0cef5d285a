// rnn_cell: one step from x, weights and state, on few rows: two products and the activation, no packing.
//
//   rnn_cell   x (n, i), w (i, k), u (k, k), h (n, k), b? (k,) -> h (n, k)        ints: activation f
//   h = f((x w + b) + h u), the order of rnn_forward behind dense_forward
#include "dot/product.hpp"
#include "rnn/arrays.hpp"

namespace quernel {
namespace QUERNEL_ISA {

using namespace recurrent;

namespace {

enum In { X, W, U, H, B, INS };

struct Cell {
    int64_t n, k;
    Activation f;
    Doors doors;
    Product x, h;
    int64_t product;  // bytes of a rank's room for them
};

Product times(const View& a, const View& b) {
    Product p;
    p.m = a.shape[0], p.n = b.shape[1], p.k = b.shape[0];
    p.a = a.f32(), p.a_m = a.stride[0], p.a_k = a.stride[1];
    p.b = b.f32(), p.b_k = b.stride[0], p.b_n = b.stride[1];
    p.c_m = p.n, p.c_n = 1;
    return p;
}

}  // namespace

bool rnn_cell_prepare(Call& call) {
    if (call.n_in != INS || call.n_out != 1 || call.n_ints != 1)
        return refuse(call, "expected x, w, u, h, b and 1 int");
    if (!all_f32(call.in, INS) || call.out[0].dtype != F32) return refuse(call, "expected float32 arrays");
    const View &x = call.in[X], &w = call.in[W], &u = call.in[U], &h = call.in[H], &b = call.in[B];
    Cell& f = call.as<Cell>() = {};
    if (x.rank != 2 || w.rank != 2 || u.rank != 2 || h.rank != 2 || !same_shape(h, call.out[0]))
        return refuse(call, "expected x (n, i), w (i, k), u (k, k), h (n, k)");
    f.n = h.shape[0], f.k = h.shape[1];
    if (u.shape[0] != f.k || u.shape[1] != f.k || w.shape[1] != f.k || w.shape[0] != x.shape[1] || x.shape[0] != f.n)
        return refuse(call, "x, w, u and h do not agree on n, i and k");
    if (!b.absent() && (b.rank != 1 || b.shape[0] != f.k)) return refuse(call, "expected b (k,)");
    if (call.ints[0] < NO_ACTIVATION || call.ints[0] > TANH) return refuse(call, "unknown activation");
    f.f = (Activation)call.ints[0];
    f.doors.plan(call, 1u << X | 1u << W | 1u << U | 1u << H | 1u << B);
    f.x = times(x, w);
    f.h = times(h, u);
    if (!b.absent()) f.x.bias = b.f32(), f.x.bias_n = b.stride[0];
    const int64_t one = product_scratch(f.x), other = product_scratch(f.h);
    f.product = one > other ? one : other;
    const double n = (double)f.n, k = (double)f.k, i = (double)x.shape[1];
    call.flops = n * k * (2 * (k + i) + 40);
    call.bytes = 4 * (k * (k + i) + n * (i + 2 * k));
    call.ranks = worth(call, f.n);
    call.scratch = align64(f.doors.bytes) + align64(8 * f.n * f.k) + call.ranks * f.product;
    return true;
}

void rnn_cell_run(const Call& call, const Team& team, char* scratch) {
    const Cell& f = call.as<Cell>();
    View in[INS], out[1];
    f.doors.open(call, in, out, team, scratch);
    scratch += align64(f.doors.bytes);
    float* const room = reinterpret_cast<float*>(scratch);
    scratch += align64(8 * f.n * f.k) + team.rank * f.product;
    const Range rows = split(f.n, team);
    float *const z = room + rows.begin * f.k, *const sums = room + (f.n + rows.begin) * f.k;
    const auto times_of = [&](Product p, float* c) {
        p.m = rows.end - rows.begin, p.a += rows.begin * p.a_m, p.c = c;
        product(p, scratch);
    };
    times_of(f.x, z);
    times_of(f.h, sums);
    const At y(out[0]);
    for (int64_t i = rows.begin; i < rows.end; ++i)
        each_unit(0, f.k, [&](int64_t j, int lanes) __attribute__((always_inline)) {
            const int64_t at = (i - rows.begin) * f.k + j;
            const vf v = add(get(z + at, lanes), get(sums + at, lanes));
            put(y(i) + j, f.f == TANH ? vtanh(v) : squash_other(f.f, v), lanes);
        });
    f.doors.close(call, out, team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
