// reduce: y[kept] = fold over the reduced axes of x, the row of each output read in C order of x's axes.
//
// Ints: [mask], bit d set where axis d is reduced. y has x's rank with ones at reduced axes, or the kept axes alone.
// dtypes: sum float32 -> float32, int32 / bool -> int32 (modulo 2^32); mean float32 / int32 / uint8 / bool ->
// float32; max and min keep float32 or int32; argmax and argmin take float32 or int32 and give int32: the index within
// the row of its first NaN if there is one, else of its first largest (smallest) element. An empty row sums to 0, has
// mean NaN, and is refused by the others (unless there is no output). Strides: any. No aliasing. mean = sum / n,
// rounded once. The order of every sum is fold.hpp's: a pure function of the row's length.
#pragma once
#include "fold/axes.hpp"
#include "fold/fold.hpp"

namespace quernel {
namespace QUERNEL_ISA {

enum Layout : int32_t {
    ROWS,     // each row contiguous
    COLUMNS,  // rows side by side: vectors run across outputs
    PACKED    // anything else, and other element types: chunks are gathered (and converted) first
};

struct Reduce {
    Dims<2> kept;                // strides of x and y; for COLUMNS without the dimension that vectors run along
    Dims<1> row;                 // the reduced axes
    int64_t n, chunks, outputs;  // elements of a row, chunks of a row, rows
    int64_t width;               // COLUMNS: size of the inner kept dimension, else 1
    ptrdiff_t width_y;           // its stride in y
    int64_t block, blocks;       // COLUMNS: columns of one piece, pieces across width
    int32_t layout;
};

// Fills `r` from (x, y, mask); false with call.error set when they do not fit together. `gathered` forces PACKED.
bool plan_reduce(Call& c, Reduce& r, bool gathered);

}  // namespace QUERNEL_ISA
}  // namespace quernel
