// mean_squared_error over the last axis.
#include "loss/loss.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool mean_squared_error_prepare(Call& c) {
    if (c.n_in != 2 || c.n_out != 1 || c.n_ints != 0) return refuse(c, "expected y_true, y_pred and one output");
    if (!all_f32(c.in, 2) || c.out[0].dtype != F32) return refuse(c, "expected float32");
    auto& r = c.as<Rows<3>>() = {};
    return plan_rows<3>(c, r, {&c.in[0], &c.in[1], &c.out[0]}, {true, true, false}, 1, c.in[0].rank - 1, 3);
}

void mean_squared_error_run(const Call& c, const Team& team, char* scratch) {
    const auto& r = c.as<Rows<3>>();
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
    auto& r = c.as<Rows<4>>() = {};
    return plan_rows<4>(c, r, {&c.in[1], &c.in[2], &c.in[0], &c.out[0]}, {true, true, false, true}, 1, c.in[1].rank - 1,
                        2);
}

void mean_squared_error_dx_run(const Call& c, const Team& team, char* scratch) {
    const auto& r = c.as<Rows<4>>();
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
