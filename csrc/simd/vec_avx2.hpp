// AVX2 with FMA: 8 lanes, masks as full-width lanes.
#pragma once
#include <immintrin.h>

namespace quernel {
namespace QUERNEL_ISA {

constexpr int VL = 8;
using vf = __m256;
using vi = __m256i;
struct vm {
    __m256 m;
};

QUERNEL_INLINE __m256i lanes_below(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
QUERNEL_INLINE vm first_n(int n) { return {_mm256_castsi256_ps(lanes_below(n))}; }

QUERNEL_INLINE vf loadu(const float* p) { return _mm256_loadu_ps(p); }
QUERNEL_INLINE vf load_n(const float* p, int n) { return _mm256_maskload_ps(p, lanes_below(n)); }
QUERNEL_INLINE vf held(vf v) {
    asm("" : "+x"(v));
    return v;
}
QUERNEL_INLINE void storeu(float* p, vf v) { _mm256_storeu_ps(p, v); }
QUERNEL_INLINE void store_n(float* p, vf v, int n) { _mm256_maskstore_ps(p, lanes_below(n), v); }
QUERNEL_INLINE void stream(float* p, vf v) { _mm256_stream_ps(p, v); }
QUERNEL_INLINE void stream_end() { _mm_sfence(); }
QUERNEL_INLINE vf set1(float x) { return _mm256_set1_ps(x); }
QUERNEL_INLINE vf zero() { return _mm256_setzero_ps(); }

QUERNEL_INLINE vf add(vf a, vf b) { return _mm256_add_ps(a, b); }
QUERNEL_INLINE vf sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
QUERNEL_INLINE vf mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
QUERNEL_INLINE vf div(vf a, vf b) { return _mm256_div_ps(a, b); }
QUERNEL_INLINE vf fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
QUERNEL_INLINE vf fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
QUERNEL_INLINE vf mul_rest(vf a, vf b, vf p) { return _mm256_fmsub_ps(a, b, p); }
QUERNEL_INLINE vf sqrt(vf a) { return _mm256_sqrt_ps(a); }

QUERNEL_INLINE vm lt(vf a, vf b) { return {_mm256_cmp_ps(a, b, _CMP_LT_OQ)}; }
QUERNEL_INLINE vm le(vf a, vf b) { return {_mm256_cmp_ps(a, b, _CMP_LE_OQ)}; }
QUERNEL_INLINE vm gt(vf a, vf b) { return {_mm256_cmp_ps(a, b, _CMP_GT_OQ)}; }
QUERNEL_INLINE vm ge(vf a, vf b) { return {_mm256_cmp_ps(a, b, _CMP_GE_OQ)}; }
QUERNEL_INLINE vm eq(vf a, vf b) { return {_mm256_cmp_ps(a, b, _CMP_EQ_OQ)}; }
QUERNEL_INLINE vm isnan(vf a) { return {_mm256_cmp_ps(a, a, _CMP_UNORD_Q)}; }
QUERNEL_INLINE vm ordered(vf a, vf b) { return {_mm256_cmp_ps(a, b, _CMP_ORD_Q)}; }
QUERNEL_INLINE vf select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m.m); }
QUERNEL_INLINE vf larger(vf a, vf b) { return _mm256_max_ps(b, a); }
QUERNEL_INLINE vf smaller(vf a, vf b) { return _mm256_min_ps(b, a); }
QUERNEL_INLINE vm m_and(vm a, vm b) { return {_mm256_and_ps(a.m, b.m)}; }
QUERNEL_INLINE vm m_or(vm a, vm b) { return {_mm256_or_ps(a.m, b.m)}; }
QUERNEL_INLINE vm m_not(vm a) { return {_mm256_xor_ps(a.m, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))}; }
QUERNEL_INLINE bool any(vm m) { return _mm256_movemask_ps(m.m) != 0; }
QUERNEL_INLINE unsigned m_bits(vm m) { return (unsigned)_mm256_movemask_ps(m.m); }

QUERNEL_INLINE vi bits(vf v) { return _mm256_castps_si256(v); }
QUERNEL_INLINE vf floats(vi v) { return _mm256_castsi256_ps(v); }
QUERNEL_INLINE vi seti(int32_t x) { return _mm256_set1_epi32(x); }
QUERNEL_INLINE vi addi(vi a, vi b) { return _mm256_add_epi32(a, b); }
QUERNEL_INLINE vi subi(vi a, vi b) { return _mm256_sub_epi32(a, b); }
QUERNEL_INLINE vi muli(vi a, vi b) { return _mm256_mullo_epi32(a, b); }
QUERNEL_INLINE vi andi(vi a, vi b) { return _mm256_and_si256(a, b); }
QUERNEL_INLINE vi ori(vi a, vi b) { return _mm256_or_si256(a, b); }
QUERNEL_INLINE vi xori(vi a, vi b) { return _mm256_xor_si256(a, b); }
template <int k>
QUERNEL_INLINE vi shl(vi a) {
    return _mm256_slli_epi32(a, k);
}
template <int k>
QUERNEL_INLINE vi shr(vi a) {
    return _mm256_srli_epi32(a, k);
}
template <int k>
QUERNEL_INLINE vi sar(vi a) {
    return _mm256_srai_epi32(a, k);
}
QUERNEL_INLINE void mul_wide(vi a, vi b, vi& low, vi& high) {
    const vi even = _mm256_mul_epu32(a, b), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
    low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
    high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
}
QUERNEL_INLINE vm eqi(vi a, vi b) { return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b))}; }
QUERNEL_INLINE vm gti(vi a, vi b) { return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(a, b))}; }
QUERNEL_INLINE vi selecti(vm m, vi a, vi b) { return _mm256_blendv_epi8(b, a, _mm256_castps_si256(m.m)); }
QUERNEL_INLINE vi to_int(vf v) {
    return _mm256_cvtps_epi32(_mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
QUERNEL_INLINE vf to_float(vi v) { return _mm256_cvtepi32_ps(v); }
QUERNEL_INLINE vi loadi(const int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
QUERNEL_INLINE vi loadi_n(const int32_t* p, int n) { return _mm256_maskload_epi32(p, lanes_below(n)); }
QUERNEL_INLINE vi load_bytes(const uint8_t* p, int n) {
    int64_t some = 0;
    __builtin_memcpy(&some, p, n < VL ? n : VL);
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(some));
}
QUERNEL_INLINE void store_bytes(uint8_t* p, vi v, int n) {
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const int64_t all = _mm_cvtsi128_si64(_mm_packus_epi16(words, words));
    __builtin_memcpy(p, &all, n < VL ? n : VL);
}
QUERNEL_INLINE void storei(int32_t* p, vi v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
QUERNEL_INLINE void storei_n(int32_t* p, vi v, int n) { _mm256_maskstore_epi32(p, lanes_below(n), v); }

template <int k>
QUERNEL_INLINE vf swap(vf v) {
    static_assert(k == 4 || k == 2 || k == 1, "lanes swap over powers of two");
    if (k == 4) return _mm256_permute2f128_ps(v, v, 1);
    if (k == 2) return _mm256_permute_ps(v, 0x4E);
    return _mm256_permute_ps(v, 0xB1);
}
template <int k>
QUERNEL_INLINE vi swapi(vi v) {
    return bits(swap<k>(floats(v)));
}
QUERNEL_INLINE float first(vf v) { return _mm256_cvtss_f32(v); }
QUERNEL_INLINE int32_t firsti(vi v) { return _mm256_cvtsi256_si32(v); }
QUERNEL_INLINE vf pick(const float* t, vi i) { return _mm256_permutevar8x32_ps(_mm256_loadu_ps(t), i); }
QUERNEL_INLINE void store_pairs(float* to, const vf (&r)[VL / 2]) {
    __m256d even[2], odd[2];  // pairs of terms 0, 2 and 1, 3 of two rows
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
        const __m256d x = _mm256_castps_pd(r[2 * j]), y = _mm256_castps_pd(r[2 * j + 1]);
        even[j] = _mm256_unpacklo_pd(x, y);
        odd[j] = _mm256_unpackhi_pd(x, y);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
        const vf x = _mm256_castpd_ps(i ? odd[0] : even[0]), y = _mm256_castpd_ps(i ? odd[1] : even[1]);
        float* const line = to + i * VL;
        _mm_storeu_ps(line, _mm256_castps256_ps128(x));
        _mm_storeu_ps(line + 4, _mm256_castps256_ps128(y));
        asm volatile("" ::: "memory");  // stores of one cache line that follow each other retire in one cycle
        _mm_storeu_ps(line + 2 * VL, _mm256_extractf128_ps(x, 1));
        _mm_storeu_ps(line + 2 * VL + 4, _mm256_extractf128_ps(y, 1));
        asm volatile("" ::: "memory");
    }
}
template <int lanes>
QUERNEL_INLINE vf lanes_of_both(vf a, vf b) {
    const __m256d mixed = _mm256_castps_pd(_mm256_shuffle_ps(a, b, lanes));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(mixed, 0xd8));
}
QUERNEL_INLINE vf even_lanes(vf a, vf b) { return lanes_of_both<0x88>(a, b); }
QUERNEL_INLINE vf odd_lanes(vf a, vf b) { return lanes_of_both<0xdd>(a, b); }
QUERNEL_INLINE vf load_even(const float* p) {  // by the load port: from a register it is a shuffle
    vf v;
    asm("vmovsldup %1, %0" : "=x"(v) : "m"(*reinterpret_cast<const vf*>(p)));
    return v;
}
QUERNEL_INLINE vf load_odd(const float* p) {
    vf v;
    asm("vmovshdup %1, %0" : "=x"(v) : "m"(*reinterpret_cast<const vf*>(p)));
    return v;
}
QUERNEL_INLINE vf set_pair(const float* p) {
    double two;
    __builtin_memcpy(&two, p, sizeof(two));
    return _mm256_castpd_ps(_mm256_set1_pd(two));
}
constexpr int TURN = 4;
QUERNEL_INLINE void load_turned(vf (&t)[TURN], const float* p, ptrdiff_t row) {
    const ptrdiff_t row4 = 4 * row;
    vf h[TURN];  // rows are put side by side as they are loaded, which spares shuffles
#pragma GCC unroll 4
    for (int j = 0; j < TURN; ++j, p += row)
        h[j] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + row4), 1);
    const vf x0 = _mm256_unpacklo_ps(h[0], h[1]), x1 = _mm256_unpackhi_ps(h[0], h[1]);
    const vf y0 = _mm256_unpacklo_ps(h[2], h[3]), y1 = _mm256_unpackhi_ps(h[2], h[3]);
    t[0] = _mm256_shuffle_ps(x0, y0, 0x44);
    t[1] = _mm256_shuffle_ps(x0, y0, 0xee);
    t[2] = _mm256_shuffle_ps(x1, y1, 0x44);
    t[3] = _mm256_shuffle_ps(x1, y1, 0xee);
}
QUERNEL_INLINE void transpose(vf (&r)[VL]) {
    vf t[VL];
#pragma GCC unroll 4
    for (int i = 0; i < VL; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < VL; i += 4) {  // r[i + c] holds column c of four rows in each 128-bit part
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
        t[c] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x20);
        t[4 + c] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x31);
    }
#pragma GCC unroll 8
    for (int c = 0; c < VL; ++c) r[c] = t[c];
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
