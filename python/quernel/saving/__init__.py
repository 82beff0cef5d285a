"""saving: classes by name, and files of weights."""

from ..lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "registry": "register_keras_serializable get_registered_name get_registered_object serialize_object "
        "deserialize_object CustomObjectScope custom_object_scope get_custom_objects",
        "weights": "save_weights load_weights",
        "atomic": "atomic_write",
    },
)
