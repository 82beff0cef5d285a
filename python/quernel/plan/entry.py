"""Entry: what a Function keeps for one signature of its arguments."""

_STATES = 8  # plans of a signature for different states of what is trainable


class Entry:
    """What is known of one signature: first recordings and plans, one for each state of the settings they depend on."""

    __slots__ = ("firsts", "plans")

    def __init__(self):
        self.firsts = []
        self.plans = []

    def plan(self):
        """The plan that holds now, or None."""
        for plan in self.plans:
            if plan.conditions.hold():
                return plan
        return None

    def take_first(self):
        """The first recording of a step under the present settings, or None; it is not kept."""
        found = next((trace for trace in self.firsts if trace.conditions.hold()), None)
        self.firsts = recent(trace for trace in self.firsts if trace is not found)
        return found


def recent(recordings):
    """Those whose settings may come back, the latest few."""
    return [r for r in recordings if r.conditions.may_return()][-_STATES + 1 :]
