// Reads the slot of a Tensor and the dictionary of a Variable; makes Tensors without a call.
#include "core/tensors.hpp"

#include <structmember.h>

namespace py = pybind11;

namespace quernel {
namespace {

PyTypeObject* tensor_type = nullptr;
PyTypeObject* variable_type = nullptr;
Py_ssize_t array_offset = 0;  // of Tensor._array
PyObject *name_array, *name_value;

bool is_tensor(PyObject* value) {
    return Py_TYPE(value) == tensor_type || PyType_IsSubtype(Py_TYPE(value), tensor_type);
}

}  // namespace

bool knows_tensors() { return tensor_type; }

bool is_exact_tensor(PyObject* value) { return Py_TYPE(value) == tensor_type; }

PyObject* array_of(PyObject* value) {
    if (is_tensor(value)) {
        PyObject* array = *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(value) + array_offset);
        return array ? array : value;
    }
    if (Py_TYPE(value) != variable_type) return value;
    PyObject* array = PyObject_GetAttr(value, name_array);
    if (!array) throw py::error_already_set();
    Py_DECREF(array);  // the Variable keeps it
    return array;
}

py::object tensor_of(py::handle array) {
    PyObject* tensor = tensor_type->tp_alloc(tensor_type, 0);
    if (!tensor) throw py::error_already_set();
    *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(tensor) + array_offset) = array.inc_ref().ptr();
    return py::reinterpret_steal<py::object>(tensor);
}

py::object tensors_of(py::object result) {
    if (!PyTuple_CheckExact(result.ptr())) return tensor_of(result);
    py::tuple tensors(py::len(result));
    for (size_t i = 0; i < tensors.size(); ++i) tensors[i] = tensor_of(PyTuple_GET_ITEM(result.ptr(), (Py_ssize_t)i));
    return tensors;
}

py::object inputs_of_tapes(PyObject* inputs) {
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(inputs);
    bool variables = PyList_CheckExact(inputs);  // which its owner may change later
    for (Py_ssize_t i = 0; i < n; ++i) {
        PyObject* const value = PySequence_Fast_GET_ITEM(inputs, i);
        if (Py_TYPE(value) == variable_type)
            variables = true;
        else if (value != Py_None && !is_tensor(value))
            return {};
    }
    if (!variables) return py::reinterpret_borrow<py::object>(inputs);
    py::tuple read((size_t)n);
    for (Py_ssize_t i = 0; i < n; ++i) {
        auto value = py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(inputs, i));
        if (Py_TYPE(value.ptr()) == variable_type) {
            value = py::reinterpret_steal<py::object>(PyObject_GetAttr(value.ptr(), name_value));
            if (!value) throw py::error_already_set();
        }
        read[(size_t)i] = value;
    }
    return std::move(read);
}

void bind_tensors(py::module_& m) {
    m.def(
        "set_tensors",
        [](const py::type& tensor, const py::type& variable) {
            name_array = PyUnicode_InternFromString("_array");
            name_value = PyUnicode_InternFromString("value");
            const py::object member = tensor.attr("__dict__")["_array"];
            if (Py_TYPE(member.ptr()) != &PyMemberDescr_Type) throw py::type_error("expected a slot named _array");
            array_offset = reinterpret_cast<PyMemberDescrObject*>(member.ptr())->d_member->offset;
            tensor_type = reinterpret_cast<PyTypeObject*>(tensor.inc_ref().ptr());
            variable_type = reinterpret_cast<PyTypeObject*>(variable.inc_ref().ptr());
        },
        "The classes that `quick` takes.");
}

}  // namespace quernel
