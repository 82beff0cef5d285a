// winograd: the transforms, 16 products for each group of blocks, and the blocks that are computed again.
#include "conv/winograd.hpp"

#include "conv/rim.hpp"
#include "conv/winograd_near.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int64_t WIDE = 64;  // columns of a panel of transformed weights
// Terms of a chain. With 64 the error is at most that of the direct sum, whose chains have 512 (0.66 to 0.92 of it for
// 32 to 2048 channels, root of the mean square); with 128 it is 1.15 of it on the results of a relu, with 512 twice.
constexpr int64_t LINK = 64;

int64_t whole_vectors(int64_t n) { return (n + 15) / 16 * 16; }

// Where things lie. Rows of V are apart by an odd number of cache lines where they would fall into few sets of L1.
struct Layout {
    int64_t high, wide;            // blocks of 2 x 2 along the two axes
    int64_t live_high, live_wide;  // those that read a position that matters: all but where dx has a rim
    int64_t tiles;                 // blocks of a group: their V and M stay in L2
    bool near;                     // the way of winograd_near.hpp
    int64_t v_row, v_point, m_point;
    int64_t packed, u, room, v, m, row, flags;  // bytes; room: of one rank
    explicit Layout(const Gather& g) {
        high = (g.size[1] + 1) / 2, wide = (g.size[2] + 1) / 2;
        const int64_t live = g.axis[0].live;
        live_high = !g.rim ? high : live ? least(high, (g.axis[1].live + g.before[0] + 1) / 2) : 0;
        live_wide = !g.rim ? wide : least(wide, (g.axis[2].live + g.before[1] + 1) / 2);
        near = VL == 16 && g.k <= NEAR_CHANNELS && g.k % VL == 0 && g.j <= NEAR_CHANNELS && g.j % NEAR_COLUMNS == 0 &&
               g.from.c == 1 && g.to.c == 1 && g.activation <= RELU && g.n * high * wide >= NEAR_LEAST;
        tiles = near ? NEAR_BLOCKS : g.k <= 64 ? 48 : 24;
        v_row = g.k % 128 ? g.k : g.k + 16;
        v_point = tiles * v_row + 16;
        m_point = tiles * least(WIDE, whole_vectors(g.j)) + 16;
        packed = g.w_j == 1 ? 0 : align64(4 * 9 * g.k * g.j);
        u = 4 * POINTS * g.k * whole_vectors(g.j);
        v = align64(4 * POINTS * v_point);
        m = align64(4 * (near ? 4 * tiles * g.j : POINTS * m_point));
        row = align64(4 * g.j);
        flags = align64(4 * tiles);
        room = v + m + 2 * row + flags;
    }
};

// Weights as rows of contiguous columns j.
struct Weights {
    const float* data;
    ptrdiff_t tap[2], k;
};

// to[k][j], contiguous, of the weights of one tap; rows k of `mine`. Where k is contiguous, by vectors turned around.
void pack(const Gather& g, const float* from, float* to, Range mine) {
    int64_t k = mine.begin;
    if (g.w_k == 1)
        for (; k + VL <= mine.end; k += VL) {
            int64_t j = 0;
            for (; j + VL <= g.j; j += VL) {
                vf r[VL];
#pragma GCC unroll 16
                for (int i = 0; i < VL; ++i) r[i] = loadu(from + (j + i) * g.w_j + k);
                transpose(r);
#pragma GCC unroll 16
                for (int i = 0; i < VL; ++i) storeu(to + (k + i) * g.j + j, r[i]);
            }
            for (; j < g.j; ++j)
                for (int i = 0; i < VL; ++i) to[(k + i) * g.j + j] = from[j * g.w_j + k + i];
        }
    for (; k < mine.end; ++k)
        for (int64_t j = 0; j < g.j; ++j) to[k * g.j + j] = from[k * g.w_k + j * g.w_j];
}

QUERNEL_INLINE void weights_of(const vf (&g)[3], vf (&u)[4]) {  // 2 G g
    const vf ends = add(g[0], g[2]);
    u[0] = add(g[0], g[0]);
    u[1] = add(ends, g[1]);
    u[2] = sub(ends, g[1]);
    u[3] = add(g[2], g[2]);
}

// U[point][k][j] of a panel, one panel of `width` columns after the other; rows k of `mine`. Near: U[row of points][k]
// [point of the row][j].
void transform_weights(const Gather& g, const Weights& w, float* u, Range mine, bool near) {
    const int64_t wide = near ? NEAR_COLUMNS : WIDE;
    for (int64_t j0 = 0; j0 < g.j; j0 += wide) {
        const int64_t end = least(wide, g.j - j0), width = whole_vectors(end);
        const int64_t point = near ? width : g.k * width, points = 4 * g.k * width, step = near ? 4 * width : width;
        for (int64_t k = mine.begin; k < mine.end; ++k)
            for (int64_t j = 0; j < end; j += VL) {
                const int lanes = (int)least(VL, end - j);
                const float* const from = w.data + k * w.k + j0 + j;
                vf rows[3][4], column[3];
#pragma GCC unroll 3
                for (int s = 0; s < 3; ++s) {
                    for (int r = 0; r < 3; ++r) column[r] = load_n(from + r * w.tap[0] + s * w.tap[1], lanes);
                    weights_of(column, rows[s]);
                }
#pragma GCC unroll 4
                for (int r = 0; r < 4; ++r) {
                    const vf row[3] = {rows[0][r], rows[1][r], rows[2][r]};
                    vf out[4];
                    weights_of(row, out);
                    for (int s = 0; s < 4; ++s) store_n(u + r * points + s * point + k * step + j, out[s], lanes);
                }
            }
        u += POINTS * g.k * width;
    }
}

__attribute__((noinline)) void spread(float* p, ptrdiff_t step, int lanes, vf value, Activation f) {
    alignas(64) float x[VL];
    storeu(x, value);
    if (f > RELU) activate(f, x, VL);
    for (int i = 0; i < lanes; ++i) p[i * step] = x[i];
}

// c = a b, one chain for every LINK terms, added in order. Rows of c are b_k apart, as those of b.
void multiply(int64_t m, int64_t n, int64_t k, const float* a, ptrdiff_t a_m, const float* b, ptrdiff_t b_k, float* c) {
    Dot d;
    d.m = m, d.n = n;
    d.a_m = a_m, d.b_k = b_k;
    d.c = c, d.c_m = b_k;
    d.count = k / LINK;
    d.a = a, d.b = b, d.k = LINK;
    d.a_b = LINK, d.b_b = LINK * b_k, d.at_b = CHAIN;  // each in a block of its own
    if (d.count) dot(d);
    if (k % LINK == 0) return;
    d.a += d.count * d.a_b, d.b += d.count * d.b_b;
    d.add = d.count > 0;
    d.count = 1, d.k = k % LINK;
    dot(d);
}

QUERNEL_INLINE void results_of(vf m0, vf m1, vf m2, vf m3, vf& y0, vf& y1) {  // A' m
    y0 = add(add(m0, m1), m2);
    y1 = sub(sub(m1, m2), m3);
}

// Results of columns j to j + lanes for the blocks of a run; m: their products. PLAIN: a whole vector of neighbours
// with no activation or relu. flags[block] becomes 1 where a result is infinite or NaN.
template <bool PLAIN, bool NEAR>
void transform_results(const Gather& g, const Layout& l, const Run& run, const float* m, int64_t width, int64_t j,
                       int lanes, const float* bias, int32_t* flags) {
    const Images& y = g.to;
    const ptrdiff_t point = l.m_point, y_c = y.c, down = y.at[1], right = y.at[2];
    const vf shift = load_n(bias + j, lanes), quarter = set1(0.25f), nought = zero();
    const Activation f = g.activation;
    const vf low = f == RELU ? nought : set1(-__builtin_inff());  // what is -inf will be computed again
    const bool two = 2 * run.y + 1 < g.size[1];
    const int64_t wide = g.size[2];
    const float* from = m + run.at * (NEAR ? 4 : 1) * width;
    Four<const float> in[4] = {
        {from, point}, {from + 4 * point, point}, {from + 8 * point, point}, {from + 12 * point, point}};
    float* to = y.data + run.n * y.n + 2 * run.y * down + 2 * run.x0 * right + j * y_c;
    int32_t* flag = flags + run.at;
    alignas(64) float nowhere[VL];
    for (int64_t at = 2 * run.x0; at < 2 * run.x1; at += 2, to += 2 * right) {
        vf half[2][4], out[2][2];
        if (NEAR) {
#pragma GCC unroll 2
            for (int r = 0; r < 2; ++r)
                for (int s = 0; s < 2; ++s) out[r][s] = loadu(from + (2 * r + s) * width);
            from += 4 * width;
        }
#pragma GCC unroll 4
        for (int r = 0; !NEAR && r < 4; ++r) {
            vf p[4];
#pragma GCC unroll 4
            for (int s = 0; s < 4; ++s) p[s] = PLAIN ? loadu(in[r][s]) : load_n(in[r][s], lanes);
            results_of(p[0], p[1], p[2], p[3], half[0][r], half[1][r]);
            in[r].next(width);
        }
        vf bad = nought;
#pragma GCC unroll 2
        for (int s = 0; s < 2; ++s) {
            if (!NEAR) results_of(half[s][0], half[s][1], half[s][2], half[s][3], out[0][s], out[1][s]);
#pragma GCC unroll 2
            for (int r = 0; r < 2; ++r) {
                out[r][s] = fma(out[r][s], quarter, shift);
                bad = fma(out[r][s], nought, bad);
                out[r][s] = select(le(out[r][s], low), nought, out[r][s]);
            }
        }
        *flag++ |= any(isnan(bad));
        const bool both = at + 1 < wide;
        if (PLAIN) {
            storeu(to, out[0][0]);
            storeu(both ? to + right : nowhere, out[0][1]);
            storeu(two ? to + down : nowhere, out[1][0]);
            storeu(two && both ? to + down + right : nowhere, out[1][1]);
        } else {
            spread(to, y_c, lanes, out[0][0], f);
            if (both) spread(to + right, y_c, lanes, out[0][1], f);
            if (two) spread(to + down, y_c, lanes, out[1][0], f);
            if (two && both) spread(to + down + right, y_c, lanes, out[1][1], f);
        }
    }
}

// The block `x` of row `y` of image n, by the direct sum.
void compute_again(const Gather& g, const Weights& w, const float* bias, float* row, int64_t n, int64_t y, int64_t x) {
    for (int64_t h = 2 * y; h < least(2 * y + 2, g.size[1]); ++h)
        for (int64_t c = 2 * x; c < least(2 * x + 2, g.size[2]); ++c) {
            Tap taps[9];
            Dot d;
            d.taps = taps;
            for (int64_t r = 0; r < 3; ++r)
                for (int64_t s = 0; s < 3; ++s) {
                    const int64_t at = h + r - g.before[0], to = c + s - g.before[1];
                    if (at < 0 || at >= g.from_size[0] || to < 0 || to >= g.from_size[1]) continue;
                    taps[d.count++] = {g.from.data + n * g.from.n + at * g.from.at[1] + to * g.from.at[2],
                                       w.data + r * w.tap[0] + s * w.tap[1], g.k, (r * 3 + s) * g.k};
                }
            d.m = 1, d.n = g.j;
            d.a_k = g.from.c, d.b_k = w.k;
            d.c = row, d.c_m = g.j;
            d.bias = bias, d.activation = g.activation;
            dot(d);
            float* const p = g.to.data + n * g.to.n + h * g.to.at[1] + c * g.to.at[2];
            for (int64_t j = 0; j < g.j; ++j) p[j * g.to.c] = row[j];
        }
}

// The blocks of dx that read a rim of dy alone, which is +0: of rows [begin, end) of blocks, counted through all
// images.
void fill_rim(const Gather& g, const Layout& l, const Weights& w, float* row, int64_t begin, int64_t end) {
    const bool finite = weights_finite(g);
    for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / l.high, y = i % l.high, x0 = y < l.live_high ? l.live_wide : 0;
        for (int64_t x = x0; !finite && x < l.wide; ++x) compute_again(g, w, nullptr, row, n, y, x);
        for (int64_t h = 2 * y; finite && h < least(2 * y + 2, g.size[1]); ++h)
            for (int64_t c = 2 * x0; c < g.size[2]; ++c) {
                float* const p = g.to.data + n * g.to.n + h * g.to.at[1] + c * g.to.at[2];
                for (int64_t j = 0; j < g.j; ++j) p[j * g.to.c] = 0;
            }
    }
}

// The runs of the blocks that matter, [begin, end) of them, counted through all images.
template <class Body>
void each_run(const Layout& l, int64_t begin, int64_t end, Body body) {
    for (int64_t i = begin; i < end;) {
        const int64_t x = i % l.live_wide, line = i / l.live_wide, last = least(l.live_wide, x + end - i);
        body(Run{line / l.live_high, line % l.live_high, x, last, i - begin});
        i += last - x;
    }
}

// The results of blocks [first, last), whose V and M go through L2.
void blocks_of_group(const Gather& g, const Layout& l, const Source& source, const float* u, float* v, float* m,
                     const float* bias, int32_t* flags, int64_t first, int64_t last) {
    const Place place{l.v_point, l.v_row};
    for (int64_t k = 0; k < g.k; k += VL) {
        const int lanes = (int)least(VL, g.k - k);
        each_run(l, first, last, [&](const Run& run) {
            (lanes == VL && g.from.c == 1 ? transform_image<true, 0, 4>
                                          : transform_image<false, 0, 4>)(source, place, run, k, lanes, v + k, flags);
        });
    }
    const float* panel = u;
    for (int64_t j0 = 0; j0 < g.j; j0 += WIDE) {
        const int64_t columns = least(WIDE, g.j - j0), width = whole_vectors(columns);
        for (int p = 0; p < POINTS; ++p)
            multiply(last - first, columns, g.k, v + p * l.v_point, l.v_row, panel + p * g.k * width, width,
                     m + p * l.m_point);
        panel += POINTS * g.k * width;
        for (int64_t j = 0; j < columns; j += VL) {
            const int lanes = (int)least(VL, columns - j);
            each_run(l, first, last, [&](const Run& run) {
                (lanes == VL && g.to.c == 1 && g.activation <= RELU
                     ? transform_results<true, false>
                     : transform_results<false, false>)(g, l, run, m + j, width, j0 + j, lanes, bias, flags);
            });
        }
    }
}

// The 2 x 2 positions of each of these blocks, from that of block 0, 0 of image 0 on.
void find(const Layout& l, const Images& x, const float* origin, int64_t first, int64_t last, Positions& p) {
    each_run(l, first, last, [&](const Run& run) {
        const float* at = origin + run.n * x.n + 2 * run.y * x.at[1] + 2 * run.x0 * x.at[2];
        for (int64_t i = 4 * run.at; i < 4 * (run.at + run.x1 - run.x0); i += 4, at += 2 * x.at[2])
            for (int s = 0; s < 4; ++s) p.of[i + s] = at + s / 2 * x.at[1] + s % 2 * x.at[2];
    });
}

// The same, a row of points at a time; m: the sums over rows. Blocks after the last one go on until `end`.
void blocks_near(const Gather& g, const Layout& l, const Source& source, const float* u, float* v, float* m,
                 const float* bias, int32_t* flags, int64_t first, int64_t last, int64_t end) {
    Positions results, images;
    find(l, g.to, g.to.data, first, last, results);
    images = results;
    find(l, g.from, g.from.data + (2 - g.before[0]) * g.from.at[1] + (2 - g.before[1]) * g.from.at[2], last,
         least(end, 2 * last - first), images);
    for (int row = 0; row < 4; ++row) {
        for (int64_t k = 0; k < g.k; k += VL)
            each_run(l, first, last, [&](const Run& run) { transform_near(row, source, run, k, g.k, v, flags); });
        for (int64_t j = 0; j < g.j; j += NEAR_COLUMNS)
            multiply_near(row, {last - first, g.k, j, g.j, v, u + g.k * (POINTS * j + row * 4 * NEAR_COLUMNS), m,
                                results, images});
    }
    for (int64_t j = 0; j < g.j; j += VL)
        each_run(l, first, last,
                 [&](const Run& run) { transform_results<true, true>(g, l, run, m + j, g.j, j, VL, bias, flags); });
}

}  // namespace

void plan_winograd(Call& call, Gather& g) {
    const Layout l(g);
    g.packed = l.packed, g.room = l.room;
    call.ranks = worth(call, g.n * l.high * l.wide);
    call.scratch = l.packed + l.u + call.ranks * l.room;
}

void run_winograd(const Gather& g, const Team& team, char* scratch) {
    const Layout l(g);
    float* const packed = reinterpret_cast<float*>(scratch);
    float* const u = reinterpret_cast<float*>(scratch + l.packed);
    char* room = scratch + l.packed + l.u + team.rank * l.room;
    float* const v = reinterpret_cast<float*>(room);
    float* const m = reinterpret_cast<float*>(room += l.v);
    float* const row = reinterpret_cast<float*>(room += l.m);
    float* const bias = reinterpret_cast<float*>(room += l.row);
    int32_t* const flags = reinterpret_cast<int32_t*>(room + l.row);
    for (int64_t j = 0; j < g.j; ++j) bias[j] = g.bias ? g.bias[j * g.bias_step] : 0;

    const Range mine = split(g.k, team);
    Weights w{g.w, {g.w_tap[1], g.w_tap[2]}, g.w_k};
    if (l.packed) {
        w = {packed, {3 * g.k * g.j, g.k * g.j}, g.j};
        for (int64_t tap = 0; tap < 9; ++tap)
            pack(g, g.w + tap / 3 * g.w_tap[1] + tap % 3 * g.w_tap[2], packed + tap * g.k * g.j, mine);
    }
    transform_weights(g, w, u, mine, l.near);
    team.barrier();

    const Source source{g.from, {g.from_size[0], g.from_size[1]}, {g.before[0], g.before[1]}};
    const bool images = g.n >= 4 * team.size;  // as the direct way shares them out: their lines stay with a rank
    const int64_t blocks = l.live_high * l.live_wide;
    const Range part = images ? split(g.n, team) : split(g.n * blocks, team);
    const int64_t begin = images ? part.begin * blocks : part.begin, end = images ? part.end * blocks : part.end;
    const int64_t count = end - begin, groups = (count + l.tiles - 1) / l.tiles;
    for (int64_t i = 0; i < groups; ++i) {
        const int64_t first = begin + count * i / groups, last = begin + count * (i + 1) / groups, tiles = last - first;
        for (int64_t t = 0; t < tiles; ++t) flags[t] = 0;
        l.near ? blocks_near(g, l, source, u, v, m, bias, flags, first, last, end)
               : blocks_of_group(g, l, source, u, v, m, bias, flags, first, last);
        each_run(l, first, last, [&](const Run& run) {
            for (int64_t x = run.x0; x < run.x1; ++x)
                if (flags[run.at + x - run.x0]) compute_again(g, w, g.bias ? bias : nullptr, row, run.n, run.y, x);
        });
    }
    if (blocks == l.high * l.wide) return;
    const Range rest = images ? part : split(g.n * l.high, team);
    images ? fill_rim(g, l, w, row, rest.begin * l.high, rest.end * l.high)
           : fill_rim(g, l, w, row, rest.begin, rest.end);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
