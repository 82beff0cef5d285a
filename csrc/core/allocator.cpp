// Size classes, slabs and the free lists.
#include "core/allocator.hpp"

#include <cstdlib>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

#if defined(__linux__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

namespace quernel {
namespace {

constexpr size_t SLAB = size_t(2) << 20;
constexpr size_t SMALL = size_t(1) << 20;
constexpr size_t MAX_CACHED = size_t(512) << 20;  // large blocks kept for reuse

struct Block {
    void* start;  // what the caller got
    void* base;   // what was mapped
};

struct State {
    std::mutex lock;
    std::unordered_map<size_t, std::vector<Block>> free;  // by class size
    std::unordered_map<void*, void*> large;               // start -> base of blocks in use
    char* slab = nullptr;
    size_t used = SLAB;
    unsigned stagger = 0;
    MemoryStats stats{};
};

// Never destroyed: arrays may outlive static destruction.
State& state() {
    static State* s = new State;
    return *s;
}

// Eight classes a doubling: at most 12.5 % slack.
size_t class_of(size_t bytes) {
    if (bytes <= 64) return 64;
    size_t top = size_t(1) << (63 - __builtin_clzll(bytes - 1));  // largest power of two < bytes
    const size_t step = top / 8 < 64 ? 64 : top / 8;
    return (bytes + step - 1) / step * step;
}

void* map_aligned(size_t bytes) {
    void* p = nullptr;
    if (posix_memalign(&p, SLAB, bytes)) throw std::bad_alloc();
#if defined(__linux__)
    madvise(p, bytes, MADV_HUGEPAGE);
#endif
    return p;
}

// 11 * 64 bytes apart: 64 different offsets modulo 4096 before one comes again.
size_t next_offset(State& s) { return (s.stagger++ * 11 % 64) * 64; }

size_t mapped_size(size_t size) { return (size + 4096 + SLAB - 1) / SLAB * SLAB; }

void trim_locked(State& s) {
    for (auto& entry : s.free) {
        if (entry.first <= SMALL) continue;
        for (Block& b : entry.second) {
            std::free(b.base);
            s.stats.cached -= entry.first;
            s.stats.mapped -= mapped_size(entry.first);
        }
        entry.second.clear();
    }
}

}  // namespace

void* allocate(size_t bytes) {
    const size_t size = class_of(bytes);
    State& s = state();
    std::lock_guard<std::mutex> guard(s.lock);
    ++s.stats.allocations;
    s.stats.in_use += size;
    if (s.stats.in_use > s.stats.peak) s.stats.peak = s.stats.in_use;
    auto& list = s.free[size];
    Block block;
    if (!list.empty()) {
        block = list.back();
        list.pop_back();
        s.stats.cached -= size;
    } else if (size <= SMALL) {
        size_t offset = s.used;
        if (size >= 4096) {  // neighbours of one class would share their offset modulo 4096
            const size_t want = next_offset(s);
            offset += (want - offset % 4096 + 4096) % 4096;
        }
        if (offset + size > SLAB) {
            try {
                s.slab = static_cast<char*>(map_aligned(SLAB));
            } catch (...) {
                s.stats.in_use -= size;
                throw;
            }
            s.stats.mapped += SLAB;
            offset = size >= 4096 && next_offset(s) + size <= SLAB ? (s.stagger - 1) * 11 % 64 * 64 : 0;
        }
        block = {s.slab + offset, nullptr};
        s.used = offset + size;
    } else {
        try {
            block.base = map_aligned(mapped_size(size));
        } catch (...) {
            s.stats.in_use -= size;
            throw;
        }
        s.stats.mapped += mapped_size(size);
        block.start = static_cast<char*>(block.base) + next_offset(s);
    }
    if (size > SMALL) s.large[block.start] = block.base;
    return block.start;
}

void release(void* start, size_t bytes) noexcept {
    const size_t size = class_of(bytes);
    State& s = state();
    std::lock_guard<std::mutex> guard(s.lock);
    s.stats.in_use -= size;
    Block block{start, nullptr};
    if (size > SMALL) {
        block.base = s.large[start];
        s.large.erase(start);
        if (s.stats.cached + size > MAX_CACHED) trim_locked(s);
        if (size > MAX_CACHED) {
            std::free(block.base);
            s.stats.mapped -= mapped_size(size);
            return;
        }
    }
    s.stats.cached += size;
    s.free[size].push_back(block);
}

MemoryStats memory_stats() {
    State& s = state();
    std::lock_guard<std::mutex> guard(s.lock);
    return s.stats;
}

void trim_memory() {
    State& s = state();
    std::lock_guard<std::mutex> guard(s.lock);
    trim_locked(s);
}

}  // namespace quernel
