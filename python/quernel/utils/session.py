"""clear_session: forgets what the library remembers between models."""

from ..naming import clear_names
from ..random.seed_generator import forget_generator


def clear_session(free_memory=True):
    """Automatic names start again, and so does the global random generator.

    Args:
        free_memory: whether to collect garbage, so that models that nothing refers to give their memory back.

    Example:
        >>> import quernel as qn
        >>> qn.utils.clear_session()
        >>> qn.layers.Dense(1).name
        'dense'
    """
    clear_names()
    forget_generator()
    if free_memory:
        import gc

        gc.collect()
