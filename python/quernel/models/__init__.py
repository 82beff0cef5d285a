"""models: Model, Sequential, and what makes copies of them."""

from ..lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "model": "Model",
        "functional": "Functional",
        "sequential": "Sequential",
        "cloning": "clone_model model_from_json",
    },
)
