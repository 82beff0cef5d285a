// gru: a layer of gated recurrent units over whole sequences. Gates in the order update, reset, candidate.
//
//   gru_forward   z (n, t, 3k), u (k, 3k), b? (3k,), h? (n, k), mask? (n, t) bool, dropout? (n, k)
//                 -> y (n, t, k), h (n, k), gates (t, n, 4k)
//   gru_dx        y, gates, u, dy? (n, t, k), dh? (n, k), b?, h?, mask?, dropout? -> dz, du, db, dh0
//   ints: activation f, recurrent activation g (NO_ACTIVATION, RELU, SIGMOID, TANH), reset_after, go_backwards
//
// At each step, with d = dropout * h and products S = d u in dot's order:
//   update = g(z_u + (S_u + b_u)), reset = g(z_r + (S_r + b_r))
//   reset_after:  q = S_c + b_c,    candidate = f(fma(reset, q, z_c))
//   else:         q = reset * d,    candidate = f(z_c + q u_c)
//   h = fma(update, h, (1 - update) * candidate)
// gates holds update, reset, candidate, q of each step; zeros where the mask ends a row's step and h stays.
// Steps count from 0 in the order of processing; z, mask and dz are read and written at `time`.
#pragma once
#include "rnn/arrays.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace gru {

using namespace recurrent;

struct Sizes {
    int64_t n, t, k;
    Activation f, g;
    bool after, backwards;

    int64_t time(int64_t step) const { return backwards ? t - 1 - step : step; }
};
// Checks the attributes and fills everything but n, t, k.
bool read_attributes(Call& call, Sizes& s);

// The usual activations without a question for each vector.
template <bool USUAL>
QUERNEL_INLINE vf squash_f(Activation f, vf x) {
    return USUAL ? vtanh(x) : squash_other(f, x);
}
template <bool USUAL>
QUERNEL_INLINE vf squash_g(Activation g, vf x) {
    return USUAL ? vsigmoid(x) : squash_other(g, x);
}
// dy times the slope at the value y.
template <bool USUAL>
QUERNEL_INLINE vf slope_f(Activation f, vf dy, vf y) {
    return mul(dy, USUAL ? fnma(y, y, set1(1.0f)) : slope_other(f, y));
}
template <bool USUAL>
QUERNEL_INLINE vf slope_g(Activation g, vf dy, vf y) {
    return mul(dy, USUAL ? mul(y, sub(set1(1.0f), y)) : slope_other(g, y));
}

}  // namespace gru
}  // namespace QUERNEL_ISA
}  // namespace quernel
