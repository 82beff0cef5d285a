// rnn_dx: backpropagation through time in one region, then du as one product over all rows and steps.
//
//   rnn_dx   y (n, t, k), u (k, k), dy? (n, t, k), dh? (n, k), h? (n, k), mask? (n, t) bool, dropout? (n, k)
//            -> dz (n, t, k), du (k, k), dh0 (n, k)
//   ints: activation f, go_backwards
//   D = carry + dy, dz = D f'(y), carry = dropout * (dz u^T); a step that the mask ends hands D on and has dz = 0.
//   du = sum over (row, time of z) of (dropout * state before)^T dz
#include "dot/product.hpp"
#include "rnn/arrays.hpp"

namespace quernel {
namespace QUERNEL_ISA {

using namespace recurrent;

namespace {

enum In { Y, U, DY, DH, H, MASK, DROPOUT, INS };
enum Out { DZ, DU, DH0, OUTS };

struct Backward {
    int64_t n, t, k;
    Activation f;
    bool backwards;
    Shares shares;
    Doors doors;
    Weights w;              // u's transpose
    int64_t tiles, states;  // floats of a rank's room for products, and of one buffer of states
    int64_t product;        // bytes of a rank's room for du
};

struct Walk {
    const Backward& f;
    Slots& slots;
    At y, dy, first, dropout, dz;
    float *carry, *a;  // by slot; a: the step's dz
    float* d;          // (n, t, k) by time: dropout * the state before
    int64_t step, time;

    float* of(float* states, int64_t slot) const { return states + slot * f.shares.pitch; }

    void slopes(Range units) const {
        for (int64_t i = 0; i < slots.count; ++i) {
            const int64_t row = slots.row[i];
            const float* const before = step ? y(row, step - 1) : first.p ? first(row) : nullptr;
            const float* const g = dy.p ? dy(row, step) : nullptr;
            float *const c = of(carry, i), *const to_d = d + (row * f.t + time) * f.k, *const out = dz(row, time);
            const bool on = slots.on[i];
            each_unit(units.begin, units.end, [&](int64_t j, int lanes) __attribute__((always_inline)) {
                vf D = get(c + j, lanes);
                if (g) D = add(D, get(g + j, lanes));
                vf s = zero(), prev = zero();
                if (on) {
                    const vf value = get(y(row, step) + j, lanes);
                    s = mul(D, f.f == TANH ? fnma(value, value, set1(1.0f)) : slope_other(f.f, value));
                    if (before) prev = get(before + j, lanes);
                    if (dropout.p) prev = mul(prev, get(dropout(row) + j, lanes));
                    put(of(a, i) + j, s, lanes);
                } else {
                    put(c + j, D, lanes);
                }
                put(out + j, s, lanes);
                put(to_d + j, prev, lanes);
            });
        }
    }
    void hand_back(int64_t begin, int64_t end, Range units, const float* s, int64_t width) const {
        for (int64_t i = begin; i < end; ++i, s += width) {
            if (!slots.on[i]) continue;
            const float* at = s;
            each_unit(units.begin, units.end, [&](int64_t j, int lanes) __attribute__((always_inline)) {
                const vf v = loadu(at);
                put(of(carry, i) + j, dropout.p ? mul(v, get(dropout(slots.row[i]) + j, lanes)) : v, lanes);
                at += VL;
            });
        }
    }
};

// d^T dz over rows and steps.
Product over_rows(const Backward& f, const float* d, const float* dz, const View& du) {
    Product p;
    p.m = p.n = f.k, p.k = f.n * f.t;
    p.a = d, p.a_m = 1, p.a_k = f.k;
    p.b = dz, p.b_k = f.k, p.b_n = 1;
    p.c = du.f32w(), p.c_m = du.stride[0], p.c_n = du.stride[1];
    return p;
}

}  // namespace

bool rnn_dx_prepare(Call& call) {
    if (call.n_in != INS || call.n_out != OUTS || call.n_ints != 2)
        return refuse(call, "expected 7 inputs, 3 outputs and 2 ints");
    for (int i = 0; i < INS; ++i)
        if (!call.in[i].absent() && call.in[i].dtype != (i == MASK ? B8 : F32))
            return refuse(call, "expected float32 arrays and a bool mask");
    if (!all_f32(call.out, OUTS)) return refuse(call, "expected float32 outputs");
    const View &y = call.in[Y], &u = call.in[U], &dy = call.in[DY], &dz = call.out[DZ], &du = call.out[DU];
    if (y.rank != 3 || u.rank != 2 || u.shape[0] != u.shape[1] || u.shape[0] != y.shape[2] || !same_shape(y, dz) ||
        !same_shape(u, du) || (!dy.absent() && !same_shape(dy, y)))
        return refuse(call, "expected y, dy and dz (n, t, k), u and du (k, k)");
    Backward& f = call.as<Backward>() = {};
    f.n = y.shape[0], f.t = y.shape[1], f.k = y.shape[2];
    if (call.ints[0] < NO_ACTIVATION || call.ints[0] > TANH) return refuse(call, "unknown activation");
    f.f = (Activation)call.ints[0], f.backwards = call.ints[1] != 0;
    if (!is_matrix(call.in[DH], f.n, f.k) || !is_matrix(call.in[H], f.n, f.k) ||
        !is_matrix(call.in[DROPOUT], f.n, f.k) || !is_matrix(call.out[DH0], f.n, f.k))
        return refuse(call, "expected dh, h, dropout and dh0 (n, k)");
    if (!is_matrix(call.in[MASK], f.n, f.t)) return refuse(call, "expected mask (n, t)");
    const double steps = (double)f.n * f.t, k = (double)f.k;
    call.flops = steps * k * (4 * k + 10);
    call.bytes = 4 * (steps * 5 * k + 2 * k * k);
    f.shares = shares(call, f.n, f.t, f.k, f.k * f.k);
    f.doors.plan(call, 1u << U | 1u << (INS + DU), 1u << (INS + DZ));
    Weights& w = f.w;
    w.terms = w.units = f.k;
    w.u = u.f32(), w.u_k = u.stride[1], w.u_j = u.stride[0];
    plan(w, f.shares.rows(call, f.n), f.t);
    f.tiles = tile_floats(w, f.shares.block);
    f.states = f.shares.block * f.shares.pitch;
    f.product = product_scratch(over_rows(f, nullptr, nullptr, du));
    call.scratch = align64(f.doors.bytes) + w.bytes + align64(4 * f.n * f.t * f.k) +
                   call.ranks * (align64(4 * (f.tiles + 3 * f.states)) + f.product);
    return true;
}

void rnn_dx_run(const Call& call, const Team& team, char* scratch) {
    const Backward& f = call.as<Backward>();
    View in[INS], out[OUTS];
    f.doors.open(call, in, out, team, scratch);
    scratch += align64(f.doors.bytes);
    float* const packed = reinterpret_cast<float*>(scratch);
    scratch += f.w.bytes;
    float* const d = reinterpret_cast<float*>(scratch);
    scratch += align64(4 * f.n * f.t * f.k);
    const int64_t own = align64(4 * (f.tiles + 3 * f.states)), each = own + f.product;
    float* const room = reinterpret_cast<float*>(scratch + team.rank * each);
    const bool by_units = f.shares.by_units;
    float* const states = reinterpret_cast<float*>(scratch + (by_units ? 0 : team.rank) * each) + f.tiles;
    pack(f.w, packed, split(f.w.panels(), team));
    team.barrier();

    const Range rows = by_units ? Range{0, f.n} : split(f.n, team);
    const Range panels = by_units ? split(f.w.panels(), team) : Range{0, f.w.panels()};
    const int64_t width = f.w.width();
    const Range units{panels.begin * width < f.k ? panels.begin * width : f.k,
                      panels.end * width < f.k ? panels.end * width : f.k};
    const At dh(in[DH]), dh0(out[DH0]);
    Slots slots;
    Walk w{f, slots, At(in[Y]), At(in[DY]), At(in[H]), At(in[DROPOUT]), At(out[DZ]), states, nullptr, d, 0, 0};
    const int64_t count = blocks(rows, f.shares.block);
    for (int64_t block = 0; block < count; ++block) {
        slots.begin(block_of(rows, count, block), in[MASK]);
        for (int64_t i = 0; i < slots.count; ++i)
            each_unit(units.begin, units.end, [&](int64_t j, int lanes) {
                put(w.of(w.carry, i) + j, dh.p ? get(dh(slots.row[i]) + j, lanes) : zero(), lanes);
            });
        for (w.step = f.t - 1; w.step >= 0; --w.step) {
            w.time = f.backwards ? f.t - 1 - w.step : w.step;
            w.a = states + (1 + (w.step & 1)) * f.states;  // a rank may still read those of the step behind
            slots.step(in[MASK], w.time);
            w.slopes(units);
            if (by_units) team.barrier();
            if (!slots.active) continue;
            for (int64_t p = panels.begin; p < panels.end; ++p) {
                const int64_t end = (p + 1) * width;
                const Range of_panel{p * width, end < f.k ? end : f.k};
                each_tile(
                    f.w, packed, p, w.a, f.shares.pitch, slots.active, room, [](int64_t, int64_t) {},
                    [&](int64_t from, int64_t to, const float* s) { w.hand_back(from, to, of_panel, s, width); });
            }
        }
        for (int64_t i = 0; i < slots.count; ++i)
            each_unit(units.begin, units.end, [&](int64_t j, int lanes) {
                put(dh0(slots.row[i]) + j, get(w.of(w.carry, i) + j, lanes), lanes);
            });
        if (by_units) team.barrier();  // before the next block's states
    }
    if (!by_units) team.barrier();
    share(over_rows(f, d, out[DZ].f32(), out[DU]), team, reinterpret_cast<char*>(scratch) + team.rank * each + own);
    f.doors.close(call, out, team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
