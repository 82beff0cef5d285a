// lstm_dx: the steps backwards, then the gradient of the recurrent weights as one product over all steps.
#include "dot/product.hpp"
#include "lstm/lstm.hpp"
#include "simd/math.hpp"
#include "simd/stream.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace lstm {
namespace {

enum In { Y, GATES, CELLS, U, DY, DH, DC, H, C, MASK, DROPOUT, INS };
enum Out { DZ, DU, DH0, DC0, OUTS };

struct Backward {
    int64_t n, t, k;
    Functions f;
    bool backwards;
    Weights w;  // U^T
    Shares shares;
    int64_t states, tiles,
        before;  // bytes of scratch: of states of the team, or each rank; of each_tile's; of h before
    Product du;
    int64_t product;  // bytes of scratch of each rank's part of du
    Doors doors;
};

struct Step {
    const Backward* s;
    const View* in;
    const View* out;
    const Slots* slots;
    const bool* later;  // by slot: whether the later step was on
    float* dz[2];       // of the later step, and of this one: rows of 4k, dz_pitch apart
    float *dh, *dc;     // what a masked later step passes on; what the later step passes on
    float* before;      // h before each step, times dropout: (n, t, k) by time
    int64_t dz_pitch, step, time;
    bool past;  // dz is written past the caches
};

float* row_of(const View& v, int64_t row) { return v.f32w() + row * v.stride[0]; }
float* row_of(const View& v, int64_t row, int64_t t) { return v.f32w() + row * v.stride[0] + t * v.stride[1]; }

template <bool USUAL>
QUERNEL_INLINE vf outer(Functions f, vf x) {
    return USUAL ? vtanh(x) : squash_other(f.a, x);
}
template <bool USUAL>
QUERNEL_INLINE vf outer_slope(Functions f, vf y) {
    return USUAL ? fnma(y, y, set1(1.0f)) : slope_other(f.a, y);
}
template <bool USUAL>
QUERNEL_INLINE vf gate_slope(Functions f, vf y) {
    return USUAL ? mul(y, sub(set1(1.0f), y)) : slope_other(f.r, y);
}

// What reaches h from the later step; at: its sums, where it was on.
QUERNEL_INLINE vf from_later(const Step& p, int64_t i, int64_t row, int64_t j, int lanes, const float* at) {
    if (!p.later[i]) return load_n(p.dh + i * p.s->shares.pitch + j, lanes);
    const vf sum = loadu(at);
    return p.in[DROPOUT].absent() ? sum : mul(sum, load_n(row_of(p.in[DROPOUT], row) + j, lanes));
}

// The step's gradients of the units [begin, end) of the slots [from, to); s: products with the later step's dz.
template <bool USUAL>
void close_gates(const Step& p, int64_t from, int64_t to, int64_t begin, int64_t end, const float* s) {
    const Functions f = p.s->f;
    const int64_t k = p.s->k, pitch = p.s->shares.pitch, width = p.s->w.width();
    for (int64_t i = from; i < to; ++i, s += width) {
        const int64_t row = p.slots->row[i];
        const float* const gates = row_of(p.in[GATES], row, p.step);
        const float* const cells = row_of(p.in[CELLS], row, p.step);
        const float* const h = p.step             ? row_of(p.in[Y], row, p.step - 1)
                               : p.in[H].absent() ? nullptr
                                                  : row_of(p.in[H], row);
        const float* const c = p.step             ? row_of(p.in[CELLS], row, p.step - 1)
                               : p.in[C].absent() ? nullptr
                                                  : row_of(p.in[C], row);
        const float* const dy = p.in[DY].absent() ? nullptr : row_of(p.in[DY], row, p.step);
        float* const dz = row_of(p.out[DZ], row, p.time);
        float* const next = p.dz[1] + i * p.dz_pitch;
        float* const before = p.before + (row * p.s->t + p.time) * k;
        for (int64_t j = begin; j < end; j += VL) {
            const int lanes = end - j < VL ? (int)(end - j) : VL;
            vf old = h ? load_n(h + j, lanes) : zero();
            if (!p.in[DROPOUT].absent()) old = mul(old, load_n(row_of(p.in[DROPOUT], row) + j, lanes));
            store_n(before + j, old, lanes);
            vf d = from_later(p, i, row, j, lanes, s + (j - begin));
            if (dy) d = add(load_n(dy + j, lanes), d);
            if (!p.slots->on[i]) {
                store_n(p.dh + i * pitch + j, d, lanes);
                for (int g = 0; g < 4; ++g) store_n(dz + g * k + j, zero(), lanes);
                continue;
            }
            const vf in = load_n(gates + j, lanes), forget = load_n(gates + k + j, lanes);
            const vf g = load_n(gates + 2 * k + j, lanes), out = load_n(gates + 3 * k + j, lanes);
            const vf a = outer<USUAL>(f, load_n(cells + j, lanes));
            float* const dc = p.dc + i * pitch + j;
            const vf e = fma(mul(d, out), outer_slope<USUAL>(f, a), load_n(dc, lanes));
            store_n(dc, mul(e, forget), lanes);
            const vf each[4] = {mul(mul(e, g), gate_slope<USUAL>(f, in)),
                                mul(mul(e, c ? load_n(c + j, lanes) : zero()), gate_slope<USUAL>(f, forget)),
                                mul(mul(e, in), outer_slope<USUAL>(f, g)), mul(mul(d, a), gate_slope<USUAL>(f, out))};
#pragma GCC unroll 4
            for (int q = 0; q < 4; ++q) {
                p.past ? stream(dz + q * k + j, each[q]) : store_n(dz + q * k + j, each[q], lanes);
                store_n(next + q * k + j, each[q], lanes);
            }
        }
    }
}

void fetch_lines(const Step& p, Lines& lines, int64_t from, int64_t to, int64_t begin, int64_t end) {
    const int64_t k = p.s->k;
    for (int64_t i = from; i < to; ++i) {
        const int64_t row = p.slots->row[i];
        const float* const gates = row_of(p.in[GATES], row, p.step);
        float* const dz = row_of(p.out[DZ], row, p.time);
        for (int64_t j = begin; j < end; j += 16) {
            for (int g = 0; g < 4; ++g) {
                lines.add(gates + g * k + j);
                if (!p.past) lines.add(dz + g * k + j);
            }
            if (p.step) {
                lines.add(row_of(p.in[CELLS], row, p.step - 1) + j);
                lines.add(row_of(p.in[Y], row, p.step - 1) + j);
            }
            if (!p.in[DY].absent()) lines.add(row_of(p.in[DY], row, p.step) + j);
            lines.add(p.before + (row * p.s->t + p.time) * k + j);
        }
    }
}

// Before the last step: what comes from outside. From unit `begin` to `end`.
void start(const Step& p, int64_t begin, int64_t end) {
    for (int64_t i = 0; i < p.slots->count; ++i) {
        const int64_t row = p.slots->row[i], at = i * p.s->shares.pitch;
        for (int64_t j = begin; j < end; j += VL) {
            const int lanes = end - j < VL ? (int)(end - j) : VL;
            store_n(p.dh + at + j, p.in[DH].absent() ? zero() : load_n(row_of(p.in[DH], row) + j, lanes), lanes);
            store_n(p.dc + at + j, p.in[DC].absent() ? zero() : load_n(row_of(p.in[DC], row) + j, lanes), lanes);
        }
    }
}

// After the first step: the gradients of the states before it. s: as in close_gates.
void finish(const Step& p, int64_t from, int64_t to, int64_t begin, int64_t end, const float* s) {
    const int64_t pitch = p.s->shares.pitch, width = p.s->w.width();
    for (int64_t i = from; i < to; ++i, s += width) {
        const int64_t row = p.slots->row[i];
        for (int64_t j = begin; j < end; j += VL) {
            const int lanes = end - j < VL ? (int)(end - j) : VL;
            store_n(row_of(p.out[DH0], row) + j, from_later(p, i, row, j, lanes, s + (j - begin)), lanes);
            store_n(row_of(p.out[DC0], row) + j, load_n(p.dc + i * pitch + j, lanes), lanes);
        }
    }
}

// The steps of one block; this rank's panels.
void walk(Step& p, Slots& slots, bool* later, const float* room, Range panels, float* tiles, const Team* together) {
    const Backward& s = *p.s;
    const int64_t width = s.w.width();
    const auto gates = s.f.usual() ? close_gates<true> : close_gates<false>;
    start(p, panels.begin * width, panels.end * width < s.k ? panels.end * width : s.k);
    int64_t active = 0;  // slots that were on in the later step
    for (int64_t i = 0; i < slots.count; ++i) later[i] = false;
    for (p.step = s.t - 1; p.step >= -1; --p.step) {
        if (p.step >= 0) {
            p.time = s.backwards ? s.t - 1 - p.step : p.step;
            slots.step(p.in[MASK], p.time);
        }
        for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
            const int64_t begin = panel * width, end = begin + width < s.k ? begin + width : s.k;
            const auto fetch = [&](Lines& lines, int64_t from, int64_t to) {
                if (p.step >= 0) fetch_lines(p, lines, from, to, begin, end);
            };
            const auto done = [&](int64_t from, int64_t to, const float* sums) {
                if (p.step >= 0)
                    gates(p, from, to, begin, end, sums);
                else
                    finish(p, from, to, begin, end, sums);
            };
            if (active) each_tile(s.w, room, panel, p.dz[0], p.dz_pitch, active, tiles, fetch, done);
            done(active, slots.count, tiles);  // whose sums nobody reads
        }
        if (p.step < 0) break;
        active = slots.active;
        for (int64_t i = 0; i < slots.count; ++i) later[i] = slots.on[i];
        float* const read = p.dz[0];
        p.dz[0] = p.dz[1], p.dz[1] = read;
        if (together) together->barrier();
    }
}

bool check(Call& call) {
    if (call.n_in != INS || call.n_out != OUTS || call.n_ints != 3)
        return refuse(call, "expected y, gates, cells, u, dy, dh, dc, h, c, mask, dropout, four outputs and 3 ints");
    const View* in = call.in;
    if (!all_f32(in, MASK) || !all_f32(in + DROPOUT, 1) || !all_f32(call.out, OUTS) ||
        (!in[MASK].absent() && in[MASK].dtype != B8))
        return refuse(call, "expected float32 arrays and a boolean mask");
    const View& y = in[Y];
    if (y.rank != 3) return refuse(call, "expected y (n, t, k)");
    const int64_t n = y.shape[0], t = y.shape[1], k = y.shape[2];
    const auto is = [](const View& v, int64_t a, int64_t b, int64_t c) {
        return c < 0 ? v.rank == 2 && v.shape[0] == a && v.shape[1] == b
                     : v.rank == 3 && v.shape[0] == a && v.shape[1] == b && v.shape[2] == c;
    };
    if (!is(in[GATES], n, t, 4 * k) || !is(in[CELLS], n, t, k) || !is(in[U], k, 4 * k, -1))
        return refuse(call, "expected gates (n, t, 4k), cells (n, t, k), u (k, 4k)");
    if (!in[DY].absent() && !is(in[DY], n, t, k)) return refuse(call, "expected dy (n, t, k)");
    constexpr int STATES[] = {DH, DC, H, C, DROPOUT};
    for (int i : STATES)
        if (!in[i].absent() && !is(in[i], n, k, -1)) return refuse(call, "expected dh, dc, h, c, dropout (n, k)");
    if (!in[MASK].absent() && !is(in[MASK], n, t, -1)) return refuse(call, "expected mask (n, t)");
    if (!is(call.out[DZ], n, t, 4 * k) || !is(call.out[DU], k, 4 * k, -1) || !is(call.out[DH0], n, k, -1) ||
        !is(call.out[DC0], n, k, -1))
        return refuse(call, "expected dz (n, t, 4k), du (k, 4k), dh0 (n, k), dc0 (n, k)");
    return true;
}

}  // namespace
}  // namespace lstm

using namespace lstm;

bool lstm_dx_prepare(Call& call) {
    if (!check(call)) return false;
    Backward& s = call.as<Backward>() = Backward();
    const View &y = call.in[Y], &u = call.in[U];
    s.n = y.shape[0], s.t = y.shape[1], s.k = y.shape[2];
    if (!functions(call, s.f)) return false;
    s.backwards = call.ints[2] != 0;
    s.w.terms = 4 * s.k, s.w.units = s.k;
    s.w.u = u.f32(), s.w.u_k = u.stride[1], s.w.u_j = u.stride[0];
    const double steps = (double)s.n * s.t * s.k;
    call.flops = steps * (16.0 * s.k + 60);
    call.bytes = 4 * (13 * steps + 8.0 * s.k * s.k);
    s.doors.plan(call, 1 << U, 1 << (INS + DZ));  // U is packed; dz is a factor of du, row by row
    s.shares = shares(call, s.n, s.t, s.k, 4 * s.k * s.k);
    plan(s.w, s.shares.rows(call, s.n), s.t);
    s.states = align64(4 * s.shares.block * (2 * s.shares.pitch + 2 * pitch_of(4 * s.k)));
    s.tiles = align64(4 * tile_floats(s.w, s.shares.block));
    s.before = align64(4 * s.n * s.t * s.k);
    Product& p = s.du;
    p.m = s.k, p.n = 4 * s.k, p.k = s.n * s.t;
    p.a = nullptr, p.a_m = 1, p.a_k = s.k;
    p.b = nullptr, p.b_k = 4 * s.k, p.b_n = 1;
    p.c = call.out[DU].f32w(), p.c_m = call.out[DU].stride[0], p.c_n = call.out[DU].stride[1];
    p.one_column = false;
    s.product = product_scratch(p);
    call.scratch = align64(s.doors.bytes) + s.before + s.w.bytes + (s.shares.by_units ? 1 : call.ranks) * s.states +
                   call.ranks * (s.tiles + s.product);
    return true;
}

void lstm_dx_run(const Call& call, const Team& team, char* scratch) {
    const Backward& s = call.as<Backward>();
    View in[INS], out[OUTS];
    s.doors.open(call, in, out, team, scratch);
    scratch += align64(s.doors.bytes);
    float* const before = reinterpret_cast<float*>(scratch);
    float* const room = reinterpret_cast<float*>(scratch + s.before);
    scratch += s.before + s.w.bytes;
    const bool together = s.shares.by_units;
    float* const states = reinterpret_cast<float*>(scratch + (together ? 0 : team.rank * s.states));
    scratch += (together ? 1 : call.ranks) * s.states;
    float* const tiles = reinterpret_cast<float*>(scratch + team.rank * s.tiles);
    scratch += call.ranks * s.tiles;

    const Range everything = {0, s.w.panels()}, my_panels = split(s.w.panels(), team);
    pack(s.w, room, my_panels);
    if (!together) team.barrier();
    const Range rows = together ? Range{0, s.n} : split(s.n, team);
    const View& dz = out[DZ];  // contiguous
    const bool past = streams(4 * dz.size()) && s.k % VL == 0 && (uintptr_t)dz.data % (4 * VL) == 0;
    Slots slots;
    bool later[MOST_ROWS];
    const int64_t block = s.shares.block, count = blocks(rows, block), dz_pitch = pitch_of(4 * s.k);
    for (int64_t b = 0; b < count; ++b) {
        slots.begin(block_of(rows, count, b), in[MASK]);
        Step p{&s,     in,       out, &slots, later, {states, states + block * dz_pitch}, nullptr, nullptr,
               before, dz_pitch, 0,   0,      past};
        p.dh = states + 2 * block * dz_pitch;
        p.dc = p.dh + block * s.shares.pitch;
        walk(p, slots, later, room, together ? my_panels : everything, tiles, together ? &team : nullptr);
        if (together) team.barrier();
    }
    if (past) stream_end();
    team.barrier();
    Product du = s.du;
    du.a = before;
    du.b = out[DZ].f32();
    du.c = out[DU].f32w(), du.c_m = out[DU].stride[0], du.c_n = out[DU].stride[1];
    share(du, team, scratch + team.rank * s.product);
    s.doors.close(call, out, team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
