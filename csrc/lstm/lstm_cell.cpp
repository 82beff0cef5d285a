// lstm_cell: one step from x, for inference one step at a time.
#include "dot/product.hpp"
#include "lstm/lstm.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace lstm {
namespace {

struct Cell {
    Forward s;
    Doors doors;
    Product z;        // x @ w + b
    int64_t product;  // bytes of scratch of each rank's part
    int64_t z_bytes, forward;
};

}  // namespace
}  // namespace lstm

using namespace lstm;

bool lstm_cell_prepare(Call& call) {
    if (call.n_in != 6 || call.n_out != 2 || call.n_ints != 2)
        return refuse(call, "expected x, w, u, b, h, c, two outputs and 2 ints");
    const View &x = call.in[0], &w = call.in[1], &u = call.in[2], &b = call.in[3];
    if (!all_f32(call.in, 6) || !all_f32(call.out, 2)) return refuse(call, "expected float32 arrays");
    if (x.rank != 2 || w.rank != 2 || u.rank != 2 || w.shape[0] != x.shape[1] || u.shape[1] != 4 * u.shape[0] ||
        w.shape[1] != u.shape[1] || (!b.absent() && (b.rank != 1 || b.shape[0] != u.shape[1])))
        return refuse(call, "expected x (n, i), w (i, 4k), u (k, 4k), b (4k)");
    Cell& all = call.as<Cell>() = Cell();
    Forward& s = all.s;
    s.n = x.shape[0], s.t = 1, s.k = u.shape[0], s.backwards = false;
    const View* const states[] = {&call.in[4], &call.in[5], &call.out[0], &call.out[1]};
    for (const View* v : states)
        if (!v->absent() && (v->rank != 2 || v->shape[0] != s.n || v->shape[1] != s.k))
            return refuse(call, "expected h and c (n, k)");
    if (!functions(call, s.f)) return false;
    s.w.terms = s.w.units = s.k, s.w.gates = 4;
    s.w.u = u.f32(), s.w.u_k = u.stride[0], s.w.u_j = u.stride[1], s.w.u_g = s.k * u.stride[1];
    const double i = (double)x.shape[1], k = (double)s.k, n = (double)s.n;
    call.flops = n * k * (8 * (k + i) + 100);
    call.bytes = 4 * (n * (i + 4 * k) + 4 * k * (k + i));
    all.doors.plan(call, 15);  // products take any strides
    all.forward = align64(all.doors.bytes) + plan_forward(call, s);
    Product& p = all.z;
    p.m = s.n, p.n = 4 * s.k, p.k = x.shape[1];
    p.a = x.f32(), p.a_m = x.stride[0], p.a_k = x.stride[1];
    p.b = w.f32(), p.b_k = w.stride[0], p.b_n = w.stride[1];
    p.c = nullptr, p.c_m = p.n, p.c_n = 1;
    if (!b.absent()) p.bias = b.f32(), p.bias_n = b.stride[0];
    all.product = product_scratch(p);
    all.z_bytes = align64(4 * s.n * 4 * s.k);
    call.scratch = all.forward + all.z_bytes + call.ranks * all.product;
    return true;
}

void lstm_cell_run(const Call& call, const Team& team, char* scratch) {
    const Cell& all = call.as<Cell>();
    const Forward& s = all.s;
    View in[6], out[2];
    all.doors.open(call, in, out, team, scratch);
    Product z = all.z;
    z.c = reinterpret_cast<float*>(scratch + all.forward);
    share(z, team, scratch + all.forward + all.z_bytes + team.rank * all.product);
    team.barrier();
    View absent = in[0];
    absent.rank = -1, absent.data = nullptr;
    const auto cube = [&](float* data, int64_t width, ptrdiff_t row) {
        return View{reinterpret_cast<char*>(data), F32, 3, {s.n, 1, width}, {row, 0, 1}};
    };
    const View y = cube(out[0].f32w(), s.k, out[0].stride[0]);
    const Arrays v = {cube(z.c, 4 * s.k, 4 * s.k), in[4], in[5], absent, absent, y, out[0], out[1], absent, absent};
    run_forward(s, v, team, call.ranks, scratch + align64(all.doors.bytes));
    all.doors.close(call, out, team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
