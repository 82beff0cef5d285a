// brief: a dot of at most 9 terms, as the first convolution of grey images has (3 x 3 taps of one channel), and dense
// layers of few inputs. All of B stays in registers while the rows pass; the tiles of dot would spend most of their
// time on starting and ending sums.
#pragma once
#include "dot/dot.hpp"

namespace quernel {
namespace QUERNEL_ISA {

// Computes d and returns true where it has this shape and a plain epilogue; the sums are dot's.
bool brief(const Dot& d);

}  // namespace QUERNEL_ISA
}  // namespace quernel
