"""The networks of the bench in PyTorch, and where their weights are in it."""

from typing import NamedTuple

import numpy as np
import torch
from models import LSTM, NORM, Block, Conv, Embed, Flatten, Mean, Pool, Stem, shape_after
from torch import nn


class Place(NamedTuple):
    """A tensor of the network; `turn` makes it of the bench's array, `back` the other way."""

    tensor: torch.Tensor
    turn: callable = np.asarray
    back: callable = np.asarray

    def put(self, array):
        self.tensor.copy_(torch.from_numpy(np.ascontiguousarray(self.turn(array))))

    def get(self):
        return np.ascontiguousarray(self.back(self.tensor.detach().contiguous().numpy()))


def dense_place(tensor, flat):
    """The matrix of a Linear layer; `flat`: the shape (h, w, c) that was flattened before it, channels first in torch."""
    if not flat:
        return Place(tensor, np.transpose, np.transpose)
    h, w, c = flat
    return Place(
        tensor,
        lambda a: a.reshape(h, w, c, -1).transpose(3, 2, 0, 1).reshape(-1, h * w * c),
        lambda a: a.reshape(-1, c, h, w).transpose(2, 3, 1, 0).reshape(h * w * c, -1),
    )


def conv_place(tensor):
    return Place(tensor, lambda a: a.transpose(3, 2, 0, 1), lambda a: a.transpose(2, 3, 1, 0))


def conv_norm(channels, filters, size, places):
    conv = nn.Conv2d(channels, filters, size, padding=size // 2, bias=False)
    norm = nn.BatchNorm2d(filters, NORM["epsilon"], 1 - NORM["momentum"])
    places += [conv_place(conv.weight)]
    places += [Place(t) for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var)]
    return nn.Sequential(conv, norm)


class Residual(nn.Module):
    def __init__(self, channels, filters, places):
        super().__init__()
        first = conv_norm(channels, filters, 3, places)
        self.way = nn.Sequential(first, nn.ReLU(), conv_norm(filters, filters, 3, places))
        self.skip = conv_norm(channels, filters, 1, places) if channels != filters else nn.Identity()

    def forward(self, x):
        return torch.relu(self.way(x) + self.skip(x))


class Recurrent(nn.Module):
    """Equal LSTM layers above each other; the second bias that torch has stays 0 and is not trained."""

    def __init__(self, features, units, layers, steps_first, places):
        super().__init__()
        self.steps_first = steps_first
        self.lstm = nn.LSTM(features, units, layers, batch_first=not steps_first)
        for i in range(layers):
            w, u, b, other = (getattr(self.lstm, f"{n}_l{i}") for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            nn.init.zeros_(other.requires_grad_(False))
            places += [Place(w, np.transpose, np.transpose), Place(u, np.transpose, np.transpose), Place(b)]

    def forward(self, x):
        if self.steps_first:
            return self.lstm(x.transpose(0, 1))[0].transpose(0, 1)
        return self.lstm(x)[0]


def build(model, layout, steps_first=False):
    """(the network up to the logits where the loss takes logits, the Places of its weights in the bench's order)."""
    layers, places, shape, flat = [], [], model.shape, None
    for i, layer in enumerate(model.layers):
        if isinstance(layer, Conv):
            conv = nn.Conv2d(shape[-1], layer.filters, 3)
            layers += [conv, nn.ReLU()]
            places += [conv_place(conv.weight), Place(conv.bias)]
        elif isinstance(layer, Stem):
            layers += [conv_norm(shape[-1], layer.filters, 3, places), nn.ReLU()]
        elif isinstance(layer, Block):
            layers.append(Residual(shape[-1], layer.filters, places))
        elif isinstance(layer, Pool):
            layers.append(nn.MaxPool2d(2))
        elif isinstance(layer, Mean):
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        elif isinstance(layer, Flatten):
            layers.append(nn.Flatten())
            flat = shape
        elif isinstance(layer, Embed):
            layers.append(nn.Embedding(*layer))
            places.append(Place(layers[-1].weight))
        elif isinstance(layer, LSTM):
            if model.layers[i - 1] != layer:  # else it is part of the one below
                number = next((n for n, other in enumerate(model.layers[i:]) if other != layer), len(model.layers) - i)
                layers.append(Recurrent(shape[-1], layer.units, number, steps_first, places))
        else:
            linear = nn.Linear(shape[-1], layer.units)
            layers.append(linear)
            places += [dense_place(linear.weight, flat), Place(linear.bias)]
            flat = None
            if layer.activation == "relu":
                layers.append(nn.ReLU())
            elif layer.activation == "sigmoid" and model.loss != "bce":
                layers.append(nn.Sigmoid())
        shape = shape_after(layer, shape)
    return nn.Sequential(*layers).to(memory_format=layout), places
