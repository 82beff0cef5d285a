// block: the loop over channels, for each number of rows, positions and taps, and the walk over the rows of an image.
#include "depthwise/block.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int TAPS = 3, STEPS = 2;
constexpr int ROWS = 2, POSITIONS = 3;  // of a block

struct Block {
    int64_t channels;
    const float* from;            // what tap 0, 0 of the first position of the first row reads
    ptrdiff_t row, column;        // from tap to tap
    float* to;                    // the first position of the first row
    ptrdiff_t to_row, to_column;  // from row to row, from position to position
    const float* w;               // of tap 0, 0
    ptrdiff_t w_row, w_column;
    const float* bias;  // or null
    bool relu, past;    // past: whole lines of the result go past the caches
};

// R rows of P results, H x W taps, which share what they read: positions and rows are S taps apart. Nothing is fetched
// ahead: memory is read and written in its own order, which the hardware sees. Fetching the next blocks or the next
// rows of the image, of the result or of both, into L1 or L2, took 0.99 to 1.1 of the time.
template <int R, int P, int H, int W, int S>
void block(const Block& b) {
    constexpr int HIGH = (R - 1) * S + H, WIDE = (P - 1) * S + W;  // of the image
    const ptrdiff_t row = b.row, column = b.column, to_row = b.to_row, to_column = b.to_column;
    const ptrdiff_t w_row = b.w_row, w_column = b.w_column;
    const bool relu = b.relu, past = b.past;
    for (int64_t k = 0; k < b.channels; k += VL) {  // the last vector ends at the last channel
        const int64_t c = k + VL <= b.channels ? k : b.channels - VL;
        const float* from = b.from + c;
        float* to = b.to + c;
        const float* weights = b.w + c;
        asm volatile("" : "+r"(from), "+r"(to), "+r"(weights));
        vf acc[R][P], w[H][W];
#pragma GCC unroll 3
        for (int h = 0; h < H; ++h)
#pragma GCC unroll 3
            for (int u = 0; u < W; ++u) w[h][u] = loadu(weights + h * w_row + u * w_column);
#pragma GCC unroll 4
        for (int o = 0; o < R; ++o)
#pragma GCC unroll 8
            for (int p = 0; p < P; ++p) acc[o][p] = zero();
        const float* line = from;
#pragma GCC unroll 9
        for (int r = 0; r < HIGH; ++r) {
            vf x[WIDE];
#pragma GCC unroll 9
            for (int j = 0; j < WIDE; ++j)
                if (S == 1 || j % S < W) x[j] = held(loadu(line + j * column));
#pragma GCC unroll 4
            for (int o = 0; o < R; ++o)
                if (r - o * S >= 0 && r - o * S < H)
#pragma GCC unroll 3
                    for (int u = 0; u < W; ++u)
#pragma GCC unroll 8
                        for (int p = 0; p < P; ++p) acc[o][p] = fma(x[p * S + u], w[r - o * S][u], acc[o][p]);
            line += row;
            asm volatile("" : "+r"(line));
        }
        const vf shift = b.bias ? loadu(b.bias + c) : zero();
#pragma GCC unroll 4
        for (int o = 0; o < R; ++o) {
#pragma GCC unroll 8
            for (int p = 0; p < P; ++p) {
                if (b.bias) acc[o][p] = add(acc[o][p], shift);
                if (relu) acc[o][p] = select(le(acc[o][p], zero()), zero(), acc[o][p]);
                float* const at = to + p * to_column;
                past ? stream(at, acc[o][p]) : storeu(at, acc[o][p]);
            }
            to += to_row;
        }
    }
}

using Run = void (*)(const Block&);
struct Runs {
    Run run[TAPS + 1][STEPS + 1][ROWS + 1][TAPS + 1][POSITIONS + 1];  // by rows of taps first; some are null
};
template <int H, int W>
constexpr void fill(Runs& r) {
    if constexpr (W > 0) {
        r.run[H][1][1][W][1] = r.run[H][2][1][W][1] = block<1, 1, H, W, 1>;
        if constexpr (H == TAPS) r.run[H][1][ROWS][W][1] = block<ROWS, 1, H, W, 1>;
        if constexpr (H == TAPS) r.run[H][2][ROWS][W][1] = block<ROWS, 1, H, W, 2>;
        fill<H, W - 1>(r);
    } else {
        r.run[H][1][1][TAPS][POSITIONS] = block<1, POSITIONS, H, TAPS, 1>;
        r.run[H][2][1][TAPS][POSITIONS] = block<1, POSITIONS, H, TAPS, 2>;
        if constexpr (H > 1) fill<H - 1, TAPS>(r);
    }
}
constexpr Runs make_runs() {
    Runs r{};
    fill<TAPS, TAPS>(r);
    r.run[TAPS][1][ROWS][TAPS][POSITIONS] = block<ROWS, POSITIONS, TAPS, TAPS, 1>;
    r.run[TAPS][2][ROWS][TAPS][POSITIONS] = block<ROWS, POSITIONS, TAPS, TAPS, 2>;
    return r;
}
constexpr Runs RUNS = make_runs();

// Positions of a line whose windows share what they read: every `phases`-th, `step` taps apart; 0 where none do.
struct Stride {
    int64_t step, phases;
};
Stride stride_of(const Line& line) {
    if (line.hop % line.read_step == 0) return {1, line.hop / line.read_step};
    return {line.read_step % line.hop == 0 ? line.read_step / line.hop : 0, 1};
}
bool fits(const Line& line) {
    const int64_t step = stride_of(line).step;
    return line.taps >= 1 && line.taps <= TAPS && step >= 1 && step <= STEPS;
}

}  // namespace

bool fits_blocks(const Window& g, const Rows& r) {
    if (g.from.c != 1 || g.to.c != 1 || g.inner != 1 || g.c < VL || g.activation > RELU || r.depth.taps != 1)
        return false;
    bool fine = fits(r.high), wide = false;  // one by one, other lines lose to tiles
    for (int64_t i = 0; i < r.count; ++i) fine = fine && fits(r.along[i]), wide = wide || r.along[i].taps == TAPS;
    return fine && wide;
}

namespace {

// The blocks of `rows` rows that begin at `from` and `to`, of the positions of one line; runs: by positions. The last
// block ends at the last position, where there are enough.
void walk(const Window& g, Block b, const Line& line, const Stride& along, const Run* runs) {
    const float* const from = b.from + line.read * g.from.at[2];
    float* const to = b.to + line.first * g.to.at[2];
    for (int64_t p = 0; p < along.phases && p < line.count; ++p) {
        const int64_t count = (line.count - p - 1) / along.phases + 1;
        const int64_t wide = count >= POSITIONS && runs[POSITIONS] ? POSITIONS : 1;
        for (int64_t i = 0; i < count; i += wide) {
            const int64_t at = p + along.phases * (i + wide <= count ? i : count - wide);
            b.from = from + at * line.read_step * g.from.at[2];
            b.to = to + at * line.step * g.to.at[2];
            runs[wide](b);
        }
    }
}

}  // namespace

void run_blocks(const Window& g, const Rows& rows, const float* weights, const float* bias) {
    const Images &x = g.from, &y = g.to;
    const Line &ld = rows.depth, &lh = rows.high;
    const Stride down = stride_of(lh), along = stride_of(rows.along[0]);
    const bool pairs = lh.taps == TAPS && down.step == along.step;
    const ptrdiff_t from_row = lh.read_step * x.at[1], to_row = lh.step * y.at[1];
    weights += ((rows.m * g.taps[0] + ld.tap) * g.taps[1] + lh.tap) * g.taps[2] * g.c;
    Block b{};
    b.channels = g.c;
    b.bias = bias ? bias + rows.m * g.c : nullptr;
    b.relu = g.activation == RELU, b.past = g.past && g.c % VL == 0;
    b.row = lh.hop * x.at[1], b.column = rows.along[0].hop * x.at[2];
    b.to_row = down.phases * to_row, b.to_column = along.phases * rows.along[0].step * y.at[2];
    b.w_row = lh.tap_step * g.taps[2] * g.c, b.w_column = rows.along[0].tap_step * g.c;
    const int64_t band = ROWS * down.phases;  // rows that are made together: each and the one `phases` further
    for (int64_t z = 0; z < ld.count; ++z) {
        const float* const from =
            x.data + rows.image * x.n + (ld.read + z * ld.read_step) * x.at[0] + lh.read * x.at[1];
        float* const to =
            y.data + rows.image * y.n + rows.m * g.to_m + (ld.first + z * ld.step) * y.at[0] + lh.first * y.at[1];
        for (int64_t top = 0; top < lh.count; top += band)
            for (int64_t q = top; q < top + band && q < lh.count; ++q) {
                const bool second = q >= top + down.phases, two = pairs && (second || q + down.phases < lh.count);
                if (two && second) continue;  // made with the first
                b.from = from + q * from_row, b.to = to + q * to_row;
                for (int64_t i = 0; i < rows.count; ++i) {
                    const Line& lw = rows.along[i];
                    b.w = weights + lw.tap * g.c;
                    walk(g, b, lw, along, RUNS.run[lh.taps][along.step][two ? ROWS : 1][lw.taps]);
                }
            }
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
