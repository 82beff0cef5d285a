// The team: the process's one set of worker threads, and the only file with an OpenMP pragma is team.cpp.
#pragma once
#include <string>

#include "base/op.hpp"

namespace quernel {

constexpr int MAX_TEAM = 64;

// body(context, rank, size) on up to `ranks` threads at once, subnormals flushed on each; returns the size it got. A
// second concurrent caller, and every caller in a forked child, gets size 1 and runs on its own thread.
int run_region(int ranks, void (*body)(void* context, int rank, int size), void* context);

// Runs the prepared call on at most call.ranks threads and returns the bad-index flag.
int32_t run_call(const Op& op, const Call& call, char* scratch);

int num_threads();
void set_num_threads(int n);  // n >= 1
struct ThreadChoice {
    int count;
    std::string source;  // where the number came from, for `quernel info`
};
ThreadChoice default_threads();  // QUERNEL_NUM_THREADS > OMP_NUM_THREADS > min(affinity, cgroup quota, physical cores)
std::string thread_source();
bool has_openmp();
int usable_cpus();  // that the process may run on
double wake_us();   // what Call.wake_us is for eager calls; plans derive theirs from it
void set_wake_us(double us);
int64_t regions_opened();  // how often threads were woken, for tests

}  // namespace quernel
