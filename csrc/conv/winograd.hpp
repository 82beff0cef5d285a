// winograd: conv_forward, conv_dx and conv_dw of 3 x 3 taps with stride 1, by F(2 x 2, 3 x 3) of Lavin and Gray, "Fast
// Algorithms for Convolutional Neural Networks" (2015): 16 products instead of 36 for 2 x 2 results.
//
//   y = A' [sum over k of (4 G w G') * (B' d B)] A / 4     d: 4 x 4 of the image read, w: 3 x 3 weights, y: 2 x 2
//   results
//
//        1  0 -1  0         1    0    0         1  1  1  0
//   B' = 0  1  1  0    G = 1/2  1/2  1/2   A' = 0  1 -1 -1
//        0 -1  1  0        1/2 -1/2  1/2
//        0  1  0 -1         0    0    1
//
// Each result still depends on its own 3 x 3 window alone: no 2 x 2 block shares an error, an infinity or a NaN with
// its neighbours. The way is chosen by the sizes of one image, so an image's bits do not depend on those beside it.
//
// Blocks of 2 x 2 results are computed again by the direct sum, with its bits, where d holds a magnitude of 2^120 or
// more or where a result (before the activation) is infinite or NaN: the direct sum may be finite there, or infinite
// with a sign.
#pragma once
#include "conv/conv.hpp"

namespace quernel {
namespace QUERNEL_ISA {

// Whether conv_forward of v, or conv_dx, goes this way; `v.axis` with all positions, those that a pool drops as well.
bool pays_winograd(const Conv& v, bool dx);
// The scratch and ranks of g, which is complete but for these.
void plan_winograd(Call& call, Gather& g);
void run_winograd(const Gather& g, const Team& team, char* scratch);

// conv_dw over the same V, by F(3 x 3, 2 x 2):
//
//   dw = A' [sum over n and blocks of (B' d B) * (4 G dy G')] A / 4    dy: 2 x 2 of the gradient, d: 4 x 4 of the image
//
//          1  0         1  1  1  0
//   2 G =  1  1    A' = 0  1 -1  0    each of the 16 sums over blocks + 0
//          1 -1         0  1  1 -1
//          0  2
//
// A rank owns channels of one half of the 16 sums, or of both; ranks meet once, then each makes channels of dw. Each
// sum takes in all images, so all of dw is the direct sum where x or dy hold a magnitude of 2^120 or more, or infinity
// or NaN, or where one of the 16 sums does. Blocks of dy that a pool drops are left out: D is +0 there, and a sum that
// therefore ends as -0 is +0 after + 0.
struct WinogradDw {
    Axis axis[SPATIAL];
    int64_t n, c, o;
    Images x, dy;
    float* dw;
    ptrdiff_t dw_tap[2], dw_c, dw_o;
    int64_t flags;  // bytes of scratch that the direct sum must leave alone
};
bool pays_winograd_dw(const Conv& v);
void plan_winograd_dw(Call& call, WinogradDw& w);
bool run_winograd_dw(const WinogradDw& w, const Team& team, char* scratch);  // false, for all ranks: directly

}  // namespace QUERNEL_ISA
}  // namespace quernel
