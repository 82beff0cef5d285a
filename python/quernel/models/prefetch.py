"""Prefetcher: a thread that gets the next batch from an iterator while a step runs."""

import contextvars
import queue
import threading


class Prefetcher:
    """Takes one item at a time from iterators, in a thread: `ask(iterator)`, later `take()`.

    One item ahead and never more, so that an iterator is asked for no item that is not used. The iterator runs in a
    copy of the caller's context; what it raises, `take` raises.
    """

    def __init__(self):
        self.busy = False  # whether an item was asked for and not taken
        self._asked = queue.SimpleQueue()
        self._answers = queue.SimpleQueue()
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(_serve, self._asked, self._answers), name="quernel-prefetch", daemon=True
        )
        self._thread.start()

    def ask(self, iterator):
        """Starts to get the next item."""
        self.busy = True
        self._asked.put(iterator)

    def take(self):
        """The item asked for; None where the iterator has ended."""
        item, error = self._answers.get()
        self.busy = False
        if error is None:
            return item
        try:
            raise error
        finally:
            del error  # a traceback that refers to its own frame would keep the batch alive

    def close(self):
        """Ends the thread: at once, or after the item that it is at, which is not waited for for long.

        Returns:
            Whether it has ended.
        """
        self._asked.put(None)
        self._thread.join(timeout=0.1)  # Ctrl-C is promised to take 0.2 s
        return not self._thread.is_alive()


def _serve(asked, answers):
    while (iterator := asked.get()) is not None:
        item = error = None
        try:
            item = next(iterator, None)
        except BaseException as raised:  # whatever it is, the caller of take gets it
            error = raised
        answers.put((item, error))
        del iterator, item, error
