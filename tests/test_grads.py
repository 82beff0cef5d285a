"""Gradient rules in float64: every case along a random direction, one tiny case an op element by element, second order."""

import importlib

import numpy as np
import pytest

import quernel as qn
from quernel import backward
from quernel.testing import gradcheck
from quernel.testing.cases import all_cases


def differentiable(case):
    kernel = getattr(qn.kernels, case.op)
    if kernel.updates:
        return False
    importlib.import_module(f"quernel.ops.{kernel.module}")
    return backward.RULES.get(kernel.name) is not None


CASES = [c for c in all_cases() if c.grad and differentiable(c)]


def parts(case):
    return getattr(qn.ops, case.op), getattr(qn.kernels, case.op), case.make("float64")


def small(case):
    return sum(a.size for a in case.make("float64") if isinstance(a, np.ndarray)) < 5000


@pytest.mark.parametrize("case", CASES, ids=str)
def test_along_a_direction(case):
    op, kernel, arrays = parts(case)
    gradcheck(op, kernel, arrays, case.attrs)


@pytest.mark.parametrize("case", [c for c in CASES if c.tiny], ids=str)
def test_every_element(case):
    op, kernel, arrays = parts(case)
    gradcheck(op, kernel, arrays, case.attrs, every_element=True)


@pytest.mark.parametrize("case", [c for c in CASES if small(c)], ids=str)
def test_second_order(case):
    op, kernel, arrays = parts(case)
    gradcheck(op, kernel, arrays, case.attrs, order=2)
