// narrow: conv_forward and conv_dx where the result has few channels (the gradient of a first layer's input: 1 or 3).
//
// With channels as lanes such a result would leave most of each vector empty, so here lanes are positions along the
// last axis. Rows of the other image are transposed to (channel, position) as they are first met and stay in a ring
// until the last row of the result that reads them. The chains are those of dot: a lane whose tap is clipped keeps its
// sum.
#pragma once
#include "conv/conv.hpp"

namespace quernel {
namespace QUERNEL_ISA {

// Whether the convolution goes this way. Sets g.narrow; g is complete but for its scratch.
bool plan_narrow(Call& call, Gather& g);
void run_narrow(const Gather& g, const Team& team, char* scratch);

}  // namespace QUERNEL_ISA
}  // namespace quernel
