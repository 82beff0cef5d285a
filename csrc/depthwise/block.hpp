// block: depthwise windows of up to 3 x 3 taps: 2 rows of 3 results at once, then the next vector of channels.
//
// A vector of the image is loaded once for the results of a row of taps, 3.3 loads a result with those of weights where
// tiles of a row have 5, one call makes all channels, and memory is read and written in its own order. What bounds a
// map larger than L1 is what goes between L1 and L2: 2 reads of a line of x, not 3, for each of y.
#pragma once
#include "conv/conv.hpp"

namespace quernel {
namespace QUERNEL_ISA {

struct Window {
    Images from, to;
    int64_t n, size[SPATIAL], taps[SPATIAL], c;
    int64_t outer, inner;    // M of forward and of dx; the other one is 1
    ptrdiff_t from_m, to_m;  // strides of m
    const float* w;
    ptrdiff_t w_tap[SPATIAL], w_c, w_m;
    const float* bias;
    ptrdiff_t bias_c, bias_m;
    Activation activation;
    Axis axis[SPATIAL];
    int64_t (*lines)(const Axis&, Line*);
    int64_t packed, line_room, room;
    bool past;  // results go past the caches
};

// Rows of one image that lines of its first two axes make, filter m of each channel.
struct Rows {
    const Line &depth, &high;
    const Line* along;
    int64_t count;  // of `along`
    int64_t image, m;
};
bool fits_blocks(const Window& g, const Rows& rows);
// weights, bias: packed.
void run_blocks(const Window& g, const Rows& rows, const float* weights, const float* bias);

}  // namespace QUERNEL_ISA
}  // namespace quernel
