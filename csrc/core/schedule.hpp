// Where the ranks of a plan must meet: before an op that touches memory which another rank wrote, or overwrites what
// another rank read. Ops come in order; an op of r ranks runs on ranks 0 ... r - 1.
#pragma once
#include <algorithm>
#include <vector>

#include "core/span.hpp"

namespace quernel {

// Memory that an op touches. Spans of different spaces never meet.
struct Access {
    int32_t space;
    Span span;
    bool write;
};

class Schedule {
  public:
    explicit Schedule(int region) : region_(region) {}

    // The next op: how many ranks must meet before it, or 0. A barrier of m ranks makes known to ranks 0 ... m - 1
    // whatever teams of at most m ranks did before. Fewer ranks than said here, for the op or for the whole region,
    // never break what was decided: every count shrinks alike.
    int next(const Access* accesses, size_t count, int ranks) {
        int meet = 0;
        for (const Past& past : pasts_)
            if (past.known < ranks && conflicts(past.access, accesses, count))
                meet = std::max({meet, ranks, past.ranks});
        if (meet) {
            for (Past& past : pasts_)
                if (past.ranks <= meet) past.known = std::max(past.known, meet);
            pasts_.erase(
                std::remove_if(pasts_.begin(), pasts_.end(), [&](const Past& p) { return p.known >= region_; }),
                pasts_.end());
        }
        // What rank 0 did alone, it knows; who wrote which part of a shared op, nobody knows before a barrier.
        for (size_t i = 0; i < count; ++i)
            if (!accesses[i].span.empty()) pasts_.push_back({accesses[i], ranks, ranks == 1 ? 1 : 0});
        return meet;
    }
    void met_all() { pasts_.clear(); }  // the whole region has met

  private:
    struct Past {
        Access access;
        int ranks;  // of the team that did it
        int known;  // ranks 0 ... known - 1 may rely on it
    };
    static bool conflicts(const Access& a, const Access* accesses, size_t count) {
        for (size_t i = 0; i < count; ++i) {
            const Access& b = accesses[i];
            if ((a.write || b.write) && a.space == b.space && !b.span.empty() && a.span.meets(b.span)) return true;
        }
        return false;
    }

    int region_;
    std::vector<Past> pasts_;
};

}  // namespace quernel
