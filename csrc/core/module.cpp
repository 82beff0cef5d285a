// quernel._core. One generic call serves every op of every ISA, so an op adds no binding.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/allocator.hpp"
#include "core/arrays.hpp"
#include "core/binding.hpp"
#include "core/cpu.hpp"
#include "core/cpus.hpp"
#include "core/team.hpp"
#include "core/workspace.hpp"

namespace py = pybind11;
using namespace quernel;

namespace quernel {

std::vector<const Table*>& tables() {
    static std::vector<const Table*> loaded;
    return loaded;
}

const Op& op_at(int isa, int index) {
    if (isa < 0 || isa >= (int)tables().size() || index < 0 || index >= tables()[isa]->count)
        throw py::value_error("no such op in the native table");
    return tables()[isa]->ops[index];
}

}  // namespace quernel

namespace {

struct Prepared {
    std::vector<View> in, out;
    std::vector<int64_t> ints;
    std::vector<double> floats;
    const Op* op;
    Call call;

    Prepared(int isa, int index, const py::tuple& ins, const py::tuple& outs, const py::tuple& ints_,
             const py::tuple& floats_, int threads = num_threads()) {
        op = &op_at(isa, index);
        in.reserve(ins.size());
        out.reserve(outs.size());
        for (size_t i = 0; i < ins.size(); ++i) in.push_back(view_of(PyTuple_GET_ITEM(ins.ptr(), i), "input", i));
        for (size_t i = 0; i < outs.size(); ++i) out.push_back(view_of(PyTuple_GET_ITEM(outs.ptr(), i), "output", i));
        for (size_t i = 0; i < ints_.size(); ++i) ints.push_back(py::cast<int64_t>(ints_[i]));
        for (size_t i = 0; i < floats_.size(); ++i) floats.push_back(py::cast<double>(floats_[i]));
        call.in = in.data();
        call.out = out.data();
        call.n_in = (int32_t)in.size();
        call.n_out = (int32_t)out.size();
        call.ints = ints.data();
        call.floats = floats.data();
        call.n_ints = (int32_t)ints.size();
        call.n_floats = (int32_t)floats.size();
        prepare(*op, call, threads);
    }
    void check() const { check_outputs(op->name, in.data(), in.size(), out.data(), out.size()); }
};

void call_op(int isa, int index, const py::tuple& ins, const py::tuple& outs, const py::tuple& ints,
             const py::tuple& floats, bool check) {
    Prepared p(isa, index, ins, outs, ints, floats);
    if (check) p.check();
    if (!run_prepared(*p.op, p.call)) throw py::index_error(std::string(p.op->name) + ": an index is out of range");
}

py::dict estimate(int isa, int index, const py::tuple& ins, const py::tuple& outs, const py::tuple& ints,
                  const py::tuple& floats) {
    Prepared p(isa, index, ins, outs, ints, floats);
    py::dict d;
    d["flops"] = p.call.flops;
    d["bytes"] = p.call.bytes;
    d["ranks"] = p.call.ranks;
    d["scratch"] = p.call.scratch;
    return d;
}

// What `quernel bench` times: the call without Python, prepared once.
double repeat(int isa, int index, const py::tuple& ins, const py::tuple& outs, const py::tuple& ints,
              const py::tuple& floats, int threads, int64_t times) {
    Prepared p(isa, index, ins, outs, ints, floats, threads);
    p.check();
    struct Room {
        size_t bytes;
        char* data;
        explicit Room(int64_t n) : bytes((size_t)n), data(n ? static_cast<char*>(allocate(bytes)) : nullptr) {}
        ~Room() {
            if (data) release(data, bytes);
        }
    } room(p.call.scratch);
    py::gil_scoped_release nogil;
    const auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < times; ++i) run_call(*p.op, p.call, room.data);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

py::object empty(const std::vector<int64_t>& shape, const py::dtype& dtype) {
    const auto described = [&] {
        return "an array of shape " + std::string(py::str(py::tuple(py::cast(shape)))) + " and dtype " +
               std::string(py::str(dtype));
    };
    int64_t bytes = dtype.itemsize();
    for (int64_t n : shape) {
        if (n < 0) throw py::value_error("expected sizes of at least 0, received " + described());
        if (__builtin_mul_overflow(bytes, n, &bytes))
            throw py::value_error("expected an array whose bytes can be counted in 64 bits, received " + described());
    }
    static_assert(sizeof(int64_t) == sizeof(Py_intptr_t));
    return new_array(reinterpret_cast<const Py_intptr_t*>(shape.data()), (int)shape.size(), dtype.ptr(), bytes);
}

}  // namespace

PYBIND11_MODULE(_core, m) {
    m.doc() = "quernel's core: CPU detection, allocator, threads, and one generic call into the kernels of each ISA.";
    m.attr("compiler") = __VERSION__;
    m.def(
        "load",
        [](const py::capsule& capsule) {
            if (std::string(capsule.name()) != "quernel.table") throw py::type_error("not a quernel kernel table");
            const auto* table = static_cast<const Table*>(capsule.get_pointer());
            if (table->call_size != (int32_t)sizeof(Call))
                throw py::import_error("the kernel module is of another build than _core; reinstall quernel");
            tables().push_back(table);
            py::list ops;
            for (int i = 0; i < table->count; ++i)
                ops.append(py::make_tuple(table->ops[i].name, table->ops[i].inputs, table->ops[i].outputs));
            return py::make_tuple((int)tables().size() - 1, table->compiler, ops);
        },
        "Registers a _core_<isa> table; returns (index, compiler, ops).");
    m.def("call", call_op, "Prepares and runs one op.");
    m.def("estimate", estimate, "Prepares one op; returns its flops, bytes, ranks and scratch.");
    m.def("repeat", repeat, "Prepares one op and runs it `times` times on at most `threads` threads; returns seconds.");
    m.def("empty", empty, "An uninitialised array from the caching allocator.");
    m.def("cpu", [] {
        const CpuFeatures f = detect_cpu();
        py::dict d;
        d["avx2"] = f.avx2;
        d["fma"] = f.fma;
        d["avx512"] = f.avx512;
        d["avx512_bf16"] = f.avx512_bf16;
        d["amx_bf16"] = f.amx_bf16;
        d["neon"] = f.neon;
        return d;
    });
    m.def("cpu_runs", [](const std::string& isa) { return cpu_runs(isa.c_str()); });
    m.def("get_num_threads", num_threads);
    m.def("set_num_threads", [](int n) {
        if (n < 1) throw py::value_error("num_threads: expected a count of at least 1, received " + std::to_string(n));
        set_num_threads(n);
    });
    m.def("wake_us", wake_us, "Work below this many microseconds stays on one thread.");
    m.def("set_wake_us", set_wake_us,
          "Work below this many microseconds stays on one thread; 8 by default, 0 shares everything (tests).");
    m.def("thread_source", thread_source);
    m.def("cgroup_quota", cgroup_quota, py::arg("root") = "",
          "CPUs that the process's control groups leave it, 0 without a quota; `root` stands before /proc and /sys.");
    m.def("regions_opened", regions_opened);
    m.attr("openmp") = has_openmp();
    m.def("memory_stats", [] {
        const MemoryStats s = memory_stats();
        py::dict d;
        d["in_use"] = s.in_use;
        d["cached"] = s.cached;
        d["peak"] = s.peak;
        d["mapped"] = s.mapped;
        d["allocations"] = s.allocations;
        return d;
    });
    m.def("trim_memory", [] {
        trim_workspaces();
        trim_memory();
    });
    bind_entry(m);
    bind_plan(m);
    bind_measure(m);
}
