"""The bench: its cases' arrays, its probes, rounds dropped, ratios, the roof's choice, comparison, the command line."""

import importlib.util
import json
import signal
import subprocess
import sys

import numpy as np
import pytest

import quernel as qn
from quernel.bench import compare, families, results, roof
from quernel.bench.apart import Apart
from quernel.bench.contestants import Ours, nearest, placed
from quernel.bench.peers import find
from quernel.bench.run import Row, choose_cases
from quernel.testing.case import MANY, Case, normal, rows_apart, shifted
from quernel.testing.cases import all_cases, speed_cases


def _make(array):
    return array.make(np.random.Generator(np.random.Philox(3)), "float32")


def test_rows_apart_keeps_the_values_and_moves_the_rows():
    plain, apart = _make(normal(2, 5, 7)), _make(rows_apart(normal(2, 5, 7), 4096))
    assert apart.strides == (5 * 4096 * 4, 4096 * 4, 4)
    assert np.array_equal(plain, apart)


def test_shifted_starts_past_a_boundary():
    for offset in (0, 1, 3):
        moved = _make(shifted(normal(5, 7), offset))
        assert moved.ctypes.data % 64 == 4 * offset
        assert np.array_equal(moved, _make(normal(5, 7)))


def test_long_arrays_repeat_their_values():
    long = _make(normal(MANY + 3))
    assert np.array_equal(long[MANY:], long[:3]) and len(np.unique(long[:1000])) > 990


class _Case:
    def __init__(self, op="relu", name="x"):
        self.op, self.name, self.inputs = op, name, (normal(3),)


def _row(marks, kernel, peer=None, op="relu", family="activations", name="x"):
    row = Row.__new__(Row)
    row.case, row.isa, row.threads, row.family, row.ranks = _Case(op, name), "avx512", 1, family, 1
    row.flops, row.bytes, row.footprint, row.left_out, row.tried = 2e9, 1e9, 10, {}, {}
    row.marks, row.allowed = marks, [{"copy": 0.5, "near": 0.8}] * len(marks)
    row.at_most = row.allowed
    row.samples = {"kernel": kernel, "call": [2 * t for t in kernel]}
    row.crowded = {name: [False] * len(marks) for name in ("kernel", "call", "torch")}
    row.settings, row.against = {}, {}
    if peer is not None:
        row.samples["torch"], row.settings["torch"], row.against["torch"] = peer, "1 thread", "call"
    return row


def test_noisy_rounds_are_dropped():
    row = _row([100, 70, 99, 84, 86, 100, 90, 70], [1.0] * 8)
    assert results.counted(row, 100) == results.kept(row, 100) == [0, 2, 4, 5, 6]
    row = _row([60, 50, 70, 65, 80, 10, 84, 100], [1.0] * 8)  # one is quiet: the five quietest
    assert results.counted(row, 100) == [7] and results.kept(row, 100) == [2, 3, 4, 6, 7]


def test_the_reference_is_a_high_percentile_of_all_rows():
    rows = [_row([100.0] * 10, [1.0] * 10), _row([50.0] * 10, [1.0] * 10)]
    assert results.references(rows) == {("avx512", 1): 100.0}


def test_a_row_is_finished_from_its_quiet_rounds():
    row = _row([100, 100, 10, 100, 99, 98], [1.0, 1.0, 9.0, 1.0, 1.0, 1.0], [3.0, 4.0, 1.0, None, None, None])
    made = results.finished(row, 100)
    assert made["seconds"]["median"] == 1.0 and made["noisy"] == 1 and made["gflops"] == 2.0
    peer = made["peers"]["torch"]
    assert peer["ratio"]["median"] == 1.75 and peer["ratio"]["rounds"] == 2  # 3 and 4 over 2 s from Python
    assert peer["replayed"]["median"] == 3.5
    assert made["roof"]["by"] == "near" and made["roof"]["percent"]["median"] == pytest.approx(80)


def test_slower_cases_are_listed_worst_first():
    fast, slow, unsure = [3.0] * 5, [1.0] * 5, [1.0, 1.0, 1.8, 2.2, 2.2]  # our call takes 2 s, our kernel 1 s
    rows = [_row([1.0] * 5, [1.0] * 5, t, name=str(i)) for i, t in enumerate((fast, slow, unsure, [0.5] * 5))]
    made = [results.finished(r, 1.0) for r in rows]
    found = [(f[0], f[3], f[4]["case"]) for f in results.slower(made, ["torch"])]
    assert found == [(0.25, "torch", "3"), (0.5, "torch", "1"), (0.5, "torch, replayed", "3")]


def test_compare_says_what_is_sure():
    def run(times):
        rows = [_row([1.0] * 4, t, name=str(i)) for i, t in enumerate(times)]
        return {"rows": [results.finished(r, 1.0) for r in rows], "machine": {"processor": "p"}}

    old, new = run([[2.0] * 4, [1.0, 1.2, 0.8, 1.1]]), run([[1.0] * 4, [1.0, 1.1, 0.9, 1.2], [1.0] * 4])
    found = compare.pairs(old, new)
    assert [(p["ratio"], p["sure"]) for p in found][0] == (2.0, True)
    assert not found[1]["sure"] and found[1]["low"] < 1 < found[1]["high"]
    text = compare.text(old, new)
    assert "faster" in text and "within the spread" in text and "1 only in the new one" in text


def test_families_of_cases():
    found = {}
    for case in speed_cases():
        found.setdefault(families.family(case), set()).add(str(case))
    assert "gemm-64x64x64TN-offset4" in found["gemm up to 64"]
    assert {"gemm-1x512x512NT", "gemm-512x1x512TN", "gemm-8x512x512TN"} <= found["gemm, few rows or columns"]
    assert {"gemm-64x64x576NT", "gemm-128x128x128NN"} <= found["gemm from 128"]
    assert {c.split("-")[0] for c in found["conv, grouped"]} == {"conv_forward", "conv_dx", "conv_dw"}
    assert {c.split("-")[0] for c in found["depthwise dx, dw"]} == {"depthwise_conv_dx", "depthwise_conv_dw"}
    assert not {"moves"} - set(found)


@pytest.mark.parametrize("name", ["read", "copy", "write", "update", "fma", "tile"])
def test_probes_do_their_work_on_every_isa(name):
    for isa in qn.backend.isas():
        with qn.backend.use_isa(isa):
            for size in (2048, 5000, 64 << 10, 3 << 20):
                for threads in (1, 2):
                    probe = roof.probe(name, size, threads)
                    seconds = probe.run(3)
                    assert probe.work > 0 and 0 < seconds < 1
                    if name in ("read", "write", "copy") and size >= 1 << 16:
                        assert 0.8 * size <= probe.work <= size


def test_a_probe_refuses_what_it_does_not_know():
    core = qn.backend._state.core
    with pytest.raises(ValueError, match="unknown name 'fast'"):
        core.Probe(0, "fast", 4096, 1)
    with pytest.raises(ValueError, match="1 to 64 threads"):
        core.Probe(0, "fma", 4096, 0)


@pytest.mark.parametrize("op", ["softmax", "max_pool", "adam_update", "add", "batch_norm_train"])
def test_the_nearest_case_is_a_cut_of_the_same_op(op):
    for case in choose_cases([op]):
        ours = Ours(case, case.make("float32"))
        near = nearest(ours, 24 << 10)
        if near is not None:
            assert sum(near.footprint()) <= 0.7 * sum(ours.footprint())
            assert near.estimate()["bytes"] < ours.estimate()["bytes"]
            assert near.alone(1).run(1) > 0


def test_streams_follow_the_share_of_written_bytes():
    mixes = {op: roof.streams(Ours(c, c.make("float32"))) for op in ("relu", "sum", "full", "add", "sgd_update")
             for c in choose_cases([op])[:1]}  # fmt: skip
    assert mixes["relu"] == [("copy", 1.0)] and mixes["sum"] == [("read", 1.0)] and mixes["full"] == [("write", 1.0)]
    assert mixes["sgd_update"] == [("update", 1.0)]
    assert dict(mixes["add"]) == pytest.approx({"read": 1 / 3, "copy": 2 / 3})


def test_a_roof_counts_what_a_call_touches():
    assert roof.touched(1000, 200) == 200 and roof.touched(1000, 3000) == roof.touched(1000, 0) == 1000
    case = Case("gather", "rows", (normal(50_000, 64), np.arange(64, dtype=np.int32)), {})
    limits = roof.Roof(Ours(case, [_make(normal(50_000, 64)), np.arange(64, dtype=np.int32)]), 1, False)
    assert limits.footprint == limits.bytes <= 2 * 64 * 64 * 4 + 64 * 8  # not the 12.8 MB of the table


def test_rows_that_are_read_again_are_counted_once():
    cases = {
        c.op: c
        for c in choose_cases(["sparse_categorical_crossentropy", "batch_norm_train"])
        if c.op[0] == "s" or "56" in c.name
    }
    far = {}
    for op, case in cases.items():
        limits = roof.Roof(Ours(case, case.make("float32")), 1, False)
        assert (limits.bytes > 1.4 * limits.footprint) == (op == "batch_norm_train")
        far[op] = limits.far / limits.footprint
        times = {c.name: 1.0 for c in limits.contestants}
        ((name, _),) = limits.mix
        probe = next(c for c in limits.contestants if c.name == name)
        assert limits.seconds(times)[name] == pytest.approx(limits.far / probe.work)
    assert far["sparse_categorical_crossentropy"] == 1.0 and far["batch_norm_train"] > 1.4  # two passes over the whole


LOSSES = ("mean_squared_error", "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy")
LOSSES += ("linear_cross_entropy",)


@pytest.mark.parametrize("case", [c for c in all_cases() if c.op.removesuffix("_dx") in LOSSES], ids=str)
def test_losses_count_each_array_once(case):
    """A target, loss or gradient of one number a row is not a whole row; class numbers have 1, 4 or 8 bytes."""
    ours = Ours(case, case.make("float32"))
    arrays = [a for a in (*ours.ins, *ours.outs) if a is not None]
    assert ours.native and ours.estimate()["bytes"] == sum(a.nbytes for a in arrays)


def _bench(tmp_path, *words):
    code = "import sys; from quernel.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "bench", *words]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)


def test_a_small_run_and_its_files(tmp_path):
    words = ["--op", "relu_dx,sgd_update", "--peers", "numpy", "--threads", "1,2", "--seconds", "0.01"]
    done = _bench(tmp_path, *words, "--json", "a.json", "--html", "a.html", "--png", "a.png", "--history", "kept")
    assert done.returncode == 0, done.stderr
    for word in ("relu_dx 1MB", "sgd_update 1e4-momentum", "memory-bound ops, L2", "rounds ran while the sentinel",
                 "fma", "GB/s", "numpy"):  # fmt: skip
        assert word in done.stdout, word
    run = json.loads((tmp_path / "a.json").read_text())
    assert {r["op"] for r in run["rows"]} == {"relu_dx", "sgd_update"} and {r["threads"] for r in run["rows"]} == {1, 2}
    # Beside other tests a probe may have waited for a CPU in every round: then there is no percentage.
    assert all(r["roof"] is None or r["roof"]["percent"]["median"] > 0 for r in run["rows"])
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "a.html").read_text()
    assert "<table>" in page and "data:image/png;base64," in page and "://" not in page
    assert "Where a library is faster" not in page  # no library played
    (kept,) = (tmp_path / "kept").iterdir()
    again = _bench(tmp_path, "--compare", "a.json", str(kept))
    assert again.returncode == 0 and "within the spread" in again.stdout, again.stderr


@pytest.mark.parametrize(
    "words, reason",
    [
        (["--op", "conv"], "--op: received 'conv', expected ops of conv_dw, conv_dx, conv_forward, depthwise"),
        (["--op", "solve"], "--op: received 'solve', expected ops of "),
        (["--isa", ""], "expected a comma list, received ''"),
        (["--threads", "x"], "expected an integer of at least 1, received 'x'"),
        (["--threads", "100000", "--op", "relu"], "--threads: probe: expected 1 to 64 threads, received 100000"),
        (["--seconds", "x"], "expected seconds above 0 and at most 600, received 'x'"),
        (["--isa", "sse"], "expected some of avx512, avx2, base"),
        (["--threads", "0"], "expected an integer of at least 1"),
        (["--peers", "cuda"], "expected some of torch"),
        (["--seconds", "0"], "expected seconds above 0"),
        (["--json", "no/such/folder/a.json"], "--json: the folder of"),
        (["--compare", "a.json", "b.json"], "--compare: a.json: No such file"),
    ],
)
def test_bad_options(tmp_path, words, reason):
    done = _bench(tmp_path, *words)
    assert done.returncode == 2 and reason in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_what_cannot_be_written_costs_nothing_else(tmp_path):
    """A full disk is met after minutes of measuring: the old file stays, the other files are written, no traceback."""
    (tmp_path / "a.json").write_text("old")
    (tmp_path / "kept").mkdir()
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "from quernel.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["bench", "--op", "relu_dx", "--threads", "1", "--seconds", "0.01", "--peers", "", "--json", "a.json"]
    words += ["--history", "kept", "--html", "/dev/full"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "relu_dx" in done.stdout
    assert "--json: a.json could not be written: File too large" in done.stderr
    assert "--html: /dev/full could not be written: No space left on device" in done.stderr
    assert (tmp_path / "a.json").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.json", "kept"]


def test_a_peer_in_a_process_of_its_own():
    case = choose_cases(["sum"])[0]
    peer = Apart("numpy")
    try:
        (there,) = peer.contestants(Ours(case, case.make("float32")), 1)
        assert there.calibrate(1e-3).sample() > 0 and there.setting.endswith("apart") and peer.against == "call"
        peer.process.kill()
        with pytest.raises(RuntimeError, match="the process of numpy ended with status -9"):
            peer.ask({})
    finally:
        peer.close()


def test_missing_peers_are_named(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "torch" else real(n, *a))
    found, missing = find(["torch", "numpy"])
    assert list(found) == ["numpy"] and missing == {"torch": "not installed (pip install torch)"}


def test_an_interrupt_prints_what_is_done(ctrl_c, tmp_path):
    code = "import sys; from quernel.cli import main; sys.exit(main())"
    command = [
        sys.executable,
        "-c",
        code,
        "bench",
        "--op",
        "relu,add",
        "--peers",
        "",
        "--threads",
        "1",
        "--seconds",
        "2",
    ]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        seen = ""
        while "2/6" not in seen:  # the progress bar: one case is done
            seen += process.stderr.read(1)
            assert process.poll() is None, seen
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "relu 1MB" in out and "The run was interrupted" in out and "add channels" not in out


def test_inputs_lie_in_whole_lines_but_where_a_case_says_otherwise():
    case = Case("gemm", "odd", (normal(3, 5), shifted(normal(5, 4)), None), {})
    given = case.make("float32")
    moved = placed(case, given)
    assert all(np.array_equal(a, b) for a, b in zip(given[:2], moved)) and moved[2] is None
    assert moved[0] is not given[0] and moved[0].ctypes.data % 64 == 0
    assert moved[1] is given[1] and moved[1].ctypes.data % 64 == 4
    for case in choose_cases(
        ["add", "concat", "adam_update", "relu_dx", "sparse_categorical_crossentropy"], quick=True
    ):
        given = case.make("float32")
        assert str(placed(case, given)) == str(given)
