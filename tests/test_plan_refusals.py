"""Recipes and runs that a plan refuses, so that a wrong recorder cannot corrupt memory."""

import numpy as np
import pytest
from plan_recipe import Recipe, run

import quernel as qn

pytestmark = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")


def simple(view=None, out=None, **replaced):
    recipe = Recipe()
    x, y = recipe.work((8,)), recipe.work((8,))
    recipe.op("exp", [x], [y])
    op = list(recipe.ops[0])
    if view is not None:
        op[1] = [view]
    if out is not None:
        op[2] = [out]
    recipe.ops[0] = tuple(op)
    for name, value in replaced.items():
        setattr(recipe, name, value)
    return recipe


F32 = 0
REFUSED = [
    (lambda: simple((0, 4, F32, (8,), (1,))), r"op 0 \(exp\): input 0: its bytes \[4, 36\) leave the root"),
    (lambda: simple((0, 0, F32, (8,), (-1,))), r"its bytes \[-28, 4\) leave the root"),
    (lambda: simple((0, -4, F32, (8,), (1,))), "leave the root"),
    (lambda: simple((0, 0, F32, (1 << 40, 1 << 40), (1 << 40, 1))), "bytes exceed 64 bits|leave the root"),
    (lambda: simple((0, 0, F32, (-8,), (1,))), "negative dimension"),
    (lambda: simple((0, 0, 9, (8,), (1,))), "unknown dtype code 9"),
    (lambda: simple((5, 0, F32, (8,), (1,))), "no root 5"),
    (lambda: simple((0, 2, F32, (7,), (1,))), "not aligned to its size"),
    (lambda: simple(out=(1, 0, F32, (8,), (0,))), "output 0: elements overlap"),
    (lambda: simple(out=(0, 0, F32, (8,), (1,))), r"op 0 \(exp\): output 0 overlaps another operand"),
    (lambda: simple(out=(1, 0, F32, (7,), (1,))), r"plan: op 0 \(exp\): "),
    (lambda: simple((0, 0, 1, (4,), (1,)), (1, 0, 1, (4,), (1,))), r"plan: op 0 \(exp\): "),
    (lambda: simple(workspace=64), "root 1: expected it within the workspace"),
    (lambda: simple(undo=[(0, 0, 4)]), "undo: expected state in fixed memory"),
    (lambda: simple(roots=[(7, 0, 32), (0, 64, 32)]), "unknown kind 7"),
    (lambda: simple(roots=[(2, 0, 32), (2, 1, 32)]), "arguments are read only"),
    (lambda: simple(roots=[(1, 0, 32), (0, 64, 32)]), "null address"),
    (lambda: simple(roots=[(0, 0, 32, 8), (0, 64, 32)]), "only arguments reach in front"),
]


@pytest.mark.parametrize("make,match", REFUSED, ids=range(len(REFUSED)))
def test_recipes_that_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make().plan()


def test_abort_points_and_undo_that_are_refused():
    for abort in (-2, 1):
        with pytest.raises(ValueError, match="abort_after: no op"):
            simple().plan(abort)
    recipe = simple()
    state = recipe.fixed(np.zeros(4, "float32"))
    recipe.undo.append((state.root, 8, 12))
    with pytest.raises(ValueError, match="the state leaves its root"):
        recipe.plan()


def test_runs_that_are_refused():
    recipe = Recipe()
    recipe.op("exp", [recipe.argument(0, (8,))], [recipe.output(0, (8,))])
    plan = recipe.plan()
    x, y = np.zeros(8, "float32"), np.zeros(8, "float32")
    with pytest.raises(ValueError, match="expected 1 arrays and advances for argument slots, received 0"):
        run(plan, [], [y])
    with pytest.raises(TypeError, match="output 0: expected a numpy.ndarray"):
        run(plan, [x], [[0.0] * 8])
    with pytest.raises(ValueError, match="argument 0: expected at least 32 bytes, received 28"):
        run(plan, [x[:7]], [y])
    with pytest.raises(ValueError, match="output 0: expected at least 96 bytes, received 32"):
        run(plan, [x], [y], steps=3, out_advance=(32,))
    with pytest.raises(ValueError, match="output 0: expected a writeable C-contiguous array"):
        run(plan, [x], [np.zeros(16, "float32")[::2]])
    y.flags.writeable = False
    with pytest.raises(ValueError, match="output 0: expected a writeable C-contiguous array"):
        run(plan, [x], [y])
    with pytest.raises(ValueError, match="steps: expected at least 1, received 0"):
        run(plan, [x], [x.copy()], steps=0)
