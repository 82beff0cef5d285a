// loss: the four losses and their gradients. float32; any strides; no aliasing; every sum and maximum in fold's order.
//
// t is the target, x the prediction, n the size of the last axis, L the loss, dy its gradient, dx that of the
// prediction. LOW = float32(1e-7), HIGH = float32(1 - 1e-7); clip(p) keeps p in [LOW, HIGH], NaN passes; outside it the
// gradient is 0.
//
//   mean_squared_error    L = sum((t - x)^2) / n                          dx_i = (x_i - t_i) * (2 dy / n)
//   binary_crossentropy   elementwise. logits: L = (relu(x) - x t) + log1p(exp(-|x|))      dx = (sigmoid(x) - t) dy
//                         p = clip(x): L = -(t log(p) + (1 - t) log(1 - p))     dx = ((1 - t) / (1 - p) - t / p) dy
//   categorical           m = max(x), s = sum(exp(x - m))
//                         logits: L = -sum(t ((x - m) - log(s)))          dx_i = (exp(x_i - m) / s * sum(t) - t_i) dy
//                         S = sum(x), q = x / S: L = -sum(t log(clip(q)))
//                         dx_i = (C / S - u_i) dy, u_i = t_i / x_i inside the clip, else 0, C = sum of t inside the
//                         clip
//   sparse_categorical    t an integer (int32, int64, uint8) per row: one outside [0, n) sets the bad-index flag
//                         logits: L = log(s) - (x_t - m)                  dx_i = exp(x_i - m) / s * dy, i = t: (... -
//                         1) dy L = -log(clip(x_t))                             dx_t = -dy / x_t, the others 0
//
// Ints: none for mean_squared_error, [from_logits] for the others. Inputs in the order of the docstrings of kernels/.
// L has x's shape less the last axis (binary_crossentropy: x's shape). An empty row has mean NaN and cross-entropy 0.
#pragma once
#include "fold/rows.hpp"
#include "simd/math.hpp"
#include "softmax/softmax.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr float LOW = 1.0000000116860974e-07f;  // float32(1e-7)
constexpr float HIGH = 0.99999988079071045f;    // float32(1 - 1e-7)

QUERNEL_INLINE vf clip_probability(vf p) {
    return select(lt(p, set1(LOW)), set1(LOW), select(gt(p, set1(HIGH)), set1(HIGH), p));
}
QUERNEL_INLINE vm outside(vf p) { return m_or(lt(p, set1(LOW)), gt(p, set1(HIGH))); }

}  // namespace QUERNEL_ISA
}  // namespace quernel
