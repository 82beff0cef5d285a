// overlap: the sum of a long row beside the last pass of the row before it and the maximum of the row after it.
//
// A row that does not stay in L1 is passed over for its maximum, for its exponentials and their sum, and for its
// results. Only the second keeps the arithmetic busier than the caches, so it takes the other two along, one pass a row
// (10000 x 10000, cross-entropy 1.13 times as fast, its gradient 1.3). Gradients of softmax have sums without a
// maximum, whose wait for memory hides the results before them.
#pragma once
#include "softmax/softmax.hpp"

namespace quernel {
namespace QUERNEL_ISA {

// Two folds in one pass: elements, vectors and values are pairs.
template <class A, class B>
struct Both {
    struct vec {
        typename A::vec a;
        typename B::vec b;
    };
    struct item {
        typename A::item a;
        typename B::item b;
    };
    static QUERNEL_INLINE vec identity() { return {A::identity(), B::identity()}; }
    static QUERNEL_INLINE vec combine(vec x, vec y) { return {A::combine(x.a, y.a), B::combine(x.b, y.b)}; }
    static QUERNEL_INLINE item combine(item x, item y) { return {A::combine(x.a, y.a), B::combine(x.b, y.b)}; }
    template <int k>
    static QUERNEL_INLINE vec swapped(vec v) {
        return {A::template swapped<k>(v.a), B::template swapped<k>(v.b)};
    }
    static QUERNEL_INLINE item lane0(vec v) { return {A::lane0(v.a), B::lane0(v.b)}; }
};

// What an op makes of a row, for overlapped_rows. Its own part:
//   void sum(s)        tells it the row's sum
//   void step(i, k)    makes elements i .. i+k-1 of the result
//   void end()         when all are made
// The rest is one of the two below.

// The sum is that of e_i = exp(x_i - m), m = max(x). Row::fetch(i) fetches ahead what it wants beside x.
struct ExpRow {
    const float* x;
    float* e;  // where the exponentials stay, or null
    float m = 0;

    void open(int64_t n) { m = row_max(x, n); }
    template <class Row>
    static void alone(Row& row, int64_t n) {
        row.sum(exp_sum(row.x, row.m, row.e, n, row.x + n));
    }
    template <class Row>
    static void pass(const Row& before, Row& row, Row& after, int64_t n) {
        using Fold = Both<SumF, MaxF>;
        const vf top = set1(row.m);
        const auto found = fold_row<Fold>(n, [=](int64_t i, int k) __attribute__((always_inline)) {
            __builtin_prefetch(after.x + i + 2 * FETCH);
            row.fetch(i);
            const vf v = keep_m(vexp_below(sub(load_m(row.x + i, k), top)), k);
            if (row.e) store_m(row.e + i, v, k);
            before.step(i, k);
            return typename Fold::vec{v, take<MaxF>(after.x + i, k)};
        });
        row.sum(found.a);
        after.m = found.b;
    }
};

// The sum is that of Row::term(i, k), lanes from k on 0.
struct SumRow {
    void open(int64_t) {}
    template <class Row>
    static void alone(Row& row, int64_t n) {
        row.sum(fold_row<SumF>(n, [=](int64_t i, int k) __attribute__((always_inline)) { return row.term(i, k); }));
    }
    template <class Row>
    static void pass(const Row& before, Row& row, Row&, int64_t n) {
        row.sum(fold_row<SumF>(n, [=](int64_t i, int k) __attribute__((always_inline)) {
            before.step(i, k);
            return row.term(i, k);
        }));
    }
};

// The results of a row that has been told its sum; also of rows too short to overlap.
template <class Row>
inline void finish_row(const Row& row, int64_t n) {
    each_vector(n, [=](int64_t i, int k) __attribute__((always_inline)) { row.step(i, k); });
    row.end();
}

// begin(rows, offsets), as for_rows's body gets them, makes the Row.
template <int S, class Begin>
inline void overlapped_rows(const Rows<S>& r, const View* const (&operands)[S], const Team& team, char* scratch,
                            Begin begin) {
    const int64_t n = r.n;
    const auto alone = [=](auto& row) {
        row.open(n);
        row.alone(row, n);
    };
    const Range mine = split(r.outer.size(), team);
    if (r.buffers || mine.end - mine.begin < 2)
        return for_rows<S>(r, operands, team, scratch, [&](float* const* at, const ptrdiff_t* offset) {
            auto row = begin(at, offset);
            alone(row);
            finish_row(row, n);
        });
    Walk<S> walk(r.outer, mine.begin);
    const auto here = [&] {
        float* rows[S];
        for (int s = 0; s < S; ++s) rows[s] = operands[s]->f32w() + walk.offset[s];
        return begin(rows, walk.offset);
    };
    auto before = here();
    alone(before);
    walk.step();
    auto row = here();
    row.open(n);
    for (int64_t o = mine.begin + 1; o < mine.end; ++o) {
        walk.step();
        auto after = o + 1 < mine.end ? here() : row;  // the last one meets itself
        row.pass(before, row, after, n);
        before.end();
        before = row;
        row = after;
    }
    finish_row(before, n);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
