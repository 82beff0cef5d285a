// quernel._core. One generic call serves every op of every ISA, so an op adds no binding.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <new>
#include <string>
#include <vector>

#include "core/allocator.hpp"
#include "core/binding.hpp"
#include "core/cpu.hpp"
#include "core/cpus.hpp"
#include "core/gil.hpp"
#include "core/span.hpp"
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

// NumPy's type numbers; `long` is the 64-bit integer on Linux and macOS.
int dtype_code(int num) {
    using api = py::detail::npy_api;
    switch (num) {
        case api::NPY_FLOAT_:
            return F32;
        case api::NPY_DOUBLE_:
            return F64;
        case api::NPY_INT_:
            return I32;
        case api::NPY_LONG_:
            return sizeof(long) == 8 ? I64 : I32;
        case api::NPY_LONGLONG_:
            return I64;
        case api::NPY_UBYTE_:
            return U8;
        case api::NPY_BOOL_:
            return B8;
        default:
            return -1;
    }
}

View view_of(PyObject* object, const char* role, size_t index) {
    View v;
    if (object == Py_None) {
        v = {};
        v.rank = -1;
        return v;
    }
    const auto name = [&] { return std::string(role) + " " + std::to_string(index); };
    if (!py::isinstance<py::array>(py::handle(object))) throw py::type_error(name() + ": expected a numpy.ndarray");
    const auto* array = py::detail::array_proxy(object);
    v.rank = array->nd;
    if (v.rank > MAX_RANK)
        throw py::value_error(name() + ": expected at most 8 dimensions, received " + std::to_string(v.rank));
    const int code = dtype_code(py::reinterpret_borrow<py::dtype>(array->descr).num());
    if (code < 0) throw py::type_error(name() + ": no native kernel takes this dtype");
    v.dtype = code;
    if (!(array->flags & py::detail::npy_api::NPY_ARRAY_ALIGNED_))
        throw py::value_error(name() + ": expected elements at multiples of their size");
    v.data = array->data;
    const int64_t item = item_size(code);
    for (int d = 0; d < v.rank; ++d) {
        v.shape[d] = array->dimensions[d];
        if (array->strides[d] % item && v.shape[d] > 1)
            throw py::value_error(name() + ": strides are not multiples of the item size");
        v.stride[d] = array->strides[d] / item;
    }
    return v;
}

// Outputs that the caller supplied: no zero strides, no overlap with an input, with each other or within themselves.
void check_outputs(const std::string& op, const std::vector<View>& in, const std::vector<View>& out) {
    std::vector<Span> spans, read;
    spans.reserve(out.size());
    read.reserve(in.size());
    for (const View& v : in)
        if (!v.absent()) read.push_back(span_of(v));
    for (size_t i = 0; i < out.size(); ++i) {
        if (out[i].absent() || out[i].size() == 0) continue;
        if (overlaps_itself(out[i]))
            throw py::value_error(op + ": out: expected an array whose elements do not overlap in memory; pass a copy");
        const Span s = span_of(out[i]);
        for (const Span& other : spans)
            if (s.meets(other)) throw py::value_error(op + ": out: two output arrays overlap; pass separate arrays");
        spans.push_back(s);
        for (const Span& other : read)
            if (s.meets(other))
                throw py::value_error(op + ": out: the output overlaps an input; pass a separate array");
    }
}

void put(std::string& key, int64_t number) { key.append(reinterpret_cast<const char*>(&number), sizeof number); }

bool describe_array(PyObject* object, std::string& key) {
    using api = py::detail::npy_api;
    if (object == Py_None) {
        put(key, -1);
        return true;
    }
    if (Py_TYPE(object) != api::get().PyArray_Type_) return false;
    const auto* array = py::detail::array_proxy(object);
    const auto dtype = py::reinterpret_borrow<py::dtype>(array->descr);
    constexpr int usual = api::NPY_ARRAY_C_CONTIGUOUS_ | api::NPY_ARRAY_ALIGNED_;
    if ((array->flags & usual) != usual || dtype.byteorder() == '>') return false;
    put(key, array->nd);
    put(key, dtype.num());
    put(key, array->flags & api::NPY_ARRAY_WRITEABLE_);
    for (int d = 0; d < array->nd; ++d) put(key, array->dimensions[d]);
    return true;
}

// What a kernel's answer depends on besides attributes and values, as a dictionary key: dtypes, sizes, what may be
// written. None for a call that needs a closer look: an array of a class of its own, in another order in memory or of
// the bytes, and a list where bit i of `lists` does not expect one.
py::object described(const py::tuple& args, uint64_t lists) {
    std::string key;
    key.reserve(1024);
    for (size_t i = 0; i < args.size(); ++i) {
        PyObject* arg = PyTuple_GET_ITEM(args.ptr(), i);
        if (i < 64 && (lists >> i & 1) && PyList_CheckExact(arg)) {
            const Py_ssize_t n = PyList_GET_SIZE(arg);
            put(key, -2 - n);
            for (Py_ssize_t j = 0; j < n; ++j)
                if (!describe_array(PyList_GET_ITEM(arg, j), key)) return py::none();
        } else if (!describe_array(arg, key)) {
            return py::none();
        }
    }
    return py::bytes(key);
}

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
        call.threads = threads;
        call.wake_us = wake_us();
        call.ranks = 1;
        call.scratch = 0;
        call.flops = call.bytes = 0;
        call.error[0] = 0;
        if (!op->prepare(call)) throw py::value_error(std::string(op->name) + ": " + call.error);
    }
};

// Scratch of eager calls: one growing block per calling thread, kept between calls.
struct Scratch {
    char* data = nullptr;
    size_t bytes = 0;
    char* need(size_t n) {
        if (n > bytes) {
            if (data) release(data, bytes);
            data = nullptr;
            bytes = 0;
            data = static_cast<char*>(allocate(n));
            bytes = n;
        }
        return data;
    }
    ~Scratch() {
        if (data) release(data, bytes);
    }
};

// The GIL is released only for work worth it: beside a busy Python thread a release costs 0.9 ms. The unit is about 20
// us.
bool worth_releasing(const Call& call) { return estimated_us(call) > 20; }

void call_op(int isa, int index, const py::tuple& ins, const py::tuple& outs, const py::tuple& ints,
             const py::tuple& floats, bool check) {
    Prepared p(isa, index, ins, outs, ints, floats);
    if (check) check_outputs(p.op->name, p.in, p.out);
    static thread_local Scratch scratch;
    char* room = p.call.scratch ? scratch.need((size_t)p.call.scratch) : nullptr;
    int32_t bad;
    if (worth_releasing(p.call)) {
        WithoutGil work;
        bad = run_call(*p.op, p.call, room);
    } else {
        bad = run_call(*p.op, p.call, room);
    }
    if (bad) throw py::index_error(std::string(p.op->name) + ": an index is out of range");
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
    check_outputs(p.op->name, p.in, p.out);
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

py::array empty(const std::vector<int64_t>& shape, const py::dtype& dtype) {
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
    struct Owner {
        void* data;
        size_t bytes;
    };
    auto* owner = new Owner{nullptr, (size_t)bytes};
    try {
        owner->data = allocate(owner->bytes);
    } catch (const std::bad_alloc&) {
        delete owner;
        PyErr_SetString(PyExc_MemoryError,
                        ("there is no memory for " + described() + ", " + std::to_string(bytes >> 20) + " MB").c_str());
        throw py::error_already_set();
    }
    py::capsule base(owner, [](void* p) {
        auto* o = static_cast<Owner*>(p);
        release(o->data, o->bytes);
        delete o;
    });
    return py::array(dtype, shape, owner->data, base);
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
    m.def("described", described,
          "Arrays and lists of arrays as a key of their dtypes and sizes; None if one is unusual.");
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
    bind_plan(m);
    bind_measure(m);
}
