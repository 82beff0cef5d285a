// conv_dw: each rank owns rows of dw and sums them over all images; there are no partial sums of ranks, so nothing to
// reduce.
//
// Positions pass in chunks of CHUNK logical terms. A panel of dy is packed for the chunk and stays in L1 while the rows
// of dw pass; the chain of each sum rests in `chains` between the chunks of one block of 512, the sum of blocks in
// `sums`.
#include "conv/conv.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int64_t CHUNK = 128;  // divides CHAIN; 128 x 32 floats of dy are 16 KB
constexpr int64_t FEW = 25;     // positions up to which the images are the inner order of the sum

struct Weights {
    Conv v;
    Images x, dy;
    float* dw;
    ptrdiff_t dw_tap[SPATIAL], dw_c, dw_o;
    int64_t positions;  // of one image
    bool images_inside;
    int64_t row_room;  // rows of dw a rank holds, at most
    int64_t room;
};

// Rows of dw that one call of dot computes: channels of one tap, or of all taps along the last axis.
struct Strip {
    int64_t tap[SPATIAL], taps;  // first tap; how many along the last axis
};

struct Worker {
    const Weights& s;
    float* panel;   // CHUNK x width of dy
    float* sums;    // rows x PANEL
    float* chains;  // rows x PANEL
    Tap* taps;

    // Whether all taps along the last axis meet all positions and their channels are evenly spaced rows of x.
    bool merges() const {
        const Axis& a = s.v.axis[2];
        for (int64_t t = 0; t < a.taps; ++t) {
            const Range r = valid(a, t);
            if (r.begin != 0 || r.end != a.out) return false;
        }
        return s.v.c == 1 || a.dilation * s.x.at[2] == s.v.c * s.x.c;
    }

    void pack(int64_t begin, int64_t end, int64_t o, int64_t width) const {
        const int64_t inner = s.images_inside ? s.v.n : s.positions;
        const Axis* a = s.v.axis;
        float* row = panel;
        for (int64_t i = begin; i < end; ++i, row += width) {
            const int64_t n = s.images_inside ? i % inner : i / inner, p = s.images_inside ? i / inner : i % inner;
            const float* from = s.dy.data + n * s.dy.n + p / (a[1].out * a[2].out) * s.dy.at[0] +
                                p / a[2].out % a[1].out * s.dy.at[1] + p % a[2].out * s.dy.at[2] + o * s.dy.c;
            if (s.dy.c == 1)
                for (int64_t j = 0; j < width; ++j) row[j] = from[j];
            else
                for (int64_t j = 0; j < width; ++j) row[j] = from[j * s.dy.c];
        }
    }

    // The terms of a strip in [begin, end), and the stride between them.
    int64_t list(const Strip& strip, const float* x, int64_t begin, int64_t end, int64_t width, ptrdiff_t& a_k) const {
        const Axis* a = s.v.axis;
        Range r[SPATIAL];
        ptrdiff_t origin[SPATIAL];
        for (int d = 0; d < SPATIAL; ++d) {
            r[d] = valid(a[d], strip.tap[d]);
            origin[d] = strip.tap[d] * a[d].dilation - a[d].low;
        }
        int64_t count = 0;
        const int64_t inner = s.images_inside ? s.v.n : a[2].out;
        a_k = s.images_inside ? s.x.n : a[2].stride * s.x.at[2];
        for (int64_t outer = begin / inner; outer * inner < end; ++outer) {
            int64_t n = 0, p = outer;  // p: position, or row of positions
            if (!s.images_inside) n = outer / (a[0].out * a[1].out), p = outer % (a[0].out * a[1].out) * a[2].out;
            const int64_t at[SPATIAL] = {p / (a[1].out * a[2].out), p / a[2].out % a[1].out, p % a[2].out};
            int64_t from = outer * inner, to = from + inner;
            bool meets = true;
            for (int d = 0; d < SPATIAL - 1 + s.images_inside; ++d)
                meets = meets && at[d] >= r[d].begin && at[d] < r[d].end;
            if (!s.images_inside) to = from + r[2].end, from += r[2].begin;
            if (from < begin) from = begin;
            if (to > end) to = end;
            if (!meets || from >= to) continue;
            const int64_t skip = from - outer * inner;
            const float* first = x + n * s.x.n + (at[0] * a[0].stride + origin[0]) * s.x.at[0] +
                                 (at[1] * a[1].stride + origin[1]) * s.x.at[1] +
                                 (at[2] * a[2].stride + origin[2]) * s.x.at[2] + skip * a_k;
            if (count && taps[count - 1].a + taps[count - 1].k * a_k == first &&
                taps[count - 1].at + taps[count - 1].k == from)
                taps[count - 1].k += to - from;
            else
                taps[count++] = {first, panel + (from - begin) * width, to - from, from};
        }
        return count;
    }

    // Rows [begin, end) of the panel's columns, terms [k0, k1), which lie in one block of the chain.
    void add(int64_t group, int64_t begin, int64_t end, int64_t k0, int64_t k1, int64_t width, float* sum,
             float* chain) const {
        const Axis* a = s.v.axis;
        const int64_t merged = merges() ? a[2].taps : 1, c = s.v.c, height = merged * c;
        const int64_t total = s.v.n * s.positions;
        const bool starts = k0 % CHAIN == 0, ends = k1 % CHAIN == 0 || k1 == total;
        for (int64_t row = begin; row < end;) {
            const int64_t index = row / height, inside = row - index * height;
            const int64_t rows = end - row < height - inside ? end - row : height - inside;
            Strip strip{{0, 0, 0}, merged};
            const int64_t across = a[2].taps / merged;
            strip.tap[2] = index % across;
            strip.tap[1] = index / across % a[1].taps;
            strip.tap[0] = index / across / a[1].taps;
            const ptrdiff_t a_m = c == 1 ? a[2].dilation * s.x.at[2] : s.x.c;
            ptrdiff_t a_k;
            Dot d;
            d.count = list(strip, s.x.data + group * c * s.x.c + inside * a_m, k0, k1, width, a_k);
            d.taps = taps;
            d.m = rows, d.n = width, d.a_m = a_m, d.a_k = a_k, d.b_k = width;
            float* const part = chain + (row - begin) * PANEL;
            d.resume = starts ? nullptr : part, d.resume_m = PANEL;
            d.c = ends ? sum + (row - begin) * PANEL : part, d.c_m = PANEL;
            d.add = ends && k0 >= CHAIN;
            dot(d);
            row += rows;
        }
    }

    void store(int64_t group, int64_t begin, int64_t end, int64_t o, int64_t width, const float* sum) const {
        const Axis* a = s.v.axis;
        for (int64_t row = begin; row < end; ++row, sum += PANEL) {
            const int64_t c = row % s.v.c, tap = row / s.v.c;
            float* to = s.dw + tap / (a[1].taps * a[2].taps) * s.dw_tap[0] + tap / a[2].taps % a[1].taps * s.dw_tap[1] +
                        tap % a[2].taps * s.dw_tap[2] + c * s.dw_c + (group * s.v.o + o) * s.dw_o;
            for (int64_t j = 0; j < width; ++j) to[j * s.dw_o] = sum[j];
        }
    }
};

}  // namespace

bool conv_dw_prepare(Call& call) {
    if (call.n_in != 2 || call.n_out != 1) return refuse(call, "expected x, dy and dw");
    const View &x = call.in[0], &dy = call.in[1], &dw = call.out[0];
    Weights& s = call.as<Weights>();
    s = {};
    if (!parse(call, x, dy, dw, s.v)) return false;
    s.x = images(x), s.dy = images(dy), s.dw = dw.f32w();
    tap_strides(dw, s.dw_tap);
    s.dw_c = dw.stride[dw.rank - 2], s.dw_o = dw.stride[dw.rank - 1];
    s.positions = s.v.axis[0].out * s.v.axis[1].out * s.v.axis[2].out;
    s.images_inside = s.positions <= FEW;
    call.flops = 2.0 * s.v.n * s.positions * s.v.taps * s.v.c * s.v.o * s.v.groups;
    call.bytes = 4.0 * (x.size() + dy.size() + dw.size());
    const int64_t rows = s.v.groups * ((s.v.o + PANEL - 1) / PANEL) * s.v.taps * s.v.c;
    call.ranks = worth(call, (rows + 3) / 4);
    s.row_room = rows;  // a team may be smaller than planned
    s.room = align64(CHUNK * PANEL * 4) + align64((CHUNK + 1) * (int64_t)sizeof(Tap));
    call.scratch = call.ranks * s.room + 2 * align64(rows * PANEL * 4);
    return true;
}

void conv_dw_run(const Call& call, const Team& team, char* scratch) {
    const Weights& s = call.as<Weights>();
    const int64_t height = s.v.taps * s.v.c, panels = (s.v.o + PANEL - 1) / PANEL, total = s.v.n * s.positions;
    const Range mine = split(s.v.groups * panels * height, team);
    if (mine.begin == mine.end) return;
    char* room = scratch + team.rank * s.room;
    float* const sums = reinterpret_cast<float*>(scratch + call.ranks * s.room);
    float* const chains = sums + s.row_room * PANEL;
    const Worker worker{s, reinterpret_cast<float*>(room), sums, chains,
                        reinterpret_cast<Tap*>(room + align64(CHUNK * PANEL * 4))};
    const auto each = [&](auto body) {  // (group, first filter, its width, rows of dw in the panel, first row of sums)
        for (int64_t i = mine.begin; i < mine.end;) {
            const int64_t panel = i / height, begin = i - panel * height;
            const int64_t end = mine.end - panel * height < height ? mine.end - panel * height : height;
            const int64_t o = panel % panels * PANEL, width = s.v.o - o < PANEL ? s.v.o - o : PANEL;
            body(panel / panels, o, width, begin, end, i * PANEL);
            i += end - begin;
        }
    };
    if (!total)
        for (int64_t i = mine.begin * PANEL; i < mine.end * PANEL; ++i) sums[i] = 0;
    for (int64_t k0 = 0; k0 < total; k0 += CHUNK) {
        const int64_t k1 = k0 + CHUNK < total ? k0 + CHUNK : total;
        each([&](int64_t group, int64_t o, int64_t width, int64_t begin, int64_t end, int64_t at) {
            worker.pack(k0, k1, group * s.v.o + o, width);
            worker.add(group, begin, end, k0, k1, width, sums + at, chains + at);
        });
    }
    each([&](int64_t group, int64_t o, int64_t width, int64_t begin, int64_t end, int64_t at) {
        worker.store(group, begin, end, o, width, sums + at);
    });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
