// Views of arrays, what must hold of outputs, new arrays, and one call.
#include "core/arrays.hpp"

#include <new>
#include <string>
#include <vector>

#include "core/allocator.hpp"
#include "core/gil.hpp"
#include "core/span.hpp"
#include "core/team.hpp"

namespace py = pybind11;

namespace quernel {
namespace {

// Who owns the memory of an array from new_array: its base.
struct Memory {
    PyObject_HEAD void* data;
    size_t bytes;
};

void free_memory(PyObject* self) {
    auto* memory = reinterpret_cast<Memory*>(self);
    PyTypeObject* const type = Py_TYPE(self);
    release(memory->data, memory->bytes);
    PyObject_Free(self);
    Py_DECREF(type);
}

PyTypeObject* memory_type() {
    static PyTypeObject* type = [] {
        PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(free_memory)},
                               {Py_tp_doc, const_cast<char*>("Memory of the caching allocator.")},
                               {0, nullptr}};
        PyType_Spec spec = {"quernel._core.Memory", sizeof(Memory), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
        PyObject* made = PyType_FromSpec(&spec);
        if (!made) throw py::error_already_set();
        return reinterpret_cast<PyTypeObject*>(made);
    }();
    return type;
}

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

char* scratch_for(size_t bytes) {
    static thread_local Scratch scratch;
    return scratch.need(bytes);
}

}  // namespace

// `long` is the 64-bit integer on Linux and macOS.
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
    const int code = dtype_code(dtype_num(array->descr));
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

void check_outputs(const char* op, const View* in, size_t n_in, const View* out, size_t n_out) {
    const auto refuse = [&](const char* why) { throw py::value_error(std::string(op) + ": out: " + why); };
    std::vector<Span> spans;
    spans.reserve(n_in + n_out);
    for (size_t i = 0; i < n_in; ++i)
        if (!in[i].absent()) spans.push_back(span_of(in[i]));
    const size_t read = spans.size();
    for (size_t i = 0; i < n_out; ++i) {
        if (out[i].absent() || out[i].size() == 0) continue;
        if (overlaps_itself(out[i])) refuse("expected an array whose elements do not overlap in memory; pass a copy");
        const Span s = span_of(out[i]);
        for (size_t j = read; j < spans.size(); ++j)
            if (s.meets(spans[j])) refuse("two output arrays overlap; pass separate arrays");
        for (size_t j = 0; j < read; ++j)
            if (s.meets(spans[j])) refuse("the output overlaps an input; pass a separate array");
        spans.push_back(s);
    }
}

py::object new_array(const Py_intptr_t* shape, int rank, PyObject* dtype, int64_t bytes, char** data) {
    using api = py::detail::npy_api;
    void* block;
    try {
        block = allocate((size_t)bytes);
    } catch (const std::bad_alloc&) {
        py::tuple sizes(rank);
        for (int d = 0; d < rank; ++d) sizes[d] = py::int_(shape[d]);
        PyErr_Format(PyExc_MemoryError, "there is no memory for an array of shape %S and dtype %S, %lld MB",
                     sizes.ptr(), dtype, (long long)(bytes >> 20));
        throw py::error_already_set();
    }
    auto* memory = PyObject_New(Memory, memory_type());
    if (!memory) {
        release(block, (size_t)bytes);
        throw py::error_already_set();
    }
    memory->data = block;
    memory->bytes = (size_t)bytes;
    auto base = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(memory));
    constexpr int flags = api::NPY_ARRAY_C_CONTIGUOUS_ | api::NPY_ARRAY_ALIGNED_ | api::NPY_ARRAY_WRITEABLE_;
    const api& numpy = api::get();
    Py_INCREF(dtype);  // which the next line takes
    auto array = py::reinterpret_steal<py::object>(
        numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, dtype, rank, shape, nullptr, block, flags, nullptr));
    if (!array || numpy.PyArray_SetBaseObject_(array.ptr(), base.release().ptr())) throw py::error_already_set();
    if (data) *data = static_cast<char*>(block);
    return array;
}

void prepare(const Op& op, Call& call, int threads) {
    call.threads = threads;
    call.wake_us = wake_us();
    call.ranks = 1;
    call.scratch = 0;
    call.flops = call.bytes = 0;
    call.error[0] = 0;
    if (!op.prepare(call)) throw py::value_error(std::string(op.name) + ": " + call.error);
}

// Only for work worth it: beside a busy Python thread a release costs 0.9 ms. The unit is about 20 us.
bool releases_gil(const Call& call) { return estimated_us(call) > 20; }

bool run_prepared(const Op& op, const Call& call) {
    char* const room = call.scratch ? scratch_for((size_t)call.scratch) : nullptr;
    if (!releases_gil(call)) return !run_call(op, call, room);
    WithoutGil work;
    return !run_call(op, call, room);
}

}  // namespace quernel
