"""What an optimizer keeps: its count of updates, its learning rate, and Variables beside those that it trains."""

from .. import initializers, recording
from ..dtypes import floatx
from ..naming import auto_name, name_scope
from ..variable import Variable
from .schedules.learning_rate_schedule import LearningRateSchedule


class State(recording.Versioned):
    """The state of an optimizer, and how Variables are added to it; the base of Optimizer.

    Args:
        learning_rate: a number, a Variable or a LearningRateSchedule.
        name: name of the optimizer, or None.
    """

    def __init__(self, learning_rate, name):
        self.name = name or auto_name(type(self).__name__)
        self.built = False
        self._variables = []
        self._trainable_variables = []
        self._index = {}  # id(variable) -> position
        with name_scope(self.name):
            self._iterations = Variable(0, dtype="int64", trainable=False, name="iteration")
            if not isinstance(learning_rate, (Variable, LearningRateSchedule)):
                if isinstance(learning_rate, bool) or not isinstance(learning_rate, (int, float)):
                    raise ValueError(
                        f"learning_rate: expected a number, a Variable or a LearningRateSchedule, "
                        f"received {learning_rate!r}"
                    )
                learning_rate = Variable(float(learning_rate), dtype=floatx(), trainable=False, name="learning_rate")
        self._learning_rate = learning_rate
        self._variables.append(self._iterations)
        if isinstance(learning_rate, Variable):
            self._variables.append(learning_rate)
        self._iterations._owner = self

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._index = _positions(self._trainable_variables)  # of a copy's or pickle's own

    @property
    def iterations(self):
        """The Variable that counts updates."""
        return self._iterations

    @property
    def learning_rate(self):
        """The Variable of the learning rate; assigning a number changes its value. With a schedule, what it gives the next
        update, as a Tensor; assigning another schedule takes its place.
        """
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            recording.touch_settings(rate)
            return rate(self._iterations.value)
        return rate

    @learning_rate.setter
    def learning_rate(self, value):
        if isinstance(value, LearningRateSchedule):
            if isinstance(self._learning_rate, Variable):
                self._variables = [v for v in self._variables if v is not self._learning_rate]
            self._learning_rate = value
        elif isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"learning_rate: {self.name!r} follows a {type(self._learning_rate).__name__}: expected another "
                f"LearningRateSchedule, received {value!r}; make an optimizer with a number to assign numbers"
            )
        else:
            self._learning_rate.assign(value)

    @property
    def variables(self):
        """iteration, learning_rate (none with a schedule), then what `build` adds, variable by variable."""
        return list(self._variables)

    def build(self, variables):
        """Makes the state for these variables; subclasses add theirs. Called by the first update."""
        self._trainable_variables = list(variables)
        self._index = _positions(self._trainable_variables)
        self.built = True

    def add_variable(self, shape, initializer="zeros", dtype=None, name=None):
        """A Variable of this optimizer."""
        with name_scope(self.name):
            variable = Variable(
                initializers.get(initializer), shape=shape, dtype=dtype or floatx(), trainable=False, name=name
            )
        self._variables.append(variable)
        variable._owner = self
        return variable

    def add_variable_from_reference(self, reference_variable, name="var", initializer="zeros"):
        """A Variable with the shape and dtype of another one."""
        name = f"{reference_variable.path.replace('/', '_')}_{name}"
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, name)

    def add_optimizer_variables(self, trainable_variables, name, initializer="zeros"):
        """For each variable one of this optimizer, or with several names a tuple of lists."""
        if isinstance(name, str):
            return [self.add_variable_from_reference(v, name, initializer) for v in trainable_variables]
        initializers_ = [initializer] * len(name) if isinstance(initializer, str) else initializer
        made = [
            [self.add_variable_from_reference(v, n, i) for n, i in zip(name, initializers_)]
            for v in trainable_variables
        ]
        return tuple(list(column) for column in zip(*made)) if made else tuple([] for _ in name)

    def assign(self, variable, value):
        """Gives a variable a new value."""
        variable.assign(value)

    def assign_add(self, variable, value):
        """Adds to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable, value):
        """Subtracts from a variable."""
        variable.assign_sub(value)

    def _get_variable_index(self, variable):
        return self._index[id(variable)]

    def slots(self, table, variables):
        """The entries for these variables of a list made in `build`."""
        return [table[self._index[id(v)]] for v in variables]

    def set_weights(self, weights):
        """Sets the values of `variables`, in their order."""
        if len(weights) != len(self._variables):
            raise ValueError(
                f"set_weights: expected {len(self._variables)} arrays, received {len(weights)}; build first"
            )
        for variable, weight in zip(self._variables, weights):
            variable.assign(weight)


def _positions(variables):
    return {id(v): i for i, v in enumerate(variables)}
