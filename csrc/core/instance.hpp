// A plan made ready for one workspace: prepared calls with absolute pointers, the schedule, and the loop over steps.
//
// Everything in it belongs to the run that leased the workspace; nothing is locked.
#pragma once
#include <chrono>
#include <memory>
#include <vector>

#include "core/barrier.hpp"
#include "core/recipe.hpp"
#include "core/workspace.hpp"

namespace quernel {

struct Passed {  // an array given to a run
    char* data;
    int64_t advance;  // bytes that the pointer moves a step
};
struct Request {
    const Passed* args;
    const Passed* outs;
    int64_t steps;
    bool every;      // outputs are wanted at each step, else at the last one only
    double seconds;  // the step that begins after this time is the last one; 0: no limit
};
struct Result {
    int64_t done;
    bool bad;  // step `done` met a bad index; its state is as before it
};

class Instance {
  public:
    explicit Instance(const Recipe& recipe);
    // Prepares all ops for this block, these arrays, this number of threads: what a run starts with. Nothing happens
    // when nothing changed. Throws std::invalid_argument naming the op that refuses.
    void fit(Lease& lease, const Request& request);
    // The same without memory, at made-up addresses: checks every op, fills what describe() tells.
    void rehearse();
    Result run(const Request& request, bool profile);

    struct Entry {  // an op in the order of execution
        void (*run)(const Call&, const Team&, char*);
        const Call* call;
        int32_t op;
        int32_t meet;  // ranks that meet before it, 0: none
    };
    struct Order {
        std::vector<Entry> entries;
        size_t abort;  // entries before the abort point
    };
    const Order& order(bool epilogue) const { return epilogue ? full_ : body_; }
    const Call& call(size_t op) const { return calls_[op]; }
    int64_t scratch() const { return scratch_; }
    double step_us() const { return step_us_; }  // estimated, on one rank
    // Seconds that rank 0 spent in each op since the last clear, while profiled; `runs` executions of each.
    std::vector<double> seconds;
    std::vector<int64_t> runs;

  private:
    void prepare_all(char* base, const Request& request, int threads, double wake);
    bool prepare(size_t op, int threads, double wake);
    void arrange();
    void arrange(Order& order, bool epilogue);
    char* address(const PlannedView& v, const Request& request, int64_t step) const;
    bool refresh(const Request& request, int64_t step);
    bool late() const;  // a bad index behind the abort point
    void begin_step(const Request& request, bool profile);
    void work(int rank, int size, const Request& request, bool profile);
    template <bool profile>
    void execute(const Entry* entry, const Entry* end, int rank, int size, int32_t* bad);
    void save_state(bool back);

    const Recipe& recipe_;
    std::vector<Call> calls_;
    std::vector<View> views_;         // of all ops, one after the other
    std::vector<size_t> first_view_;  // of every op
    std::vector<size_t> dynamic_;     // ops whose memory may move
    Order full_, body_;               // with and without the epilogue
    int region_ = 1;                  // the most ranks of any op
    std::unique_ptr<Barrier[]> barriers_;
    int barriers_made_ = 0;

    // What the calls are prepared for.
    char* base_ = nullptr;
    int threads_ = 0;
    double wake_ = 0, call_wake_ = 0, step_us_ = 0;
    int64_t scratch_ = 0, room_ = 0;  // room_: of workspace, scratch and saved state
    char* scratch_at_ = nullptr;

    // Of the run in progress; written by rank 0 while the others wait.
    struct alignas(64) Flags {
        int32_t bad, late;
    };
    std::vector<Flags> flags_;
    Result result_{};
    const Order* now_ = nullptr;
    bool last_ = false, stop_ = false;
    int64_t refused_ = -1;  // op that could not be prepared for the step
    std::chrono::steady_clock::time_point begin_{}, mark_{};
};

}  // namespace quernel
