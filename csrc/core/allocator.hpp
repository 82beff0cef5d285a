// The caching allocator of array memory on the CPU.
//
// Small blocks (up to 1 MB) are cut from 2 MB slabs, large ones are mapped alone; both 2 MB aligned and madvised,
// because a fresh 64 MB output costs 35 ms in 4 KB pages and 11 ms in huge ones, and 7 ms when reused. Blocks start at
// multiples of 64 bytes, *staggered*: four float streams that share their offset modulo 4096 run up to 5 times slower
// in cache. Freed blocks are kept per size class (eight classes a doubling) up to 512 MB above what the process had in
// use of late; then those of the classes that were asked for longest ago are given back. Thread safe.
#pragma once
#include <cstddef>
#include <cstdint>

namespace quernel {

void* allocate(size_t bytes);                      // throws std::bad_alloc; never null, also for 0 bytes
void release(void* block, size_t bytes) noexcept;  // bytes as given to allocate

struct MemoryStats {
    int64_t in_use, cached, peak, mapped, allocations;
};
MemoryStats memory_stats();
void trim_memory();  // gives cached large blocks back to the system

}  // namespace quernel
