// Workspaces of plans: a process-wide pool of blocks that runs lease, so that memory is shared by all plans.
//
// A slot is leased by one compare-and-swap, keeps its block between runs and grows to the largest plan that used it.
// When all slots are taken a run gets a block of its own, given back at its end. Slots that were leased by other
// threads at a fork stay leased in the child: the instances that belong to them may be half prepared for a step.
#pragma once
#include <cstddef>
#include <cstdint>

namespace quernel {

constexpr int WORKSPACES = 8;

class Lease {
  public:
    Lease();
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    int slot() const { return slot_; }  // -1: the pool is empty, the block is private
    char* data() const;
    int64_t bytes() const;
    // A block of at least `bytes`, 64-byte aligned: the old one where it suffices, else its contents are lost.
    char* need(int64_t bytes);

  private:
    int slot_;
    char* own_ = nullptr;
    int64_t own_bytes_ = 0;
};

struct WorkspaceStats {
    int64_t workspaces, bytes, leased;
};
WorkspaceStats workspace_stats();
void trim_workspaces();  // gives the blocks of free slots back to the allocator

}  // namespace quernel
