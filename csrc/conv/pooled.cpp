// pooled: rows of a map to a line of windows, and back.
#include "conv/pooled.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int64_t ROOM = 16 << 10;  // bytes of rows that wait to be pooled: a part of L1

int lanes_at(int64_t c, int64_t channels) { return (int)(channels - c < VL ? channels - c : VL); }

// The largest element of a window, first in window order, and which one it is; a NaN is larger than anything.
void pool_window(const Pool& pool, const float* p, ptrdiff_t row, int n, vf& best, vi& where) {
    best = load_n(p, n);
    where = seti(0);
    int32_t tap = 0;
    for (int64_t i = 0; i < pool.size[0]; ++i)
        for (int64_t j = 0; j < pool.size[1]; ++j, ++tap) {
            const vf value = load_n(p + i * row + j * pool.channels, n);
            const vm take = m_or(gt(value, best), m_and(isnan(value), m_not(isnan(best))));
            best = select(take, value, best);
            where = selecti(take, seti(tap), where);
        }
    best = select(isnan(best), set1(__builtin_nanf("")), best);
}

// The same of 2 x 2 numbers; false where one may be NaN, which their sum shows.
QUERNEL_INLINE bool pool_four(const float* p, ptrdiff_t right, ptrdiff_t down, vf& best, vi& where) {
    const vf a = loadu(p), b = loadu(p + right), c = loadu(p + down), d = loadu(p + down + right);
    const vf above = larger(a, b), below = larger(c, d);
    const vi first = selecti(gt(b, a), seti(1), seti(0)), second = selecti(gt(d, c), seti(3), seti(2));
    best = larger(above, below);
    where = selecti(gt(below, above), second, first);
    return !any(isnan(add(add(a, b), add(c, d))));
}

// A line of windows.
void pool_line(const Pool& pool, const float* rows, ptrdiff_t row, bool relu, float* y, uint8_t* at) {
    const int64_t o = pool.channels;
    const bool four = pool.size[0] == 2 && pool.size[1] == 2;
    for (int64_t w = 0; w < pool.out[1]; ++w, rows += pool.size[1] * o, y += o, at += o)
        for (int64_t c = 0; c < o; c += VL) {
            const int n = lanes_at(c, o);
            vf best;
            vi where;
            if (!four || n < VL || !pool_four(rows + c, o, row, best, where))
                pool_window(pool, rows + c, row, n, best, where);
            if (relu) where = selecti(le(best, zero()), seti(NOBODY), where);
            store_n(y + c, best, n);
            store_bytes(at + c, where, n);
        }
}

void take(const Gather& g, const float* rows, int64_t image, int64_t top, int64_t bottom) {
    const PooledForward& s = static_cast<const PooledForward&>(g);
    const Pool& pool = s.pool;
    const int64_t line = pool.out[1] * pool.channels;
    for (int64_t r = top / pool.size[0]; (r + 1) * pool.size[0] <= bottom; ++r, rows += pool.size[0] * g.to.at[1]) {
        const int64_t at = (image * pool.out[0] + r) * line;
        pool_line(pool, rows, g.to.at[1], g.activation == RELU, s.y + at, pool.at + at);
    }
}

}  // namespace

bool parse_pool(Call& call, const View& y, const View& at, Pool& pool, View& map) {
    if (y.rank != 4 || !same_shape(y, at) || at.dtype != U8 || y.dtype != F32 || !y.contiguous() || !at.contiguous())
        return refuse(call, "expected contiguous images of two dimensions and their uint8 positions");
    if (call.n_ints != 13) return refuse(call, "expected the sizes of windows and of the map");
    map = y;
    map.data = nullptr;
    for (int d = 0; d < 2; ++d) {
        pool.size[d] = call.ints[9 + d];
        pool.out[d] = y.shape[1 + d];
        map.shape[1 + d] = call.ints[11 + d];
        if (pool.size[d] < 1 || pool.size[d] > 15 || pool.out[d] < 1 || map.shape[1 + d] / pool.size[d] != pool.out[d])
            return refuse(call, "expected windows of at most 15 elements that cover the map");
    }
    pool.channels = y.shape[3];
    pool.at = at.as<uint8_t>();
    ptrdiff_t step = 1;
    for (int d = 3; d >= 0; step *= map.shape[d--]) map.stride[d] = step;
    return true;
}

void pool_pieces(PooledForward& g, const Pool& pool, float* y) {
    g.pool = pool, g.y = y;
    g.size[1] = pool.out[0] * pool.size[0];
    const int64_t lines = ROOM / (4 * pool.size[0] * g.to.at[1]);
    g.piece = pool.size[0] * (lines < 1 ? 1 : lines < pool.out[0] ? lines : pool.out[0]), g.take = take;
    g.to.data = nullptr, g.to.n = 0;
}

int64_t Bands::slots_for(const Pool& pool, int64_t high, int64_t rows) {
    return rows / pool.size[0] + 2 + rows / high + 2;  // images may end with a band of fewer rows
}

void Bands::start() {
    for (int64_t i = 0; i < slots * pool.size[0] * row_floats(); i += VL)
        store_n(ring + i, zero(), lanes_at(i, slots * pool.size[0] * row_floats()));
}

const float* Bands::row(int64_t row) {
    const int64_t image = row / high, h = row - image * high, band = image * in_image() + h / pool.size[0];
    if (band > made) make(made = band);
    return ring + (band % slots * pool.size[0] + h % pool.size[0]) * row_floats();
}

void Bands::make(int64_t band) {
    const int64_t image = band / in_image(), r = band % in_image(), o = pool.channels;
    float* to = ring + band % slots * pool.size[0] * row_floats();
    const int64_t room = pool.size[0] * row_floats();
    if (r == pool.out[0]) {
        for (int64_t i = 0; i < room; i += VL) store_n(to + i, zero(), lanes_at(i, room));
        return;
    }
    const int64_t first = (image * pool.out[0] + r) * pool.out[1] * o;
    const float* from = dy + first;
    const uint8_t* at = pool.at + first;
    const bool four = pool.size[0] == 2 && pool.size[1] == 2;
    const ptrdiff_t row = row_floats();
    for (int64_t w = 0; w < pool.out[1]; ++w, from += o, at += o, to += pool.size[1] * o)
        for (int64_t c = 0; c < o; c += VL) {
            const int n = lanes_at(c, o);
            const vf gradient = load_n(from + c, n);
            const vi where = load_bytes(at + c, n);
            const auto to_tap = [&](int32_t tap) { return select(eqi(where, seti(tap)), gradient, zero()); };
            if (four && n == VL) {
                storeu(to + c, to_tap(0));
                storeu(to + o + c, to_tap(1));
                storeu(to + row + c, to_tap(2));
                storeu(to + row + o + c, to_tap(3));
                continue;
            }
            int32_t tap = 0;
            for (int64_t i = 0; i < pool.size[0]; ++i)
                for (int64_t j = 0; j < pool.size[1]; ++j, ++tap) store_n(to + i * row + j * o + c, to_tap(tap), n);
        }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
