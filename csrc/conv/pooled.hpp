// pooled: a first convolution with the max pool behind it, without the map between them, which is 4 times as large as
// what comes out. Plans ask for it where nothing else reads the map or its gradient; images have two dimensions,
// windows neither overlap nor stick out.
//
//   conv_forward  x, w, b -> y, at     y = max_pool(conv_forward(x, w, b)), and at[o]: which element of window o it is,
//                                      counted in window order; after a relu `NOBODY` where y <= 0
//   conv_dw       x, dy, at -> dw, db  conv_dw(x, dz) and bias_db(dz), dz = +0 but for dz[o * size + at[o]] = dy[o]:
//   the
//                                      gradient that max_pool_dx(relu_dx(dy, y), z, y) gives
//
// int attributes, behind the usual ones: for each dimension the size of a window, then the positions of the map.
// y, dy and at (uint8) are contiguous. Forward computes the rows of one line of windows into a buffer and pools them;
// dw makes the same rows of dz there, and hands them to thin.hpp's tiles. The order of each sum is that of the whole
// map.
#pragma once
#include "conv/conv.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int NOBODY = 255;

struct Pool {
    int64_t size[2], out[2];  // of a window; windows along each dimension
    int64_t channels;
    uint8_t* at;
};

// Reads the attributes; `map` becomes a view with the map's shape and y's dtype, on no memory.
bool parse_pool(Call& call, const View& y, const View& at, Pool& pool, View& map);

struct PooledForward : Gather {
    Pool pool;
    float* y;
};
void pool_pieces(PooledForward& g, const Pool& pool, float* y);

// Rows of dz of one rank, made in the order in which they are read.
struct Bands {
    const Pool& pool;
    const float* dy;
    int64_t high, wide;  // of the map
    float* ring;
    int64_t slots;
    int64_t made = -1;  // the last band there is: a line of windows, or the rows that no window covers

    int64_t in_image() const { return (high + pool.size[0] - 1) / pool.size[0]; }
    int64_t row_floats() const { return wide * pool.channels; }
    static int64_t slots_for(const Pool& pool, int64_t high, int64_t rows);  // that hold any `rows` rows that follow
    int64_t bytes() const { return align64(slots * pool.size[0] * row_floats() * 4); }
    void start();
    // Row `row` of the map, counted over all images; rows are asked for in ascending order.
    const float* row(int64_t row);

  private:
    void make(int64_t band);
};

}  // namespace QUERNEL_ISA
}  // namespace quernel
