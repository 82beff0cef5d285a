// thin: conv_dw of images with few channels (a first layer: 1 or 3), where the rows of one kernel row are too few for a
// tile.
//
// A tile takes the rows of several kernel rows at once and walks a whole block of 512 terms, line of positions by line
// of positions, with its chains in registers; at a border it leaves out the rows whose tap is clipped. Ranks share
// blocks, so each reads images of its own; the blocks' sums meet in scratch and are added in order.
#pragma once
#include "conv/pooled.hpp"

namespace quernel {
namespace QUERNEL_ISA {

struct Thin {
    Conv v;
    Images x, dy;
    float* dw;
    ptrdiff_t dw_tap[SPATIAL], dw_c, dw_o;
    int64_t total, blocks;      // terms, blocks of 512 of them
    int64_t lines, high, rows;  // kernel rows; rows of dw in one (taps along the last axis, channels); all rows of dw
    bool pooled;                // dy is the gradient of pooled windows, s.dy what it would be of the map
    Pool pool;
    const float* dy_of_pool;
    float* db;  // of the map's gradient, where pooled
    ptrdiff_t db_o;
};

// Whether conv_dw is to go this way. Sets call.ranks and call.scratch; flops and bytes are known.
bool plan_thin(Call& call, const View& x, const View& dy, const View& dw, const Conv& v, Thin& s);
void run_thin(const Thin& s, const Team& team, char* scratch);

}  // namespace QUERNEL_ISA
}  // namespace quernel
