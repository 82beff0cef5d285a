// The walk of map: one copy of it for all elementwise ops, whatever their dtype.
#include "map/map.hpp"

#include "simd/stream.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int64_t CHUNK = 512;  // elements of a buffered chunk: four operands of 8 bytes are 16 KB, a third of L1
constexpr int64_t SHORT = 32;   // below this many elements an inner row costs more to start than its elements to gather

// Bytes that stay in a core's L2: a second rank pays from 3 us on, and 200 KB take 2 (relu_dx of 64 KB from Python:
// 4.3 us on one rank, 4.9 on two).
constexpr double CACHED = 1 << 20;

// An op of more operations than this waits for its arithmetic: the copy behind it would come on top.
constexpr double LIGHT = 20;

typedef uint8_t __attribute__((may_alias)) raw1;
typedef uint32_t __attribute__((may_alias)) raw4;
typedef uint64_t __attribute__((may_alias)) raw8;

ptrdiff_t magnitude(ptrdiff_t step) { return step < 0 ? -step : step; }

// Where a chunk starts: the index along each axis.
struct Place {
    int64_t at[MAX_RANK];

    void set(const Map& m, int64_t flat) {
        for (int d = m.rank - 1; d >= 0; --d) {
            at[d] = flat % m.shape[d];
            flat /= m.shape[d];
        }
    }
    // Moves on by n elements that do not pass the end of the inner row.
    void advance(const Map& m, int64_t n) {
        at[m.rank - 1] += n;
        for (int d = m.rank - 1; d > 0 && at[d] == m.shape[d]; --d) {
            at[d] = 0;
            ++at[d - 1];
        }
    }
    char* of(const Map& m, const Map::Operand& x) const {
        char* p = x.data;
        for (int d = 0; d < m.rank; ++d) p += at[d] * x.step[d];
        return p;
    }
};

// n elements from `place` on, in order, into `buffer` (or from it: back).
template <class T>
void gather(const Map& m, const Map::Operand& x, Place place, int64_t n, char* buffer_, bool back) {
    T* buffer = reinterpret_cast<T*>(buffer_);
    const int inner = m.rank - 1;
    const ptrdiff_t step = x.step[inner];
    while (n > 0) {
        const int64_t rest = m.shape[inner] - place.at[inner], count = rest < n ? rest : n;
        char* p = place.of(m, x);
        if (back)
            for (int64_t i = 0; i < count; ++i) *reinterpret_cast<T*>(p + i * step) = buffer[i];
        else
            for (int64_t i = 0; i < count; ++i) buffer[i] = *reinterpret_cast<const T*>(p + i * step);
        buffer += count;
        n -= count;
        place.advance(m, count);
    }
}
void gather(const Map& m, const Map::Operand& x, const Place& place, int64_t n, char* buffer, bool back) {
    if (x.item == 4)
        gather<raw4>(m, x, place, n, buffer, back);
    else if (x.item == 8)
        gather<raw8>(m, x, place, n, buffer, back);
    else
        gather<raw1>(m, x, place, n, buffer, back);
}

// Whether every row of the nest reads the same elements.
bool repeats(const Map& m, const Map::Operand& x) {
    for (int d = 0; d < m.rank - 1; ++d)
        if (x.step[d] != 0) return false;
    return m.rank > 1;
}
void gather_repeated(const Map& m, const Map::Operand& x, const Place& place, int64_t n, char* buffer) {
    const int64_t width = m.shape[m.rank - 1];
    gather(m, x, place, n < width ? n : width, buffer, false);
    for (int64_t have = width; have < n; have *= 2)
        __builtin_memcpy(buffer + have * x.item, buffer, (size_t)((n - have < have ? n - have : have) * x.item));
}

template <class T>
void fill(char* buffer, const char* value, int64_t n) {
    const T v = *reinterpret_cast<const T*>(value);
    for (int64_t i = 0; i < n; ++i) reinterpret_cast<T*>(buffer)[i] = v;
}
void fill(int64_t item, char* buffer, const char* value, int64_t n) {
    if (item == 4)
        fill<raw4>(buffer, value, n);
    else if (item == 8)
        fill<raw8>(buffer, value, n);
    else
        fill<raw1>(buffer, value, n);
}

}  // namespace

bool map_prepare(Call& c, int inputs, double cost, Row row) {
    if (c.n_in != inputs || c.n_out != 1) return refuse(c, "expected %d inputs and one output", inputs);
    const View* views[4] = {&c.out[0]};
    for (int k = 0; k < inputs; ++k) views[k + 1] = &c.in[k];
    return map_prepare(c, inputs, views, cost, row);
}

bool map_prepare(Call& c, int inputs, const View* const* views, double cost, Row row) {
    const View& y = *views[0];
    Map& m = c.as<Map>();
    m.row = row;
    m.inputs = inputs;
    m.size = y.size();
    ptrdiff_t steps[4][MAX_RANK] = {};
    for (int k = 0; k <= inputs; ++k) {
        const View& v = *views[k];
        if (v.absent()) return refuse(c, "input %d is missing", k - 1);
        if (v.rank > y.rank) return refuse(c, "input %d has more axes than the output", k - 1);
        m.of[k].data = v.data;
        m.of[k].item = item_size(v.dtype);
        const int lead = y.rank - v.rank;
        for (int d = 0; d < v.rank; ++d) {
            if (v.shape[d] == y.shape[lead + d])
                steps[k][lead + d] = v.shape[d] == 1 ? 0 : v.stride[d] * m.of[k].item;
            else if (v.shape[d] != 1)
                return refuse(c, "input %d does not broadcast to the output's shape", k - 1);
        }
    }
    int order[MAX_RANK], rank = 0;  // by falling steps of the output, so that the innermost axis is its densest
    for (int d = 0; d < y.rank; ++d) {
        if (y.shape[d] == 1) continue;
        int at = rank++;
        for (; at > 0 && magnitude(steps[0][order[at - 1]]) < magnitude(steps[0][d]); --at) order[at] = order[at - 1];
        order[at] = d;
    }
    m.rank = 0;
    for (int o = 0; o < rank; ++o) {
        const int d = order[o];
        const int64_t n = y.shape[d];
        bool merges = m.rank > 0;
        for (int k = 0; k <= inputs; ++k) merges = merges && m.of[k].step[m.rank - 1] == steps[k][d] * n;
        if (!merges) m.shape[m.rank++] = 1;
        m.shape[m.rank - 1] *= n;
        for (int k = 0; k <= inputs; ++k) m.of[k].step[m.rank - 1] = steps[k][d];
    }
    if (m.rank == 0) {
        m.rank = 1;
        m.shape[0] = 1;
        for (int k = 0; k <= inputs; ++k) m.of[k].step[0] = m.of[k].item;
    }
    c.bytes = 0;
    for (int k = 0; k <= inputs; ++k) {
        ptrdiff_t expected = m.of[k].item;
        m.of[k].dense = true;
        for (int d = m.rank - 1; d >= 0; --d) {
            m.of[k].dense = m.of[k].dense && m.of[k].step[d] == expected;
            expected *= m.shape[d];
        }
        c.bytes += (double)views[k]->size() * m.of[k].item;
    }
    for (int i = 0; i < 4; ++i) m.params[i] = i < c.n_floats ? (float)c.floats[i] : 0.0f;
    c.flops = cost * (double)m.size;
    m.light = cost < LIGHT;
    const double rate = c.bytes < CACHED ? 30e3 : 20e3;
    c.ranks = worth(c, m.size / 64 + 1, c.flops / 60e3 + c.bytes / rate);
    return true;
}

bool map_prepare(Call& c, const MapOp& op) {
    if (c.n_in != op.inputs || c.n_out != 1) return refuse(c, "expected %d inputs and one output", op.inputs);
    const int dtype = c.in[op.inputs - 1].dtype;
    for (int k = op.mask; k < op.inputs; ++k)
        if (c.in[k].dtype != dtype) return refuse(c, "inputs differ in dtype");
    if (op.mask && c.in[0].dtype != B8) return refuse(c, "expected a boolean condition");
    if (!op.rows[dtype]) return refuse(c, "this op does not take %s", dtype_name(dtype));
    if (c.out[0].dtype != (op.result == SAME ? dtype : B8)) return refuse(c, "the output has the wrong dtype");
    if (c.n_floats != op.params) return refuse(c, "expected %d attributes", op.params);
    return map_prepare(c, op.inputs, op.cost, op.rows[dtype]);
}

void map_run(const Call& c, const Team& team) {
    const Map& m = c.as<Map>();
    const Range pieces = split((m.size + 63) / 64, team);
    int64_t at = pieces.begin * 64;
    const int64_t end = pieces.end * 64 < m.size ? pieces.end * 64 : m.size;
    if (at >= end) return;

    const int inner = m.rank - 1;
    const int64_t width = m.shape[inner];
    // All operands contiguous as a whole, within an inner row; contiguous, or one row for all of them.
    bool dense = true, direct = true, few = true;
    for (int k = 0; k <= m.inputs; ++k) {
        dense = dense && m.of[k].dense;
        direct = direct && (m.of[k].dense || m.of[k].step[inner] == m.of[k].item);
        few = few && (m.of[k].dense || (k && repeats(m, m.of[k])));
    }
    // A row repeated until it fills a chunk starts once where two rows or more would (64 x 32 + 32: 0.74 -> 0.18 us).
    const bool by_rows = !dense && width >= (few ? CHUNK / 2 + 1 : SHORT);
    // Chunks of whole short rows start at one place of their row, so an operand that repeats itself is gathered once.
    const Map::Operand& result = m.of[0];
    const bool past = m.light && result.dense && result.item % 4 == 0 && streams(m.size * result.item);
    const bool whole = !past && (dense || (by_rows && direct));
    const int64_t most = whole ? end - at : dense || by_rows ? CHUNK : CHUNK / width * width;

    alignas(64) char buffer[4][CHUNK * 8];
    const char* filled[4] = {};  // the element that a buffer repeats
    Place place;
    place.set(m, at);
    while (at < end) {
        int64_t n = end - at < most ? end - at : most;
        if (by_rows && n > width - place.at[inner]) n = width - place.at[inner];
        if (past && dense) {  // from the second chunk on whole lines
            const int64_t before = reinterpret_cast<uintptr_t>(result.data + at * result.item) % 64 / result.item;
            if (n > CHUNK - before) n = CHUNK - before;
        }
        const char* x[3] = {};
        char* y = nullptr;
        for (int k = 0; k <= m.inputs; ++k) {
            const Map::Operand& operand = m.of[k];
            char* p = buffer[k];
            if (operand.dense)
                p = operand.data + at * operand.item;
            else if (by_rows && operand.step[inner] == operand.item)
                p = place.of(m, operand);
            else if (by_rows && operand.step[inner] == 0) {
                const char* value = place.of(m, operand);
                if (filled[k] != value) fill(operand.item, p, value, width < CHUNK ? width : CHUNK);
                filled[k] = value;
            } else if (k && !by_rows && repeats(m, operand)) {
                if (!filled[k]) gather_repeated(m, operand, place, n, p);
                filled[k] = p;
            } else if (k)
                gather(m, operand, place, n, p, false);
            if (k)
                x[k - 1] = p;
            else
                y = p;
        }
        m.row(m.params, n, past ? buffer[0] : y, x);
        if (past)
            stream_copy(reinterpret_cast<float*>(y), reinterpret_cast<const float*>(buffer[0]), n * result.item / 4);
        else if (y == buffer[0])
            gather(m, result, place, n, y, true);
        at += n;
        if (at >= end) break;
        if (dense) continue;
        if (by_rows)
            place.advance(m, n);
        else
            place.set(m, at);
    }
    if (past) stream_end();
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
