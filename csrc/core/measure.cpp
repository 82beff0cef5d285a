// What `quernel bench` measures from C++: the probes of an ISA on a team, and a BLAS's cblas_sgemm without Python
// between its calls.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "core/allocator.hpp"
#include "core/barrier.hpp"
#include "core/binding.hpp"
#include "core/team.hpp"

namespace py = pybind11;

namespace quernel {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// A probe and the memory of each of its ranks, touched first by the rank that uses it.
class ProbeRun {
  public:
    ProbeRun(int isa, const std::string& name, int64_t bytes, int threads) : threads_(threads) {
        if (isa < 0 || isa >= (int)tables().size()) throw py::value_error("probe: no such instruction set");
        if (threads < 1 || threads > MAX_TEAM)
            throw py::value_error("probe: expected 1 to " + std::to_string(MAX_TEAM) + " threads, received " +
                                  std::to_string(threads));
        const Probe* probes = tables()[isa]->probes;
        probe_ = std::find_if(probes, probes + PROBES, [&](const Probe& p) { return name == p.name; });
        if (probe_ == probes + PROBES) throw py::value_error("probe: unknown name '" + name + "'");
        bytes_ = std::max<int64_t>(bytes / threads, name == "tile" ? TILE_BYTES : 2048) / 64 * 64;
        try {
            for (int i = 0; i < threads; ++i) memory_.push_back(static_cast<float*>(allocate((size_t)bytes_)));
        } catch (...) {
            free();
            throw;
        }
        touched_ = false;
        run(1);
    }
    ProbeRun(const ProbeRun&) = delete;
    ~ProbeRun() { free(); }

    // (seconds, work of one repeat): from the moment when all ranks are awake to the end of the last one.
    py::tuple run(int64_t repeats) {
        Job job;
        job.self = this;
        job.repeats = repeats;
        {
            py::gil_scoped_release nogil;
            run_region(threads_, body, &job);
        }
        touched_ = true;
        const double end = *std::max_element(job.end, job.end + job.size);
        return py::make_tuple(end - *std::min_element(job.start, job.start + job.size), job.work[0] * job.size);
    }

  private:
    struct Job {
        ProbeRun* self;
        int64_t repeats;
        double start[MAX_TEAM], end[MAX_TEAM];
        int size = 0;
        double work[MAX_TEAM];
        Barrier barrier;
    };

    static void body(void* context, int rank, int size) {
        Job& job = *static_cast<Job*>(context);
        ProbeRun& self = *job.self;
        if (rank == 0) {
            job.size = size;
            job.barrier.size = size;
            job.barrier.spins = size <= usable_cpus() ? 1 << 16 : 0;
        }
        float* memory = self.memory_[(size_t)rank];
        if (!self.touched_) std::fill(memory, memory + self.bytes_ / 4, 1.0f);
        self.meet(job, rank, size);
        job.start[rank] = now();
        job.work[rank] = self.probe_->run(memory, self.bytes_, job.repeats);
        job.end[rank] = now();
    }
    // All ranks wait until rank 0 has set up the barrier, then for each other.
    void meet(Job& job, int rank, int size) {
        if (size == 1) return;
        if (rank == 0) ready_.store(&job, std::memory_order_release);
        while (ready_.load(std::memory_order_acquire) != &job) spin_pause();
        job.barrier.wait();
        if (rank == 0) ready_.store(nullptr, std::memory_order_release);
    }
    void free() {
        for (float* block : memory_) release(block, (size_t)bytes_);
        memory_.clear();
    }

    const Probe* probe_;
    int threads_;
    int64_t bytes_;
    std::vector<float*> memory_;
    bool touched_ = false;
    std::atomic<Job*> ready_{nullptr};
};

// `times` calls of a cblas_sgemm at `address` in row-major order, C = op(A) op(B); `wide`: its integers have 64 bits.
double repeat_sgemm(uintptr_t address, bool wide, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                    uintptr_t a, int64_t lda, uintptr_t b, int64_t ldb, uintptr_t c, int64_t times) {
    constexpr int ROW_MAJOR = 101, NO = 111, YES = 112;
    using Sgemm =
        void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int);
    using WideSgemm = void (*)(int, int, int, int64_t, int64_t, int64_t, float, const float*, int64_t, const float*,
                               int64_t, float, float*, int64_t);
    const auto *pa = reinterpret_cast<const float*>(a), *pb = reinterpret_cast<const float*>(b);
    auto* pc = reinterpret_cast<float*>(c);
    const int ta = transpose_a ? YES : NO, tb = transpose_b ? YES : NO;
    py::gil_scoped_release nogil;
    const double start = now();
    for (int64_t i = 0; i < times; ++i) {
        if (wide)
            reinterpret_cast<WideSgemm>(address)(ROW_MAJOR, ta, tb, m, n, k, 1.0f, pa, lda, pb, ldb, 0.0f, pc, n);
        else
            reinterpret_cast<Sgemm>(address)(ROW_MAJOR, ta, tb, (int)m, (int)n, (int)k, 1.0f, pa, (int)lda, pb,
                                             (int)ldb, 0.0f, pc, (int)n);
    }
    return now() - start;
}

}  // namespace

void bind_measure(py::module_& m) {
    py::class_<ProbeRun>(m, "Probe", "A loop at the machine's limit; see csrc/probe/probe.cpp.")
        .def(py::init<int, const std::string&, int64_t, int>(), py::arg("isa"), py::arg("name"), py::arg("bytes"),
             py::arg("threads"))
        .def("run", &ProbeRun::run, "Runs it `repeats` times on each thread; returns (seconds, work of one repeat).");
    m.def("repeat_sgemm", repeat_sgemm, "Calls a cblas_sgemm `times` times; returns seconds.");
}

}  // namespace quernel
