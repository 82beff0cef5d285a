"""PyDataset: batches by number, the base of data sets that users write."""


class PyDataset:
    """Batches that fit, evaluate and predict ask for by number. Subclasses define `__len__` and `__getitem__`.

    In fit the batches come in a new order for each epoch unless `shuffle=False`; `on_epoch_end`, which may be
    overridden, is called after each epoch.

    Args:
        workers: number of threads that make batches. With 1 that is done between steps, or, where steps are long
            enough for that to pay, by one thread while a step runs.
        use_multiprocessing: False; batches are made by threads.
        max_queue_size: with several workers, how many batches may wait for their step.

    Raises:
        ValueError: a number below 1; use_multiprocessing=True.

    Example:
        >>> import numpy as np, quernel as qn
        >>> class Squares(qn.utils.PyDataset):
        ...     def __len__(self):
        ...         return 4
        ...     def __getitem__(self, i):
        ...         x = np.linspace(-1, 1, 32).reshape(4, 8, 1)[i]
        ...         return x, x * x
        >>> model = qn.Sequential([qn.layers.Dense(8, activation="relu"), qn.layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> len(model.fit(Squares(), epochs=3, verbose=0).history["loss"])
        3
    """

    def __init__(self, workers=1, use_multiprocessing=False, max_queue_size=10):
        if use_multiprocessing:
            raise ValueError("use_multiprocessing: expected False, received True; batches are made by threads")
        for name, value in (("workers", workers), ("max_queue_size", max_queue_size)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: expected an int of at least 1, received {value!r}")
        self.workers = workers
        self.use_multiprocessing = False
        self.max_queue_size = max_queue_size

    def __getitem__(self, index):
        raise TypeError(f"{type(self).__name__} has to define __getitem__")

    def __len__(self):
        raise TypeError(f"{type(self).__name__} has to define __len__")

    def on_epoch_end(self):
        """After each epoch, and each evaluation; may be overridden."""
