"""PyTorch: eager or compiled.

The variant is a list of words: channels_last; foreach, fused or loop (the optimizer's kernels); compile, reduce, autotune
(torch.compile of network and loss in that mode), update (of the optimizer's step too), cpp (inductor's C++ wrapper);
one (a single thread, whatever --threads says: small steps may be faster so).
"""

import numpy as np
import torch
from models import ADAM, Conv, Flatten, Pool, shape_after
from torch import nn

MODES = {"compile": "default", "reduce": "reduce-overhead", "autotune": "max-autotune"}


def build(model, layout):
    """The network up to the logits where the loss takes logits."""
    layers, shape = [], model.shape
    for layer in model.layers:
        if isinstance(layer, Conv):
            layers += [nn.Conv2d(shape[-1], layer.filters, 3), nn.ReLU()]
        elif isinstance(layer, Pool):
            layers.append(nn.MaxPool2d(2))
        elif isinstance(layer, Flatten):
            layers.append(nn.Flatten())
        else:
            layers.append(nn.Linear(shape[-1], layer.units))
            if layer.activation == "relu":
                layers.append(nn.ReLU())
            elif layer.activation == "sigmoid" and model.loss != "bce":
                layers.append(nn.Sigmoid())
        shape = shape_after(layer, shape)
    return nn.Sequential(*layers).to(memory_format=layout)


class Peer:
    def __init__(self, model, x, y, weights, variant, threads):
        torch.set_flush_denormal(True)  # before the threads start, which inherit it
        words = variant.split(",")
        torch.set_num_threads(1 if "one" in words else threads)
        self.version = f"torch {torch.__version__}"
        self.model, self.weights = model, weights
        self.layout = torch.channels_last if "channels_last" in words else torch.contiguous_format
        self.network = build(model, self.layout)
        self.batches = self.prepare(x, y)
        loss_of = {"mse": nn.functional.mse_loss, "bce": nn.functional.binary_cross_entropy_with_logits,
                   "crossentropy": nn.functional.cross_entropy}[model.loss]  # fmt: skip
        how = {"foreach": "foreach" in words} if "fused" not in words else {"fused": True}
        parameters = self.network.parameters()
        if model.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(parameters, model.rate, **how)
        else:
            betas = ADAM["beta_1"], ADAM["beta_2"]
            self.optimizer = torch.optim.Adam(parameters, model.rate, betas, ADAM["epsilon"], **how)

        def loss(x, y):
            return loss_of(self.network(x), y)

        self.loss, self.update = loss, self.optimizer.step
        mode = next((MODES[word] for word in words if word in MODES), None)
        if mode:
            if "cpp" in words:
                torch._inductor.config.cpp_wrapper = True
            self.loss = torch.compile(loss, mode=mode)
            if "update" in words:
                self.update = torch.compile(lambda: self.optimizer.step(), mode=mode)
        self.train(1)

    def prepare(self, x, y):
        x, y = torch.from_numpy(x), torch.from_numpy(y)
        if self.model.has_conv:
            x = x.permute(0, 3, 1, 2)
        if self.model.loss == "crossentropy":
            y = y.long()
        pairs = zip(x.split(self.model.batch), y.split(self.model.batch))
        return [(a.contiguous(memory_format=self.layout), b.clone()) for a, b in pairs]

    def train(self, epochs, in_order=True):
        for _ in range(epochs):
            self.steps(self.batches)

    def steps(self, batches):
        loss_of, update, clear = self.loss, self.update, self.optimizer.zero_grad
        for x, y in batches:
            clear(set_to_none=True)
            loss_of(x, y).backward()
            update()

    def warm(self):
        self.steps(self.batches[:3])

    def reset(self):
        with torch.no_grad():
            for parameter, value in zip(self.network.parameters(), self.to_torch(self.weights)):
                parameter.copy_(torch.from_numpy(value))
            for state in self.optimizer.state.values():
                for value in state.values():
                    if value is not None:
                        value.zero_()

    def to_torch(self, weights, back=False):
        """Weights in torch's layouts, or from them."""
        result, shape = [], self.model.shape
        weights = iter(weights)
        flat = None  # the shape that was flattened: Linear behind it counts channels first
        for layer in self.model.layers:
            if isinstance(layer, Flatten):
                flat = shape
            elif not isinstance(layer, Pool):
                kernel, bias = next(weights), next(weights)
                if isinstance(layer, Conv):
                    kernel = kernel.transpose((2, 3, 1, 0) if back else (3, 2, 0, 1))
                elif flat:
                    h, w, c = flat
                    if back:
                        kernel = kernel.reshape(-1, c, h, w).transpose(2, 3, 1, 0).reshape(h * w * c, -1)
                    else:
                        kernel = kernel.reshape(h, w, c, -1).transpose(3, 2, 0, 1).reshape(-1, h * w * c)
                    flat = None
                else:
                    kernel = kernel.T
                result += [np.ascontiguousarray(kernel), bias]
            shape = shape_after(layer, shape)
        return result

    def get_weights(self):
        return self.to_torch([p.detach().contiguous().numpy() for p in self.network.parameters()], back=True)

    def predictor(self):
        def predict(row):
            x = torch.from_numpy(row)
            with torch.inference_mode():
                return self.network(x.permute(0, 3, 1, 2) if x.ndim == 4 else x).numpy()

        return predict
