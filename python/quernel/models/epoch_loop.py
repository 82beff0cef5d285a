"""run_epoch: the loop over the batches of an epoch that fit, evaluate and predict share."""

import time

from .predictions import joined

TURN = 0.1  # seconds after which native steps give Python a turn: for Ctrl-C and the progress bar


def run_epoch(model, functions, epochs, callbacks, kind, shield=None, predictions=None):
    """Runs the steps of one epoch: many in one call of a Function, unless a callback wants to see batches.

    Args:
        model: the model; `steps_per_execution` steps are between two calls of a batch hook.
        functions: the Pair of the step.
        epochs: the Epochs.
        callbacks: the CallbackList.
        kind: "train", "test" or "predict", as in the names of the hooks.
        shield: a Shield that keeps steps whole, or None.
        predictions: the Predictions that take the outputs, or None.

    Returns:
        (what the last step returned, whether callbacks saw batches).
    """
    begin, end, timed = callbacks.batch_hooks(kind)
    watched = begin is not None or end is not None
    group = model.steps_per_execution if watched else 0
    step = in_group = 0  # steps done, in the epoch and since the last hook
    stops = kind == "train"
    clock = time.perf_counter
    shown = clock()
    logs = {}
    outputs = []  # of predict, since the last hook
    for part, limit in epochs:
        stop = min(part.done + limit, part.steps)
        while part.done < stop:
            count = stop - part.done
            if watched:
                count = min(count, group - in_group)
                if not in_group and begin is not None:
                    begin(step)
            into = None
            if predictions is not None:
                into = None if watched else _room(predictions, part, count)
                if into is None:
                    count = 1  # its outputs are those of one step
            before = clock()
            if shield is not None:
                shield.hold()
            try:
                done, logs = part.run(functions, count, TURN, into)
                step += done
            finally:
                if shield is not None:
                    shield.release()
            now = clock()
            epochs.took((now - before) / done)
            if into is not None:
                predictions.filled(done * part.size)
            elif predictions is not None:
                predictions.add(logs)
                if watched:
                    outputs.append(logs)
                logs = None
            if watched:
                in_group += done
                if in_group == group:
                    in_group = 0
                    if end is not None:
                        end(step - 1, _told(logs, outputs))
                    outputs.clear()
            elif timed is not None and now - shown >= TURN:
                shown = now
                timed(step - 1, logs)
            if stops and model.stop_training:
                break
        if stops and model.stop_training:
            break
    if in_group and end is not None:
        end(step - 1, _told(logs, outputs))
    if timed is not None and step and not watched:
        timed(step - 1, logs)
    return logs, watched


def _told(logs, outputs):
    """What a hook at the end of a batch gets: the logs, or of predict the outputs of all its steps."""
    if not outputs:
        return logs
    if len(outputs) == 1:
        return {"outputs": outputs[0]}
    return {"outputs": joined(*outputs)}


def _room(predictions, part, count):
    """Where the outputs of the next `count` steps of a part go, or None."""
    size = getattr(part, "size", None)
    return None if size is None else predictions.into(count, size)
