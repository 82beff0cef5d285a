// Arithmetic: add subtract multiply divide floor_divide mod power maximum minimum, negative absolute sign square.
//
// float32, int32, int64, uint8, and bool where NumPy has it (add is or, multiply is and). Integers wrap around;
// dividing an integer by zero gives 0. maximum(a, b) is a where a >= b or a is NaN, else b: NaN wins, ties give the
// first; minimum alike.
#include "map/map.hpp"
#include "simd/math.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

QUERNEL_INLINE vf larger(vf a, vf b) { return select(m_or(ge(a, b), isnan(a)), a, b); }
QUERNEL_INLINE vf smaller(vf a, vf b) { return select(m_or(le(a, b), isnan(a)), a, b); }
QUERNEL_INLINE vf squared(vf a) { return mul(a, a); }
QUERNEL_INLINE vf sign_of_value(vf a) {
    const vf rest = select(isnan(a), a, zero());
    return select(gt(a, zero()), set1(1.0f), select(lt(a, zero()), set1(-1.0f), rest));
}

// Integers wrap: 64-bit unsigned arithmetic, cut to T.
template <class T>
inline T plus(T a, T b) {
    return (T)((uint64_t)a + (uint64_t)b);
}
template <class T>
inline T minus(T a, T b) {
    return (T)((uint64_t)a - (uint64_t)b);
}
template <class T>
inline T times(T a, T b) {
    return (T)((uint64_t)a * (uint64_t)b);
}
template <class T>
inline T most(T a, T b) {
    return a >= b ? a : b;
}
template <class T>
inline T least(T a, T b) {
    return a <= b ? a : b;
}
template <class T>
inline T minus1(T a) {
    return (T)(0 - (uint64_t)a);
}
template <class T>
inline T magnitude(T a) {
    return a < 0 ? (T)(0 - (uint64_t)a) : a;
}
template <class T>
inline T sign1(T a) {
    return (T)((a > 0) - (a < 0));
}
template <class T>
inline T square1(T a) {
    return times(a, a);
}
template <class T>
inline T quotient(T a, T b) {  // rounded towards minus infinity
    if (b == 0) return 0;
    if (b == (T)-1 && (T)-1 < 0) return minus1(a);
    return (T)(a / b - (a % b != 0 && (a < 0) != (b < 0)));
}
template <class T>
inline T modulo(T a, T b) {  // with the sign of b
    if (b == 0 || (b == (T)-1 && (T)-1 < 0)) return 0;
    const T r = (T)(a % b);
    return r != 0 && (r < 0) != (b < 0) ? (T)(r + b) : r;
}
inline uint8_t either(uint8_t a, uint8_t b) { return a | b; }
inline uint8_t both(uint8_t a, uint8_t b) { return a & b; }

// Quotients of floats in double: exact enough that floor never sees a rounded-up integer.
inline double floor_of(double q) {
    if (!(q > -4.6e18 && q < 4.6e18)) return q;
    const double whole = (double)(int64_t)q;
    return whole > q ? whole - 1 : whole == 0 ? q * 0 : whole;
}
inline float floor_quotient(float a, float b) { return (float)floor_of((double)a / (double)b); }

inline float modulo_of(float x, float y) {
    constexpr double STEP = 268435456.0;  // 2^28: quotients stay so short that every product is exact
    double r = x < 0 ? -(double)x : (double)x;
    const double b = y < 0 ? -(double)y : (double)y;
    if (!(r < __builtin_inf()) || !(b > 0)) return __builtin_nanf("");
    if (b < __builtin_inf()) {
        while (r >= b) {
            double scaled = b;
            while (r >= scaled * STEP) scaled *= STEP;
            r -= (double)(int64_t)(r / scaled) * scaled;
            if (r < 0) r += scaled;
        }
    }
    if (r == 0) return y < 0 ? -0.0f : 0.0f;
    if (x < 0) r = -r;
    return (float)((x < 0) != (y < 0) ? r + (double)y : r);
}

// r with F(x, y) in the lanes of `rest`: what the vector code leaves to the scalar one.
template <float (*F)(float, float)>
QUERNEL_INLINE vf lane_by_lane(vm rest, vf x, vf y, vf r) {
    float xs[VL], ys[VL], rs[VL];
    storeu(xs, x);
    storeu(ys, y);
    storeu(rs, r);
    for (unsigned lanes = m_bits(rest); lanes; lanes &= lanes - 1) {
        const int i = __builtin_ctz(lanes);
        rs[i] = F(xs[i], ys[i]);
    }
    return loadu(rs);
}

// Where a quotient |x| / |y| is short: below 2^22, of a finite divisor whose rests are no subnormals.
QUERNEL_INLINE vm is_short(vf a, vf b) {
    return m_and(lt(a, mul(b, set1(4194304.0f))), m_and(gt(b, set1(1e-30f)), lt(b, set1(1e30f))));
}

// The same where a quotient q = |x| / |y| is short: rounded, it is the whole one or that plus 1, so |x| - q |y| is the
// rest or that less |y|, a multiple of |y|'s last place and at most |y|: no rounding. Left to modulo_of: quotients from
// 2^22 on, divisors whose rests may be subnormal, infinite ones and none. Its last sum, of a double rounded to float,
// is one rounding, too: an |x| of half |y|'s last place or more ends within a double's places, a smaller one never
// matters.
QUERNEL_INLINE vf float_modulo(vf x, vf y) {
    const vf a = vabs(x), b = vabs(y), q = to_float(to_int(div(a, b)));
    const vf over = mul_rest(q, b, a);
    vf r = sub(select(gt(over, zero()), b, zero()), over);
    const vi sign = sign_of(y);
    const vm opposite = lt(floats(xori(bits(x), sign)), zero());  // both signs count as |y|'s
    r = with_sign(select(m_and(opposite, gt(r, zero())), sub(b, r), r), sign);
    const vm rest = m_not(is_short(a, b));
    return any(rest) ? lane_by_lane<modulo_of>(rest, x, y, r) : r;
}

// floor_quotient alike. Both signs count as x's; the quotient, rounded twice, is the floor or that plus 1, and then
// q |y| is more than x, which its difference tells: it is exact. Below 0 the floor is at most -1, but for x = -0.
QUERNEL_INLINE vf float_floor_quotient(vf x, vf y) {
    const vf b = vabs(y), a = floats(xori(bits(x), sign_of(y)));
    vi n;
    const vf q = whole(div(a, b), n), more = mul_rest(q, b, a);
    const vf r = with_sign(sub(q, select(gt(more, zero()), set1(1.0f), zero())), sign_of(a));
    const vm rest = m_not(is_short(vabs(x), b));
    return any(rest) ? lane_by_lane<floor_quotient>(rest, x, y, r) : r;
}

using U8 = uint8_t;
using I4 = int32_t;
using I8 = int64_t;

//                             inputs  result cost  float32  float64  int32  int64  uint8  bool
constexpr MapOp ADD = {
    2,
    SAME,
    1,
    {row2<add>, nullptr, each2<I4, I4, plus>, each2<I8, I8, plus>, each2<U8, U8, plus>, each2<U8, U8, either>}};
constexpr MapOp SUBTRACT = {
    2, SAME, 1, {row2<sub>, nullptr, each2<I4, I4, minus>, each2<I8, I8, minus>, each2<U8, U8, minus>, nullptr}};
constexpr MapOp MULTIPLY = {
    2,
    SAME,
    1,
    {row2<mul>, nullptr, each2<I4, I4, times>, each2<I8, I8, times>, each2<U8, U8, times>, each2<U8, U8, both>}};
constexpr MapOp DIVIDE = {2, SAME, 4, {row2<div>}};
constexpr MapOp FLOOR_DIVIDE = {2,
                                SAME,
                                15,
                                {row2<float_floor_quotient>, nullptr, each2<I4, I4, quotient>, each2<I8, I8, quotient>,
                                 each2<U8, U8, quotient>, nullptr}};
constexpr MapOp MOD = {
    2,
    SAME,
    30,
    {row2<float_modulo>, nullptr, each2<I4, I4, modulo>, each2<I8, I8, modulo>, each2<U8, U8, modulo>, nullptr}};
constexpr MapOp POWER = {2, SAME, 80, {row2<vpow>}};
constexpr MapOp MAXIMUM = {
    2,
    SAME,
    2,
    {row2<larger>, nullptr, each2<I4, I4, most>, each2<I8, I8, most>, each2<U8, U8, most>, each2<U8, U8, either>}};
constexpr MapOp MINIMUM = {
    2,
    SAME,
    2,
    {row2<smaller>, nullptr, each2<I4, I4, least>, each2<I8, I8, least>, each2<U8, U8, least>, each2<U8, U8, both>}};
constexpr MapOp NEGATIVE = {
    1, SAME, 1, {row1<vneg>, nullptr, each1<I4, I4, minus1>, each1<I8, I8, minus1>, each1<U8, U8, minus1>, nullptr}};
constexpr MapOp ABSOLUTE = {
    1,
    SAME,
    1,
    {row1<vabs>, nullptr, each1<I4, I4, magnitude>, each1<I8, I8, magnitude>, each1<U8, U8, magnitude>, nullptr}};
constexpr MapOp SIGN = {
    1,
    SAME,
    3,
    {row1<sign_of_value>, nullptr, each1<I4, I4, sign1>, each1<I8, I8, sign1>, each1<U8, U8, sign1>, nullptr}};
constexpr MapOp SQUARE = {
    1,
    SAME,
    1,
    {row1<squared>, nullptr, each1<I4, I4, square1>, each1<I8, I8, square1>, each1<U8, U8, square1>, nullptr}};

}  // namespace

QUERNEL_MAP(add, ADD)
QUERNEL_MAP(subtract, SUBTRACT)
QUERNEL_MAP(multiply, MULTIPLY)
QUERNEL_MAP(divide, DIVIDE)
QUERNEL_MAP(floor_divide, FLOOR_DIVIDE)
QUERNEL_MAP(mod, MOD)
QUERNEL_MAP(power, POWER)
QUERNEL_MAP(maximum, MAXIMUM)
QUERNEL_MAP(minimum, MINIMUM)
QUERNEL_MAP(negative, NEGATIVE)
QUERNEL_MAP(absolute, ABSOLUTE)
QUERNEL_MAP(sign, SIGN)
QUERNEL_MAP(square, SQUARE)

}  // namespace QUERNEL_ISA
}  // namespace quernel
