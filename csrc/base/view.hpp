// A view of an array: pointer, element type, shape, strides. Plain data, shared by _core and every _core_<isa>.
#pragma once
#include <cstddef>
#include <cstdint>

namespace quernel {

constexpr int MAX_RANK = 8;

enum DType : int32_t { F32, F64, I32, I64, U8, B8, DTYPES };

inline int64_t item_size(int32_t dtype) {
    constexpr int64_t sizes[DTYPES] = {4, 8, 4, 8, 1, 1};
    return sizes[dtype];
}

inline const char* dtype_name(int32_t dtype) {
    constexpr const char* names[DTYPES] = {"float32", "float64", "int32", "int64", "uint8", "bool"};
    return dtype >= 0 && dtype < DTYPES ? names[dtype] : "unknown";
}

// Strides count elements, not bytes, and may be negative or zero (zero only in inputs).
// `data` points at element (0, 0, ...) and carries no alignment beyond the element's own.
// An absent optional input has rank -1 and no data. Zero-sized dimensions are legal.
struct View {
    char* data;
    int32_t dtype;
    int32_t rank;
    int64_t shape[MAX_RANK];
    ptrdiff_t stride[MAX_RANK];

    bool absent() const { return rank < 0; }
    int64_t size() const {
        int64_t n = 1;
        for (int d = 0; d < rank; ++d) n *= shape[d];
        return n;
    }
    bool contiguous() const {  // C order; dimensions of size one may have any stride
        ptrdiff_t expected = 1;
        if (size() == 0) return true;
        for (int d = rank - 1; d >= 0; --d) {
            if (shape[d] == 1) continue;
            if (stride[d] != expected) return false;
            expected *= shape[d];
        }
        return true;
    }
    template <class T>
    T* as() const {
        return reinterpret_cast<T*>(data);
    }
    const float* f32() const { return as<const float>(); }
    float* f32w() const { return as<float>(); }
};

}  // namespace quernel
