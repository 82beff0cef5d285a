// Entry: what a Python `Kernel` inherits its call from. It knows the calls that were made before, by the dtypes and
// shapes of their arrays and the values of their attributes, and makes their like without Python.
//
// Everything that is not such a call goes the long way: Kernel.long_way checks it, finds who computes it, raises what
// there is to raise, and hands what it found to `remember`. So no rule and no message of an op is here.
#include <Python.h>

#include <memory>
#include <unordered_map>
#include <vector>

#include "core/arrays.hpp"
#include "core/binding.hpp"
#include "core/call_key.hpp"
#include "core/team.hpp"
#include "core/tensors.hpp"

namespace py = pybind11;

namespace quernel {
namespace {

using Key = CallKey;

constexpr size_t MOST_KNOWN = 512;  // calls of one op; then it begins anew

struct Output {
    Py_intptr_t shape[MAX_RANK];
    py::object dtype;
    View view;  // without its memory
    int64_t bytes;
};

struct Known {
    const Op* op;
    std::vector<int64_t> ints;
    std::vector<double> floats;
    std::vector<Output> outs;
    bool single;  // the result is an array and no tuple
    bool view;    // which NumPy makes: the definition is called, nothing else above is there
};

struct Calls {
    uint64_t lists = 0, updates = 0;  // bit i: input i is a list, is written
    Py_ssize_t inputs = 0;
    int64_t generation = -1;
    std::unordered_map<Key, std::shared_ptr<const Known>, HashCallKey> known;
};

struct Entry {
    PyObject_HEAD Calls* calls;
};

Calls& calls_of(PyObject* self) { return *reinterpret_cast<Entry*>(self)->calls; }

// What the whole process knows; guarded by the GIL.
int64_t generation = 0;          // of the choice of backend and instruction set
int64_t recorders = 0;           // at work: then every call goes the long way
thread_local int64_t tapes = 0;  // that record this thread's ops
PyObject* watch = nullptr;       // watch(kernel, inputs, result, attributes) tells this thread's tapes
PyObject *name_out, *name_long_way, *name_bad_index, *name_definition;

// One call as Python makes it. `tensors`: arrays come as Tensors and Variables, and so do the results.
struct Asked {
    PyObject* const* args;
    Py_ssize_t count;
    PyObject* keywords;  // a dict or null
    bool tensors;

    PyObject* at(Py_ssize_t i) const { return i < count ? args[i] : Py_None; }
    PyObject* array(PyObject* value) const { return tensors ? array_of(value) : value; }
};

// The call as a key; false for a call that needs a closer look: arrays of a class of their own, misaligned or of
// swapped bytes, lists where none are expected, attributes that are no plain values.
bool describe(const Calls& calls, const Asked& asked, Key& key, PyObject** out) {
    key.clear();
    if (asked.count > calls.inputs) return false;
    for (Py_ssize_t i = 0; i < calls.inputs; ++i) {
        PyObject* const arg = asked.at(i);
        if ((calls.lists >> i & 1) && PyList_CheckExact(arg)) {
            const Py_ssize_t n = PyList_GET_SIZE(arg);
            key.push_back(-2 - n);
            for (Py_ssize_t j = 0; j < n; ++j)
                if (!describe_array(asked.array(PyList_GET_ITEM(arg, j)), key)) return false;
        } else if (!describe_array(asked.array(arg), key)) {
            return false;
        }
    }
    if (!asked.keywords) return true;
    PyObject *name, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(asked.keywords, &position, &name, &value)) {
        if (!PyUnicode_CheckExact(name)) return false;
        if (PyUnicode_Compare(name, name_out) == 0) {
            if (asked.tensors) return false;
            if (value == Py_None) continue;
            if (!describe_out(value, key)) return false;
            *out = value;
            continue;
        }
        describe_text(name, key);
        if (!describe_value(value, key)) return false;
    }
    return true;
}

// --- known calls

// The views of a call and, of those that come from Python, their arrays: another thread may take them out of their list
// or Tensor, from the moment that an allocation runs a finalizer of Python's on.
struct Views {
    View room[16];
    PyObject* held[16] = {};
    std::vector<View> more;
    std::vector<py::object> more_held;
    View* data = room;
    int32_t count = 0;

    Views() = default;
    Views(const Views&) = delete;
    ~Views() {
        for (PyObject* object : held) Py_XDECREF(object);
    }

    void add(const View& v, PyObject* array = nullptr) {
        if (count < 16) {
            room[count] = v;
            held[count++] = Py_XNewRef(array);
            return;
        }
        if (more.empty()) more.assign(room, room + 16);
        more.push_back(v);
        more_held.push_back(py::reinterpret_borrow<py::object>(array));
        data = more.data();
        ++count;
    }
};

// What the call returns; a null object where an index is out of range.
py::object make(const Known& known, const Calls& calls, const Asked& asked, PyObject* out) {
    Views in, written;
    for (Py_ssize_t i = 0; i < calls.inputs; ++i) {
        PyObject* const arg = asked.at(i);
        Views& side = calls.updates >> i & 1 ? written : in;
        const auto add = [&](PyObject* array) { side.add(view_of(array, "input", (size_t)i), array); };
        if ((calls.lists >> i & 1) && PyList_CheckExact(arg)) {
            for (Py_ssize_t j = 0; j < PyList_GET_SIZE(arg); ++j) add(asked.array(PyList_GET_ITEM(arg, j)));
        } else {
            add(asked.array(arg));
        }
    }
    py::object result = py::none();
    if (out) {
        written.add(view_of(out, "output", 0));
        result = py::reinterpret_borrow<py::object>(out);
    } else if (!calls.updates) {
        if (!known.single) result = py::tuple(known.outs.size());
        for (size_t i = 0; i < known.outs.size(); ++i) {
            const Output& o = known.outs[i];
            written.add(o.view);
            py::object array =
                new_array(o.shape, o.view.rank, o.dtype.ptr(), o.bytes, &written.data[written.count - 1].data);
            if (known.single)
                result = std::move(array);
            else
                PyTuple_SET_ITEM(result.ptr(), (Py_ssize_t)i, array.release().ptr());
        }
    }
    Call call;
    call.in = in.data;
    call.out = written.data;
    call.n_in = in.count;
    call.n_out = written.count;
    call.ints = known.ints.data();
    call.floats = known.floats.data();
    call.n_ints = (int32_t)known.ints.size();
    call.n_floats = (int32_t)known.floats.size();
    prepare(*known.op, call, num_threads());
    if (out || calls.updates)
        check_outputs(known.op->name, in.data, (size_t)in.count, written.data, (size_t)written.count);
    if (!run_prepared(*known.op, call)) return {};
    return asked.tensors ? tensors_of(std::move(result)) : result;
}

// What a view's definition gives for a known call.
py::object make_view(PyObject* self, const Asked& asked) {
    py::tuple arrays((size_t)asked.count);
    for (Py_ssize_t i = 0; i < asked.count; ++i)
        arrays[(size_t)i] = py::reinterpret_borrow<py::object>(asked.array(asked.args[i]));
    const auto definition = py::reinterpret_steal<py::object>(PyObject_GetAttr(self, name_definition));
    if (!definition) throw py::error_already_set();
    auto result = py::reinterpret_steal<py::object>(PyObject_Call(definition.ptr(), arrays.ptr(), asked.keywords));
    if (!result) throw py::error_already_set();
    return asked.tensors ? tensor_of(result) : result;
}

// Whether a view of these is one of nobody's Variable, and of no list: then it is known, too.
bool plain_view(const Asked& asked) {
    for (Py_ssize_t i = 0; i < asked.count; ++i)
        if (asked.tensors && !is_exact_tensor(asked.args[i])) return false;
    PyObject *name, *value;
    Py_ssize_t position = 0;
    while (asked.keywords && PyDict_Next(asked.keywords, &position, &name, &value))
        if (PyList_CheckExact(value)) return false;
    return true;
}

enum Outcome { DONE, UNKNOWN, UNUSUAL, BAD_INDEX };

Outcome attempt(PyObject* self, const Asked& asked, py::object& result) {
    Calls& calls = calls_of(self);
    if (recorders) return UNUSUAL;
    static thread_local Key key;
    PyObject* out = nullptr;
    if (!describe(calls, asked, key, &out)) return UNUSUAL;
    if (calls.generation != generation) {
        calls.known.clear();
        calls.generation = generation;
    }
    const auto found = calls.known.find(key);
    if (found == calls.known.end()) return UNKNOWN;
    const std::shared_ptr<const Known> known = found->second;  // another thread may clear them during the call
    if (known->view) {
        if (!plain_view(asked)) return UNUSUAL;
        result = make_view(self, asked);
    } else {
        result = make(*known, calls, asked, out);
    }
    return result ? DONE : BAD_INDEX;
}

// --- Python's side

template <class F>
PyObject* guarded(F body) {
    try {
        return body();
    } catch (py::error_already_set& e) {
        e.restore();
    } catch (const py::builtin_exception& e) {
        e.set_error();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& e) {
        PyErr_SetString(PyExc_RuntimeError, e.what());
    }
    return nullptr;
}

PyObject* entry_new(PyTypeObject* type, PyObject*, PyObject*) {
    PyObject* self = type->tp_alloc(type, 0);
    if (self) reinterpret_cast<Entry*>(self)->calls = new Calls;
    return self;
}

void entry_free(PyObject* self) {
    PyTypeObject* const type = Py_TYPE(self);
    delete reinterpret_cast<Entry*>(self)->calls;
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* entry_call(PyObject* self, PyObject* args, PyObject* keywords) {
    return guarded([&]() -> PyObject* {
        const Asked asked{&PyTuple_GET_ITEM(args, 0), PyTuple_GET_SIZE(args), keywords, false};
        py::object result;
        const Outcome outcome = attempt(self, asked, result);
        if (outcome == DONE) return result.release().ptr();
        auto named = py::reinterpret_steal<py::dict>(keywords ? PyDict_Copy(keywords) : PyDict_New());
        if (outcome == BAD_INDEX) return PyObject_CallMethodObjArgs(self, name_bad_index, args, named.ptr(), nullptr);
        return PyObject_CallMethodObjArgs(self, name_long_way, args, named.ptr(),
                                          outcome == UNKNOWN ? Py_True : Py_False, nullptr);
    });
}

PyObject* entry_describe(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    Calls& calls = calls_of(self);
    if (count != 3) return PyErr_Format(PyExc_TypeError, "expected 3 arguments, received %zd", count);
    calls.lists = PyLong_AsUnsignedLongLong(args[0]);
    calls.updates = PyLong_AsUnsignedLongLong(args[1]);
    calls.inputs = PyLong_AsSsize_t(args[2]);
    if (PyErr_Occurred()) return nullptr;
    Py_RETURN_NONE;
}

// quick(inputs, attributes): the Tensor or Tensors of a known call, of which the tapes are told; None for other calls.
PyObject* entry_quick(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    if (!knows_tensors() || calls_of(self).updates || count != 2 || !PyDict_CheckExact(args[1])) Py_RETURN_NONE;
    if (!(PyTuple_CheckExact(args[0]) || PyList_CheckExact(args[0]))) Py_RETURN_NONE;
    return guarded([&]() -> PyObject* {
        auto inputs = py::reinterpret_borrow<py::object>(args[0]);
        if (tapes) inputs = inputs_of_tapes(args[0]);
        if (!inputs) Py_RETURN_NONE;
        const Asked asked{PySequence_Fast_ITEMS(inputs.ptr()), PySequence_Fast_GET_SIZE(inputs.ptr()), args[1], true};
        py::object result;
        if (attempt(self, asked, result) != DONE) Py_RETURN_NONE;
        if (tapes) {
            PyObject* const arguments[] = {self, inputs.ptr(), result.ptr(), args[1]};
            const auto told = py::reinterpret_steal<py::object>(PyObject_Vectorcall(watch, arguments, 4, nullptr));
            if (!told) throw py::error_already_set();
        }
        return result.release().ptr();
    });
}

// remember(args, keywords, generation, (call, isa, op, ints, floats), specs, single)
PyObject* entry_remember(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    if (count != 6 || !PyTuple_Check(args[0]) || !PyDict_Check(args[1]) || !PyTuple_Check(args[4]))
        return PyErr_Format(PyExc_TypeError, "expected (args, keywords, generation, payload, specs, single)");
    return guarded([&]() -> PyObject* {
        Calls& calls = calls_of(self);
        const Asked asked{&PyTuple_GET_ITEM(args[0], 0), PyTuple_GET_SIZE(args[0]), args[1], false};
        PyObject* out = nullptr;
        Key key;
        if (!describe(calls, asked, key, &out) || PyLong_AsLongLong(args[2]) != generation) Py_RETURN_NONE;
        auto known = std::make_shared<Known>();
        known->view = args[3] == Py_None;
        const auto payload = known->view ? py::tuple() : py::reinterpret_borrow<py::tuple>(args[3]);
        if (!known->view) {
            known->op = &op_at(payload[1].cast<int>(), payload[2].cast<int>());
            for (py::handle n : payload[3].cast<py::tuple>()) known->ints.push_back(n.cast<int64_t>());
            for (py::handle n : payload[4].cast<py::tuple>()) known->floats.push_back(n.cast<double>());
        }
        for (py::handle spec : py::reinterpret_borrow<py::tuple>(args[4])) {
            if (known->view) break;
            const auto shape = spec.attr("shape").cast<py::tuple>();
            Output o;
            o.dtype = spec.attr("dtype");
            o.view.data = nullptr;
            o.view.dtype = dtype_code(dtype_num(o.dtype.ptr()));
            o.view.rank = (int32_t)shape.size();
            if (o.view.dtype < 0 || o.view.rank > MAX_RANK) Py_RETURN_NONE;
            o.bytes = item_size(o.view.dtype);
            ptrdiff_t step = 1;
            for (int d = o.view.rank - 1; d >= 0; --d) {
                o.view.shape[d] = o.shape[d] = shape[(size_t)d].cast<Py_intptr_t>();
                o.view.stride[d] = step;
                if (o.shape[d] > 1) step *= o.shape[d];
                o.bytes *= o.shape[d];
            }
            known->outs.push_back(std::move(o));
        }
        known->single = args[5] == Py_True;
        if (calls.generation != generation || calls.known.size() >= MOST_KNOWN) calls.known.clear();
        calls.generation = generation;
        calls.known[std::move(key)] = std::move(known);
        Py_RETURN_NONE;
    });
}

PyMethodDef methods[] = {
    {"describe_inputs", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(entry_describe)), METH_FASTCALL,
     "describe_inputs(lists, updates, count): which inputs are lists, which are written, as bits; how many there are."},
    {"quick", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(entry_quick)), METH_FASTCALL,
     "quick(inputs, attributes): the Tensor or Tensors of a known call that nobody watches, else None."},
    {"remember", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(entry_remember)), METH_FASTCALL,
     "remember(args, keywords, generation, payload, specs, single): calls like this one are known; a view has no "
     "payload."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

void bind_entry(py::module_& m) {
    name_out = PyUnicode_InternFromString("out");
    name_long_way = PyUnicode_InternFromString("long_way");
    name_definition = PyUnicode_InternFromString("definition");
    name_bad_index = PyUnicode_InternFromString("bad_index");
    PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(entry_new)},
                           {Py_tp_dealloc, reinterpret_cast<void*>(entry_free)},
                           {Py_tp_call, reinterpret_cast<void*>(entry_call)},
                           {Py_tp_methods, methods},
                           {Py_tp_doc, const_cast<char*>("Knows and makes the calls of one op.")},
                           {0, nullptr}};
    PyType_Spec spec = {"quernel._core.Entry", sizeof(Entry), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
    m.attr("Entry") = py::reinterpret_steal<py::object>(PyType_FromSpec(&spec));
    m.def("set_generation", [](int64_t count) { generation = count; }, "Forgets all known calls.");
    m.def("set_recorders", [](int64_t count) { recorders = count; }, "While there are any, no call is a known one.");
    m.def("set_tapes", [](int64_t count) { tapes = count; }, "How many tapes record this thread's ops.");
    bind_tensors(m);
    m.def(
        "set_watch", [](const py::object& function) { watch = function.inc_ref().ptr(); },
        "Sets watch(kernel, inputs, result, attributes), which tells this thread's tapes of a known call.");
}

}  // namespace quernel
