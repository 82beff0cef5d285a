// lstm: long short-term memory over whole sequences. Gates lie in Keras's order i, f, c, o; k units.
//
//   lstm_forward  z (n, t, 4k), u (k, 4k), h? (n, k), c? (n, k), mask? (n, t) bool, dropout? (n, k)
//                 -> y (n, t, k), last h (n, k), last c (n, k), gates (n, t, 4k), cells (n, t, k)
//   lstm_dx       y, gates, cells, u, dy? (n, t, k), dh? (n, k), dc? (n, k), h?, c?, mask?, dropout?
//                 -> dz (n, t, 4k), du (k, 4k), dh0 (n, k), dc0 (n, k)
//   lstm_cell     x (n, i), w (i, 4k), u (k, 4k), b? (4k), h? (n, k), c? (n, k) -> h (n, k), c (n, k)
//
// Step s reads z at time s, or t - 1 - s with go_backwards; z, mask and dz lie by time, y, gates and cells by step.
//   S = (h * dropout) @ u                         recurrent/recurrent.hpp
//   i, f, o = R(S + z)   g = A(S + z)             one addition each
//   c' = fma(f, c, i * g)   h' = o * A(c')        y[s] = h', cells[s] = c', gates[s] = i, f, g, o
// A masked step gives y[s] = h, cells[s] = c, gates[s] = 0, and dz = 0.
//
// Backward, from the last step to the first, h and c being the states before the step, a = A(c'), and A', R' the slopes
// of A and R as functions of their results:
//   d = dy[s] + (S of the later step's dz @ u^T * dropout, or what a masked later step or dh passes on)
//   e = fma(d * o, A'(a), what the later step passes on as de * f, or dc)
//   dz = (e * g) R'(i), (e * c) R'(f), (e * i) A'(g), (d * a) R'(o)
// du = sum over (row, time) of (h * dropout)^T dz, in dot's order.
//
// ints: A, R (numbers of kernels/dense.py), go_backwards; lstm_cell: A, R.
#pragma once
#include "recurrent/recurrent.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace lstm {

using namespace recurrent;

struct Functions {
    Activation a, r;
    bool usual() const { return a == TANH && r == SIGMOID; }
};

// The steps forward, for lstm_forward and lstm_cell.
struct Forward {
    int64_t n, t, k;
    Functions f;
    bool backwards;
    Weights w;
    Shares shares;
    int64_t states, tiles;  // bytes of scratch: of states of the team, or each rank; of each_tile's
};
struct Arrays {  // with contiguous last axes; of gates and cells data may be null
    View z, h, c, mask, dropout, y, h_last, c_last, gates, cells;
};
// call.flops and bytes are set; n, t, k, f, backwards and w's matrix, too. Returns bytes of scratch for the team.
int64_t plan_forward(Call& call, Forward& s);
void run_forward(const Forward& s, const Arrays& v, const Team& team, int ranks, char* scratch);

bool functions(Call& call, Functions& f);

}  // namespace lstm
}  // namespace QUERNEL_ISA
}  // namespace quernel
