// conv_forward and conv_dx: both fill a Gather; its loops are in gather.cpp.
#include "conv/pooled.hpp"
#include "conv/winograd.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

double products(const Conv& v, const Axis* axis) {
    return 2.0 * v.n * axis[0].out * axis[1].out * axis[2].out * v.taps * v.c * v.o * v.groups;
}
double traffic(const View& a, const View& b, const View& c) { return 4.0 * (a.size() + b.size() + c.size()); }

}  // namespace

bool conv_forward_prepare(Call& call) {
    const bool pooled = call.n_out == 2;
    if (call.n_in != 3 || (call.n_out != 1 && !pooled)) return refuse(call, "expected x, w, b and y");
    const View &x = call.in[0], &w = call.in[1], &b = call.in[2];
    View y = call.out[0];
    Conv v;
    Pool pool;
    if (pooled && !parse_pool(call, call.out[0], call.out[1], pool, y)) return false;
    if (!parse(call, x, y, w, v, pooled ? POOLED : PLAIN)) return false;
    const bool winograd = pays_winograd(v, false);
    if (pooled && winograd) return refuse(call, "expected few channels, whose sums are direct ones");
    for (Axis& a : v.axis) a.out = a.live;
    if (!b.absent() && (b.rank != 1 || b.shape[0] != v.o * v.groups || b.dtype != F32))
        return refuse(call, "expected a float32 bias of one value a filter");
    PooledForward& g = call.as<PooledForward>();
    g = {};
    g.from = images(x), g.to = images(y);
    g.n = v.n, g.groups = v.groups, g.k = v.c, g.j = v.o;
    g.w = w.f32(), g.w_k = w.stride[w.rank - 2], g.w_j = w.stride[w.rank - 1], g.w_group = v.o * g.w_j;
    tap_strides(w, g.w_tap);
    for (int d = 0; d < SPATIAL; ++d) {
        g.axis[d] = v.axis[d];
        g.size[d] = v.axis[d].out;
        g.taps[d] = v.axis[d].taps;
    }
    g.winograd = winograd;
    for (int d = 0; d < 2; ++d) g.from_size[d] = v.axis[d + 1].in, g.before[d] = v.axis[d + 1].low;
    g.bias = b.absent() ? nullptr : b.f32(), g.bias_step = b.absent() ? 0 : b.stride[0];
    g.activation = v.activation;
    g.lines = lines_of_y;
    call.flops = products(v, v.axis);
    call.bytes = traffic(x, w, pooled ? call.out[0] : y);
    if (pooled) pool_pieces(g, pool, call.out[0].f32w());
    plan(call, g);
    return true;
}

void conv_forward_run(const Call& call, const Team& team, char* scratch) { run(call.as<Gather>(), team, scratch); }

bool conv_dx_prepare(Call& call) {
    if (call.n_in != 2 || call.n_out != 1) return refuse(call, "expected dy, w and dx");
    const View &dy = call.in[0], &w = call.in[1], &dx = call.out[0];
    Conv v;
    if (!parse(call, dx, dy, w, v)) return false;
    Gather& g = call.as<Gather>();
    g = {};
    g.from = images(dy), g.to = images(dx);
    g.n = v.n, g.groups = v.groups, g.k = v.o, g.j = v.c;
    g.w_k = w.stride[w.rank - 1], g.w_j = w.stride[w.rank - 2], g.w_group = v.o * g.w_k;
    tap_strides(w, g.w_tap);
    g.w = w.f32();
    g.winograd = pays_winograd(v, true);
    for (int d = 0; d < 2; ++d)
        g.from_size[d] = v.axis[d + 1].out, g.before[d] = v.axis[d + 1].taps - 1 - v.axis[d + 1].low;
    for (int d = 0; d < SPATIAL; ++d) {  // taps from the last to the first
        g.axis[d] = v.axis[d];
        g.size[d] = v.axis[d].in;
        g.taps[d] = v.axis[d].taps;
        g.w += (g.taps[d] - 1) * g.w_tap[d];
        g.w_tap[d] = -g.w_tap[d];
        g.rim = g.rim || v.axis[d].live < v.axis[d].out;
        v.axis[d].out = v.axis[d].live;
    }
    g.lines = lines_of_dx;
    call.flops = products(v, v.axis);
    call.bytes = traffic(dy, w, dx);
    plan(call, g);
    return true;
}

void conv_dx_run(const Call& call, const Team& team, char* scratch) { run(call.as<Gather>(), team, scratch); }

}  // namespace QUERNEL_ISA
}  // namespace quernel
