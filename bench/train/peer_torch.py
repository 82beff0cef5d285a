"""PyTorch: eager or compiled.

The variant is a list of words: channels_last; foreach, fused or loop (the optimizer's kernels); compile, reduce, autotune
(torch.compile of network and loss in that mode), update (of the optimizer's step too), cpp (inductor's C++ wrapper);
steps_first (recurrent layers on (steps, samples, features), where that is their own layout);
one (a single thread, whatever --threads says: small steps may be faster so).
"""

import torch
from models import ADAM
from torch_network import build

MODES = {"compile": "default", "reduce": "reduce-overhead", "autotune": "max-autotune"}


class Peer:
    def __init__(self, model, x, y, weights, variant, threads):
        torch.set_flush_denormal(True)  # before the threads start, which inherit it
        words = variant.split(",")
        torch.set_num_threads(1 if "one" in words else threads)
        self.version = f"torch {torch.__version__}"
        self.model, self.weights = model, weights
        self.layout = torch.channels_last if "channels_last" in words else torch.contiguous_format
        self.network, self.places = build(model, self.layout, "steps_first" in words)
        self.batches = self.prepare(x, y)
        functions = torch.nn.functional
        loss_of = {"mse": functions.mse_loss, "bce": functions.binary_cross_entropy_with_logits,
                   "crossentropy": functions.cross_entropy}[model.loss]  # fmt: skip
        how = {"foreach": "foreach" in words} if "fused" not in words else {"fused": True}
        parameters = self.network.parameters()
        if model.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(parameters, model.rate, **how)
        else:
            betas = ADAM["beta_1"], ADAM["beta_2"]
            self.optimizer = torch.optim.Adam(parameters, model.rate, betas, ADAM["epsilon"], **how)

        def loss(x, y):
            z = self.network(x)
            return loss_of(z.flatten(0, 1), y.flatten()) if model.has_tokens else loss_of(z, y)

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
        if self.model.has_tokens:
            x = x.long()
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
            for place, value in zip(self.places, self.weights):
                place.put(value)
            for state in self.optimizer.state.values():
                for value in state.values():
                    if value is not None:
                        value.zero_()

    def get_weights(self):
        return [place.get() for place in self.places]

    def predictor(self):
        def predict(row):
            x = torch.from_numpy(row)
            with torch.inference_mode():
                return self.network(x.permute(0, 3, 1, 2) if x.ndim == 4 else x).numpy()

        return predict
