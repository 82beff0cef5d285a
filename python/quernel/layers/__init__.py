"""layers: the blocks that models are made of; each module is imported on use."""

from ..lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "layer": "Layer",
        "input_spec": "InputSpec",
        "input_layer": "Input InputLayer",
    },
)
