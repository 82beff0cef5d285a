// Tensors and Variables, classes of Python: the arrays in them, and new Tensors.
#pragma once
#include <pybind11/pybind11.h>

namespace quernel {

bool knows_tensors();                   // set_tensors was called: variable.py has been imported
bool is_exact_tensor(PyObject* value);  // of no class derived from Tensor
PyObject* array_of(PyObject* value);    // of a Tensor or Variable, anything else as it is; borrowed
pybind11::object tensor_of(pybind11::handle array);
pybind11::object tensors_of(pybind11::object result);  // of an array or a tuple of arrays

// The inputs of a call that tapes watch, Variables read in their order; a null object where one is neither Tensor nor
// Variable nor None.
pybind11::object inputs_of_tapes(PyObject* inputs);

void bind_tensors(pybind11::module_& m);

}  // namespace quernel
