// columns: an array (rows..., c) summed over its rows, channel by channel, in a fixed tree.
//
// The tree is a function of (rows, c) alone:
//   * c < 64: g = the largest power of two with g * c <= 64 rows lie side by side: 64 virtual lanes; else g = 1.
//   * a chunk is 64 * g rows; row r of a chunk belongs to chain r mod g; a chain adds its up to 64 rows in order, from
//   +0.
//   * the g chains of a chunk are added pairwise (chain i += chain i + h for h = g/2, ..., 1), then the chunks pairwise
//     (chunk i += chunk i + s for s = 1, 2, 4, ... and i a multiple of 2s).
// Ranks share tiles (a chunk of up to 64 channels), meet at a barrier, then share the channels of the tree over chunks:
// the bits depend on neither threads nor vector width. A tile is at most 4096 floats; one whose rows are not evenly
// spaced in memory, or whose channels are not neighbours, is first copied into a buffer of that size, so every layout
// runs the same code.
#pragma once
#include "base/check.hpp"
#include "simd/vec.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace columns {

constexpr int LANES = 64;            // virtual lanes: 4 zmm, 8 ymm
constexpr int CHAIN = 64;            // rows added one after the other
constexpr int TILE = LANES * CHAIN;  // floats of a copied tile
constexpr int WIDE = 512;            // channels of a tile read in place: 2 KB runs of a row keep the prefetchers busy
constexpr int AT_ONCE = 8;           // rows of a wide tile that a pass over its channels sums
constexpr int AHEAD = 512;  // elements of a map fetched before they are needed: 0.9 of the time where nothing is in L2

struct Rows {  // an array as rows x channels: leading axes merged where their strides allow
    float* data;
    int dims;  // of the rows, after merging
    int64_t size[MAX_RANK];
    ptrdiff_t stride[MAX_RANK];
    ptrdiff_t channel;
    int64_t rows, c;

    float* row(int64_t r) const {
        float* p = data;
        for (int d = dims - 1; d > 0; --d) {
            p += r % size[d] * stride[d];
            r /= size[d];
        }
        return dims ? p + r * stride[0] : p;
    }
};

// Axes [begin, rank - 1) of v are its rows, the last axis its channels.
inline Rows rows_of(const View& v, int begin) {
    Rows m{v.f32w(), 0, {}, {}, v.stride[v.rank - 1], 1, v.shape[v.rank - 1]};
    for (int d = begin; d < v.rank - 1; ++d) {
        m.rows *= v.shape[d];
        if (v.shape[d] == 1) continue;
        if (m.dims && m.stride[m.dims - 1] == v.stride[d] * v.shape[d]) {
            m.size[m.dims - 1] *= v.shape[d];
            m.stride[m.dims - 1] = v.stride[d];
        } else {
            m.size[m.dims] = v.shape[d];
            m.stride[m.dims++] = v.stride[d];
        }
    }
    if (m.c == 1) m.channel = 1;
    return m;
}

struct Tiles {  // how (rows, c) is cut
    int64_t rows, c, chunks, blocks;
    int group, most;  // `most` channels a tile: WIDE where every operand is read in place; it changes no sum

    Tiles() = default;
    Tiles(int64_t rows_, int64_t c_) : rows(rows_), c(c_), group(1) {
        while (c > 0 && 2 * group * c <= LANES) group *= 2;
        chunks = (rows + CHAIN * group - 1) / (CHAIN * group);
        set_most(LANES);
    }
    void set_most(int channels) {
        most = channels;
        blocks = (c + most - 1) / most;
    }
    int64_t count() const { return chunks * blocks; }
};

struct Tile {
    int64_t chunk, row, rows, c0;
    int width;  // channels
    int lanes;  // group * width
    int full;   // whole lane rows
    int tail;   // lanes of the last, partial lane row

    Tile(const Tiles& t, int64_t index) {
        chunk = index / t.blocks;
        row = chunk * CHAIN * t.group;
        rows = t.rows - row < CHAIN * t.group ? t.rows - row : CHAIN * t.group;
        c0 = index % t.blocks * t.most;
        width = (int)(t.c - c0 < t.most ? t.c - c0 : t.most);
        lanes = t.group * width;
        full = (int)(rows / t.group);
        tail = (int)(rows % t.group) * width;
    }
};

struct Block {  // a tile in memory: lane rows `pitch` apart
    float* p;
    ptrdiff_t pitch;
};

inline bool direct(const Rows& m, const Tiles& t) {
    if (m.channel != 1 || m.dims > 1) return false;
    return t.group == 1 || m.dims == 0 || m.stride[0] == m.c;
}
inline Block place_block(const Rows& m, const Tiles& t, const Tile& tile, float* buffer) {
    if (!direct(m, t)) return {buffer, tile.lanes};
    const ptrdiff_t row = m.dims ? m.stride[0] : 0;
    return {m.data + tile.row * row + tile.c0, t.group == 1 ? row : tile.lanes};
}
inline Block read_block(const Rows& m, const Tiles& t, const Tile& tile, float* buffer) {
    const Block b = place_block(m, t, tile, buffer);
    if (b.p == buffer)
        for (int64_t r = 0; r < tile.rows; ++r) {
            const float* p = m.row(tile.row + r) + tile.c0 * m.channel;
            for (int i = 0; i < tile.width; ++i) buffer[r * tile.width + i] = p[i * m.channel];
        }
    return b;
}
inline void write_block(const Rows& m, const Tile& tile, const Block& b, const float* buffer) {
    if (b.p != buffer) return;
    for (int64_t r = 0; r < tile.rows; ++r) {
        float* p = m.row(tile.row + r) + tile.c0 * m.channel;
        for (int i = 0; i < tile.width; ++i) p[i * m.channel] = buffer[r * tile.width + i];
    }
}

// Per-channel numbers repeated over the lanes of a tile.
inline void lanes_of(const float* values, const Tile& tile, float* lanes) {
    for (int i = 0; i < tile.width; ++i) lanes[i] = values[tile.c0 + i];
    for (int i = tile.width; i < tile.lanes; ++i) lanes[i] = lanes[i - tile.width];
    for (int i = tile.lanes; i % VL; ++i) lanes[i] = 0;
}

// V vectors of lanes from lane j, lane rows [begin, end): acc[k] of a lane is a chain of step(inputs, lane, acc) down
// the rows.
template <int V, bool FULL, int IN, int OUT, class Step>
QUERNEL_INLINE void chains(const Block* in, const Tile& t, int j, int begin, int end, float (*sums)[WIDE], Step step) {
    const int n = FULL ? VL : t.lanes - j;
    vf acc[V][OUT];
    for (int v = 0; v < V; ++v)
        for (int k = 0; k < OUT; ++k) acc[v][k] = begin ? loadu(sums[k] + j + v * VL) : zero();
    // A wide tile's next rows, but where rows 4 KB apart would push out each other: 0.85 of the time for (50176, 256).
    const bool fetch = t.lanes > LANES && in[0].pitch <= WIDE;
    for (int s = begin; s < end; ++s)
        for (int v = 0; v < V; ++v) {
            vf x[IN];
            for (int i = 0; i < IN; ++i) {
                const float* p = in[i].p + s * in[i].pitch + j + v * VL;
                if (fetch) __builtin_prefetch(p + AT_ONCE * in[i].pitch);
                x[i] = FULL ? loadu(p) : load_n(p, n);
            }
            step(x, j + v * VL, acc[v]);
        }
    for (int v = 0; v < V; ++v) {
        const int from = j + v * VL, rest = end < t.full || t.tail < from ? 0 : t.tail - from < VL ? t.tail - from : VL;
        if (rest) {
            vf x[IN], next[OUT];
            for (int i = 0; i < IN; ++i) x[i] = load_n(in[i].p + t.full * in[i].pitch + from, rest);
            for (int k = 0; k < OUT; ++k) next[k] = acc[v][k];
            step(x, from, next);
            for (int k = 0; k < OUT; ++k) acc[v][k] = select(first_n(rest), next[k], acc[v][k]);
        }
        for (int k = 0; k < OUT; ++k) storeu(sums[k] + from, acc[v][k]);
    }
}

// Sums one tile into parts[k][chunk][channel], k < OUT. step(const vf* inputs, int lane, vf* acc).
template <int IN, int OUT, class Step>
QUERNEL_INLINE void fold_tile(const Block* in, const Tiles& tiles, const Tile& t, float* parts, Step step) {
    alignas(64) float sums[OUT][WIDE];
    // Narrow tiles keep their chains in registers; wide ones pass over 8 rows at a time, so that memory is read in long
    // runs.
    const int at_once = t.lanes <= LANES ? CHAIN : AT_ONCE;
    int begin = 0;
    do {
        const int end = begin + at_once < t.full ? begin + at_once : t.full;
        int j = 0;
        for (; j + 4 * VL <= t.lanes; j += 4 * VL) chains<4, true, IN, OUT>(in, t, j, begin, end, sums, step);
        if (j + 2 * VL <= t.lanes) chains<2, true, IN, OUT>(in, t, j, begin, end, sums, step), j += 2 * VL;
        if (j + VL <= t.lanes) chains<1, true, IN, OUT>(in, t, j, begin, end, sums, step), j += VL;
        if (j < t.lanes) chains<1, false, IN, OUT>(in, t, j, begin, end, sums, step);
        begin = end;
    } while (begin < t.full);
    for (int k = 0; k < OUT; ++k) {
        for (int h = tiles.group / 2; h >= 1; h /= 2)
            for (int i = 0; i < h * t.width; ++i) sums[k][i] += sums[k][i + h * t.width];
        float* part = parts + (k * tiles.chunks + t.chunk) * tiles.c + t.c0;
        for (int i = 0; i < t.width; ++i) part[i] = sums[k][i];
    }
}

inline int64_t parts_floats(const Tiles& t, int arrays) { return arrays * (t.chunks ? t.chunks : 1) * t.c; }

// The tree over chunks for the channels [c.begin, c.end), in place; array k's sums end at parts + parts_floats(t, k).
inline void fold_chunks(float* parts, int arrays, const Tiles& t, Range c) {
    for (int k = 0; k < arrays; ++k) {
        float* part = parts + parts_floats(t, k);
        if (t.chunks == 0)
            for (int64_t i = c.begin; i < c.end; ++i) part[i] = 0;
        for (int64_t s = 1; s < t.chunks; s *= 2)
            for (int64_t b = 0; b + s < t.chunks; b += 2 * s)
                for (int64_t i = c.begin; i < c.end; ++i) part[b * t.c + i] += part[(b + s) * t.c + i];
    }
}

// out = f(inputs, lane) for every element of a tile.
template <int IN, class F>
QUERNEL_INLINE void map_tile(const Block* in, const Tile& t, const Block& out, F f) {
    const int rows = t.full + (t.tail > 0);
    for (int s = 0; s < rows; ++s) {
        const int lanes = s < t.full ? t.lanes : t.tail;
        vf x[IN];
        int j = 0;
        for (; j + VL <= lanes; j += VL) {
            for (int i = 0; i < IN; ++i) {
                const float* const p = in[i].p + s * in[i].pitch + j;
                __builtin_prefetch(p + AHEAD);
                x[i] = loadu(p);
            }
            storeu(out.p + s * out.pitch + j, f(x, j));
        }
        if (j < lanes) {
            for (int i = 0; i < IN; ++i) x[i] = load_n(in[i].p + s * in[i].pitch + j, lanes - j);
            store_n(out.p + s * out.pitch + j, f(x, j), lanes - j);
        }
    }
}

}  // namespace columns
}  // namespace QUERNEL_ISA
}  // namespace quernel
