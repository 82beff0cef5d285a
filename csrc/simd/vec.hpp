// The vector contract every kernel is written against. One short header per ISA defines, in the ISA's namespace:
//
//   constexpr int VL                 float32 lanes of one vector (16, 8, 4)
//   vf, vi, vm                       vectors of VL float32 / int32, and a mask of VL lanes
//   loadu(p) load_n(p, n)            n in [0, VL]: lanes >= n read nothing and give 0
//   held(v)                          v, in a register: GCC would load it again for each use, twice where it crosses a
//                                    cache line
//   storeu(p, v) store_n(p, v, n)    lanes >= n write nothing
//   stream(p, v)                     p a multiple of the vector's size: past the caches where the ISA can; stream_end()
//                                    after the last one, before another rank may read
//   set1(x) zero()                   broadcast
//   add sub mul div fma(a,b,c)=a*b+c fnma(a,b,c)=c-a*b sqrt
//   mul_rest(a, b, p) = a*b - p      with one rounding on every ISA: what the rounded product p lost
//   lt le gt ge eq (vf, vf) -> vm    ordered compares: false where either is NaN
//   isnan(v) -> vm; ordered(a, b) -> vm: neither is NaN, one compare for both
//   select(m, a, b)                  m ? a : b, lane by lane
//   larger(a, b) smaller(a, b)       b > a ? b : a and b < a ? b : a, so a where either is NaN and where both are zeros
//   m_and m_or m_not; any(m); first_n(n) -> vm; m_bits(m) -> unsigned, bit l for lane l
//   swap<k>(v) swapi<k>(v)           lane l takes lane l xor k (k a power of two below VL); first(v) firsti(v): lane 0
//   bits(vf) -> vi, floats(vi) -> vf reinterpretation
//   seti(x) addi subi muli andi ori xori shl<k> shr<k>(logical) sar<k>(arithmetic) eqi gti -> vm, selecti(m, a, b)
//   mul_wide(a, b, low, high)        unsigned 32 x 32 -> 64 bits
//   to_int(vf) -> vi                 round to nearest even, |v| < 2^31
//   to_float(vi) -> vf
//   loadi(p) loadi_n(p, n) storei(p, v) storei_n(p, v, n)
//   load_bytes(p, n) store_bytes(p, v, n)   n bytes as int32 lanes; the low bytes of n lanes
//   pick(t, i)                       lane l takes t[i_l mod 8]; t: 8 floats, best a static table, kept in a register
//   store_pairs(to, vf (&r)[VL / 2]) pair of lanes p of row j to to[p * VL + 2 * j]: VL / 2 rows side by side
//   load_even(p) load_odd(p)         lanes 2l and 2l + 1 both p[2l], or both p[2l + 1]
//   set_pair(p)                      p[0] and p[1] in turns
//   even_lanes(a, b) odd_lanes(a, b) lanes 0, 2, ... or 1, 3, ... of a, then those of b
//   transpose(vf (&r)[VL])           r[i][j] <-> r[j][i], in registers
//   load_turned(t, p, row)           t[i][j] = p[j * row + i], i < TURN, j < VL: cheaper than loads and a transpose
//
// There is no raw min or max: x86 and NEON differ on NaN and on signed zeros. `larger` and `smaller` are compare +
// select; x86 happens to have an instruction for them. FMA happens only where `fma`/`fnma` is written
// (-ffp-contract=off). On `base` fma is a*b+c with two roundings: base is outside the bit promise. Tails run through
// the same code with load_n and store_n.
#pragma once
#include <cstddef>
#include <cstdint>

#define QUERNEL_INLINE inline __attribute__((always_inline))

#if defined(__AVX512F__) && defined(QUERNEL_HAS_AVX512)
#include "simd/vec_avx512.hpp"
#elif defined(__AVX2__) && defined(QUERNEL_HAS_AVX2)
#include "simd/vec_avx2.hpp"
#else
#include "simd/vec_base.hpp"
#endif
