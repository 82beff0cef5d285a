// softmax, log_softmax and their gradients.
#include "softmax/overlap.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace {

// What an element counts for the choice of ranks: in short rows, which are transposed into vectors, four times as much.
double cost(const Call& c, double each) {
    const View& x = c.in[0];
    const int64_t axis = c.ints[0];
    return axis >= 0 && axis < x.rank && x.shape[axis] <= SHORT ? 4 * each : each;
}

bool prepare1(Call& c) {
    if (c.n_in != 1 || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected one input, one output and the axis");
    if (c.in[0].dtype != F32 || c.out[0].dtype != F32) return refuse(c, "expected float32");
    return plan_rows<2>(c, c.as<Rows<2>>() = {}, {&c.in[0], &c.out[0]}, {true, true}, 1, c.ints[0], cost(c, 20));
}
bool prepare2(Call& c) {
    if (c.n_in != 2 || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected two inputs, one output and the axis");
    if (!all_f32(c.in, 2) || c.out[0].dtype != F32) return refuse(c, "expected float32");
    return plan_rows<3>(c, c.as<Rows<3>>() = {}, {&c.in[0], &c.in[1], &c.out[0]}, {true, true, true}, 1, c.ints[0],
                        cost(c, 8));
}

// Long rows of the four, for overlapped_rows.
struct SoftmaxRow : ExpRow {
    Divisor by{zero()};
    SoftmaxRow(const float* x, float* y) : ExpRow{x, y} {}
    QUERNEL_INLINE void fetch(int64_t i) const { __builtin_prefetch(e + i + FETCH, 1); }
    void sum(float s) { by = Divisor(set1(s)); }
    QUERNEL_INLINE void step(int64_t i, int k) const { store_m(e + i, by(load_m(e + i, k)), k); }
    void end() const {}
};
struct LogSoftmaxRow : ExpRow {
    float* y;
    vf log_s = zero();
    LogSoftmaxRow(const float* x, float* y) : ExpRow{x, nullptr}, y(y) {}
    QUERNEL_INLINE void fetch(int64_t) const {}
    void sum(float s) { log_s = set1(log_of(s)); }
    QUERNEL_INLINE void step(int64_t i, int k) const { store_m(y + i, sub(sub(load_m(x + i, k), set1(m)), log_s), k); }
    void end() const {}
};
struct SoftmaxDxRow : SumRow {
    const float *dy, *y;
    float* dx;
    vf s = zero();
    SoftmaxDxRow(float* const* row) : dy(row[0]), y(row[1]), dx(row[2]) {}
    void sum(float value) { s = set1(value); }
    QUERNEL_INLINE vf term(int64_t i, int k) const { return keep_m(mul(load_m(dy + i, k), load_m(y + i, k)), k); }
    QUERNEL_INLINE void step(int64_t i, int k) const {
        store_m(dx + i, mul(sub(load_m(dy + i, k), s), load_m(y + i, k)), k);
    }
    void end() const {}
};
struct LogSoftmaxDxRow : SumRow {
    const float *dy, *y;
    float* dx;
    vf s = zero();
    LogSoftmaxDxRow(float* const* row) : dy(row[0]), y(row[1]), dx(row[2]) {}
    void sum(float value) { s = set1(value); }
    QUERNEL_INLINE vf term(int64_t i, int k) const { return load_m(dy + i, k); }
    QUERNEL_INLINE void step(int64_t i, int k) const {
        store_m(dx + i, sub(load_m(dy + i, k), mul(vexp(load_m(y + i, k)), s)), k);
    }
    void end() const {}
};

}  // namespace

bool softmax_prepare(Call& c) { return prepare1(c); }
bool log_softmax_prepare(Call& c) { return prepare1(c); }
bool softmax_dx_prepare(Call& c) { return prepare2(c); }
bool log_softmax_dx_prepare(Call& c) { return prepare2(c); }

void softmax_run(const Call& c, const Team& team, char* scratch) {
    const auto& r = c.as<Rows<2>>();
    const int n = (int)r.n;
    if (is_short(r))
        return for_short_rows<2>(r, team, [&](const auto& at, int rows) {
            vf x[SHORT];
            read_columns(c.in[0].f32(), at[0], n, x);
            const Divisor s(exp_sum_across(x, fold_across<MaxF>(x, n), x, n));
            for (int l = 0; l < n; ++l) x[l] = s(x[l]);
            write_columns(c.out[0].f32w(), at[1], rows, n, x);
        });
    if (is_narrow(r))
        return for_short_rows<2>(r, team, [&](const auto& at, int rows) {
            const float* x = c.in[0].f32();
            float* all = c.out[0].f32w();
            alignas(64) float sums[VL];
            storeu(sums, exp_sums(x, at[0], rows, n, tops(x, at[0], rows, n), all, at[1]));
            // A masked store holds up loads within its whole vector, where the next row starts: each vector is loaded
            // before the one in front of it is stored (rows of 31: 36 -> 28 ns).
            vf v = loadu(all + at[1][0]);
            for (int i = 0; i < rows; ++i) {
                float* y = all + at[1][i];
                const float* following = all + at[1][i + 1 < rows ? i + 1 : i];
                const Divisor s(set1(sums[i]));
                if (n % VL == 0) {
                    each_vector(n, [=](int64_t j, int m)
                                       __attribute__((always_inline)) { store_m(y + j, s(load_m(y + j, m)), m); });
                    continue;
                }
                each_vector(n, [&](int64_t j, int m) __attribute__((always_inline)) {
                    const int left = n - (int)j - m;
                    const vf next = left ? load_m(y + j + m, left < VL ? left : VL) : loadu(following);
                    store_m(y + j, s(v), m);
                    v = next;
                });
            }
        });
    overlapped_rows<2>(r, {&c.in[0], &c.out[0]}, team, scratch,
                       [](float* const* row, const ptrdiff_t*) { return SoftmaxRow(row[0], row[1]); });
}

void log_softmax_run(const Call& c, const Team& team, char* scratch) {
    const auto& r = c.as<Rows<2>>();
    const int n = (int)r.n;
    if (is_short(r))
        return for_short_rows<2>(r, team, [&](const auto& at, int rows) {
            vf x[SHORT], e[SHORT];
            read_columns(c.in[0].f32(), at[0], n, x);
            const vf m = fold_across<MaxF>(x, n), log_s = vlog(exp_sum_across(x, m, e, n));
            for (int l = 0; l < n; ++l) x[l] = sub(sub(x[l], m), log_s);
            write_columns(c.out[0].f32w(), at[1], rows, n, x);
        });
    if (is_narrow(r))
        return for_short_rows<2>(r, team, [&](const auto& at, int rows) {
            const float* all = c.in[0].f32();
            alignas(64) float top[VL], log_s[VL];
            vf t;
            storeu(log_s, log_sums(all, at[0], rows, n, t));
            storeu(top, t);
            for (int i = 0; i < rows; ++i) {
                const float* x = all + at[0][i];
                float* y = c.out[0].f32w() + at[1][i];
                const vf m = set1(top[i]), log = set1(log_s[i]);
                each_vector(n, [=](int64_t j, int k) __attribute__((always_inline)) {
                    store_m(y + j, sub(sub(load_m(x + j, k), m), log), k);
                });
            }
        });
    overlapped_rows<2>(r, {&c.in[0], &c.out[0]}, team, scratch,
                       [](float* const* row, const ptrdiff_t*) { return LogSoftmaxRow(row[0], row[1]); });
}

void softmax_dx_run(const Call& c, const Team& team, char* scratch) {
    const auto& r = c.as<Rows<3>>();
    const int n = (int)r.n;
    if (is_short(r))
        return for_short_rows<3>(r, team, [&](const auto& at, int rows) {
            vf dy[SHORT], y[SHORT], p[SHORT];
            read_columns(c.in[0].f32(), at[0], n, dy);
            read_columns(c.in[1].f32(), at[1], n, y);
            for (int l = 0; l < n; ++l) p[l] = mul(dy[l], y[l]);
            const vf s = fold_across<SumF>(p, n);
            for (int l = 0; l < n; ++l) dy[l] = mul(sub(dy[l], s), y[l]);
            write_columns(c.out[0].f32w(), at[2], rows, n, dy);
        });
    if (is_narrow(r))
        return for_short_rows<3>(r, team, [&](const auto& at, int rows) {
            vf part[VL];
            alignas(64) float sums[VL];
            for (int i = 0; i < VL; ++i) {
                const float *dy = c.in[0].f32() + at[0][i], *y = c.in[1].f32() + at[1][i];
                part[i] = fold_lanes<SumF>(n, [=](int j, int m) __attribute__((always_inline)) {
                    return keep_m(mul(load_m(dy + j, m), load_m(y + j, m)), m);
                });
            }
            storeu(sums, fold_vectors<SumF>(part));
            for (int i = 0; i < rows; ++i) {
                const float *dy = c.in[0].f32() + at[0][i], *y = c.in[1].f32() + at[1][i];
                float* dx = c.out[0].f32w() + at[2][i];
                const vf s = set1(sums[i]);
                each_vector(n, [=](int64_t j, int m) __attribute__((always_inline)) {
                    store_m(dx + j, mul(sub(load_m(dy + j, m), s), load_m(y + j, m)), m);
                });
            }
        });
    if (n > CHUNK)  // shorter rows stay in L1 between their passes
        return overlapped_rows<3>(r, {&c.in[0], &c.in[1], &c.out[0]}, team, scratch,
                                  [](float* const* row, const ptrdiff_t*) { return SoftmaxDxRow(row); });
    for_rows<3>(r, {&c.in[0], &c.in[1], &c.out[0]}, team, scratch, [&](float* const* row, const ptrdiff_t*) {
        const float *dy = row[0], *y = row[1];
        float* dx = row[2];
        const vf s = set1(row_dot(dy, y, r.n));
        each_vector(r.n, [=](int64_t i, int m) __attribute__((always_inline)) {
            store_m(dx + i, mul(sub(load_m(dy + i, m), s), load_m(y + i, m)), m);
        });
    });
}

void log_softmax_dx_run(const Call& c, const Team& team, char* scratch) {
    const auto& r = c.as<Rows<3>>();
    const int n = (int)r.n;
    if (is_short(r))
        return for_short_rows<3>(r, team, [&](const auto& at, int rows) {
            vf dy[SHORT], y[SHORT];
            read_columns(c.in[0].f32(), at[0], n, dy);
            read_columns(c.in[1].f32(), at[1], n, y);
            const vf s = fold_across<SumF>(dy, n);
            for (int l = 0; l < n; ++l) dy[l] = sub(dy[l], mul(vexp(y[l]), s));
            write_columns(c.out[0].f32w(), at[2], rows, n, dy);
        });
    if (is_narrow(r))
        return for_short_rows<3>(r, team, [&](const auto& at, int rows) {
            vf part[VL];
            alignas(64) float sums[VL];
            for (int i = 0; i < VL; ++i) {
                const float* dy = c.in[0].f32() + at[0][i];
                part[i] =
                    fold_lanes<SumF>(n, [=](int j, int m) __attribute__((always_inline)) { return load_m(dy + j, m); });
            }
            storeu(sums, fold_vectors<SumF>(part));
            for (int i = 0; i < rows; ++i) {
                float* const row[] = {c.in[0].f32w() + at[0][i], c.in[1].f32w() + at[1][i], c.out[0].f32w() + at[2][i]};
                LogSoftmaxDxRow slopes(row);
                slopes.sum(sums[i]);
                finish_row(slopes, n);
            }
        });
    overlapped_rows<3>(r, {&c.in[0], &c.in[1], &c.out[0]}, team, scratch,
                       [](float* const* row, const ptrdiff_t*) { return LogSoftmaxDxRow(row); });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
