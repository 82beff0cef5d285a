// bias_db: db = sum over rows of dy (..., o), in dot's order: chains of 512 rows from +0, their sums added in order.
//
// Blocks of 512 rows are independent until their sums meet, so ranks share blocks (each reads rows of its own, one
// after the other), or columns where blocks are few, and a rank runs the chains of several blocks side by side: one
// chain waits 3 to 4 cycles for every row. One column is summed in column's order instead, which with factors of one is
// fold's. Columns that do not lie side by side, and rows at several strides, go through `product`.
#include "dense/rows.hpp"
#include "fold/rows.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int MOST = 8;  // vectors of a panel; and chains side by side

struct BiasDb {
    SumOverRows rest;  // where neither of the two is set
    bool direct;
    bool column;  // one contiguous column
    const float* dy;
    ptrdiff_t row;
    int64_t rows, n, blocks;
    bool in_place;   // the one block's sums are the result
    bool by_blocks;  // what ranks share: blocks, else columns
    float* db;
    ptrdiff_t step;
};

// The chains of B blocks that follow each other, V vectors of columns wide. All but the last block have 512 rows.
template <int B, int V>
void chains(const float* dy, ptrdiff_t row, int64_t rows, int lanes, float* out, int64_t pitch) {
    vf acc[B][V];
#pragma GCC unroll 8
    for (int b = 0; b < B; ++b)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) acc[b][v] = zero();
    const auto load = [lanes](const float* p, int v) __attribute__((always_inline)) {
        return v == V - 1 ? load_n(p + v * VL, lanes) : loadu(p + v * VL);
    };
    const int64_t last = rows - (B - 1) * CHAIN;
    for (int64_t r = 0; r < last; ++r)
#pragma GCC unroll 8
        for (int b = 0; b < B; ++b)
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) acc[b][v] = add(acc[b][v], load(dy + (b * CHAIN + r) * row, v));
    for (int64_t r = last; B > 1 && r < CHAIN; ++r)
#pragma GCC unroll 8
        for (int b = 0; b < B - 1; ++b)
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) acc[b][v] = add(acc[b][v], load(dy + (b * CHAIN + r) * row, v));
#pragma GCC unroll 8
    for (int b = 0; b < B; ++b)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) store_n(out + b * pitch + v * VL, acc[b][v], v == V - 1 ? lanes : VL);
}

using Chains = void (*)(const float*, ptrdiff_t, int64_t, int, float*, int64_t);

// By vectors: MOST / V blocks at a time, and one.
constexpr Chains MANY[MOST + 1] = {nullptr,      chains<8, 1>, chains<4, 2>, chains<2, 3>, chains<2, 4>,
                                   chains<1, 5>, chains<1, 6>, chains<1, 7>, chains<1, 8>};
constexpr int AT_ONCE[MOST + 1] = {0, 8, 4, 2, 2, 1, 1, 1, 1};
constexpr Chains ONE[MOST + 1] = {nullptr,      chains<1, 1>, chains<1, 2>, chains<1, 3>, chains<1, 4>,
                                  chains<1, 5>, chains<1, 6>, chains<1, 7>, chains<1, 8>};

// The sums of blocks [begin, end) for the columns [j, end of columns), into out[block * n + column].
void sum_blocks(const BiasDb& s, Range blocks, Range columns, float* out) {
    for (int64_t j = columns.begin; j < columns.end; j += MOST * VL) {
        const int64_t width = columns.end - j < MOST * VL ? columns.end - j : MOST * VL;
        const int vectors = (int)((width + VL - 1) / VL), lanes = (int)(width - (vectors - 1) * VL);
        for (int64_t block = blocks.begin; block < blocks.end;) {
            const int some = blocks.end - block >= AT_ONCE[vectors] ? AT_ONCE[vectors] : 1;
            const int64_t begin = block * CHAIN, rest = s.rows - begin;
            (some > 1 ? MANY : ONE)[vectors](s.dy + begin * s.row + j, s.row, rest < some * CHAIN ? rest : some * CHAIN,
                                             lanes, out + block * s.n + j, s.n);
            block += some;
        }
    }
}

// db = the blocks' sums, added in order.
void add_blocks(const BiasDb& s, Range columns, const float* sums) {
    for (int64_t j = columns.begin; j < columns.end; j += VL) {
        const int lanes = columns.end - j < VL ? (int)(columns.end - j) : VL;
        vf sum = s.blocks ? load_n(sums + j, lanes) : zero();
        for (int64_t b = 1; b < s.blocks; ++b) sum = add(sum, load_n(sums + b * s.n + j, lanes));
        if (s.step == 1) {
            store_n(s.db + j, sum, lanes);
        } else {
            alignas(64) float out[VL];
            storeu(out, sum);
            for (int i = 0; i < lanes; ++i) s.db[(j + i) * s.step] = out[i];
        }
    }
}

}  // namespace

bool bias_db_prepare(Call& call) {
    if (call.n_in != 1 || call.n_out != 1) return refuse(call, "expected dy and db");
    const View &dy = call.in[0], &db = call.out[0];
    if (dy.dtype != F32 || db.dtype != F32) return refuse(call, "expected float32 arrays");
    if (dy.rank < 1 || db.rank != 1 || db.shape[0] != dy.shape[dy.rank - 1])
        return refuse(call, "expected dy (..., o), db (o,)");
    BiasDb& s = call.as<BiasDb>();
    s.n = db.shape[0];
    const bool merged = merge_rows(dy, s.rows, s.row);
    s.direct = merged && s.n > 1 && dy.stride[dy.rank - 1] == 1;
    s.column = s.n == 1 && merged && (s.row == 1 || s.rows <= 1);
    if (s.column) {
        s.dy = dy.f32(), s.db = db.f32w();
        call.flops = (double)s.rows;
        call.bytes = 4.0 * s.rows;
        call.ranks = 1;
        call.scratch = 0;
        return true;
    }
    if (!s.direct) {
        Product p;
        static constexpr float ONE_ = 1;
        p.m = 1;
        p.a = &ONE_, p.a_m = p.a_k = 0;
        p.c = db.f32w(), p.c_m = 0, p.c_n = db.stride[0];
        return sum_over_rows(call, nullptr, dy, p, s.rest);
    }
    s.dy = dy.f32(), s.db = db.f32w(), s.step = db.stride[0];
    s.blocks = (s.rows + CHAIN - 1) / CHAIN;
    call.flops = 2.0 * s.rows * s.n;
    call.bytes = 4.0 * (s.rows * s.n + s.n);
    s.by_blocks = s.blocks >= 4 * call.threads;
    call.ranks = worth(call, s.by_blocks ? s.blocks : (s.n + VL - 1) / VL);
    s.in_place = s.blocks == 1 && s.step == 1;
    call.scratch = s.in_place ? 0 : align64(4 * s.blocks * s.n);
    return true;
}

void bias_db_run(const Call& call, const Team& team, char* scratch) {
    const BiasDb& s = call.as<BiasDb>();
    if (s.column) {
        if (team.rank == 0) *s.db = row_sum(s.dy, s.rows);
        return;
    }
    if (!s.direct) return run_sum_over_rows(s.rest, nullptr, call.in[0], team, scratch);
    float* const sums = s.in_place ? s.db : reinterpret_cast<float*>(scratch);
    Range columns = split((s.n + VL - 1) / VL, team);
    columns = {columns.begin * VL, columns.end * VL < s.n ? columns.end * VL : s.n};
    if (s.by_blocks)
        sum_blocks(s, split(s.blocks, team), {0, s.n}, sums);
    else
        sum_blocks(s, {0, s.blocks}, columns, sums);
    if (s.in_place) return;
    if (s.by_blocks) team.barrier();
    add_blocks(s, columns, sums);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
