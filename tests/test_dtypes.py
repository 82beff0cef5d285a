"""dtypes: the promotion table written out, names, policies."""

import numpy as np
import pytest

import quernel as qn
from quernel import dtypes

NAMES = {"b1": "bool", "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64", "i1": "int8", "i2": "int16",
         "i4": "int32", "i8": "int64", "bf": "bfloat16", "f2": "float16", "f4": "float32", "f8": "float64",
         "i*": int, "f*": float}  # fmt: skip
# Keras 3's table (that of JAX) with 64-bit types kept; i* and f* are Python scalars; floatx is float32.
TABLE = """
     b1 u1 u2 u4 u8 i1 i2 i4 i8 bf f2 f4 f8 i* f*
b1   b1 u1 u2 u4 u8 i1 i2 i4 i8 bf f2 f4 f8 i4 f4
u1   u1 u1 u2 u4 u8 i2 i2 i4 i8 bf f2 f4 f8 u1 f4
u2   u2 u2 u2 u4 u8 i4 i4 i4 i8 bf f2 f4 f8 u2 f4
u4   u4 u4 u4 u4 u8 i8 i8 i8 i8 bf f2 f4 f8 u4 f4
u8   u8 u8 u8 u8 u8 f4 f4 f4 f4 bf f2 f4 f8 u8 f4
i1   i1 i2 i4 i8 f4 i1 i2 i4 i8 bf f2 f4 f8 i1 f4
i2   i2 i2 i4 i8 f4 i2 i2 i4 i8 bf f2 f4 f8 i2 f4
i4   i4 i4 i4 i8 f4 i4 i4 i4 i8 bf f2 f4 f8 i4 f4
i8   i8 i8 i8 i8 f4 i8 i8 i8 i8 bf f2 f4 f8 i8 f4
bf   bf bf bf bf bf bf bf bf bf bf f4 f4 f8 bf bf
f2   f2 f2 f2 f2 f2 f2 f2 f2 f2 f4 f2 f4 f8 f2 f2
f4   f4 f4 f4 f4 f4 f4 f4 f4 f4 f4 f4 f4 f8 f4 f4
f8   f8 f8 f8 f8 f8 f8 f8 f8 f8 f8 f8 f8 f8 f8 f8
i*   i4 u1 u2 u4 u8 i1 i2 i4 i8 bf f2 f4 f8 i4 f4
f*   f4 f4 f4 f4 f4 f4 f4 f4 f4 bf f2 f4 f8 f4 f4
"""


def entries():
    rows = [line.split() for line in TABLE.strip().splitlines()]
    for row in rows[1:]:
        for column, result in zip(rows[0], row[1:]):
            yield row[0], column, result


def test_promotion_table():
    wrong = [(a, b, r) for a, b, r in entries() if dtypes.result_type(NAMES[a], NAMES[b]) != NAMES[r]]
    assert len(list(entries())) == 15 * 15
    assert not wrong


def test_promotion_of_values():
    assert dtypes.result_type() == "float32"
    assert dtypes.result_type(None, "int8") == "float32"
    assert (
        dtypes.result_type(3) == "int32" and dtypes.result_type(2.5) == "float32" and dtypes.result_type(True) == "bool"
    )
    assert dtypes.result_type(np.zeros(1, "int8"), 3) == "int8"
    assert dtypes.result_type(qn.constant([1, 2]), 0.5) == "float32"
    assert dtypes.result_type(np.zeros(1, "float32"), np.sqrt(2.0)) == "float32"  # NumPy's scalars are Python floats
    assert dtypes.result_type("uint8", "int8", "float16") == "float16"
    with pytest.raises(ValueError, match="expected one of .* received 'complex64'"):
        dtypes.result_type("complex64", "int8")


def test_weak_types_follow_floatx():
    dtypes.set_floatx("float64")
    try:
        assert dtypes.result_type(int, bool) == "int64"
        assert dtypes.result_type("int8", float) == "float64"
        assert dtypes.result_type("float32", float) == "float32"
        assert qn.constant([0.5]).dtype == "float64"
    finally:
        dtypes.set_floatx("float32")
    with pytest.raises(ValueError, match="expected .* received 'int8'"):
        dtypes.set_floatx("int8")


@pytest.mark.parametrize(
    ("given", "name"),
    [(None, "float32"), (float, "float32"), (int, "int32"), (bool, "bool"), ("float", "float32"), ("int", "int32"),
     ("f8", "float64"), (np.uint8, "uint8"), (np.dtype(">i4"), "int32"),
     (np.dtype("f8"), "float64"), (np.dtype("i8"), "int64"), (np.int64, "int64"),
     ("bfloat16", "bfloat16"), (np.zeros(1, "f2").dtype, "float16")],
)  # fmt: skip
def test_standardize_dtype(given, name):
    assert dtypes.standardize_dtype(given) == name


@pytest.mark.parametrize("bad", ["complex64", "float128", "no", object(), "S3"])
def test_standardize_dtype_refuses(bad):
    with pytest.raises(ValueError, match="dtype: expected one of"):
        dtypes.standardize_dtype(bad)


def test_policies():
    assert dtypes.DTypePolicy().name == "float32"
    policy = dtypes.policy("float64")
    assert (policy.compute_dtype, policy.variable_dtype) == ("float64", "float64")
    assert dtypes.policy(policy.get_config()) == policy == dtypes.DTypePolicy.from_config(policy.get_config())
    for name in ("mixed_float16", "mixed_bfloat16", "bfloat16"):
        with pytest.raises(ValueError, match=f"'{name}' is not supported: .* expected 'float32'"):
            dtypes.DTypePolicy(name)


def test_names_are_strings():
    assert qn.float32 == "float32" and qn.bool == "bool" and qn.uint8 == "uint8"
    assert all(getattr(dtypes, name) == name for name in dtypes.ALLOWED)


def test_conversion():
    assert qn.convert_to_tensor(1).dtype == "int32"
    assert qn.convert_to_tensor(2**40).dtype == "int64"  # it does not fit
    assert qn.convert_to_tensor([True]).dtype == "bool"
    assert qn.convert_to_tensor([1, 2.5]).dtype == "float32"
    assert qn.convert_to_tensor(np.zeros(2)).dtype == "float64"
    array = np.ones(3, "float32")
    tensor = qn.convert_to_tensor(array)
    array[0] = 7
    assert tensor.numpy().tolist() == [1, 1, 1]
    assert qn.constant([[1, 2]], dtype="float64").dtype == "float64"
    assert qn.constant(3.0, shape=(2, 2)).numpy().tolist() == [[3, 3], [3, 3]]
    with pytest.raises(TypeError, match="expected numbers"):
        qn.convert_to_tensor(["a"])
