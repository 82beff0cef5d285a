// assign, assign_add, assign_sub, lerp_update: a variable written in place; the value broadcasts to it.
//
// lerp_update: target = target * momentum + value * (1 - momentum), three roundings, float32; momentum and 1 - momentum
// (taken in float64) are rounded to float32 once.  floats: momentum.  Integers wrap around.
#include "move/strided.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

Nest nest_of_call(const Call& c) {
    const View &value = c.in[0], &target = c.out[0];
    ptrdiff_t from[MAX_RANK];
    for (int d = 0; d < target.rank; ++d) {
        const int axis = d - (target.rank - value.rank);
        from[d] = axis < 0 || value.shape[axis] == 1 ? 0 : value.stride[axis];
    }
    return nest_of(target.rank, target.shape, target.stride, from);
}

bool prepare(Call& c, int floats) {
    if (c.n_in != 1 || c.n_out != 1) return refuse(c, "expected one value and one target");
    if (c.n_floats != floats) return refuse(c, "expected another number of attributes");
    const View &value = c.in[0], &target = c.out[0];
    if (value.dtype != target.dtype) return refuse(c, "value and target differ in dtype");
    if (value.rank > target.rank) return refuse(c, "value does not broadcast to target");
    for (int d = 0; d < value.rank; ++d) {
        const int64_t n = value.shape[value.rank - 1 - d];
        if (n != 1 && n != target.shape[target.rank - 1 - d]) return refuse(c, "value does not broadcast to target");
    }
    c.as<Nest>() = nest_of_call(c);
    c.flops = (double)target.size();
    c.bytes = 3.0 * target.size() * item_size(target.dtype);
    c.ranks = worth(c, target.size() / 1024 + 1);
    return true;
}

template <class T, class F>
void update(const Call& c, const Team& team, const F& f) {
    const Nest& nest = c.as<Nest>();
    const int inner = nest.rank - 1;
    const int64_t n = nest.shape[inner];
    const ptrdiff_t to = nest.to[inner], from = nest.from[inner];
    Range own = split_lines(nest.size(), team);
    if (own.begin >= own.end) return;
    Odometer row(nest, inner, own.begin / n);
    int64_t column = own.begin % n;
    while (own.begin < own.end) {
        const int64_t count = n - column < own.end - own.begin ? n - column : own.end - own.begin;
        T* y = reinterpret_cast<T*>(c.out[0].data) + row.to + column * to;
        const T* x = reinterpret_cast<const T*>(c.in[0].data) + row.from + column * from;
        if (to == 1 && from == 1)
            for (int64_t i = 0; i < count; ++i) y[i] = f(y[i], x[i]);
        else
            for (int64_t i = 0; i < count; ++i) y[i * to] = f(y[i * to], x[i * from]);
        own.begin += count;
        column = 0;
        row.next();
    }
}

template <class Pick>
void update_any(const Call& c, const Team& team, const Pick& f) {
    switch (c.out[0].dtype) {
        case F32:
            return update<float>(c, team, f);
        case F64:
            return update<double>(c, team, f);
        case I32:
            return update<raw4>(c, team, f);  // unsigned: wrapping is defined
        case I64:
            return update<raw8>(c, team, f);
        default:
            return update<raw1>(c, team, f);
    }
}

struct Add {
    template <class T>
    T operator()(T a, T b) const {
        return (T)(a + b);
    }
};
struct Subtract {
    template <class T>
    T operator()(T a, T b) const {
        return (T)(a - b);
    }
};

}  // namespace

bool assign_prepare(Call& c) { return prepare(c, 0); }
void assign_run(const Call& c, const Team& team, char*) {
    move_elements(c.as<Nest>(), item_size(c.out[0].dtype), c.out[0].data, c.in[0].data, team);
}

bool assign_add_prepare(Call& c) { return prepare(c, 0) && (c.out[0].dtype != B8 || refuse(c, "expected numbers")); }
void assign_add_run(const Call& c, const Team& team, char*) { update_any(c, team, Add()); }

bool assign_sub_prepare(Call& c) { return prepare(c, 0) && (c.out[0].dtype != B8 || refuse(c, "expected numbers")); }
void assign_sub_run(const Call& c, const Team& team, char*) { update_any(c, team, Subtract()); }

bool lerp_update_prepare(Call& c) { return prepare(c, 1) && (c.out[0].dtype == F32 || refuse(c, "expected float32")); }
void lerp_update_run(const Call& c, const Team& team, char*) {
    const float keep = (float)c.floats[0], take = (float)(1 - c.floats[0]);
    update<float>(c, team, [=](float target, float value) { return target * keep + value * take; });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
