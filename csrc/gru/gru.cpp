// gru_forward: all steps in one region, the gate functions in each product's wake.
#include "gru/gru.hpp"

#include "simd/stream.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace gru {

bool read_attributes(Call& call, Sizes& s) {
    if (call.n_ints != 4) return refuse(call, "expected 4 ints");
    for (int i = 0; i < 2; ++i)
        if (call.ints[i] < NO_ACTIVATION || call.ints[i] > TANH) return refuse(call, "unknown activation");
    s.f = (Activation)call.ints[0], s.g = (Activation)call.ints[1];
    s.after = call.ints[2] != 0, s.backwards = call.ints[3] != 0;
    return true;
}

namespace {

struct Forward {
    Sizes s;
    Shares shares;
    Doors doors;
    Weights w, candidate;  // of all gates, or without reset_after of the first two, and of the candidate
    int64_t tiles;         // floats of a rank's room for products
    int64_t states;        // floats of one buffer of states
};

// What a rank holds while it walks the steps of a block of rows.
struct Walk {
    const Forward& f;
    Slots& slots;
    At z, b, dropout, y, gates;
    float *h, *next, *d, *next_d, *q;  // by slot: states, states times dropout (the same where there is none), q
    bool past;                         // whether gates go past the caches
    int64_t step, time;

    float* of(float* states, int64_t slot) const { return states + slot * f.shares.pitch; }
    // What the gate functions write, and of the next step's z this panel's share, in one piece: a line here and there
    // comes from memory too slowly.
    void fetch(int64_t begin, int64_t end, Range units) const {
        fetched();
        const int64_t next_time = f.s.time(step + 1);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t row = slots.row[i];
            for (int64_t j = units.begin; j < units.end; j += LINE) {
                for (int g = 0; g < 3; ++g) __builtin_prefetch(z(row, time) + g * f.s.k + j);
                if (!past)
                    for (int g = 0; g < 4; ++g) __builtin_prefetch(gates(step, row) + g * f.s.k + j, 1);
                __builtin_prefetch(y(row, step) + j, 1);
            }
            if (step + 1 < f.s.t)
                for (int64_t j = 3 * units.begin; j < 3 * units.end; j += LINE)
                    __builtin_prefetch(z(row, next_time) + j, 0, 2);
        }
    }
    QUERNEL_INLINE void save(float* p, vf v, int lanes) const {
        if (past)
            stream(p, v);
        else
            put(p, v, lanes);
    }
    // The new state of a slot's units from j on.
    QUERNEL_INLINE void settle(int64_t slot, int64_t j, int lanes, vf v) const {
        put(y(slots.row[slot], step) + j, v, lanes);
        put(of(next, slot) + j, v, lanes);
        if (dropout.p) put(of(next_d, slot) + j, mul(v, get(dropout(slots.row[slot]) + j, lanes)), lanes);
    }
    void keep(int64_t slot, Range units) const {  // a step that does not count
        float* const g = gates(step, slots.row[slot]);
        each_unit(units.begin, units.end, [&](int64_t j, int lanes) __attribute__((always_inline)) {
            for (int i = 0; i < 4; ++i) put(g + i * f.s.k + j, zero(), lanes);
            settle(slot, j, lanes, get(of(h, slot) + j, lanes));
        });
    }
    QUERNEL_INLINE vf bias(int64_t at, int lanes, vf sum) const { return b.p ? add(sum, get(b.p + at, lanes)) : sum; }
    QUERNEL_INLINE void blend(int64_t slot, int64_t j, int lanes, vf update, vf candidate) const {
        const vf rest = mul(sub(set1(1.0f), update), candidate);
        settle(slot, j, lanes, fma(update, get(of(h, slot) + j, lanes), rest));
    }
};

// reset_after: slots [begin, end), units of one panel; s: their products, gates side by side.
template <bool USUAL>
void whole_step(const Walk& w, int64_t begin, int64_t end, Range units, const float* s, int64_t width) {
    const Sizes& z = w.f.s;
    const int64_t k = z.k;
    for (int64_t i = begin; i < end; ++i, s += 3 * width) {
        if (!w.slots.on[i]) {
            w.keep(i, units);
            continue;
        }
        const float* const x = w.z(w.slots.row[i], w.time);
        float* const g = w.gates(w.step, w.slots.row[i]);
        const float* at = s;
        each_unit(units.begin, units.end, [&](int64_t j, int lanes) __attribute__((always_inline)) {
            const vf update = squash_g<USUAL>(z.g, add(get(x + j, lanes), w.bias(j, lanes, loadu(at))));
            const vf reset = squash_g<USUAL>(z.g, add(get(x + k + j, lanes), w.bias(k + j, lanes, loadu(at + width))));
            const vf q = w.bias(2 * k + j, lanes, loadu(at + 2 * width));
            const vf candidate = squash_f<USUAL>(z.f, fma(reset, q, get(x + 2 * k + j, lanes)));
            w.save(g + j, update, lanes);
            w.save(g + k + j, reset, lanes);
            w.save(g + 2 * k + j, candidate, lanes);
            w.save(g + 3 * k + j, q, lanes);
            w.blend(i, j, lanes, update, candidate);
            at += VL;
        });
    }
}

// Without reset_after: update, reset and q = reset * d ...
template <bool USUAL>
void first_half(const Walk& w, int64_t begin, int64_t end, Range units, const float* s, int64_t width) {
    const Sizes& z = w.f.s;
    const int64_t k = z.k;
    for (int64_t i = begin; i < end; ++i, s += 2 * width) {
        if (!w.slots.on[i]) continue;
        const float* const x = w.z(w.slots.row[i], w.time);
        float *const g = w.gates(w.step, w.slots.row[i]), *const q = w.of(w.q, i);
        const float* at = s;
        each_unit(units.begin, units.end, [&](int64_t j, int lanes) __attribute__((always_inline)) {
            const vf reset = squash_g<USUAL>(z.g, add(get(x + k + j, lanes), loadu(at + width)));
            const vf v = mul(reset, get(w.of(w.d, i) + j, lanes));
            put(g + j, squash_g<USUAL>(z.g, add(get(x + j, lanes), loadu(at))), lanes);
            put(g + k + j, reset, lanes);
            put(g + 3 * k + j, v, lanes);
            put(q + j, v, lanes);
            at += VL;
        });
    }
}
// ... then the candidate and the state.
template <bool USUAL>
void second_half(const Walk& w, int64_t begin, int64_t end, Range units, const float* s, int64_t width) {
    const Sizes& z = w.f.s;
    for (int64_t i = begin; i < end; ++i, s += width) {
        if (!w.slots.on[i]) {
            w.keep(i, units);
            continue;
        }
        const float* const x = w.z(w.slots.row[i], w.time) + 2 * z.k;
        float* const g = w.gates(w.step, w.slots.row[i]);
        const float* at = s;
        each_unit(units.begin, units.end, [&](int64_t j, int lanes) __attribute__((always_inline)) {
            const vf candidate = squash_f<USUAL>(z.f, add(get(x + j, lanes), loadu(at)));
            put(g + 2 * z.k + j, candidate, lanes);
            w.blend(i, j, lanes, get(g + j, lanes), candidate);
            at += VL;
        });
    }
}

using Gates = void (*)(const Walk&, int64_t, int64_t, Range, const float*, int64_t);

Range units_of(const Weights& w, int64_t panel) {
    const int64_t end = (panel + 1) * w.width();
    return {panel * w.width(), end < w.units ? end : w.units};
}

// The products of some panels and what follows from them, then the slots that no product takes.
void pass(const Walk& walk, const Weights& w, const float* packed, Range panels, const float* a, float* room,
          Gates gates, bool keeps) {
    for (int64_t p = panels.begin; p < panels.end; ++p) {
        const Range units = units_of(w, p);
        if (walk.slots.active)
            each_tile(
                w, packed, p, a, walk.f.shares.pitch, walk.slots.active, room,
                [&](int64_t begin, int64_t end) { walk.fetch(begin, end, units); },
                [&](int64_t begin, int64_t end, const float* s) { gates(walk, begin, end, units, s, w.width()); });
        for (int64_t i = walk.slots.active; keeps && i < walk.slots.count; ++i) walk.keep(i, units);
    }
}

}  // namespace
}  // namespace gru

using namespace gru;

bool gru_forward_prepare(Call& call) {
    if (call.n_in != 6 || call.n_out != 3) return refuse(call, "expected z, u, b, h, mask, dropout and y, h, gates");
    const View &z = call.in[0], &u = call.in[1], &mask = call.in[4], &y = call.out[0], &gates = call.out[2];
    for (int i = 0; i < 6; ++i)
        if (!call.in[i].absent() && call.in[i].dtype != (i == 4 ? B8 : F32))
            return refuse(call, "expected float32 arrays and a bool mask");
    if (!all_f32(call.out, 3)) return refuse(call, "expected float32 outputs");
    if (z.rank != 3 || u.rank != 2 || y.rank != 3 || gates.rank != 3 || call.out[1].rank != 2)
        return refuse(call, "expected z (n, t, 3k), u (k, 3k), y (n, t, k), h (n, k), gates (t, n, 4k)");
    Forward& f = call.as<Forward>() = {};
    Sizes& s = f.s;
    if (!read_attributes(call, s)) return false;
    s.n = z.shape[0], s.t = z.shape[1], s.k = u.shape[0];
    const View& b = call.in[2];
    if (u.shape[1] != 3 * s.k || z.shape[2] != 3 * s.k || (!b.absent() && (b.rank != 1 || b.shape[0] != 3 * s.k)) ||
        (!b.absent() && !s.after))
        return refuse(call, "z, u and b do not agree on k, or b is given without reset_after");
    if (!is_matrix(call.in[3], s.n, s.k) || !is_matrix(call.in[5], s.n, s.k) || !is_matrix(call.out[1], s.n, s.k))
        return refuse(call, "expected h and dropout (n, k)");
    if (!is_matrix(mask, s.n, s.t)) return refuse(call, "expected mask (n, t)");
    if (y.shape[0] != s.n || y.shape[1] != s.t || y.shape[2] != s.k || gates.shape[0] != s.t || gates.shape[1] != s.n ||
        gates.shape[2] != 4 * s.k)
        return refuse(call, "expected y (n, t, k) and gates (t, n, 4k)");
    const double steps = (double)s.n * s.t, k = (double)s.k;
    call.flops = steps * k * (6 * k + 100);
    call.bytes = 4 * (steps * 8 * k + 3 * k * k);
    f.shares = shares(call, s.n, s.t, s.k, 3 * s.k * s.k);
    f.doors.plan(call, 1u << 1);
    const int64_t rows = f.shares.rows(call, s.n);
    Weights& w = f.w;
    w.terms = w.units = s.k;
    w.gates = s.after ? 3 : 2;
    w.u = u.f32(), w.u_k = u.stride[0], w.u_g = s.k * u.stride[1], w.u_j = u.stride[1];
    plan(w, rows, s.t);
    f.candidate = w;
    if (!s.after) {
        f.candidate.gates = 1;
        f.candidate.u += 2 * w.u_g;
        plan(f.candidate, rows, s.t);
    }
    f.tiles = tile_floats(w, f.shares.block);
    f.states = f.shares.block * f.shares.pitch;
    call.scratch = align64(f.doors.bytes) + w.bytes + (s.after ? 0 : f.candidate.bytes) +
                   call.ranks * align64(4 * (f.tiles + 5 * f.states));
    return true;
}

void gru_forward_run(const Call& call, const Team& team, char* scratch) {
    const Forward& f = call.as<Forward>();
    const Sizes& s = f.s;
    View in[6], out[3];
    f.doors.open(call, in, out, team, scratch);
    scratch += align64(f.doors.bytes);
    float* const packed = reinterpret_cast<float*>(scratch);
    scratch += f.w.bytes;
    float* const packed_candidate = reinterpret_cast<float*>(scratch);
    if (!s.after) scratch += f.candidate.bytes;
    const int64_t each = align64(4 * (f.tiles + 5 * f.states));
    float* const room = reinterpret_cast<float*>(scratch + team.rank * each);
    float* const states = reinterpret_cast<float*>(scratch + (f.shares.by_units ? 0 : team.rank) * each) + f.tiles;
    pack(f.w, packed, split(f.w.panels(), team));
    if (!s.after) pack(f.candidate, packed_candidate, split(f.candidate.panels(), team));
    team.barrier();

    const bool units = f.shares.by_units, usual = s.f == TANH && s.g == SIGMOID;
    const Range rows = units ? Range{0, s.n} : split(s.n, team);
    const Range panels = units ? split(f.w.panels(), team) : Range{0, f.w.panels()};
    const Range rest = units ? split(f.candidate.panels(), team) : Range{0, f.candidate.panels()};
    const View& mask = in[4];
    const At first(in[3]), last(out[1]);
    Slots slots;
    Walk w{f,       slots,   At(in[0]), At(in[2]), At(in[5]), At(out[0]), At(out[2]), nullptr,
           nullptr, nullptr, nullptr,   nullptr,   false,     0,          0};
    const bool whole_lines = s.k % LINE == 0 && w.gates.i % LINE == 0 && w.gates.s % LINE == 0 &&
                             reinterpret_cast<uintptr_t>(w.gates.p) % (4 * LINE) == 0;
    w.past = s.after && whole_lines && streams(16 * s.n * s.t * s.k);
    const int64_t count = blocks(rows, f.shares.block);
    for (int64_t block = 0; block < count; ++block) {
        slots.begin(block_of(rows, count, block), mask);
        w.h = states, w.next = states + f.states;
        w.d = w.dropout.p ? states + 2 * f.states : w.h;
        w.next_d = w.dropout.p ? states + 3 * f.states : w.next;
        w.q = states + 4 * f.states;
        if (!units || team.rank == 0)
            for (int64_t i = 0; i < slots.count; ++i)
                each_unit(0, s.k, [&](int64_t j, int lanes) {
                    const vf v = first.p ? get(first(slots.row[i]) + j, lanes) : zero();
                    put(w.of(w.h, i) + j, v, lanes);
                    if (w.dropout.p) put(w.of(w.d, i) + j, mul(v, get(w.dropout(slots.row[i]) + j, lanes)), lanes);
                });
        if (units) team.barrier();
        for (w.step = 0; w.step < s.t; ++w.step) {
            w.time = s.time(w.step);
            slots.step(mask, w.time);
            if (s.after) {
                pass(w, f.w, packed, panels, w.d, room, usual ? whole_step<true> : whole_step<false>, true);
            } else {
                pass(w, f.w, packed, panels, w.d, room, usual ? first_half<true> : first_half<false>, false);
                if (units) team.barrier();
                pass(w, f.candidate, packed_candidate, rest, w.q, room, usual ? second_half<true> : second_half<false>,
                     true);
            }
            if (units) team.barrier();
            float* const h = w.h;
            w.h = w.next, w.next = h;
            float* const d = w.d;
            w.d = w.next_d, w.next_d = d;
        }
        if (!units || team.rank == 0)
            for (int64_t i = 0; i < slots.count; ++i)
                each_unit(0, s.k, [&](int64_t j, int lanes) {
                    put(last(slots.row[i]) + j, get(w.of(w.h, i) + j, lanes), lanes);
                });
        if (units) team.barrier();  // before the next block's states
    }
    if (w.past) stream_end();
    f.doors.close(call, out, team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
