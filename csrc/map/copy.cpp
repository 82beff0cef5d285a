// copy: y = x, any strides on both sides. cast: y = (dtype) x.
//
// cast: from float32, int32, int64, uint8 and bool to these and float64. Float to integer drops the fraction; beyond
// the integer's range, and for NaN, it gives the smallest integer (uint8: the low byte of that int32). Integers wrap.
// To bool: x != 0. Equal dtypes keep all bits.
#include "map/map.hpp"
#include "move/strided.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool copy_prepare(Call& c) {
    if (c.n_in != 1 || c.n_out != 1) return refuse(c, "expected one input and one output");
    if (!same_shape(c.in[0], c.out[0])) return refuse(c, "input and output differ in shape");
    if (c.in[0].dtype != c.out[0].dtype) return refuse(c, "input and output differ in dtype");
    c.as<Nest>() = nest_of(c.out[0], c.in[0]);
    c.bytes = 2.0 * (double)c.in[0].size() * item_size(c.in[0].dtype);
    c.ranks = worth(c, c.in[0].size() / 1024 + 1);
    return true;
}

void copy_run(const Call& c, const Team& team, char*) {
    const View &x = c.in[0], &y = c.out[0];
    move_elements(c.as<Nest>(), item_size(x.dtype), y.data, x.data, team);
}

namespace {

struct Bool {
    uint8_t v;
};

template <class T>
inline T whole(float x) {  // both bounds are powers of two, so exact as floats
    constexpr float bound = sizeof(T) == 8 ? 9223372036854775808.0f : 2147483648.0f;
    constexpr T lowest = (T)((uint64_t)1 << (8 * sizeof(T) - 1));
    return x >= -bound && x < bound ? (T)x : lowest;
}

inline void convert(float x, int32_t& y) { y = whole<int32_t>(x); }
inline void convert(float x, int64_t& y) { y = whole<int64_t>(x); }
inline void convert(float x, uint8_t& y) { y = (uint8_t)whole<int32_t>(x); }
template <class From>
inline void convert(From x, Bool& y) {
    y.v = x != 0;
}
inline void convert(Bool x, Bool& y) { y = x; }
template <class To>
inline void convert(Bool x, To& y) {
    y = (To)x.v;
}
template <class From, class To>
inline void convert(From x, To& y) {
    y = (To)x;
}

template <class From, class To>
void cast_row(const float*, int64_t n, char* y_, const char* const* x_) {
    To* __restrict y = reinterpret_cast<To*>(y_);
    const From* __restrict x = reinterpret_cast<const From*>(x_[0]);
    for (int64_t i = 0; i < n; ++i) convert(x[i], y[i]);
}
template <int item>
void keep_row(const float*, int64_t n, char* y, const char* const* x) {
    __builtin_memcpy(y, x[0], (size_t)(n * item));
}

template <class From>
constexpr Row cast_to(int to, Row keep, int from) {
    if (to == from) return keep;
    switch (to) {
        case F32:
            return cast_row<From, float>;
        case F64:
            return cast_row<From, double>;
        case I32:
            return cast_row<From, int32_t>;
        case I64:
            return cast_row<From, int64_t>;
        case U8:
            return cast_row<From, uint8_t>;
        case B8:
            return cast_row<From, Bool>;
        default:
            return nullptr;
    }
}
Row cast_between(int from, int to) {
    switch (from) {
        case F32:
            return cast_to<float>(to, keep_row<4>, from);
        case I32:
            return cast_to<int32_t>(to, keep_row<4>, from);
        case I64:
            return cast_to<int64_t>(to, keep_row<8>, from);
        case U8:
            return cast_to<uint8_t>(to, keep_row<1>, from);
        case B8:
            return cast_to<Bool>(to, keep_row<1>, from);
        default:
            return nullptr;
    }
}

}  // namespace

bool cast_prepare(Call& c) {
    if (c.n_in != 1 || c.n_out != 1) return refuse(c, "expected one input and one output");
    const Row row = cast_between(c.in[0].dtype, c.out[0].dtype);
    if (!row) return refuse(c, "no cast from %s to %s", dtype_name(c.in[0].dtype), dtype_name(c.out[0].dtype));
    return map_prepare(c, 1, 1, row);
}
void cast_run(const Call& c, const Team& team, char*) { map_run(c, team); }

}  // namespace QUERNEL_ISA
}  // namespace quernel
