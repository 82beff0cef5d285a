// rnn_forward: plain recurrent units, all steps in one region, the activation in each product's wake.
//
//   rnn_forward   z (n, t, k), u (k, k), h? (n, k), mask? (n, t) bool, dropout? (n, k) -> y (n, t, k), h (n, k)
//   ints: activation f, go_backwards
//   h = f(z + (dropout * h) u), the product in dot's order; where the mask says no, h stays
#include "rnn/arrays.hpp"

namespace quernel {
namespace QUERNEL_ISA {

using namespace recurrent;

namespace {

enum In { Z, U, H, MASK, DROPOUT, INS };
enum Out { Y, LAST, OUTS };

struct Forward {
    int64_t n, t, k;
    Activation f;
    bool backwards;
    Shares shares;
    Doors doors;
    Weights w;
    int64_t tiles, states;  // floats of a rank's room for products, and of one buffer of states
};

struct Walk {
    const Forward& f;
    Slots& slots;
    At z, dropout, y;
    float *h, *next, *d, *next_d;  // by slot: states, and states times dropout (the same where there is none)
    int64_t step, time;

    float* of(float* states, int64_t slot) const { return states + slot * f.shares.pitch; }
    QUERNEL_INLINE void settle(int64_t slot, int64_t j, int lanes, vf v) const {
        put(y(slots.row[slot], step) + j, v, lanes);
        put(of(next, slot) + j, v, lanes);
        if (dropout.p) put(of(next_d, slot) + j, mul(v, get(dropout(slots.row[slot]) + j, lanes)), lanes);
    }
    void keep(int64_t slot, Range units) const {  // a step that does not count
        each_unit(units.begin, units.end, [&](int64_t j, int lanes) __attribute__((always_inline)) {
            settle(slot, j, lanes, get(of(h, slot) + j, lanes));
        });
    }
    template <bool USUAL>
    void finish(int64_t begin, int64_t end, Range units, const float* s, int64_t width) const {
        for (int64_t i = begin; i < end; ++i, s += width) {
            if (!slots.on[i]) {
                keep(i, units);
                continue;
            }
            const float *const x = z(slots.row[i], time), *at = s;
            each_unit(units.begin, units.end, [&](int64_t j, int lanes) __attribute__((always_inline)) {
                const vf v = add(get(x + j, lanes), loadu(at));
                settle(i, j, lanes, USUAL ? vtanh(v) : squash_other(f.f, v));
                at += VL;
            });
        }
    }
};

}  // namespace

bool rnn_forward_prepare(Call& call) {
    if (call.n_in != INS || call.n_out != OUTS || call.n_ints != 2)
        return refuse(call, "expected z, u, h, mask, dropout, y, h and 2 ints");
    for (int i = 0; i < INS; ++i)
        if (!call.in[i].absent() && call.in[i].dtype != (i == MASK ? B8 : F32))
            return refuse(call, "expected float32 arrays and a bool mask");
    if (!all_f32(call.out, OUTS)) return refuse(call, "expected float32 outputs");
    const View &z = call.in[Z], &u = call.in[U], &y = call.out[Y];
    if (z.rank != 3 || u.rank != 2 || u.shape[0] != u.shape[1] || u.shape[0] != z.shape[2] || !same_shape(z, y))
        return refuse(call, "expected z and y (n, t, k), u (k, k)");
    Forward& f = call.as<Forward>() = {};
    f.n = z.shape[0], f.t = z.shape[1], f.k = z.shape[2];
    if (call.ints[0] < NO_ACTIVATION || call.ints[0] > TANH) return refuse(call, "unknown activation");
    f.f = (Activation)call.ints[0], f.backwards = call.ints[1] != 0;
    if (!is_matrix(call.in[H], f.n, f.k) || !is_matrix(call.in[DROPOUT], f.n, f.k) ||
        !is_matrix(call.out[LAST], f.n, f.k))
        return refuse(call, "expected h and dropout (n, k)");
    if (!is_matrix(call.in[MASK], f.n, f.t)) return refuse(call, "expected mask (n, t)");
    const double steps = (double)f.n * f.t, k = (double)f.k;
    call.flops = steps * k * (2 * k + 40);
    call.bytes = 4 * (steps * 2 * k + k * k);
    f.shares = shares(call, f.n, f.t, f.k, f.k * f.k);
    f.doors.plan(call, 1u << U);
    Weights& w = f.w;
    w.terms = w.units = f.k;
    w.u = u.f32(), w.u_k = u.stride[0], w.u_j = u.stride[1];
    plan(w, f.shares.rows(call, f.n), f.t);
    f.tiles = tile_floats(w, f.shares.block);
    f.states = f.shares.block * f.shares.pitch;
    call.scratch = align64(f.doors.bytes) + w.bytes + call.ranks * align64(4 * (f.tiles + 4 * f.states));
    return true;
}

void rnn_forward_run(const Call& call, const Team& team, char* scratch) {
    const Forward& f = call.as<Forward>();
    View in[INS], out[OUTS];
    f.doors.open(call, in, out, team, scratch);
    scratch += align64(f.doors.bytes);
    float* const packed = reinterpret_cast<float*>(scratch);
    scratch += f.w.bytes;
    const int64_t each = align64(4 * (f.tiles + 4 * f.states));
    float* const room = reinterpret_cast<float*>(scratch + team.rank * each);
    const bool by_units = f.shares.by_units;
    float* const states = reinterpret_cast<float*>(scratch + (by_units ? 0 : team.rank) * each) + f.tiles;
    pack(f.w, packed, split(f.w.panels(), team));
    team.barrier();

    const Range rows = by_units ? Range{0, f.n} : split(f.n, team);
    const Range panels = by_units ? split(f.w.panels(), team) : Range{0, f.w.panels()};
    const At first(in[H]), last(out[LAST]);
    Slots slots;
    Walk w{f, slots, At(in[Z]), At(in[DROPOUT]), At(out[Y]), nullptr, nullptr, nullptr, nullptr, 0, 0};
    const int64_t count = blocks(rows, f.shares.block);
    for (int64_t block = 0; block < count; ++block) {
        slots.begin(block_of(rows, count, block), in[MASK]);
        w.h = states, w.next = states + f.states;
        w.d = w.dropout.p ? states + 2 * f.states : w.h;
        w.next_d = w.dropout.p ? states + 3 * f.states : w.next;
        if (!by_units || team.rank == 0)
            for (int64_t i = 0; i < slots.count; ++i)
                each_unit(0, f.k, [&](int64_t j, int lanes) {
                    const vf v = first.p ? get(first(slots.row[i]) + j, lanes) : zero();
                    put(w.of(w.h, i) + j, v, lanes);
                    if (w.dropout.p) put(w.of(w.d, i) + j, mul(v, get(w.dropout(slots.row[i]) + j, lanes)), lanes);
                });
        if (by_units) team.barrier();
        for (w.step = 0; w.step < f.t; ++w.step) {
            w.time = f.backwards ? f.t - 1 - w.step : w.step;
            slots.step(in[MASK], w.time);
            for (int64_t p = panels.begin; p < panels.end; ++p) {
                const int64_t width = f.w.width(), end = (p + 1) * width;
                const Range units{p * width, end < f.k ? end : f.k};
                if (slots.active)
                    each_tile(
                        f.w, packed, p, w.d, f.shares.pitch, slots.active, room, [](int64_t, int64_t) {},
                        [&](int64_t from, int64_t to, const float* s) {
                            f.f == TANH ? w.finish<true>(from, to, units, s, width)
                                        : w.finish<false>(from, to, units, s, width);
                        });
                for (int64_t i = slots.active; i < slots.count; ++i) w.keep(i, units);
            }
            if (by_units) team.barrier();
            float* const h = w.h;
            w.h = w.next, w.next = h;
            float* const d = w.d;
            w.d = w.next_d, w.next_d = d;
        }
        if (!by_units || team.rank == 0)
            for (int64_t i = 0; i < slots.count; ++i)
                each_unit(0, f.k, [&](int64_t j, int lanes) {
                    put(last(slots.row[i]) + j, get(w.of(w.h, i) + j, lanes), lanes);
                });
        if (by_units) team.barrier();  // before the next block's states
    }
    f.doors.close(call, out, team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
