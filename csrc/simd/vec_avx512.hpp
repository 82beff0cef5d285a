// AVX-512 (F, BW, DQ, VL): 16 lanes, masks in k registers.
#pragma once
#include <immintrin.h>

namespace quernel {
namespace QUERNEL_ISA {

constexpr int VL = 16;
using vf = __m512;
using vi = __m512i;
using vm = __mmask16;

constexpr __mmask16 ALL =
    0xffff;  // the maskz forms: GCC 12 warns inside the plain ones (undefined sources), the code is the same

QUERNEL_INLINE vm first_n(int n) { return (vm)((1u << n) - 1u); }

QUERNEL_INLINE vf loadu(const float* p) { return _mm512_loadu_ps(p); }
QUERNEL_INLINE vf load_n(const float* p, int n) { return _mm512_maskz_loadu_ps(first_n(n), p); }
QUERNEL_INLINE vf held(vf v) {
    asm("" : "+v"(v));
    return v;
}
QUERNEL_INLINE void storeu(float* p, vf v) { _mm512_storeu_ps(p, v); }
QUERNEL_INLINE void store_n(float* p, vf v, int n) { _mm512_mask_storeu_ps(p, first_n(n), v); }
QUERNEL_INLINE void stream(float* p, vf v) { _mm512_stream_ps(p, v); }
QUERNEL_INLINE void stream_end() { _mm_sfence(); }
QUERNEL_INLINE vf set1(float x) { return _mm512_set1_ps(x); }
QUERNEL_INLINE vf zero() { return _mm512_setzero_ps(); }

QUERNEL_INLINE vf add(vf a, vf b) { return _mm512_add_ps(a, b); }
QUERNEL_INLINE vf sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
QUERNEL_INLINE vf mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
QUERNEL_INLINE vf div(vf a, vf b) { return _mm512_div_ps(a, b); }
QUERNEL_INLINE vf fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
QUERNEL_INLINE vf fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
QUERNEL_INLINE vf mul_rest(vf a, vf b, vf p) { return _mm512_fmsub_ps(a, b, p); }
QUERNEL_INLINE vf sqrt(vf a) { return _mm512_maskz_sqrt_ps(ALL, a); }

QUERNEL_INLINE vm lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
QUERNEL_INLINE vm le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
QUERNEL_INLINE vm gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
QUERNEL_INLINE vm ge(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
QUERNEL_INLINE vm eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
QUERNEL_INLINE vm isnan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
QUERNEL_INLINE vm ordered(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_ORD_Q); }
QUERNEL_INLINE vf select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
QUERNEL_INLINE vf larger(vf a, vf b) { return _mm512_maskz_max_ps(ALL, b, a); }
QUERNEL_INLINE vf smaller(vf a, vf b) { return _mm512_maskz_min_ps(ALL, b, a); }
QUERNEL_INLINE vm m_and(vm a, vm b) { return a & b; }
QUERNEL_INLINE vm m_or(vm a, vm b) { return a | b; }
QUERNEL_INLINE vm m_not(vm a) { return (vm)~a; }
QUERNEL_INLINE bool any(vm m) { return m != 0; }
QUERNEL_INLINE unsigned m_bits(vm m) { return m; }

QUERNEL_INLINE vi bits(vf v) { return _mm512_castps_si512(v); }
QUERNEL_INLINE vf floats(vi v) { return _mm512_castsi512_ps(v); }
QUERNEL_INLINE vi seti(int32_t x) { return _mm512_set1_epi32(x); }
QUERNEL_INLINE vi addi(vi a, vi b) { return _mm512_add_epi32(a, b); }
QUERNEL_INLINE vi subi(vi a, vi b) { return _mm512_sub_epi32(a, b); }
QUERNEL_INLINE vi muli(vi a, vi b) { return _mm512_mullo_epi32(a, b); }
QUERNEL_INLINE vi andi(vi a, vi b) { return _mm512_and_si512(a, b); }
QUERNEL_INLINE vi ori(vi a, vi b) { return _mm512_or_si512(a, b); }
QUERNEL_INLINE vi xori(vi a, vi b) { return _mm512_xor_si512(a, b); }
template <int k>
QUERNEL_INLINE vi shl(vi a) {
    return _mm512_maskz_slli_epi32(ALL, a, k);
}
template <int k>
QUERNEL_INLINE vi shr(vi a) {
    return _mm512_maskz_srli_epi32(ALL, a, k);
}
template <int k>
QUERNEL_INLINE vi sar(vi a) {
    return _mm512_maskz_srai_epi32(ALL, a, k);
}
QUERNEL_INLINE void mul_wide(vi a, vi b, vi& low, vi& high) {  // maskz: GCC 12 warns about the plain forms
    const __mmask8 all = 0xFF;
    const vi even = _mm512_maskz_mul_epu32(all, a, b);
    const vi odd =
        _mm512_maskz_mul_epu32(all, _mm512_maskz_srli_epi64(all, a, 32), _mm512_maskz_srli_epi64(all, b, 32));
    low = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_maskz_slli_epi64(all, odd, 32));
    high = _mm512_mask_blend_epi32(0xAAAA, _mm512_maskz_srli_epi64(all, even, 32), odd);
}
QUERNEL_INLINE vm eqi(vi a, vi b) { return _mm512_cmpeq_epi32_mask(a, b); }
QUERNEL_INLINE vm gti(vi a, vi b) { return _mm512_cmpgt_epi32_mask(a, b); }
QUERNEL_INLINE vi selecti(vm m, vi a, vi b) { return _mm512_mask_blend_epi32(m, b, a); }
QUERNEL_INLINE vi to_int(vf v) {
    return _mm512_maskz_cvt_roundps_epi32(ALL, v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
QUERNEL_INLINE vf to_float(vi v) {
    return _mm512_maskz_cvt_roundepi32_ps(ALL, v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
QUERNEL_INLINE vi loadi(const int32_t* p) { return _mm512_loadu_si512(p); }
QUERNEL_INLINE vi loadi_n(const int32_t* p, int n) { return _mm512_maskz_loadu_epi32(first_n(n), p); }
QUERNEL_INLINE vi load_bytes(const uint8_t* p, int n) {
    return _mm512_maskz_cvtepu8_epi32(first_n(n), _mm_maskz_loadu_epi8(first_n(n), p));
}
QUERNEL_INLINE void store_bytes(uint8_t* p, vi v, int n) { _mm512_mask_cvtepi32_storeu_epi8(p, first_n(n), v); }
QUERNEL_INLINE void storei(int32_t* p, vi v) { _mm512_storeu_si512(p, v); }
QUERNEL_INLINE void storei_n(int32_t* p, vi v, int n) { _mm512_mask_storeu_epi32(p, first_n(n), v); }

template <int k>
QUERNEL_INLINE vf swap(vf v) {
    static_assert(k == 8 || k == 4 || k == 2 || k == 1, "lanes swap over powers of two");
    constexpr vm all = 0xFFFF;  // the unmasked forms make g++ 12 warn of an undefined vector
    if (k == 8) return _mm512_maskz_shuffle_f32x4(all, v, v, 0x4E);
    if (k == 4) return _mm512_maskz_shuffle_f32x4(all, v, v, 0xB1);
    if (k == 2) return _mm512_maskz_permute_ps(all, v, 0x4E);
    return _mm512_maskz_permute_ps(all, v, 0xB1);
}
template <int k>
QUERNEL_INLINE vi swapi(vi v) {
    return bits(swap<k>(floats(v)));
}
QUERNEL_INLINE float first(vf v) { return _mm512_cvtss_f32(v); }
QUERNEL_INLINE int32_t firsti(vi v) { return _mm512_cvtsi512_si32(v); }
QUERNEL_INLINE vf pick(const float* t, vi i) {
    return _mm512_maskz_permutexvar_ps(ALL, i, _mm512_maskz_broadcast_f32x8(ALL, _mm256_loadu_ps(t)));
}
QUERNEL_INLINE void store_pairs(float* to, const vf (&r)[VL / 2]) {
    const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                  high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    __m512d even[4], odd[4];  // pairs of terms 0, 2, 4, 6 and 1, 3, 5, 7 of two rows
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
        const __m512d x = _mm512_castps_pd(r[2 * j]), y = _mm512_castps_pd(r[2 * j + 1]);
        even[j] = _mm512_maskz_unpacklo_pd((__mmask8)ALL, x, y);
        odd[j] = _mm512_maskz_unpackhi_pd((__mmask8)ALL, x, y);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        const __m512d* const from = i % 2 ? odd : even;
        const __m512i which = i < 2 ? low : high;
        const vf x = _mm512_castpd_ps(_mm512_permutex2var_pd(from[0], which, from[1]));
        const vf y = _mm512_castpd_ps(_mm512_permutex2var_pd(from[2], which, from[3]));
        float* const line = to + (i / 2 * 4 + i % 2) * VL;
        // Stores of one cache line that follow each other retire in one cycle: GCC may not mix them.
        _mm256_storeu_ps(line, _mm512_maskz_extractf32x8_ps((__mmask8)ALL, x, 0));
        _mm256_storeu_ps(line + 8, _mm512_maskz_extractf32x8_ps((__mmask8)ALL, y, 0));
        asm volatile("" ::: "memory");
        _mm256_storeu_ps(line + 2 * VL, _mm512_maskz_extractf32x8_ps((__mmask8)ALL, x, 1));
        _mm256_storeu_ps(line + 2 * VL + 8, _mm512_maskz_extractf32x8_ps((__mmask8)ALL, y, 1));
        asm volatile("" ::: "memory");
    }
}
QUERNEL_INLINE vf even_lanes(vf a, vf b) {
    return _mm512_permutex2var_ps(a, _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30), b);
}
QUERNEL_INLINE vf odd_lanes(vf a, vf b) {
    return _mm512_permutex2var_ps(a, _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31), b);
}
QUERNEL_INLINE vf load_even(const float* p) {  // by the load port: from a register it is a shuffle
    vf v;
    asm("vmovsldup %1, %0" : "=v"(v) : "m"(*reinterpret_cast<const vf*>(p)));
    return v;
}
QUERNEL_INLINE vf load_odd(const float* p) {
    vf v;
    asm("vmovshdup %1, %0" : "=v"(v) : "m"(*reinterpret_cast<const vf*>(p)));
    return v;
}
QUERNEL_INLINE vf set_pair(const float* p) {
    double two;
    __builtin_memcpy(&two, p, sizeof(two));
    return _mm512_castpd_ps(_mm512_set1_pd(two));
}
constexpr int TURN = 8;
QUERNEL_INLINE void load_turned(vf (&t)[TURN], const float* p, ptrdiff_t row) {
    // Rows are put side by side as they are loaded, on either vector port: 24 shuffles of the one port that can, where
    // half of a transpose has 32.
    constexpr __mmask16 ALL = 0xffff;
    const ptrdiff_t row4 = 4 * row;
    vf h[TURN];
#pragma GCC unroll 2
    for (int g = 0; g < TURN; g += 4, p += 2 * row4) {
        const float* q = p;
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j, q += row)
            h[g + j] = _mm512_castpd_ps(
                _mm512_maskz_insertf64x4((__mmask8)ALL, _mm512_castps_pd(_mm512_castps256_ps512(_mm256_loadu_ps(q))),
                                         _mm256_castps_pd(_mm256_loadu_ps(q + row4)), 1));
        const vf x0 = _mm512_maskz_unpacklo_ps(ALL, h[g], h[g + 1]), x1 = _mm512_maskz_unpackhi_ps(ALL, h[g], h[g + 1]);
        const vf y0 = _mm512_maskz_unpacklo_ps(ALL, h[g + 2], h[g + 3]),
                 y1 = _mm512_maskz_unpackhi_ps(ALL, h[g + 2], h[g + 3]);
        h[g] = _mm512_castpd_ps(_mm512_maskz_unpacklo_pd((__mmask8)ALL, _mm512_castps_pd(x0), _mm512_castps_pd(y0)));
        h[g + 1] =
            _mm512_castpd_ps(_mm512_maskz_unpackhi_pd((__mmask8)ALL, _mm512_castps_pd(x0), _mm512_castps_pd(y0)));
        h[g + 2] =
            _mm512_castpd_ps(_mm512_maskz_unpacklo_pd((__mmask8)ALL, _mm512_castps_pd(x1), _mm512_castps_pd(y1)));
        h[g + 3] =
            _mm512_castpd_ps(_mm512_maskz_unpackhi_pd((__mmask8)ALL, _mm512_castps_pd(x1), _mm512_castps_pd(y1)));
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {  // h[c] and h[4 + c]: columns c and 4 + c of rows 0-3, 4-7 and 8-11, 12-15
        t[c] = _mm512_maskz_shuffle_f32x4(ALL, h[c], h[4 + c], 0x88);
        t[4 + c] = _mm512_maskz_shuffle_f32x4(ALL, h[c], h[4 + c], 0xdd);
    }
}
QUERNEL_INLINE void transpose(vf (&r)[VL]) {
    // A full zero-mask costs nothing; g++ 12 warns of an uninitialised value inside the intrinsics without one.
    constexpr __mmask16 ALL = 0xffff;
    vf t[VL];
#pragma GCC unroll 8
    for (int i = 0; i < VL; i += 2) {
        t[i] = _mm512_maskz_unpacklo_ps(ALL, r[i], r[i + 1]);
        t[i + 1] = _mm512_maskz_unpackhi_ps(ALL, r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < VL; i += 4) {  // r[i + c] holds column c of four rows in each 128-bit part
        r[i] = _mm512_castpd_ps(
            _mm512_maskz_unpacklo_pd((__mmask8)ALL, _mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 1] = _mm512_castpd_ps(
            _mm512_maskz_unpackhi_pd((__mmask8)ALL, _mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 2] = _mm512_castpd_ps(
            _mm512_maskz_unpacklo_pd((__mmask8)ALL, _mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
        r[i + 3] = _mm512_castpd_ps(
            _mm512_maskz_unpackhi_pd((__mmask8)ALL, _mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
        t[c] = _mm512_maskz_shuffle_f32x4(ALL, r[c], r[4 + c], 0x88);
        t[4 + c] = _mm512_maskz_shuffle_f32x4(ALL, r[c], r[4 + c], 0xdd);
        t[8 + c] = _mm512_maskz_shuffle_f32x4(ALL, r[8 + c], r[12 + c], 0x88);
        t[12 + c] = _mm512_maskz_shuffle_f32x4(ALL, r[8 + c], r[12 + c], 0xdd);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
        r[c] = _mm512_maskz_shuffle_f32x4(ALL, t[c], t[8 + c], 0x88);
        r[8 + c] = _mm512_maskz_shuffle_f32x4(ALL, t[c], t[8 + c], 0xdd);
        r[4 + c] = _mm512_maskz_shuffle_f32x4(ALL, t[4 + c], t[12 + c], 0x88);
        r[12 + c] = _mm512_maskz_shuffle_f32x4(ALL, t[4 + c], t[12 + c], 0xdd);
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
