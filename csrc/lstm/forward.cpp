// lstm_forward: the steps of a block of rows, gate functions beside the product that feeds them.
#include "lstm/lstm.hpp"
#include "simd/math.hpp"
#include "simd/stream.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace lstm {

bool functions(Call& call, Functions& f) {
    if (call.ints[0] < NO_ACTIVATION || call.ints[0] > TANH || call.ints[1] < NO_ACTIVATION || call.ints[1] > TANH)
        return refuse(call, "unknown activation");
    f = {(Activation)call.ints[0], (Activation)call.ints[1]};
    return true;
}

int64_t plan_forward(Call& call, Forward& s) {
    s.shares = shares(call, s.n, s.t, s.k, 4 * s.k * s.k);
    plan(s.w, s.shares.rows(call, s.n), s.t);
    s.states = align64(4 * 4 * s.shares.block * s.shares.pitch);
    s.tiles = align64(4 * tile_floats(s.w, s.shares.block));
    return s.w.bytes + (s.shares.by_units ? 1 : call.ranks) * s.states + call.ranks * s.tiles;
}

namespace {

struct States {   // of a block's slots, rows s.shares.pitch apart
    float* a[2];  // h * dropout: what this step reads, and the next one
    float *h, *c;
};

struct Step {
    const Forward* s;
    const Arrays* v;
    const Slots* slots;
    States at;
    bool past;  // gates are written past the caches
    int64_t step, time;
};

template <bool USUAL>
QUERNEL_INLINE vf outer(Functions f, vf x) {
    return USUAL ? vtanh(x) : squash_other(f.a, x);
}
template <bool USUAL>
QUERNEL_INLINE vf gate(Functions f, vf x) {
    return USUAL ? vsigmoid(x) : squash_other(f.r, x);
}

float* row_of(const View& v, int64_t row) { return v.f32w() + row * v.stride[0]; }
float* row_of(const View& v, int64_t row, int64_t t) { return v.f32w() + row * v.stride[0] + t * v.stride[1]; }

// What is h and c after the step: lanes from unit j on.
QUERNEL_INLINE void keep(const Step& p, int64_t i, int64_t row, int64_t j, int lanes, vf h, vf c) {
    const int64_t at = i * p.s->shares.pitch + j;
    const Arrays& v = *p.v;
    store_n(p.at.h + at, h, lanes);
    store_n(p.at.c + at, c, lanes);
    store_n(p.at.a[1] + at, v.dropout.absent() ? h : mul(h, load_n(row_of(v.dropout, row) + j, lanes)), lanes);
    store_n(row_of(v.y, row, p.step) + j, h, lanes);
    if (v.cells.data) store_n(row_of(v.cells, row, p.step) + j, c, lanes);
    if (p.step == p.s->t - 1) {
        store_n(row_of(v.h_last, row) + j, h, lanes);
        store_n(row_of(v.c_last, row) + j, c, lanes);
    }
}

// A masked step of the units [begin, end) of slot i.
void carry(const Step& p, int64_t i, int64_t begin, int64_t end) {
    const int64_t row = p.slots->row[i], pitch = p.s->shares.pitch, k = p.s->k;
    for (int64_t j = begin; j < end; j += VL) {
        const int lanes = end - j < VL ? (int)(end - j) : VL;
        keep(p, i, row, j, lanes, load_n(p.at.h + i * pitch + j, lanes), load_n(p.at.c + i * pitch + j, lanes));
        if (p.v->gates.data)
            for (int g = 0; g < 4; ++g) store_n(row_of(p.v->gates, row, p.step) + g * k + j, zero(), lanes);
    }
}

// The gates of the units [begin, end) of the slots [from, to), whose products are s; s holds them on return. One gate
// function after the other, in L1: in one loop for all, each unit's way from sums to h is 200 cycles long and the next
// one starts too late.
template <bool USUAL>
void open_gates(const Step& p, int64_t from, int64_t to, int64_t begin, int64_t end, float* s) {
    const Functions f = p.s->f;
    const int64_t k = p.s->k, pitch = p.s->shares.pitch, width = p.s->w.width();
    const auto lanes_at = [end](int64_t j) { return end - j < VL ? (int)(end - j) : VL; };
    float* at = s;
    for (int64_t i = from; i < to; ++i, at += 4 * width) {
        if (!p.slots->on[i]) continue;
        const float* const z = row_of(p.v->z, p.slots->row[i], p.time);
        for (int g = 0; g < 4; ++g)
            for (int64_t j = begin; j < end; j += VL) {
                float* const sum = at + g * width + (j - begin);
                const vf x = add(loadu(sum), load_n(z + g * k + j, lanes_at(j)));
                storeu(sum, g == 2 ? outer<USUAL>(f, x) : gate<USUAL>(f, x));
            }
    }
    at = s;
    for (int64_t i = from; i < to; ++i, at += 4 * width) {
        if (!p.slots->on[i]) continue;
        float* const gates = p.v->gates.data ? row_of(p.v->gates, p.slots->row[i], p.step) : nullptr;
        for (int64_t j = begin; j < end; j += VL) {
            const int lanes = lanes_at(j);
            float* const unit = at + (j - begin);
            const vf in = loadu(unit), forget = loadu(unit + width), g = loadu(unit + 2 * width);
            if (gates) {
                const vf each[4] = {in, forget, g, loadu(unit + 3 * width)};
                if (p.past)
                    for (int q = 0; q < 4; ++q) stream(gates + q * k + j, each[q]);
                else
                    for (int q = 0; q < 4; ++q) store_n(gates + q * k + j, each[q], lanes);
            }
            storeu(unit, fma(forget, load_n(p.at.c + i * pitch + j, lanes), mul(in, g)));
        }
    }
    at = s;
    for (int64_t i = from; i < to; ++i, at += 4 * width) {
        if (!p.slots->on[i]) {
            carry(p, i, begin, end);
            continue;
        }
        for (int64_t j = begin; j < end; j += VL) {
            float* const unit = at + (j - begin);
            const vf c = loadu(unit), h = mul(loadu(unit + 3 * width), outer<USUAL>(f, c));
            keep(p, i, p.slots->row[i], j, lanes_at(j), h, c);
        }
    }
}

// Lines that the gates of these slots will read and write.
void fetch_lines(const Step& p, Lines& lines, int64_t from, int64_t to, int64_t begin, int64_t end) {
    const int64_t k = p.s->k;
    for (int64_t i = from; i < to; ++i) {
        const int64_t row = p.slots->row[i];
        const float* const z = row_of(p.v->z, row, p.time);
        float* const gates = p.v->gates.data ? row_of(p.v->gates, row, p.step) : nullptr;
        for (int64_t j = begin; j < end; j += 16)
            for (int g = 0; g < 4; ++g) {
                lines.add(z + g * k + j);
                if (gates && !p.past) lines.add(gates + g * k + j);
            }
        lines.add(row_of(p.v->y, row, p.step) + begin);
        if (p.v->cells.data) lines.add(row_of(p.v->cells, row, p.step) + begin);
    }
}

// The states before the first step, of the units [begin, end); with no step they are the last, too.
void start(const Step& p, int64_t begin, int64_t end) {
    const Arrays& v = *p.v;
    for (int64_t i = 0; i < p.slots->count; ++i) {
        const int64_t row = p.slots->row[i], at = i * p.s->shares.pitch;
        for (int64_t j = begin; j < end; j += VL) {
            const int lanes = end - j < VL ? (int)(end - j) : VL;
            const vf h = v.h.absent() ? zero() : load_n(row_of(v.h, row) + j, lanes);
            const vf c = v.c.absent() ? zero() : load_n(row_of(v.c, row) + j, lanes);
            store_n(p.at.h + at + j, h, lanes);
            store_n(p.at.c + at + j, c, lanes);
            store_n(p.at.a[0] + at + j, v.dropout.absent() ? h : mul(h, load_n(row_of(v.dropout, row) + j, lanes)),
                    lanes);
            if (!p.s->t) {
                store_n(row_of(v.h_last, row) + j, h, lanes);
                store_n(row_of(v.c_last, row) + j, c, lanes);
            }
        }
    }
}

}  // namespace

void run_forward(const Forward& s, const Arrays& v, const Team& team, int ranks, char* scratch) {
    float* const room = reinterpret_cast<float*>(scratch);
    const int64_t panels = s.w.panels(), width = s.w.width(), pitch = s.shares.pitch;
    const bool together = s.shares.by_units;
    const Range everything = {0, panels}, my_panels = split(panels, team);
    pack(s.w, room, s.w.in_place && !together ? (team.rank ? Range{0, 0} : everything) : my_panels);
    if (!together && s.w.bytes) team.barrier();
    const Range mine = together ? my_panels : everything, rows = together ? Range{0, s.n} : split(s.n, team);
    scratch += s.w.bytes;
    float* const states = reinterpret_cast<float*>(scratch + (together ? 0 : team.rank * s.states));
    float* const tiles = reinterpret_cast<float*>(scratch + (together ? 1 : ranks) * s.states + team.rank * s.tiles);
    const int64_t first = mine.begin * width, last = mine.end * width < s.k ? mine.end * width : s.k;

    Slots slots;
    const bool past = v.gates.data && streams(4 * v.gates.size()) && s.k % VL == 0 && v.gates.stride[0] % VL == 0 &&
                      v.gates.stride[1] % VL == 0 && (uintptr_t)v.gates.data % (4 * VL) == 0;
    Step p{&s, &v, &slots, {}, past, 0, 0};
    const auto gates = s.f.usual() ? open_gates<true> : open_gates<false>;
    const int64_t count = blocks(rows, s.shares.block);
    for (int64_t b = 0; b < count; ++b) {
        slots.begin(block_of(rows, count, b), v.mask);
        const int64_t room_of_one = s.shares.block * pitch;
        p.at = {{states, states + room_of_one}, states + 2 * room_of_one, states + 3 * room_of_one};
        start(p, first, last);
        if (together) team.barrier();
        for (p.step = 0; p.step < s.t; ++p.step) {
            p.time = s.backwards ? s.t - 1 - p.step : p.step;
            slots.step(v.mask, p.time);
            for (int64_t panel = mine.begin; panel < mine.end; ++panel) {
                const int64_t begin = panel * width, end = begin + width < s.k ? begin + width : s.k;
                if (slots.active)
                    each_tile(
                        s.w, room, panel, p.at.a[0], pitch, slots.active, tiles,
                        [&](Lines& lines, int64_t from, int64_t to) { fetch_lines(p, lines, from, to, begin, end); },
                        [&](int64_t from, int64_t to, float* sums) { gates(p, from, to, begin, end, sums); });
                for (int64_t i = slots.active; i < slots.count; ++i) carry(p, i, begin, end);
            }
            float* const read = p.at.a[0];
            p.at.a[0] = p.at.a[1], p.at.a[1] = read;
            if (together) team.barrier();
        }
    }
    if (past) stream_end();
}

namespace {

struct Prepared {
    Forward s;
    Doors doors;
};

}  // namespace
}  // namespace lstm

using namespace lstm;

bool lstm_forward_prepare(Call& call) {
    if (call.n_in != 6 || call.n_out != 5 || call.n_ints != 3)
        return refuse(call, "expected z, u, h, c, mask, dropout, five outputs and 3 ints");
    Prepared& all = call.as<Prepared>();
    Forward& s = all.s = Forward();
    const View &z = call.in[0], &u = call.in[1], &mask = call.in[4];
    if (!all_f32(call.in, 4) || !all_f32(call.in + 5, 1) || !all_f32(call.out, 5) ||
        (!mask.absent() && mask.dtype != B8))
        return refuse(call, "expected float32 arrays and a boolean mask");
    if (z.rank != 3 || u.rank != 2 || u.shape[1] != 4 * u.shape[0] || z.shape[2] != u.shape[1])
        return refuse(call, "expected z (n, t, 4k), u (k, 4k)");
    s.n = z.shape[0], s.t = z.shape[1], s.k = u.shape[0];
    const auto is = [](const View& v, int64_t a, int64_t b, int64_t c) {
        return c < 0 ? v.rank == 2 && v.shape[0] == a && v.shape[1] == b
                     : v.rank == 3 && v.shape[0] == a && v.shape[1] == b && v.shape[2] == c;
    };
    constexpr int STATES[] = {2, 3, 5};
    for (int i : STATES)
        if (!call.in[i].absent() && !is(call.in[i], s.n, s.k, -1))
            return refuse(call, "expected h, c and dropout (n, k)");
    if (!mask.absent() && !is(mask, s.n, s.t, -1)) return refuse(call, "expected mask (n, t)");
    if (!is(call.out[0], s.n, s.t, s.k) || !is(call.out[1], s.n, s.k, -1) || !is(call.out[2], s.n, s.k, -1) ||
        !is(call.out[3], s.n, s.t, 4 * s.k) || !is(call.out[4], s.n, s.t, s.k))
        return refuse(call, "expected y (n, t, k), h (n, k), c (n, k), gates (n, t, 4k), cells (n, t, k)");
    if (!functions(call, s.f)) return false;
    s.backwards = call.ints[2] != 0;
    s.w.terms = s.w.units = s.k, s.w.gates = 4;
    s.w.u = u.f32(), s.w.u_k = u.stride[0], s.w.u_j = u.stride[1], s.w.u_g = s.k * u.stride[1];
    const double steps = (double)s.n * s.t * s.k;
    call.flops = steps * (8.0 * s.k + 100);
    call.bytes = 4 * (10 * steps + 4.0 * s.k * s.k);
    all.doors.plan(call, 1 << 1);  // U is packed, or read in place
    call.scratch = align64(all.doors.bytes) + plan_forward(call, s);
    return true;
}
void lstm_forward_run(const Call& call, const Team& team, char* scratch) {
    const Prepared& all = call.as<Prepared>();
    View in[6], out[5];
    all.doors.open(call, in, out, team, scratch);
    const Arrays v = {in[0], in[2], in[3], in[4], in[5], out[0], out[1], out[2], out[3], out[4]};
    run_forward(all.s, v, team, call.ranks, scratch + align64(all.doors.bytes));
    all.doors.close(call, out, team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
