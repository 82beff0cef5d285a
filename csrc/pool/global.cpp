// global_average_pool: the mean of each image's channels, summed in the tree of fold/columns.hpp; images are split
// among ranks. No attributes; y is (n, c) or (n, 1..., c).
#include "fold/columns.hpp"

namespace quernel {
namespace QUERNEL_ISA {

using namespace columns;

struct GlobalAverage {
    Rows x;  // of one image
    Tiles tiles;
    int64_t room;  // floats of scratch a rank
};

bool global_average_pool_prepare(Call& c) {
    if (c.n_in != 1 || c.n_out != 1) return refuse(c, "expected one input and one output");
    if (c.n_ints || c.n_floats) return refuse(c, "expected no attributes");
    if (!all_f32(c.in, 1) || !all_f32(c.out, 1)) return refuse(c, "expected float32");
    const View &x = c.in[0], &y = c.out[0];
    if (x.rank < 3 || (y.rank != 2 && y.rank != x.rank)) return refuse(c, "expected (n, spatial..., c) and (n, c)");
    if (y.shape[0] != x.shape[0] || y.shape[y.rank - 1] != x.shape[x.rank - 1] ||
        y.size() != x.shape[0] * x.shape[x.rank - 1])
        return refuse(c, "the output's shape is not one number an image and channel");
    GlobalAverage& s = c.as<GlobalAverage>();
    s.x = rows_of(x, 1);
    s.tiles = Tiles(s.x.rows, s.x.c);
    if (direct(s.x, s.tiles)) s.tiles.set_most(WIDE);
    s.room = align64(4 * parts_floats(s.tiles, 1)) / 4;
    c.flops = (double)x.size();
    c.bytes = 4.0 * x.size();
    c.ranks = worth(c, x.shape[0]);
    c.scratch = 4 * s.room * c.ranks;
    return true;
}

void global_average_pool_run(const Call& c, const Team& team, char* scratch) {
    const GlobalAverage& s = c.as<GlobalAverage>();
    const View &x = c.in[0], &y = c.out[0];
    float* const parts = reinterpret_cast<float*>(scratch) + team.rank * s.room;
    alignas(64) float buffer[TILE];
    const Range mine = split(x.shape[0], team);
    for (int64_t n = mine.begin; n < mine.end; ++n) {
        Rows image = s.x;
        image.data += n * x.stride[0];
        for (int64_t i = 0; i < s.tiles.count(); ++i) {
            const Tile t(s.tiles, i);
            const Block b = read_block(image, s.tiles, t, buffer);
            fold_tile<1, 1>(&b, s.tiles, t, parts, [](const vf* v, int, vf* acc) { acc[0] = add(acc[0], v[0]); });
        }
        fold_chunks(parts, 1, s.tiles, {0, s.tiles.c});
        for (int64_t i = 0; i < s.tiles.c; ++i)
            y.f32w()[n * y.stride[0] + i * y.stride[y.rank - 1]] = parts[i] / (float)s.x.rows;
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
