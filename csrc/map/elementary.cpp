// exp log log1p expm1 sqrt rsqrt erf floor sin cos on float32: simd/math.hpp over the map block.
//
// rsqrt is 1 / sqrt(x), two IEEE roundings. floor keeps the sign of zero.
#include "map/map.hpp"
#include "simd/math.hpp"
#include "simd/root.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

QUERNEL_INLINE vf root(vf x) { return quick_root(x); }
QUERNEL_INLINE vf reciprocal_root(vf x) { return div(set1(1.0f), quick_root(x)); }
QUERNEL_INLINE vf whole_below(vf x) {
    const vf near = to_float(to_int(x)), below = select(gt(near, x), sub(near, set1(1.0f)), near);
    return select(lt(vabs(x), set1(8388608.0f)), with_sign(below, sign_of(x)), x);  // from 2^23 on every float is whole
}

constexpr MapOp EXP = {1, SAME, 16, {row1<vexp>}}, LOG = {1, SAME, 20, {row1<vlog>}};
constexpr MapOp LOG1P = {1, SAME, 25, {row1<vlog1p>}}, EXPM1 = {1, SAME, 20, {row1<vexpm1>}};
constexpr MapOp SQRT = {1, SAME, 6, {row1<root>}}, RSQRT = {1, SAME, 12, {row1<reciprocal_root>}};
constexpr MapOp ERF = {1, SAME, 35, {row1<verf>}}, FLOOR = {1, SAME, 4, {row1<whole_below>}};
constexpr MapOp SIN = {1, SAME, 30, {row1<vsin>}}, COS = {1, SAME, 30, {row1<vcos>}};

}  // namespace

QUERNEL_MAP(exp, EXP)
QUERNEL_MAP(log, LOG)
QUERNEL_MAP(log1p, LOG1P)
QUERNEL_MAP(expm1, EXPM1)
QUERNEL_MAP(sqrt, SQRT)
QUERNEL_MAP(rsqrt, RSQRT)
QUERNEL_MAP(erf, ERF)
QUERNEL_MAP(floor, FLOOR)
QUERNEL_MAP(sin, SIN)
QUERNEL_MAP(cos, COS)

}  // namespace QUERNEL_ISA
}  // namespace quernel
