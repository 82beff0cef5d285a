"""The graph between the inputs and outputs of a functional model, in the order in which Keras sorts layers."""


class Graph:
    """What lies between `inputs` and `outputs` (flat lists of KerasTensors).

    Attributes:
        nodes: in an order in which they can run.
        operations: sorted by depth (farthest from the outputs first), then by the order of the walk from the outputs.
        by_depth: {depth: nodes}.

    Raises:
        ValueError: when an output needs a tensor that no input gives, when there is a cycle, or two layers share a
            name.
    """

    def __init__(self, inputs, outputs):
        self.inputs = inputs
        self._starts = {id(t) for t in inputs}
        finished, order = self._walk(outputs)
        self._sort(finished, order)
        self._check(outputs)

    def _children(self, node):
        """The nodes that made the inputs of `node`, in order; an inner tensor taken as a model's input has none."""
        found = []
        for tensor in node.inputs:
            if not hasattr(tensor, "_keras_history"):
                raise ValueError(f"Model: {tensor!r}, an input of layer {node.operation.name!r}, comes from no Input")
            child = tensor._keras_history[0]
            if id(tensor) not in self._starts or not child.inputs:
                found.append(child)
        return found

    def _walk(self, outputs):
        """Nodes with their parents before them, and {operation id: position} in the order in which the walk met
        them.
        """
        finished, done, order, open_nodes = [], set(), {}, set()
        for tensor in outputs:
            if not hasattr(tensor, "_keras_history"):
                raise ValueError(
                    f"Model: output {tensor!r} does not come from an Input: it was made outside of a graph"
                )
            if id(tensor) in self._starts and tensor._keras_history[0].inputs:
                continue  # an inner tensor taken as input
            stack = [(tensor._keras_history[0], None)]
            while stack:
                node, children = stack.pop()
                if children is None:
                    if id(node) in done:
                        continue
                    if id(node) in open_nodes:
                        raise ValueError(f"Model: the graph has a cycle at layer {node.operation.name!r}")
                    open_nodes.add(id(node))
                    order.setdefault(id(node.operation), len(order))
                    children = iter(self._children(node))
                child = next(children, None)
                if child is not None:
                    stack.append((node, children))
                    if id(child) not in done:
                        stack.append((child, None))
                    continue
                open_nodes.discard(id(node))
                if id(node) not in done:
                    done.add(id(node))
                    finished.append(node)
        return finished, order

    def _sort(self, finished, order):
        depth_of, operation_depth, operations = {}, {}, {}
        node_of = {}
        for node in reversed(finished):
            key = id(node.operation)
            depth = max(depth_of.setdefault(id(node), 0), operation_depth.get(key, 0))
            operation_depth[key] = depth_of[id(node)] = depth
            operations[key] = node.operation
            node_of[id(node)] = node
            for parent in self._children(node):
                depth_of[id(parent)] = max(depth + 1, depth_of.get(id(parent), 0))
        for tensor in self.inputs:  # those that no output needs
            node = tensor._keras_history[0]
            if not node.inputs and id(node.operation) not in operation_depth:
                operation_depth[id(node.operation)] = 0
                operations[id(node.operation)] = node.operation
                order[id(node.operation)] = -1
                depth_of[id(node)] = 0
                node_of[id(node)] = node
        self.by_depth = {}
        for key, depth in depth_of.items():
            self.by_depth.setdefault(depth, []).append(node_of[key])
        self.nodes = [node for depth in sorted(self.by_depth, reverse=True) for node in self.by_depth[depth]]
        self.operations = [operations[key] for key in sorted(operations, key=lambda k: (-operation_depth[k], order[k]))]

    def _check(self, outputs):
        known = set(self._starts)
        for node in self.nodes:
            for tensor in node.inputs:
                if id(tensor) not in known:
                    raise ValueError(
                        f"Model: the graph is disconnected: layer {node.operation.name!r} needs {tensor.name!r} "
                        f"(made by {tensor._keras_history[0].operation.name!r}), which follows from no input"
                    )
            if node.inputs:  # else it is an Input, which is known if it is one of the model's
                known.update(id(t) for t in node.outputs)
        names = {}
        for operation in self.operations:
            other = names.setdefault(operation.name, operation)
            if other is not operation:
                raise ValueError(f"Model: expected unique layer names, received {operation.name!r} twice; pass `name=`")
