// mean_squared_error over the last axis.
//
// Rows of one element (a network with one output) are elements of one long row: the sum is the square, divided by 1.
#include "loss/loss.hpp"
#include "map/map.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

template <int S>
struct Loss {
    Map map;  // first: map_run takes it from there
    Rows<S> rows;
    bool single;  // rows of one element: `map` is in use
};

QUERNEL_INLINE vf squared_error(vf t, vf x) {
    const vf d = sub(t, x);
    return mul(d, d);
}
QUERNEL_INLINE vf slope(vf dy, vf t, vf x) { return mul(sub(x, t), mul(set1(2.0f), dy)); }

bool is_single(const View& x) { return x.rank > 0 && x.shape[x.rank - 1] == 1; }
View without_last(const View& x) {
    View v = x;
    --v.rank;
    return v;
}

}  // namespace

bool mean_squared_error_prepare(Call& c) {
    if (c.n_in != 2 || c.n_out != 1 || c.n_ints != 0) return refuse(c, "expected y_true, y_pred and one output");
    if (!all_f32(c.in, 2) || c.out[0].dtype != F32) return refuse(c, "expected float32");
    auto& loss = c.as<Loss<3>>() = {};
    loss.single = is_single(c.in[0]);
    if (loss.single) {
        if (!same_shape(c.in[0], c.in[1])) return refuse(c, "y_true and y_pred differ in shape");
        const View t = without_last(c.in[0]), x = without_last(c.in[1]);
        if (!same_shape(t, c.out[0])) return refuse(c, "the output has the wrong shape");
        const View* const views[] = {&c.out[0], &t, &x};
        return map_prepare(c, 2, views, 3, row2<squared_error>);
    }
    return plan_rows<3>(c, loss.rows, {&c.in[0], &c.in[1], &c.out[0]}, {true, true, false}, 1, c.in[0].rank - 1, 3);
}

void mean_squared_error_run(const Call& c, const Team& team, char* scratch) {
    if (c.as<Loss<3>>().single) return map_run(c, team);
    const auto& r = c.as<Loss<3>>().rows;
    float* loss = c.out[0].f32w();
    for_rows<3>(r, {&c.in[0], &c.in[1], &c.out[0]}, team, scratch, [&](float* const* row, const ptrdiff_t* at) {
        const float *t = row[0], *x = row[1];
        const float sum = fold_row<SumF>(r.n, [=](int64_t i, int m) __attribute__((always_inline)) {
            const vf d = sub(load_m(t + i, m), load_m(x + i, m));
            return mul(d, d);
        });
        loss[at[2]] = sum / (float)r.n;
    });
}

bool mean_squared_error_dx_prepare(Call& c) {
    if (c.n_in != 3 || c.n_out != 1 || c.n_ints != 0) return refuse(c, "expected dy, y_true, y_pred and one output");
    if (!all_f32(c.in, 3) || c.out[0].dtype != F32) return refuse(c, "expected float32");
    auto& loss = c.as<Loss<4>>() = {};
    loss.single = is_single(c.in[1]);
    if (loss.single) {
        if (!same_shape(c.in[1], c.in[2]) || !same_shape(c.in[1], c.out[0]))
            return refuse(c, "y_true, y_pred and dx differ in shape");
        const View t = without_last(c.in[1]), x = without_last(c.in[2]), dx = without_last(c.out[0]);
        if (!same_shape(t, c.in[0])) return refuse(c, "dy has the wrong shape");
        const View* const views[] = {&dx, &c.in[0], &t, &x};
        return map_prepare(c, 3, views, 2, row3<slope>);
    }
    return plan_rows<4>(c, loss.rows, {&c.in[1], &c.in[2], &c.in[0], &c.out[0]}, {true, true, false, true}, 1,
                        c.in[1].rank - 1, 2);
}

void mean_squared_error_dx_run(const Call& c, const Team& team, char* scratch) {
    if (c.as<Loss<4>>().single) return map_run(c, team);
    const auto& r = c.as<Loss<4>>().rows;
    const float* dy = c.in[0].f32();
    for_rows<4>(r, {&c.in[1], &c.in[2], &c.in[0], &c.out[0]}, team, scratch,
                [&](float* const* row, const ptrdiff_t* at) {
                    const float *t = row[0], *x = row[1];
                    float* dx = row[3];
                    const vf scale = set1(2.0f * dy[at[2]] / (float)r.n);
                    each_vector(r.n, [=](int64_t i, int m) __attribute__((always_inline)) {
                        store_m(dx + i, mul(sub(load_m(x + i, m), load_m(t + i, m)), scale), m);
                    });
                });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
