// One element of any dtype as bytes, from the attribute of a call; indices of any integer dtype.
#pragma once
#include "move/strided.hpp"

namespace quernel {
namespace QUERNEL_ISA {

struct Value {
    alignas(8) unsigned char bytes[8];
};

inline Value value_of(int32_t dtype, int64_t whole, double real) {
    Value v{};
    const float f32 = (float)real;
    const int32_t i32 = (int32_t)whole;
    const uint8_t u8 = dtype == B8 ? whole != 0 : (uint8_t)whole;
    switch (dtype) {
        case F32:
            __builtin_memcpy(v.bytes, &f32, 4);
            break;
        case F64:
            __builtin_memcpy(v.bytes, &real, 8);
            break;
        case I32:
            __builtin_memcpy(v.bytes, &i32, 4);
            break;
        case I64:
            __builtin_memcpy(v.bytes, &whole, 8);
            break;
        default:
            v.bytes[0] = u8;
    }
    return v;
}

inline bool is_index(int32_t dtype) { return dtype == I32 || dtype == I64 || dtype == U8; }

// Element `at` (in elements from the view's data) of an index array.
QUERNEL_INLINE int64_t index_at(const View& v, ptrdiff_t at) {
    if (v.dtype == I32) return v.as<const int32_t>()[at];
    if (v.dtype == I64) return v.as<const int64_t>()[at];
    return v.as<const uint8_t>()[at];
}

// A nest over axes [begin, end) of a view, in their own order.
inline Nest axes_nest(const View& to, int to_axis, const View& from, int from_axis, int count) {
    Nest nest{};
    nest.rank = count;
    for (int d = 0; d < count; ++d) {
        nest.shape[d] = to.shape[to_axis + d];
        nest.to[d] = to.stride[to_axis + d];
        nest.from[d] = from.stride[from_axis + d];
    }
    return nest;
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
