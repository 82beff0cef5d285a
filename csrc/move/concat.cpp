// concat: y is the inputs one after the other along an axis.
//
// ints: axis, counted from the front. Contiguous arrays whose rows (what the axis and those behind it hold) are short
// go block of rows by block of rows, all inputs in one pass: y's lines are still in L1 when the next input fills them.
#include "move/strided.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

constexpr int64_t SHORT_ROW = 4096, BLOCK = 8192;  // bytes of y

struct Concat {
    int64_t rows;  // of contiguous arrays; 0: any other
    int64_t row;   // elements of a row of y
};

template <class T>
void put_rows(const Call& c, const Team& team) {
    const Concat& s = c.as<Concat>();
    const Range mine = split(s.rows, team);
    const int64_t step = BLOCK / (int64_t)sizeof(T) / s.row;
    for (int64_t begin = mine.begin; begin < mine.end; begin += step) {
        const int64_t count = mine.end - begin < step ? mine.end - begin : step;
        T* to = c.out[0].as<T>() + begin * s.row;
        for (int i = 0; i < c.n_in; ++i) {
            const int64_t n = c.in[i].size() / s.rows;
            const T* from = c.in[i].as<const T>() + begin * n;
            for (int64_t r = 0; r < count; ++r) move_line(to + r * s.row, from + r * n, n);
            to += n;
        }
    }
}

}  // namespace

bool concat_prepare(Call& c) {
    if (c.n_in < 1 || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected inputs, one output and an axis");
    const View& y = c.out[0];
    const int64_t axis = c.ints[0], item = item_size(y.dtype);
    if (axis < 0 || axis >= y.rank) return refuse(c, "axis out of range");
    int64_t sum = 0;
    bool contiguous = y.contiguous() && item >= 4;
    for (int i = 0; i < c.n_in; ++i) {
        const View& x = c.in[i];
        if (x.absent() || x.rank != y.rank || x.dtype != y.dtype) return refuse(c, "inputs differ in rank or dtype");
        for (int d = 0; d < y.rank; ++d)
            if (d != axis && x.shape[d] != y.shape[d]) return refuse(c, "inputs differ in shape beside the axis");
        sum += x.shape[axis];
        contiguous = contiguous && x.contiguous();
    }
    if (sum != y.shape[axis]) return refuse(c, "the output has another size along the axis");
    Concat& s = c.as<Concat>();
    s.rows = s.row = 1;
    for (int d = 0; d < y.rank; ++d) (d < axis ? s.rows : s.row) *= y.shape[d];
    if (!contiguous || y.size() == 0 || s.row * item > SHORT_ROW) s.rows = 0;
    c.bytes = 2.0 * y.size() * item;
    c.ranks = worth(c, y.size() / 1024 + 1);
    return true;
}

void concat_run(const Call& c, const Team& team, char*) {
    const View& y = c.out[0];
    const int axis = (int)c.ints[0];
    const int64_t item = item_size(y.dtype);
    if (c.as<Concat>().rows > 0) return item == 4 ? put_rows<raw4>(c, team) : put_rows<raw8>(c, team);
    char* to = y.data;
    for (int i = 0; i < c.n_in; ++i) {
        const View& x = c.in[i];
        if (x.size() > 0) move_elements(nest_of(x.rank, x.shape, y.stride, x.stride), item, to, x.data, team);
        to += x.shape[axis] * y.stride[axis] * item;
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
