// sgd_rows_update and adam_rows_update: a step of an optimizer on some rows of a table, in place; all other rows, and
// what is kept for them, stay as they are. The formulas are those of optim/sgd.cpp and optim/adam.cpp.
//
// in: rows (k,) int64, negative ones are passed over; gradient (k, u); learning_rate; Adam: iterations; scale or
// absent. out: variable (n, u); SGD: velocity or absent; Adam: m, v, vhat or absent. SGD: ints: 1 with velocity, 1 for
// nesterov; floats: momentum.  Adam: ints: 1 with vhat; floats: beta_1, beta_2, epsilon. Rows that occur twice are
// updated twice, in order. One out of range sets the flag, and nothing is written.
#include "optim/adam.hpp"
#include "optim/sgd.hpp"
#include "rows/rows.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

// `tables` outputs from the first on agree with the variable; `scalars` inputs follow the gradient, then scale.
bool prepare(Call& c, int scalars, int tables) {
    if (c.n_in != 3 + scalars) return refuse(c, "expected other inputs");
    const View &rows = c.in[0], &gradient = c.in[1], &w = c.out[0], &scale = c.in[2 + scalars];
    if (rows.rank != 1 || rows.dtype != I64) return refuse(c, "rows: expected int64 of one axis");
    if (w.rank != 2 || gradient.rank != 2 || gradient.dtype != F32) return refuse(c, "expected float32 of two axes");
    if (gradient.shape[0] != rows.shape[0] || gradient.shape[1] != w.shape[1])
        return refuse(c, "gradient: expected one row for each of rows");
    for (int i = 0; i < tables; ++i)
        if (c.out[i].dtype != F32 || !same_shape(c.out[i], w)) return refuse(c, "the tables differ");
    if (!is_scalar(c.in[2], F32)) return refuse(c, "learning_rate: expected one float32");
    if (!scale.absent() && !is_scalar(scale, F32)) return refuse(c, "scale: expected one float32");
    c.flops = (double)gradient.size() * (tables > 2 ? 32 : 4);
    c.bytes = (double)gradient.size() * (4 + 8 * tables);
    c.ranks = worth(c, rows.shape[0] / 16 + 1);
    return true;
}

bool inside(const View& rows, int64_t n) {
    bool good = true;
    for (int64_t k = 0; k < rows.shape[0]; ++k) good &= rows.as<const int64_t>()[k * rows.stride[0]] < n;
    return good;
}

// Calls step(pointers, n) for the rows that this rank owns, `tables` tables and the gradient, as Segment::update does.
template <int tables, class F>
void walk_rows(const Call& c, const Team& team, const F& step) {
    const View &rows = c.in[0], &gradient = c.in[1], *w = c.out;
    const int64_t u = w->shape[1], count = rows.shape[0];
    if (!inside(rows, w->shape[0])) {
        *team.bad_index = 1;
        return;
    }
    bool lines = gradient.stride[1] == 1;
    for (int t = 0; t < tables; ++t) lines = lines && w[t].stride[1] == 1;
    const auto row_at = [&](int64_t k)
                            __attribute__((always_inline)) { return rows.as<const int64_t>()[k * rows.stride[0]]; };
    for (int64_t k = 0; k < count; ++k) {
        if (k + AHEAD < count) {
            const int64_t next = row_at(k + AHEAD);
            if (next >= 0 && owner(next, team.size) == team.rank)
                for (int t = 0; t < tables; ++t) fetch_row<true>(w[t].f32() + next * w[t].stride[0], u);
        }
        const int64_t row = row_at(k);
        if (row < 0 || owner(row, team.size) != team.rank) continue;
        float* p[tables + 1];
        for (int t = 0; t < tables; ++t) p[t] = w[t].f32w() + row * w[t].stride[0];
        p[tables] = const_cast<float*>(gradient.f32()) + k * gradient.stride[0];
        if (lines) {
            step(p, u);
            continue;
        }
        View views[tables + 1];
        Segment<tables + 1> segment;
        for (int t = 0; t <= tables; ++t) {
            const View& whole = t < tables ? w[t] : gradient;
            views[t] = whole;
            views[t].data = reinterpret_cast<char*>(p[t]);
            views[t].rank = 1;
            views[t].shape[0] = u;
            views[t].stride[0] = whole.stride[1];
            segment.views[t] = &views[t];
        }
        segment.update(0, u, tables, step);
    }
}

}  // namespace

bool sgd_rows_update_prepare(Call& c) {
    if (c.n_ints != 2 || c.n_floats != 1 || c.n_out != 2) return refuse(c, "expected two integers and a momentum");
    return prepare(c, 1, c.ints[0] ? 2 : 1);
}

void sgd_rows_update_run(const Call& c, const Team& team, char*) {
    const bool nesterov = c.ints[1], scaled = !c.in[3].absent();
    const float rate = *c.in[2].f32(), scale = scaled ? *c.in[3].f32() : 1.0f, decay = (float)c.floats[0];
    if (!c.ints[0])
        walk_rows<1>(c, team,
                     [&](float* const* p, int64_t n) { sgd_step<false, false>(p, n, rate, scale, scaled, decay); });
    else
        walk_rows<2>(c, team, [&](float* const* p, int64_t n) {
            if (nesterov)
                sgd_step<true, true>(p, n, rate, scale, scaled, decay);
            else
                sgd_step<true, false>(p, n, rate, scale, scaled, decay);
        });
}

bool adam_rows_update_prepare(Call& c) {
    if (c.n_ints != 1 || c.n_floats != 3 || c.n_out != 4)
        return refuse(c, "expected an integer, the betas and epsilon");
    if (!prepare(c, 2, c.ints[0] ? 4 : 3)) return false;
    return is_scalar(c.in[3], I64) || refuse(c, "iterations: expected one int64");
}

void adam_rows_update_run(const Call& c, const Team& team, char*) {
    const AdamRates r = adam_rates(c.in[2], *c.in[3].as<const int64_t>() + 1, c.in[4], c.floats);
    if (c.ints[0])
        walk_rows<4>(c, team, [&](float* const* p, int64_t n) { adam_step<true>(p, n, r); });
    else
        walk_rows<3>(c, team, [&](float* const* p, int64_t n) { adam_step<false>(p, n, r); });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
