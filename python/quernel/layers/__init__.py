"""layers: the blocks that models are made of; each module is imported on use."""

from ..lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "layer": "Layer",
        "input_spec": "InputSpec",
        "input_layer": "Input InputLayer",
        "activation": "Activation ReLU Softmax",
        "bidirectional": "Bidirectional",
        "conv": "Conv2D DepthwiseConv2D",
        "dense": "Dense",
        "dropout": "Dropout",
        "embedding": "Embedding",
        "gru": "GRU GRUCell",
        "lstm": "LSTM LSTMCell",
        "masking": "Masking",
        "merging": "Add Average Concatenate Maximum Minimum Multiply Subtract",
        "normalization": "BatchNormalization",
        "pooling": "AveragePooling2D GlobalAveragePooling2D GlobalMaxPooling2D MaxPooling2D",
        "rescaling": "Rescaling",
        "reshaping": "Flatten Permute RepeatVector Reshape",
        "rnn": "RNN",
        "simple_rnn": "SimpleRNN SimpleRNNCell",
        "stacked_rnn_cells": "StackedRNNCells",
        "wrapper": "TimeDistributed Wrapper",
    },
)
