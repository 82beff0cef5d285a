// conv_dw: each rank owns rows of dw and sums them over all images; there are no partial sums of ranks, so nothing to
// reduce.
//
// Positions pass in chunks of CHUNK logical terms. A panel of dy is packed for the chunk and stays in L1 while the rows
// of dw pass; the chain of each sum rests in `chains` between the chunks of one block of 512, the sum of blocks in
// `sums`.
#include "conv/rim.hpp"
#include "conv/thin.hpp"
#include "conv/winograd.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int64_t CHUNK = 256;  // divides CHAIN; 128 x 32 floats of dy are 16 KB
constexpr int64_t FEW = 25;     // positions up to which the images are the inner order of the sum

struct Weights {
    Conv v;
    Images x, dy;
    float* dw;
    ptrdiff_t dw_tap[SPATIAL], dw_c, dw_o;
    int64_t positions;  // of one image
    bool images_inside;
    bool in_place;     // dy is read where it lies: one panel, positions evenly spaced in the order of the sum
    bool rim;          // dy is +0 beyond `live` of some axis
    int64_t row_room;  // rows of dw a rank holds, at most
    int64_t room;
};

struct ConvDw {
    bool is_thin, is_winograd;
    Weights usual;
    union {
        Thin thin;
        WinogradDw winograd;
    };
};

// Rows of dw that one call of dot computes: channels of one tap, or of all taps along the last axis.
struct Strip {
    int64_t tap[SPATIAL], taps;  // first tap; how many along the last axis
};

struct Worker {
    const Weights& s;
    int64_t live[SPATIAL];  // positions that matter; those beyond have dy = +0
    float* panel;           // CHUNK x width of dy, unless that is read in place
    float* sums;            // rows x PANEL
    float* chains;          // rows x PANEL
    Tap* taps;

    // Whether all taps along the last axis meet all positions and their channels are evenly spaced rows of x.
    bool merges() const {
        const Axis& a = s.v.axis[2];
        for (int64_t t = 0; t < a.taps; ++t) {
            const Range r = valid(a, t);
            if (r.begin != 0 || r.end < live[2]) return false;
        }
        return s.v.c == 1 || a.dilation * s.x.at[2] == s.v.c * s.x.c;
    }

    // Where term k lies: which image, which position. Counters, because a division costs as much as the terms of a
    // short row.
    struct Place {
        int64_t n, at[SPATIAL];
    };
    Place place(int64_t k) const {
        const Axis* a = s.v.axis;
        const int64_t n = s.images_inside ? k % s.v.n : k / s.positions,
                      p = s.images_inside ? k / s.v.n : k % s.positions;
        const int64_t row = p / a[2].out, plane = row / a[1].out;
        return {n, {plane, row - plane * a[1].out, p - row * a[2].out}};
    }
    void next_image(Place& p) const { p.n = p.n + 1 < s.v.n ? p.n + 1 : 0; }
    void next_position(Place& p) const {  // of the last axis; carries into the others
        for (int d = SPATIAL - 1; d >= 0; --d) {
            if (++p.at[d] < s.v.axis[d].out) return;
            p.at[d] = 0;
        }
    }
    // To the start of the next run of inner terms.
    void next_run(Place& p) const {
        if (s.images_inside) {
            p.n = 0;
            next_position(p);
        } else {
            p.at[2] = s.v.axis[2].out - 1;
            next_position(p);
            if (!(p.at[0] | p.at[1] | p.at[2])) next_image(p);
        }
    }
    int64_t inner() const { return s.images_inside ? s.v.n : s.v.axis[2].out; }

    void pack(int64_t begin, int64_t end, int64_t o, int64_t width) const {
        const ptrdiff_t step = s.images_inside ? s.dy.n : s.dy.at[2];
        float* row = panel;
        Place p = place(begin);
        for (int64_t k = begin; k < end;) {
            int64_t count = inner() - (s.images_inside ? p.n : p.at[2]);
            if (count > end - k) count = end - k;
            const float* from = s.dy.data + p.n * s.dy.n + o * s.dy.c;
            for (int d = 0; d < SPATIAL; ++d) from += p.at[d] * s.dy.at[d];
            for (int64_t i = 0; i < count; ++i, row += width, from += step) {
                if (s.dy.c == 1) {
                    int64_t j = 0;
                    for (; j + VL <= width; j += VL) storeu(row + j, loadu(from + j));
                    if (j < width) store_n(row + j, load_n(from + j, (int)(width - j)), (int)(width - j));
                } else {
                    for (int64_t j = 0; j < width; ++j) row[j] = from[j * s.dy.c];
                }
            }
            k += count;
            next_run(p);
        }
    }

    // The terms of a strip in [begin, end), and the stride between them.
    int64_t list(const Strip& strip, const float* x, int64_t begin, int64_t end, int64_t width, ptrdiff_t& a_k) const {
        const Axis* a = s.v.axis;
        Range r[SPATIAL];
        ptrdiff_t step[SPATIAL];
        for (int d = 0; d < SPATIAL; ++d) {
            r[d] = valid(a[d], strip.tap[d]);
            if (r[d].end > live[d]) r[d].end = live[d];
            x += (strip.tap[d] * a[d].dilation - a[d].low) * s.x.at[d];
            step[d] = a[d].stride * s.x.at[d];
        }
        a_k = s.images_inside ? s.x.n : step[2];
        const auto meets = [&](const Place& p, int d) { return p.at[d] >= r[d].begin && p.at[d] < r[d].end; };
        int64_t count = 0;
        Place p = place(begin);
        for (int64_t k = begin; k < end; next_run(p)) {
            const int64_t skip = s.images_inside ? p.n : p.at[2], run = k - skip;  // logical start of the run
            int64_t from = k, to = run + inner();
            k = to;
            if (!meets(p, 0) || !meets(p, 1) || (s.images_inside && !meets(p, 2))) continue;
            if (!s.images_inside) {
                if (from < run + r[2].begin) from = run + r[2].begin;
                if (to > run + r[2].end) to = run + r[2].end;
            }
            if (to > end) to = end;
            if (from >= to) continue;
            const float* first = x + p.at[0] * step[0] + p.at[1] * step[1] + (from - run) * a_k;
            first += s.images_inside ? p.at[2] * step[2] : p.n * s.x.n;
            Tap* const last = count ? taps + count - 1 : nullptr;
            if (last && last->a + last->k * a_k == first && last->at + last->k == from)
                last->k += to - from;
            else
                taps[count++] = {first, s.in_place ? s.dy.data + from * s.dy.at[2] : panel + (from - begin) * width,
                                 to - from, from};
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
            d.m = rows, d.n = width, d.a_m = a_m, d.a_k = a_k, d.b_k = s.in_place ? s.dy.at[2] : width;
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
    const bool pooled = call.n_in == 3 && call.n_out == 2;
    if (!pooled && (call.n_in != 2 || call.n_out != 1)) return refuse(call, "expected x, dy and dw");
    const View &x = call.in[0], &dw = call.out[0];
    View dy = call.in[1];
    ConvDw& way = call.as<ConvDw>();
    Thin& thin = way.thin;
    Weights& s = way.usual;
    s = {}, thin = {};
    thin.pooled = pooled;
    if (pooled && !parse_pool(call, call.in[1], call.in[2], thin.pool, dy)) return false;
    if (!parse(call, x, dy, dw, s.v, pooled ? POOLED : PLAIN)) return false;
    s.x = images(x), s.dy = images(dy), s.dw = dw.f32w();
    tap_strides(dw, s.dw_tap);
    s.dw_c = dw.stride[dw.rank - 2], s.dw_o = dw.stride[dw.rank - 1];
    s.positions = s.v.axis[0].out * s.v.axis[1].out * s.v.axis[2].out;
    s.images_inside = s.positions <= FEW;
    const Axis* a = s.v.axis;
    s.in_place = !s.images_inside && s.v.groups == 1 && s.v.o <= PANEL && (s.dy.c == 1 || s.v.o == 1) &&
                 s.dy.at[2] > 0 && (a[1].out == 1 || s.dy.at[1] == a[2].out * s.dy.at[2]) &&
                 (a[0].out == 1 || s.dy.at[0] == a[1].out * a[2].out * s.dy.at[2]) &&
                 (s.v.n == 1 || s.dy.n == s.positions * s.dy.at[2]);
    int64_t live = 1;
    for (int d = 0; d < SPATIAL; ++d) live *= a[d].live;
    s.rim = live < s.positions;
    call.flops = 2.0 * s.v.n * live * s.v.taps * s.v.c * s.v.o * s.v.groups;
    call.bytes = 4.0 * (x.size() + dy.size() + dw.size());
    if (pooled) {
        if (s.images_inside) return refuse(call, "expected maps of more than %d positions", (int)FEW);
        const View& db = call.out[1];
        if (db.rank != 1 || db.shape[0] != s.v.o || db.dtype != F32)
            return refuse(call, "expected db of one value a filter");
        thin.dy_of_pool = call.in[1].f32(), thin.db = db.f32w(), thin.db_o = db.stride[0];
    }
    way.is_thin = (pooled || !s.images_inside) && plan_thin(call, x, dy, dw, s.v, thin);
    if (way.is_thin) return true;
    if (pooled) return refuse(call, "expected few channels in one group, side by side, and no dilation");
    const int64_t rows = s.v.groups * ((s.v.o + PANEL - 1) / PANEL) * s.v.taps * s.v.c;
    way.is_winograd = pays_winograd_dw(s.v);
    call.ranks = worth(call, (rows + 3) / 4);
    int64_t flags = 0, room = 0;
    if (way.is_winograd) {
        WinogradDw& w = way.winograd;
        w = {{a[0], a[1], a[2]}, s.v.n, s.v.c, s.v.o, s.x, s.dy, s.dw, {s.dw_tap[1], s.dw_tap[2]}, s.dw_c, s.dw_o, 0};
        plan_winograd_dw(call, w);
        flags = w.flags, room = call.scratch;
    }
    s.row_room = rows;  // a team may be smaller than planned
    s.room = align64(CHUNK * PANEL * 4) + align64((CHUNK + 1) * (int64_t)sizeof(Tap));
    call.scratch = flags + call.ranks * s.room + 2 * align64(rows * PANEL * 4);
    if (call.scratch < room) call.scratch = room;
    return true;
}

// False, for all ranks: dw of all groups by the direct sum.
static bool winograd_of_groups(const ConvDw& way, const Team& team, char* scratch) {
    const Conv& v = way.usual.v;
    for (int64_t group = 0; group < v.groups; ++group) {
        if (group) team.barrier();  // all ranks are done with the last group's sums
        WinogradDw one = way.winograd;
        one.x.data += group * v.c * one.x.c, one.dy.data += group * v.o * one.dy.c;
        one.dw += group * v.o * one.dw_o;
        if (!run_winograd_dw(one, team, scratch)) return false;
    }
    return true;
}

void conv_dw_run(const Call& call, const Team& team, char* scratch) {
    const ConvDw& way = call.as<ConvDw>();
    if (way.is_thin) return run_thin(way.thin, team, scratch);
    if (way.is_winograd) {
        if (winograd_of_groups(way, team, scratch)) return;
        scratch += way.winograd.flags;
    }
    const Weights& s = way.usual;
    const int64_t height = s.v.taps * s.v.c, panels = (s.v.o + PANEL - 1) / PANEL, total = s.v.n * s.positions;
    const Range mine = split(s.v.groups * panels * height, team);
    if (mine.begin == mine.end) return;
    char* room = scratch + team.rank * s.room;
    float* const sums = reinterpret_cast<float*>(scratch + call.ranks * s.room);
    float* const chains = sums + s.row_room * PANEL;
    Worker worker{s,    {},     reinterpret_cast<float*>(room),
                  sums, chains, reinterpret_cast<Tap*>(room + align64(CHUNK * PANEL * 4))};
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
    const auto add = [&](bool live) {
        for (int d = 0; d < SPATIAL; ++d) worker.live[d] = live ? s.v.axis[d].live : s.v.axis[d].out;
        for (int64_t k0 = 0; k0 < total; k0 += CHUNK) {
            const int64_t k1 = k0 + CHUNK < total ? k0 + CHUNK : total;
            each([&](int64_t group, int64_t o, int64_t width, int64_t begin, int64_t end, int64_t at) {
                if (!s.in_place) worker.pack(k0, k1, group * s.v.o + o, width);
                worker.add(group, begin, end, k0, k1, width, sums + at, chains + at);
            });
        }
    };
    const Range images{0, s.v.n}, rows{0, s.v.axis[1].in};
    const bool live = s.rim && rim_holds(s.x, s.v.axis, images, rows, s.v.groups * s.v.c, all_finite);
    add(live);
    bool lost = false;
    each([&](int64_t, int64_t, int64_t width, int64_t begin, int64_t end, int64_t at) {
        for (int64_t row = 0; live && row < end - begin; ++row)
            lost = lost || !no_negative_zero(sums + at + row * PANEL, width, 1);
    });
    if (lost) add(false);
    each([&](int64_t group, int64_t o, int64_t width, int64_t begin, int64_t end, int64_t at) {
        worker.store(group, begin, end, o, width, sums + at);
    });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
