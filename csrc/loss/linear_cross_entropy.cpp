// linear_cross_entropy: a dense layer and the cross-entropy of its logits, without the logits in memory.
//
// x (..., d), w (d, o), target an integer a row, b (o,); rows R. z = x @ w + b, q = softmax(z).
//
//   linear_cross_entropy      loss = log(sum(exp(z - max z))) - (z_t - max z)
//   linear_cross_entropy_dx   loss; dz_i = (q_i - [i = t]) dy;  dx = dz @ w^T, dw = x^T dz, db = sum over rows of dz
//
// Both give the class of the largest value of a row too: of z, or of q, whose rounding may make equal what was not.
// ints: [whether of q]. Any strides. The sums are those of dense_forward, dense_dx, dense_dw, bias_db and
// sparse_categorical_crossentropy, bit for bit: rows are cut where the chains of dw and db break.
//
// w is packed once, as panels for either product. Of a chunk of 512 rows each rank takes some, from the logits to the
// gradient of x; then the ranks meet, and each sums the chunk's terms for its columns of dw and db. Fewer rows at a
// time, whose logits would stay in L2, lost: the panels then come from L3 more often (2048 rows of 128, 10,000 classes,
// one thread: 122 ms with 512 rows, 128 with 256, 130 with 128, 136 with 32; 109 of the 122 are the products). Tiles
// fetch what the next ones read, panels of w and columns of dz: 118 ms. At the FMA peak measured beside it the products
// alone would take 90; logits run at 86 % of it, dz @ w^T at 94, x^T dz at 82, and 10 ms go to exponentials.
#include "dot/column.hpp"
#include "dot/pack.hpp"
#include "loss/label.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace {

constexpr int64_t W = 4 * VL;  // columns of a panel: wide tiles need the fewest loads for an FMA
// Rows whose logits a rank holds where only their losses are wanted: of 10,000 classes 5 MB. The panels of w come from
// L3 once for that many rows.
constexpr int64_t SUB = 128;

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t up(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }

struct Linear {
    int64_t rows, d, o, chunk;
    ptrdiff_t z_pitch, x_pitch;  // floats
    // Bytes from the start of the scratch: what all ranks share ...
    int64_t forward, backward, bias, z, x, xt, db, dw;
    // ... and what each has for itself: `own` bytes from `mine` on, in which dx and a panel of dz lie.
    int64_t mine, own, dx, panel;
    bool dw_plain;  // its rows are contiguous
};

bool plan(Call& c, Linear& s, const View& x, const View& w, const View& target, const View& b, bool slopes) {
    if (x.dtype != F32 || w.dtype != F32 || (!b.absent() && b.dtype != F32)) return refuse(c, "expected float32");
    if (!is_label(target.dtype)) return refuse(c, "target: expected int32, int64 or uint8");
    if (x.rank < 1 || w.rank != 2 || x.shape[x.rank - 1] != w.shape[0])
        return refuse(c, "expected x (..., d), w (d, o)");
    if (target.rank != x.rank - 1) return refuse(c, "expected a target for each row of x");
    s.rows = 1;
    for (int k = 0; k < target.rank; ++k) {
        if (target.shape[k] != x.shape[k]) return refuse(c, "expected a target for each row of x");
        s.rows *= x.shape[k];
    }
    s.d = w.shape[0], s.o = w.shape[1];
    if (!b.absent() && (b.rank != 1 || b.shape[0] != s.o)) return refuse(c, "expected b (o,)");
    const double rows = (double)s.rows, d = (double)s.d, o = (double)s.o;
    c.flops = rows * o * (2 * d * (slopes ? 3 : 1) + 20);
    c.bytes = 4 * (rows * d * (slopes ? 2 : 1) + d * o * (slopes ? 3 : 1));
    c.ranks = worth(c, s.rows);
    c.bytes = bytes_once(c);
    s.z_pitch = up(s.o, VL) * VL + VL, s.x_pitch = up(s.d, VL) * VL + VL;  // no power of two
    int64_t at = 0;
    const auto room = [&at](int64_t floats) {
        const int64_t here = at;
        at += align64(4 * floats);
        return here;
    };
    s.forward = room(up(s.o, W) * s.d * W);
    s.bias = room(s.o);
    if (slopes) {
        s.chunk = least(s.rows, CHAIN);
        s.backward = room(up(s.d, W) * s.o * W);
        s.z = room(s.chunk * s.z_pitch);
        s.x = room(s.chunk * s.x_pitch);
        s.xt = room(s.d * A_ROW);
        s.db = room(s.o);
        s.dw_plain = c.out[3].stride[1] == 1;
        s.dw = room(s.dw_plain ? 0 : s.d * s.o);
    }
    s.mine = at;
    if (slopes)
        s.dx = room(s.chunk * s.x_pitch) - s.mine, s.panel = room(CHAIN * W) - s.mine;
    else
        s.z = room(SUB * s.z_pitch) - s.mine, s.x = room(SUB * s.x_pitch) - s.mine;
    s.own = at - s.mine;
    c.scratch = s.mine + c.ranks * s.own;
    return true;
}

bool fits(const View& v, int32_t dtype, const View& like, int rank) {
    if (v.dtype != dtype || v.rank != rank) return false;
    for (int k = 0; k < rank; ++k)
        if (v.shape[k] != like.shape[k]) return false;
    return true;
}

// The offset of row i, the dimensions before `dims` being those of rows.
ptrdiff_t row_at(const View& v, int dims, int64_t i) {
    ptrdiff_t at = 0;
    for (int k = dims - 1; k >= 0; --k) {
        at += i % v.shape[k] * v.stride[k];
        i /= v.shape[k];
    }
    return at;
}

void copy_strided(const float* from, ptrdiff_t from_step, float* to, ptrdiff_t to_step, int64_t n) {
    if (from_step == 1 && to_step == 1) {
        __builtin_memcpy(to, from, (size_t)n * 4);
        return;
    }
    for (int64_t j = 0; j < n; ++j) to[j * to_step] = from[j * from_step];
}

// This rank's part of w's panels, forward[panel][d][W] and backward[panel][o][W], and of the bias.
void pack(const Linear& s, const View& w, const View& b, bool slopes, const Team& team, char* scratch) {
    const float* const from = w.f32();
    const ptrdiff_t w_d = w.stride[0], w_o = w.stride[1];
    float* to = reinterpret_cast<float*>(scratch + s.forward);
    const Range panels = split(up(s.o, W), team);
    for (int64_t p = panels.begin; p < panels.end; ++p)
        pack_b(to + p * s.d * W, W, from + p * W * w_o, w_d, w_o, s.d, least(W, s.o - p * W));
    if (slopes) {
        to = reinterpret_cast<float*>(scratch + s.backward);
        const Range blocks = split(up(s.o, CHAIN), team);
        for (int64_t k = blocks.begin * CHAIN; k < least(s.o, blocks.end * CHAIN); k += CHAIN)
            for (int64_t i = 0; i < s.d; i += W)
                pack_b(to + i * s.o + k * W, W, from + i * w_d + k * w_o, w_o, w_d, least(CHAIN, s.o - k),
                       least(W, s.d - i));
    }
    if (team.rank == 0 && !b.absent())
        copy_strided(b.f32(), b.stride[0], reinterpret_cast<float*>(scratch + s.bias), 1, s.o);
}

// z = x @ w + b of n rows.
void logits(const Linear& s, int64_t n, const float* x, float* z, const float* bias, const char* scratch) {
    const float* const panels = reinterpret_cast<const float*>(scratch + s.forward);
    Dot t;
    t.m = n, t.k = s.d, t.count = 1;
    t.a = x, t.a_m = s.x_pitch, t.a_k = 1;
    t.b_k = W, t.c_m = s.z_pitch;
    t.next_bytes = 4 * W * s.d;
    t.cold = true;
    for (int64_t j = 0; j < s.o; j += W) {
        t.n = least(W, s.o - j);
        t.b = panels + j * s.d;
        t.next = j + W < s.o && s.d > 0 ? reinterpret_cast<const char*>(panels + (j + W) * s.d) : nullptr;
        t.c = z + j;
        t.bias = bias ? bias + j : nullptr;
        dot(t);
    }
}

// dx (rows of x_pitch) = dz @ w^T of n rows.
void slopes_of_x(const Linear& s, int64_t n, const float* dz, float* dx, const char* scratch) {
    if (s.d == 1) {  // one column has an order of its own; the panels of a w of one row are that row
        const float* const w = reinterpret_cast<const float*>(scratch + s.forward);
        for (int64_t i = 0; i < n; ++i)
            column(1, s.o, dz + i * s.z_pitch, s.z_pitch, 1, w, dx + i * s.x_pitch, nullptr);
        return;
    }
    const float* const panels = reinterpret_cast<const float*>(scratch + s.backward);
    Dot t;
    t.m = n, t.count = 1;
    t.a_m = s.z_pitch, t.a_k = 1;
    t.b_k = W, t.c_m = s.x_pitch;
    for (int64_t k = 0; k == 0 || k < s.o; k += CHAIN) {
        t.k = least(CHAIN, s.o - k);
        t.a = dz + k;
        t.add = k > 0;
        for (int64_t i = 0; i < s.d; i += W) {
            t.n = least(W, s.d - i);
            t.b = panels + i * s.o + k * W;
            const bool more = i + W < s.d;
            const int64_t next = more ? k : k + CHAIN;
            t.next = t.k > 0 && next < s.o ? reinterpret_cast<const char*>(panels + (more ? i + W : 0) * s.o + next * W)
                                           : nullptr;
            t.next_bytes = 4 * W * least(CHAIN, s.o - next);
            t.c = dx + i;
            dot(t);
        }
    }
}

// dw and db of these panels of columns, over n rows of dz and the transposed rows of x; add: to those of earlier rows.
void slopes_of_w(const Linear& s, Range panels, int64_t n, const float* xt, const float* dz, bool add, float* dw,
                 ptrdiff_t dw_d, float* db, float* room) {
    static constexpr float ONE = 1;
    for (int64_t j = panels.begin * W; j < least(s.o, panels.end * W); j += W) {
        Dot t;
        t.m = s.d, t.n = least(W, s.o - j), t.k = n, t.count = 1, t.add = add;
        t.a = xt, t.a_m = A_ROW, t.a_k = 1;
        t.b = dz + j, t.b_k = s.z_pitch;
        t.c = dw + j, t.c_m = dw_d;
        // More rows than any tile has, and terms than `brief` takes: the first rows copy dz for the others.
        const bool packs = s.d > 14 && n > 16;
        t.pack = packs ? room : nullptr, t.pack_k = W;
        const bool more = j + W < least(s.o, panels.end * W);
        t.next = more ? reinterpret_cast<const char*>(dz + j + W) : nullptr;
        t.next_pitch = more ? 4 * s.z_pitch : 0;
        dot(t);
        t.m = 1, t.a = &ONE, t.a_m = t.a_k = 0;
        t.c = db + j;
        t.pack = nullptr, t.next = nullptr, t.next_pitch = 0;
        if (packs) t.b = room, t.b_k = W;
        dot(t);
    }
}

// The first class with the largest value of z, or of q where e holds exponentials whose sum is `sum`.
int32_t largest_logit(const float* z, int64_t o, float top) { return (int32_t)find_first<MaxF>(z, o, top); }
int32_t largest_probability(const float* e, int64_t o, float sum) {
    if (sum != sum) return 0;  // then all are NaN
    const Divisor by(set1(sum));
    const float top = first(by(vexp_below(zero())));
    for (int64_t i = 0; i < o; i += VL) {
        const int m = o - i < VL ? (int)(o - i) : VL;
        const unsigned hit = m_bits(m_and(eq(by(load_n(e + i, m)), set1(top)), first_n(m)));
        if (hit) return (int32_t)(i + __builtin_ctz(hit));
    }
    return 0;
}

}  // namespace

bool linear_cross_entropy_prepare(Call& c) {
    if (c.n_in != 4 || c.n_out != 2 || c.n_ints != 1) return refuse(c, "expected 4 inputs, 2 outputs, 1 int");
    if (!plan(c, c.as<Linear>() = {}, c.in[0], c.in[1], c.in[2], c.in[3], false)) return false;
    const int rank = c.in[2].rank;
    if (!fits(c.out[0], F32, c.in[2], rank) || !fits(c.out[1], I32, c.in[2], rank))
        return refuse(c, "expected outputs with the target's shape");
    return true;
}

void linear_cross_entropy_run(const Call& c, const Team& team, char* scratch) {
    const Linear& s = c.as<Linear>();
    const View &x = c.in[0], &target = c.in[2], &b = c.in[3];
    const int dims = target.rank;
    const bool of_q = c.ints[0];
    pack(s, c.in[1], b, false, team, scratch);
    team.barrier();
    const float* const bias = b.absent() ? nullptr : reinterpret_cast<const float*>(scratch + s.bias);
    char* const own = scratch + s.mine + team.rank * s.own;
    float *const z = reinterpret_cast<float*>(own + s.z), *const rows = reinterpret_cast<float*>(own + s.x);
    const Range mine = split(s.rows, team);
    for (int64_t r = mine.begin; r < mine.end; r += SUB) {
        const int64_t n = least(SUB, mine.end - r);
        for (int64_t i = 0; i < n; ++i)
            copy_strided(x.f32() + row_at(x, dims, r + i), x.stride[dims], rows + i * s.x_pitch, 1, s.d);
        logits(s, n, rows, z, bias, scratch);
        for (int64_t i = 0; i < n; ++i) {
            float* const q = z + i * s.z_pitch;
            float loss = 0;
            int32_t guess = 0;
            const int64_t k = label(target, row_at(target, dims, r + i), s.o, team);
            if (k >= 0) {
                const float m = row_max(q, s.o), picked = q[k] - m;
                if (!of_q) guess = largest_logit(q, s.o, m);
                const float sum = exp_sum(q, m, of_q ? q : nullptr, s.o, q + s.z_pitch);
                if (of_q) guess = largest_probability(q, s.o, sum);
                loss = log_of(sum) - picked;
            }
            c.out[0].f32w()[row_at(c.out[0], dims, r + i)] = loss;
            c.out[1].as<int32_t>()[row_at(c.out[1], dims, r + i)] = guess;
        }
    }
}

bool linear_cross_entropy_dx_prepare(Call& c) {
    if (c.n_in != 5 || c.n_out != 5 || c.n_ints != 1) return refuse(c, "expected 5 inputs, 5 outputs, 1 int");
    const View &dy = c.in[0], &x = c.in[1], &w = c.in[2], &target = c.in[3];
    if (w.rank != 2 || c.out[3].rank != 2) return refuse(c, "expected w (d, o)");
    if (!plan(c, c.as<Linear>() = {}, x, w, target, c.in[4], true)) return false;
    if (!fits(dy, F32, target, target.rank) || !fits(c.out[0], F32, target, target.rank) ||
        !fits(c.out[1], I32, target, target.rank) || !fits(c.out[2], F32, x, x.rank) || !fits(c.out[3], F32, w, 2) ||
        c.out[4].dtype != F32 || c.out[4].rank != 1 || c.out[4].shape[0] != w.shape[1])
        return refuse(c, "expected dy, loss, guess (...), dx (..., d), dw (d, o), db (o,)");
    return true;
}

void linear_cross_entropy_dx_run(const Call& c, const Team& team, char* scratch) {
    const Linear& s = c.as<Linear>();
    const View &dy = c.in[0], &x = c.in[1], &target = c.in[3], &b = c.in[4];
    const View &losses = c.out[0], &guesses = c.out[1], &dx = c.out[2];
    const int dims = target.rank;
    const bool of_q = c.ints[0];
    pack(s, c.in[2], b, true, team, scratch);
    team.barrier();
    const auto at = [scratch](int64_t bytes) { return reinterpret_cast<float*>(scratch + bytes); };
    const float* const bias = b.absent() ? nullptr : at(s.bias);
    float *const z = at(s.z), *const rows = at(s.x), *const xt = at(s.xt), *const db = at(s.db);
    float *const dw = s.dw_plain ? c.out[3].f32w() : at(s.dw), *const some_dx = at(s.mine + team.rank * s.own + s.dx);
    const ptrdiff_t dw_d = s.dw_plain ? c.out[3].stride[0] : s.o;
    const Range panels = split(up(s.o, W), team);
    for (int64_t begin = 0; begin == 0 || begin < s.rows; begin += CHAIN) {
        const int64_t chunk = least(CHAIN, s.rows - begin);
        const Range mine = split(chunk, team);
        for (int64_t i = mine.begin; i < mine.end; ++i)
            copy_strided(x.f32() + row_at(x, dims, begin + i), x.stride[dims], rows + i * s.x_pitch, 1, s.d);
        const int64_t n = mine.end - mine.begin;
        logits(s, n, rows + mine.begin * s.x_pitch, z + mine.begin * s.z_pitch, bias, scratch);
        for (int64_t i = mine.begin; i < mine.end; ++i) {
            float* const q = z + i * s.z_pitch;
            float loss = 0, sum = 1;
            int32_t guess = 0;
            const int64_t k = label(target, row_at(target, dims, begin + i), s.o, team);
            if (k >= 0) {
                const float m = row_max(q, s.o), picked = q[k] - m;
                if (!of_q) guess = largest_logit(q, s.o, m);
                sum = exp_sum(q, m, q, s.o, q + s.z_pitch);
                if (of_q) guess = largest_probability(q, s.o, sum);
                loss = log_of(sum) - picked;
            }
            SlopesRow row(nullptr, q, s.o, k, dy.f32()[row_at(dy, dims, begin + i)]);
            row.sum(sum);
            finish_row(row, s.o);
            losses.f32w()[row_at(losses, dims, begin + i)] = loss;
            guesses.as<int32_t>()[row_at(guesses, dims, begin + i)] = guess;
        }
        slopes_of_x(s, n, z + mine.begin * s.z_pitch, some_dx, scratch);
        for (int64_t i = 0; i < n; ++i)
            copy_strided(some_dx + i * s.x_pitch, 1, dx.f32w() + row_at(dx, dims, begin + mine.begin + i),
                         dx.stride[dims], s.d);
        pack_a(xt + mine.begin, rows + mine.begin * s.x_pitch, 1, s.x_pitch, s.d, mine.end - mine.begin);
        team.barrier();
        slopes_of_w(s, panels, chunk, xt, z, begin > 0, dw, dw_d, db, at(s.mine + team.rank * s.own + s.panel));
        team.barrier();
    }
    const int64_t first = least(s.o, panels.begin * W), last = least(s.o, panels.end * W);
    const View &all = c.out[3], &sums = c.out[4];
    if (!s.dw_plain)
        for (int64_t i = 0; i < s.d; ++i)
            copy_strided(dw + i * s.o + first, 1, all.f32w() + i * all.stride[0] + first * all.stride[1], all.stride[1],
                         last - first);
    copy_strided(db + first, 1, sums.f32w() + first * sums.stride[0], sums.stride[0], last - first);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
