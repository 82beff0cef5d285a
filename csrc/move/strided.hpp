// The block that moves elements between any two strided arrays: copies and fills, shared among ranks without barriers.
//
//   Nest           a loop nest over `shape` with destination strides `to` and source strides `from`, in elements
//   nest_of(...)   drops axes of size one, orders the others for the destination, merges what is dense on both sides
//   move_elements  (nest, item, to, from, team): to[i] = from[i]; each rank takes a part of its own
//   fill_elements  (nest, item, to, value, team): to[i] = value, `from` ignored
//
// Order of loops never changes a copied bit, so partition and tiling are free. Elements are 1, 4 or 8 bytes (float32,
// float64, int32, int64, uint8, bool) and are moved as raw bits: NaN payloads and subnormals survive.
// The destination must not overlap the source, and no two indices may name one destination element.
#pragma once
#include "base/check.hpp"
#include "simd/stream.hpp"

namespace quernel {
namespace QUERNEL_ISA {

struct Nest {
    int rank;
    int64_t shape[MAX_RANK];
    ptrdiff_t to[MAX_RANK], from[MAX_RANK];

    int64_t size() const {
        int64_t n = 1;
        for (int d = 0; d < rank; ++d) n *= shape[d];
        return n;
    }
};

inline ptrdiff_t magnitude(ptrdiff_t stride) { return stride < 0 ? -stride : stride; }

inline Nest nest_of(int rank, const int64_t* shape, const ptrdiff_t* to, const ptrdiff_t* from) {
    Nest s{};
    s.rank = 0;
    for (int d = 0; d < rank; ++d) {
        if (shape[d] == 1) continue;
        int at = s.rank++;  // insertion keeps the destination's strides falling, so the last axis is the densest
        for (; at > 0 && magnitude(s.to[at - 1]) < magnitude(to[d]); --at) {
            s.shape[at] = s.shape[at - 1];
            s.to[at] = s.to[at - 1];
            s.from[at] = s.from[at - 1];
        }
        s.shape[at] = shape[d];
        s.to[at] = to[d];
        s.from[at] = from[d];
    }
    Nest m{};
    m.rank = 0;
    for (int d = 0; d < s.rank; ++d) {
        const int last = m.rank - 1;
        if (last >= 0 && m.to[last] == s.to[d] * s.shape[d] && m.from[last] == s.from[d] * s.shape[d]) {
            m.shape[last] *= s.shape[d];
            m.to[last] = s.to[d];
            m.from[last] = s.from[d];
        } else {
            m.shape[m.rank] = s.shape[d];
            m.to[m.rank] = s.to[d];
            m.from[m.rank] = s.from[d];
            ++m.rank;
        }
    }
    if (m.rank == 0) {  // one element
        m.rank = 1;
        m.shape[0] = 1;
        m.to[0] = m.from[0] = 1;
    }
    return m;
}

inline Nest nest_of(const View& to, const View& from) { return nest_of(to.rank, to.shape, to.stride, from.stride); }

// All axes of one view in their own order, `to` and `from` alike: its elements in C order.
inline Nest view_nest(const View& v) {
    Nest nest{};
    nest.rank = v.rank;
    for (int d = 0; d < v.rank; ++d) {
        nest.shape[d] = v.shape[d];
        nest.to[d] = nest.from[d] = v.stride[d];
    }
    return nest;
}

// Raw element types: they may alias the floats and integers that the memory holds.
typedef uint8_t __attribute__((may_alias)) raw1;
typedef uint32_t __attribute__((may_alias)) raw4;
typedef uint64_t __attribute__((may_alias)) raw8;

template <class T>
QUERNEL_INLINE void move_row(T* __restrict to, ptrdiff_t to_step, const T* __restrict from, ptrdiff_t from_step,
                             int64_t n) {
    if (to_step == 1 && from_step == 1) {
        __builtin_memcpy(to, from, (size_t)n * sizeof(T));
    } else if (to_step == 1 && from_step == 0 && n > 0) {  // an empty row has no first element
        const T value = *from;
        for (int64_t i = 0; i < n; ++i) to[i] = value;
    } else {
        for (int64_t i = 0; i < n; ++i) to[i * to_step] = from[i * from_step];
    }
}

// n contiguous elements of four bytes or more; whole vectors and a masked one, because a call of memcpy costs more than
// the elements of a short row.
template <class T>
QUERNEL_INLINE void move_line(T* to, const T* from, int64_t n) {
    if constexpr (sizeof(T) < 4) {
        __builtin_memcpy(to, from, (size_t)n * sizeof(T));
    } else {
        const int64_t words = n * (int64_t)(sizeof(T) / 4);
        float* y = reinterpret_cast<float*>(to);
        const float* x = reinterpret_cast<const float*>(from);
        int64_t i = 0;
        for (; i + VL <= words; i += VL) storeu(y + i, loadu(x + i));
        if (i < words) store_n(y + i, load_n(x + i, (int)(words - i)), (int)(words - i));
    }
}

// Offsets of the nest's outer axes at a flat index, and the next one.
struct Odometer {
    const Nest& nest;
    int axes;  // the outer ones
    int64_t at[MAX_RANK];
    ptrdiff_t to = 0, from = 0;

    Odometer(const Nest& n, int axes_, int64_t flat) : nest(n), axes(axes_) {
        for (int d = axes - 1; d >= 0; --d) {
            at[d] = flat % nest.shape[d];
            flat /= nest.shape[d];
            to += at[d] * nest.to[d];
            from += at[d] * nest.from[d];
        }
    }
    void next() {
        for (int d = axes - 1; d >= 0; --d) {
            to += nest.to[d];
            from += nest.from[d];
            if (++at[d] < nest.shape[d]) return;
            at[d] = 0;
            to -= nest.to[d] * nest.shape[d];
            from -= nest.from[d] * nest.shape[d];
        }
    }
};

// Elements [begin, end) of the nest in its loop order, row by row.
template <class T>
inline void move_rows(const Nest& nest, T* to, const T* from, int64_t begin, int64_t end) {
    const int inner = nest.rank - 1;
    const int64_t n = nest.shape[inner];
    const ptrdiff_t to_step = nest.to[inner], from_step = nest.from[inner];
    Odometer row(nest, inner, begin / n);
    int64_t column = begin % n;
    const bool past = to_step == 1 && from_step == 1 && sizeof(T) >= 4 && n >= 256 && streams(nest.size() * sizeof(T));
    while (begin < end) {
        const int64_t count = n - column < end - begin ? n - column : end - begin;
        if (past)
            stream_copy(reinterpret_cast<float*>(to + row.to + column),
                        reinterpret_cast<const float*>(from + row.from + column), count * (int64_t)(sizeof(T) / 4));
        else
            move_row(to + row.to + column * to_step, to_step, from + row.from + column * from_step, from_step, count);
        begin += count;
        column = 0;
        row.next();
    }
    if (past) stream_end();
}

// Source dense along another axis than the destination (a transpose): strips of 16 source lines stay in L1 while the
// destination rows are written, so each line of both sides comes from memory once.
constexpr int64_t STRIP = 16;

template <class T>
inline void move_plane(T* to, ptrdiff_t to_row, ptrdiff_t to_step, const T* from, ptrdiff_t from_row,
                       ptrdiff_t from_step, int64_t rows, int64_t n) {
    for (int64_t column = 0; column < n; column += STRIP) {
        const int64_t count = n - column < STRIP ? n - column : STRIP;
        for (int64_t r = 0; r < rows; ++r) {
            T* y = to + r * to_row + column * to_step;
            const T* x = from + r * from_row + column * from_step;
            for (int64_t i = 0; i < count; ++i) y[i * to_step] = x[i * from_step];
        }
    }
}

template <class T>
inline void move_typed(const Nest& nest, T* to, const T* from, const Team& team) {
    const int inner = nest.rank - 1;
    int dense = inner;  // the axis along which the source is densest
    for (int d = 0; d < inner; ++d)
        if (nest.from[d] != 0 && magnitude(nest.from[d]) < magnitude(nest.from[dense])) dense = d;
    if (dense == inner || nest.shape[inner] < 4 || nest.shape[dense] < 4) {
        const Range range = split_lines(nest.size(), team);
        if (range.begin < range.end) move_rows(nest, to, from, range.begin, range.end);
        return;
    }
    const int64_t rows = nest.shape[dense];
    const ptrdiff_t to_row = nest.to[dense], from_row = nest.from[dense];
    Nest rest{};  // the other axes; the loop order is free
    int64_t planes = 1;
    for (int d = 0; d < inner; ++d) {
        if (d == dense) continue;
        rest.shape[rest.rank] = nest.shape[d];
        rest.to[rest.rank] = nest.to[d];
        rest.from[rest.rank++] = nest.from[d];
        planes *= nest.shape[d];
    }
    const int64_t strips = (rows + 63) / 64;
    const Range range = split(planes * strips, team);
    if (range.begin >= range.end) return;
    Odometer plane(rest, rest.rank, range.begin / strips);
    for (int64_t unit = range.begin; unit < range.end; ++unit) {
        const int64_t row = unit % strips * 64;
        move_plane(to + plane.to + row * to_row, to_row, nest.to[inner], from + plane.from + row * from_row, from_row,
                   nest.from[inner], rows - row < 64 ? rows - row : 64, nest.shape[inner]);
        if ((unit + 1) % strips == 0) plane.next();
    }
}

inline void move_elements(const Nest& nest, int64_t item, char* to, const char* from, const Team& team) {
    if (nest.size() == 0) return;
    if (item == 4)
        move_typed(nest, reinterpret_cast<raw4*>(to), reinterpret_cast<const raw4*>(from), team);
    else if (item == 8)
        move_typed(nest, reinterpret_cast<raw8*>(to), reinterpret_cast<const raw8*>(from), team);
    else
        move_typed(nest, reinterpret_cast<raw1*>(to), reinterpret_cast<const raw1*>(from), team);
}

// A fill is a copy from one element with zero strides.
inline void fill_elements(Nest nest, int64_t item, char* to, const void* value, const Team& team) {
    for (int d = 0; d < nest.rank; ++d) nest.from[d] = 0;
    move_elements(nest, item, to, static_cast<const char*>(value), team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
