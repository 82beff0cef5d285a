"""The table of `Model.summary`: layers, output shapes, numbers of parameters, as Keras draws it."""

import math
import shutil
import sys

from .. import tree
from ..operation import KernelOperation

_BOX = {"heavy": "\u2501", "light": "\u2500", "left": "\u2502", "bar": "\u2503",
        "top": "\u250f\u2533\u2513", "head": "\u2521\u2547\u2529", "row": "\u251c\u253c\u2524",
        "end": "\u2514\u2534\u2518", "nest": "\u2514 ", "cut": "\u2026"}  # fmt: skip
_PLAIN = {"heavy": "=", "light": "-", "left": "|", "bar": "|", "top": "+++", "head": "+++", "row": "+++", "end": "+++",
          "nest": "- ", "cut": "~"}  # fmt: skip


def print_summary(model, line_length=None, print_fn=None, expand_nested=False, show_trainable=False):
    """Prints the table; see `Model.summary`."""
    box = _BOX if print_fn is not None or _speaks_boxes() else _PLAIN
    layers = _rows_of(model)
    branching = _is_branching(model)
    header = ["Layer (type)", "Output Shape", "Param #"] + ["Connected to"] * branching
    header += ["Trainable"] * show_trainable
    rows = []

    def add(layer, level):
        name = "   " * level + (box["nest"] if level else "") + f"{layer.name} ({_type_name(layer)})"
        row = [name, _output_shape(layer), _count(layer)]
        if branching:
            row.append(_connections(model, layer) if level == 0 else "-")
        if show_trainable:
            row.append(("Y" if layer.trainable else "N") if getattr(layer, "weights", ()) else "-")
        rows.append(row)
        if expand_nested:
            for sublayer in getattr(layer, "layers", ()):
                add(sublayer, level + 1)

    for layer in layers:
        add(layer, 0)
    width = line_length or min(80, shutil.get_terminal_size((80, 24)).columns)
    lines = [f'Model: "{model.name}"', *_table(header, rows, width, box), *_totals(model)]
    for line in lines:
        (print_fn or print)(line)


def _speaks_boxes():
    try:
        "".join(_BOX.values()).encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _rows_of(model):
    return getattr(model, "_operations", None) or model.layers


def _type_name(layer):
    kernel = getattr(layer, "kernel", None) if isinstance(layer, KernelOperation) else None
    return type(layer).__name__ if kernel is None else "".join(map(str.capitalize, kernel.name.split("_")))


def _is_branching(model):
    """Whether the graph of a functional model is more than a chain, so that each row names where its inputs
    come from.
    """
    graph = getattr(model, "_graph", None)
    if graph is None:
        return False
    if len(graph.nodes) != len(graph.operations):
        return True
    return any(len(nodes) > 1 or len(nodes[0].inputs) > 1 for nodes in graph.by_depth.values())


def _connections(model, operation):
    nodes = {id(node) for node in model._graph.nodes}
    sources = []
    for node in operation._inbound_nodes:
        if id(node) in nodes:
            for tensor in node.inputs:
                source, position = tensor._keras_history
                call = [id(n) for n in source.operation._inbound_nodes].index(id(source))
                sources.append(f"{source.operation.name}[{call}][{position}]")
    return ", ".join(sources) or "-"


def _output_shape(layer):
    if layer._inbound_nodes:
        shapes = tree.map_structure(lambda t: str(t.shape), layer._inbound_nodes[-1].structure)
    elif getattr(layer, "_build_shapes", None):
        try:
            shapes = tree.map_shapes(str, layer.compute_output_shape(*layer._build_shapes.values()))
        except (TypeError, ValueError):  # its `call` needs more than shapes
            return "?"
    else:
        return "?"
    return shapes if isinstance(shapes, str) else str(shapes).replace("'", "")


def _count(layer):
    if not hasattr(layer, "count_params"):
        return "0"
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def _table(header, rows, width, box):
    """Lines of the table: columns as wide as their text where that fits, else the widest give way and their
    text wraps.
    """
    columns = list(zip(header, *rows))
    sizes = [max(map(len, column)) for column in columns]
    room = width - 3 * len(header) - 1
    least = [min(size, len(head)) for size, head in zip(sizes, header)]
    if sum(least) > room:
        raise ValueError(f"summary: line_length: expected at least {sum(least) + width - room}, received {width}")
    while sum(sizes) > room:
        widest = max(range(len(sizes)), key=lambda i: (sizes[i] - least[i], sizes[i]))
        sizes[widest] -= 1
    spare = room - sum(sizes)
    for i in range(spare):
        sizes[i % len(sizes)] += 1

    def rule(kind, dash):
        left, middle, right = box[kind]
        return left + middle.join(box[dash] * (size + 2) for size in sizes) + right

    def lines_of(cells, bar):
        wrapped = [_wrap(cell, size) for cell, size in zip(cells, sizes)]
        for i in range(max(map(len, wrapped))):
            parts = []
            for column, (part, size) in enumerate(zip(wrapped, sizes)):
                text = part[i] if i < len(part) else ""
                parts.append(f" {text:>{size}} " if column == 2 else f" {text:<{size}} ")
            yield bar + bar.join(parts) + bar

    yield rule("top", "heavy")
    yield from lines_of(header, box["bar"])
    yield rule("head", "heavy")
    for i, row in enumerate(rows):
        if i:
            yield rule("row", "light")
        yield from lines_of(row, box["left"])
    yield rule("end", "light")


def _wrap(text, size):
    """The text in lines of at most `size` characters, broken at spaces where there are any."""
    lines, rest = [], text
    while len(rest) > size:
        cut = rest.rfind(" ", 1, size + 1)
        cut = cut if cut > 0 and rest[:cut].strip() else size
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*lines, rest]


def _totals(model):
    def line(label, variables):
        count = sum(math.prod(v.shape) for v in variables)
        size = sum(math.prod(v.shape) * v._array.itemsize for v in variables)
        return f" {label} params: {count:,} ({_bytes(size)})"

    optimizer = getattr(model, "optimizer", None)
    slots = list(optimizer.variables) if optimizer is not None and getattr(optimizer, "built", False) else []
    yield line("Total", model.weights + slots)
    yield line("Trainable", model.trainable_weights)
    yield line("Non-trainable", model.non_trainable_weights)
    if slots:
        yield line("Optimizer", slots)


def _bytes(size):
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.2f} {unit}"
        size /= 1024
    raise AssertionError("GB is the last unit")
