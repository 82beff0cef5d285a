// sparse_categorical_crossentropy: a class number for every row of the last axis; log-softmax and pick in one pass.
#include "loss/label.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

// A long row, for overlapped_rows; k is negative where the class is none.
struct LossRow : ExpRow {
    float* loss;
    int64_t k;
    LossRow(const float* x, float* loss, int64_t k) : ExpRow{x, nullptr}, loss(loss), k(k) {}
    QUERNEL_INLINE void fetch(int64_t) const {}
    void sum(float s) const { *loss = k < 0 ? 0 : log_of(s) - (x[k] - m); }
    QUERNEL_INLINE void step(int64_t, int) const {}
    void end() const {}
};
}  // namespace

bool sparse_categorical_crossentropy_prepare(Call& c) {
    if (c.n_in != 2 || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected target, output, one output, one flag");
    if (c.in[1].dtype != F32 || c.out[0].dtype != F32) return refuse(c, "expected float32");
    if (!is_label(c.in[0].dtype)) return refuse(c, "target: expected int32, int64 or uint8");
    auto& r = c.as<Rows<3>>() = {};
    return plan_rows<3>(c, r, {&c.in[1], &c.in[0], &c.out[0]}, {true, false, false}, 1, c.in[1].rank - 1, 20);
}

void sparse_categorical_crossentropy_run(const Call& c, const Team& team, char* scratch) {
    const auto& r = c.as<Rows<3>>();
    const bool logits = c.ints[0];
    float* loss = c.out[0].f32w();
    const int n = (int)r.n;
    if (logits && is_short(r))
        return for_short_rows<3>(r, team, [&](const auto& at, int rows) {
            vf x[SHORT];
            alignas(64) float picked[VL];
            read_columns(c.in[1].f32(), at[0], n, x);
            unsigned bad = 0;
            for (int i = 0; i < VL; ++i) {
                const int64_t k = label(c.in[0], at[1][i], n, team);
                bad |= (unsigned)(k < 0) << i;
                picked[i] = c.in[1].f32()[at[0][i] + (k < 0 ? 0 : k)];
            }
            const vf m = fold_across<MaxF>(x, n), log_s = vlog(exp_sum_across(x, m, x, n));
            write_lanes(loss, at[2], rows, sub(log_s, sub(loadu(picked), m)));
            for (int i = 0; i < rows; ++i)
                if (bad >> i & 1) loss[at[2][i]] = 0;
        });
    if (logits && is_narrow(r))
        return for_short_rows<3>(r, team, [&](const auto& at, int rows) {
            const float* x = c.in[1].f32();
            vf m;
            const vf log_s = log_sums(x, at[0], rows, n, m);
            alignas(64) float picked[VL] = {}, value[VL];
            unsigned bad = 0;
            for (int i = 0; i < rows; ++i) {
                const int64_t k = label(c.in[0], at[1][i], n, team);
                bad |= (unsigned)(k < 0) << i;
                picked[i] = x[at[0][i] + (k < 0 ? 0 : k)];
            }
            storeu(value, sub(log_s, sub(loadu(picked), m)));
            for (int i = 0; i < rows; ++i) loss[at[2][i]] = bad >> i & 1 ? 0 : value[i];
        });
    if (logits)
        return overlapped_rows<3>(r, {&c.in[1], &c.in[0], &c.out[0]}, team, scratch,
                                  [&](float* const* row, const ptrdiff_t* at) {
                                      return LossRow(row[0], loss + at[2], label(c.in[0], at[1], n, team));
                                  });
    for_rows<3>(r, {&c.in[1], &c.in[0], &c.out[0]}, team, scratch, [&](float* const* row, const ptrdiff_t* at) {
        const int64_t k = label(c.in[0], at[1], r.n, team);
        loss[at[2]] = k < 0 ? 0 : -first(vlog(clip_probability(set1(row[0][k]))));
    });
}

bool sparse_categorical_crossentropy_dx_prepare(Call& c) {
    if (c.n_in != 3 || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected dy, target, output, dx, one flag");
    if (c.in[0].dtype != F32 || c.in[2].dtype != F32 || c.out[0].dtype != F32) return refuse(c, "expected float32");
    if (!is_label(c.in[1].dtype)) return refuse(c, "target: expected int32, int64 or uint8");
    auto& r = c.as<Rows<4>>() = {};
    return plan_rows<4>(c, r, {&c.in[2], &c.in[1], &c.in[0], &c.out[0]}, {true, false, false, true}, 1,
                        c.in[2].rank - 1, 20);
}

void sparse_categorical_crossentropy_dx_run(const Call& c, const Team& team, char* scratch) {
    const auto& r = c.as<Rows<4>>();
    const bool logits = c.ints[0];
    const float* dy = c.in[0].f32();
    const int n = (int)r.n;
    if (logits && is_short(r))
        return for_short_rows<4>(r, team, [&](const auto& at, int rows) {
            vf x[SHORT];
            float* const dx = c.out[0].f32w();
            read_columns(c.in[2].f32(), at[0], n, x);
            const Divisor s(exp_sum_across(x, fold_across<MaxF>(x, n), x, n));
            const vf g = read_lanes(dy, at[2]);
            alignas(64) float e[SHORT][VL];
            for (int l = 0; l < n; ++l) {
                x[l] = s(x[l]);
                storeu(e[l], mul(sub(x[l], set1(1.0f)), g));  // where l is the class
                x[l] = mul(x[l], g);
            }
            write_columns(dx, at[3], rows, n, x);
            for (int i = 0; i < rows; ++i) {
                const int64_t k = label(c.in[1], at[1][i], n, team);
                if (k >= 0)
                    dx[at[3][i] + k] = e[k][i];
                else
                    __builtin_memset(dx + at[3][i], 0, (size_t)n * 4);
            }
        });
    if (logits && is_narrow(r))
        return for_short_rows<4>(r, team, [&](const auto& at, int rows) {
            const float* x = c.in[2].f32();
            alignas(64) float sums[VL];
            storeu(sums, exp_sums(x, at[0], rows, n, tops(x, at[0], rows, n), c.out[0].f32w(), at[3]));
            for (int i = 0; i < rows; ++i) {
                const int64_t k = label(c.in[1], at[1][i], n, team);
                SlopesRow row(nullptr, c.out[0].f32w() + at[3][i], n, k, dy[at[2][i]]);
                row.sum(sums[i]);
                finish_row(row, n);
            }
        });
    if (logits)
        return overlapped_rows<4>(r, {&c.in[2], &c.in[1], &c.in[0], &c.out[0]}, team, scratch,
                                  [&](float* const* row, const ptrdiff_t* at) {
                                      return SlopesRow(row[0], row[3], n, label(c.in[1], at[1], n, team), dy[at[2]]);
                                  });
    for_rows<4>(r, {&c.in[2], &c.in[1], &c.in[0], &c.out[0]}, team, scratch,
                [&](float* const* row, const ptrdiff_t* at) {
                    const float* x = row[0];
                    float* dx = row[3];
                    const int64_t k = label(c.in[1], at[1], r.n, team);
                    __builtin_memset(dx, 0, (size_t)r.n * 4);
                    if (k >= 0 && !(x[k] < LOW || x[k] > HIGH)) dx[k] = -dy[at[2]] / x[k];
                });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
