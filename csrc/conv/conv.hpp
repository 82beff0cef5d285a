// Convolution of channels-last images over one to three spatial dimensions, with groups; its geometry and its loops.
//
//   conv_forward  y[n, p, o]  = activation(b[o] + sum over t, c of x[n, p * stride + t * dilation - low, c] * w[t, c,
//   o]) conv_dx       dx[n, i, c] = sum over t, o of dy[n, p, o] * w[t, c, o]       where p * stride + t * dilation -
//   low = i conv_dw       dw[t, c, o] = sum over n, p of x[n, i, c] * dy[n, p, o]
//
// t and p run over kernel taps and positions; a tap outside the input is absent from the sum: it is not a product with
// zero. int attributes: rank, groups, activation, then for each dimension strides, then dilations, then the padding
// `low` before the first element (the end needs none: taps are clipped). Any strides of memory on both sides; sizes may
// be zero. A plan may append, for each dimension, the number `live` of positions from the first that matter, where a
// pool drops the last ones: forward need not write y beyond them, and dx and dw are promised that dy is +0 there
// (rim.hpp says why leaving these terms out keeps the bits). Two more forms are in pooled.hpp.
//
// Order of operations (docs/numerics.md): every output is one chain of fused multiply-adds, broken every 512 logical
// terms, counted before clipping, block sums added in order:
//   forward  terms in (t, c) order;
//   dx       terms in (t, o) order with t from the last tap to the first (then both images are read upwards);
//   dw       terms in (n, p) order, or (p, n) where an image has at most 25 positions p.
// Whether rows of pixels or the images of the batch are the rows of a tile, and who computes them, does not change a
// bit.
#pragma once
#include "base/check.hpp"
#include "dot/dot.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int SPATIAL = 3;  // dimensions; fewer are filled up in front with sizes of one

struct Axis {
    int64_t in, out, taps, stride, dilation, low;
    int64_t live;  // positions of `out` that matter, at most all
};

struct Conv {
    Axis axis[SPATIAL];
    int64_t n, groups, c, o;  // c and o within one group
    int64_t taps;             // of all axes
    Activation activation;
};

struct Images {
    float* data;
    ptrdiff_t n, at[SPATIAL], c;  // strides
};

// Reads attributes and shapes; w is (taps..., c, o), of a depthwise convolution (taps..., channels, filters a channel).
// False with call.error set where they contradict each other.
enum Form { PLAIN, DEPTHWISE, POOLED };
bool parse(Call& call, const View& x, const View& y, const View& w, Conv& conv, Form form = PLAIN);
Images images(const View& v);
void tap_strides(const View& w, ptrdiff_t strides[SPATIAL]);

// Positions first + j * step, j < count, of one axis that all meet the same taps: tap + u * tap_step, u < taps, which
// reads the other image at read + j * read_step + u * hop.
struct Line {
    int64_t first, step, count;
    int64_t tap, tap_step, taps;
    int64_t read, read_step, hop;
};
int64_t lines_of_y(const Axis& axis, Line* lines);  // positions are outputs; at most axis.out lines
int64_t lines_of_dx(const Axis& axis,
                    Line* lines);  // positions are inputs, taps counted from the last; at most axis.in
// The part of a line that lies in [begin, end) of the axis's positions; `before` of them precede the line.
Line part(Line line, int64_t before, int64_t begin, int64_t end);
Range valid(const Axis& axis, int64_t tap);  // outputs that a tap serves

// The loops that forward and dx share: to[n, q, j] = finish(sum over taps u, channels k of from[n, r(q, u), k] * w[u,
// k, j]).
struct Gather {
    Images from, to;
    int64_t n, size[SPATIAL];  // of `to`
    int64_t taps[SPATIAL], groups;
    int64_t k, j;  // channels of `from` and `to` in a group
    const float* w;
    ptrdiff_t w_tap[SPATIAL], w_k, w_j, w_group;
    const float* bias;
    ptrdiff_t bias_step;
    Activation activation;
    Axis axis[SPATIAL];
    int64_t (*lines)(const Axis&, Line*);
    int64_t packed, room, line_room;  // scratch: bytes of packed weights, bytes a rank, where its lists start
    int64_t panel;                    // columns of a panel of packed weights
    bool narrow;                      // goes the way of narrow.hpp
    bool rim;                         // dx: dy is +0 beyond `live` of some axis
    // Where `piece` is set, `to` is a buffer of so many rows of an image; each time it is full, `take` gets it.
    int64_t piece;
    void (*take)(const Gather& g, const float* rows, int64_t image, int64_t top, int64_t bottom);
    bool winograd;                    // goes the way of winograd.hpp, which alone reads the next two
    int64_t from_size[2], before[2];  // of the last two axes: positions of `from`, those read before the first
};
void plan(Call& call, Gather& g);
void run(const Gather& g, const Team& team, char* scratch);

template <bool B>
struct Some {
    static constexpr bool value = B;
};

constexpr int64_t PANEL = 32;  // columns of packed weights or dy: 36 KB for 288 terms, which stays in L1 meanwhile

}  // namespace QUERNEL_ISA
}  // namespace quernel
