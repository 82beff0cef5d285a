// Elementary functions on vf: vexp vlog vlog1p vexpm1 vtanh vsigmoid verf vsin vcos vpow, each under 2 ulp of float64's
// answer.
//
// Range reduction, a minimax polynomial (Remez, coefficients rounded to float32 one by one and the rest refitted),
// reconstruction. FMA only where vec's fma/fnma is written, no libm, no estimates; a table only where it fits into
// registers (tanh): avx2 and avx512 agree bit for bit. `base` runs the same code with two roundings; constants that
// must multiply exactly there too carry few bits. Subnormal arguments count as zero and subnormal results are zero
// (kernels run under FTZ and DAZ). NaN gives NaN unless stated.
#pragma once
#include "simd/vec.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr float INF = __builtin_inff();
constexpr float TINY = 1.17549435e-38f;  // the smallest normal number

QUERNEL_INLINE vf vabs(vf x) { return floats(andi(bits(x), seti(0x7fffffff))); }
QUERNEL_INLINE vf vneg(vf x) { return floats(xori(bits(x), seti((int32_t)0x80000000u))); }
QUERNEL_INLINE vi sign_of(vf x) { return andi(bits(x), seti((int32_t)0x80000000u)); }
QUERNEL_INLINE vf with_sign(vf magnitude, vi sign) { return floats(ori(bits(magnitude), sign)); }
QUERNEL_INLINE vf power_of_two(vi n) { return floats(shl<23>(addi(n, seti(127)))); }  // n in [-126, 127]

// v rounded to a whole number, ties to even, |v| < 2^22; n's low 22 bits hold it too. Larger v and NaN: neither means
// anything. The sum with 1.5 * 2^23 has no place left for a fraction: one instruction less than to_int and to_float.
QUERNEL_INLINE vf whole(vf v, vi& n) {
    const vf shifted = add(v, set1(12582912.0f));
    n = bits(shifted);
    return sub(shifted, set1(12582912.0f));
}

// Horner's rule: c0 + x * (c1 + x * (...)).
QUERNEL_INLINE vf poly(vf, float c) { return set1(c); }
template <class... Rest>
QUERNEL_INLINE vf poly(vf x, float c, Rest... rest) {
    return fma(poly(x, rest...), x, set1(c));
}

constexpr float LOG2E = 1.44269504f;
constexpr float LN2_HIGH = 0.693359375f;  // 10 bits: times any exponent it is exact
constexpr float LN2_LOW = -2.12194440e-4f;

// exp(r) = 1 + r + r^2 * exp_tail(r) for |r| <= ln(2)/2; relative to r the error is 2^-26.
QUERNEL_INLINE vf exp_tail(vf r) { return poly(r, 0.5f, 0.16666539f, 0.041666612f, 0.00836710352f, 0.0013916801f); }

// exp(x) = p * 2^m, x = m ln2 + r, |r| <= ln(2)/2; n's low 22 bits are m.
QUERNEL_INLINE vf exp_parts(vf x, vf& m, vi& n) {
    m = whole(mul(x, set1(LOG2E)), n);
    const vf high = fnma(m, set1(LN2_HIGH), x), r = fnma(m, set1(LN2_LOW), high);
    const vf rest = fnma(m, set1(LN2_LOW), sub(high, r));  // what rounding r dropped
    return add(set1(1.0f), add(r, fma(mul(r, r), exp_tail(r), rest)));
}

// exp(x) for |x| below 87, anything for NaN.
QUERNEL_INLINE vf exp_core(vf x) {
    vf m;
    vi n;
    const vf p = exp_parts(x, m, n);
    return floats(addi(bits(p), shl<23>(n)));
}

// exp(x): inf above 88.72283, 0 below -87.33654.
QUERNEL_INLINE vf vexp(vf x) {
#if defined(__AVX512F__)
    vf m;
    vi n;
    const vf p = exp_parts(smaller(larger(x, set1(-88.0f)), set1(89.0f)), m, n);
    return _mm512_maskz_scalef_ps(ALL, p, m);  // gives inf and, under FTZ, 0: one instruction for those of a check
#else
    const vf y = exp_core(x);
    if (!any(m_not(lt(vabs(x), set1(87.3365402f))))) return y;  // a check of 3 instructions for 4
    const vf high = select(gt(x, set1(88.7228317f)), set1(INF), y);
    return select(isnan(x), x, select(lt(x, set1(-87.3365402f)), zero(), high));
#endif
}

// vexp for arguments that are at most 0, or NaN.
QUERNEL_INLINE vf vexp_below(vf x) {
    const vf y = exp_core(x);
    const vm usual = ge(x, set1(-87.3365402f));
    return any(m_not(usual)) ? select(usual, y, select(isnan(x), x, zero())) : y;
}

// exp(x) - 1 = 2 * (q * s + (s - 1/2)), q = exp(r) - 1, s = 2^(n-1).
QUERNEL_INLINE vf vexpm1(vf x) {
    vi n;
    const vf m = whole(mul(x, set1(LOG2E)), n);
    const vf high = fnma(m, set1(LN2_HIGH), x);
    const vf r = fnma(m, set1(LN2_LOW), high);
    const vf rest = fnma(m, set1(LN2_LOW), sub(high, r));
    const vf q = add(r, fma(mul(r, r), exp_tail(r), rest));
    const vf s = power_of_two(subi(n, seti(1)));
    const vf y = fma(q, s, sub(s, set1(0.5f)));
    const vf result = select(gt(x, set1(88.7228317f)), set1(INF), select(lt(x, set1(-18.0f)), set1(-1.0f), add(y, y)));
    const vf small = fma(mul(x, x), set1(0.5f), x);  // below, q * s would be subnormal
    return with_sign(select(lt(vabs(x), set1(1e-30f)), small, result), sign_of(x));
}

// x = 2^e * m with m in [sqrt(1/2), sqrt(2)), for normal positive x.
QUERNEL_INLINE vf split_exponent(vf x, vi& e) {
    e = sar<23>(subi(bits(x), seti(0x3f3504f3)));  // bits of sqrt(1/2)
    return floats(subi(bits(x), shl<23>(e)));
}

// log(1 + f) + e ln2 for f in [sqrt(1/2) - 1, sqrt(2) - 1].
QUERNEL_INLINE vf log_core(vf f, vi e) {
    const vf tail = poly(f, 0.333333135f, -0.250001669f, 0.200022236f, -0.166593596f, 0.142095715f, -0.125498667f,
                         0.120826952f, -0.109671943f, 0.0562953912f);
    const vf f2 = mul(f, f), m = to_float(e);
    const vf low = fma(m, set1(LN2_LOW), fma(mul(f2, f), tail, mul(f2, set1(-0.5f))));
    return fma(m, set1(LN2_HIGH), add(f, low));
}

// Whether a lane is no positive normal number; every such number's bits, moved by 2^31 - 2^23, are below -2^24.
QUERNEL_INLINE bool any_odd(vf x) { return any(gti(addi(bits(x), seti(0x7f800000)), seti(-0x01000001))); }

// log(x): -inf at zero, NaN below.
QUERNEL_INLINE vf vlog(vf x) {
    vi e;
    const vf m = split_exponent(x, e);
    const vf y = log_core(sub(m, set1(1.0f)), e);
    if (!any_odd(x)) return y;  // a check of 3 instructions for 8, of 29
    const vf low = select(gt(x, set1(-TINY)), set1(-INF), set1(__builtin_nanf("")));
    return select(ge(x, set1(TINY)), select(eq(x, set1(INF)), x, y), select(isnan(x), x, low));
}

// log(1 + x) = log(u) with the part c of 1 + x that u = fl(1 + x) lost put back into the fraction.
QUERNEL_INLINE vf vlog1p(vf x) {
    const vf one = set1(1.0f), u = add(one, x);
    const vf c = select(gt(x, one), sub(one, sub(u, x)), sub(x, sub(u, one)));
    vi e;
    const vf m = split_exponent(u, e);
    const vf lost = select(lt(x, set1(67108864.0f)), mul(c, power_of_two(subi(seti(0), e))), zero());
    const vf y = with_sign(log_core(add(sub(m, one), lost), e), sign_of(x));
    const vf low = select(eq(x, set1(-1.0f)), set1(-INF), set1(__builtin_nanf("")));
    return select(gt(x, set1(-1.0f)), select(eq(x, set1(INF)), x, y), select(isnan(x), x, low));
}

// tanh(x) = c0 + t (c1 + t (... c7)), t = |x| - middle, in 8 intervals of |x|: 0, 1/3, 2/3, 4/3, 2, 10/3, 14/3, 22/3
// and up; from 9.02 on it is 1. They begin where 1.5 |x| + 1 begins half an octave, so that three of its bits name
// them. Middles are chosen so that tanh there is a float, c0, but for 2^-36. At most 1.04 ulp, 22 instructions, no
// division.
alignas(64) constexpr float TANH_PARTS[9][8] = {
    {1.0001992f, 1.66649508f, 2.66599011f, 4.00077772f, 6.00039864f, 8.31776619f, 0.0f, 0.499878943f},         // middle
    {0.761677802f, 0.931086779f, 0.990377545f, 0.999330342f, 0.999987721f, 0.999999881f, 0.0f, 0.462021947f},  // c0
    {0.419846892f, 0.133077413f, 0.0191523489f, 0.00133886631f, 2.45474275e-05f, 2.38397988e-07f, 1.0f,
     0.78653574f},  // c1
    {-0.319789737f, -0.123906381f, -0.0189678278f, -0.00133803568f, -2.46511518e-05f, -2.38428385e-07f,
     -2.62278832e-07f, -0.363396764f},  // c2
    {0.103629582f, 0.0710085258f, 0.0124005005f, 0.000890831929f, 1.64399989e-05f, 1.59256587e-07f, -0.333318502f,
     -0.0942874327f},  // c3
    {0.0277582332f, -0.0248262621f, -0.00596195413f, -0.000443322089f, -7.8683488e-06f, -7.93283235e-08f,
     -0.00027687379f, 0.164686203f},  // c4
    {-0.0463677272f, 0.00239440985f, 0.00220043771f, 0.000176392496f, 3.14713839e-06f, 3.06101491e-08f, 0.135663733f,
     -0.0267363675f},  // c5
    {0.0174759645f, 0.00350047601f, -0.000599096064f, -6.16588659e-05f, -1.38749806e-06f, -1.12184466e-08f,
     -0.00945315231f, -0.0499496832f},  // c6
    {0.0033001774f, -0.00260222075f, 8.82631866e-05f, 1.71761403e-05f, 3.95310707e-07f, 4.38873204e-09f, -0.0379202478f,
     0.0190996099f},  // c7
};
QUERNEL_INLINE vf vtanh(vf x) {
    const vf a = smaller(vabs(x), set1(9.02f));
    const vi i = shr<22>(bits(fma(a, set1(1.5f), set1(1.0f))));  // mod 8: 6, 7, 0, 1, ... 5
    const vf t = sub(a, pick(TANH_PARTS[0], i));
    vf y = pick(TANH_PARTS[8], i);
#pragma GCC unroll 8
    for (int k = 7; k >= 1; --k) y = fma(y, t, pick(TANH_PARTS[k], i));
    return with_sign(y, sign_of(x));
}

// 1 / (1 + exp(-x)) as e / (1 + e) below 0 and 1 / (1 + e) above, e = exp(-|x|); `lost` is what rounding 1 + e dropped.
// `rest` is 1 - sigmoid(x) = sigmoid(-x) without cancellation.
QUERNEL_INLINE vf vsigmoid(vf x, vf& rest) {
    const vf one = set1(1.0f), e = vexp_below(vneg(vabs(x)));
    const vf d = add(one, e), lost = sub(e, sub(d, one));
    const vm below = lt(x, zero());
    const vf q = div(select(below, e, one), d), p = div(select(below, one, e), d);
    rest = fnma(p, lost, p);
    return fnma(q, lost, q);
}
QUERNEL_INLINE vf vsigmoid(vf x) {
    vf rest;
    return vsigmoid(x, rest);
}

// erf(x): x * (1 + poly(x^2)) below 0.9, else 1 - exp(poly(|x|)), the polynomial being log(erfc).
QUERNEL_INLINE vf verf(vf x) {
    const vf a = vabs(x), z = mul(a, a);
    const vf factor = poly(z, 0.128379166f, -0.376126289f, 0.112836242f, -0.0268555861f, 0.00519193662f,
                           -0.000804362935f, 7.96841123e-05f);
    const vf near = mul(a, add(set1(1.0f), factor));  // a * factor alone would be subnormal too early
    const vf b = smaller(a, set1(4.0f));
    const vf far = sub(set1(1.0f), exp_core(poly(b, 0.000170550658f, -1.12949514f, -0.633386672f, -0.108236626f,
                                                 0.0250915382f, -0.00416056113f, 0.000432315283f, -2.09113568e-05f)));
    return with_sign(select(ge(a, set1(0.9f)), far, near), sign_of(x));
}

// x = n pi/2 + r for |x| > 4096, exact in integers: 2/pi to 224 bits, of which the 96 that matter for x are multiplied.
// Lane by lane, for such arguments are rare. Gives n mod 4 and r with |r| <= pi/4; NaN for infinities.
inline float reduce_large(float x, int32_t& n) {
    static constexpr uint32_t two_over_pi[] = {0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u,
                                               0xdb629599u, 0x3c439041u, 0xfe5163abu};
    uint32_t b;
    __builtin_memcpy(&b, &x, 4);
    const int shift = (int)(b >> 23 & 255) - 150;  // x = mantissa * 2^shift, shift in [-11, 104]
    n = 0;
    if (shift > 104) return __builtin_nanf("");
    const uint64_t mantissa = (b & 0x7fffffu) | 0x800000u;
    // Bits of 2/pi from position `from` on (position 0 is worth 1/2): mantissa * 2^shift * bit is below 4 only from
    // shift + 24 - 2 - 24 on.
    const int from = shift > 2 ? shift - 2 : 0;
    const int word = from / 32, within = from % 32;
    auto bits32 = [&](int i) -> uint64_t {
        const uint64_t high = two_over_pi[word + i], low = two_over_pi[word + i + 1];
        return (high << 32 | low) << within >> 32;
    };
    // product = mantissa * 96 bits, worth 2^(shift - from - 96); its bits from 2^2 up fall off the top of 128 bits'
    // lower part.
    const uint64_t p2 = mantissa * bits32(2), p1 = mantissa * bits32(1) + (p2 >> 32),
                   p0 = mantissa * bits32(0) + (p1 >> 32);
    uint64_t high = p0,
             low = p1 << 32 | (p2 & 0xffffffffu);  // high: units of 2^(shift - from - 32), low: the 64 bits below
    const int left = 30 + shift - from;  // in [19, 32]: moves the bit worth 2 to the top of high: n in the top two bits
    high = high << left | low >> (64 - left);
    low <<= left;
    n = (int32_t)(high >> 62);
    int64_t fraction = (int64_t)(high << 2 | low >> 62);  // in units of 2^-64, as a signed number: n rounds to nearest
    if (fraction < 0) n = (n + 1) & 3;
    double r = (double)fraction * (1.5707963267948966 / 18446744073709551616.0);
    if (b >> 31) n = (4 - n) & 3, r = -r;
    return (float)r;
}

// sin(x + quarter * pi/2) for quarter 0 or 1. x = n pi/2 + r + rest; pi/2 in four parts, the first three of 12 bits: n
// times those is exact, so r loses nothing when most of x cancels.
QUERNEL_INLINE vf sine(vf x, int32_t quarter) {
    vi n;
    const vf m = whole(mul(x, set1(0.636619772f)), n), part = set1(-4.45358455e-06f);
    const vf r1 = fnma(m, set1(1.57080078f), x), r2 = fnma(m, part, r1), lost = fnma(m, part, sub(r1, r2));
    const vf c2 = fnma(m, set1(-8.70613803e-10f), lost), r3 = add(r2, c2);
    const vf c3 = fnma(m, set1(6.22337197e-14f), add(sub(r2, r3), c2));
    vf r = add(r3, c3), rest = add(sub(r3, r), c3);
    const vm large = m_not(le(vabs(x), set1(4096.0f)));
    if (__builtin_expect(any(large), 0)) {
        float xs[VL], rs[VL];
        int32_t ns[VL];
        storeu(xs, x);
        storeu(rs, r);
        storei(ns, n);
        for (int i = 0; i < VL; ++i)
            if (!(xs[i] <= 4096.0f && xs[i] >= -4096.0f)) rs[i] = reduce_large(xs[i], ns[i]);
        r = loadu(rs);
        rest = select(large, zero(), rest);
        n = loadi(ns);
    }
    n = addi(n, seti(quarter));
    const vf z = mul(r, r);
    const vf s = add(r, fma(mul(z, r), poly(z, -0.166666552f, 0.00833219197f, -0.000195187822f), rest));
    const vf c4 = poly(z, 0.0416666456f, -0.00138873013f, 2.44306866e-05f);
    const vf c = add(fnma(z, set1(0.5f), set1(1.0f)), fnma(r, rest, mul(mul(z, z), c4)));
    const vf y = select(gti(seti(0), shl<31>(n)), c, s);
    return floats(xori(bits(y), andi(shl<30>(n), seti((int32_t)0x80000000u))));
}
QUERNEL_INLINE vf vsin(vf x) {
    return with_sign(sine(x, 0), selecti(lt(vabs(x), set1(1.0f)), sign_of(x), seti(0)));  // -0 keeps its sign
}
QUERNEL_INLINE vf vcos(vf x) { return sine(x, 1); }

// |x|^y through log2 in two floats: log(m) = 2 atanh(s), s = (m - 1) / (m + 1), every product of the leading terms with
// its rest.
QUERNEL_INLINE vf pow_core(vf x, vf y) {
    vi e;
    const vf one = set1(1.0f), m = split_exponent(x, e);
    const vf f = sub(m, one), d = add(m, one), d_rest = sub(m, sub(d, one));
    const vf s = div(f, d), sd = mul(s, d);
    const vf s_rest = div(fnma(s, d_rest, sub(sub(f, sd), mul_rest(s, d, sd))), d);
    const vf z = mul(s, s), z_rest = add(mul_rest(s, s, z), mul(mul(s, set1(2.0f)), s_rest));
    // t = z/3 + z^2 (1/5 + z/7 + ...), in two floats.
    const vf third = set1(0.333333343f), p = mul(z, third);
    const vf p_rest = add(mul_rest(z, third, p), fma(z, set1(-9.93410776e-09f), mul(z_rest, third)));
    const vf q = mul(mul(z, z), poly(z, 0.200000763f, 0.142735377f, 0.117101416f));
    const vf t = add(p, q), t_rest = add(add(sub(p, t), q), p_rest);
    // l = s + s t.
    const vf c = mul(s, t), c_rest = add(mul_rest(s, t, c), fma(s, t_rest, mul(s_rest, t)));
    const vf l = add(s, c), l_rest = add(add(sub(s, l), c), add(s_rest, c_rest));
    // g = l * 2 / ln2, h = e + g.
    const vf k = set1(2.88539004f), g = mul(l, k);
    const vf g_rest = add(mul_rest(l, k, g), fma(l, set1(3.85192598e-08f), mul(l_rest, k)));
    const vf ef = to_float(e), h0 = add(ef, g), h0_rest = add(add(sub(ef, h0), g), g_rest);
    const vf h = add(h0, h0_rest), h_rest = add(sub(h0, h), h0_rest);
    const vf tiny = select(lt(x, set1(TINY)), set1(-INF), select(eq(x, set1(INF)), x, h));
    // w = y h; beyond 200 the power is 0 or inf whatever the rest.
    vf w = mul(y, tiny);
    const vm small = lt(vabs(w), set1(200.0f));
    const vf w_rest = select(small, fma(y, h_rest, mul_rest(y, h, w)), zero());
    w = select(small, w, select(gt(w, zero()), set1(200.0f), select(lt(w, zero()), set1(-200.0f), w)));
    const vi n = to_int(w);
    const vf r = mul(add(sub(w, to_float(n)), w_rest), set1(0.693147182f));
    const vf v = add(one, fma(mul(r, r), exp_tail(r), r));
    const vi half = sar<1>(n);
    return mul(mul(v, power_of_two(half)), power_of_two(subi(n, half)));
}

// x^y as IEEE 754 has it: x^0 = 1^y = 1 even for NaN; a negative x needs an integer y.
QUERNEL_INLINE vf vpow(vf x, vf y) {
    const vf one = set1(1.0f), a = vabs(x), b = vabs(y);
    const vm small = lt(b, set1(16777216.0f));  // from 2^24 on every float is an even integer
    const vi n = to_int(select(small, y, zero()));
    const vm whole = m_or(m_not(small), eq(to_float(n), y));
    const vm odd = m_and(m_and(small, whole), eqi(andi(n, seti(1)), seti(1)));
    vf v = pow_core(a, y);
    v = select(eq(a, one), select(isnan(y), y, one), v);
    v = select(isnan(x), x, v);
    v = select(odd, floats(xori(bits(v), sign_of(x))), v);
    v = select(m_and(lt(x, zero()), m_not(whole)), select(eq(a, set1(INF)), v, set1(__builtin_nanf(""))), v);
    return select(m_or(eq(y, zero()), eq(x, one)), one, v);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
