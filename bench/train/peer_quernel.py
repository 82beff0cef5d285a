"""quernel as a peer: fit, train_on_batch, a step written by hand and wrapped by qn.function, or the bare plan of fit's step.

The last is what fit's own cost is measured against: one native call for an epoch of batches in the arrays' order.
"""

import numpy as np
from models import ADAM, get_weights, network, set_weights

import quernel as qn


def build(model):
    """(the compiled model, without metrics beyond the loss; its layers with weights)."""
    net, made = network(qn, model)
    sgd = model.optimizer == "sgd"
    optimizer = qn.optimizers.SGD(model.rate) if sgd else qn.optimizers.Adam(model.rate, **ADAM)
    losses = {"mse": qn.losses.MeanSquaredError, "bce": qn.losses.BinaryCrossentropy,
              "crossentropy": qn.losses.SparseCategoricalCrossentropy}  # fmt: skip
    net.compile(optimizer, losses[model.loss]())
    return net, made


class Peer:
    """variant: "fit", "fit_in_order", "train_on_batch", "function" or "plan"."""

    def __init__(self, model, x, y, weights, variant, threads):
        qn.set_num_threads(threads)
        self.version = f"quernel {qn.__version__} ({qn.backend.isa()})"
        self.model, self.x, self.y, self.weights, self.variant = model, x, y, weights, variant
        size = model.batch
        self.batches = [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]
        self.network, self.made = build(model)
        if variant == "function":
            self.step = qn.function(self.by_hand)
        if variant == "plan":
            self.step = qn.plan.Function(self.network.train_step, "train_step")
        self.train(1)

    def by_hand(self, x, y):
        with qn.GradientTape() as tape:
            loss = self.network.loss(y, self.network(x, training=True))
        variables = self.network.trainable_variables
        self.network.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    def train(self, epochs, in_order=False):
        if self.variant.startswith("fit"):
            self.fit(self.x, self.y, epochs, shuffle=self.variant == "fit" and not in_order)
            return
        if self.variant == "plan":
            for _ in range(epochs):
                self.walk(self.x, self.y, self.model.batches)
            return
        step = self.network.train_on_batch if self.variant == "train_on_batch" else self.step
        for _ in range(epochs):
            for x, y in self.batches:
                step(x, y)

    def fit(self, x, y, epochs, shuffle=True):
        self.network.fit(x, y, batch_size=self.model.batch, epochs=epochs, shuffle=shuffle, verbose=0)

    def walk(self, x, y, steps):
        size, done = self.model.batch, 0
        while done < steps:  # one call, but for the first steps, which are recorded
            rows = tuple(qn.plan.Rows(a[done * size :], size) for a in (x, y))
            done += self.step.loop((rows,), steps - done)[0]

    def warm(self):
        if self.variant.startswith("fit"):
            self.fit(*self.batches[0], 3)
        elif self.variant == "plan":
            self.walk(self.x, self.y, 3)
        else:
            for x, y in self.batches[:3]:
                self.network.train_on_batch(x, y) if self.variant == "train_on_batch" else self.step(x, y)

    def reset(self):
        set_weights(self.made, self.weights)
        optimizer = self.network.optimizer
        for variable in optimizer.variables:
            if variable is not optimizer.learning_rate:
                variable.assign(np.zeros(variable.shape, variable.dtype))

    def get_weights(self):
        return get_weights(self.made)

    def predictor(self):
        return lambda row: self.network.predict(row, verbose=0)
