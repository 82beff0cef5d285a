// The init symbol of one _core_<isa>, compiled with baseline flags: it checks the CPU before any other code of the
// module can run.
#include <Python.h>

#include "base/op.hpp"
#include "core/cpu.hpp"

namespace quernel {
namespace QUERNEL_ISA {
extern const Table table;
}
}  // namespace quernel

#define QUERNEL_JOIN_(a, b) a##b
#define QUERNEL_JOIN(a, b) QUERNEL_JOIN_(a, b)
#define QUERNEL_TEXT_(x) #x
#define QUERNEL_TEXT(x) QUERNEL_TEXT_(x)
#define QUERNEL_NAME "_core_" QUERNEL_TEXT(QUERNEL_ISA)

static int exec(PyObject* module) {
    if (!quernel::cpu_runs(QUERNEL_TEXT(QUERNEL_ISA))) {
        PyErr_SetString(PyExc_ImportError, "this CPU or its operating system lacks " QUERNEL_TEXT(QUERNEL_ISA));
        return -1;
    }
    PyObject* capsule =
        PyCapsule_New(const_cast<quernel::Table*>(&quernel::QUERNEL_ISA::table), "quernel.table", nullptr);
    if (!capsule) return -1;
    return PyModule_AddObject(module, "table", capsule);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, reinterpret_cast<void*>(exec)}, {0, nullptr}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                                 QUERNEL_NAME,
                                 "quernel kernels for " QUERNEL_TEXT(QUERNEL_ISA),
                                 0,
                                 nullptr,
                                 slots,
                                 nullptr,
                                 nullptr,
                                 nullptr};

PyMODINIT_FUNC QUERNEL_JOIN(PyInit__core_, QUERNEL_ISA)(void) { return PyModuleDef_Init(&definition); }
