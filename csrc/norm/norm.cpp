// Batch normalization over all axes but the last (float32, any strides, rank >= 1); sums follow fold/columns.hpp.
//
//   batch_norm_train      x, gamma?, beta? -> y, mean, variance
//   batch_norm_inference  x, mean, variance, gamma?, beta? -> y
//   batch_norm_dx         dy, x, mean, variance, gamma? -> dx, dgamma, dbeta
// One float attribute: epsilon. Per-channel arrays have shape (c). Nothing may alias.
//
//   mean = sum(x) / N        variance = sum((x - mean)^2) / N     (a chain of fma(d, d, acc); two passes)
//   inv = 1 / sqrt(variance + epsilon)      a = gamma * inv       y = fma(x - mean, a, beta)
//   dbeta = sum(dy)          dgamma = sum(dy * (x - mean)) * inv  (a chain of fma(dy, d, acc))
//   dx = ((dy - dbeta/N) - (x - mean) * (dgamma * inv / N)) * a   (the middle product fused into its subtraction)
#include "fold/columns.hpp"

namespace quernel {
namespace QUERNEL_ISA {

using namespace columns;

struct Norm {
    Rows x, y, dy;
    Tiles tiles;
    float epsilon;
    int64_t values;  // where the per-channel numbers lie in scratch: floats after the partial sums
};

static bool per_channel(const View& v, int64_t c) { return v.absent() || (v.rank == 1 && v.shape[0] == c); }
static float value(const View& v, int64_t i, float otherwise) {
    return v.absent() ? otherwise : v.f32()[i * v.stride[0]];
}

static bool begin_norm(Call& c, Norm& s, const View& x, const View& y, int sums, int values) {
    if (c.n_ints || c.n_floats != 1) return refuse(c, "expected one attribute, epsilon");
    if (!all_f32(c.in, c.n_in) || !all_f32(c.out, c.n_out)) return refuse(c, "expected float32");
    if (x.rank < 1) return refuse(c, "expected an array with a channel axis");
    if (!same_shape(x, y)) return refuse(c, "input and output differ in shape");
    s.x = rows_of(x, 0);
    s.y = rows_of(y, 0);
    s.dy.data = nullptr;
    s.tiles = Tiles(s.x.rows, s.x.c);
    s.epsilon = (float)c.floats[0];
    s.values = align64(4 * parts_floats(s.tiles, sums)) / 4;
    c.scratch = 4 * s.values + align64(4 * s.x.c * values);
    return true;
}
static void share(Call& c, Norm& s, int reads) {
    if (direct(s.x, s.tiles) && direct(s.y, s.tiles) && (!s.dy.data || direct(s.dy, s.tiles))) s.tiles.set_most(WIDE);
    const double n = (double)s.x.rows * s.x.c;
    c.flops = 4 * reads * n;
    c.bytes = 4 * n * (reads + 1);
    c.ranks = worth(c, s.tiles.count());
}

// Folds every tile of the inputs that `step` reads; on return (after a barrier) the rank may read the sums of its
// channels.
// Passes over the same array turn around, so that each begins with what the one before left in the caches.
enum Way { UP, DOWN };
static int64_t tile_of(Way way, const Range& mine, int64_t i) {
    return way == UP ? i : mine.end - 1 - (i - mine.begin);
}

template <int IN, int OUT, int VALUES, class Step>
static void fold_all(Way way, const Rows* const* in, const Tiles& tiles, const float* const* values, float* parts,
                     const Team& team, Step step) {
    alignas(64) float buffer[IN][TILE], lanes[VALUES ? VALUES : 1][WIDE];
    const Range mine = split(tiles.count(), team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
        const Tile t(tiles, tile_of(way, mine, i));
        Block b[IN];
        for (int k = 0; k < IN; ++k) b[k] = read_block(*in[k], tiles, t, buffer[k]);
        for (int k = 0; k < VALUES; ++k) lanes_of(values[k], t, lanes[k]);
        fold_tile<IN, OUT>(b, tiles, t, parts, [&](const vf* x, int lane, vf* acc) { step(x, lanes, lane, acc); });
    }
    team.barrier();
    fold_chunks(parts, OUT, tiles, split(tiles.c, team));
}

template <int IN, int VALUES, class F>
static void map_all(Way way, const Rows* const* in, const Rows& out, const Tiles& tiles, const float* const* values,
                    const Team& team, F f) {
    alignas(64) float buffer[IN + 1][TILE], lanes[VALUES][WIDE];
    const Range mine = split(tiles.count(), team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
        const Tile t(tiles, tile_of(way, mine, i));
        Block b[IN];
        for (int k = 0; k < IN; ++k) b[k] = read_block(*in[k], tiles, t, buffer[k]);
        const Block to = place_block(out, tiles, t, buffer[IN]);
        for (int k = 0; k < VALUES; ++k) lanes_of(values[k], t, lanes[k]);
        map_tile<IN>(b, t, to, [&](const vf* x, int lane) { return f(x, lanes, lane); });
        write_block(out, t, to, buffer[IN]);
    }
}

static void normalize(const Norm& s, const float* mean, const float* scale, const float* shift, const Team& team) {
    const Rows* in[] = {&s.x};
    const float* values[] = {mean, scale, shift};
    map_all<1, 3>(UP, in, s.y, s.tiles, values, team, [](const vf* x, float (*lanes)[WIDE], int lane) {
        return fma(sub(x[0], loadu(lanes[0] + lane)), loadu(lanes[1] + lane), loadu(lanes[2] + lane));
    });
}

// ---- train ----

bool batch_norm_train_prepare(Call& c) {
    Norm& s = c.as<Norm>();
    if (c.n_in != 3 || c.n_out != 3) return refuse(c, "expected x, gamma, beta and three outputs");
    if (!begin_norm(c, s, c.in[0], c.out[0], 1, 3)) return false;
    const View* const channels[] = {&c.in[1], &c.in[2], &c.out[1], &c.out[2]};
    for (const View* v : channels)
        if (!per_channel(*v, s.x.c))
            return refuse(c, "expected gamma, beta, mean and variance of one number a channel");
    share(c, s, 3);
    return true;
}
void batch_norm_train_run(const Call& c, const Team& team, char* scratch) {
    const Norm& s = c.as<Norm>();
    float* const parts = reinterpret_cast<float*>(scratch);
    float *mean = parts + s.values, *scale = mean + s.x.c, *shift = scale + s.x.c;
    const Range mine = split(s.x.c, team);
    const float rows = (float)s.x.rows;
    const Rows* in[] = {&s.x};
    const float* values[] = {mean};

    fold_all<1, 1, 0>(UP, in, s.tiles, values, parts, team,
                      [](const vf* x, float (*)[WIDE], int, vf* acc) { acc[0] = add(acc[0], x[0]); });
    for (int64_t i = mine.begin; i < mine.end; ++i) {
        mean[i] = parts[i] / rows;
        c.out[1].f32w()[i * c.out[1].stride[0]] = mean[i];
    }
    team.barrier();
    fold_all<1, 1, 1>(DOWN, in, s.tiles, values, parts, team, [](const vf* x, float (*lanes)[WIDE], int lane, vf* acc) {
        const vf d = sub(x[0], loadu(lanes[0] + lane));
        acc[0] = fma(d, d, acc[0]);
    });
    for (int64_t i = mine.begin; i < mine.end; ++i) {
        const float variance = parts[i] / rows;
        c.out[2].f32w()[i * c.out[2].stride[0]] = variance;
        scale[i] = value(c.in[1], i, 1) * (1 / __builtin_sqrtf(variance + s.epsilon));
        shift[i] = value(c.in[2], i, 0);
    }
    team.barrier();
    normalize(s, mean, scale, shift, team);
}

// ---- inference ----

bool batch_norm_inference_prepare(Call& c) {
    Norm& s = c.as<Norm>();
    if (c.n_in != 5 || c.n_out != 1) return refuse(c, "expected x, mean, variance, gamma, beta and one output");
    if (!begin_norm(c, s, c.in[0], c.out[0], 0, 3)) return false;
    for (int i = 1; i < 5; ++i)
        if (!per_channel(c.in[i], s.x.c))
            return refuse(c, "expected mean, variance, gamma, beta of one number a channel");
    if (c.in[1].absent() || c.in[2].absent()) return refuse(c, "mean and variance are missing");
    share(c, s, 1);
    return true;
}
void batch_norm_inference_run(const Call& c, const Team& team, char* scratch) {
    const Norm& s = c.as<Norm>();
    float *mean = reinterpret_cast<float*>(scratch) + s.values, *scale = mean + s.x.c, *shift = scale + s.x.c;
    const Range mine = split(s.x.c, team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
        mean[i] = value(c.in[1], i, 0);
        scale[i] = value(c.in[3], i, 1) * (1 / __builtin_sqrtf(value(c.in[2], i, 0) + s.epsilon));
        shift[i] = value(c.in[4], i, 0);
    }
    team.barrier();
    normalize(s, mean, scale, shift, team);
}

// ---- backward ----

bool batch_norm_dx_prepare(Call& c) {
    Norm& s = c.as<Norm>();
    if (c.n_in != 5 || c.n_out != 3) return refuse(c, "expected dy, x, mean, variance, gamma and three outputs");
    if (!begin_norm(c, s, c.in[1], c.out[0], 2, 4)) return false;
    if (!same_shape(c.in[0], c.in[1])) return refuse(c, "dy and x differ in shape");
    const View* const channels[] = {&c.in[2], &c.in[3], &c.in[4], &c.out[1], &c.out[2]};
    for (const View* v : channels)
        if (!per_channel(*v, s.x.c)) return refuse(c, "expected mean, variance, gamma of one number a channel");
    if (c.in[2].absent() || c.in[3].absent()) return refuse(c, "mean and variance are missing");
    s.dy = rows_of(c.in[0], 0);
    share(c, s, 4);
    return true;
}
void batch_norm_dx_run(const Call& c, const Team& team, char* scratch) {
    const Norm& s = c.as<Norm>();
    float* const parts = reinterpret_cast<float*>(scratch);
    float *mean = parts + s.values, *drift = mean + s.x.c, *slope = drift + s.x.c, *scale = slope + s.x.c;
    const Range mine = split(s.x.c, team);
    const float rows = (float)s.x.rows;
    for (int64_t i = mine.begin; i < mine.end; ++i) mean[i] = value(c.in[2], i, 0);
    team.barrier();

    const Rows* in[] = {&s.dy, &s.x};
    const float* means[] = {mean};
    fold_all<2, 2, 1>(UP, in, s.tiles, means, parts, team, [](const vf* x, float (*lanes)[WIDE], int lane, vf* acc) {
        acc[0] = add(acc[0], x[0]);
        acc[1] = fma(x[0], sub(x[1], loadu(lanes[0] + lane)), acc[1]);
    });
    const float* products = parts + parts_floats(s.tiles, 1);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
        const float inv = 1 / __builtin_sqrtf(value(c.in[3], i, 0) + s.epsilon);
        const float dbeta = parts[i], dgamma = products[i] * inv;
        c.out[1].f32w()[i * c.out[1].stride[0]] = dgamma;
        c.out[2].f32w()[i * c.out[2].stride[0]] = dbeta;
        drift[i] = dbeta / rows;
        slope[i] = dgamma * inv / rows;
        scale[i] = value(c.in[4], i, 1) * inv;
    }
    team.barrier();
    const float* values[] = {mean, drift, slope, scale};
    map_all<2, 4>(DOWN, in, s.y, s.tiles, values, team, [](const vf* x, float (*lanes)[WIDE], int lane) {
        const vf d = sub(x[1], loadu(lanes[0] + lane)), e = sub(x[0], loadu(lanes[1] + lane));
        return mul(fnma(d, loadu(lanes[2] + lane), e), loadu(lanes[3] + lane));
    });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
