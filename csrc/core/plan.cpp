// Plans: leasing, instances, what is told about them.
#include "core/plan.hpp"

namespace quernel {
namespace {

std::atomic<int64_t> plans{0};

}  // namespace

Plan::Plan(Recipe recipe) : recipe_(std::move(recipe)) {
    recipe_.check();
    times_.resize(recipe_.ops.size(), Time{0, 0});
    Instance instance(recipe_);
    instance.rehearse();
    for (size_t i = 0; i < recipe_.ops.size(); ++i) estimated_us_ += quernel::estimated_us(instance.call(i));
    plans.fetch_add(1, std::memory_order_relaxed);
}

Plan::~Plan() { plans.fetch_sub(1, std::memory_order_relaxed); }

int64_t Plan::alive() { return plans.load(std::memory_order_relaxed); }

Result Plan::run(const Request& request) {
    Lease lease;
    std::unique_ptr<Instance> own;
    std::unique_ptr<Instance>& instance = lease.slot() >= 0 ? instances_[lease.slot()] : own;
    if (!instance) instance.reset(new Instance(recipe_));
    instance->fit(lease, request);
    const bool profile = profiled_.load(std::memory_order_relaxed);
    const Result result = instance->run(request, profile);
    if (profile) {
        std::lock_guard<std::mutex> guard(lock_);
        for (size_t i = 0; i < times_.size(); ++i) {
            times_[i].runs += instance->runs[i];
            times_[i].seconds += instance->seconds[i];
            instance->runs[i] = 0;
            instance->seconds[i] = 0;
        }
    }
    return result;
}

std::vector<Plan::Description> Plan::describe(bool epilogue) const {
    Instance instance(recipe_);
    instance.rehearse();
    std::vector<Description> list;
    for (const Instance::Entry& e : instance.order(epilogue).entries) {
        const PlannedOp& op = recipe_.ops[e.op];
        list.push_back({op.op->name, e.call->flops, e.call->bytes, e.call->ranks, e.meet, e.call->scratch, op.epilogue,
                        op.dynamic});
    }
    return list;
}

std::vector<Plan::Time> Plan::times() const {
    std::lock_guard<std::mutex> guard(lock_);
    return times_;
}

}  // namespace quernel
