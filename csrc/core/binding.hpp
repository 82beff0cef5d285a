// What the binding files share: the loaded op tables, and who adds what to the module.
#pragma once
#include <pybind11/pybind11.h>

#include <vector>

#include "base/op.hpp"

namespace quernel {

std::vector<const Table*>& tables();  // by the index that load() returned
const Op& op_at(int isa, int index);  // raises ValueError

void bind_plan(pybind11::module_& m);
void bind_measure(pybind11::module_& m);

}  // namespace quernel
