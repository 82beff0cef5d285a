// narrow: the ring of transposed rows, and tiles of rows by vectors of positions.
#include "conv/narrow.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int MOST = 4;                    // channels of the result; 5 of 16 lanes are no longer few
constexpr int BLOCKS = 2;                  // vectors of positions in a tile
constexpr int64_t MOST_ROOM = 1 << 20;     // bytes of a rank's ring: half an L2
constexpr int64_t FEW_POSITIONS = VL / 2;  // of a row, below which the lanes would be empty here, too

// Rows of a tile: at least 8 chains, which with the weights of one term fit the registers.
constexpr int rows_of(int c) { return c == 1 ? 4 : c == 4 && VL < 16 ? 1 : 2; }
constexpr int MOST_ROWS = 4;

int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Of positions phase + j * step along an axis, the ones that a tap meets; those read j * read_step + off.
struct Reach {
    int64_t tap, off;
    Range j;
};

// dx has a phase for each step of the forward's stride; taps count from the last, as Gather's do.
int64_t phases(const Gather& g, int d) { return g.lines == lines_of_dx ? g.axis[d].stride : 1; }
int64_t read_step(const Gather& g, int d) { return g.lines == lines_of_dx ? 1 : g.axis[d].stride; }
int64_t from_size(const Gather& g, int d) { return g.lines == lines_of_dx ? g.axis[d].out : g.axis[d].in; }
int64_t positions(const Gather& g, int d, int64_t phase) {
    return (g.size[d] - phase + phases(g, d) - 1) / phases(g, d);
}

int64_t reaches(const Gather& g, int d, int64_t phase, Reach* list) {
    const Axis& a = g.axis[d];
    const bool dx = g.lines == lines_of_dx;
    const int64_t all = positions(g, d, phase);
    int64_t count = 0;
    for (int64_t tap = 0; tap < a.taps; ++tap) {
        Reach r{tap, 0, {0, 0}};
        if (dx) {
            const int64_t at = phase + a.low - (a.taps - 1 - tap) * a.dilation;
            if (at % a.stride) continue;
            r.off = at / a.stride;
            r.j = {r.off < 0 ? -r.off : 0, a.out - r.off < all ? a.out - r.off : all};
        } else {
            r.off = tap * a.dilation - a.low;
            r.j = valid(a, tap);
        }
        if (r.j.begin < r.j.end) list[count++] = r;
    }
    return count;
}

struct Step {                      // the K terms of one tap
    const float* from[MOST_ROWS];  // of each row at the tile's first position
    const float* w;
    int64_t at;
    int low[MOST_ROWS][BLOCKS], high[MOST_ROWS][BLOCKS];  // lanes that meet the tap
    bool whole;                                           // all that count do
};

struct Tile {
    const Gather& g;
    ptrdiff_t width;  // from channel to channel in the ring
    const Step* steps;
    int64_t count;
    const float* bias;
    float* to[MOST_ROWS];  // null: no such row
    ptrdiff_t to_step;
    int64_t lanes;  // positions left in the row
};

template <int C>
void tile(const Tile& t) {
    constexpr int R = rows_of(C), B = BLOCKS;
    const Gather& g = t.g;
    const ptrdiff_t width = t.width, w_k = g.w_k, w_j = g.w_j;
    vf acc[C][R][B];
    alignas(64) float sums[C][R][B][VL];
    vm touched[R][B], have[R][B];
    const auto each = [&](auto body) __attribute__((always_inline)) {
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c)
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
                for (int b = 0; b < B; ++b) body(c, r, b);
    };
    each([&](int c, int r, int b) __attribute__((always_inline)) {
        acc[c][r][b] = zero();
        storeu(sums[c][r][b], zero());
        touched[r][b] = have[r][b] = first_n(0);
    });
    const auto fold = [&]() __attribute__((always_inline)) {  // the chains of a block are added to the sums
        each([&](int c, int r, int b) __attribute__((always_inline)) {
            const vf old = loadu(sums[c][r][b]);
            const vf sum = select(have[r][b], add(old, acc[c][r][b]), acc[c][r][b]);
            storeu(sums[c][r][b], select(touched[r][b], sum, old));
            acc[c][r][b] = zero();
        });
        each([&](int c, int r, int b) __attribute__((always_inline)) {
            if (c) return;
            have[r][b] = m_or(have[r][b], touched[r][b]);
            touched[r][b] = first_n(0);
        });
    };

    int64_t block = -1;
    for (int64_t s = 0; s < t.count; ++s) {
        const Step& step = t.steps[s];
        vm mask[R][B];
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
            for (int b = 0; b < B; ++b) mask[r][b] = m_and(first_n(step.high[r][b]), m_not(first_n(step.low[r][b])));
        const float *w = step.w, *from[R];
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) from[r] = step.from[r];
        ptrdiff_t i = 0;
        for (int64_t left = g.k, at = step.at; left > 0;) {
            const int64_t here = at / CHAIN, room = (here + 1) * CHAIN - at;
            if (here != block && block >= 0) fold();
            block = here;
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
                for (int b = 0; b < B; ++b) touched[r][b] = m_or(touched[r][b], mask[r][b]);
            int64_t n = left < room ? left : room;
            left -= n;
            at += n;
            const auto terms = [&](auto masked) __attribute__((always_inline)) {
                do {
                    vf wv[C];
#pragma GCC unroll 4
                    for (int c = 0; c < C; ++c) wv[c] = set1(w[c * w_j]);
#pragma GCC unroll 4
                    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
                        for (int b = 0; b < B; ++b) {
                            const vf x = C > 1 ? held(loadu(from[r] + i + b * VL)) : loadu(from[r] + i + b * VL);
#pragma GCC unroll 4
                            for (int c = 0; c < C; ++c) {
                                const vf sum = fma(x, wv[c], acc[c][r][b]);
                                acc[c][r][b] = decltype(masked)::value ? select(mask[r][b], sum, acc[c][r][b]) : sum;
                            }
                        }
                    w += w_k;
                    i += width;
                } while (--n);
            };
            if (step.whole)
                terms(Some<false>{});
            else
                terms(Some<true>{});
        }
    }
    fold();

    for (int r = 0; r < R && t.to[r]; ++r)
        for (int b = 0; b < B && b * VL < t.lanes; ++b) {
            const int lanes = t.lanes - b * VL < VL ? (int)(t.lanes - b * VL) : VL;
            for (int c = 0; c < C; ++c) {
                float* const row = sums[c][r][b];
                vf x = loadu(row);
                if (t.bias) x = add(x, set1(t.bias[c * g.bias_step]));
                if (g.activation == RELU) x = select(le(x, zero()), zero(), x);
                float* const to = t.to[r] + b * VL * t.to_step + c * g.to.c;
                if (t.to_step == 1 && g.activation <= RELU) {
                    store_n(to, x, lanes);
                    continue;
                }
                storeu(row, x);
                if (g.activation > RELU) activate(g.activation, row, lanes);
                for (int l = 0; l < lanes; ++l) to[l * t.to_step] = row[l];
            }
        }
}

using Run = void (*)(const Tile&);
constexpr Run RUN[MOST + 1] = {nullptr, tile<1>, tile<2>, tile<3>, tile<4>};

// The ring and what a rank needs beside it.
struct Shape {
    int64_t before, width;             // positions before a row's first in the ring, all of them
    int64_t slots[2];                  // rows of the ring along the axes 0 and 1
    int64_t taps[SPATIAL];             // at most, of one phase
    int64_t ring, tags, reach, steps;  // bytes
};
Shape shape(const Gather& g) {
    Shape s;
    const bool dx = g.lines == lines_of_dx;
    int64_t span[SPATIAL];
    for (int d = 0; d < SPATIAL; ++d) {
        const Axis& a = g.axis[d];
        int64_t common = a.dilation, rest = dx ? a.stride : a.dilation;
        while (rest) {
            const int64_t t = common % rest;
            common = rest;
            rest = t;
        }
        s.taps[d] = dx ? (a.taps - 1) / (a.stride / common) + 1 : a.taps;
        span[d] = (s.taps[d] - 1) * (dx ? a.dilation / common : a.dilation) + 1;
    }
    const int64_t rows = rows_of((int)g.j);
    s.slots[0] = span[0];
    s.slots[1] = span[1] + (rows - 1) * read_step(g, 1);
    const Axis& a = g.axis[2];
    const int64_t far = (a.taps - 1) * a.dilation + a.low + 1;  // no tap reads further outside, in either direction
    s.before = up(far, VL);
    const int64_t last = up(positions(g, 2, 0), BLOCKS * VL) + far, own = up(from_size(g, 2), VL);
    s.width = s.before + up(last > own ? last : own, VL);
    if (s.width / VL % 2 == 0) s.width += VL;  // else the channels of a row share few sets of L1
    s.ring = align64(s.slots[0] * s.slots[1] * g.k * s.width * 4);
    s.tags = align64(s.slots[0] * s.slots[1] * 8);
    s.reach = align64((s.taps[0] * phases(g, 0) + s.taps[1] * phases(g, 1) + s.taps[2] * phases(g, 2)) *
                      (int64_t)sizeof(Reach));
    s.steps = align64(s.taps[0] * s.taps[1] * s.taps[2] * (int64_t)sizeof(Step));
    return s;
}

struct Worker {
    const Gather& g;
    const Shape s;
    float* ring;
    int64_t* tags;
    Reach* reach[SPATIAL];  // of all phases, taps[d] of each
    int64_t* count[SPATIAL];
    Step* steps;

    // Row h of plane d of image n, transposed; where its first position lies.
    const float* row(int64_t n, int64_t d, int64_t h) const {
        const int64_t id = (n * from_size(g, 0) + d) * from_size(g, 1) + h;
        const int64_t slot = d % s.slots[0] * s.slots[1] + h % s.slots[1];
        float* const to = ring + slot * g.k * s.width + s.before;
        if (tags[slot] == id) return to;
        tags[slot] = id;
        const float* from = g.from.data + n * g.from.n + d * g.from.at[0] + h * g.from.at[1];
        const int64_t wide = from_size(g, 2), step = g.from.at[2];
        if (g.from.c != 1) {
            for (int64_t k = 0; k < g.k; ++k)
                for (int64_t p = 0; p < wide; ++p) to[k * s.width + p] = from[p * step + k * g.from.c];
            return to;
        }
        for (int64_t k = 0; k < g.k; k += VL) {
            const int lanes = g.k - k < VL ? (int)(g.k - k) : VL;
            for (int64_t p = 0; p < wide; p += VL) {  // past the end the last position again: room nobody reads
                vf r[VL];
#pragma GCC unroll 16
                for (int i = 0; i < VL; ++i) r[i] = load_n(from + k + (p + i < wide ? p + i : wide - 1) * step, lanes);
                transpose(r);
#pragma GCC unroll 16
                for (int i = 0; i < VL; ++i)
                    if (i < lanes) storeu(to + (k + i) * s.width + p, r[i]);
            }
        }
        return to;
    }

    // Up to R rows of one phase, j0 and on, of plane q0 of image n.
    void rows(int64_t n, int64_t q0, int64_t phase, int64_t j0, int64_t rows) const {
        const int64_t p0 = q0 % phases(g, 0), d0 = q0 / phases(g, 0);
        const Reach *rd = reach[0] + p0 * s.taps[0], *rh = reach[1] + phase * s.taps[1];
        for (int64_t p2 = 0; p2 < phases(g, 2) && p2 < g.size[2]; ++p2) {
            const int64_t all = positions(g, 2, p2);
            for (int64_t j2 = 0; j2 < all; j2 += BLOCKS * VL) {
                Tile t{g, s.width, steps, 0, g.bias, {}, phases(g, 2) * g.to.at[2], all - j2};
                for (int64_t r = 0; r < rows; ++r)
                    t.to[r] = g.to.data + n * g.to.n + q0 * g.to.at[0] +
                              (phase + (j0 + r) * phases(g, 1)) * g.to.at[1] + (p2 + j2 * phases(g, 2)) * g.to.at[2];
                for (int64_t d = 0; d < count[0][p0]; ++d) {
                    if (d0 < rd[d].j.begin || d0 >= rd[d].j.end) continue;
                    for (int64_t h = 0; h < count[1][phase]; ++h)
                        t.count += taps_of_row(n, d0 * read_step(g, 0) + rd[d].off, rd[d].tap, rh[h], j0, rows, p2, j2,
                                               all, steps + t.count);
                }
                RUN[g.j](t);
            }
        }
    }

    // The steps of one kernel row.
    int64_t taps_of_row(int64_t n, int64_t d, int64_t tap_d, const Reach& rh, int64_t j0, int64_t rows, int64_t p2,
                        int64_t j2, int64_t all, Step* list) const {
        const float* from[MOST_ROWS];
        bool here[MOST_ROWS], every = true, some = false;
        for (int64_t r = 0; r < MOST_ROWS; ++r) {
            here[r] = r < rows && j0 + r >= rh.j.begin && j0 + r < rh.j.end;
            from[r] = here[r] ? row(n, d, (j0 + r) * read_step(g, 1) + rh.off) : ring + s.before;
            every &= here[r] || r >= rows;
            some |= here[r];
        }
        if (!some) return 0;
        const Reach* rw = reach[2] + p2 * s.taps[2];
        for (int64_t w = 0; w < count[2][p2]; ++w) {
            Step& step = list[w];
            const int64_t tap = (tap_d * g.taps[1] + rh.tap) * g.taps[2] + rw[w].tap;
            step.at = tap * g.k;
            step.w = g.w + tap_d * g.w_tap[0] + rh.tap * g.w_tap[1] + rw[w].tap * g.w_tap[2];
            step.whole = every;
            for (int b = 0; b < BLOCKS; ++b) {
                const int64_t first = j2 + b * VL, end = all - first < VL ? all - first : VL;
                int64_t low = rw[w].j.begin - first, high = rw[w].j.end - first;
                if (low < 0) low = 0;
                if (high >= end) high = VL;  // lanes past the row: anything
                if (low >= high || end <= 0) low = high = 0;
                step.whole &= end <= 0 || (low == 0 && high == VL);
                for (int r = 0; r < MOST_ROWS; ++r) {
                    step.low[r][b] = here[r] ? (int)low : 0;
                    step.high[r][b] = here[r] ? (int)high : 0;
                }
            }
            for (int r = 0; r < MOST_ROWS; ++r) step.from[r] = from[r] + j2 + rw[w].off;
        }
        return count[2][p2];
    }
};

}  // namespace

bool plan_narrow(Call& call, Gather& g) {
    g.narrow = false;
    if (g.j < 1 || g.j > MOST || g.k < 1 || g.groups > 1 || read_step(g, 2) > 1) return false;
    if (!g.n || !g.size[0] || !g.size[1] || g.size[2] < phases(g, 2) * FEW_POSITIONS) return false;
    for (int d = 0; d < SPATIAL; ++d)
        if (!from_size(g, d)) return false;
    const Shape s = shape(g);
    if (s.ring > MOST_ROOM) return false;
    g.narrow = true;
    g.packed = 0;
    g.room = s.ring + s.tags + s.reach + s.steps + align64(8 * (phases(g, 0) + phases(g, 1) + phases(g, 2)));
    call.ranks = worth(call, g.n * g.size[0] * g.size[1] / rows_of((int)g.j));
    call.scratch = call.ranks * g.room;
    return true;
}

void run_narrow(const Gather& g, const Team& team, char* scratch) {
    char* room = scratch + team.rank * g.room;
    Worker w{g, shape(g), reinterpret_cast<float*>(room), nullptr, {}, {}, nullptr};
    room += w.s.ring;
    w.tags = reinterpret_cast<int64_t*>(room);
    for (int64_t i = 0; i < w.s.slots[0] * w.s.slots[1]; ++i) w.tags[i] = -1;
    room += w.s.tags;
    Reach* list = reinterpret_cast<Reach*>(room);
    room += w.s.reach;
    w.steps = reinterpret_cast<Step*>(room);
    room += w.s.steps;
    int64_t* counts = reinterpret_cast<int64_t*>(room);
    for (int d = 0; d < SPATIAL; ++d) {
        w.reach[d] = list;
        w.count[d] = counts;
        for (int64_t phase = 0; phase < phases(g, d); ++phase, list += w.s.taps[d])
            *counts++ = phase < g.size[d] ? reaches(g, d, phase, list) : 0;
    }
    const int64_t h = g.size[1], step = phases(g, 1), most = rows_of((int)g.j);
    const Range mine = split(g.n * g.size[0] * h, team);
    for (int64_t i = mine.begin / h; i * h < mine.end; ++i) {
        const int64_t top = mine.begin > i * h ? mine.begin - i * h : 0, end = mine.end - i * h;
        const int64_t bottom = end < h ? end : h;
        for (int64_t q = top; q < bottom; q += most * step)
            for (int64_t first = q; first < q + step && first < bottom; ++first) {
                const int64_t left = (bottom - first + step - 1) / step;
                w.rows(i / g.size[0], i % g.size[0], first % step, first / step, left < most ? left : most);
            }
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
