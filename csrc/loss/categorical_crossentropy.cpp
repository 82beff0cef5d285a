// categorical_crossentropy: a target distribution for every row of the last axis.
#include "loss/loss.hpp"
#include "softmax/overlap.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace {

// The lanes of the sum of t * ((x - m) - log_s), n at most a chunk.
vf weighted(const float* t, const float* x, float m, float log_s, int n) {
    const vf top = set1(m), log = set1(log_s);
    return fold_lanes<SumF>(n, [=](int j, int k) __attribute__((always_inline)) {
        return keep_m(mul(load_m(t + j, k), sub(sub(load_m(x + j, k), top), log)), k);
    });
}

// Long rows, for overlapped_rows. The targets come into L2 beside the exponentials.
struct LossRow : ExpRow {
    const float* t;
    float* loss;
    int64_t n;
    LossRow(const float* t, const float* x, float* loss, int64_t n) : ExpRow{x, nullptr}, t(t), loss(loss), n(n) {}
    QUERNEL_INLINE void fetch(int64_t i) const { __builtin_prefetch(t + i); }
    void sum(float s) const {
        const vf top = set1(m), log_s = set1(log_of(s));
        const float *t = this->t, *x = this->x;
        *loss = -fold_row<SumF>(n, [=](int64_t i, int k) __attribute__((always_inline)) {
            return keep_m(mul(load_m(t + i, k), sub(sub(load_m(x + i, k), top), log_s)), k);
        });
    }
    QUERNEL_INLINE void step(int64_t, int) const {}
    void end() const {}
};
struct SlopesRow : ExpRow {  // over the exponentials
    const float* t;
    int64_t n;
    vf slope, total = zero();
    Divisor by{zero()};
    SlopesRow(const float* t, const float* x, float* dx, int64_t n, float g)
        : ExpRow{x, dx}, t(t), n(n), slope(set1(g)) {}
    QUERNEL_INLINE void fetch(int64_t i) const {
        __builtin_prefetch(e + i + FETCH, 1);
        __builtin_prefetch(t + i);
    }
    void sum(float s) { sums(s, row_sum(t, n)); }
    void sums(float s, float of_t) { by = Divisor(set1(s)), total = set1(of_t); }
    QUERNEL_INLINE void step(int64_t i, int k) const {
        store_m(e + i, mul(sub(mul(by(load_m(e + i, k)), total), load_m(t + i, k)), slope), k);
    }
    void end() const {}
};

}  // namespace

bool categorical_crossentropy_prepare(Call& c) {
    if (c.n_in != 2 || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected target, output, one output, one flag");
    if (!all_f32(c.in, 2) || c.out[0].dtype != F32) return refuse(c, "expected float32");
    auto& r = c.as<Rows<3>>() = {};
    return plan_rows<3>(c, r, {&c.in[0], &c.in[1], &c.out[0]}, {true, true, false}, 1, c.in[0].rank - 1, 40);
}

void categorical_crossentropy_run(const Call& c, const Team& team, char* scratch) {
    const auto& r = c.as<Rows<3>>();
    const bool logits = c.ints[0];
    float* loss = c.out[0].f32w();
    const int n = (int)r.n;
    if (is_short(r))
        return for_short_rows<3>(r, team, [&](const auto& at, int rows) {
            vf t[SHORT], x[SHORT], e[SHORT];
            read_columns(c.in[0].f32(), at[0], n, t);
            read_columns(c.in[1].f32(), at[1], n, x);
            if (logits) {
                const vf m = fold_across<MaxF>(x, n), log_s = vlog(exp_sum_across(x, m, e, n));
                for (int l = 0; l < n; ++l) t[l] = mul(t[l], sub(sub(x[l], m), log_s));
            } else {
                const vf total = fold_across<SumF>(x, n);
                for (int l = 0; l < n; ++l) t[l] = mul(t[l], vlog(clip_probability(div(x[l], total))));
            }
            write_lanes(loss, at[2], rows, vneg(fold_across<SumF>(t, n)));
        });
    if (logits && is_narrow(r))
        return for_short_rows<3>(r, team, [&](const auto& at, int rows) {
            const float* all = c.in[1].f32();
            alignas(64) float top[VL], log_s[VL];
            vf m;
            storeu(log_s, log_sums(all, at[1], rows, n, m));
            storeu(top, m);
            vf part[VL];
            for (int i = 0; i < VL; ++i) {
                const float *t = c.in[0].f32() + at[0][i], *x = all + at[1][i];
                part[i] = weighted(t, x, top[i], log_s[i], n);
            }
            write_lanes(loss, at[2], rows, vneg(fold_vectors<SumF>(part)));
        });
    if (logits)
        return overlapped_rows<3>(
            r, {&c.in[0], &c.in[1], &c.out[0]}, team, scratch,
            [=](float* const* row, const ptrdiff_t* at) { return LossRow(row[0], row[1], loss + at[2], n); });
    for_rows<3>(r, {&c.in[0], &c.in[1], &c.out[0]}, team, scratch, [&](float* const* row, const ptrdiff_t* at) {
        const float *t = row[0], *x = row[1];
        const vf total = set1(row_sum(x, r.n));
        loss[at[2]] = -fold_row<SumF>(r.n, [=](int64_t i, int k) __attribute__((always_inline)) {
            return keep_m(mul(load_m(t + i, k), vlog(clip_probability(div(load_m(x + i, k), total)))), k);
        });
    });
}

bool categorical_crossentropy_dx_prepare(Call& c) {
    if (c.n_in != 3 || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected dy, target, output, dx, one flag");
    if (!all_f32(c.in, 3) || c.out[0].dtype != F32) return refuse(c, "expected float32");
    auto& r = c.as<Rows<4>>() = {};
    return plan_rows<4>(c, r, {&c.in[1], &c.in[2], &c.in[0], &c.out[0]}, {true, true, false, true}, 1, c.in[1].rank - 1,
                        30);
}

void categorical_crossentropy_dx_run(const Call& c, const Team& team, char* scratch) {
    const auto& r = c.as<Rows<4>>();
    const bool logits = c.ints[0];
    const float* dy = c.in[0].f32();
    const int n = (int)r.n;
    if (is_short(r))
        return for_short_rows<4>(r, team, [&](const auto& at, int rows) {
            vf t[SHORT], x[SHORT], u[SHORT];
            read_columns(c.in[1].f32(), at[0], n, t);
            read_columns(c.in[2].f32(), at[1], n, x);
            const vf g = read_lanes(dy, at[2]);
            if (logits) {
                const Divisor s(exp_sum_across(x, fold_across<MaxF>(x, n), u, n));
                const vf total = fold_across<SumF>(t, n);
                for (int l = 0; l < n; ++l) u[l] = mul(sub(mul(s(u[l]), total), t[l]), g);
            } else {
                const vf sum = fold_across<SumF>(x, n);
                vm drop[SHORT];
                for (int l = 0; l < n; ++l) {
                    drop[l] = outside(div(x[l], sum));
                    u[l] = select(drop[l], zero(), t[l]);
                }
                const vf share = div(fold_across<SumF>(u, n), sum);
                for (int l = 0; l < n; ++l) u[l] = mul(sub(share, select(drop[l], zero(), div(t[l], x[l]))), g);
            }
            write_columns(c.out[0].f32w(), at[3], rows, n, u);
        });
    if (logits && is_narrow(r))
        return for_short_rows<4>(r, team, [&](const auto& at, int rows) {
            const float* x = c.in[2].f32();
            alignas(64) float sums[VL], totals[VL];
            storeu(sums, exp_sums(x, at[1], rows, n, tops(x, at[1], rows, n), c.out[0].f32w(), at[3]));
            vf part[VL];
            for (int i = 0; i < VL; ++i) {
                const float* t = c.in[1].f32() + at[0][i];
                part[i] =
                    fold_lanes<SumF>(n, [=](int j, int k) __attribute__((always_inline)) { return load_m(t + j, k); });
            }
            storeu(totals, fold_vectors<SumF>(part));
            for (int i = 0; i < rows; ++i) {
                SlopesRow row(c.in[1].f32() + at[0][i], nullptr, c.out[0].f32w() + at[3][i], n, dy[at[2][i]]);
                row.sums(sums[i], totals[i]);
                finish_row(row, n);
            }
        });
    if (logits)
        return overlapped_rows<4>(
            r, {&c.in[1], &c.in[2], &c.in[0], &c.out[0]}, team, scratch,
            [=](float* const* row, const ptrdiff_t* at) { return SlopesRow(row[0], row[1], row[3], n, dy[at[2]]); });
    for_rows<4>(r, {&c.in[1], &c.in[2], &c.in[0], &c.out[0]}, team, scratch,
                [&](float* const* row, const ptrdiff_t* at) {
                    const float *t = row[0], *x = row[1];
                    float* dx = row[3];
                    const vf g = set1(dy[at[2]]);
                    const vf sum = set1(row_sum(x, r.n));
                    const float inside = fold_row<SumF>(r.n, [=](int64_t i, int m) __attribute__((always_inline)) {
                        const vm drop = outside(div(load_m(x + i, m), sum));
                        return keep_m(select(drop, zero(), load_m(t + i, m)), m);
                    });
                    const vf share = div(set1(inside), sum);
                    each_vector(r.n, [=](int64_t i, int m) __attribute__((always_inline)) {
                        const vf v = load_m(x + i, m);
                        const vf u = select(outside(div(v, sum)), zero(), div(load_m(t + i, m), v));
                        store_m(dx + i, mul(sub(share, u), g), m);
                    });
                });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
