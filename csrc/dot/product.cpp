// product: packing, cache blocks, and the split of one matrix product among ranks.
#include "dot/product.hpp"

#include "dot/column.hpp"
#include "dot/few.hpp"
#include "dot/pack.hpp"
#include "dot/stream.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

// Blocks are about this large, of nearly equal size: 1025 is one block of columns, seven of 150 rows, two of terms.
constexpr int64_t KC = CHAIN;  // a block of k is one chain, so partial sums only ever meet in C
constexpr int64_t MC = 168;    // whole tiles of 6 rows: the block of A is 390 KB, a fifth of L2
constexpr int64_t NC = 1280;   // the packed block of B, 2.5 MB, is read once for each block of A: L3 is near enough

// Most columns of one packed panel of B: wide tiles need the fewest loads for an FMA. Panels are equal where there are
// few: 129 to 144 columns took 1.05 times as long with one column or vector in a panel of its own.
int64_t panel(int64_t m) { return (m <= 3 ? 8 : 4) * VL; }

bool in_few(const Product& p) { return p.m <= FEW && p.n > 1 && p.b_k == 1 && p.b_n != 1; }
// From 512 KB of B on: 2 rows of 1024^2 run at 28 GFLOP/s where dot's tiles run at 22, those of 512^2 at 83 and 70.
bool in_stream(const Product& p) { return p.m <= STREAM && p.n >= 8 * VL && p.b_n == 1 && p.k * p.n >= 128 * 1024; }
// B is transposed by a pass of its own. Else its first rows of tiles copy it in passing: that pays where vectors of B
// straddle cache lines (512^3, B 4 bytes off: 90 -> 150 GFLOP/s), and where its rows lie so far apart that they miss
// the TLB or fall into a few sets of the caches (64^3 in rows of 16 KB: 123 -> 150). The scratch does not depend on
// addresses.
bool may_pack_b(const Product& p) { return !in_few(p) && p.n > 1 && (p.b_n != 1 || (p.m >= 48 && p.k >= 32)); }
bool packs_b(const Product& p) {
    if (!may_pack_b(p)) return false;
    if (p.b_n != 1) return true;
    const bool large = p.n > 4 * VL && p.k * (p.b_k < 0 ? -p.b_k : p.b_k) > 12 * 1024;  // than L1, in more than a panel
    const bool straddles = large && ((uintptr_t)p.b / sizeof(float) | (uintptr_t)p.b_k) % VL;
    // Of A's transpose, few tiles of rows would read the copy again (avx512, 128 x 512 x 784: 134 -> 152 GFLOP/s
    // without).
    const int64_t far = VL == 16 && p.a_k != 1 && p.m < 256 ? 1024 : 512;
    const bool apart = p.k >= 64 && (p.b_k >= far || p.b_k <= -far);
    return ((straddles || apart) && p.m >= 48) || (p.m >= 512 && p.k * p.n >= 512 * 1024);
}
// Rows of A are read in place: tiles of 6 rows fit any stride. A's transpose takes a cache line for every k, and is
// packed; on avx512, where both were timed, from more than 256 KB on (256^3 reads it in place: 152 -> 166 GFLOP/s).
bool packs_a(const Product& p) {
    return p.a_k != 1 && p.n >= 128 && p.m > 14 && p.k >= 64 && p.m * p.k >= 64 * 1024 + (VL == 16);
}

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// The size of the blocks of n: at most `most`, which is a multiple of `unit` as they are.
int64_t even(int64_t n, int64_t most, int64_t unit) {
    const int64_t blocks = (n + most - 1) / most;
    return blocks ? ((n + blocks - 1) / blocks + unit - 1) / unit * unit : most;
}
// Terms of the next block of k, `left` of them being left.
int64_t block_of_terms(int64_t left) { return left <= MOST_TERMS ? left : KC; }

// Columns before the first aligned vector of B's rows, to be computed apart where few rows of A read B from L2 and
// beyond: vectors that straddle cache lines cost those twice (512^2, 4 bytes off: 2 rows 49 -> 74 GFLOP/s, 6 rows 92 ->
// 153, 32 rows 108 -> 155).
int64_t head(const Product& p) {
    constexpr int64_t bytes = VL * sizeof(float);
    const int64_t past = (int64_t)((uintptr_t)p.b % bytes);
    const bool wanted = p.b_n == 1 && p.m < 48 && p.n >= 8 * VL && p.k * p.n >= 12 * 1024;
    if (!wanted || past == 0 || past % (int64_t)sizeof(float) || p.b_k % VL) return 0;
    return (bytes - past) / (int64_t)sizeof(float);
}

// S, finished if `epilogue`, into rows of contiguous columns.
void blocks(const Product& p, float* c, ptrdiff_t c_m, bool epilogue, float* b_room, float* a_room) {
    const bool pb = packs_b(p), pa = packs_a(p), passing = pb && p.b_n == 1;
    const int64_t width = even(p.n, panel(p.m), VL);
    Dot d;
    d.count = 1;
    d.a_m = p.a_m, d.a_k = p.a_k, d.b_k = p.b_k, d.c_m = c_m, d.old_m = p.old_m, d.pack_k = width;
    if (!pb && !pa && (p.k <= KC || p.a_k == 1)) {  // else a tile takes a cache line of A for every k: block by block
        d.m = p.m, d.n = p.n, d.k = p.k;
        d.a = p.a, d.b = p.b, d.c = c;
        if (epilogue) d.alpha = p.alpha, d.beta = p.beta, d.old = p.old, d.bias = p.bias, d.activation = p.activation;
        if (const int64_t first = head(p)) {
            d.n = first;
            dot(d);
            d.n = p.n - first;
            d.b += first, d.c += first;
            if (d.old) d.old += first;
            if (d.bias) d.bias += first;
        }
        dot(d);
        return;
    }
    const int64_t mc = even(p.m, MC, 6), nc = even(p.n, NC, width);
    for (int64_t n0 = 0; n0 < p.n; n0 += nc) {
        const int64_t n = least(nc, p.n - n0);
        int64_t k0 = 0;
        do {
            d.k = block_of_terms(p.k - k0);
            const bool last = k0 + d.k >= p.k;
            d.add = k0 > 0;
            if (epilogue && last) d.alpha = p.alpha, d.beta = p.beta, d.activation = p.activation;
            for (int64_t m0 = 0; m0 < p.m; m0 += mc) {
                d.m = least(mc, p.m - m0);
                d.a = p.a + m0 * p.a_m + k0 * p.a_k;
                if (pa) {
                    pack_a(a_room, d.a, p.a_m, p.a_k, d.m, d.k);
                    d.a = a_room;
                    d.a_m = A_ROW, d.a_k = 1;
                }
                for (int64_t j = 0; j < n; j += width) {
                    d.n = least(width, n - j);
                    d.c = c + m0 * c_m + n0 + j;
                    // With one block of rows, one panel is room enough for B, and stays near.
                    float* const room = b_room + (p.m > mc ? j * d.k : 0);
                    const float* const from = p.b + k0 * p.b_k + (n0 + j) * p.b_n;
                    if (pb && !passing && m0 == 0) pack_b(room, width, from, p.b_k, p.b_n, d.k, d.n);
                    const bool packed = pb && (!passing || m0 > 0);
                    d.b = packed ? room : from;
                    d.b_k = packed ? width : p.b_k;
                    d.pack = passing && m0 == 0 ? room : nullptr;
                    if (epilogue && last && p.bias) d.bias = p.bias + n0 + j;
                    if (epilogue && last && p.old) d.old = p.old + m0 * p.old_m + n0 + j;
                    // The next panel lies in L3: 1024^3 ran at 150 GFLOP/s where it runs at 156.
                    const bool another = pb && m0 > 0 && d.k > 0 && n - j > width;
                    d.next = another ? reinterpret_cast<const char*>(room + width * d.k) : nullptr;
                    d.next_bytes = (int64_t)sizeof(float) * width * d.k;
                    dot(d);
                }
            }
            d.alpha = 1, d.beta = 0, d.bias = nullptr, d.activation = NO_ACTIVATION;
            k0 += d.k;
        } while (k0 < p.k);
    }
}

vf gather(const float* p, ptrdiff_t stride, int n) {
    alignas(64) float lanes[VL] = {};
    for (int i = 0; i < n; ++i) lanes[i] = p[i * stride];
    return loadu(lanes);
}

// The epilogue of a product whose beta, bias or C has strides that dot's own does not take. s: rows of S, finished in
// place.
void finish(const Product& p, float* s, ptrdiff_t s_m) {
    for (int64_t i = 0; i < p.m; ++i, s += s_m) {
        for (int64_t j = 0; j < p.n; j += VL) {
            const int n = (int)least(VL, p.n - j);
            vf r = load_n(s + j, n);
            if (p.alpha != 1) r = mul(set1(p.alpha), r);
            if (p.beta != 0) r = fma(set1(p.beta), gather(p.old + i * p.old_m + j * p.old_n, p.old_n, n), r);
            if (p.bias) r = add(r, gather(p.bias + j * p.bias_n, p.bias_n, n));
            store_n(s + j, r, n);
        }
        activate(p.activation, s, p.n);
        if (s != p.c + i * p.c_m)
            for (int64_t j = 0; j < p.n; ++j) p.c[i * p.c_m + j * p.c_n] = s[j];
    }
}

int64_t b_bytes(const Product& p) {
    const int64_t width = 8 * VL;  // a part may have fewer rows, hence wider panels
    return align64(4 * least(p.k, MOST_TERMS) * ((least(p.n, NC) + width - 1) / width * width));
}
int64_t a_bytes(const Product& p) { return align64(4 * least(p.m, MC) * A_ROW); }
bool odd_columns(const Product& p) { return p.c_n != 1 && p.n > 1; }

}  // namespace

int64_t product_scratch(const Product& p) {
    if (p.one_column)
        return (p.b_k != 1 ? align64(4 * p.k) : 0) + (p.c_m != 1 ? align64(4 * p.m) : 0) + column_scratch(p.a_m, p.a_k);
    int64_t bytes = 0;
    if (may_pack_b(p)) bytes += b_bytes(p);
    if (packs_a(p)) bytes += a_bytes(p);
    if (odd_columns(p)) bytes += align64(4 * p.m * p.n);
    return bytes;
}

namespace {

// C as one contiguous row, then the epilogue with what belonged to the column broadcast along it.
void product_column(const Product& p, char* scratch) {
    Product row = p;
    row.m = 1, row.n = p.m;
    row.c_n = p.c_m;
    row.old_n = p.old_m;
    row.bias_n = 0;
    const float* b = p.b;
    float* s = p.c;
    if (p.b_k != 1) {
        float* copy = reinterpret_cast<float*>(scratch);
        for (int64_t k = 0; k < p.k; ++k) copy[k] = p.b[k * p.b_k];
        b = copy;
        scratch += align64(4 * p.k);
    }
    if (p.c_m != 1) {
        s = reinterpret_cast<float*>(scratch);
        scratch += align64(4 * p.m);
    }
    column(p.m, p.k, p.a, p.a_m, p.a_k, b, s, scratch);
    if (p.alpha != 1 || p.beta != 0 || p.bias || p.activation != NO_ACTIVATION || s != p.c) finish(row, s, 0);
}

}  // namespace

void product(const Product& p, char* scratch) {
    if (p.m <= 0 || p.n <= 0) return;
    if (p.one_column) return product_column(p, scratch);
    float *b_room = nullptr, *a_room = nullptr, *s = p.c;
    ptrdiff_t s_m = p.c_m;
    if (may_pack_b(p)) b_room = reinterpret_cast<float*>(scratch), scratch += b_bytes(p);
    if (packs_a(p)) a_room = reinterpret_cast<float*>(scratch), scratch += a_bytes(p);
    if (odd_columns(p)) s = reinterpret_cast<float*>(scratch), s_m = p.n;
    const bool apart = in_few(p) || in_stream(p)
                           ? p.alpha != 1 || p.beta != 0 || p.bias || p.activation != NO_ACTIVATION || odd_columns(p)
                           : (p.beta != 0 && p.old_n != 1) || odd_columns(p) || (p.bias && p.bias_n != 1);
    if (in_few(p))
        few(p.m, p.n, p.k, p.a, p.a_m, p.a_k, p.b, p.b_n, s, s_m);
    else if (in_stream(p))
        stream(p.m, p.n, p.k, p.a, p.a_m, p.a_k, p.b, p.b_k, s, s_m, head(p));
    else
        blocks(p, s, s_m, !apart, b_room, a_room);
    if (apart) finish(p, s, s_m);
}

namespace {

// Of small products whichever leaves the busiest rank less to do, in terms of its vectors: packing B costs as much as
// PACKING rows, and where ranks share columns that do not start on lines, each row's line between them goes to and fro,
// for the time of SHARED terms (64 rows of 65 to 240 columns of 256 terms, two ranks: 0.9 of the time, at best 0.7).
constexpr int64_t PACKING = 12, SHARED = 96;
bool by_columns_small(const Product& p, int ranks) {
    const int64_t vectors = (p.n + VL - 1) / VL, rows = (p.m + ranks - 1) / ranks;
    const int64_t packing = p.b_n != 1 ? PACKING : 0, shared = p.c_m % VL ? SHARED * p.m : 0;
    return p.k * ((vectors + ranks - 1) / ranks) * (p.m + packing) + shared <= p.k * vectors * (rows + packing);
}

// Columns where there are more of them, or where B is large: a rank's half of it, packed, stays in L2, while A is read
// in place (1024^3 on two ranks: 296 -> 307 GFLOP/s, transposed B 291 -> 307; 256^3 loses 5 %). Also of squares whose B
// is transposed: by rows, every rank would turn all of it (two ranks, 64 x 64 x 576: 210 -> 263 GFLOP/s, 128^3: 248 ->
// 271), unless ranks then write the same cache lines of C for little work (64^3, C 4 bytes off a line: 164 -> 93).
bool by_columns(const Product& p, int ranks) {
    if (p.m < p.n && p.m >= 8 * ranks && p.k * p.n < 256 * 1024) return by_columns_small(p, ranks);
    const bool large = p.k * p.n >= 256 * 1024 && p.n >= 8 * VL * ranks && p.m < 2 * p.n;
    const bool apart = ((uintptr_t)p.c % 64 == 0 && p.c_m % VL == 0) || p.k >= CHAIN;
    return p.m < p.n || (p.m == p.n && p.b_n != 1 && apart) || (large && !packs_a(p));
}

}  // namespace

void share(const Product& p, const Team& team, char* scratch) {
    Product part = p;
    if (!by_columns(p, team.size)) {
        const Range r = split(p.m, team);
        part.m = r.end - r.begin;
        part.a += r.begin * p.a_m;
        part.c += r.begin * p.c_m;
        if (p.old) part.old += r.begin * p.old_m;
    } else {  // whole vectors; pairs of them cost 5 to 15 % where the ranks' shares then differ by two
        const Range r = split((p.n + VL - 1) / VL, team);
        const int64_t begin = r.begin * VL;
        part.n = least(p.n, r.end * VL) - begin;
        part.b += begin * p.b_n;
        part.c += begin * p.c_n;
        if (p.old) part.old += begin * p.old_n;
        if (p.bias) part.bias += begin * p.bias_n;
    }
    product(part, scratch);
}

void plan_products(Call& call, Products& p) {
    Product& e = p.each;
    e.one_column = e.n == 1;
    // Rows of a batch that follow each other at the row stride, with one B for all, are rows of one product.
    while (p.rank > 0) {
        const int d = p.rank - 1;
        const bool one = p.shape[d] == 1;
        if (!one && e.m == 1 && p.b[d] == 0) {
            e.a_m = p.a[d], e.c_m = p.c[d], e.old_m = p.old[d];
        } else if (!one &&
                   (p.b[d] != 0 || p.a[d] != e.m * e.a_m || p.c[d] != e.m * e.c_m || p.old[d] != e.m * e.old_m)) {
            break;
        }
        e.m *= p.shape[d];
        --p.rank;
    }
    const double count = (double)p.count(), m = (double)e.m, n = (double)e.n, k = (double)e.k;
    call.flops = 2 * count * m * n * k;
    call.bytes = 4 * count * (m * k + k * n + m * n);
    const int64_t pieces = e.m > e.n / VL ? e.m : e.n / VL;
    call.ranks = worth(call, p.count() > pieces ? p.count() : pieces);
    call.scratch = call.ranks * product_scratch(e);
}

void run_products(const Products& p, const Team& team, char* scratch) {
    const int64_t count = p.count();
    const bool whole = count >= 2 * team.size;  // products to ranks, rather than each product shared by all ranks
    const Range mine = whole ? split(count, team) : Range{0, count};
    scratch += team.rank * product_scratch(p.each);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
        Product e = p.each;
        int64_t rest = i;
        for (int d = p.rank - 1; d >= 0; --d) {
            const int64_t at = rest % p.shape[d];
            rest /= p.shape[d];
            e.a += at * p.a[d];
            e.b += at * p.b[d];
            e.c += at * p.c[d];
            if (e.old) e.old += at * p.old[d];
        }
        if (whole)
            product(e, scratch);
        else
            share(e, team, scratch);
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
