"""The steps of a recurrence: one call of a cell after the other, over the time axis of the inputs."""

from .. import ops, tree


def run_steps(step, sequences, states, mask, go_backwards, zero_output_for_mask, keep_all, stacked):
    """Calls output, states = step(inputs, states) for every time step.

    Where the mask says no, the states stay as they were, and the output is the state that goes on as output, or zeros.

    Args:
        step: function of one step's inputs (n, ...) and the states.
        sequences: Tensor (n, t, ...).
        states: list, or list of lists, of Tensors (n, ...).
        mask: None, or a Tensor of booleans (n, t).
        go_backwards: whether the last step comes first; the outputs come in the order of the calls.
        zero_output_for_mask: whether masked outputs are zeros.
        keep_all: whether all outputs are wanted.
        stacked: whether the state that goes on as output is the first of the last cell's, or the first of all.

    Returns:
        (the last output, the outputs (n, t, ...) or None, the states after the last step). Without any step the outputs
        are None, and the last one is the state that would go on.
    """
    inputs = time_steps(sequences)
    masks = [None] * len(inputs) if mask is None else time_steps(mask)
    if go_backwards:
        inputs, masks = inputs[::-1], masks[::-1]
    output, outputs = None, []
    for x, on in zip(inputs, masks):
        new_output, new_states = step(x, states)
        if on is None:
            output, states = new_output, new_states
        else:
            if zero_output_for_mask:
                instead = ops.zeros_like(new_output)
            else:
                instead = carried_output(first_state(states, stacked), output, new_output)
            output = choose(on, new_output, instead)
            pairs = zip(tree.flatten(new_states), tree.flatten(states))
            states = tree.pack(states, [choose(on, new, old) for new, old in pairs])
        if keep_all:
            outputs.append(output)
    if output is None:
        output = first_state(states, stacked)
    return output, ops.stack(outputs, axis=1) if outputs else None, states


def first_state(states, stacked):
    """The state that stands for an output."""
    return tree.flatten(states[-1] if stacked else states)[0]


def carried_output(state, before, like):
    """What stands in the place of a masked output: the state; where that has another shape than the outputs, the output
    before, or zeros for the first.
    """
    if tuple(state.shape) == tuple(like.shape):
        return state
    return ops.zeros_like(like) if before is None else before


def choose(mask, yes, no):
    """`yes` where the mask (n,) says so, else `no`."""
    for _ in range(len(yes.shape) - 1):
        mask = ops.expand_dims(mask, -1)
    return ops.where(mask, yes, no)


def time_steps(x):
    """x[:, 0], x[:, 1], ... as views. They are halves of halves, so that the gradients, each a slice put back into
    zeros, cost t log t and not t * t.
    """
    t = x.shape[1]
    if t == 0:
        return []
    if t == 1:
        return [ops.squeeze(x, 1)]
    return time_steps(x[:, : t // 2]) + time_steps(x[:, t // 2 :])
