// Plans: leasing, instances, what is told about them.
#include "core/plan.hpp"

namespace quernel {
namespace {

int64_t plans = 0;

}  // namespace

Plan::Plan(Recipe recipe) : recipe_(std::move(recipe)) {
    recipe_.check();
    times_.resize(recipe_.ops.size(), Time{0, 0});
    Instance(recipe_).rehearse();
    ++plans;
}

Plan::~Plan() { --plans; }

int64_t Plan::alive() { return plans; }

Plan::Running::Running(Plan& plan, const Request& request) : plan_(plan), request_(request), profiled_(plan.profiled_) {
    std::unique_ptr<Instance>& instance = lease_.slot() >= 0 ? plan.instances_[lease_.slot()] : own_;
    if (!instance) instance.reset(new Instance(plan.recipe_));
    instance_ = instance.get();
    instance_->fit(lease_, request);
}

Plan::Running::~Running() {
    for (size_t i = 0; profiled_ && i < plan_.times_.size(); ++i) {
        plan_.times_[i].runs += instance_->runs[i];
        plan_.times_[i].seconds += instance_->seconds[i];
        instance_->runs[i] = 0;
        instance_->seconds[i] = 0;
    }
}

// As for an eager call (module.cpp): two threads in predict of 10-10-1 each ran at 0.32 of a lone one's rate when every
// plan released the GIL, since taking it again from a thread that runs Python costs more than these plans.
bool Plan::Running::worth_releasing() const { return instance_->step_us() * (double)request_.steps > 20; }

Result Plan::Running::go() { return instance_->run(request_, profiled_); }

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

}  // namespace quernel
