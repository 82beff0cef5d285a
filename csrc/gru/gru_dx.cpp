// gru_dx: backpropagation through time in one region, then du and db as one product over all rows and steps.
//
// At each step, from the last to the first, D = carry + dy, prev the state before, d = dropout * prev:
//   a_u = g'(D (prev - candidate)), a_c = f'(D (1 - update)), their slopes at the saved values
//   reset_after:  a_r = g'(a_c q), back = a_c reset,           carry = D update + dropout * ([a_u a_r back] u^T)
//   else:         p = a_c u_c^T, a_r = g'(p d), back = a_c,    carry = D update + dropout * ([a_u a_r] u_ur^T + p
//   reset) dz = a_u, a_r, a_c. A step that the mask ends hands D on and has zeros.
// du and db, rows of z by time: terms (row, time); du = d^T [a_u a_r back], without reset_after q^T back in the last
// part.
#include "dot/product.hpp"
#include "gru/gru.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace gru {
namespace {

enum In { Y, GATES, U, DY, DH, B, H, MASK, DROPOUT, INS };
enum Out { DZ, DU, DB, DH0, OUTS };

struct Backward {
    Sizes s;
    Shares shares;
    Doors doors;
    Weights w, candidate;  // transposes: of all gates, or without reset_after of the first two, and of the candidate
    int64_t pitch;         // floats from slot to slot of a step's gradients
    int64_t tiles, states, slopes;
    int64_t product;  // bytes of a rank's room for du and db
};

struct Walk {
    const Backward& f;
    Slots& slots;
    At y, gates, dy, first, dropout, dz;
    float *carry, *p;  // by slot; p: a_c u_c^T
    float* a;          // by slot: [a_u a_r back], or [a_u a_r a_c] without reset_after
    float *d, *back;   // (n, t, k) by time: the first and the second factor of du's last part
    int64_t step, time;

    float* of(float* states, int64_t slot) const { return states + slot * f.shares.pitch; }
    float* slopes(int64_t slot) const { return a + slot * f.pitch; }
    const float* before(int64_t row) const { return step ? y(row, step - 1) : first.p ? first(row) : nullptr; }
    float* by_time(float* all, int64_t row) const { return all + (row * f.s.t + time) * f.s.k; }
    // What the step before this one, the next in turn, reads and writes.
    void fetch(int64_t begin, int64_t end, Range units) const {
        fetched();
        if (!step) return;
        const int64_t k = f.s.k, at = f.s.time(step - 1);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t row = slots.row[i];
            for (int64_t j = units.begin; j < units.end; j += LINE) {
                for (int g = 0; g < 4; ++g) __builtin_prefetch(gates(step - 1, row) + g * k + j, 0, 2);
                for (int g = 0; g < 3; ++g) __builtin_prefetch(dz(row, at) + g * k + j, 0, 2);
                if (step > 1) __builtin_prefetch(y(row, step - 2) + j, 0, 2);
                if (dy.p) __builtin_prefetch(dy(row, step - 1) + j, 0, 2);
                __builtin_prefetch(d + (row * f.s.t + at) * k + j, 0, 2);
                __builtin_prefetch(back + (row * f.s.t + at) * k + j, 0, 2);
            }
        }
    }
};

void skip(const Walk& w, int64_t slot, Range units) {
    const int64_t row = w.slots.row[slot], k = w.f.s.k;
    float* const c = w.of(w.carry, slot);
    each_unit(units.begin, units.end, [&](int64_t j, int lanes) __attribute__((always_inline)) {
        if (w.dy.p) put(c + j, add(get(c + j, lanes), get(w.dy(row, w.step) + j, lanes)), lanes);
        for (int g = 0; g < 3; ++g) put(w.dz(row, w.time) + g * k + j, zero(), lanes);
        put(w.by_time(w.d, row) + j, zero(), lanes);
        put(w.by_time(w.back, row) + j, zero(), lanes);
    });
}

// What follows from D: all slopes with reset_after, else those of the update gate and the candidate.
template <bool USUAL>
void gate_slopes(const Walk& w, Range units) {
    const Sizes& s = w.f.s;
    const int64_t k = s.k;
    const vf one = set1(1.0f);
    for (int64_t i = 0; i < w.slots.count; ++i) {
        if (!w.slots.on[i]) {
            skip(w, i, units);
            continue;
        }
        const int64_t row = w.slots.row[i];
        const float *const gates = w.gates(w.step, row), *const before = w.before(row);
        float *const c = w.of(w.carry, i), *const a = w.slopes(i), *const dz = w.dz(row, w.time);
        float *const to_d = w.by_time(w.d, row), *const to_back = w.by_time(w.back, row);
        each_unit(units.begin, units.end, [&](int64_t j, int lanes) __attribute__((always_inline)) {
            vf D = get(c + j, lanes);
            if (w.dy.p) D = add(D, get(w.dy(row, w.step) + j, lanes));
            const vf prev = before ? get(before + j, lanes) : zero();
            const vf d = w.dropout.p ? mul(prev, get(w.dropout(row) + j, lanes)) : prev;
            const vf update = get(gates + j, lanes), reset = get(gates + k + j, lanes);
            const vf candidate = get(gates + 2 * k + j, lanes), q = get(gates + 3 * k + j, lanes);
            const vf a_u = slope_g<USUAL>(s.g, mul(D, sub(prev, candidate)), update);
            const vf a_c = slope_f<USUAL>(s.f, mul(D, sub(one, update)), candidate);
            put(c + j, mul(D, update), lanes);
            put(a + j, a_u, lanes);
            put(dz + j, a_u, lanes);
            put(dz + 2 * k + j, a_c, lanes);
            put(to_d + j, d, lanes);
            if (s.after) {
                const vf a_r = slope_g<USUAL>(s.g, mul(a_c, q), reset), back = mul(a_c, reset);
                put(a + k + j, a_r, lanes);
                put(a + 2 * k + j, back, lanes);
                put(dz + k + j, a_r, lanes);
                put(to_back + j, back, lanes);
            } else {
                put(a + 2 * k + j, a_c, lanes);
                put(to_back + j, q, lanes);
            }
        });
    }
}

// Without reset_after: p, the reset gate's slope.
template <bool USUAL>
void reset_slopes(const Walk& w, int64_t begin, int64_t end, Range units, const float* sums, int64_t width) {
    const Sizes& s = w.f.s;
    for (int64_t i = begin; i < end; ++i, sums += width) {
        if (!w.slots.on[i]) continue;
        const int64_t row = w.slots.row[i];
        const float* const gates = w.gates(w.step, row);
        const float* at = sums;
        each_unit(units.begin, units.end, [&](int64_t j, int lanes) __attribute__((always_inline)) {
            const vf p = loadu(at), reset = get(gates + s.k + j, lanes);
            const vf a_r = slope_g<USUAL>(s.g, mul(p, get(w.by_time(w.d, row) + j, lanes)), reset);
            put(w.of(w.p, i) + j, mul(p, reset), lanes);
            put(w.slopes(i) + s.k + j, a_r, lanes);
            put(w.dz(row, w.time) + s.k + j, a_r, lanes);
            at += VL;
        });
    }
}

// What goes to the step before.
template <bool USUAL>
void hand_back(const Walk& w, int64_t begin, int64_t end, Range units, const float* sums, int64_t width) {
    for (int64_t i = begin; i < end; ++i, sums += width) {
        if (!w.slots.on[i]) continue;
        float* const c = w.of(w.carry, i);
        const float* at = sums;
        each_unit(units.begin, units.end, [&](int64_t j, int lanes) __attribute__((always_inline)) {
            vf sum = loadu(at);
            if (!w.f.s.after) sum = add(sum, get(w.of(w.p, i) + j, lanes));
            const vf kept = get(c + j, lanes);
            if (w.dropout.p)
                put(c + j, fma(sum, get(w.dropout(w.slots.row[i]) + j, lanes), kept), lanes);
            else
                put(c + j, add(kept, sum), lanes);
            at += VL;
        });
    }
}

using Slopes = void (*)(const Walk&, int64_t, int64_t, Range, const float*, int64_t);

void pass(const Walk& walk, const Weights& w, const float* packed, Range panels, const float* a, float* room,
          Slopes slopes) {
    if (!walk.slots.active) return;
    for (int64_t p = panels.begin; p < panels.end; ++p) {
        const int64_t end = (p + 1) * w.width();
        const Range units{p * w.width(), end < w.units ? end : w.units};
        each_tile(
            w, packed, p, a, walk.f.pitch, walk.slots.active, room,
            [&](int64_t from, int64_t to) {
                if (&w == &walk.f.w) walk.fetch(from, to, units);
            },
            [&](int64_t from, int64_t to, const float* s) { slopes(walk, from, to, units, s, w.width()); });
    }
}

// du and db: sums over rows and steps, their last parts apart.
struct Sums {
    Product of[4];
    int count;
};
Sums sums_of(const Sizes& s, const View& du, const View& db, const float* d, const float* back, const float* dz) {
    static constexpr float ONE = 1;
    Sums sums;
    const auto put_next = [&](int64_t m, int64_t n, const float* a, const float* b, ptrdiff_t b_k, const View& c) {
        Product p;
        p.m = m, p.n = n, p.k = s.n * s.t;
        p.a = a, p.a_m = a == &ONE ? 0 : 1, p.a_k = a == &ONE ? 0 : s.k;
        p.b = b, p.b_k = b_k, p.b_n = 1;
        p.c_m = c.rank > 1 ? c.stride[0] : 0, p.c_n = c.stride[c.rank - 1];
        p.c = c.f32w() + (n == s.k ? 2 * s.k * p.c_n : 0);
        sums.of[sums.count++] = p;
    };
    const float* const last = s.after ? back : dz + 2 * s.k;
    const ptrdiff_t last_k = s.after ? s.k : 3 * s.k;
    sums.count = 0;
    put_next(s.k, 2 * s.k, d, dz, 3 * s.k, du);
    put_next(s.k, s.k, s.after ? d : back, last, last_k, du);
    if (db.size()) {
        put_next(1, 2 * s.k, &ONE, dz, 3 * s.k, db);
        put_next(1, s.k, &ONE, last, last_k, db);
    }
    return sums;
}

}  // namespace
}  // namespace gru

using namespace gru;

bool gru_dx_prepare(Call& call) {
    if (call.n_in != INS || call.n_out != OUTS) return refuse(call, "expected 9 inputs and 4 outputs");
    for (int i = 0; i < INS; ++i)
        if (!call.in[i].absent() && call.in[i].dtype != (i == MASK ? B8 : F32))
            return refuse(call, "expected float32 arrays and a bool mask");
    if (!all_f32(call.out, OUTS)) return refuse(call, "expected float32 outputs");
    const View &y = call.in[Y], &gates = call.in[GATES], &u = call.in[U], &dy = call.in[DY], &mask = call.in[MASK];
    const View &dz = call.out[DZ], &du = call.out[DU], &db = call.out[DB], &b = call.in[B];
    Backward& f = call.as<Backward>() = {};
    Sizes& s = f.s;
    if (!read_attributes(call, s)) return false;
    if (y.rank != 3 || u.rank != 2 || gates.rank != 3 || dz.rank != 3 || du.rank != 2 || db.rank != 1)
        return refuse(call, "expected y (n, t, k), gates (t, n, 4k), u (k, 3k), dz (n, t, 3k), du (k, 3k), db (3k,)");
    s.n = y.shape[0], s.t = y.shape[1], s.k = y.shape[2];
    if (u.shape[0] != s.k || u.shape[1] != 3 * s.k || gates.shape[0] != s.t || gates.shape[1] != s.n ||
        gates.shape[2] != 4 * s.k || (!dy.absent() && !same_shape(dy, y)) || !same_shape(du, u) || dz.shape[0] != s.n ||
        dz.shape[1] != s.t || dz.shape[2] != 3 * s.k || db.shape[0] != (b.absent() ? 0 : 3 * s.k) ||
        (!b.absent() && !s.after))
        return refuse(call, "the arrays do not agree on n, t and k, or b is given without reset_after");
    if (!is_matrix(call.in[DH], s.n, s.k) || !is_matrix(call.in[H], s.n, s.k) ||
        !is_matrix(call.in[DROPOUT], s.n, s.k) || !is_matrix(call.out[DH0], s.n, s.k))
        return refuse(call, "expected dh, h, dropout and dh0 (n, k)");
    if (!is_matrix(mask, s.n, s.t)) return refuse(call, "expected mask (n, t)");
    const double steps = (double)s.n * s.t, k = (double)s.k;
    call.flops = steps * k * (12 * k + 40);
    call.bytes = 4 * (steps * 14 * k + 6 * k * k);
    f.shares = shares(call, s.n, s.t, s.k, 3 * s.k * s.k);
    f.doors.plan(call, 1u << U | 1u << (INS + DU) | 1u << (INS + DB), 1u << (INS + DZ));
    f.pitch = pitch_of(3 * s.k);
    const int64_t rows = f.shares.rows(call, s.n);
    Weights& w = f.w;
    w.terms = (s.after ? 3 : 2) * s.k, w.units = s.k, w.gates = 1;
    w.u = u.f32(), w.u_k = u.stride[1], w.u_j = u.stride[0];
    plan(w, rows, s.t);
    f.candidate = w;
    if (!s.after) {
        f.candidate.terms = s.k;
        f.candidate.u += 2 * s.k * u.stride[1];
        plan(f.candidate, rows, s.t);
    }
    f.tiles = tile_floats(w, f.shares.block);
    f.states = f.shares.block * f.shares.pitch;
    f.slopes = f.shares.block * f.pitch;
    const Sums sums = sums_of(s, du, db, nullptr, nullptr, nullptr);
    f.product = 0;
    for (int i = 0; i < sums.count; ++i) {
        const int64_t bytes = product_scratch(sums.of[i]);
        f.product = bytes > f.product ? bytes : f.product;
    }
    call.scratch = align64(f.doors.bytes) + w.bytes + (s.after ? 0 : f.candidate.bytes) +
                   2 * align64(4 * s.n * s.t * s.k) +
                   call.ranks * (align64(4 * (f.tiles + 2 * f.states + 2 * f.slopes)) + f.product);
    return true;
}

void gru_dx_run(const Call& call, const Team& team, char* scratch) {
    const Backward& f = call.as<Backward>();
    const Sizes& s = f.s;
    View in[INS], out[OUTS];
    f.doors.open(call, in, out, team, scratch);
    const auto take = [&scratch](int64_t bytes) {
        char* const room = scratch;
        scratch += align64(bytes);
        return reinterpret_cast<float*>(room);
    };
    take(f.doors.bytes);
    float *const packed = take(f.w.bytes), *const packed_candidate = take(s.after ? 0 : f.candidate.bytes);
    float *const d = take(4 * s.n * s.t * s.k), *const back = take(4 * s.n * s.t * s.k);
    const int64_t each = align64(4 * (f.tiles + 2 * f.states + 2 * f.slopes)) + f.product;
    float* const room = reinterpret_cast<float*>(scratch + team.rank * each);
    float* const states = reinterpret_cast<float*>(scratch + (f.shares.by_units ? 0 : team.rank) * each) + f.tiles;
    float* const slopes = states + 2 * f.states;
    char* const products = scratch + team.rank * each + align64(4 * (f.tiles + 2 * f.states + 2 * f.slopes));
    pack(f.w, packed, split(f.w.panels(), team));
    if (!s.after) pack(f.candidate, packed_candidate, split(f.candidate.panels(), team));
    team.barrier();

    const bool by_units = f.shares.by_units, usual = s.f == TANH && s.g == SIGMOID;
    const Range rows = by_units ? Range{0, s.n} : split(s.n, team);
    const Range panels = by_units ? split(f.w.panels(), team) : Range{0, f.w.panels()};
    Range units{panels.begin * f.w.width(), panels.end * f.w.width()};
    if (units.end > s.k) units.end = s.k;
    const Range other = by_units ? split(f.candidate.panels(), team) : Range{0, f.candidate.panels()};
    const View& mask = in[MASK];
    const At dh(in[DH]), dh0(out[DH0]);
    Slots slots;
    Walk w{f,
           slots,
           At(in[Y]),
           At(in[GATES]),
           At(in[DY]),
           At(in[H]),
           At(in[DROPOUT]),
           At(out[DZ]),
           states,
           states + f.states,
           slopes,
           d,
           back,
           0,
           0};
    const int64_t count = blocks(rows, f.shares.block);
    for (int64_t block = 0; block < count; ++block) {
        slots.begin(block_of(rows, count, block), mask);
        for (int64_t i = 0; i < slots.count; ++i)
            each_unit(units.begin, units.end, [&](int64_t j, int lanes) {
                put(w.of(w.carry, i) + j, dh.p ? get(dh(slots.row[i]) + j, lanes) : zero(), lanes);
            });
        for (w.step = s.t - 1; w.step >= 0; --w.step) {
            w.time = s.time(w.step);
            w.a = slopes + (w.step & 1) * f.slopes;  // a rank may still read those of the step behind
            slots.step(mask, w.time);
            (usual ? gate_slopes<true> : gate_slopes<false>)(w, units);
            if (by_units) team.barrier();
            if (!s.after) {
                pass(w, f.candidate, packed_candidate, other, w.a + 2 * s.k, room,
                     usual ? reset_slopes<true> : reset_slopes<false>);
                if (by_units) team.barrier();
            }
            pass(w, f.w, packed, panels, w.a, room, hand_back<true>);
        }
        for (int64_t i = 0; i < slots.count; ++i)
            each_unit(units.begin, units.end, [&](int64_t j, int lanes) {
                put(dh0(slots.row[i]) + j, get(w.of(w.carry, i) + j, lanes), lanes);
            });
        if (by_units) team.barrier();  // before the next block's states
    }
    if (!by_units) team.barrier();

    const Sums sums = sums_of(s, out[DU], out[DB], d, back, out[DZ].f32());
    for (int i = 0; i < sums.count; ++i) share(sums.of[i], team, products);
    f.doors.close(call, out, team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
