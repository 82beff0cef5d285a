// A plan: a recorded step that is replayed without Python. Immutable; runs of several threads go on side by side.
//
// A run leases a workspace (workspace.hpp). The plan keeps one instance (instance.hpp) for each slot of the pool, made
// when the slot is first leased for it, so that replaying starts with nothing but comparisons. All but Running::go
// happens under the GIL, so plans need no lock, and a fork (which holds the GIL) never sees the allocator at work.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/instance.hpp"

namespace quernel {

class Plan {
  public:
    explicit Plan(Recipe recipe);  // std::invalid_argument where the recipe or an op refuses
    ~Plan();
    Plan(const Plan&) = delete;

    // One run. Making it leases and prepares, go() computes and needs no GIL.
    class Running {
      public:
        Running(Plan& plan, const Request& request);  // the request outlives it
        ~Running();
        Result go();
        bool worth_releasing() const;  // whether the GIL is better given back for the time of go()

      private:
        Plan& plan_;
        const Request& request_;
        const bool profiled_;
        Lease lease_;
        std::unique_ptr<Instance> own_;
        Instance* instance_;
    };

    struct Description {
        std::string name;
        double flops, bytes;
        int32_t ranks, barrier_before;
        int64_t scratch;
        bool epilogue, dynamic;
    };
    // The ops of a step with its epilogue, or without, for the present number of threads.
    std::vector<Description> describe(bool epilogue) const;

    void profile(bool on) { profiled_ = on; }
    struct Time {
        int64_t runs;
        double seconds;
    };
    const std::vector<Time>& times() const { return times_; }  // of every op, over all profiled runs

    const Recipe& recipe() const { return recipe_; }
    static int64_t alive();

  private:
    Recipe recipe_;
    std::unique_ptr<Instance> instances_[WORKSPACES];  // [i] belongs to whoever leased slot i
    bool profiled_ = false;
    std::vector<Time> times_;
};

}  // namespace quernel
