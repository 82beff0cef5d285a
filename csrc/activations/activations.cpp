// Activations: relu leaky_relu elu selu gelu sigmoid tanh softplus silu, and their gradients on float32.
//
// relu_dx, sigmoid_dx, tanh_dx take (dy, y), the others (dy, x).
// relu(x) = x <= 0 ? +0 : x, so NaN passes. softplus(x) = max(x, 0) + log1p(exp(-|x|)). The tanh form of gelu is
// x * sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3), which is x/2 (1 + tanh(u)) without its cancellation.
// floats: leaky_relu negative_slope; elu alpha; gelu 1 for the tanh form, 0 for erf (and the same for their gradients).
#include "map/map.hpp"
#include "simd/math.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr float SELU_SCALE = 1.05070098735548f, SELU_ALPHA = 1.67326324235437f;
constexpr float GELU_SCALE = 1.59576912160573f;                                                      // 2 sqrt(2/pi)
constexpr float GELU_CUBE = 0.044715f, ROOT_HALF = 0.707106781186548f, NORMAL = 0.398942280401433f;  // 1 / sqrt(2 pi)

QUERNEL_INLINE vf rectify(vf x) { return select(le(x, zero()), zero(), x); }
QUERNEL_INLINE vf rectify_dx(vf dy, vf y) { return select(le(y, zero()), zero(), dy); }
QUERNEL_INLINE vf leak(vf x, const float* p) { return select(gt(x, zero()), x, mul(set1(p[0]), x)); }
QUERNEL_INLINE vf leak_dx(vf dy, vf x, const float* p) { return select(gt(x, zero()), dy, mul(set1(p[0]), dy)); }
QUERNEL_INLINE vf elu1(vf x, const float* p) { return select(gt(x, zero()), x, mul(set1(p[0]), vexpm1(x))); }
QUERNEL_INLINE vf elu1_dx(vf dy, vf x, const float* p) {
    return select(gt(x, zero()), dy, mul(dy, mul(set1(p[0]), vexp(x))));
}
QUERNEL_INLINE vf selu1(vf x) {
    return mul(set1(SELU_SCALE), select(gt(x, zero()), x, mul(set1(SELU_ALPHA), vexpm1(x))));
}
QUERNEL_INLINE vf selu1_dx(vf dy, vf x) {
    return mul(mul(set1(SELU_SCALE), dy), select(gt(x, zero()), set1(1.0f), mul(set1(SELU_ALPHA), vexp(x))));
}

QUERNEL_INLINE vf gelu_argument(vf x, vf z) {
    return mul(mul(set1(GELU_SCALE), x), fma(set1(GELU_CUBE), z, set1(1.0f)));
}
QUERNEL_INLINE vf gelu_erf(vf x) {
    const vf half = mul(x, set1(0.5f));
    return mul(half, add(set1(1.0f), verf(mul(x, set1(ROOT_HALF)))));
}
QUERNEL_INLINE vf gelu_tanh(vf x) { return mul(x, vsigmoid(gelu_argument(x, mul(x, x)))); }
QUERNEL_INLINE vf gelu_erf_dx(vf dy, vf x) {
    const vf half = set1(0.5f), below = mul(half, add(set1(1.0f), verf(mul(x, set1(ROOT_HALF)))));
    const vf density = mul(set1(NORMAL), vexp(mul(mul(x, x), set1(-0.5f))));
    return mul(dy, fma(x, density, below));
}
QUERNEL_INLINE vf gelu_tanh_dx(vf dy, vf x) {
    vf rest;
    const vf one = set1(1.0f), z = mul(x, x), s = vsigmoid(gelu_argument(x, z), rest);
    const vf slope = mul(set1(GELU_SCALE), fma(set1(3 * GELU_CUBE), z, one));
    return mul(dy, fma(mul(x, slope), mul(s, rest), s));
}

QUERNEL_INLINE vf logistic(vf x) { return vsigmoid(x); }
QUERNEL_INLINE vf sigmoid_dx1(vf dy, vf y) { return mul(dy, mul(y, sub(set1(1.0f), y))); }
QUERNEL_INLINE vf tanh_dx1(vf dy, vf y) { return mul(dy, fnma(y, y, set1(1.0f))); }
QUERNEL_INLINE vf softplus1(vf x) {
    const vf top = select(le(x, zero()), zero(), x);
    return add(top, vlog1p(vexp_below(vneg(vabs(x)))));
}
QUERNEL_INLINE vf softplus1_dx(vf dy, vf x) { return mul(dy, vsigmoid(x)); }
QUERNEL_INLINE vf silu1(vf x) { return mul(x, vsigmoid(x)); }
QUERNEL_INLINE vf silu1_dx(vf dy, vf x) {
    vf rest;
    const vf s = vsigmoid(x, rest);
    return mul(dy, mul(s, fma(x, rest, set1(1.0f))));
}

constexpr MapOp RELU = {1, SAME, 1, {row1<rectify>}}, RELU_DX = {2, SAME, 1, {row2<rectify_dx>}};
constexpr MapOp LEAKY_RELU = {1, SAME, 2, {row1p<leak>}, 1}, LEAKY_RELU_DX = {2, SAME, 2, {row2p<leak_dx>}, 1};
constexpr MapOp ELU = {1, SAME, 24, {row1p<elu1>}, 1}, ELU_DX = {2, SAME, 20, {row2p<elu1_dx>}, 1};
constexpr MapOp SELU = {1, SAME, 24, {row1<selu1>}}, SELU_DX = {2, SAME, 20, {row2<selu1_dx>}};
constexpr MapOp GELU_ERF = {1, SAME, 40, {row1<gelu_erf>}, 1}, GELU_ERF_DX = {2, SAME, 60, {row2<gelu_erf_dx>}, 1};
constexpr MapOp GELU_TANH = {1, SAME, 30, {row1<gelu_tanh>}, 1}, GELU_TANH_DX = {2, SAME, 35, {row2<gelu_tanh_dx>}, 1};
constexpr MapOp SIGMOID = {1, SAME, 25, {row1<logistic>}}, SIGMOID_DX = {2, SAME, 3, {row2<sigmoid_dx1>}};
constexpr MapOp TANH = {1, SAME, 19, {row1<vtanh>}}, TANH_DX = {2, SAME, 2, {row2<tanh_dx1>}};
constexpr MapOp SOFTPLUS = {1, SAME, 45, {row1<softplus1>}}, SOFTPLUS_DX = {2, SAME, 26, {row2<softplus1_dx>}};
constexpr MapOp SILU = {1, SAME, 26, {row1<silu1>}}, SILU_DX = {2, SAME, 30, {row2<silu1_dx>}};

bool approximate(const Call& c) { return c.n_floats == 1 && c.floats[0] != 0; }

}  // namespace

QUERNEL_MAP(relu, RELU)
QUERNEL_MAP(relu_dx, RELU_DX)
QUERNEL_MAP(leaky_relu, LEAKY_RELU)
QUERNEL_MAP(leaky_relu_dx, LEAKY_RELU_DX)
QUERNEL_MAP(elu, ELU)
QUERNEL_MAP(elu_dx, ELU_DX)
QUERNEL_MAP(selu, SELU)
QUERNEL_MAP(selu_dx, SELU_DX)
QUERNEL_MAP(gelu, (approximate(c) ? GELU_TANH : GELU_ERF))
QUERNEL_MAP(gelu_dx, (approximate(c) ? GELU_TANH_DX : GELU_ERF_DX))
QUERNEL_MAP(sigmoid, SIGMOID)
QUERNEL_MAP(sigmoid_dx, SIGMOID_DX)
QUERNEL_MAP(tanh, TANH)
QUERNEL_MAP(tanh_dx, TANH_DX)
QUERNEL_MAP(softplus, SOFTPLUS)
QUERNEL_MAP(softplus_dx, SOFTPLUS_DX)
QUERNEL_MAP(silu, SILU)
QUERNEL_MAP(silu_dx, SILU_DX)

}  // namespace QUERNEL_ISA
}  // namespace quernel
