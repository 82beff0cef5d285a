// A wrong recorder must not corrupt memory: everything a plan will touch is checked against its roots once, here.
#include "core/recipe.hpp"

#include <stdexcept>

namespace quernel {
namespace {

[[noreturn]] void refuse(const std::string& text) { throw std::invalid_argument("plan: " + text); }

std::string number(int64_t n) { return std::to_string(n); }

// The span of a view relative to its root, in arithmetic that cannot overflow.
void check_span(const PlannedView& v, const Root& root, const std::string& name) {
    const __int128 item = item_size(v.view.dtype);
    __int128 begin = v.offset, end = (__int128)v.offset + item;
    for (int d = 0; d < v.view.rank; ++d) {
        const int64_t n = v.view.shape[d];
        if (n < 0) refuse(name + ": negative dimension");
        if (n == 0) return;
        const __int128 reach = (__int128)v.view.stride[d] * (n - 1) * item;
        (reach < 0 ? begin : end) += reach;
        if (begin < INT64_MIN || end > INT64_MAX) refuse(name + ": its bytes exceed 64 bits");
    }
    if (begin < -(__int128)root.before || end > root.bytes)
        refuse(name + ": its bytes [" + number((int64_t)begin) + ", " + number((int64_t)end) +
               ") leave the root, which has [" + number(-root.before) + ", " + number(root.bytes) + ")");
}

void check_root(const Root& root, int64_t workspace, const std::string& name) {
    if (root.kind < 0 || root.kind >= ROOT_KINDS) refuse(name + ": unknown kind " + number(root.kind));
    if (root.bytes < 0 || root.before < 0) refuse(name + ": negative size");
    if (root.before && root.kind != ARGUMENT) refuse(name + ": only arguments reach in front of their pointer");
    if (root.kind == WORKSPACE && (root.value < 0 || root.value > workspace - root.bytes))
        refuse(name + ": expected it within the workspace of " + number(workspace) + " bytes, received offset " +
               number(root.value) + " and " + number(root.bytes) + " bytes");
    if (root.kind == FIXED && root.value == 0 && root.bytes) refuse(name + ": a null address");
    if ((root.kind == ARGUMENT || root.kind == OUTPUT) && (root.value < 0 || root.value >= (1 << 20)))
        refuse(name + ": slot " + number(root.value) + " is out of range");
}

void check_view(const Recipe& recipe, const PlannedView& v, bool output, const std::string& name) {
    if (v.view.dtype < 0 || v.view.dtype >= DTYPES) refuse(name + ": unknown dtype code " + number(v.view.dtype));
    if (v.root < 0 || v.root >= (int64_t)recipe.roots.size()) refuse(name + ": no root " + number(v.root));
    const Root& root = recipe.roots[v.root];
    if (output && root.kind == ARGUMENT) refuse(name + ": arguments are read only");
    check_span(v, root, name);
    const int64_t at = root.kind == WORKSPACE || root.kind == FIXED ? root.value + v.offset : v.offset;
    if (at % item_size(v.view.dtype)) refuse(name + ": element (0, 0, ...) is not aligned to its size");
    if (output && v.view.size() && overlaps_itself(v.view)) refuse(name + ": elements overlap in memory");
}

bool same_elements(const View& a, const View& b) {
    if (a.rank != b.rank || a.dtype != b.dtype) return false;
    for (int d = 0; d < a.rank; ++d)
        if (a.shape[d] != b.shape[d] || a.stride[d] != b.stride[d]) return false;
    return true;
}

void check_overlap(const Recipe& recipe, const PlannedOp& op, const std::string& label) {
    for (size_t o = op.n_in; o < op.views.size(); ++o) {
        if (op.views[o].view.absent()) continue;
        const Place out = place_of(recipe, op.views[o]);
        for (size_t i = 0; i < o; ++i) {
            if (op.views[i].view.absent() || recipe.roots[op.views[i].root].kind == ARGUMENT) continue;
            const Place other = place_of(recipe, op.views[i]);
            if (op.in_place && out.space == other.space && same_elements(op.views[o].view, op.views[i].view) &&
                out.span.begin == other.span.begin)
                continue;
            if (!out.span.empty() && !other.span.empty() && out.space == other.space && out.span.meets(other.span))
                refuse(label + ": output " + number((int64_t)o - op.n_in) + " overlaps another operand of the op");
        }
    }
}

}  // namespace

Place place_of(const Recipe& recipe, const PlannedView& v) {
    const Root& root = recipe.roots[v.root];
    switch (root.kind) {
        case WORKSPACE:
            return {0, span_at(v.view, root.value + v.offset)};
        case FIXED:
            return {1, span_at(v.view, root.value + v.offset)};
        case ARGUMENT:
            return {1, {INT64_MIN, INT64_MAX}};
        default:
            return {2 + (int32_t)root.value, span_at(v.view, v.offset)};
    }
}

void Recipe::check() {
    if (workspace < 0) refuse("negative workspace");
    arguments.clear();
    outputs.clear();
    labels.clear();
    for (size_t i = 0; i < roots.size(); ++i) {
        check_root(roots[i], workspace, "root " + number((int64_t)i));
        if (roots[i].kind != ARGUMENT && roots[i].kind != OUTPUT) continue;
        auto& slots = roots[i].kind == ARGUMENT ? arguments : outputs;
        if ((int64_t)slots.size() <= roots[i].value) slots.resize(roots[i].value + 1, 0);
        slots[roots[i].value] = std::max(slots[roots[i].value], roots[i].bytes);
    }
    for (size_t i = 0; i < ops.size(); ++i) {
        PlannedOp& op = ops[i];
        labels.push_back("op " + number((int64_t)i) + " (" + op.op->name + ")");
        op.dynamic = false;
        for (size_t k = 0; k < op.views.size(); ++k) {
            const PlannedView& v = op.views[k];
            if (v.view.absent()) continue;
            const bool output = (int64_t)k >= op.n_in;
            check_view(*this, v, output,
                       labels[i] + ": " + (output ? "output " : "input ") + number(output ? k - op.n_in : k));
            const Root& root = roots[v.root];
            op.dynamic |= root.kind == ARGUMENT || root.kind == OUTPUT;
        }
        check_overlap(*this, op, labels[i]);
    }
    if (abort_after < -1 || abort_after >= (int64_t)ops.size()) refuse("abort_after: no op " + number(abort_after));
    undo_bytes = 0;
    for (const State& s : undo) {
        if (s.root < 0 || s.root >= (int64_t)roots.size() || roots[s.root].kind != FIXED)
            refuse("undo: expected state in fixed memory");
        if (s.bytes < 0 || s.offset < 0 || s.offset > roots[s.root].bytes - s.bytes)
            refuse("undo: the state leaves its root");
        undo_bytes += (s.bytes + 63) / 64 * 64;
    }
}

}  // namespace quernel
