// recurrent: what the recurrent layers share: one step's product with recurrent weights, the walk of a team through the
// steps, rows that masks end early, and arrays whose last axis is not contiguous.
//
// The product of a step, for a block of rows and one panel of units at a time:
//
//   S(i, g, j) = sum over k < terms of  a[i * a_m + k] * u[k * u_k + g * u_g + j * u_j]      in dot's order
//   (dot/dot.hpp):
//                chains of fused multiply-adds from +0 over k, broken every 512 terms, their sums added in order
//
// A panel holds the same `width()` units of every gate, so that the caller gets what the gate functions of a unit need
// side by side, still in L1: `each_tile` hands over a few rows at a time. Nothing but the values of A and U decides the
// bits: not the panel, the tile, the number of rows or ranks, nor whether U is packed.
//
// Forward, gates g side by side:  terms = k, units = k, u_k = row stride of U, u_g = k * column stride, u_j = column
// stride. Backward, dz @ U^T:             terms = gates * k, units = k, gates = 1, u_k = column stride of U, u_j = row
// stride.
#pragma once
#include "dot/dot.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace recurrent {

// ---- the product of a step ----

constexpr int64_t SLAB = 256;  // terms of a panel that all tiles of rows pass together; its lines come from L2 in time

struct Weights {
    int64_t terms = 0, units = 0;
    int gates = 1;
    const float* u = nullptr;
    ptrdiff_t u_k = 0, u_g = 0, u_j = 1;

    // From plan().
    int each = 1;           // vectors of one gate in a panel
    bool in_place = false;  // whole panels are read where they lie; only a last, narrower one is packed
    int64_t bytes = 0;      // of scratch for the packed panels, shared by the team

    int vectors() const { return gates * each; }
    int64_t width() const { return (int64_t)each * VL; }
    int64_t panels() const { return (units + width() - 1) / width(); }
    int64_t floats() const { return terms * vectors() * VL; }  // of a packed panel
    int most_rows() const;                                     // of a tile
};
// Chooses panels for `rows` rows a rank and `steps` steps; sets each, in_place, bytes. gates: 1, 2, 3 or 4.
void plan(Weights& w, int64_t rows, int64_t steps);
// Packs the panels [begin, end) into `room` (w.bytes, 64-byte aligned). The team needs a barrier before others read
// them.
void pack(const Weights& w, float* room, Range panels);

// Cache lines to fetch while a tile computes, spread over its terms, so that memory and arithmetic overlap. In a burst
// before the gates, or one with each of the first terms, they fill the core's few fetch buffers, which B's lines from
// L2 need, too (lstm_forward of 64 x 128 x 256: 1.04 times as fast as with the first terms).
struct Lines {
    static constexpr int MOST = 512;
    const void* at[MOST + 1];
    int count = 0;
    void add(const void* p) {
        if (count < MOST) at[count++] = p;
    }
};

struct Tile {
    const float* a;
    ptrdiff_t a_m;
    const float* b;
    ptrdiff_t b_k, b_g;  // from term to term; from vector to vector, or pair to pair where there are more than 4
    int64_t k;
    const float* from;        // where the chains start, or null for +0
    const float* sum;         // added to the chains at the end, or null
    float* to;                // rows of vectors * VL floats; so are from and sum
    const void* const* line;  // fetched one after the other, spread over the terms
    int64_t lines;
};
using RunTile = void (*)(const Tile&);
RunTile tile_of(int rows, int vectors);

// Floats of scratch that each_tile needs for `rows` rows.
inline int64_t tile_floats(const Weights& w, int64_t rows) { return 2 * rows * w.vectors() * VL; }

template <class Fetch>
inline auto name_lines(Fetch& fetch, Lines& lines, int64_t from, int64_t to, int) -> decltype(fetch(lines, from, to)) {
    fetch(lines, from, to);
}
template <class Fetch>
inline auto name_lines(Fetch& fetch, Lines&, int64_t from, int64_t to, long) -> decltype(fetch(from, to)) {
    fetch(from, to);
}

// S of panel p for rows 0 ... rows - 1 of A, a few rows at a time. done(begin, end, s) gets S(i, g, j) at
// s[((i - begin) * gates + g) * width() + j], j < width(), and may write there; units past the last are garbage. Before
// that, mostly while other rows compute, fetch(lines, begin, end) names the cache lines that done will touch; one that
// takes (begin, end) alone fetches them itself.
template <class Fetch, class Done>
inline void each_tile(const Weights& w, const float* room, int64_t p, const float* a, ptrdiff_t a_m, int64_t rows,
                      float* scratch, Fetch fetch, Done done) {
    const int64_t pitch = (int64_t)w.vectors() * VL, most = w.most_rows(), tiles = (rows + most - 1) / most;
    const bool whole = (p + 1) * w.width() <= w.units, direct = w.in_place && whole;
    Tile t;
    t.a_m = a_m;
    t.b_k = direct ? w.u_k : pitch;
    t.b_g = direct && w.gates > 1 ? w.u_g : w.vectors() > 4 ? 2 * VL : VL;
    const float* const b = direct ? w.u + p * w.width() : room + (w.in_place ? 0 : p * w.floats());
    float *const chain = scratch, *const sums = scratch + rows * pitch;
    // With more terms than a chain a whole one passes at once: only its last pass hides what the gates fetch.
    const int64_t slab = tiles > 1 && w.terms <= CHAIN ? SLAB : CHAIN;
    for (int64_t k = 0; k == 0 || k < w.terms;) {
        const int64_t end_of_chain = k / CHAIN * CHAIN + CHAIN, end = w.terms < end_of_chain ? w.terms : end_of_chain;
        t.k = end - k < slab ? end - k : slab;
        const bool chain_ends = k + t.k == end, last = k + t.k == w.terms;
        for (int64_t i = 0; i < tiles; ++i) {
            const int64_t from = rows * i / tiles, to = rows * (i + 1) / tiles;
            t.a = a + from * a_m + k;
            t.b = b + k * t.b_k;
            t.from = k % CHAIN ? chain + from * pitch : nullptr;
            t.sum = chain_ends && k >= CHAIN ? sums + from * pitch : nullptr;
            t.to = (chain_ends && !last ? sums : chain) + from * pitch;
            Lines lines;
            if (last && k == 0 && i == 0 && tiles > 1) name_lines(fetch, lines, 0, to, 0);  // no tile came before it
            if (last && i + 1 < tiles) name_lines(fetch, lines, to, rows * (i + 2) / tiles, 0);
            if (i + 1 == tiles && !last && k + t.k + slab >= w.terms) name_lines(fetch, lines, 0, rows / tiles, 0);
            lines.at[lines.count] = t.to;
            t.line = lines.at, t.lines = lines.count;
            tile_of((int)(to - from), w.vectors())(t);
            if (last) done(from, to, chain + from * pitch);
        }
        k += t.k;
        if (!w.terms) break;
    }
}

// ---- the team ----

// How a team shares a layer: rows to ranks, each walks all steps without a barrier; or, where rows are few or U is
// large, panels of units to ranks, with a barrier after each step.
struct Shares {
    bool by_units;
    int64_t block;                                     // rows that walk the steps together
    int64_t pitch;                                     // floats from row to row of a state of k units
    int64_t rows(const Call& call, int64_t n) const {  // of `n` that a rank's product takes at a time
        const int64_t part = by_units ? n : (n + call.ranks - 1) / call.ranks;
        return part < block ? part : block;
    }
};
// Sets call.ranks (call.flops and bytes are known) for n rows, k units, U of `weights` floats.
Shares shares(Call& call, int64_t n, int64_t steps, int64_t k, int64_t weights);
inline ptrdiff_t pitch_of(int64_t k) { return (k + 15) / 16 * 16 + 16; }  // an odd number of cache lines, mostly
// Rows [begin, end) of block i of this rank; how many blocks there are: the same on all ranks where they share units.
inline int64_t blocks(Range rows, int64_t block) { return (rows.end - rows.begin + block - 1) / block; }
inline Range block_of(Range rows, int64_t count, int64_t i) {
    const int64_t n = rows.end - rows.begin;
    return {rows.begin + n * i / count, rows.begin + n * (i + 1) / count};
}

// ---- masks ----

constexpr int64_t MOST_ROWS = 192;  // of a block

// The rows of a block in slots, those with the most steps first, so that the rows that still have some are the first.
struct Slots {
    int64_t row[MOST_ROWS];
    bool on[MOST_ROWS];     // of the step: whether the mask lets it pass; all of them where there is none
    int64_t count, active;  // active: slots that the step's product takes; none beyond is on

    void begin(Range rows, const View& mask);   // mask (n, t) bool, any strides, or absent
    void step(const View& mask, int64_t time);  // sets on and active
};

// ---- operands ----

// A Call's views with a contiguous last axis: those that are not are copied into scratch, and back.
struct Doors {
    int32_t count = 0, inputs = 0;
    struct Door {
        int32_t view;  // inputs first, then outputs
        bool output;
        int64_t at;  // bytes into the room
    } door[16];
    int64_t bytes = 0;  // of scratch, shared by the team

    // `leave`: bits of views (inputs first) that their user reads through any strides; `whole`: those that need every
    // axis contiguous.
    void plan(const Call& call, unsigned leave = 0, unsigned whole = 0);
    // in and out get the views to use; ends with a barrier where something was copied.
    void open(const Call& call, View* in, View* out, const Team& team, char* room) const;
    // After the last write: outputs go where they belong.
    void close(const Call& call, const View* out, const Team& team) const;
};

// ---- gate functions: the numbers are those of kernels/dense.py ----

vf squash_other(Activation f, vf x);
vf slope_other(Activation f, vf y);

}  // namespace recurrent
}  // namespace QUERNEL_ISA
}  // namespace quernel
