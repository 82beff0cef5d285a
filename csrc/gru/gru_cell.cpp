// gru_cell: one step from x, weights and state, on few rows: two products and the gate functions, no packing.
//
//   gru_cell   x (n, i), w (i, 3k), u (k, 3k), h (n, k), b? (3k,), recurrent_b? (3k,) -> h (n, k)
//   ints as gru_forward's. The same order of operations as gru_forward behind dense_forward.
#include "dot/product.hpp"
#include "gru/gru.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace gru {
namespace {

enum In { X, W, U, H, B, RECURRENT_B, INS };

struct Cell {
    Sizes s;
    Doors doors;
    Product x, h, candidate;  // by rank: its rows
    int64_t product;          // bytes of a rank's room for them
};

Product times(const View& a, const View& b, int64_t column, int64_t columns) {
    Product p;
    p.m = a.shape[0], p.n = columns, p.k = a.shape[1];
    p.a = a.f32(), p.a_m = a.stride[0], p.a_k = a.stride[1];
    p.b = b.f32() + column * b.stride[1], p.b_k = b.stride[0], p.b_n = b.stride[1];
    p.c_m = p.n, p.c_n = 1;
    return p;
}

template <bool USUAL>
void step(const Sizes& s, int64_t rows, const float* z, const float* sums, const float* c, At h, At y) {
    const int64_t k = s.k;
    for (int64_t i = 0; i < rows; ++i, z += 3 * k, sums += 3 * k) {
        each_unit(0, k, [&](int64_t j, int lanes) __attribute__((always_inline)) {
            const auto part = [&](int64_t at) __attribute__((always_inline)) {
                const vf v = get(sums + at + j, lanes);
                return c ? add(v, get(c + at + j, lanes)) : v;
            };
            const vf update = squash_g<USUAL>(s.g, add(get(z + j, lanes), part(0)));
            vf candidate = get(z + 2 * k + j, lanes);
            if (s.after) {
                const vf reset = squash_g<USUAL>(s.g, add(get(z + k + j, lanes), part(k)));
                candidate = fma(reset, part(2 * k), candidate);
            } else {
                candidate = add(candidate, get(sums + 2 * k + j, lanes));
            }
            candidate = squash_f<USUAL>(s.f, candidate);
            const vf rest = mul(sub(set1(1.0f), update), candidate);
            put(y(i) + j, fma(update, get(h(i) + j, lanes), rest), lanes);
        });
    }
}

}  // namespace
}  // namespace gru

using namespace gru;

bool gru_cell_prepare(Call& call) {
    if (call.n_in != INS || call.n_out != 1) return refuse(call, "expected x, w, u, h, b, recurrent_b and h");
    if (!all_f32(call.in, INS) || call.out[0].dtype != F32) return refuse(call, "expected float32 arrays");
    const View &x = call.in[X], &w = call.in[W], &u = call.in[U], &h = call.in[H], &y = call.out[0];
    Cell& f = call.as<Cell>() = {};
    Sizes& s = f.s;
    if (!read_attributes(call, s)) return false;
    if (x.rank != 2 || w.rank != 2 || u.rank != 2 || h.rank != 2 || !same_shape(h, y))
        return refuse(call, "expected x (n, i), w (i, 3k), u (k, 3k), h (n, k)");
    s.n = x.shape[0], s.t = 1, s.k = u.shape[0];
    if (u.shape[1] != 3 * s.k || w.shape[1] != 3 * s.k || w.shape[0] != x.shape[1] || h.shape[0] != s.n ||
        h.shape[1] != s.k)
        return refuse(call, "x, w, u and h do not agree on n, i and k");
    for (int i = B; i <= RECURRENT_B; ++i)
        if (!call.in[i].absent() && (call.in[i].rank != 1 || call.in[i].shape[0] != 3 * s.k))
            return refuse(call, "expected b and recurrent_b (3k,)");
    if (!call.in[RECURRENT_B].absent() && !s.after) return refuse(call, "recurrent_b is given without reset_after");
    f.doors.plan(call, 1u << X | 1u << W | 1u << U);
    f.x = times(x, w, 0, 3 * s.k);
    f.h = times(h, u, 0, (s.after ? 3 : 2) * s.k);
    f.candidate = times(h, u, 2 * s.k, s.k);
    f.candidate.a_m = s.k, f.candidate.a_k = 1;
    f.h.c_m = f.candidate.c_m = 3 * s.k;
    if (!call.in[B].absent()) f.x.bias = call.in[B].f32(), f.x.bias_n = call.in[B].stride[0];
    f.product = 0;
    const Product* const products[] = {&f.x, &f.h, &f.candidate};
    for (int i = 0; i < 3; ++i) {
        const int64_t bytes = product_scratch(*products[i]);
        f.product = bytes > f.product ? bytes : f.product;
    }
    const double n = (double)s.n, k = (double)s.k;
    call.flops = n * k * (6 * (k + x.shape[1]) + 100);
    call.bytes = 4 * (3 * k * (k + x.shape[1]) + n * (x.shape[1] + 8 * k));
    call.ranks = worth(call, s.n);
    call.scratch = align64(f.doors.bytes) + align64(4 * 7 * s.n * s.k) + call.ranks * f.product;
    return true;
}

void gru_cell_run(const Call& call, const Team& team, char* scratch) {
    const Cell& f = call.as<Cell>();
    const Sizes& s = f.s;
    View in[INS], out[1];
    f.doors.open(call, in, out, team, scratch);
    scratch += align64(f.doors.bytes);
    float* const room = reinterpret_cast<float*>(scratch);
    scratch += align64(4 * 7 * s.n * s.k) + team.rank * f.product;
    const Range rows = split(s.n, team);
    const int64_t count = rows.end - rows.begin, k = s.k;
    float *const z = room + rows.begin * 3 * k, *const sums = room + (s.n + rows.begin) * 3 * k;
    float* const q = room + 6 * s.n * k + rows.begin * k;
    const auto times = [&](Product p, float* c) {
        p.m = count, p.a += rows.begin * p.a_m, p.c = c;
        product(p, scratch);
    };
    times(f.x, z);
    times(f.h, sums);
    At h(in[H]), y(out[0]);
    h.p += rows.begin * h.i, y.p += rows.begin * y.i;
    if (!s.after) {
        for (int64_t i = 0; i < count; ++i)
            each_unit(0, k, [&](int64_t j, int lanes) {
                const vf v = add(get(z + (3 * i + 1) * k + j, lanes), get(sums + (3 * i + 1) * k + j, lanes));
                put(q + i * k + j, mul(squash_g<false>(s.g, v), get(h(i) + j, lanes)), lanes);
            });
        Product p = f.candidate;
        p.m = count, p.a = q, p.c = sums + 2 * k;
        product(p, scratch);
    }
    const At c(in[RECURRENT_B]);
    (s.f == TANH && s.g == SIGMOID ? step<true> : step<false>)(s, count, z, sums, c.p, h, y);
    f.doors.close(call, out, team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
