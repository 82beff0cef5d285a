"""Keras's fit on TensorFlow. The variant is a list of words: jit or nojit, single or many (steps_per_execution: an epoch)."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from models import ADAM, get_weights, network, set_weights


class Adam(keras.optimizers.Adam):
    """Keras's, on the whole gradient of an embedding.

    TensorFlow hands over one row for each token, and Keras 3 squares these rows one by one, not their sum: second moments
    become too small and steps too large (a loss of 4.441 after an epoch of the LSTM, where every other peer has 4.515).
    """

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(tf.convert_to_tensor(gradient), variable, learning_rate)


class Peer:
    """The same calls as peer_quernel's "fit"."""

    def __init__(self, model, x, y, weights, variant, threads):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self.version = f"keras {keras.__version__} on tensorflow {tf.__version__}"
        self.model, self.x, self.y, self.weights = model, x, y, weights
        words = variant.split(",")
        self.network, self.made = network(keras, model)
        sgd = model.optimizer == "sgd"
        self.optimizer = keras.optimizers.SGD(model.rate) if sgd else Adam(model.rate, **ADAM)
        loss = {"mse": "mse", "bce": "binary_crossentropy", "crossentropy": "sparse_categorical_crossentropy"}[
            model.loss
        ]
        many = model.batches if "many" in words else 1
        self.network.compile(self.optimizer, loss, jit_compile="jit" in words, steps_per_execution=many)
        self.train(1)

    def train(self, epochs, in_order=False):
        self.network.fit(self.x, self.y, self.model.batch, epochs, verbose=0, shuffle=not in_order)

    def warm(self):
        self.train(1)

    def reset(self):
        set_weights(self.made, self.weights)
        for variable in self.optimizer.variables:
            if variable is not self.optimizer._learning_rate:
                variable.assign(np.zeros(variable.shape, variable.dtype))

    def get_weights(self):
        return get_weights(self.made)

    def predictor(self):
        return self.network.predict_on_batch  # far quicker than predict for one row
