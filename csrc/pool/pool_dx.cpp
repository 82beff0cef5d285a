// Pooling backward: max_pool_dx, average_pool_dx and their global forms.
//
// Two ways through, chosen by the geometry alone (never by strides or threads):
//   tiled    windows neither overlap nor leave gaps nor stick out: every element of dx is stored once, rows are split
//            among ranks
//   general  dx is cleared, then each window adds to its taps, windows in ascending order; images (and groups of 64
//            channels) are split among ranks, so that one rank owns every sum
#include "pool/pool.hpp"
#include "simd/math.hpp"

namespace quernel {
namespace QUERNEL_ISA {

using namespace window;

constexpr int64_t GROUP = 64;   // channels a piece: whole cache lines, 4 vectors of 16
constexpr int64_t AHEAD = 256;  // floats of x's rows prefetched ahead: 0.5 to 0.8 of the time; of dx's rows 1.1

static int64_t groups(const Windows& g) { return (g.c + GROUP - 1) / GROUP; }
static int64_t pieces(const Windows& g) { return g.tiled ? g.rows() : g.n * groups(g); }

// +0 into dx[n, d0:d1, h0:h1, w0:w1, c0:c1].
static void clear(const Windows& g, float* dx, int64_t n, Range d, Range h, Range w, Range c) {
    for (int64_t i = d.begin; i < d.end; ++i)
        for (int64_t j = h.begin; j < h.end; ++j)
            for (int64_t k = w.begin; k < w.end; ++k) {
                float* p = dx + g.big.at(n, i, j, k);
                each_lanes(g.unit, c.begin, c.end, [&](auto count, auto lanes, int64_t c0) {
                    for (int v = 0; v < decltype(count)::value; ++v)
                        lanes.store(p + c0 * g.big.c + v * VL, g.big.c, zero());
                });
            }
}

// What the windows drop at the far end of each axis (11 columns pooled by 2 leave one), owned by the rank of the last
// row before it.
static void clear_rest(const Windows& g, float* dx, int64_t row) {
    const Axis &D = g.axis[0], &H = g.axis[1], &W = g.axis[2];
    const int64_t h = row % H.out, d = row / H.out % D.out, n = row / H.out / D.out;
    const Range all{0, g.c};
    const Range ds{d * D.pool, (d + 1) * D.pool}, hs{h * H.pool, (h + 1) * H.pool};
    clear(g, dx, n, ds, hs, {W.out * W.pool, W.in}, all);
    if (h == H.out - 1) clear(g, dx, n, ds, {H.out * H.pool, H.in}, {0, W.in}, all);
    if (h == H.out - 1 && d == D.out - 1) clear(g, dx, n, {D.out * D.pool, D.in}, {0, H.in}, {0, W.in}, all);
}

// spread(window, begin, end, tiled) for every window and its channels: stores into (tiled) or adds to the window's
// taps.
template <class Spread>
static void each_piece(const Windows& g, float* dx, const Team& team, Spread spread) {
    const Range mine = split(pieces(g), team);
    if (g.tiled) {
        for (int64_t row = mine.begin; row < mine.end; ++row) {
            each_window(g, row, [&](const Window& t) { spread(t, Range{0, g.c}, Count<1>{}); });
            clear_rest(g, dx, row);
        }
        return;
    }
    const int64_t rows = g.axis[0].out * g.axis[1].out;
    for (int64_t piece = mine.begin; piece < mine.end; ++piece) {
        const int64_t n = piece / groups(g), c0 = piece % groups(g) * GROUP;
        const Range c{c0, c0 + GROUP < g.c ? c0 + GROUP : g.c};
        // Rows along h are cleared when the first window reaches them: they are still in L1 when it adds.
        const Range all{0, g.axis[2].in}, depth{0, g.axis[0].in};
        const bool flat = g.axis[0].in == 1;
        int64_t clean = 0;
        const auto clear_up_to = [&](int64_t h) {
            if (h > clean) clear(g, dx, n, depth, {clean, h}, all, c), clean = h;
        };
        if (!flat) clear_up_to(g.axis[1].in);
        for (int64_t row = n * rows; row < (n + 1) * rows; ++row) {
            if (flat) clear_up_to(g.axis[1].taps(row - n * rows).end);
            each_window(g, row, [&](const Window& t) { spread(t, c, Count<0>{}); });
        }
        clear_up_to(g.axis[1].in);
    }
}

// ---- max ----

static bool max_dx_prepare(Call& c, bool global) {
    Windows& g = c.as<Windows>();
    if (c.n_in != 3 || c.n_out != 1) return refuse(c, "expected dy, x, y and one output");
    if (!all_f32(c.in, 3) || !all_f32(c.out, 1)) return refuse(c, "expected float32");
    const View &dy = c.in[0], &x = c.in[1], &y = c.in[2], &dx = c.out[0];
    if (!(global ? global_window(c, g, dx, dy) : sliding_windows(c, g, dx, dy))) return false;
    if (!further(c, g, x, dx, g.big2) || !further(c, g, y, dy, g.small2)) return false;
    estimate_windows(c, g, 2, 2, pieces(g));
    return true;
}
bool max_pool_dx_prepare(Call& c) { return max_dx_prepare(c, false); }
bool global_max_pool_dx_prepare(Call& c) { return max_dx_prepare(c, true); }

void max_pool_dx_run(const Call& c, const Team& team, char*) {
    const Windows& g = c.as<Windows>();
    const View &dy = c.in[0], &x = c.in[1], &y = c.in[2];
    float* const dx = c.out[0].f32w();
    each_piece(g, dx, team, [&](const Window& t, Range channels, auto tiled) {
        const float* from = dy.f32() + g.small.at(t.n, t.o[0], t.o[1], t.o[2]);
        const float* largest = y.f32() + g.small2.at(t.n, t.o[0], t.o[1], t.o[2]);
        each_lanes(g.unit, channels.begin, channels.end, [&](auto count, auto lanes, int64_t c0) {
            constexpr int V = decltype(count)::value;
            vf best[V], gradient[V];  // each lane hands its gradient out once, then holds 0
            vm nan = isnan(lanes.load(largest + c0 * g.small2.c, g.small2.c));
            for (int v = 0; v < V; ++v) {
                best[v] = lanes.load(largest + c0 * g.small2.c + v * VL, g.small2.c);
                gradient[v] = lanes.load(from + c0 * g.small.c + v * VL, g.small.c);
                nan = m_or(nan, isnan(best[v]));
            }
            const float* const image = x.f32() + t.n * g.big2.n + c0 * g.big2.c;
            float* const to = dx + t.n * g.big.n + c0 * g.big.c;
            const auto hand_out = [&](auto same, const float* p, float* q) {
                for (int v = 0; v < V; ++v) {
                    const vm hit = same(lanes.load(p + v * VL, g.big2.c), best[v]);
                    vf value;
                    if (decltype(tiled)::value) {
                        value = select(hit, gradient[v], zero());
                    } else {  // sums from +0 are never -0, so leaving out a 0 changes no bit
                        const vf before = lanes.load(q + v * VL, g.big.c);
                        value = select(hit, add(before, gradient[v]), before);
                    }
                    gradient[v] = select(hit, zero(), gradient[v]);
                    lanes.store(q + v * VL, g.big.c, value);
                }
            };
            const auto over_taps = [&](auto same) {
                if (t.two_by_two()) {
                    const float* p = image + g.big2.at(0, t.d.begin, t.h.begin, t.w.begin);
                    float* q = to + g.big.at(0, t.d.begin, t.h.begin, t.w.begin);
                    for (int v = 0; v < 2 * V; ++v) {
                        __builtin_prefetch(p + AHEAD + v * VL);
                        __builtin_prefetch(p + g.big2.s[1] + AHEAD + v * VL);
                    }
                    hand_out(same, p, q);
                    hand_out(same, p + g.big2.s[2], q + g.big.s[2]);
                    hand_out(same, p + g.big2.s[1], q + g.big.s[1]);
                    hand_out(same, p + g.big2.s[1] + g.big2.s[2], q + g.big.s[1] + g.big.s[2]);
                    return;
                }
                for (int64_t d = t.d.begin; d < t.d.end; ++d)
                    for (int64_t h = t.h.begin; h < t.h.end; ++h) {
                        const float* p = image + g.big2.at(0, d, h, t.w.begin);
                        float* q = to + g.big.at(0, d, h, t.w.begin);
                        for (int64_t w = t.w.begin; w < t.w.end; ++w, p += g.big2.s[2], q += g.big.s[2])
                            hand_out(same, p, q);
                    }
            };
            if (any(nan))
                over_taps([](vf x, vf y) { return same_value(x, y); });
            else
                over_taps([](vf x, vf y) { return eq(x, y); });
        });
    });
}
void global_max_pool_dx_run(const Call& c, const Team& team, char* scratch) { max_pool_dx_run(c, team, scratch); }

// ---- average ----

// Many x divided by one n. A power of two is multiplied by its inverse; up to EXACT the quotient is q = x * (1 / n) and
// then q + (x - q n) * (1 / n), which is the one that division rounds to: for every mantissa and each of these n, all
// of which were tried. A division of 16 floats takes 16 cycles, this takes 4.
class Quotient {
    static constexpr int64_t EXACT = 4096;
    vf number, inverse;
    bool power, exact;

  public:
    explicit Quotient(int64_t n)
        : number(set1((float)n)),
          inverse(set1(1 / (float)n)),
          power((n & (n - 1)) == 0 && n <= 1 << 24),
          exact(n <= EXACT && VL > 4) {}  // base rounds twice
    QUERNEL_INLINE vf of(vf x) const {
        if (power) return mul(x, inverse);
        const vf size =
            vabs(x);  // the rest x - q n must be a normal number; x = 0 may lose its sign, which sums do, too
        const vm fits = m_or(eq(x, zero()), m_and(gt(size, set1(1e-25f)), lt(size, set1(1e30f))));
        if (!exact || any(m_not(fits))) return div(x, number);
        const vf q = mul(x, inverse);
        return fma(fnma(q, number, x), inverse, q);
    }
};

struct Average {
    Windows g;
    int64_t ring;  // rows of windows that meet a row of dx; 0: tiled, or windows along three axes
    int64_t room;  // bytes of a rank's shares of those rows
};

static bool average_dx_prepare(Call& c, bool global) {
    Average& s = c.as<Average>();
    Windows& g = s.g;
    if (c.n_in != 1 || c.n_out != 1) return refuse(c, "expected one input and one output");
    if (!all_f32(c.in, 1) || !all_f32(c.out, 1)) return refuse(c, "expected float32");
    if (!(global ? global_window(c, g, c.out[0], c.in[0]) : sliding_windows(c, g, c.out[0], c.in[0]))) return false;
    estimate_windows(c, g, 1, 1, pieces(g));
    const Axis& h = g.axis[1];
    s.ring = g.tiled || g.axis[0].in != 1 || g.axis[0].out != 1 ? 0 : (h.pool + h.stride - 1) / h.stride;
    if (s.ring > h.out) s.ring = h.out;
    s.room = align64(s.ring * g.axis[2].out * GROUP * 4);
    c.scratch = c.ranks * s.room;
    return true;
}
bool average_pool_dx_prepare(Call& c) { return average_dx_prepare(c, false); }
bool global_average_pool_dx_prepare(Call& c) { return average_dx_prepare(c, true); }

// The windows of one axis that hold element i: [begin, end), found from those of an element before it.
static void move_to(const Axis& a, int64_t i, Range& held) {
    while (held.begin < a.out && held.begin * a.stride - a.pad + a.pool <= i) ++held.begin;
    while (held.end < a.out && held.end * a.stride - a.pad <= i) ++held.end;
}

// Windows that overlap, along two axes: each element of dx adds up the shares of its windows and is stored once. (56,
// 56, 64) with 3 x 3 windows 2 apart: adding each window to its elements, with a division each, took 2.2 times as long.
static void average_overlapping(const Average& s, const View& dy, float* dx, const Team& team, float* shares) {
    const Windows& g = s.g;
    const Axis &H = g.axis[1], &W = g.axis[2];
    const int64_t row = W.out * GROUP;
    const Range mine = split(pieces(g), team);
    for (int64_t piece = mine.begin; piece < mine.end; ++piece) {
        const int64_t n = piece / groups(g), c0 = piece % groups(g) * GROUP;
        const int64_t width = g.c - c0 < GROUP ? g.c - c0 : GROUP;
        Quotient quotient(1);
        int64_t count = 1;
        const auto fill = [&](int64_t o) {
            each_window(g, n * H.out + o, [&](const Window& t) {
                if (t.count() != count) count = t.count(), quotient = Quotient(count);
                const float* from = dy.f32() + g.small.at(n, 0, o, t.o[2]) + c0 * g.small.c;
                float* const to = shares + o % s.ring * row + t.o[2] * GROUP;
                each_lanes(g.unit, 0, width, [&](auto vectors, auto lanes, int64_t c) {
                    for (int v = 0; v < decltype(vectors)::value; ++v)
                        storeu(to + c + v * VL, quotient.of(lanes.load(from + c * g.small.c + v * VL, g.small.c)));
                });
            });
        };
        Range down{0, 0};
        for (int64_t i = 0; i < H.in; ++i) {
            const int64_t made = down.end;
            move_to(H, i, down);
            for (int64_t o = made; o < down.end; ++o) fill(o);
            const int64_t first = s.ring ? down.begin % s.ring : 0;
            Range across{0, 0};
            for (int64_t j = 0; j < W.in; ++j) {
                move_to(W, j, across);
                float* const to = dx + g.big.at(n, 0, i, j) + c0 * g.big.c;
                each_lanes(g.unit, 0, width, [&](auto vectors, auto lanes, int64_t c) {
                    constexpr int V = decltype(vectors)::value;
                    vf sum[V];
                    for (int v = 0; v < V; ++v) sum[v] = zero();
                    for (int64_t k = 0, at = first; k < down.end - down.begin; ++k, at = at + 1 < s.ring ? at + 1 : 0)
                        for (int64_t o = across.begin; o < across.end; ++o)
                            for (int v = 0; v < V; ++v)
                                sum[v] = add(sum[v], loadu(shares + at * row + o * GROUP + c + v * VL));
                    for (int v = 0; v < V; ++v) lanes.store(to + c * g.big.c + v * VL, g.big.c, sum[v]);
                });
            }
        }
    }
}

// Windows that tile dx, many channels: the first tap's shares, still in L1, are copied to the others in runs as long as
// all channels. 64 channels at a time to all taps, 2 KB apart, took 1.2 times as long for (7, 7, 512).
static void average_in_runs(const Windows& g, const View& dy, float* dx, const Team& team) {
    const Range mine = split(pieces(g), team);
    for (int64_t row = mine.begin; row < mine.end; ++row) {
        each_window(g, row, [&](const Window& t) {
            float* const image = dx + t.n * g.big.n;
            const float* const from = dy.f32() + g.small.at(t.n, t.o[0], t.o[1], t.o[2]);
            float* const first = image + g.big.at(0, t.d.begin, t.h.begin, t.w.begin);
            const vf number = set1((float)t.count());  // a Quotient would lose the sign of 0
            each_lanes(true, 0, g.c, [&](auto count, auto lanes, int64_t c0) {
                for (int v = 0; v < decltype(count)::value; ++v)
                    lanes.store(first + c0 + v * VL, 1, div(lanes.load(from + c0 + v * VL, 1), number));
            });
            each_tap(t, image, g.big, [&](float* p) {
                if (p == first) return;
                each_lanes(true, 0, g.c, [&](auto count, auto lanes, int64_t c0) {
                    for (int v = 0; v < decltype(count)::value; ++v)
                        lanes.store(p + c0 + v * VL, 1, lanes.load(first + c0 + v * VL, 1));
                });
            });
        });
        clear_rest(g, dx, row);
    }
}

void average_pool_dx_run(const Call& c, const Team& team, char* scratch) {
    const Average& s = c.as<Average>();
    const Windows& g = s.g;
    float* const dx = c.out[0].f32w();
    if (s.ring)
        return average_overlapping(s, c.in[0], dx, team, reinterpret_cast<float*>(scratch + team.rank * s.room));
    if (g.tiled && g.unit && g.c > GROUP) return average_in_runs(g, c.in[0], dx, team);
    each_piece(g, dx, team, [&](const Window& t, Range channels, auto tiled) {
        const float* from = c.in[0].f32() + g.small.at(t.n, t.o[0], t.o[1], t.o[2]);
        const int64_t count_of = t.count();
        const bool power = (count_of & (count_of - 1)) == 0;
        const vf number = set1((float)count_of), inverse = set1(1 / (float)count_of);
        each_lanes(g.unit, channels.begin, channels.end, [&](auto count, auto lanes, int64_t c0) {
            constexpr int V = decltype(count)::value;
            vf share[V];
            for (int v = 0; v < V; ++v) {
                share[v] = lanes.load(from + c0 * g.small.c + v * VL, g.small.c);
                share[v] = power ? mul(share[v], inverse) : div(share[v], number);
            }
            each_tap(t, dx + t.n * g.big.n, g.big, [&](float* p) {
                for (int v = 0; v < V; ++v) {
                    float* q = p + c0 * g.big.c + v * VL;
                    lanes.store(q, g.big.c, decltype(tiled)::value ? share[v] : add(lanes.load(q, g.big.c), share[v]));
                }
            });
        });
    });
}
void global_average_pool_dx_run(const Call& c, const Team& team, char* scratch) {
    average_pool_dx_run(c, team, scratch);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
