// quernel._core.Plan: the binding of plans.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/binding.hpp"
#include "core/gil.hpp"
#include "core/plan.hpp"

namespace py = pybind11;

namespace quernel {
namespace {

PlannedView planned_view(const py::handle& item) {
    PlannedView v{};
    if (item.is_none()) {
        v.view.rank = -1;
        return v;
    }
    const auto fields = py::reinterpret_borrow<py::sequence>(item);
    if (!py::isinstance<py::sequence>(item) || fields.size() != 5)
        throw py::value_error("plan: a view is (root, offset, dtype, shape, strides) or None");
    const py::sequence shape = fields[3], strides = fields[4];
    if (shape.size() != strides.size() || shape.size() > MAX_RANK)
        throw py::value_error("plan: a view has at most 8 dimensions and as many strides");
    v.root = fields[0].cast<int32_t>();
    v.offset = fields[1].cast<int64_t>();
    v.view.dtype = fields[2].cast<int32_t>();
    v.view.rank = (int32_t)shape.size();
    for (size_t d = 0; d < shape.size(); ++d) {
        v.view.shape[d] = shape[d].cast<int64_t>();
        v.view.stride[d] = strides[d].cast<ptrdiff_t>();
    }
    return v;
}

constexpr int64_t EPILOGUE = 1, IN_PLACE = 2;

std::unique_ptr<Plan> make_plan(int isa, int64_t workspace, const py::sequence& roots, const py::sequence& ops,
                                int abort_after, const py::sequence& undo) {
    Recipe recipe{};
    recipe.workspace = workspace;
    recipe.abort_after = abort_after;
    for (const py::handle& item : roots) {
        const auto t = item.cast<py::tuple>();
        if (t.size() != 3 && t.size() != 4)
            throw py::value_error("plan: a root is (kind, value, bytes) or (kind, value, bytes, before)");
        recipe.roots.push_back({t[0].cast<int32_t>(), t[1].cast<int64_t>(), t[2].cast<int64_t>(),
                                t.size() == 4 ? t[3].cast<int64_t>() : 0});
    }
    for (const py::handle& item : ops) {
        const auto t = item.cast<py::tuple>();
        if (t.size() != 6) throw py::value_error("plan: an op is (index, ins, outs, ints, floats, flags)");
        PlannedOp op{};
        op.op = &op_at(isa, t[0].cast<int>());
        for (const py::handle& view : t[1].cast<py::sequence>()) op.views.push_back(planned_view(view));
        op.n_in = (int32_t)op.views.size();
        for (const py::handle& view : t[2].cast<py::sequence>()) op.views.push_back(planned_view(view));
        for (const py::handle& n : t[3].cast<py::sequence>()) op.ints.push_back(n.cast<int64_t>());
        for (const py::handle& x : t[4].cast<py::sequence>()) op.floats.push_back(x.cast<double>());
        const int64_t flags = t[5].cast<int64_t>();
        if (flags & ~(EPILOGUE | IN_PLACE)) throw py::value_error("plan: unknown op flags " + std::to_string(flags));
        op.epilogue = flags & EPILOGUE;
        op.in_place = flags & IN_PLACE;
        recipe.ops.push_back(std::move(op));
    }
    for (const py::handle& item : undo) {
        const auto t = item.cast<py::tuple>();
        if (t.size() != 3) throw py::value_error("plan: an undo is (root, offset, bytes)");
        recipe.undo.push_back({t[0].cast<int32_t>(), t[1].cast<int64_t>(), t[2].cast<int64_t>()});
    }
    return std::unique_ptr<Plan>(new Plan(std::move(recipe)));
}

// The pointers of a tuple of arrays. What a C-contiguous array holds is compared with what the plan will touch; other
// strides are the caller's word. `passed` is reused between runs.
void read_slots(const py::tuple& arrays, const py::tuple& advance, const std::vector<int64_t>& bytes, bool output,
                int64_t last_step, std::vector<Passed>& passed) {
    const char* role = output ? "output " : "argument ";
    const size_t count = arrays.size();
    if (count != bytes.size() || advance.size() != count)
        throw py::value_error(std::string("plan: expected ") + std::to_string(bytes.size()) +
                              " arrays and advances for " + role + "slots, received " + std::to_string(count) +
                              " and " + std::to_string(advance.size()));
    passed.resize(count);
    for (size_t i = 0; i < count; ++i) {
        PyObject* object = PyTuple_GET_ITEM(arrays.ptr(), i);
        if (!py::isinstance<py::array>(object))
            throw py::type_error(std::string("plan: ") + role + std::to_string(i) + ": expected a numpy.ndarray");
        const auto* array = py::detail::array_proxy(object);
        const int64_t step = PyLong_AsLongLong(PyTuple_GET_ITEM(advance.ptr(), i));
        if (step == -1 && PyErr_Occurred()) throw py::error_already_set();
        passed[i] = {array->data, step};
        const bool contiguous = array->flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_;
        if (output && !(contiguous && (array->flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_)))
            throw py::value_error("plan: output " + std::to_string(i) + ": expected a writeable C-contiguous array");
        if (!contiguous) continue;
        int64_t held = py::reinterpret_borrow<py::array>(object).itemsize();
        for (int d = 0; d < array->nd; ++d) held *= array->dimensions[d];
        const __int128 reach = (__int128)step * last_step + bytes[i];
        if (bytes[i] && ((last_step && step < 0) || reach > held))  // one reversed row is contiguous
            throw py::value_error(std::string("plan: ") + role + std::to_string(i) + ": expected at least " +
                                  std::to_string((int64_t)reach) + " bytes, received " + std::to_string(held));
    }
}

Result go(Plan& plan, const Request& request) {
    Plan::Running running(plan, request);
    if (!running.worth_releasing()) return running.go();
    WithoutGil work;
    return running.go();
}

py::tuple run(Plan& plan, const py::tuple& args, const py::tuple& arg_advance, const py::tuple& outs,
              const py::tuple& out_advance, int64_t steps, bool every, double seconds) {
    static thread_local std::vector<Passed> passed_args, passed_outs;
    if (steps < 1) throw py::value_error("plan: steps: expected at least 1, received " + std::to_string(steps));
    read_slots(args, arg_advance, plan.recipe().arguments, false, steps - 1, passed_args);
    read_slots(outs, out_advance, plan.recipe().outputs, true, steps - 1, passed_outs);
    const Result result = go(plan, {passed_args.data(), passed_outs.data(), steps, every, seconds});
    return py::make_tuple(result.done, result.bad);
}

// One plan of a sequence: it runs `steps` steps, and its outputs, of the last step, move from turn to turn.
struct Job {
    Plan* plan;
    std::vector<Passed> args, outs, first_outs;
    int64_t steps;
};

Job job_of(const py::handle& item, int64_t turns) {
    const auto t = item.cast<py::tuple>();
    if (t.size() != 6) throw py::value_error("run_turns: a job is (plan, args, arg_advance, outs, out_advance, steps)");
    Job job{t[0].cast<Plan*>(), {}, {}, {}, t[5].cast<int64_t>()};
    if (job.steps < 1) throw py::value_error("run_turns: steps: expected at least 1 in each job");
    read_slots(t[1].cast<py::tuple>(), t[2].cast<py::tuple>(), job.plan->recipe().arguments, false, job.steps - 1,
               job.args);
    read_slots(t[3].cast<py::tuple>(), t[4].cast<py::tuple>(), job.plan->recipe().outputs, true, turns - 1,
               job.first_outs);
    job.outs = job.first_outs;
    for (Passed& out : job.outs) out.advance = 0;
    return job;
}

// (whole turns, job that met a bad index or -1, steps that it did before).
py::tuple run_turns(const py::sequence& items, int64_t turns, double seconds) {
    const auto begin = std::chrono::steady_clock::now();
    if (turns < 1) throw py::value_error("run_turns: turns: expected at least 1, received " + std::to_string(turns));
    std::vector<Job> jobs;
    for (const py::handle& item : items) jobs.push_back(job_of(item, turns));
    for (int64_t turn = 0; turn < turns; ++turn) {
        for (size_t j = 0; j < jobs.size(); ++j) {
            Job& job = jobs[j];
            for (size_t i = 0; i < job.outs.size(); ++i)
                job.outs[i].data = job.first_outs[i].data + turn * job.first_outs[i].advance;
            const Result result = go(*job.plan, {job.args.data(), job.outs.data(), job.steps, false, 0});
            if (result.bad) return py::make_tuple(turn, (int64_t)j, result.done);
        }
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
        if (seconds > 0 && spent.count() > seconds) return py::make_tuple(turn + 1, -1, 0);
    }
    return py::make_tuple(turns, -1, 0);
}

py::list describe(const Plan& plan, bool epilogue) {
    py::list list;
    for (const Plan::Description& op : plan.describe(epilogue)) {
        py::dict d;
        d["name"] = op.name;
        d["flops"] = op.flops;
        d["bytes"] = op.bytes;
        d["ranks"] = op.ranks;
        d["scratch"] = op.scratch;
        d["barrier_before"] = op.barrier_before;
        d["epilogue"] = op.epilogue;
        d["dynamic"] = op.dynamic;
        list.append(d);
    }
    return list;
}

}  // namespace

void bind_plan(py::module_& m) {
    py::tuple codes((size_t)DTYPES);
    for (int32_t i = 0; i < DTYPES; ++i) codes[(size_t)i] = py::str(dtype_name(i));
    m.attr("dtypes") = codes;  // a view's dtype code is an index into it
    py::class_<Plan>(m, "Plan", "A recorded step; see csrc/core/recipe.hpp for its parts.")
        .def(py::init(&make_plan), py::arg("isa"), py::arg("workspace"), py::arg("roots"), py::arg("ops"),
             py::arg("abort_after") = -1, py::arg("undo") = py::tuple())
        .def("run", run, "Runs up to `steps` steps; returns (steps done, whether the next one met a bad index).")
        .def("describe", describe, py::arg("epilogue") = true, "One dict an op, in order.")
        .def("profile", &Plan::profile, "Whether runs measure their ops from now on.")
        .def("times", [](const Plan& plan) {
            py::list list;
            for (const Plan::Time& t : plan.times()) list.append(py::make_tuple(t.runs, t.seconds));
            return list;
        });
    m.def("run_turns", run_turns, "Runs a sequence of plans, `turns` times over.");
    m.def("plan_stats", [] {
        const WorkspaceStats s = workspace_stats();
        py::dict d;
        d["workspaces"] = s.workspaces;
        d["workspace_bytes"] = s.bytes;
        d["leased"] = s.leased;
        d["plans"] = Plan::alive();
        return d;
    });
}

}  // namespace quernel
