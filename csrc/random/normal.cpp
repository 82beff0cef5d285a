// random_normal (Box-Muller) and random_truncated_normal (inverse of the distribution function), y = z * stddev + mean.
//
// floats: mean, stddev, each rounded to float32.
// Normal: words a and b of a block (0 and 1, or 2 and 3) give r = sqrt(-2 log((a >> 8) + 1) 2^-24) and the angle
// 2 pi (b >> 8) 2^-24; r cos and r sin take the places of a and b. |z| < 5.77.
// Truncated: k = word >> 8 gives the quantile 1/2 + (2 k + 1 - 2^24) 2^-25 (Phi(2) - Phi(-2)) of the normal
// distribution.
#include "random/philox.hpp"
#include "simd/math.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

bool prepare(Call& c, double flops) {
    if (c.n_in != 1 || c.n_out != 1 || c.n_floats != 2)
        return refuse(c, "expected a state, one output, mean and stddev");
    if (!is_state(c.in[0])) return refuse(c, "state: expected three int64");
    if (c.out[0].dtype != F32) return refuse(c, "expected a float32 output");
    estimate(c, c.out[0].size(), 4, GROUP, flops);
    return true;
}

// The angle is reduced in integers: k = quarter * 2^22 + rest, |rest| <= 2^21, so both functions see at most pi / 4.
QUERNEL_INLINE void box_muller(vi a, vi b, vf& x, vf& y) {
    const vf radius = sqrt(mul(set1(-2.0f), vlog(mul(to_float(addi(shr<8>(a), seti(1))), set1(0x1p-24f)))));
    const vi k = shr<8>(b), quarter = shr<22>(addi(k, seti(1 << 21)));
    const vf angle = mul(to_float(subi(k, shl<22>(quarter))), set1((float)(6.283185307179586 * 0x1p-24)));
    const vf s = vsin(angle), c = vcos(angle);
    const vm swap = eqi(andi(quarter, seti(1)), seti(1));
    const vi sign_x = shl<30>(andi(addi(quarter, seti(1)), seti(2))), sign_y = shl<30>(andi(quarter, seti(2)));
    x = mul(radius, floats(xori(bits(select(swap, s, c)), sign_x)));
    y = mul(radius, floats(xori(bits(select(swap, c, s)), sign_y)));
}

// Source: M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 37
// (1988), PPND7. Within two standard deviations two of its three branches are enough.
QUERNEL_INLINE vf truncated(vi word) {
    const vi odd = subi(addi(shl<1>(shr<8>(word)), seti(1)), seti(1 << 24));  // 2 k + 1 - 2^24: exact, odd, never 0
    const vf q = mul(to_float(odd), set1(0.954499736f * 0x1p-25f));           // Phi(2) - Phi(-2)
    const vf t = fnma(q, q, set1(0.180625f));
    const vf middle = div(mul(q, poly(t, 3.3871327179f, 50.434271938f, 159.29113202f, 59.10937472f)),
                          poly(t, 1.0f, 17.895169469f, 78.757757664f, 67.187563600f));
    const vf size = floats(andi(bits(to_float(odd)), seti(0x7fffffff)));
    const vf tail = fma(sub(set1(0x1p24f), size), set1(0.954499736f * 0x1p-25f), set1(0.0227501319f));  // Phi(-|z|)
    const vf s = sub(sqrt(sub(zero(), vlog(tail))), set1(1.6f));
    vf outer = div(poly(s, 1.4234372777f, 2.75681539f, 1.3067284816f, 0.17023821103f),
                   poly(s, 1.0f, 0.7370016425f, 0.12021132975f));
    outer = select(gt(outer, set1(2.0f)), set1(2.0f), outer);
    outer = floats(ori(bits(outer), andi(bits(q), seti((int32_t)0x80000000u))));
    return select(le(floats(andi(bits(q), seti(0x7fffffff))), set1(0.425f)), middle, outer);
}

}  // namespace

bool random_normal_prepare(Call& c) { return prepare(c, 60); }

void random_normal_run(const Call& c, const Team& team, char*) {
    const Stream stream(c.in[0]);
    const vf mean = set1((float)c.floats[0]), stddev = set1((float)c.floats[1]);
    fill_groups<float>(c.out[0], GROUP, team, [&](int64_t g, float* y) {
        uint32_t words[GROUP];
        stream.group(g, words);
        const int32_t* w = reinterpret_cast<const int32_t*>(words);
        for (int pair = 0; pair < GROUP; pair += 2 * LANES)
            for (int i = pair; i < pair + LANES; i += VL) {
                vf a, b;
                box_muller(loadi(w + i), loadi(w + i + LANES), a, b);
                storeu(y + i, add(mul(a, stddev), mean));
                storeu(y + i + LANES, add(mul(b, stddev), mean));
            }
    });
}

bool random_truncated_normal_prepare(Call& c) { return prepare(c, 60); }

void random_truncated_normal_run(const Call& c, const Team& team, char*) {
    const Stream stream(c.in[0]);
    const vf mean = set1((float)c.floats[0]), stddev = set1((float)c.floats[1]);
    fill_groups<float>(c.out[0], GROUP, team, [&](int64_t g, float* y) {
        uint32_t words[GROUP];
        stream.group(g, words);
        const int32_t* w = reinterpret_cast<const int32_t*>(words);
        for (int i = 0; i < GROUP; i += VL) storeu(y + i, add(mul(truncated(loadi(w + i)), stddev), mean));
    });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
