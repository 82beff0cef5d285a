// Geometry of a convolution: attributes, strides, and which taps meet which positions along an axis.
#include "conv/conv.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool parse(Call& call, const View& x, const View& y, const View& w, Conv& conv, Form form) {
    if (call.n_ints < 3)
        return refuse(call, "expected attributes: rank, groups, activation, strides, dilations, padding");
    const int64_t rank = call.ints[0];
    const bool depthwise = form == DEPTHWISE, lives = form == PLAIN && call.n_ints == 3 + 4 * rank;
    if (rank < 1 || rank > SPATIAL || (call.n_ints != (form == POOLED ? 3 + 5 * rank : 3 + 3 * rank) && !lives))
        return refuse(call, "expected 1 to 3 spatial dimensions");
    if (x.rank != rank + 2 || y.rank != rank + 2 || w.rank != rank + 2)
        return refuse(call, "expected images and kernel of %d dimensions", (int)rank + 2);
    if (x.dtype != F32 || y.dtype != F32 || w.dtype != F32) return refuse(call, "expected float32");
    const int64_t groups = call.ints[1], activation = call.ints[2];
    if (activation < 0 || activation > TANH) return refuse(call, "unknown activation %d", (int)activation);
    conv.n = x.shape[0];
    conv.groups = groups;
    conv.c = w.shape[rank];
    conv.o = groups > 0 ? w.shape[rank + 1] / groups : 0;
    conv.taps = 1;
    conv.activation = (Activation)activation;
    const int64_t filters = depthwise ? conv.c * conv.o : conv.o * groups;
    if (groups < 1 || y.shape[0] != conv.n || x.shape[rank + 1] != conv.c * groups ||
        w.shape[rank + 1] != conv.o * groups || y.shape[rank + 1] != filters)
        return refuse(call, "batch, channels, filters or groups of the arrays differ");
    for (int64_t d = 0; d < SPATIAL; ++d) {
        const int64_t at = d - (SPATIAL - rank);
        Axis& a = conv.axis[d];
        if (at < 0) {
            a = {1, 1, 1, 1, 1, 0, 1};
            continue;
        }
        a = {x.shape[at + 1],
             y.shape[at + 1],
             w.shape[at],
             call.ints[3 + at],
             call.ints[3 + rank + at],
             call.ints[3 + 2 * rank + at],
             lives ? call.ints[3 + 3 * rank + at] : y.shape[at + 1]};
        if (a.live < 0 || a.live > a.out) return refuse(call, "more positions matter than there are");
        if (a.stride < 1 || a.dilation < 1 || a.low < 0 || a.taps < 1)
            return refuse(call, "expected positive strides, dilations and taps");
        conv.taps *= a.taps;
    }
    return true;
}

Images images(const View& v) {
    Images m{v.f32w(), v.stride[0], {0, 0, 0}, v.stride[v.rank - 1]};
    for (int d = 1; d < v.rank - 1; ++d) m.at[SPATIAL - (v.rank - 1) + d] = v.stride[d];
    return m;
}

void tap_strides(const View& w, ptrdiff_t strides[SPATIAL]) {
    const int rank = w.rank - 2;
    for (int d = 0; d < SPATIAL; ++d) strides[d] = d < SPATIAL - rank ? 0 : w.stride[d - (SPATIAL - rank)];
}

namespace {

// Appends position q: to the last line where it continues it, else as a line of its own.
int64_t put(Line* lines, int64_t count, int64_t begin, int64_t q, const Line& at) {
    if (count > begin) {
        Line& last = lines[count - 1];
        if (last.tap == at.tap && last.taps == at.taps) {
            ++last.count;
            return count;
        }
    }
    lines[count] = at;
    lines[count].first = q;
    lines[count].count = 1;
    return count + 1;
}

}  // namespace

int64_t lines_of_y(const Axis& a, Line* lines) {
    int64_t count = 0;
    for (int64_t q = 0; q < a.out; ++q) {
        const int64_t origin = q * a.stride - a.low;
        int64_t tap = origin < 0 ? (-origin + a.dilation - 1) / a.dilation : 0;
        int64_t end = origin < a.in ? (a.in - 1 - origin) / a.dilation + 1 : 0;
        if (end > a.taps) end = a.taps;
        if (tap >= end) tap = end = 0;
        count = put(lines, count, 0, q, {0, 1, 0, tap, 1, end - tap, origin + tap * a.dilation, a.stride, a.dilation});
    }
    return count;
}

int64_t lines_of_dx(const Axis& a, Line* lines) {
    int64_t g = a.stride, rest = a.dilation;
    while (rest) {
        const int64_t t = g % rest;
        g = rest;
        rest = t;
    }
    const int64_t tap_step = a.stride / g, hop = a.dilation / g;
    int64_t count = 0;
    for (int64_t phase = 0; phase < a.stride && phase < a.in; ++phase) {
        const int64_t begin = count;
        for (int64_t q = phase; q < a.in; q += a.stride) {
            const int64_t origin =
                q + a.low - (a.taps - 1) * a.dilation;  // times stride: where the last tap's output lies
            int64_t tap = 0, taps = 0, read = 0;
            while (tap < tap_step && (origin + tap * a.dilation) % a.stride) ++tap;
            if (tap < tap_step) {
                while (tap < a.taps && origin + tap * a.dilation < 0) tap += tap_step;
                read = (origin + tap * a.dilation) / a.stride;
                if (tap < a.taps && read < a.out) {
                    taps = (a.taps - 1 - tap) / tap_step + 1;
                    const int64_t room = (a.out - 1 - read) / hop + 1;
                    if (taps > room) taps = room;
                }
            }
            if (!taps) tap = read = 0;
            count = put(lines, count, begin, q, {0, a.stride, 0, tap, tap_step, taps, read, 1, hop});
        }
    }
    return count;
}

Line part(Line line, int64_t before, int64_t begin, int64_t end) {
    const int64_t from = begin > before ? begin - before : 0;
    const int64_t to = end - before < line.count ? end - before : line.count;
    line.first += from * line.step;
    line.read += from * line.read_step;
    line.count = to > from ? to - from : 0;
    return line;
}

Range valid(const Axis& a, int64_t tap) {
    const int64_t shift = tap * a.dilation - a.low;
    const int64_t begin = shift < 0 ? (-shift + a.stride - 1) / a.stride : 0;
    int64_t end = shift < a.in ? (a.in - 1 - shift) / a.stride + 1 : 0;
    if (end > a.out) end = a.out;
    return {begin < end ? begin : end, end};
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
