// The portable fallback: 4 lanes in the compiler's vector extension (GCC, Clang; any CPU). No FMA: outside the bit
// promise.
#pragma once
#include <cmath>
#include <cstring>

namespace quernel {
namespace QUERNEL_ISA {

constexpr int VL = 4;
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));
struct vm {
    vi m;
};

QUERNEL_INLINE vi seti(int32_t x) { return vi{x, x, x, x}; }
QUERNEL_INLINE vm first_n(int n) { return {vi{0, 1, 2, 3} < seti(n)}; }

QUERNEL_INLINE vf set1(float x) { return vf{x, x, x, x}; }
QUERNEL_INLINE vf zero() { return set1(0.0f); }
QUERNEL_INLINE vf loadu(const float* p) {
    vf v;
    std::memcpy(&v, p, sizeof(v));
    return v;
}
QUERNEL_INLINE vf load_n(const float* p, int n) {
    vf v = zero();
    for (int i = 0; i < n; ++i) v[i] = p[i];
    return v;
}
QUERNEL_INLINE vf held(vf v) { return v; }
QUERNEL_INLINE void storeu(float* p, vf v) { std::memcpy(p, &v, sizeof(v)); }
QUERNEL_INLINE void store_n(float* p, vf v, int n) {
    for (int i = 0; i < n; ++i) p[i] = v[i];
}

QUERNEL_INLINE void stream(float* p, vf v) { storeu(p, v); }
QUERNEL_INLINE void stream_end() {}

QUERNEL_INLINE vf add(vf a, vf b) { return a + b; }
QUERNEL_INLINE vf sub(vf a, vf b) { return a - b; }
QUERNEL_INLINE vf mul(vf a, vf b) { return a * b; }
QUERNEL_INLINE vf div(vf a, vf b) { return a / b; }
QUERNEL_INLINE vf fma(vf a, vf b, vf c) { return a * b + c; }
QUERNEL_INLINE vf fnma(vf a, vf b, vf c) { return c - a * b; }
QUERNEL_INLINE vf mul_rest(vf a, vf b, vf p) {
    for (int i = 0; i < VL; ++i) p[i] = (float)((double)a[i] * b[i] - p[i]);
    return p;
}
QUERNEL_INLINE vf sqrt(vf a) {
    for (int i = 0; i < VL; ++i) a[i] = __builtin_sqrtf(a[i]);
    return a;
}

QUERNEL_INLINE vm lt(vf a, vf b) { return {(vi)(a < b)}; }
QUERNEL_INLINE vm le(vf a, vf b) { return {(vi)(a <= b)}; }
QUERNEL_INLINE vm gt(vf a, vf b) { return {(vi)(a > b)}; }
QUERNEL_INLINE vm ge(vf a, vf b) { return {(vi)(a >= b)}; }
QUERNEL_INLINE vm eq(vf a, vf b) { return {(vi)(a == b)}; }
QUERNEL_INLINE vm isnan(vf a) { return {(vi)(a != a)}; }
QUERNEL_INLINE vm ordered(vf a, vf b) { return {(vi)(a == a) & (vi)(b == b)}; }
QUERNEL_INLINE vi selecti(vm m, vi a, vi b) { return (m.m & a) | (~m.m & b); }
QUERNEL_INLINE vf select(vm m, vf a, vf b) { return (vf)selecti(m, (vi)a, (vi)b); }
QUERNEL_INLINE vf larger(vf a, vf b) { return select(gt(b, a), b, a); }
QUERNEL_INLINE vf smaller(vf a, vf b) { return select(lt(b, a), b, a); }
QUERNEL_INLINE vm m_and(vm a, vm b) { return {a.m & b.m}; }
QUERNEL_INLINE vm m_or(vm a, vm b) { return {a.m | b.m}; }
QUERNEL_INLINE vm m_not(vm a) { return {~a.m}; }
QUERNEL_INLINE bool any(vm m) { return (m.m[0] | m.m[1] | m.m[2] | m.m[3]) != 0; }
QUERNEL_INLINE unsigned m_bits(vm m) { return (unsigned)((m.m[0] & 1) | (m.m[1] & 2) | (m.m[2] & 4) | (m.m[3] & 8)); }

QUERNEL_INLINE vi bits(vf v) { return (vi)v; }
QUERNEL_INLINE vf floats(vi v) { return (vf)v; }
QUERNEL_INLINE vi addi(vi a, vi b) { return (vi)((vu)a + (vu)b); }
QUERNEL_INLINE vi subi(vi a, vi b) { return (vi)((vu)a - (vu)b); }
QUERNEL_INLINE vi muli(vi a, vi b) { return (vi)((vu)a * (vu)b); }
QUERNEL_INLINE vi andi(vi a, vi b) { return a & b; }
QUERNEL_INLINE vi ori(vi a, vi b) { return a | b; }
QUERNEL_INLINE vi xori(vi a, vi b) { return a ^ b; }
template <int k>
QUERNEL_INLINE vi shl(vi a) {
    return (vi)((vu)a << k);
}
template <int k>
QUERNEL_INLINE vi shr(vi a) {
    return (vi)((vu)a >> k);
}
template <int k>
QUERNEL_INLINE vi sar(vi a) {
    return a >> k;
}
QUERNEL_INLINE void mul_wide(vi a, vi b, vi& low, vi& high) {
    uint32_t x[VL], y[VL], l[VL], h[VL];
    std::memcpy(x, &a, sizeof(x));
    std::memcpy(y, &b, sizeof(y));
    for (int i = 0; i < VL; ++i) {
        const uint64_t product = (uint64_t)x[i] * y[i];
        l[i] = (uint32_t)product;
        h[i] = (uint32_t)(product >> 32);
    }
    std::memcpy(&low, l, sizeof(l));
    std::memcpy(&high, h, sizeof(h));
}
QUERNEL_INLINE vm eqi(vi a, vi b) { return {(vi)(a == b)}; }
QUERNEL_INLINE vm gti(vi a, vi b) { return {(vi)(a > b)}; }
QUERNEL_INLINE vi to_int(vf v) {
    vi r;
    for (int i = 0; i < VL; ++i) r[i] = (int32_t)__builtin_nearbyintf(v[i]);
    return r;
}
QUERNEL_INLINE vf to_float(vi v) { return vf{(float)v[0], (float)v[1], (float)v[2], (float)v[3]}; }
QUERNEL_INLINE vi loadi(const int32_t* p) {
    vi v;
    std::memcpy(&v, p, sizeof(v));
    return v;
}
QUERNEL_INLINE vi loadi_n(const int32_t* p, int n) {
    vi v = seti(0);
    for (int i = 0; i < n; ++i) v[i] = p[i];
    return v;
}
QUERNEL_INLINE vi load_bytes(const uint8_t* p, int n) {
    int32_t t[VL] = {};
    for (int i = 0; i < n; ++i) t[i] = p[i];
    return loadi(t);
}
QUERNEL_INLINE void store_bytes(uint8_t* p, vi v, int n) {
    int32_t t[VL];
    std::memcpy(t, &v, sizeof(v));
    for (int i = 0; i < n; ++i) p[i] = (uint8_t)t[i];
}
QUERNEL_INLINE void storei(int32_t* p, vi v) { std::memcpy(p, &v, sizeof(v)); }
QUERNEL_INLINE void storei_n(int32_t* p, vi v, int n) {
    for (int i = 0; i < n; ++i) p[i] = v[i];
}

template <int k>
QUERNEL_INLINE vf swap(vf v) {
    static_assert(k == 2 || k == 1, "lanes swap over powers of two");
    return vf{v[0 ^ k], v[1 ^ k], v[2 ^ k], v[3 ^ k]};
}
template <int k>
QUERNEL_INLINE vi swapi(vi v) {
    return vi{v[0 ^ k], v[1 ^ k], v[2 ^ k], v[3 ^ k]};
}
QUERNEL_INLINE float first(vf v) { return v[0]; }
QUERNEL_INLINE int32_t firsti(vi v) { return v[0]; }
QUERNEL_INLINE void transpose(vf (&r)[VL]) {
    vf t[VL];
    for (int i = 0; i < VL; ++i) t[i] = vf{r[0][i], r[1][i], r[2][i], r[3][i]};
    for (int i = 0; i < VL; ++i) r[i] = t[i];
}
QUERNEL_INLINE vf pick(const float* t, vi i) { return vf{t[i[0] & 7], t[i[1] & 7], t[i[2] & 7], t[i[3] & 7]}; }
QUERNEL_INLINE void store_pairs(float* to, const vf (&r)[VL / 2]) {
    storeu(to, vf{r[0][0], r[0][1], r[1][0], r[1][1]});
    storeu(to + VL, vf{r[0][2], r[0][3], r[1][2], r[1][3]});
}
QUERNEL_INLINE vf even_lanes(vf a, vf b) { return vf{a[0], a[2], b[0], b[2]}; }
QUERNEL_INLINE vf odd_lanes(vf a, vf b) { return vf{a[1], a[3], b[1], b[3]}; }
QUERNEL_INLINE vf load_even(const float* p) { return vf{p[0], p[0], p[2], p[2]}; }
QUERNEL_INLINE vf load_odd(const float* p) { return vf{p[1], p[1], p[3], p[3]}; }
QUERNEL_INLINE vf set_pair(const float* p) { return vf{p[0], p[1], p[0], p[1]}; }
constexpr int TURN = 4;
QUERNEL_INLINE void load_turned(vf (&t)[TURN], const float* p, ptrdiff_t row) {
    for (int i = 0; i < VL; ++i) t[i] = loadu(p + i * row);
    transpose(t);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
