// row: what one row of dy adds to the sums of a depthwise weight gradient, for 3 taps along the row.
//
// It goes column by column of the image: a vector of x meets the gradients of the 3 positions that read it, which stay
// in registers, so 9 terms take 4 loads with stride 1 and 7 with stride 2, and each sum still takes its positions in
// order.
#pragma once
#include "conv/conv.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int64_t SLICE = 64;  // channels whose sums lie side by side
constexpr int ROW_TAPS = 3;

struct Row {
    const float *x, *dy;            // where tap 0, 0 reads position 0, or would; position 0
    ptrdiff_t down, column, along;  // strides: of x from row to row of taps and from column to column, of dy
    int64_t begin, end;             // positions
    int64_t first, last;            // columns that exist, counted from the one that tap 0 of position 0 reads
    int64_t rows;                   // of taps
    int64_t step;                   // columns from position to position: 1 or 2
    int64_t channel, channels;      // from the first channel of sums to the one after the last
    float* sums;                    // of the first tap, (slice, tap, SLICE)
    int64_t sums_h, slice;          // floats from row to row of taps, from slice to slice
    const float *next_x, *next_dy;  // what the next row of dy is the first to read, and that row
    bool ahead_x, ahead_dy;         // fetch them meanwhile, line after line as they lie, whatever channels are summed
};

// Whether there is a loop for r: at least 2 positions, with no column missing but under the first two and past the
// last.
inline bool fits(const Row& r) {
    return r.step <= 2 && r.end - r.begin >= 2 && (r.begin + 2) * r.step >= r.first && r.end * r.step <= r.last;
}
void add_row(const Row& row);

}  // namespace QUERNEL_ISA
}  // namespace quernel
