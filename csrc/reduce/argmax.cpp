// argmax, argmin, max_dx: the first element of each row that attains (or breaks, being NaN) the row's extreme.
#include "fold/short.hpp"
#include "reduce/reduce.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace {

// A chunk of the row at `offset`: where it lies, or gathered into `buffer`.
template <class T>
const T* chunk_at(const View& x, const Reduce& r, ptrdiff_t offset, int64_t chunk, int m, T* buffer) {
    if (r.layout == ROWS) return x.as<const T>() + offset + chunk * CHUNK;
    pack<T, T>(x.as<const T>() + offset, r.row, chunk * CHUNK, m, buffer);
    return buffer;
}
inline int chunk_size(const Reduce& r, int64_t chunk) {
    const int64_t left = r.n - chunk * CHUNK;
    return left < CHUNK ? (int)left : CHUNK;
}

template <class F>
constexpr bool FLOATS = false;
template <>
constexpr bool FLOATS<MaxF> = true;
template <>
constexpr bool FLOATS<MinF> = true;

// Rows of at most 16 contiguous floats, VL of them at a time.
template <class F>
void short_arg(const View& x, const Reduce& r, int32_t* y, Range outputs) {
    Walk<2> walk(r.kept, outputs.begin);
    ptrdiff_t at[VL], to[VL];
    const int n = (int)r.n;
    for (int64_t o = outputs.begin; o < outputs.end; o += VL) {
        const int rows = outputs.end - o < VL ? (int)(outputs.end - o) : VL;
        for (int i = 0; i < VL; ++i) {
            at[i] = i < rows ? walk.offset[0] : at[rows - 1];
            to[i] = walk.offset[1];
            if (i < rows) walk.step();
        }
        vf v[SHORT];
        read_columns(x.f32(), at, n, v);
        const vf value = fold_across<F>(v, n);
        vi first = seti(0);
        for (int l = n - 1; l >= 0; --l) first = selecti(m_or(eq(v[l], value), isnan(v[l])), seti(l), first);
        alignas(64) int32_t lanes[VL];
        storei(lanes, first);
        for (int i = 0; i < rows; ++i) y[to[i]] = lanes[i];
    }
}

template <class F>
typename F::item fold_items(const typename F::item* x, int n) {
    return fold_chunk<F>(n, [=](int i, int m) __attribute__((always_inline)) { return take<F>(x + i, m); });
}

// The first extreme of n <= CHUNK elements in one pass: every lane keeps its own first one and when it came. Folding
// and then looking for the value waits for the tree and for the branch that ends the search: 1.35 times as long on rows
// of 1000, 1.9 on rows of 100.
template <class F>
int64_t first_extreme(const float* x, int n) {
    static const int32_t ORDER[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vf best[PARTS];
    vi came[PARTS];  // the turn
    vm numbers = first_n(VL);
#pragma GCC unroll 16
    for (int v = 0; v < PARTS; ++v) best[v] = F::identity(), came[v] = seti(0);
    int i = 0, turn = 0;
    const auto meet = [&](int v, vf a, vi now) __attribute__((always_inline)) {
        const vm hit = F::beats(a, best[v]);
        best[v] = select(hit, a, best[v]);
        came[v] = selecti(hit, now, came[v]);
    };
    for (; i + LANES <= n; i += LANES, ++turn) {
        const vi now = seti(turn);
#pragma GCC unroll 16
        for (int v = 0; v < PARTS; v += 2) {
            const vf a = loadu(x + i + v * VL), b = loadu(x + i + v * VL + VL);
            __builtin_prefetch(x + i + v * VL + FETCH);
            __builtin_prefetch(x + i + v * VL + VL + FETCH);
            numbers = m_and(numbers, ordered(a, b));
            meet(v, a, now);
            meet(v + 1, b, now);
        }
    }
#pragma GCC unroll 16
    for (int v = 0; v < PARTS; ++v) {
        const int m = n - i - v * VL;
        if (m <= 0) continue;
        const vf a = take<F>(x + i + v * VL, m < VL ? m : VL);
        numbers = m_and(numbers, ordered(a, a));
        meet(v, a, seti(turn));
    }
    if (any(m_not(numbers))) return find_first<F>(x, n, __builtin_nanf(""));
    vf top[PARTS];
#pragma GCC unroll 16
    for (int v = 0; v < PARTS; ++v) top[v] = best[v];
#pragma GCC unroll 4
    for (int h = PARTS / 2; h; h /= 2)
#pragma GCC unroll 8
        for (int v = 0; v < h; ++v) top[v] = F::combine(top[v], top[v + h]);
    const vf value = set1(fold_vector<F>(top[0]));
    if (any(eq(value, F::identity()))) return 0;  // all elements are: lanes beyond the row's end look the same
    vi place = seti(INT32_MAX);
#pragma GCC unroll 16
    for (int v = 0; v < PARTS; ++v) {
        const vi at = addi(addi(muli(came[v], seti(LANES)), seti(v * VL)), loadi(ORDER));
        place = MinI::combine(place, selecti(eq(best[v], value), at, seti(INT32_MAX)));
    }
    return fold_vector<MinI>(place);
}

template <class F>
int64_t extreme_at(const typename F::item* x, int n) {
    if constexpr (FLOATS<F>)
        return first_extreme<F>(x, n);
    else
        return find_first<F>(x, n, fold_items<F>(x, n));
}

// One pass folds each chunk. A second one reads again only the chunk that holds the answer, up to the answer.
template <class F>
void arg(const Call& call, const Team& team, char* scratch) {
    using item = typename F::item;
    const Reduce& r = call.as<Reduce>();
    const View& x = call.in[0];
    int32_t* y = call.out[0].as<int32_t>();
    item* parts = reinterpret_cast<item*>(scratch);
    alignas(64) item buffer[CHUNK];
    const Range pieces = split(r.outputs * r.chunks, team);
    if constexpr (FLOATS<F>)
        if (r.n <= SHORT && r.layout == ROWS && pieces.end - pieces.begin >= 4) return short_arg<F>(x, r, y, pieces);
    {
        Walk<2> walk(r.kept, pieces.begin / r.chunks);
        int64_t c = pieces.begin % r.chunks;
        for (int64_t p = pieces.begin; p < pieces.end; ++p) {
            const int m = chunk_size(r, c);
            const item* from = chunk_at(x, r, walk.offset[0], c, m, buffer);
            if (r.chunks > 1)
                parts[p] = fold_items<F>(from, m);
            else
                y[walk.offset[1]] = (int32_t)extreme_at<F>(from, m);
            if (++c == r.chunks) {
                c = 0;
                walk.step();
            }
        }
    }
    if (r.chunks == 1) return;
    team.barrier();
    const Range mine = split(r.outputs, team);
    Walk<2> walk(r.kept, mine.begin);
    for (int64_t o = mine.begin; o < mine.end; ++o, walk.step()) {
        const item* row = parts + o * r.chunks;
        const item value = fold_tree<F>(row, r.chunks);
        int64_t c = 0;
        while (!F::same(row[c], value)) ++c;
        const int m = chunk_size(r, c);
        y[walk.offset[1]] =
            (int32_t)(c * CHUNK + find_first<F>(chunk_at(x, r, walk.offset[0], c, m, buffer), m, value));
    }
}

bool arg_prepare(Call& c) {
    Reduce r;
    const int32_t t = c.n_in ? c.in[0].dtype : -1;
    if (t != F32 && t != I32) return refuse(c, "expected float32 or int32");
    if (!plan_reduce(c, r, false)) return false;
    if (c.out[0].dtype != I32) return refuse(c, "expected an int32 output");
    if (r.n == 0 && r.outputs > 0) return refuse(c, "an empty row has no such element");
    if (r.n > INT32_MAX) return refuse(c, "the index of a row this long does not fit in int32");
    if (r.layout == COLUMNS) {  // positions are looked up row by row
        r.kept.push(r.width, {1, r.width_y});
        r.layout = PACKED;
        r.width = 1;
    }
    c.ranks = worth(c, r.outputs * r.chunks);
    c.scratch = r.chunks > 1 ? align64(r.outputs * r.chunks * 4) : 0;
    c.as<Reduce>() = r;
    return true;
}

struct MaxDx {
    Dims<4> kept;  // strides of x, y, dy, dx
    Dims<2> row;   // strides of x, dx
    int64_t n, outputs;
};

}  // namespace

bool argmax_prepare(Call& c) { return arg_prepare(c); }
bool argmin_prepare(Call& c) { return arg_prepare(c); }
void argmax_run(const Call& c, const Team& team, char* scratch) {
    c.in[0].dtype == F32 ? arg<MaxF>(c, team, scratch) : arg<MaxI>(c, team, scratch);
}
void argmin_run(const Call& c, const Team& team, char* scratch) {
    c.in[0].dtype == F32 ? arg<MinF>(c, team, scratch) : arg<MinI>(c, team, scratch);
}

// Inputs dy, x, y (dy and y shaped like the reduction's output), output dx shaped like x. Ints: [mask].
bool max_dx_prepare(Call& c) {
    if (c.n_in != 3 || c.n_out != 1 || c.n_ints != 1)
        return refuse(c, "expected dy, x, y, one output and the axis mask");
    const View &dy = c.in[0], &x = c.in[1], &y = c.in[2], &dx = c.out[0];
    if (!all_f32(c.in, 3) || dx.dtype != F32) return refuse(c, "expected float32");
    if (x.absent() || !same_shape(x, dx) || !same_shape(dy, y))
        return refuse(c, "shapes of dy and y, or of x and dx, differ");
    const int64_t mask = c.ints[0];
    if (mask < 0 || mask >> x.rank) return refuse(c, "expected a mask of x's %d axes", (int)x.rank);
    const bool keep = y.rank == x.rank;
    if (!keep && y.rank != x.rank - __builtin_popcountll((unsigned long long)mask))
        return refuse(c, "y has the wrong rank");
    MaxDx r;
    int at = 0;
    for (int d = 0; d < x.rank; ++d) {
        if (mask >> d & 1) {
            if (keep && y.shape[d] != 1) return refuse(c, "y: expected size 1 at axis %d", d);
            r.row.push(x.shape[d], {x.stride[d], dx.stride[d]});
        } else {
            const int k = keep ? d : at++;
            if (y.shape[k] != x.shape[d])
                return refuse(c, "y: expected size %lld at axis %d", (long long)x.shape[d], k);
            r.kept.push(x.shape[d], {x.stride[d], y.stride[k], dy.stride[k], dx.stride[d]});
        }
    }
    r.n = r.row.size();
    r.outputs = r.kept.size();
    c.bytes = 8.0 * r.n * r.outputs;
    c.ranks = worth(c, r.outputs);
    c.as<MaxDx>() = r;
    return true;
}

void max_dx_run(const Call& c, const Team& team, char*) {
    const MaxDx& r = c.as<MaxDx>();
    const float *dy = c.in[0].f32(), *x = c.in[1].f32(), *y = c.in[2].f32();
    float* dx = c.out[0].f32w();
    const Range mine = split(r.outputs, team);
    if (r.n == 0) return;
    Walk<4> walk(r.kept, mine.begin);
    for (int64_t o = mine.begin; o < mine.end; ++o, walk.step()) {
        const float* xr = x + walk.offset[0];
        float* dxr = dx + walk.offset[3];
        const float value = y[walk.offset[1]], g = dy[walk.offset[2]];
        if (r.row.rank == 1 && r.row.stride[0][0] == 1 && r.row.stride[1][0] == 1) {
            __builtin_memset(dxr, 0, (size_t)r.n * 4);
            const int64_t i = find_first<MaxF>(xr, r.n, value);
            if (i < r.n) dxr[i] = g;
            continue;
        }
        bool found = false;
        Walk<2> row(r.row);
        for (int64_t i = 0; i < r.n; ++i, row.step()) {
            const bool hit = !found && MaxF::same(xr[row.offset[0]], value);
            dxr[row.offset[1]] = hit ? g : 0.0f;
            found |= hit;
        }
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
