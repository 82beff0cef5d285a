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
constexpr size_t MAX_CACHED = size_t(512) << 20;  // kept for reuse beyond what was needed of late
constexpr int WINDOW = 256;                       // large allocations that the recent peak looks back on, twice

struct Block {
    void* start;  // what the caller got
    void* base;   // what was mapped
};

struct Class {
    std::vector<Block> free;
    int64_t used = 0;  // the allocation that last asked for this class
};

struct State {
    std::mutex lock;
    std::unordered_map<size_t, Class> classes;  // by size
    std::unordered_map<void*, void*> large;     // start -> base of blocks in use
    int64_t peak = 0, before = 0;  // most in use in this window of large allocations, and in the one before
    int window = 0;
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

#if defined(__linux__) || defined(__APPLE__)
// Straight from the system, which gets it back at once: after its first free of such a block malloc would serve the
// next ones from its heap, in 4 KB pages, and keep them.
void* map_aligned(size_t bytes) {
    void* all = mmap(nullptr, bytes + SLAB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return nullptr;
    const size_t before = (SLAB - reinterpret_cast<uintptr_t>(all) % SLAB) % SLAB;
    char* const p = static_cast<char*>(all) + before;
    if (before) munmap(all, before);
    munmap(p + bytes, SLAB - before);
#if defined(__linux__)
    madvise(p, bytes, MADV_HUGEPAGE);
#endif
    return p;
}
void unmap(void* p, size_t bytes) { munmap(p, bytes); }
#else
void* map_aligned(size_t bytes) {
    void* p = nullptr;
    return posix_memalign(&p, SLAB, bytes) ? nullptr : p;
}
void unmap(void* p, size_t) { std::free(p); }
#endif

// 11 * 64 bytes apart: 64 different offsets modulo 4096 before one comes again.
size_t next_offset(State& s) { return (s.stagger++ * 11 % 64) * 64; }

size_t mapped_size(size_t size) { return (size + 4096 + SLAB - 1) / SLAB * SLAB; }

void give_back(State& s, size_t size, void* base) {
    unmap(base, mapped_size(size));
    s.stats.mapped -= mapped_size(size);
}

void trim_locked(State& s) {
    for (auto& entry : s.classes) {
        if (entry.first <= SMALL) continue;
        for (Block& b : entry.second.free) {
            give_back(s, entry.first, b.base);
            s.stats.cached -= entry.first;
        }
        entry.second.free.clear();
    }
}

// Gives back blocks of the classes that were asked for longest ago until `limit` bytes are cached.
void shrink_to(State& s, int64_t limit) {
    while (s.stats.cached > limit) {
        Class* oldest = nullptr;
        size_t size = 0;
        for (auto& entry : s.classes)
            if (entry.first > SMALL && !entry.second.free.empty() && (!oldest || entry.second.used < oldest->used))
                oldest = &entry.second, size = entry.first;
        if (!oldest) return;
        give_back(s, size, oldest->free.back().base);
        oldest->free.pop_back();
        s.stats.cached -= size;
    }
}

// What is cached never brings the process above what it needed of late by more than MAX_CACHED: a loop whose results
// are larger than MAX_CACHED would else map and fault them anew each time (180 MB results, three at a time: 83 ms a
// step instead of 53).
int64_t limit(const State& s) {
    const int64_t recent = (s.peak > s.before ? s.peak : s.before) - s.stats.in_use;
    return (recent > 0 ? recent : 0) + (int64_t)MAX_CACHED;
}

void note_large(State& s) {
    if (++s.window > WINDOW) {
        s.window = 0;
        s.before = s.peak;
        s.peak = 0;
    }
    if (s.stats.in_use > s.peak) s.peak = s.stats.in_use;
}

void* map_or_trim(State& s, size_t bytes) {
    void* p = map_aligned(bytes);
    if (p) return p;
    trim_locked(s);
    return map_aligned(bytes);
}

}  // namespace

void* allocate(size_t bytes) {
    const size_t size = class_of(bytes);
    State& s = state();
    std::lock_guard<std::mutex> guard(s.lock);
    ++s.stats.allocations;
    s.stats.in_use += size;
    if (s.stats.in_use > s.stats.peak) s.stats.peak = s.stats.in_use;
    Class& kind = s.classes[size];
    kind.used = s.stats.allocations;
    auto& list = kind.free;
    if (size > SMALL) note_large(s);
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
            char* const slab = static_cast<char*>(map_or_trim(s, SLAB));
            if (!slab) {
                s.stats.in_use -= size;
                throw std::bad_alloc();
            }
            s.slab = slab;
            s.stats.mapped += SLAB;
            offset = size >= 4096 && next_offset(s) + size <= SLAB ? (s.stagger - 1) * 11 % 64 * 64 : 0;
        }
        block = {s.slab + offset, nullptr};
        s.used = offset + size;
    } else {
        block.base = map_or_trim(s, mapped_size(size));
        if (!block.base) {
            s.stats.in_use -= size;
            throw std::bad_alloc();
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
    }
    s.stats.cached += size;
    s.classes[size].free.push_back(block);
    shrink_to(s, limit(s));
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
