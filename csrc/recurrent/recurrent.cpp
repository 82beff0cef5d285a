// recurrent: packing, the split among ranks, rows under masks, operands of any strides.
#include "recurrent/recurrent.hpp"

#include "dot/pack.hpp"
#include "simd/math.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace recurrent {

// ---- the product of a step ----

void plan(Weights& w, int64_t rows, int64_t steps) {
    const int64_t vectors = (w.units + VL - 1) / VL;
    const int most = w.gates == 1 ? 4 : w.gates == 2 ? 2 : 1;  // vectors of a gate: panels of about four
    w.each = vectors < most ? (int)(vectors > 0 ? vectors : 1) : most;
    if (vectors >= 2 * most) {  // few rows want wide panels: more chains side by side
        Weights wide = w;
        wide.each = 2 * most;
        if (rows <= wide.most_rows()) w.each = 2 * most;
    }
    // Packing reads and writes U once; a panel in place is read in short pieces, a row of U apart.
    const bool fits = w.u_j == 1 && w.gates != 2;
    w.in_place = fits && steps * ((rows + w.most_rows() - 1) / w.most_rows()) <= 4;
    const int64_t packed = w.in_place ? (w.units % w.width() != 0) : w.panels();
    w.bytes = align64(4 * packed * w.floats());
}

namespace {

// to[k * to_k + j] = from[k * u_k + j * u_j] for j < units, +0 for j from there to the last of `whole`.
void pack_gate(float* to, ptrdiff_t to_k, const float* from, ptrdiff_t u_k, ptrdiff_t u_j, int64_t terms, int64_t units,
               int64_t whole) {
    pack_b(to, to_k, from, u_k, u_j, terms, units);
    for (int64_t k = 0; units < whole && k < terms; ++k)
        for (int64_t j = units; j < whole; ++j) to[k * to_k + j] = 0;
}

}  // namespace

void pack(const Weights& w, float* room, Range panels) {
    const int64_t width = w.width(), row = w.vectors() * VL;
    for (int64_t p = panels.begin; p < panels.end; ++p) {
        const int64_t j = p * width, units = w.units - j < width ? w.units - j : width;
        if (w.in_place && units == width) continue;
        float* const to = room + (w.in_place ? 0 : p * w.floats());
        for (int g = 0; g < w.gates; ++g)
            pack_gate(to + g * width, row, w.u + g * w.u_g + j * w.u_j, w.u_k, w.u_j, w.terms, units, width);
    }
}

// ---- the team ----

Shares shares(Call& call, int64_t n, int64_t steps, int64_t k, int64_t weights) {
    // A core's L2 holds U beside the states up to 1.25 MB; a rank that streams a larger one wants as many rows as there
    // are. Panels pay where a step takes each rank longer than some barriers (0.5 us).
    Shares s;
    s.by_units = n < 4 * call.threads || weights > 320 * 1024;
    s.block = s.by_units || weights > 320 * 1024 ? MOST_ROWS : MOST_ROWS / 2;
    if (n < s.block) s.block = n > 1 ? n : 1;
    s.pitch = pitch_of(k);
    int64_t pieces = n / 4;
    if (s.by_units) {
        pieces = (k + 4 * VL - 1) / (4 * VL);
        const int64_t pays = steps > 1 ? (int64_t)(estimated_us(call) / (double)steps / 2) : pieces;
        if (pieces > pays) pieces = pays;
    }
    call.ranks = worth(call, pieces);
    return s;
}

// ---- masks ----

void Slots::begin(Range rows, const View& mask) {
    count = active = rows.end - rows.begin;
    for (int64_t i = 0; i < count; ++i) row[i] = rows.begin + i, on[i] = true;
    if (mask.absent()) return;
    int64_t steps[MOST_ROWS];
    for (int64_t i = 0; i < count; ++i) {  // insertion: at most MOST_ROWS rows, mostly in order
        const bool* const m = mask.as<const bool>() + row[i] * mask.stride[0];
        int64_t n = 0;
        for (int64_t s = 0; s < mask.shape[1]; ++s) n += m[s * mask.stride[1]];
        const int64_t r = row[i];
        int64_t at = i;
        for (; at > 0 && steps[at - 1] < n; --at) steps[at] = steps[at - 1], row[at] = row[at - 1];
        steps[at] = n, row[at] = r;
    }
}

void Slots::step(const View& mask, int64_t time) {
    if (mask.absent()) return;
    active = 0;
    for (int64_t i = 0; i < count; ++i) {
        on[i] = mask.as<const bool>()[row[i] * mask.stride[0] + time * mask.stride[1]];
        if (on[i]) active = i + 1;
    }
}

// ---- operands ----

void Doors::plan(const Call& call, unsigned leave, unsigned whole) {
    count = 0;
    bytes = 0;
    inputs = call.n_in;
    for (int32_t i = 0; i < call.n_in + call.n_out; ++i) {
        const bool output = i >= call.n_in;
        const View& v = output ? call.out[i - call.n_in] : call.in[i];
        if (v.absent() || v.rank < 1 || v.dtype != F32 || v.size() == 0 || (leave >> i & 1)) continue;
        if (whole >> i & 1 ? v.contiguous() : v.stride[v.rank - 1] == 1 || v.shape[v.rank - 1] == 1) continue;
        door[count++] = {i, output, bytes};
        bytes += align64(4 * v.size());
    }
}

namespace {

// Rows of a to rows of b, this rank's part; both have the same shape.
void copy_rows(const View& a, const View& b, const Team& team) {
    const int last = a.rank - 1;
    const int64_t n = a.shape[last], rows = a.size() / n;
    const Range mine = split(rows, team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
        const float* from = a.f32();
        float* to = b.f32w();
        int64_t rest = i;
        for (int d = last - 1; d >= 0; --d) {
            from += rest % a.shape[d] * a.stride[d];
            to += rest % a.shape[d] * b.stride[d];
            rest /= a.shape[d];
        }
        for (int64_t j = 0; j < n; ++j) to[j * b.stride[last]] = from[j * a.stride[last]];
    }
}

}  // namespace

void Doors::open(const Call& call, View* in, View* out, const Team& team, char* room) const {
    for (int32_t i = 0; i < call.n_in; ++i) in[i] = call.in[i];
    for (int32_t i = 0; i < call.n_out; ++i) out[i] = call.out[i];
    bool copied = false;
    for (int32_t d = 0; d < count; ++d) {
        View& v = door[d].output ? out[door[d].view - inputs] : in[door[d].view];
        const View strided = v;
        v.data = room + door[d].at;
        ptrdiff_t stride = 1;
        for (int i = v.rank - 1; i >= 0; --i) v.stride[i] = stride, stride *= v.shape[i];
        if (!door[d].output) copy_rows(strided, v, team), copied = true;
    }
    if (copied) team.barrier();
}

void Doors::close(const Call& call, const View* out, const Team& team) const {
    bool waited = false;
    for (int32_t d = 0; d < count; ++d) {
        if (!door[d].output) continue;
        if (!waited) team.barrier();
        waited = true;
        const int32_t i = door[d].view - inputs;
        copy_rows(out[i], call.out[i], team);
    }
}

// ---- gate functions ----

vf squash_other(Activation f, vf x) {
    if (f == RELU) return select(le(x, zero()), zero(), x);
    return f == SIGMOID ? vsigmoid(x) : f == TANH ? vtanh(x) : x;
}
vf slope_other(Activation f, vf y) {
    const vf one = set1(1.0f);
    if (f == RELU) return select(le(y, zero()), zero(), one);
    return f == SIGMOID ? mul(y, sub(one, y)) : f == TANH ? fnma(y, y, one) : one;
}

}  // namespace recurrent
}  // namespace QUERNEL_ISA
}  // namespace quernel
