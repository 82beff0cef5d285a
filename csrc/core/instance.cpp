// Preparing a plan for a workspace, and running it.
#include "core/instance.hpp"

#include <cstring>
#include <limits>
#include <stdexcept>

#include "core/schedule.hpp"
#include "core/team.hpp"

namespace quernel {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t align64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Inside a plan the threads are awake: sharing an op costs a barrier (0.4 us) instead of a region (1-3 us warm, 50 us
// cold), so a second rank pays from 3/8 of the eager bound on. But all barriers of a step together must be earned:
// dense networks on 2 cores took, alone and shared, 15 and 21 us (estimated 38), 43 and 44 (97), 129 and 107 (342),
// 3613 and 2064 (7891). So a step estimated below PLAN_WAKE times the eager bound (128 us by default) wakes nobody.
constexpr double OP_WAKE = 3.0 / 8, PLAN_WAKE = 16;

constexpr int SPINS = 100;  // pauses: 0.5-6 us by CPU; behind that the CPU is offered to whoever else wants it

}  // namespace

Instance::Instance(const Recipe& recipe)
    : seconds(recipe.ops.size()), runs(recipe.ops.size()), recipe_(recipe), calls_(recipe.ops.size()) {
    for (size_t i = 0; i < recipe.ops.size(); ++i) {
        first_view_.push_back(views_.size());
        for (const PlannedView& v : recipe.ops[i].views) views_.push_back(v.view);
        if (recipe.ops[i].dynamic) dynamic_.push_back(i);
    }
    flags_.resize(MAX_TEAM);
    for (size_t i = 0; i < recipe.ops.size(); ++i) {
        const PlannedOp& op = recipe.ops[i];
        Call& c = calls_[i];
        c.in = views_.data() + first_view_[i];
        c.n_in = op.n_in;
        c.out = c.in + op.n_in;
        c.n_out = (int32_t)op.views.size() - op.n_in;
        c.ints = op.ints.data();
        c.floats = op.floats.data();
        c.n_ints = (int32_t)op.ints.size();
        c.n_floats = (int32_t)op.floats.size();
    }
}

char* Instance::address(const PlannedView& v, const Request& request, int64_t step) const {
    const Root& root = recipe_.roots[v.root];
    if (root.kind == WORKSPACE) return base_ + root.value + v.offset;
    if (root.kind == FIXED) return reinterpret_cast<char*>(root.value) + v.offset;
    const Passed& p = (root.kind == ARGUMENT ? request.args : request.outs)[root.value];
    return p.data + step * p.advance + v.offset;
}

bool Instance::prepare(size_t op, int threads, double wake) {
    Call& c = calls_[op];
    c.threads = threads;
    c.wake_us = wake;
    c.ranks = 1;
    c.scratch = 0;
    c.flops = c.bytes = 0;
    c.error[0] = 0;
    return recipe_.ops[op].op->prepare(c);
}

void Instance::prepare_all(char* base, const Request& request, int threads, double wake) {
    threads_ = 0;  // unfit until all is well
    base_ = base;
    for (size_t i = 0; i < calls_.size(); ++i) {
        const PlannedOp& op = recipe_.ops[i];
        for (size_t k = 0; k < op.views.size(); ++k) {
            if (op.views[k].view.absent()) continue;
            views_[first_view_[i] + k].data = address(op.views[k], request, 0);
        }
    }
    const auto all = [&](int count, double us) {
        double total = 0;
        scratch_ = 0;
        for (size_t i = 0; i < calls_.size(); ++i) {
            if (!prepare(i, count, us))
                throw std::invalid_argument("plan: " + recipe_.labels[i] + ": " + calls_[i].error);
            total += estimated_us(calls_[i]);
            scratch_ = std::max(scratch_, calls_[i].scratch);
        }
        return total;
    };
    step_us_ = all(1, 0);
    call_wake_ = wake * OP_WAKE;
    if (threads > 1 && (wake <= 0 || step_us_ > wake * PLAN_WAKE)) all(std::min(threads, MAX_TEAM), call_wake_);
    arrange();
    threads_ = threads;
    wake_ = wake;
}

void Instance::arrange() {
    region_ = 1;
    for (const Call& c : calls_) region_ = std::max(region_, (int)c.ranks);
    arrange(full_, true);
    arrange(body_, false);
    if (region_ > barriers_made_) {
        barriers_.reset(new Barrier[region_ + 1]);
        barriers_made_ = region_;
        for (int size = 0; size <= region_; ++size) {
            barriers_[size].size = size;
            barriers_[size].spins = size > usable_cpus() ? 0 : SPINS;
        }
    }
}

// The entries and where their ranks meet. Every step begins with a barrier of the whole region.
void Instance::arrange(Order& order, bool epilogue) {
    order.entries.clear();
    order.abort = 0;
    Schedule schedule(region_);
    std::vector<Access> accesses;
    for (size_t i = 0; i < calls_.size(); ++i) {
        const PlannedOp& op = recipe_.ops[i];
        if (op.epilogue && !epilogue) continue;
        const Call& c = calls_[i];
        int meet = 0;
        if (region_ > 1) {
            accesses.clear();
            for (size_t k = 0; k < op.views.size(); ++k) {
                if (op.views[k].view.absent()) continue;
                const Place place = place_of(recipe_, op.views[k]);
                accesses.push_back({place.space, place.span, (int64_t)k >= op.n_in});
            }
            const int64_t behind = align64(recipe_.workspace);
            if (c.scratch) accesses.push_back({0, {behind, behind + c.scratch}, true});
            if ((int64_t)i > recipe_.abort_after && order.abort == order.entries.size() && recipe_.abort_after >= 0)
                schedule.met_all();  // all meet at the abort point
            meet = schedule.next(accesses.data(), accesses.size(), c.ranks);
        }
        order.entries.push_back({op.op->run, &c, (int32_t)i, meet});
        if ((int64_t)i <= recipe_.abort_after) order.abort = order.entries.size();
    }
}

void Instance::fit(Lease& lease, const Request& request) {
    const int threads = num_threads();
    const double wake = wake_us();
    // After trim_memory a smaller block may lie where the old one lay.
    if (threads_ == threads && wake_ == wake && base_ == lease.data() && base_ && lease.bytes() >= room_) return;
    char* base = lease.data();
    for (;;) {  // the scratch is known when the ops are prepared, the address when the scratch is
        prepare_all(base, request, threads, wake);
        room_ = align64(recipe_.workspace) + align64(scratch_) + recipe_.undo_bytes;
        char* const block = lease.need(room_);
        if (block == base) break;
        base = block;
    }
    scratch_at_ = base_ + align64(recipe_.workspace);
}

void Instance::rehearse() {
    char* const somewhere = reinterpret_cast<char*>(intptr_t(1) << 30);
    std::vector<Passed> args(recipe_.arguments.size(), Passed{somewhere, 0});
    std::vector<Passed> outs(recipe_.outputs.size(), Passed{somewhere, 0});
    prepare_all(somewhere, {args.data(), outs.data(), 1, true, 0}, num_threads(), wake_us());
}

// Points the dynamic ops at the memory of this step; what moved is prepared anew, on no more ranks than scheduled.
bool Instance::refresh(const Request& request, int64_t step) {
    for (size_t i : dynamic_) {
        const PlannedOp& op = recipe_.ops[i];
        if (op.epilogue && now_ == &body_) continue;
        bool moved = false;
        for (size_t k = 0; k < op.views.size(); ++k) {
            if (op.views[k].view.absent()) continue;
            View& v = views_[first_view_[i] + k];
            char* const data = address(op.views[k], request, step);
            moved |= data != v.data;
            v.data = data;
        }
        if (!moved) continue;
        const int ranks = calls_[i].threads > 1 ? calls_[i].ranks : 1;
        const int64_t scratch = calls_[i].scratch;
        if (!prepare(i, ranks, call_wake_) || calls_[i].scratch > scratch || calls_[i].ranks > ranks) {
            refused_ = (int64_t)i;
            threads_ = 0;
            return false;
        }
    }
    return true;
}

void Instance::save_state(bool back) {
    char* room = scratch_at_ + align64(scratch_);
    for (const State& s : recipe_.undo) {
        char* const state = reinterpret_cast<char*>(recipe_.roots[s.root].value) + s.offset;
        std::memcpy(back ? state : room, back ? room : state, (size_t)s.bytes);
        room += align64(s.bytes);
    }
}

bool Instance::late() const {
    for (int r = 0; r < region_; ++r)
        if (flags_[r].late) return true;
    return false;
}

// Rank 0, while the others wait: what the step will be, or that there is none.
void Instance::begin_step(const Request& request, bool profile) {
    stop_ = late();
    if (stop_) return;
    last_ = result_.done + 1 >= request.steps;
    if (!last_ && request.seconds > 0)
        last_ = std::chrono::duration<double>(Clock::now() - begin_).count() >= request.seconds;
    now_ = last_ || request.every ? &full_ : &body_;
    if (!refresh(request, result_.done)) {
        stop_ = true;
        return;
    }
    if (!recipe_.undo.empty()) save_state(false);
    if (profile && result_.done == 0) mark_ = Clock::now();
}

template <bool profile>
void Instance::execute(const Entry* entry, const Entry* end, int rank, int size, int32_t* bad) {
    char* const scratch = scratch_at_;
    const auto spent_on = [&](int32_t op) {
        const auto now = Clock::now();
        seconds[op] += std::chrono::duration<double>(now - mark_).count();
        mark_ = now;
    };
    const auto measure = [&](int32_t op) {
        spent_on(op);
        ++runs[op];
    };
    if (size == 1) {
        const Team alone{0, 1, bad, nullptr, nullptr};
        for (; entry != end; ++entry) {
            entry->run(*entry->call, alone, scratch);
            if (profile) measure(entry->op);
        }
        return;
    }
    for (const Entry* const first = entry; entry != end; ++entry) {
        const int meet = std::min(entry->meet, size), ranks = std::min((int)entry->call->ranks, size);
        if (rank < meet && meet > 1) {
            barriers_[meet].wait();
            if (profile && rank == 0 && entry != first) spent_on(entry[-1].op);  // which another rank was still at
        }
        if (rank < ranks) {
            const Team team{rank, ranks, bad, Barrier::wait_of, &barriers_[ranks]};
            entry->run(*entry->call, team, scratch);
        }
        if (profile && rank == 0) measure(entry->op);
    }
}

// The steps, on every rank of the region.
void Instance::work(int rank, int size, const Request& request, bool profile) {
    Barrier* const all = size > 1 ? &barriers_[size] : nullptr;
    Flags& flags = flags_[rank];
    for (;;) {
        if (!all) {
            begin_step(request, profile);
        } else if (rank == 0) {
            all->gather();
            begin_step(request, profile);
            all->release();
        } else {
            all->wait();
        }
        if (stop_) return;
        const Entry *entry = now_->entries.data(), *abort = entry + now_->abort, *end = entry + now_->entries.size();
        if (abort != entry) {
            profile ? execute<true>(entry, abort, rank, size, &flags.bad)
                    : execute<false>(entry, abort, rank, size, &flags.bad);
            if (all) all->wait();
            int32_t bad = 0;  // nobody writes these any more: all ranks agree
            for (int r = 0; r < size; ++r) bad |= flags_[r].bad;
            if (bad) {
                if (rank == 0) {
                    save_state(true);
                    result_.bad = true;
                }
                return;
            }
        }
        profile ? execute<true>(abort, end, rank, size, &flags.late)
                : execute<false>(abort, end, rank, size, &flags.late);
        if (rank == 0) ++result_.done;
        if (last_) return;
    }
}

Result Instance::run(const Request& request, bool profile) {
    for (Flags& f : flags_) f.bad = f.late = 0;
    result_ = {0, false};
    last_ = stop_ = false;
    refused_ = -1;
    if (request.seconds > 0) begin_ = Clock::now();
    struct Job {
        Instance* instance;
        const Request* request;
        bool profile;
    } job{this, &request, profile};
    run_region(
        region_,
        [](void* context, int rank, int size) {
            const Job& j = *static_cast<Job*>(context);
            j.instance->work(rank, size, *j.request, j.profile);
        },
        &job);
    if (refused_ >= 0)
        throw std::invalid_argument("plan: " + recipe_.labels[refused_] + ": step " + std::to_string(result_.done) +
                                    ": " + (calls_[refused_].error[0] ? calls_[refused_].error : "it grew"));
    if (late())
        throw std::runtime_error("plan: step " + std::to_string(result_.done - 1) +
                                 ": an op behind the abort point met a bad index; the recording is wrong");
    return result_;
}

}  // namespace quernel
