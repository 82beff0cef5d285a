// winograd_near: forward and dx by F(2 x 2, 3 x 3) with few channels: the 16 points four at a time.
//
// With 32 channels the products of a block take as long as the way of its 16 V and 16 M through L2. The four points of
// one row r need V of that row alone; their weights, their V and the sums over rows so far stay in L1, and their
// products stay in registers until A' has folded them along the row: no M is written. The order of operations is that
// of winograd.cpp.
#pragma once
#include "conv/winograd_image.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int64_t NEAR_COLUMNS = 2 * VL;  // of a panel of weights: (row of points, k, point of the row, column)
constexpr int64_t NEAR_BLOCKS = 12;       // of a group: 36 KB of L1 with 32 channels and filters
// Channels and filters at most: 64 of either gained 0 to 10 % on one thread and lost up to 8 % on two.
constexpr int64_t NEAR_CHANNELS = 32;
constexpr int64_t NEAR_LEAST = 256;  // blocks in all: on two threads one image of (14, 14, 32) lost 10 %

// Where the 2 x 2 positions of each block lie, to be fetched into L2 while other blocks are multiplied: 0.85 of the
// time, as channels of one group are short pieces of memory.
struct Positions {
    const float* of[4 * NEAR_BLOCKS];
};

// Row `row` of B' d B of channels k to k + VL for the blocks of a run; v: (block, point of the row, channel).
// flags[block] becomes 1 where a magnitude that was read is too large; rows 0 and 3 read what all rows read.
void transform_near(int row, const Source& source, const Run& run, int64_t k, int64_t channels, float* v,
                    int32_t* flags);

// The products of `blocks` blocks with that row of the panel of columns from j on, folded along the row, added to sums
// (block, result, column) of `columns` columns: after row 3 those of a block are A' m A. u: of the row and the panel.
struct NearProducts {
    int64_t blocks, channels, j, columns;
    const float *v, *u;
    float* sums;
    const Positions &results, &images;  // those written next, and those that the next group reads first
};
void multiply_near(int row, const NearProducts& p);

}  // namespace QUERNEL_ISA
}  // namespace quernel
