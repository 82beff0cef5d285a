// winograd: conv_dw by F(3 x 3, 2 x 2): the transform of dy, 16 products over all blocks, and the way back to 9 taps.
#include "conv/rim.hpp"
#include "conv/winograd.hpp"
#include "conv/winograd_image.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

// Blocks of a chain, as many as forward's chains have channels: with 256 the error is up to 1.7 times that of the
// direct sum.
constexpr int64_t LINK = 64;
constexpr int64_t MOST = 4 * LINK;  // blocks of a group at most
constexpr int64_t COLUMNS = 32;     // of D that stay in L1 while the rows pass
constexpr int64_t PIECE = 16;       // channels, the least share of a rank
constexpr int HALF = POINTS / 2;    // points with the same two rows: a rank transforms the image for those only
constexpr int64_t FLAG = 64;        // bytes between the flags of two ranks

// Where things lie. Rows are apart by an odd number of cache lines where they would fall into few sets of L1.
ptrdiff_t apart(int64_t n) { return n % 128 ? n : n + 16; }

struct Layout {
    int64_t high, wide;            // blocks of 2 x 2 along the two axes
    int64_t live_high, live_wide;  // those that hold a position that matters
    int64_t blocks;                // of all images
    int64_t group;                 // blocks whose V and D are made at once, to stay in L2
    ptrdiff_t d_row, d_point;
    int64_t flags, m, v, d, huge, runs, room;  // bytes; room: of one rank
    Layout(const WinogradDw& w, int ranks) {
        const Axis *h = &w.axis[1], *x = &w.axis[2];
        high = (h->out + 1) / 2, wide = (x->out + 1) / 2;
        live_high = w.axis[0].live ? (h->live + 1) / 2 : 0, live_wide = (x->live + 1) / 2;
        blocks = w.n * high * wide;
        // M passes once a group; where it is larger than L2, seldom: 4 x (14, 14, 512)->512 gained 1.13 with 64 blocks,
        // 1.48 with 256.
        group = w.c + w.o <= 128 ? 2 * LINK : w.c * w.o < 65536 ? LINK : MOST;
        group = least(group, blocks ? (blocks + LINK - 1) / LINK * LINK : LINK);
        d_row = apart(w.o), d_point = group * d_row + 16;
        flags = FLAG * ranks;
        m = align64(4 * POINTS * w.c * w.o);
        v = align64(4 * HALF * v_point(w.c));
        d = align64(4 * HALF * d_point);
        huge = align64(4 * group);
        runs = align64((group + 1) * (int64_t)sizeof(Run));
        room = v + d + huge + runs;
    }
    ptrdiff_t v_point(int64_t channels) const { return group * apart(channels) + 16; }
};

// The blocks of a group that hold a position that matters, side by side, and where each chain of them starts.
struct Group {
    Run* runs;
    int64_t count = 0, chains = 0, start[MOST / LINK + 1];

    Group(const Layout& l, int64_t begin, int64_t end, Run* list) : runs(list) {
        int64_t live = 0;
        for (int64_t i = begin; i < end;) {
            if (i % LINK == 0) start[chains++] = live;
            const int64_t x = i % l.wide, line = i / l.wide, y = line % l.high, n = line / l.high;
            const int64_t stop = least(least(end, i + l.wide - x), i + LINK - i % LINK);
            const int64_t x1 = least(x + stop - i, l.live_wide);
            if (y < l.live_high && x < x1) {
                Run* const last = count ? runs + count - 1 : nullptr;
                if (last && last->n == n && last->y == y && last->x1 == x)
                    last->x1 = x1;
                else
                    runs[count++] = {n, y, x, x1, live};
                live += x1 - x;
            }
            i = stop;
        }
        start[chains] = live;
    }
};

// Rows FIRST and FIRST + 1 of 4 G dy G' with 2 G = (2 0; 1 1; 1 -1; 0 2), of VL filters, for the blocks of a run; to:
// those of the group's first block. What lies outside dy is 0.
template <bool PLAIN, int FIRST>
void transform_gradient(const Images& dy, const Axis* axis, const Place& place, const Run& run, int64_t j, float* to,
                        int32_t* huge) {
    const ptrdiff_t step = dy.c, right = dy.at[2], point = place.point, block = place.block;
    const bool two = 2 * run.y + 1 < axis[1].out;
    const int64_t wide = axis[2].out;
    const float* top = dy.data + run.n * dy.n + 2 * run.y * dy.at[1] + 2 * run.x0 * right + j * step;
    const float* low = two ? top + dy.at[1] : NOTHING;
    const ptrdiff_t low_right = two ? right : 0, low_step = two ? step : 0;
    const vi magnitude = seti(0x7fffffff);
    to += run.at * block;
    Four<float> out[2] = {{to, point}, {to + 4 * point, point}};
    int32_t* flag = huge + run.at;
    for (int64_t x = 2 * run.x0; x < 2 * run.x1; x += 2, top += 2 * right, low += 2 * low_right) {
        vf q[2][2], largest[2];
#pragma GCC unroll 2
        for (int s = 0; s < 2; ++s) {
            if (s && x + 1 == wide) {
                q[0][s] = q[1][s] = largest[s] = zero();
                continue;
            }
            const vf d0 = PLAIN ? held(loadu(top + s * right)) : collect(top + s * right, step, VL);
            const vf d1 = PLAIN ? held(loadu(low + s * low_right)) : collect(low + s * low_right, low_step, VL);
            q[0][s] = FIRST ? sub(d0, d1) : add(d0, d0);
            q[1][s] = FIRST ? add(d1, d1) : add(d0, d1);
            largest[s] = larger(floats(andi(bits(d0), magnitude)), floats(andi(bits(d1), magnitude)));
        }
#pragma GCC unroll 2
        for (int r = 0; r < 2; ++r) {
            storeu(out[r][0], add(q[r][0], q[r][0]));
            storeu(out[r][1], add(q[r][0], q[r][1]));
            storeu(out[r][2], sub(q[r][0], q[r][1]));
            storeu(out[r][3], add(q[r][1], q[r][1]));
            out[r].next(block);
        }
        *flag++ |= any(ge(larger(largest[0], largest[1]), set1(HUGE_X)));
    }
}

// Channels of one half of the points: what a rank owns of M.
struct Share {
    int half;
    int64_t c0, c1;
};

struct Worker {
    const WinogradDw& w;
    const Layout& l;
    float *m, *v, *d;
    int32_t* huge;  // one for each block of a group

    template <int FIRST>
    void transform(const Group& group, const Share& s) const {
        const Source source{w.x, {w.axis[1].in, w.axis[2].in}, {w.axis[1].low, w.axis[2].low}};
        const Place at_v{l.v_point(s.c1 - s.c0), apart(s.c1 - s.c0)}, at_d{l.d_point, l.d_row};
        for (int64_t i = 0; i < group.count; ++i) {
            const Run& run = group.runs[i];
            for (int64_t k = s.c0; k < s.c1; k += VL) {  // the last vector ends at the last channel
                const int64_t c = least(k, s.c1 - VL);
                (w.x.c == 1 ? transform_image<true, FIRST, 2>
                            : transform_image<false, FIRST, 2>)(source, at_v, run, c, VL, v + c - s.c0, huge);
            }
            for (int64_t j = 0; j < w.o; j += VL) {
                const int64_t o = least(j, w.o - VL);
                (w.dy.c == 1 ? transform_gradient<true, FIRST> : transform_gradient<false, FIRST>)(w.dy, w.axis, at_d,
                                                                                                   run, o, d + o, huge);
            }
        }
    }

    // M of the share += V' D, one chain for every LINK blocks, those that do not matter left out.
    void multiply(const Group& group, const Share& s, bool more) const {
        const ptrdiff_t row = apart(s.c1 - s.c0), point = l.v_point(s.c1 - s.c0);
        Tap taps[MOST / LINK];
        Dot dot_of;
        dot_of.taps = taps, dot_of.count = group.chains;
        dot_of.m = s.c1 - s.c0, dot_of.a_m = 1, dot_of.a_k = row;
        dot_of.b_k = l.d_row, dot_of.c_m = w.o;
        dot_of.add = more;
        for (int p = 0; p < HALF; ++p)
            for (int64_t j = 0; j < w.o; j += COLUMNS) {
                for (int64_t i = 0; i < group.chains; ++i)
                    taps[i] = {v + p * point + group.start[i] * row, d + p * l.d_point + group.start[i] * l.d_row + j,
                               group.start[i + 1] - group.start[i], i * CHAIN};
                dot_of.n = least(COLUMNS, w.o - j);
                dot_of.c = m + ((s.half * HALF + p) * w.c + s.c0) * w.o + j;
                dot(dot_of);
            }
    }
};

// Whether all of n >= VL floats are below HUGE_X: no NaN either.
bool none_huge(const float* p, int64_t n, ptrdiff_t step) {
    if (step != 1 || n < VL) {
        for (int64_t i = 0; i < n; ++i)
            if (!(__builtin_fabsf(p[i * step]) < HUGE_X)) return false;
        return true;
    }
    const vi magnitude = seti(0x7fffffff);
    vm fine = lt(zero(), set1(1));
    for (int64_t i = 0; i < n; i += VL)
        fine = m_and(fine, lt(floats(andi(bits(loadu(p + least(i, n - VL))), magnitude)), set1(HUGE_X)));
    return !any(m_not(fine));
}

__attribute__((noinline)) void scatter(float* p, ptrdiff_t step, vf value) {
    alignas(64) float x[VL];
    storeu(x, value);
    for (int i = 0; i < VL; ++i) p[i * step] = x[i];
}

QUERNEL_INLINE void taps_of(const vf (&m)[4], vf (&t)[3]) {  // A' m
    const vf both = add(m[1], m[2]);
    t[0] = add(add(m[0], m[1]), m[2]);
    t[1] = sub(m[1], m[2]);
    t[2] = sub(both, m[3]);
}

// dw of channels `mine`.
void transform_back(const WinogradDw& w, const float* m, Range mine) {
    const int64_t point = w.c * w.o;
    const vf nought = zero(), quarter = set1(0.25f);
    for (int64_t c = mine.begin; c < mine.end; ++c)
        for (int64_t i = 0; i < w.o; i += VL) {
            const int64_t j = least(i, w.o - VL);
            const float* const from = m + c * w.o + j;
            vf rows[3][4];
#pragma GCC unroll 4
            for (int r = 0; r < 4; ++r) {
                vf in[4], out[3];
#pragma GCC unroll 4
                for (int s = 0; s < 4; ++s) in[s] = add(loadu(from + (r * 4 + s) * point), nought);
                taps_of(in, out);
                for (int s = 0; s < 3; ++s) rows[s][r] = out[s];
            }
            float* const to = w.dw + c * w.dw_c + j * w.dw_o;
#pragma GCC unroll 3
            for (int s = 0; s < 3; ++s) {
                vf out[3];
                taps_of(rows[s], out);
#pragma GCC unroll 3
                for (int r = 0; r < 3; ++r) {
                    float* const at = to + r * w.dw_tap[0] + s * w.dw_tap[1];
                    w.dw_o == 1 ? storeu(at, mul(out[r], quarter)) : scatter(at, w.dw_o, mul(out[r], quarter));
                }
            }
        }
}

}  // namespace

void plan_winograd_dw(Call& call, WinogradDw& w) {
    call.ranks = worth(call, 2 * (w.c / PIECE));
    const Layout l(w, call.ranks);
    w.flags = l.flags;
    call.scratch = l.flags + l.m + call.ranks * l.room;
}

bool run_winograd_dw(const WinogradDw& w, const Team& team, char* scratch) {
    const Layout l(w, (int)(w.flags / FLAG));
    int32_t* const bad = reinterpret_cast<int32_t*>(scratch);
    float* const m = reinterpret_cast<float*>(scratch + l.flags);
    char* room = scratch + l.flags + l.m + team.rank * l.room;
    float* const v = reinterpret_cast<float*>(room);
    float* const d = reinterpret_cast<float*>(room += l.v);
    int32_t* const huge = reinterpret_cast<int32_t*>(room += l.d);
    Run* const runs = reinterpret_cast<Run*>(room + l.huge);
    const Worker worker{w, l, m, v, d, huge};

    const int64_t pieces = w.c / PIECE;
    const Range mine = split(2 * pieces, team);
    Share shares[2];
    int count = 0;
    for (int half = 0; half < 2; ++half) {
        const int64_t begin = mine.begin > half * pieces ? mine.begin - half * pieces : 0;
        const int64_t end = least(mine.end - half * pieces, pieces);
        if (begin < end) shares[count++] = {half, begin * PIECE, end == pieces ? w.c : end * PIECE};
    }
    for (int64_t i = 0; i < l.group; ++i) huge[i] = 0;
    int64_t begin = 0;
    do {
        const Group group(l, begin, least(begin + l.group, l.blocks), runs);
        for (int i = 0; i < count; ++i) {
            shares[i].half ? worker.transform<2>(group, shares[i]) : worker.transform<0>(group, shares[i]);
            worker.multiply(group, shares[i], begin > 0);
        }
    } while ((begin += l.group) < l.blocks);

    // Whether this rank has seen nothing that the direct sum must do: also where no block that matters reads x.
    bool fine = rim_holds(w.x, w.axis, split(w.n, team), {0, w.axis[1].in}, w.c, none_huge);
    for (int64_t i = 0; i < l.group; ++i) fine = fine && !huge[i];
    for (int i = 0; i < count; ++i)
        for (int p = 0; p < HALF; ++p) {
            const Share& s = shares[i];
            const float* const part = m + ((s.half * HALF + p) * w.c + s.c0) * w.o;
            fine = fine && none_huge(part, (s.c1 - s.c0) * w.o, 1);
        }
    bad[team.rank * (FLAG / 4)] = !fine;
    team.barrier();
    for (int rank = 0; rank < team.size; ++rank) fine = fine && !bad[rank * (FLAG / 4)];
    if (!fine) return false;
    transform_back(w, m, split(w.c, team));
    return true;
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
