// Arrays and attributes as parts of a key.
#include "core/call_key.hpp"

#include <cstring>

#include "core/arrays.hpp"

namespace py = pybind11;

namespace quernel {
namespace {

enum Tag : int64_t { INT = 1, FLOAT, BOOL, NONE, TEXT, TUPLE, LIST, OUT };

}  // namespace

bool describe_array(PyObject* object, CallKey& key) {
    using api = py::detail::npy_api;
    if (object == Py_None) {
        key.push_back(-1);
        return true;
    }
    if (Py_TYPE(object) != api::get().PyArray_Type_) return false;
    const auto* array = py::detail::array_proxy(object);
    const auto* dtype = py::detail::array_descriptor_proxy(array->descr);
    const int code = dtype_code(dtype->type_num);
    if (code < 0 || dtype->byteorder == '>' || array->nd > MAX_RANK) return false;
    if (!(array->flags & api::NPY_ARRAY_ALIGNED_)) return false;
    key.push_back(array->nd | dtype->type_num << 8 | (array->flags & api::NPY_ARRAY_WRITEABLE_ ? 1 << 30 : 0));
    const int64_t odd = item_size(code) - 1;
    for (int d = 0; d < array->nd; ++d) {
        if (array->strides[d] & odd) return false;
        key.push_back(array->dimensions[d]);
    }
    return true;
}

void describe_text(PyObject* text, CallKey& key) {
    const Py_ssize_t bytes = PyUnicode_GET_LENGTH(text) * PyUnicode_KIND(text);
    const size_t at = key.size();
    key.resize(at + 3 + (size_t)bytes / 8, 0);
    key[at] = TEXT;
    key[at + 1] = bytes * 8 + PyUnicode_KIND(text);
    std::memcpy(&key[at + 2], PyUnicode_DATA(text), (size_t)bytes);
}

// Tells 2.0 from 2, True from 1 and -0.0 from 0.0.
bool describe_value(PyObject* value, CallKey& key) {
    if (value == Py_None) {
        key.push_back(NONE);
    } else if (PyBool_Check(value)) {
        key.push_back(BOOL);
        key.push_back(value == Py_True);
    } else if (PyLong_CheckExact(value)) {
        int overflow;
        key.push_back(INT);
        key.push_back(PyLong_AsLongLongAndOverflow(value, &overflow));
        return !overflow;
    } else if (PyFloat_CheckExact(value)) {
        int64_t bits;
        const double number = PyFloat_AS_DOUBLE(value);
        std::memcpy(&bits, &number, sizeof bits);
        key.push_back(FLOAT);
        key.push_back(bits);
    } else if (PyUnicode_CheckExact(value)) {
        describe_text(value, key);
    } else if (PyTuple_CheckExact(value) || PyList_CheckExact(value)) {
        const Py_ssize_t n = PySequence_Fast_GET_SIZE(value);
        key.push_back(PyTuple_CheckExact(value) ? TUPLE : LIST);
        key.push_back(n);
        for (Py_ssize_t i = 0; i < n; ++i)
            if (!describe_value(PySequence_Fast_GET_ITEM(value, i), key)) return false;
    } else {
        return false;
    }
    return true;
}

bool describe_out(PyObject* out, CallKey& key) {
    using api = py::detail::npy_api;
    key.push_back(OUT);
    if (out == Py_None || !describe_array(out, key)) return false;
    return py::detail::array_proxy(out)->flags & api::NPY_ARRAY_C_CONTIGUOUS_;
}

}  // namespace quernel
