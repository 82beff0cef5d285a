// rim: gradients dy that are +0 from position `live` on, along some axis, because a pool dropped what lies there.
//
// conv_dx and conv_dw leave those terms out: of an 11 x 11 map pooled by 2 that is every sixth. The bits are those of
// the whole sum, because fma(+-0, w, s) is s, with two exceptions, which are looked for:
//   w is infinite or NaN   the term is NaN. `all_finite` reads what such terms would be multiplied by.
//   s is -0                the term may turn it into +0. A chain starts from +0 and gets to -0 only where a negative
//                          product or sum underflows. From there both sums stay apart (-0 without, +0 with the terms)
//                          or meet again for good at the next term or block that is not zero; so where the result
//                          without them is not -0, it is the whole one. `no_negative_zero` reads results.
// Where either is found, the rank that found it computes its part again, with all terms.
#pragma once
#include "conv/conv.hpp"

namespace quernel {
namespace QUERNEL_ISA {

// n floats, `step` apart.
using Holds = bool (*)(const float* p, int64_t n, ptrdiff_t step);
bool all_finite(const float* p, int64_t n, ptrdiff_t step);
bool no_negative_zero(const float* p, int64_t n, ptrdiff_t step);

// Whether `holds` for all channels of the positions of x that meet an output beyond `live`: images [n), rows [h).
bool rim_holds(const Images& x, const Axis* axis, Range n, Range h, int64_t channels, Holds holds);

// Whether all weights are numbers: others make products with 0 that are none.
bool weights_finite(const Gather& g);

}  // namespace QUERNEL_ISA
}  // namespace quernel
