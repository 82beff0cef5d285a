// divide_no_nan: y = x1 / x2, and +0 where x2 is 0. float32; a NaN in x2 passes.
#include "map/map.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

QUERNEL_INLINE vf guarded(vf a, vf b) { return select(eq(b, zero()), zero(), div(a, b)); }

constexpr MapOp DIVIDE_NO_NAN = {2, SAME, 5, {row2<guarded>}};

}  // namespace

bool divide_no_nan_prepare(Call& c) { return map_prepare(c, DIVIDE_NO_NAN); }
void divide_no_nan_run(const Call& c, const Team& team, char*) { map_run(c, team); }

}  // namespace QUERNEL_ISA
}  // namespace quernel
