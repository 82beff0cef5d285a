// sum, mean, max, min: chunks are folded by all ranks, then each row's chunk values are combined.
#include "reduce/reduce.hpp"

#include "fold/short.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool plan_reduce(Call& c, Reduce& r, bool gathered) {
    if (c.n_in < 1 || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected an input, an output and the axis mask");
    const View &x = c.in[0], &y = c.out[0];
    const int64_t mask = c.ints[0];
    if (x.absent() || mask < 0 || mask >> x.rank) return refuse(c, "expected a mask of x's %d axes", (int)x.rank);
    const int reduced = __builtin_popcountll((unsigned long long)mask);
    const bool keep = y.rank == x.rank;
    if (!keep && y.rank != x.rank - reduced) return refuse(c, "output: expected %d axes", (int)x.rank - reduced);
    r.n = 1;
    int at = 0;
    for (int d = 0; d < x.rank; ++d) {
        if (mask >> d & 1) {
            if (keep && y.shape[d] != 1) return refuse(c, "output: expected size 1 at axis %d", d);
            if (__builtin_mul_overflow(r.n, x.shape[d], &r.n)) return refuse(c, "the row is too long");
            r.row.push(x.shape[d], {x.stride[d]});
        } else {
            const int dy = keep ? d : at++;
            if (y.shape[dy] != x.shape[d])
                return refuse(c, "output: expected size %lld at axis %d", (long long)x.shape[d], dy);
            r.kept.push(x.shape[d], {x.stride[d], y.stride[dy]});
        }
    }
    r.outputs = r.kept.size();
    r.chunks = r.n <= CHUNK ? 1 : (r.n + CHUNK - 1) / CHUNK;
    r.width = r.block = r.blocks = 1;
    r.width_y = 0;
    const int inner = r.kept.rank - 1;
    if (gathered)
        r.layout = PACKED;
    else if (r.row.rank == 1 && r.row.stride[0][0] == 1)
        r.layout = ROWS;
    else if (inner >= 0 && r.kept.stride[0][inner] == 1)
        r.layout = COLUMNS;
    else
        r.layout = r.row.rank == 0 ? ROWS : PACKED;
    if (r.layout == COLUMNS) {
        ptrdiff_t strides[2];
        r.width = r.kept.pop(strides);
        r.width_y = strides[1];
        r.block = column_block(r.n);
        // Narrower blocks where there would be fewer pieces than ranks; whole cache lines, and no influence on the
        // bits.
        const int64_t rest = r.kept.size() * r.chunks;
        if (rest > 0 && rest < 4 * c.threads) {
            const int64_t fair = (r.width * rest / (4 * c.threads) + 15) / 16 * 16;
            if (fair < r.block) r.block = fair < 16 ? 16 : fair;
        }
        r.blocks = (r.width + r.block - 1) / r.block;
    }
    // 1024 rows of 10 take 5 us on one rank, 3.5 us on two: a short row costs as much as 50 times its elements in a
    // long one.
    c.flops = (double)r.n * r.outputs * (r.layout == ROWS && r.n <= SHORT ? 50 : 1);
    c.bytes = (double)r.n * r.outputs * item_size(x.dtype) + (double)r.outputs * 8;
    c.ranks = worth(c, r.layout == COLUMNS ? r.kept.size() * r.chunks * r.blocks : r.outputs * r.chunks);
    return true;
}

namespace {

template <class T, class S>
inline void gather(const View& x, ptrdiff_t offset, const Dims<1>& row, int64_t at, int n, T* out) {
    pack<T, S>(x.as<const S>() + offset, row, at, n, out);
}
template <class T>
void gather(const View& x, ptrdiff_t offset, const Dims<1>& row, int64_t at, int n, T* out) {
    switch (x.dtype) {
        case F32:
            return gather<T, float>(x, offset, row, at, n, out);
        case I32:
            return gather<T, int32_t>(x, offset, row, at, n, out);
        default:
            return gather<T, uint8_t>(x, offset, row, at, n, out);
    }
}

template <class F>
typename F::item contiguous_chunk(const typename F::item* x, int n) {
    return fold_chunk<F>(n, [=](int i, int m) __attribute__((always_inline)) { return take<F>(x + i, m); });
}

// Where a chunk's value goes: straight into y when a row is one chunk, else into parts[output * chunks + chunk].
template <class F, bool MEAN>
struct Sink {
    using item = typename F::item;
    const Reduce& r;
    item* y;
    item* parts;
    float count;

    item finish(item v) const {
        if constexpr (MEAN)
            return v / count;
        else
            return v;
    }
    void put(int64_t output, int64_t chunk, ptrdiff_t offset, item v) const {
        if (r.chunks == 1)
            y[offset] = finish(v);
        else
            parts[output * r.chunks + chunk] = v;
    }
};

// Rows of one chunk, VL at a time.
template <class F, bool MEAN>
void fold_whole_rows(const View& x, const Reduce& r, const Sink<F, MEAN>& sink, Range outputs) {
    using item = typename F::item;
    alignas(64) item buffer[CHUNK], values[VL];
    Walk<2> walk(r.kept, outputs.begin);
    const int n = (int)r.n;
    for (int64_t o = outputs.begin; o < outputs.end; o += VL) {
        const int rows = outputs.end - o < VL ? (int)(outputs.end - o) : VL;
        typename F::vec part[VL];
        ptrdiff_t to[VL];
        for (int i = 0; i < VL; ++i) {
            part[i] = F::identity();
            if (i >= rows) continue;
            const item* from = buffer;
            if (r.layout == ROWS)
                from = x.as<const item>() + walk.offset[0];
            else if (n)
                gather<item>(x, walk.offset[0], r.row, 0, n, buffer);
            part[i] = fold_lanes<F>(n, [=](int j, int m) __attribute__((always_inline)) {
                __builtin_prefetch(from + j + FETCH);
                return take<F>(from + j, m);
            });
            to[i] = walk.offset[1];
            walk.step();
        }
        F::store(values, fold_vectors<F>(part));
        for (int i = 0; i < rows; ++i) sink.y[to[i]] = sink.finish(values[i]);
    }
}

template <class F, bool MEAN>
void fold_rows(const View& x, const Reduce& r, const Sink<F, MEAN>& sink, Range pieces) {
    using item = typename F::item;
    if (r.chunks == 1 && pieces.end - pieces.begin > 2) return fold_whole_rows<F, MEAN>(x, r, sink, pieces);
    alignas(64) item buffer[CHUNK];
    Walk<2> walk(r.kept, pieces.begin / r.chunks);
    int64_t o = pieces.begin / r.chunks, c = pieces.begin % r.chunks;
    for (int64_t p = pieces.begin; p < pieces.end; ++p) {
        const int64_t at = c * CHUNK;
        const int m = r.n - at < CHUNK ? (int)(r.n - at) : CHUNK;
        const item* from = buffer;
        if (r.layout == ROWS)
            from = x.as<const item>() + walk.offset[0] + at;
        else if (m)
            gather<item>(x, walk.offset[0], r.row, at, m, buffer);
        sink.put(o, c, walk.offset[1], contiguous_chunk<F>(from, m));
        if (++c == r.chunks) {
            c = 0;
            ++o;
            walk.step();
        }
    }
}

template <class F, bool MEAN>
void fold_blocks(const View& x, const Reduce& r, const Sink<F, MEAN>& sink, Range pieces) {
    using item = typename F::item;
    alignas(64) item buffer[COLUMN_ITEMS];
    ptrdiff_t offsets[CHUNK];
    const bool plain = r.row.rank <= 1, final = r.chunks == 1 && r.width_y == 1;
    const ptrdiff_t step = r.row.rank == 1 ? r.row.stride[0][0] : 0;
    Walk<2> walk(r.kept);
    int64_t seen = 0, listed = -1;
    for (int64_t p = pieces.begin; p < pieces.end; ++p) {
        const int64_t o = p / (r.chunks * r.blocks), c = p / r.blocks % r.chunks, j = p % r.blocks * r.block;
        if (o != seen) {
            walk.seek(o);
            seen = o;
        }
        const int64_t at = c * CHUNK;
        const int m = r.n - at < CHUNK ? (int)(r.n - at) : CHUNK;
        const int width = r.width - j < r.block ? (int)(r.width - j) : (int)r.block;
        const item* base = x.as<const item>() + walk.offset[0] + j;
        item* const out = final ? sink.y + walk.offset[1] + j : buffer;
        if (plain) {
            base += at * step;
            fold_columns<F>(m, width, [=](int i) { return base + i * step; }, out);
        } else {
            if (listed != c) {
                Walk<1> row(r.row, at);
                for (int i = 0; i < m; ++i, row.step()) offsets[i] = row.offset[0];
                listed = c;
            }
            fold_columns<F>(m, width, [=, &offsets](int i) { return base + offsets[i]; }, out);
        }
        if (final)
            for (int k = 0; MEAN && k < width; ++k) out[k] = sink.finish(out[k]);
        else
            for (int k = 0; k < width; ++k)
                sink.put(o * r.width + j + k, c, walk.offset[1] + (j + k) * r.width_y, out[k]);
    }
}

template <class F, bool MEAN = false>
void reduce(const Call& call, const Team& team, char* scratch) {
    using item = typename F::item;
    const Reduce& r = call.as<Reduce>();
    const View& x = call.in[0];
    const Sink<F, MEAN> sink{r, call.out[0].as<item>(), reinterpret_cast<item*>(scratch), (float)r.n};
    if (r.layout == COLUMNS)
        fold_blocks<F, MEAN>(x, r, sink, split(r.kept.size() * r.chunks * r.blocks, team));
    else
        fold_rows<F, MEAN>(x, r, sink, split(r.outputs * r.chunks, team));
    if (r.chunks == 1) return;
    team.barrier();
    const Range mine = split(r.outputs, team);
    Walk<2> walk(r.kept, mine.begin / r.width);
    for (int64_t o = mine.begin; o < mine.end; ++o) {
        const int64_t j = o % r.width;
        sink.y[walk.offset[1] + j * r.width_y] = sink.finish(fold_tree<F>(sink.parts + o * r.chunks, r.chunks));
        if (j == r.width - 1) walk.step();
    }
}

bool prepare(Call& c, int32_t from, int32_t to, bool gathered, bool empty_ok) {
    Reduce r;
    if (!plan_reduce(c, r, gathered)) return false;
    if (c.out[0].dtype != to) return refuse(c, "%s input: expected a %s output", dtype_name(from), dtype_name(to));
    if (!empty_ok && r.n == 0 && r.outputs > 0) return refuse(c, "an empty row has no such element");
    c.scratch = r.chunks > 1 ? align64(r.outputs * r.chunks * 4) : 0;
    c.as<Reduce>() = r;
    return true;
}

}  // namespace

bool sum_prepare(Call& c) {
    const int32_t t = c.n_in ? c.in[0].dtype : -1;
    if (t != F32 && t != I32 && t != B8) return refuse(c, "expected float32, int32 or bool");
    return prepare(c, t, t == F32 ? F32 : I32, t == B8, true);
}
void sum_run(const Call& c, const Team& team, char* scratch) {
    c.in[0].dtype == F32 ? reduce<SumF>(c, team, scratch) : reduce<SumI>(c, team, scratch);
}

bool mean_prepare(Call& c) {
    const int32_t t = c.n_in ? c.in[0].dtype : -1;
    if (t != F32 && t != I32 && t != U8 && t != B8) return refuse(c, "expected float32, int32, uint8 or bool");
    return prepare(c, t, F32, t != F32, true);
}
void mean_run(const Call& c, const Team& team, char* scratch) { reduce<SumF, true>(c, team, scratch); }

static bool extreme_prepare(Call& c) {
    const int32_t t = c.n_in ? c.in[0].dtype : -1;
    if (t != F32 && t != I32) return refuse(c, "expected float32 or int32");
    return prepare(c, t, t, false, false);
}
bool max_prepare(Call& c) { return extreme_prepare(c); }
bool min_prepare(Call& c) { return extreme_prepare(c); }
void max_run(const Call& c, const Team& team, char* scratch) {
    c.in[0].dtype == F32 ? reduce<MaxF>(c, team, scratch) : reduce<MaxI>(c, team, scratch);
}
void min_run(const Call& c, const Team& team, char* scratch) {
    c.in[0].dtype == F32 ? reduce<MinF>(c, team, scratch) : reduce<MinI>(c, team, scratch);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
