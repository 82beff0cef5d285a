// binary_crossentropy, element by element.
#include "loss/loss.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace {

constexpr int PIECE = 1024;  // elements a rank takes at a time; strided operands pass through buffers of 4 KB

template <int S>
struct Elements {
    Dims<S> outer;
    ptrdiff_t step[S];
    int64_t inner, pieces;  // size of the innermost dimension, pieces of it
};

// operands: inputs first, the output last; all of one shape.
template <int S>
bool plan_elements(Call& c, Elements<S>& e, const View* const (&operands)[S], double flops_per_element) {
    const View& x = *operands[0];
    if (x.absent()) return refuse(c, "an operand is missing");
    for (int s = 0; s < S; ++s) {
        if (operands[s]->dtype != F32) return refuse(c, "expected float32");
        if (operands[s]->absent() || !same_shape(x, *operands[s])) return refuse(c, "operands differ in shape");
    }
    for (int d = 0; d < x.rank; ++d) {
        ptrdiff_t strides[S];
        for (int s = 0; s < S; ++s) strides[s] = operands[s]->stride[d];
        e.outer.push(x.shape[d], strides);
    }
    e.inner = e.outer.pop(e.step);
    e.pieces = (e.inner + PIECE - 1) / PIECE;
    c.flops = flops_per_element * x.size();
    c.bytes = 4.0 * S * x.size();
    c.ranks = worth(c, e.outer.size() * e.pieces);
    return true;
}

// step(rows, i, m): operands' elements i .. i+m-1 of the piece.
template <int S, class Step>
inline void for_elements(const Elements<S>& e, const View* const (&operands)[S], const Team& team, Step step) {
    alignas(64) float buffer[S][PIECE];
    const Range mine = split(e.outer.size() * e.pieces, team);
    Walk<S> walk(e.outer, e.pieces ? mine.begin / e.pieces : 0);
    for (int64_t p = mine.begin; p < mine.end; ++p) {
        const int64_t begin = p % e.pieces * PIECE;
        const int count = e.inner - begin < PIECE ? (int)(e.inner - begin) : PIECE;
        float* rows[S];
        for (int s = 0; s < S; ++s) {
            float* at = operands[s]->f32w() + walk.offset[s] + begin * e.step[s];
            rows[s] = e.step[s] == 1 ? at : buffer[s];
            if (e.step[s] != 1 && s < S - 1)
                for (int i = 0; i < count; ++i) buffer[s][i] = at[i * e.step[s]];
        }
        each_vector(count, [&](int64_t i, int m) __attribute__((always_inline)) { step(rows, i, m); });
        if (e.step[S - 1] != 1) {
            float* at = operands[S - 1]->f32w() + walk.offset[S - 1] + begin * e.step[S - 1];
            for (int i = 0; i < count; ++i) at[i * e.step[S - 1]] = buffer[S - 1][i];
        }
        if ((p + 1) % e.pieces == 0) walk.step();
    }
}

}  // namespace

bool binary_crossentropy_prepare(Call& c) {
    if (c.n_in != 2 || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected target, output, one output, one flag");
    auto& e = c.as<Elements<3>>() = {};
    return plan_elements<3>(c, e, {&c.in[0], &c.in[1], &c.out[0]}, 40);
}

void binary_crossentropy_run(const Call& c, const Team& team, char*) {
    const auto& e = c.as<Elements<3>>();
    const View* const operands[3] = {&c.in[0], &c.in[1], &c.out[0]};
    if (c.ints[0]) {
        for_elements<3>(e, operands, team, [](float* const* row, int64_t i, int m) __attribute__((always_inline)) {
            const vf t = load_m(row[0] + i, m), x = load_m(row[1] + i, m);
            const vf relu = select(gt(x, zero()), x, zero());
            store_m(row[2] + i, add(sub(relu, mul(x, t)), vlog1p(vexp(vneg(vabs(x))))), m);
        });
        return;
    }
    for_elements<3>(e, operands, team, [](float* const* row, int64_t i, int m) __attribute__((always_inline)) {
        const vf one = set1(1.0f), t = load_m(row[0] + i, m), p = clip_probability(load_m(row[1] + i, m));
        store_m(row[2] + i, vneg(add(mul(t, vlog(p)), mul(sub(one, t), vlog(sub(one, p))))), m);
    });
}

bool binary_crossentropy_dx_prepare(Call& c) {
    if (c.n_in != 3 || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected dy, target, output, dx, one flag");
    auto& e = c.as<Elements<4>>() = {};
    return plan_elements<4>(c, e, {&c.in[0], &c.in[1], &c.in[2], &c.out[0]}, 20);
}

void binary_crossentropy_dx_run(const Call& c, const Team& team, char*) {
    const auto& e = c.as<Elements<4>>();
    const View* const operands[4] = {&c.in[0], &c.in[1], &c.in[2], &c.out[0]};
    if (c.ints[0]) {
        for_elements<4>(e, operands, team, [](float* const* row, int64_t i, int m) __attribute__((always_inline)) {
            const vf t = load_m(row[1] + i, m), x = load_m(row[2] + i, m);
            store_m(row[3] + i, mul(sub(vsigmoid(x), t), load_m(row[0] + i, m)), m);
        });
        return;
    }
    for_elements<4>(e, operands, team, [](float* const* row, int64_t i, int m) __attribute__((always_inline)) {
        const vf one = set1(1.0f), t = load_m(row[1] + i, m), x = load_m(row[2] + i, m);
        const vf slope = sub(div(sub(one, t), sub(one, x)), div(t, x));
        store_m(row[3] + i, select(outside(x), zero(), mul(slope, load_m(row[0] + i, m))), m);
    });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
