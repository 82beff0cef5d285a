// Comparisons and logic: equal not_equal less less_equal greater greater_equal, logical_and logical_or logical_not,
// isnan; where; clip.
//
// Comparisons take two arrays of one dtype and give bool; with NaN they are false, but not_equal is true.
// where: y = condition ? x1 : x2, elements moved as raw bits. clip: x < low ? low : x > high ? high : x, so NaN passes.
// clip, floats: x_min, x_max for float32; ints: x_min, x_max for integers.
#include "map/map.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

using U8 = uint8_t;
using I4 = int32_t;
using I8 = int64_t;

template <class T>
inline U8 same(T a, T b) {
    return a == b;
}
template <class T>
inline U8 differ(T a, T b) {
    return a != b;
}
template <class T>
inline U8 below(T a, T b) {
    return a < b;
}
template <class T>
inline U8 at_most(T a, T b) {
    return a <= b;
}
template <class T>
inline U8 above(T a, T b) {
    return a > b;
}
template <class T>
inline U8 at_least(T a, T b) {
    return a >= b;
}

template <U8 (*F)(float, float), U8 (*I)(I4, I4), U8 (*L)(I8, I8), U8 (*B)(U8, U8)>
constexpr MapOp comparison() {
    return {2,
            BOOLEAN,
            1,
            {each2<U8, float, F>, nullptr, each2<U8, I4, I>, each2<U8, I8, L>, each2<U8, U8, B>, each2<U8, U8, B>}};
}
constexpr MapOp EQUAL = comparison<same, same, same, same>();
constexpr MapOp NOT_EQUAL = comparison<differ, differ, differ, differ>();
constexpr MapOp LESS = comparison<below, below, below, below>();
constexpr MapOp LESS_EQUAL = comparison<at_most, at_most, at_most, at_most>();
constexpr MapOp GREATER = comparison<above, above, above, above>();
constexpr MapOp GREATER_EQUAL = comparison<at_least, at_least, at_least, at_least>();

inline U8 both(U8 a, U8 b) { return a & b; }
inline U8 either(U8 a, U8 b) { return a | b; }
inline U8 neither(U8 a) { return a ^ 1; }
inline U8 not_a_number(float a) { return a != a; }

constexpr MapOp LOGICAL_AND = {2, BOOLEAN, 1, {nullptr, nullptr, nullptr, nullptr, nullptr, each2<U8, U8, both>}};
constexpr MapOp LOGICAL_OR = {2, BOOLEAN, 1, {nullptr, nullptr, nullptr, nullptr, nullptr, each2<U8, U8, either>}};
constexpr MapOp LOGICAL_NOT = {1, BOOLEAN, 1, {nullptr, nullptr, nullptr, nullptr, nullptr, each1<U8, U8, neither>}};
constexpr MapOp ISNAN = {1, BOOLEAN, 1, {each1<U8, float, not_a_number>}};

template <class T>
void choose(const float*, int64_t n, char* y_, const char* const* x_) {
    typedef T __attribute__((may_alias)) raw;
    raw* __restrict y = reinterpret_cast<raw*>(y_);
    const raw* __restrict a = reinterpret_cast<const raw*>(x_[1]), * __restrict b = reinterpret_cast<const raw*>(x_[2]);
    const U8* __restrict mask = reinterpret_cast<const U8*>(x_[0]);
    for (int64_t i = 0; i < n; ++i) {
        const T p = a[i], q = b[i];
        y[i] = mask[i] ? p : q;
    }
}
constexpr MapOp WHERE = {3, SAME, 1, {choose<I4>, nullptr, choose<I4>, choose<I8>, choose<U8>, choose<U8>}, 0, true};

QUERNEL_INLINE vf clip1(vf x, const float* p) {
    const vf low = set1(p[0]), high = set1(p[1]);
    return select(lt(x, low), low, select(gt(x, high), high, x));
}
constexpr MapOp CLIP = {1, SAME, 2, {row1p<clip1>}, 2};

}  // namespace

QUERNEL_MAP(equal, EQUAL)
QUERNEL_MAP(not_equal, NOT_EQUAL)
QUERNEL_MAP(less, LESS)
QUERNEL_MAP(less_equal, LESS_EQUAL)
QUERNEL_MAP(greater, GREATER)
QUERNEL_MAP(greater_equal, GREATER_EQUAL)
QUERNEL_MAP(logical_and, LOGICAL_AND)
QUERNEL_MAP(logical_or, LOGICAL_OR)
QUERNEL_MAP(logical_not, LOGICAL_NOT)
QUERNEL_MAP(isnan, ISNAN)
QUERNEL_MAP(where, WHERE)
QUERNEL_MAP(clip, CLIP)

}  // namespace QUERNEL_ISA
}  // namespace quernel
