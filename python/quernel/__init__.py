"""quernel: a deep-learning library whose kernels are its own, under Keras 3's names.

Everything is imported on use; `import quernel` itself loads the compiled core, and NumPy comes with the first use.
"""

__version__ = "0.1.0"

from . import backend as backend
from .backend import get_num_threads as get_num_threads
from .backend import set_num_threads as set_num_threads
from .lazy import lazy as _lazy

_MODULES = (
    "activations autograd callbacks constraints datasets dtypes initializers kernels layers losses metrics models "
    "naming operation ops optimizers plan random regularizers saving tensor testing tree utils variable"
)

__getattr__, __dir__ = _lazy(
    __name__,
    {
        **{module: module for module in _MODULES.split()},
        "autograd": "autograd GradientTape",
        "plan": "plan function memory_stats",
        "variable": "variable Variable",
        "tensor": "tensor Tensor constant convert_to_tensor",
        "operation": "operation KerasTensor Operation",
        "naming": "naming name_scope",
        "dtypes": "dtypes DTypePolicy bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
        "float16 float32 float64 bfloat16",
        "ops": "ops cast zeros ones stop_gradient",
        "layers": "layers Layer Input",
        "models": "models Model Sequential",
        "cli.info": "explain show_config",
    },
    globals(),
)
