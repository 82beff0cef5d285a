// Pooling forward: max_pool, average_pool, global_max_pool, and max_pool_gather, the derivative of max_pool along a
// direction.
#include "pool/pool.hpp"

namespace quernel {
namespace QUERNEL_ISA {

using namespace window;

static bool one_to_one(Call& c) {
    if (c.n_in != 1 || c.n_out != 1) return refuse(c, "expected one input and one output");
    if (!all_f32(c.in, 1) || !all_f32(c.out, 1)) return refuse(c, "expected float32");
    return true;
}

static bool holds_elements(Call& c, const Windows& g) {
    if (g.windows() > 0 && g.c > 0 && g.taps() == 0)
        return refuse(c, "the largest element of an empty image does not exist");
    return true;
}

// ---- max ----

// First maximum wins: a later tap replaces only what it exceeds. A NaN exceeds nothing and nothing exceeds it, so a
// mask beside the chain remembers which lanes met none, and the others get NaN at the end; the raw max instruction
// would drop it. One compare looks at two taps.
template <class Rows>
static void max_rows(const Windows& g, const View& x, const View& y, Rows rows) {
    for (int64_t row = rows.begin; row < rows.end; ++row)
        each_window(g, row, [&](const Window& t) {
            const float* image = x.f32() + t.n * g.big.n;
            float* to = y.f32w() + g.small.at(t.n, t.o[0], t.o[1], t.o[2]);
            const float* first = image + g.big.at(0, t.d.begin, t.h.begin, t.w.begin);
            each_lanes(g.unit, 0, g.c, [&](auto count, auto lanes, int64_t c0) {
                constexpr int V = decltype(count)::value;
                const ptrdiff_t right = g.big.s[2];
                vf best[V];
                vm numbers[V];
                const auto at = [&](const float* p, int v) { return lanes.load(p + c0 * g.big.c + v * VL, g.big.c); };
                const auto take = [&](const float* p) {
                    for (int v = 0; v < V; ++v) {
                        const vf a = at(p, v);
                        numbers[v] = m_and(numbers[v], ordered(a, a));
                        best[v] = larger(best[v], a);
                    }
                };
                if (t.two_by_two()) {
                    const float* below = first + g.big.s[1];
                    for (int v = 0; v < V; ++v) {
                        const vf a = at(first, v), b = at(first + right, v), c = at(below, v), d = at(below + right, v);
                        numbers[v] = m_and(ordered(a, b), ordered(c, d));
                        best[v] = larger(larger(larger(a, b), c), d);
                    }
                } else {
                    for (int v = 0; v < V; ++v) {
                        best[v] = at(first, v);
                        numbers[v] = ordered(best[v], best[v]);
                    }
                    each_tap(t, image, g.big, take);  // meets the first tap again, which changes nothing
                }
                for (int v = 0; v < V; ++v)
                    lanes.store(to + c0 * g.small.c + v * VL, g.small.c,
                                select(numbers[v], best[v], set1(__builtin_nanf(""))));
            });
        });
}

bool max_pool_prepare(Call& c) {
    Windows& g = c.as<Windows>();
    if (!one_to_one(c) || !sliding_windows(c, g, c.in[0], c.out[0]) || !holds_elements(c, g)) return false;
    estimate_windows(c, g, 1, 1, g.rows());
    return true;
}
void max_pool_run(const Call& c, const Team& team, char*) {
    const Windows& g = c.as<Windows>();
    max_rows(g, c.in[0], c.out[0], split(g.rows(), team));
}

bool global_max_pool_prepare(Call& c) {
    Windows& g = c.as<Windows>();
    if (!one_to_one(c) || !global_window(c, g, c.in[0], c.out[0]) || !holds_elements(c, g)) return false;
    estimate_windows(c, g, 1, 1, g.rows());
    return true;
}
void global_max_pool_run(const Call& c, const Team& team, char* scratch) { max_pool_run(c, team, scratch); }

// ---- gather at the maximum ----

bool max_pool_gather_prepare(Call& c) {
    Windows& g = c.as<Windows>();
    if (c.n_in != 3 || c.n_out != 1) return refuse(c, "expected v, x, y and one output");
    if (!all_f32(c.in, 3) || !all_f32(c.out, 1)) return refuse(c, "expected float32");
    if (!sliding_windows(c, g, c.in[1], c.out[0])) return false;
    if (!further(c, g, c.in[0], c.in[1], g.big2) || !further(c, g, c.in[2], c.out[0], g.small2)) return false;
    estimate_windows(c, g, 2, 2, g.rows());
    return true;
}
void max_pool_gather_run(const Call& c, const Team& team, char*) {
    const Windows& g = c.as<Windows>();
    const View &v = c.in[0], &x = c.in[1], &y = c.in[2], &z = c.out[0];
    const Range rows = split(g.rows(), team);
    for (int64_t row = rows.begin; row < rows.end; ++row)
        each_window(g, row, [&](const Window& t) {
            const float* image = x.f32() + t.n * g.big.n;
            const float* largest = y.f32() + g.small2.at(t.n, t.o[0], t.o[1], t.o[2]);
            float* to = z.f32w() + g.small.at(t.n, t.o[0], t.o[1], t.o[2]);
            each_lanes(g.unit, 0, g.c, [&](auto count, auto lanes, int64_t c0) {
                constexpr int V = decltype(count)::value;
                for (int k = 0; k < V; ++k) {
                    const vf best = lanes.load(largest + c0 * g.small2.c + k * VL, g.small2.c);
                    vm open = first_n(VL);
                    vf found = zero();
                    for (int64_t d = t.d.begin; d < t.d.end; ++d)
                        for (int64_t h = t.h.begin; h < t.h.end; ++h)
                            for (int64_t w = t.w.begin; w < t.w.end; ++w) {
                                const float* p = image + g.big.at(0, d, h, w) + c0 * g.big.c + k * VL;
                                const vm hit = m_and(open, same_value(lanes.load(p, g.big.c), best));
                                const float* q = v.f32() + g.big2.at(t.n, d, h, w) + c0 * g.big2.c + k * VL;
                                found = select(hit, lanes.load(q, g.big2.c), found);
                                open = m_and(open, m_not(hit));
                            }
                    lanes.store(to + c0 * g.small.c + k * VL, g.small.c, found);
                }
            });
        });
}

// ---- average ----

bool average_pool_prepare(Call& c) {
    Windows& g = c.as<Windows>();
    if (!one_to_one(c) || !sliding_windows(c, g, c.in[0], c.out[0])) return false;
    estimate_windows(c, g, 1, 1, g.rows());
    return true;
}
void average_pool_run(const Call& c, const Team& team, char*) {
    const Windows& g = c.as<Windows>();
    const Range rows = split(g.rows(), team);
    for (int64_t row = rows.begin; row < rows.end; ++row)
        each_window(g, row, [&](const Window& t) {
            const float* image = c.in[0].f32() + t.n * g.big.n;
            float* to = c.out[0].f32w() + g.small.at(t.n, t.o[0], t.o[1], t.o[2]);
            const vf number = set1((float)t.count());
            each_lanes(g.unit, 0, g.c, [&](auto count, auto lanes, int64_t c0) {
                constexpr int V = decltype(count)::value;
                vf sum[V];
                for (int v = 0; v < V; ++v) sum[v] = zero();
                each_tap(t, image, g.big, [&](const float* p) {
                    for (int v = 0; v < V; ++v) sum[v] = add(sum[v], lanes.load(p + c0 * g.big.c + v * VL, g.big.c));
                });
                for (int v = 0; v < V; ++v) lanes.store(to + c0 * g.small.c + v * VL, g.small.c, div(sum[v], number));
            });
        });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
