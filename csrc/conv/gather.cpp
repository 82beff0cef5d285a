// The loops that conv_forward and conv_dx share: packed weights, regions of positions that meet the same taps, tiles of
// dot.
#include "conv/narrow.hpp"
#include "conv/rim.hpp"
#include "conv/winograd.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int64_t SMALL = 256;  // positions of an image up to which the batch may be the rows of all tiles

// Columns of a panel. Wide ones make tiles of 6 x 64, which take 1.63 instructions for an FMA where 14 x 32 take 1.79:
// 0.90 of the time for (14,14,128)->128 1x1, 0.95 for (56,56,64)->64. Where a panel outgrows L1 and the images are
// small, each tile reads it from L2 and 14 rows read it less often: 1.05 for (16,16,64)->128 with stride 2.
int64_t panel_of(const Gather& g) {
    const int64_t terms = g.taps[0] * g.taps[1] * g.taps[2] * g.k, positions = g.size[0] * g.size[1] * g.size[2];
    return VL == 16 && g.j >= 2 * PANEL && (terms <= 128 || positions > SMALL) ? 2 * PANEL : PANEL;
}

int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// Packed weights: for each group and panel of g.panel columns, rows of (tap, k).
int64_t panel_width(const Gather& g, int64_t j) { return g.j - j < g.panel ? g.j - j : g.panel; }

// Whether w can be read where it lies: one panel with contiguous columns, and (tap, k) one uniform stride.
bool lies_packed(const Gather& g) {
    if (g.groups > 1 || g.j > g.panel || g.w_k <= 0 || (g.w_j != 1 && g.j > 1)) return false;
    ptrdiff_t expected = g.w_k * g.k;
    for (int d = SPATIAL - 1; d >= 0; --d) {
        if (g.taps[d] > 1 && g.w_tap[d] != expected) return false;
        expected *= g.taps[d];
    }
    return true;
}

void pack(const Gather& g, float* to, int64_t begin, int64_t end) {  // items: (group, panel, tap)
    const int64_t taps = g.taps[0] * g.taps[1] * g.taps[2], panels = (g.j + g.panel - 1) / g.panel;
    for (int64_t item = begin; item < end; ++item) {
        const int64_t tap = item % taps, panel = item / taps % panels, group = item / taps / panels;
        const int64_t j0 = panel * g.panel, width = panel_width(g, j0);
        float* row = to + (group * g.j + j0) * taps * g.k + tap * g.k * width;
        const float* from = g.w + tap / (g.taps[1] * g.taps[2]) * g.w_tap[0] +
                            tap / g.taps[2] % g.taps[1] * g.w_tap[1] + tap % g.taps[2] * g.w_tap[2] +
                            group * g.w_group + j0 * g.w_j;
        if (g.w_j == 1) {
            for (int64_t k = 0; k < g.k; ++k, row += width, from += g.w_k)
                for (int64_t j = 0; j < width; ++j) row[j] = from[j];
        } else {
            for (int64_t k = 0; k < g.k; ++k, row += width, from += g.w_k)
                for (int64_t j = 0; j < width; ++j) row[j] = from[j * g.w_j];
        }
    }
}

// Contiguous terms of a region's sum: from offset a, `k` of them, at logical position `at`.
struct Run {
    ptrdiff_t a;
    int64_t k, at;
};

// One rank at work.
struct Worker {
    const Gather& g;
    const float* weights;
    ptrdiff_t b_k;      // of weights that lie packed; 0: the panel's width
    const float* bias;  // contiguous, or null
    Run* runs;          // of the region
    Tap* taps;          // of the tile
    float* tile;        // M x g.panel, used where the columns of `to` are not contiguous
    int64_t count = 0;
    ptrdiff_t a_k = 0;
    int64_t group = 0;

    // The region's taps, relative to the position read first. Neighbouring ones merge into longer runs.
    void list(const Line& ld, const Line& lh, const Line& lw) {
        const Images& x = g.from;
        count = 0;
        a_k = g.k > 1 ? x.c : lw.hop * x.at[2];
        for (int64_t d = 0; d < ld.taps; ++d)
            for (int64_t h = 0; h < lh.taps; ++h)
                for (int64_t w = 0; w < lw.taps; ++w) {
                    const int64_t tap =
                        ((ld.tap + d * ld.tap_step) * g.taps[1] + lh.tap + h * lh.tap_step) * g.taps[2] + lw.tap +
                        w * lw.tap_step;
                    const ptrdiff_t a = d * ld.hop * x.at[0] + h * lh.hop * x.at[1] + w * lw.hop * x.at[2];
                    if (count) {
                        Run& last = runs[count - 1];
                        if (last.a + last.k * a_k == a && last.at + last.k == tap * g.k) {
                            last.k += g.k;
                            continue;
                        }
                    }
                    runs[count++] = {a, g.k, tap * g.k};
                }
        if (!g.k) count = 0;
    }

    void compute(const float* from, float* to, int64_t m, ptrdiff_t a_m, ptrdiff_t c_m, int64_t j0) const {
        const int64_t terms_all = g.taps[0] * g.taps[1] * g.taps[2] * g.k, width = panel_width(g, j0);
        const ptrdiff_t row = b_k ? b_k : width;
        const float* panel = weights + (group * g.j + j0) * terms_all;
        for (int64_t i = 0; i < count; ++i)
            taps[i] = {from + runs[i].a, panel + runs[i].at * row, runs[i].k, runs[i].at};
        const bool direct = g.to.c == 1 || width == 1;
        Dot d;
        d.m = m, d.n = width;
        d.a_m = a_m, d.a_k = a_k, d.b_k = row;
        d.taps = taps, d.count = count;
        d.c = direct ? to + j0 * g.to.c : tile, d.c_m = direct ? c_m : g.panel;
        d.bias = bias ? bias + group * g.j + j0 : nullptr;
        d.activation = g.activation;
        dot(d);
        if (!direct)
            for (int64_t i = 0; i < m; ++i)
                for (int64_t j = 0; j < width; ++j) to[i * c_m + (j0 + j) * g.to.c] = tile[i * g.panel + j];
    }

    // How well m rows fill tiles of `most` rows: cycles a term and row; a tile of fewer than 4 rows waits for its own
    // sums.
    static double cost(int64_t m) {
        constexpr int64_t rows = VL == 16 ? 14 : 6;
        const int64_t tiles = (m + rows - 1) / rows, height = (m + tiles - 1) / tiles;
        return (double)tiles * most(height, 4) / m;
    }

    // All positions of one region in images [begin, end), with pixels of a row, of a column, or images as the rows of
    // tiles.
    void region(const Line& ld, const Line& lh, const Line& lw, int64_t begin, int64_t end, bool whole) {
        const Images &x = g.from, &y = g.to;
        const int64_t n = end - begin;
        const bool small = g.size[0] * g.size[1] * g.size[2] <= SMALL || (lw.count < 4 && lh.count < 4);
        double best = cost(lw.count);
        int rows = 2;
        if (cost(lh.count) < 0.9 * best) best = cost(lh.count), rows = 1;
        if (whole && small && n > 3 && cost(n) < 0.9 * best) rows = 0;

        Line line[SPATIAL] = {ld, lh, lw};
        int64_t m = rows ? line[rows].count : n;
        ptrdiff_t a_m = rows ? line[rows].read_step * x.at[rows] : x.n;
        ptrdiff_t c_m = rows ? line[rows].step * y.at[rows] : y.n;
        if (rows) line[rows].count = 1;
        if (rows == 2 && y.c == 1 && lh.read_step * x.at[1] == m * a_m && lh.step * y.at[1] == m * c_m) {
            m *= lh.count;  // the rows of the image follow each other
            line[1].count = 1;
        }
        list(ld, lh, lw);
        const float* const read = x.data + begin * x.n + ld.read * x.at[0] + lh.read * x.at[1] + lw.read * x.at[2];
        float* const written = y.data + begin * y.n + ld.first * y.at[0] + lh.first * y.at[1] + lw.first * y.at[2];
        const int64_t loops = rows ? n : 1;
        for (int64_t i = 0; i < loops; ++i)  // all groups of an image, which is in L2 after the first
            for (group = 0; group < g.groups; ++group) {
                const float* const from = read + i * x.n + group * g.k * x.c;
                float* const to = written + i * y.n + group * g.j * y.c;
                const auto place = [&](int64_t p0, int64_t p1, int64_t p2, int64_t j) {
                    compute(
                        from + p0 * ld.read_step * x.at[0] + p1 * lh.read_step * x.at[1] + p2 * lw.read_step * x.at[2],
                        to + p0 * ld.step * y.at[0] + p1 * lh.step * y.at[1] + p2 * lw.step * y.at[2], m, a_m, c_m, j);
                };
                if (rows)  // a panel of weights stays in L1 while the image passes
                    for (int64_t j = 0; j < g.j; j += g.panel)
                        for (int64_t p0 = 0; p0 < line[0].count; ++p0)
                            for (int64_t p1 = 0; p1 < line[1].count; ++p1)
                                for (int64_t p2 = 0; p2 < line[2].count; ++p2) place(p0, p1, p2, j);
                else  // one position of all images stays in L1 while the panels pass
                    for (int64_t p0 = 0; p0 < line[0].count; ++p0)
                        for (int64_t p1 = 0; p1 < line[1].count; ++p1)
                            for (int64_t p2 = 0; p2 < line[2].count; ++p2)
                                for (int64_t j = 0; j < g.j; j += g.panel) place(p0, p1, p2, j);
            }
    }
};

}  // namespace

static int64_t pieces_of(const Gather& g) { return (g.size[1] + g.piece - 1) / g.piece; }

void plan(Call& call, Gather& g) {
    if (g.winograd) return plan_winograd(call, g);
    if (!g.piece && plan_narrow(call, g)) return;
    g.panel = panel_of(g);
    const int64_t taps = g.taps[0] * g.taps[1] * g.taps[2];
    const int64_t rows = most(most(g.size[1], g.size[2]), g.n);
    if (g.k == 1)  // then the stride of k is never taken; give it the value that uniform rows of weights have
        for (int d = 0; d < SPATIAL; ++d)
            if (g.taps[d] > 1) g.w_k = g.w_tap[d];
    g.packed = lies_packed(g) ? 0 : align64(g.groups * g.j * taps * g.k * 4);
    g.line_room = align64((g.size[0] + g.size[1] + g.size[2]) * (int64_t)sizeof(Line));
    g.room = g.line_room + align64(taps * (int64_t)(sizeof(Tap) + sizeof(Run))) + align64(g.groups * g.j * 4) +
             (g.to.c == 1 ? 0 : align64(rows * g.panel * 4)) + align64(g.piece * g.to.at[1] * 4);
    call.ranks = worth(call, g.n * (g.piece ? pieces_of(g) : g.size[1]));
    call.scratch = g.packed + call.ranks * g.room;
}

namespace {

// A rank's part of the positions: images are shared out whole where there are enough of them, else rows of images.
struct Share {
    bool whole;
    int64_t h;
    Range mine;
    Share(const Gather& g, const Team& team)
        : whole(g.n >= 4 * team.size), h(g.size[1]), mine(split(whole ? g.n : g.n * h, team)) {}

    // body(first image, end, first row, end): all of several images, or rows of one.
    template <class Body>
    void each(Body body) const {
        if (whole) return body(mine.begin, mine.end, 0, h);
        for (int64_t i = h ? mine.begin / h : 0; i * h < mine.end; ++i)
            body(i, i + 1, most(mine.begin - i * h, 0), mine.end - i * h < h ? mine.end - i * h : h);
    }
};

// All regions, for a part of the images or of their rows.
struct Regions {
    Worker& worker;
    Line* lines[SPATIAL];
    int64_t count[SPATIAL];

    Regions(const Gather& g, Worker& w, Line* list, bool live) : worker(w) {
        for (int d = 0; d < SPATIAL; ++d) {
            Axis a = g.axis[d];
            if (live) a.out = a.live;
            lines[d] = list;
            count[d] = g.lines(a, list);
            list += count[d];
        }
    }
    // Row `top` of the image is written to row top - shift of `to`.
    void each(int64_t begin, int64_t end, int64_t top, int64_t bottom, bool whole, int64_t shift = 0) const {
        for (int64_t d = 0; d < count[0]; ++d)
            for (int64_t r = 0, before = 0; r < count[1]; before += lines[1][r++].count) {
                Line row = part(lines[1][r], before, top, bottom);
                row.first -= shift;
                if (row.count)
                    for (int64_t c = 0; c < count[2]; ++c)
                        worker.region(lines[0][d], row, lines[2][c], begin, end, whole);
            }
    }
};

void walk(const Gather& g, Worker& worker, const Share& share, Line* list, bool live) {
    const Regions regions(g, worker, list, live);
    share.each([&](int64_t begin, int64_t end, int64_t top, int64_t bottom) {
        regions.each(begin, end, top, bottom, share.whole);
    });
}

void walk_pieces(const Gather& g, Worker& worker, const Team& team, Line* list) {  // worker.g writes to the buffer
    const Regions regions(g, worker, list, false);
    const int64_t pieces = pieces_of(g);
    const Range mine = split(g.n * pieces, team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
        const int64_t image = i / pieces, top = i % pieces * g.piece;
        const int64_t bottom = top + g.piece < g.size[1] ? top + g.piece : g.size[1];
        regions.each(image, image + 1, top, bottom, false, top);
        g.take(g, worker.g.to.data, image, top, bottom);
    }
}

}  // namespace

void run(const Gather& g, const Team& team, char* scratch) {
    if (g.winograd) {
        for (int64_t group = 0; group < g.groups; ++group) {
            if (group) team.barrier();  // all ranks are done with the last group's weights
            Gather one = g;
            one.groups = 1;
            one.from.data += group * g.k * g.from.c, one.to.data += group * g.j * g.to.c;
            one.w += group * g.w_group;
            if (g.bias) one.bias += group * g.j * g.bias_step;
            run_winograd(one, team, scratch);
        }
        return;
    }
    if (g.narrow) return run_narrow(g, team, scratch);
    const int64_t taps = g.taps[0] * g.taps[1] * g.taps[2];
    float* weights = reinterpret_cast<float*>(scratch);
    char* room = scratch + g.packed + team.rank * g.room;
    Line* const lines = reinterpret_cast<Line*>(room);
    room += g.line_room;
    Tap* list = reinterpret_cast<Tap*>(room);
    room += align64(taps * (int64_t)(sizeof(Tap) + sizeof(Run)));
    float* bias = reinterpret_cast<float*>(room);
    room += align64(g.groups * g.j * 4);
    if (g.bias)
        for (int64_t j = 0; j < g.groups * g.j; ++j) bias[j] = g.bias[j * g.bias_step];
    if (g.packed) {
        const Range r = split(g.groups * ((g.j + g.panel - 1) / g.panel) * taps, team);
        pack(g, weights, r.begin, r.end);
        team.barrier();
    }
    Gather own = g;
    if (g.piece)
        own.to.data =
            reinterpret_cast<float*>(scratch + g.packed + (team.rank + 1) * g.room - align64(g.piece * g.to.at[1] * 4));
    Worker worker{own,
                  g.packed ? weights : g.w,
                  g.packed ? 0 : g.w_k,
                  g.bias ? bias : nullptr,
                  reinterpret_cast<Run*>(list + taps),
                  list,
                  reinterpret_cast<float*>(room)};

    if (g.piece) return walk_pieces(g, worker, team, lines);
    const Share share(g, team);
    const bool live = g.rim && weights_finite(g);
    walk(g, worker, share, lines, live);
    if (!live) return;
    bool lost = false;
    share.each([&](int64_t begin, int64_t end, int64_t top, int64_t bottom) {
        lost = lost || !rim_holds(g.to, g.axis, {begin, end}, {top, bottom}, g.groups * g.j, no_negative_zero);
    });
    if (lost) walk(g, worker, share, lines, false);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
