// The barrier of a plan: a counter and an epoch, spun on. Unlike OpenMP's it serves teams smaller than the region.
#pragma once
#include <atomic>
#include <cstdint>

#if defined(__unix__) || defined(__APPLE__)
#include <sched.h>
#endif
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace quernel {

inline void spin_pause() {
#if defined(__SSE2__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Ranks 0 ... size - 1 meet here. What any of them wrote before is visible to all of them after.
class alignas(64) Barrier {
  public:
    int size = 1;
    int spins = 0;  // pauses before the time slice is given away; 0 where there are more ranks than CPUs

    void wait() {
        const uint32_t now = epoch_.load(std::memory_order_relaxed);  // cannot move on before this rank arrives
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size)
            open(now);
        else
            spin([&] { return epoch_.load(std::memory_order_acquire) != now; });
    }
    // A barrier with a part that rank 0 runs while the others wait: rank 0 calls gather, works, calls release; they
    // call wait.
    void gather() {
        spin([&] { return arrived_.load(std::memory_order_acquire) + 1 == size; });
    }
    void release() { open(epoch_.load(std::memory_order_relaxed)); }

    static void wait_of(void* self) { static_cast<Barrier*>(self)->wait(); }

  private:
    void open(uint32_t now) {
        arrived_.store(0, std::memory_order_relaxed);
        epoch_.store(now + 1, std::memory_order_release);
    }
    template <class F>
    void spin(const F& ready) const {
        for (int i = 0; i < spins; ++i) {
            if (ready()) return;
            spin_pause();
        }
        while (!ready()) {
#if defined(__unix__) || defined(__APPLE__)
            sched_yield();
#endif
        }
    }

    alignas(64) std::atomic<int32_t> arrived_{0};
    alignas(64) std::atomic<uint32_t> epoch_{0};
};

}  // namespace quernel
