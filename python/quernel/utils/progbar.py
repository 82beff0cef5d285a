"""Progbar: a line that shows how far a loop is, its speed and its numbers, drawn by tqdm."""

import sys
import time

_BAR = "{n_fmt}/{total_fmt} |{bar:20}| {desc}"
_OPEN_BAR = "{n_fmt} {desc}"  # the number of steps is not known


class Progbar:
    """Shows steps done, time per step and the latest values.

    Args:
        target: number of steps, or None where unknown.
        width: width of the bar in characters.
        verbose: 0 silent, 1 a bar, 2 one line at the end.
        interval: least time between two refreshes in seconds.
        stateful_metrics: names of the values that are shown as they are; the others are averaged over the steps.
            None: all are shown as they are.
        unit_name: what a step is called.

    Example:
        >>> import quernel as qn
        >>> bar = qn.utils.Progbar(target=3, verbose=0)
        >>> for step in range(3):
        ...     bar.update(step + 1, [("loss", 0.5)])
    """

    def __init__(self, target, width=20, verbose=1, interval=0.05, stateful_metrics=None, unit_name="step"):
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.stateful_metrics = None if stateful_metrics is None else set(stateful_metrics)
        self.unit_name = unit_name
        self._bar = None
        self._values = {}  # name -> [sum, weight]
        self._seen = 0
        self._start = time.perf_counter()
        self._drawn = -interval

    def update(self, current, values=None, finalize=None):
        """Sets the number of steps done.

        Args:
            current: steps done.
            values: list of (name, value).
            finalize: whether this is the last update; by default when `current` reaches the target.
        """
        step = max(current - self._seen, 1)
        self._seen = current
        for name, value in values or ():
            if self.stateful_metrics is None or name in self.stateful_metrics:
                self._values[name] = [value, 1]
            else:
                total, weight = self._values.get(name, (0.0, 0))
                self._values[name] = [total + value * step, weight + step]
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        if self.verbose == 1 and (finalize or self._live()):
            now = time.perf_counter() - self._start
            if finalize or now - self._drawn >= self.interval:
                self._drawn = now
                self._draw(finalize)
        elif self.verbose == 2 and finalize:
            total = current if self.target is None else self.target
            seconds = time.perf_counter() - self._start
            print(f"{current}/{total} - {seconds:.0f}s - {self._text(' - ')}", flush=True)

    @staticmethod
    def _live():
        """Whether redrawing a line makes sense: a terminal or a notebook; a file or a pipe gets the last state only."""
        return sys.stdout.isatty() or "ipykernel" in sys.modules

    def add(self, n, values=None):
        """Counts `n` more steps."""
        self.update(self._seen + n, values)

    def _draw(self, last):
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=self.target,
                file=sys.stdout,
                leave=True,
                delay=1e-9,  # nothing is drawn before the first refresh
                bar_format=_OPEN_BAR if self.target is None else _BAR.replace("20", str(self.width)),
            )
        self._bar.n = self._seen
        self._bar.set_description_str(self._text(" - "), refresh=False)
        if last:
            self._bar.close()
            self._bar = None
        else:
            self._bar.refresh()

    def _text(self, separator):
        """Time per step and values, joined."""
        per = (time.perf_counter() - self._start) / max(self._seen, 1)
        scale, unit = next((s, u) for s, u, limit in ((1, "s", 1), (1e3, "ms", 1e-3), (1e6, "us", 0)) if per >= limit)
        parts = [f"{per * scale:.3g}{unit}/{self.unit_name}"]
        for name, (total, weight) in self._values.items():
            value = total / max(weight, 1)
            parts.append(f"{name}: {value:.4f}" if abs(value) > 1e-3 else f"{name}: {value:.4e}")
        return separator.join(parts)
