// A plan: a recorded step that is replayed without Python. Immutable; runs of several threads go on side by side.
//
// A run leases a workspace (workspace.hpp). The plan keeps one instance (instance.hpp) for each slot of the pool, made
// when the slot is first leased for it, so that replaying starts with nothing but comparisons.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/instance.hpp"

namespace quernel {

class Plan {
  public:
    explicit Plan(Recipe recipe);  // std::invalid_argument where the recipe or an op refuses
    ~Plan();
    Plan(const Plan&) = delete;

    Result run(const Request& request);

    struct Description {
        std::string name;
        double flops, bytes;
        int32_t ranks, barrier_before;
        int64_t scratch;
        bool epilogue, dynamic;
    };
    // The ops of a step with its epilogue, or without, for the present number of threads.
    std::vector<Description> describe(bool epilogue) const;
    double estimated_us() const { return estimated_us_; }  // of one step on one rank

    void profile(bool on) { profiled_.store(on); }
    struct Time {
        int64_t runs;
        double seconds;
    };
    std::vector<Time> times() const;  // of every op, over all profiled runs

    const Recipe& recipe() const { return recipe_; }
    static int64_t alive();

  private:
    Recipe recipe_;
    double estimated_us_ = 0;
    std::unique_ptr<Instance> instances_[WORKSPACES];  // [i] belongs to whoever leased slot i
    std::atomic<bool> profiled_{false};
    mutable std::mutex lock_;  // of times_
    std::vector<Time> times_;
};

}  // namespace quernel
