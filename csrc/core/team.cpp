// Threads: how many, waking them, and doing without them after a fork or beside another caller.
#include "core/team.hpp"

#include <atomic>
#include <cstdlib>
#include <thread>

#include "core/cpus.hpp"

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#elif defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace quernel {
namespace {

std::atomic<int> wanted{0};
std::atomic<bool> busy{false};
std::atomic<bool> forked{false};
std::atomic<int64_t> regions{0};
std::atomic<double> wake{8};
std::string source;

// Subnormals are zero while a kernel runs (a subnormal FMA is 37 times slower here); the caller's state comes back
// after.
struct FlushSubnormals {
#if defined(__SSE2__)
    unsigned saved = _mm_getcsr();
    FlushSubnormals() { _mm_setcsr(saved | 0x8040); }
    ~FlushSubnormals() { _mm_setcsr(saved); }
#elif defined(__aarch64__)
    uint64_t saved;
    FlushSubnormals() {
        __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
        __asm__ volatile("msr fpcr, %0" ::"r"(saved | (1u << 24)));
    }
    ~FlushSubnormals() { __asm__ volatile("msr fpcr, %0" ::"r"(saved)); }
#endif
};

// libgomp's pool does not survive a fork: a region of two in the child hangs. The child computes alone from then on.
void after_fork_in_child() { forked.store(true); }

bool parse_count(const char* name, int& count) {
    const char* text = std::getenv(name);
    if (!text || !*text) return false;
    const int n = std::atoi(text);  // "4,2" (nested OpenMP levels) counts as 4
    if (n < 1) return false;
    count = n;
    return true;
}

#if defined(__linux__)
// This thread leaves `cpu` for another one that it may use, if there is one.
void leave(int cpu) {
    cpu_set_t all;
    if (sched_getaffinity(0, sizeof(all), &all) != 0 || !CPU_ISSET(cpu, &all) || CPU_COUNT(&all) < 2) return;
    cpu_set_t others = all;
    CPU_CLR(cpu, &others);
    if (sched_setaffinity(0, sizeof(others), &others) == 0) sched_setaffinity(0, sizeof(all), &all);
}
#endif

// After 100 ms of idling the system may wake a worker on the caller's own CPU, where the two take turns by the tick
// while either spins for the other: 4 to 8 ms for a call of 20 us. So a rank with nothing to do before all ranks run
// gives up its CPU, and a worker that finds itself on the caller's moves off it.
struct Arrivals {
    std::atomic<int> here{0}, size{0}, caller{-1};  // caller: the CPU of rank 0

    void begin() {  // by the caller, before it wakes the others: a worker on its CPU may run first
        here.store(0, std::memory_order_relaxed);
#if defined(__linux__)
        caller.store(sched_getcpu(), std::memory_order_relaxed);
#endif
    }
    void arrive(int rank, int team_size) {
        size.store(team_size, std::memory_order_relaxed);  // every rank the same
#if defined(__linux__)
        const int cpu = rank ? sched_getcpu() : -1;
        if (cpu >= 0 && cpu == caller.load(std::memory_order_relaxed)) leave(cpu);
#endif
        here.fetch_add(1, std::memory_order_release);
    }
    void wait() const {  // by a rank that has arrived
        for (int spins = 0; here.load(std::memory_order_acquire) < size.load(std::memory_order_relaxed); ++spins)
            if (spins > 2000) std::this_thread::yield();  // a warm rank has come long before: 1 to 3 us
    }
};
Arrivals arrivals;  // of the region that `busy` stands for

void wait_for_team(void*) {
#if defined(_OPENMP)
    arrivals.wait();
#pragma omp barrier
#endif
}

}  // namespace

bool has_openmp() {
#if defined(_OPENMP)
    return true;
#else
    return false;
#endif
}

ThreadChoice default_threads() {
    int n;
    if (!has_openmp()) return {1, "built without OpenMP"};
    if (parse_count("QUERNEL_NUM_THREADS", n)) return {n, "QUERNEL_NUM_THREADS"};
    if (parse_count("OMP_NUM_THREADS", n)) return {n, "OMP_NUM_THREADS"};
    n = affinity();
    std::string why = "affinity";
    const int quota = cgroup_quota(), cores = physical_cores();
    if (quota && quota < n) n = quota, why = "cgroup quota";
    if (cores && cores < n) n = cores, why = "physical cores";
    return {n, why};
}

int num_threads() {
    int n = wanted.load(std::memory_order_relaxed);
    if (n) return n;
    const ThreadChoice choice = default_threads();
#if defined(__linux__) || defined(__APPLE__)
    static const int registered = pthread_atfork(nullptr, nullptr, after_fork_in_child);
    (void)registered;
#endif
    source = choice.source;
    wanted.store(choice.count);
    return choice.count;
}

void set_num_threads(int n) {
    num_threads();
    source = "set_num_threads";
    wanted.store(has_openmp() ? n : 1);
}

std::string thread_source() {
    num_threads();
    return source;
}

int usable_cpus() {
    static const int count = affinity();
    return count;
}

double wake_us() { return wake.load(std::memory_order_relaxed); }
void set_wake_us(double us) { wake.store(us); }

int64_t regions_opened() { return regions.load(); }

int run_region(int ranks, void (*body)(void*, int, int), void* context) {
#if defined(_OPENMP)
    if (ranks > 1 && !forked.load(std::memory_order_relaxed) && !busy.exchange(true, std::memory_order_acquire)) {
        regions.fetch_add(1, std::memory_order_relaxed);
        int size = 1;
        arrivals.begin();
#pragma omp parallel num_threads(ranks < MAX_TEAM ? ranks : MAX_TEAM)
        {
            const int rank = omp_get_thread_num(), team_size = omp_get_num_threads();
            if (rank == 0) size = team_size;
            FlushSubnormals flush;
            arrivals.arrive(rank, team_size);
            body(context, rank, team_size);
            arrivals.wait();
        }
        busy.store(false, std::memory_order_release);
        return size;
    }
#endif
    (void)ranks;
    FlushSubnormals flush;
    body(context, 0, 1);
    return 1;
}

int32_t run_call(const Op& op, const Call& call, char* scratch) {
    struct Job {
        const Op& op;
        const Call& call;
        char* scratch;
        int32_t bad_index[MAX_TEAM];
    };
    Job job{op, call, scratch, {0}};
    const int size = run_region(
        call.ranks,
        [](void* context, int rank, int team_size) {
            Job& j = *static_cast<Job*>(context);
            const Team team{rank, team_size, &j.bad_index[rank], team_size > 1 ? wait_for_team : nullptr, nullptr};
            j.op.run(j.call, team, j.scratch);
        },
        &job);
    int32_t bad_index = 0;
    for (int r = 0; r < size; ++r) bad_index |= job.bad_index[r];
    return bad_index;
}

}  // namespace quernel
