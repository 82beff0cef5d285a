// The loops that `quernel bench` calls the roof: what this instruction set can do at most on this machine.
//
//   fma     fused multiply-adds on registers alone; returns their floating-point operations
//   tile    C[M x 2 VL] += A B with A and B in L1, shaped like the block of csrc/dot: broadcasts of A, two vectors of
//   B.
//           Its load ports are as busy as its FMA ports, so it slows down when another process or a sibling thread uses
//           the core, which the fma loop hardly does (132 to 126 GFLOP/s where this one falls from 135 to 102)
//   read    the sum of all values; returns bytes read
//   copy    the second half = the first half; returns bytes read and written
//   update  the first half += a * the second half, in place: two reads and a write, as an optimizer does
//   write   all values set; returns bytes written
//
// A probe works on one rank's memory, 64-byte aligned, of at least 1 KB (tile: at least TILE_BYTES).
#include <cstring>

#include "base/op.hpp"
#include "simd/vec.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace {

// Rows of the tile: 28, 12 and 8 accumulators of 32 and 16 registers, the rest for A and B.
constexpr int ROWS = VL == 16 ? 14 : VL == 8 ? 6 : 4;
constexpr int DEPTH = 128;
static_assert((ROWS + 2 * VL) * DEPTH * 4 <= TILE_BYTES, "the tile's operands outgrow its memory");
constexpr int CHAINS = VL == 16 ? 20 : 12;  // more than latency times ports: 4 * 2

double keep(vf v) {  // a value that the compiler must compute
    float lanes[VL];
    storeu(lanes, v);
    asm volatile("" : : "r"(lanes) : "memory");
    return lanes[0];
}

double fma_run(float*, int64_t, int64_t repeats) {
    vf sum[CHAINS];
    for (int i = 0; i < CHAINS; ++i) sum[i] = set1((float)i);
    vf a = set1(0.5f), b = set1(1.0f);
    constexpr int STEPS = 512;
    for (int64_t r = 0; r < repeats; ++r) {
        for (int s = 0; s < STEPS; ++s) {
#pragma GCC unroll 32
            for (int i = 0; i < CHAINS; ++i) sum[i] = fma(sum[i], a, b);
        }
        asm volatile("" : "+m"(a), "+m"(b));
    }
    for (int i = 1; i < CHAINS; ++i) sum[0] = add(sum[0], sum[i]);
    keep(sum[0]);
    return 2.0 * VL * CHAINS * STEPS;
}

double tile_run(float* memory, int64_t, int64_t repeats) {
    const float *a = memory, *b = memory + ROWS * DEPTH;
    for (int64_t r = 0; r < repeats; ++r) {
        vf c[ROWS][2];
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i) c[i][0] = c[i][1] = zero();
        for (int k = 0; k < DEPTH; ++k) {
            const vf b0 = loadu(b + (int64_t)k * 2 * VL), b1 = loadu(b + (int64_t)k * 2 * VL + VL);
            const float* column = a + (int64_t)k * ROWS;
#pragma GCC unroll 16
            for (int i = 0; i < ROWS; ++i) {
                const vf x = set1(column[i]);
                c[i][0] = fma(x, b0, c[i][0]);
                c[i][1] = fma(x, b1, c[i][1]);
            }
        }
        vf sum = zero();
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i) sum = add(sum, add(c[i][0], c[i][1]));
        keep(sum);
        asm volatile("" : : "r"(memory) : "memory");
    }
    return 2.0 * ROWS * 2 * VL * DEPTH;
}

constexpr int STREAM = 8 * VL;  // floats of one turn of the loops below

double read_run(float* memory, int64_t bytes, int64_t repeats) {
    const int64_t n = bytes / 4 / STREAM * STREAM;
    for (int64_t r = 0; r < repeats; ++r) {
        vf sum[8];
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) sum[j] = zero();
        for (int64_t i = 0; i < n; i += STREAM) {
#pragma GCC unroll 8
            for (int j = 0; j < 8; ++j) sum[j] = add(sum[j], loadu(memory + i + j * VL));
        }
        for (int j = 1; j < 8; ++j) sum[0] = add(sum[0], sum[j]);
        keep(sum[0]);
        asm volatile("" : : "r"(memory) : "memory");
    }
    return 4.0 * n;
}

// Where the second of two streams starts: half a page off, because streams that share their offset modulo 4096 collide.
int64_t second(int64_t bytes) {
    const int64_t half = bytes / 8;
    return bytes >= 16384 ? half / 1024 * 1024 + 512 + 16 : half / STREAM * STREAM;
}
int64_t paired(int64_t bytes) { return (bytes / 4 - second(bytes)) / STREAM * STREAM; }

double copy_run(float* memory, int64_t bytes, int64_t repeats) {
    const float* x = memory;
    float* y = memory + second(bytes);
    const int64_t room = second(bytes) / STREAM * STREAM, n = paired(bytes) < room ? paired(bytes) : room;
    for (int64_t r = 0; r < repeats; ++r) {
        for (int64_t i = 0; i < n; i += STREAM) {
#pragma GCC unroll 8
            for (int j = 0; j < 8; ++j) storeu(y + i + j * VL, loadu(x + i + j * VL));
        }
        asm volatile("" : : "r"(memory) : "memory");
    }
    return 8.0 * n;
}

double update_run(float* memory, int64_t bytes, int64_t repeats) {
    float* x = memory;
    const float* y = memory + second(bytes);
    const int64_t room = second(bytes) / STREAM * STREAM, n = paired(bytes) < room ? paired(bytes) : room;
    const vf a = set1(1e-3f);
    for (int64_t r = 0; r < repeats; ++r) {
        for (int64_t i = 0; i < n; i += STREAM) {
#pragma GCC unroll 8
            for (int j = 0; j < 8; ++j) storeu(x + i + j * VL, fma(a, loadu(y + i + j * VL), loadu(x + i + j * VL)));
        }
        asm volatile("" : : "r"(memory) : "memory");
    }
    return 12.0 * n;
}

double write_run(float* memory, int64_t bytes, int64_t repeats) {
    const int64_t n = bytes / 4 / STREAM * STREAM;
    vf one = set1(1.0f);
    for (int64_t r = 0; r < repeats; ++r) {
        for (int64_t i = 0; i < n; i += STREAM) {
#pragma GCC unroll 8
            for (int j = 0; j < 8; ++j) storeu(memory + i + j * VL, one);
        }
        asm volatile("" : : "r"(memory) : "memory");
    }
    return 4.0 * n;
}

}  // namespace

extern const Probe probes[PROBES];
const Probe probes[PROBES] = {{"fma", fma_run},   {"tile", tile_run},     {"read", read_run},
                              {"copy", copy_run}, {"update", update_run}, {"write", write_run}};

}  // namespace QUERNEL_ISA
}  // namespace quernel
