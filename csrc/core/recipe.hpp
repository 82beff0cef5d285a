// What a plan is made of, before any address is known: roots of memory, and ops on views of them. Plain data.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/op.hpp"
#include "core/span.hpp"

namespace quernel {

enum RootKind : int32_t {
    WORKSPACE,  // value: byte offset in the workspace; such roots may overlap where lifetimes do not
    FIXED,      // value: address; whoever made the plan keeps the memory alive
    ARGUMENT,   // value: slot of the arrays given to a run, which are only read
    OUTPUT,     // value: slot of the arrays that a run fills; no other memory overlaps them
    ROOT_KINDS
};
struct Root {
    int32_t kind;
    int64_t value, bytes;
    int64_t before;  // bytes in front of an argument's pointer that may be read (negative strides)
};

struct PlannedView {
    View view;       // without data
    int32_t root;    // unused when the view is absent
    int64_t offset;  // bytes from the root to element (0, 0, ...)
};

struct PlannedOp {
    const Op* op;
    std::vector<PlannedView> views;  // n_in inputs, then the outputs
    int32_t n_in;
    std::vector<int64_t> ints;
    std::vector<double> floats;
    bool epilogue;  // only outputs need it
    bool in_place;  // elementwise: an output may be where an input is, element on element
    bool dynamic;   // touches memory that may move between steps
};

struct State {  // what a step that aborts puts back
    int32_t root;
    int64_t offset, bytes;
};

struct Recipe {
    int64_t workspace;
    std::vector<Root> roots;
    std::vector<PlannedOp> ops;
    int32_t abort_after;  // index of the last op that may meet a bad index, or -1
    std::vector<State> undo;

    // From check().
    int64_t undo_bytes;               // room for the saved state, each piece 64-byte aligned
    std::vector<int64_t> arguments;   // bytes of every ARGUMENT slot
    std::vector<int64_t> outputs;     // bytes of every OUTPUT slot
    std::vector<std::string> labels;  // "op 3 (gather)"

    // Refuses (std::invalid_argument) views that leave their roots, roots that leave the workspace, ops that write
    // what is read only, or that overlap themselves; then fills the fields above.
    void check();
};

// Where a view or a piece of state lies for the purpose of conflicts. Workspace and fixed memory have a space each, an
// output slot its own. An argument may be anything the caller holds, the plan's state too: its span is all fixed
// memory.
struct Place {
    int32_t space;
    Span span;
};
Place place_of(const Recipe& recipe, const PlannedView& view);

}  // namespace quernel
