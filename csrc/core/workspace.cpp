// The pool of workspaces.
#include "core/workspace.hpp"

#include <atomic>

#include "core/allocator.hpp"

namespace quernel {
namespace {

struct alignas(64) Slot {
    std::atomic<bool> leased{false};
    std::atomic<char*> data{nullptr};  // written by the lessee only; atomic for the statistics
    std::atomic<int64_t> bytes{0};
};
Slot slots[WORKSPACES];
std::atomic<int64_t> private_leases{0};

// Where a thread looks first: a thread that comes back finds its slot prepared and in its cache.
thread_local int preferred = 0;

bool take(Slot& s) {
    bool free = false;
    return s.leased.compare_exchange_strong(free, true, std::memory_order_acquire, std::memory_order_relaxed);
}

void drop(Slot& s) {
    char* data = s.data.load(std::memory_order_relaxed);
    if (data) release(data, (size_t)s.bytes.load(std::memory_order_relaxed));
    s.data.store(nullptr, std::memory_order_relaxed);
    s.bytes.store(0, std::memory_order_relaxed);
}

}  // namespace

Lease::Lease() : slot_(-1) {
    for (int i = 0; i < WORKSPACES; ++i) {
        const int at = (preferred + i) % WORKSPACES;
        if (!take(slots[at])) continue;
        slot_ = preferred = at;
        return;
    }
    private_leases.fetch_add(1, std::memory_order_relaxed);
}

Lease::~Lease() {
    if (slot_ >= 0) {
        slots[slot_].leased.store(false, std::memory_order_release);
        return;
    }
    if (own_) release(own_, (size_t)own_bytes_);
    private_leases.fetch_sub(1, std::memory_order_relaxed);
}

char* Lease::data() const { return slot_ >= 0 ? slots[slot_].data.load(std::memory_order_relaxed) : own_; }

int64_t Lease::bytes() const { return slot_ >= 0 ? slots[slot_].bytes.load(std::memory_order_relaxed) : own_bytes_; }

char* Lease::need(int64_t bytes) {
    if (slot_ < 0) {
        if (own_ && own_bytes_ >= bytes) return own_;
        if (own_) release(own_, (size_t)own_bytes_);
        own_ = nullptr;
        own_ = static_cast<char*>(allocate((size_t)bytes));
        own_bytes_ = bytes;
        return own_;
    }
    Slot& s = slots[slot_];
    char* data = s.data.load(std::memory_order_relaxed);
    if (data && s.bytes.load(std::memory_order_relaxed) >= bytes) return data;
    drop(s);
    data = static_cast<char*>(allocate((size_t)bytes));
    s.data.store(data, std::memory_order_relaxed);
    s.bytes.store(bytes, std::memory_order_relaxed);
    return data;
}

WorkspaceStats workspace_stats() {
    WorkspaceStats stats{0, 0, private_leases.load(std::memory_order_relaxed)};
    for (const Slot& s : slots) {
        stats.workspaces += s.data.load(std::memory_order_relaxed) != nullptr;
        stats.bytes += s.bytes.load(std::memory_order_relaxed);
        stats.leased += s.leased.load(std::memory_order_relaxed);
    }
    return stats;
}

void trim_workspaces() {
    for (Slot& s : slots) {
        if (!take(s)) continue;
        drop(s);
        s.leased.store(false, std::memory_order_release);
    }
}

}  // namespace quernel
