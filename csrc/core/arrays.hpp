// NumPy arrays as kernels see them, new ones from the caching allocator, and a call on them from Python.
#pragma once
#include <pybind11/numpy.h>

#include "base/op.hpp"

namespace quernel {

int dtype_code(int num);  // DType of NumPy's type number, -1 where no native kernel takes it

inline int dtype_num(PyObject* dtype) { return pybind11::detail::array_descriptor_proxy(dtype)->type_num; }

// Raises TypeError or ValueError, naming the array by its role and index.
View view_of(PyObject* object, const char* role, size_t index);

// Outputs that the caller supplied: no zero strides, no overlap with an input, with each other or within themselves.
void check_outputs(const char* op, const View* in, size_t n_in, const View* out, size_t n_out);

// An uninitialised array in C order of `bytes` bytes; `data`, if given, receives their address.
pybind11::object new_array(const Py_intptr_t* shape, int rank, PyObject* dtype, int64_t bytes, char** data = nullptr);

// Fills the call but for views and attributes, and prepares it; raises ValueError.
void prepare(const Op& op, Call& call, int threads);
bool releases_gil(const Call& call);
bool run_prepared(const Op& op, const Call& call);  // whether all indices were in range

void bind_entry(pybind11::module_& m);

}  // namespace quernel
