"""A bench in parts: what --resume keeps, refuses and joins; --minutes; the sentinel's warm-up."""

import json
import signal
import subprocess
import sys
import time

import pytest

import quernel as qn
from quernel.bench import contestants, parts, roof
from quernel.bench.run import Run, choose_cases


def _row(op, case, threads, median=1.0):
    return {"op": op, "case": case, "isa": "avx512", "threads": threads, "seconds": {"median": median}}


def _part(rows, threads, rate, date="2026-01-02T03:04:05", **peers):
    return {
        "machine": {"quernel": "1", "processor": "p", "compiler": "c", "date": date,
                    "peers": {n: {"version": v} for n, v in peers.items()}, "missing": {"mkl": "not there"}},
        "settings": {"isas": ["avx512"], "threads": [threads], "backend": "native", "seconds": 0.6},
        "sentinel": [{"isa": "avx512", "threads": threads, "gflops": rate}],
        "roofs": [{"isa": "avx512", "threads": 1, "probe": "fma", "in": "registers", "rate": rate, "unit": "GFLOP/s"}],
        "rows": rows, "skipped": [["exp-1", "why"]], "interrupted": False, "left": 3,
    }  # fmt: skip


def test_two_parts_are_one_run():
    first, second = (c.name for c in choose_cases(["relu"])[:2])
    old = _part([_row("relu", second, 1)], 1, 100.0, torch="2")
    new = _part([_row("relu", first, 2)], 2, 150.0, "2026-01-02T09:09:09", mkl="3")
    found = parts.joined(old, {**new, "left": 0})
    assert [r["case"] for r in found["rows"]] == [first, second]  # in the order of the cases
    assert found["settings"]["threads"] == [1, 2] and found["left"] == 0
    assert found["machine"]["date"] == "2026-01-02T03:04:05" and found["skipped"] == [["exp-1", "why"]]
    assert set(found["machine"]["peers"]) == {"torch", "mkl"} and found["machine"]["missing"] == {}
    assert [s["gflops"] for s in found["sentinel"]] == [100.0, 150.0] and [r["rate"] for r in found["roofs"]] == [150.0]
    again = parts.joined(found, _part([_row("relu", first, 1)], 1, 90.0))
    assert [s["gflops"] for s in again["sentinel"]] == [100.0, 150.0]
    assert [p["rows"] for p in again["parts"]] == [1, 1, 1]


def test_unlike_parts_are_refused():
    kept = _part([], 1, 100.0, torch="2")
    parts.check(kept, _part([], 2, 1.0, torch="2", mkl="3")["machine"], "native", "a.json")
    with pytest.raises(ValueError, match="a.json was measured with backend native, this is numba; name another"):
        parts.check(kept, kept["machine"], "numba", "a.json")
    with pytest.raises(ValueError, match="with torch 2, this is 3"):
        parts.check(kept, _part([], 1, 1.0, torch="3")["machine"], "native", "a.json")
    with pytest.raises(ValueError, match="with processor p, this is q"):
        parts.check(kept, {**kept["machine"], "processor": "q"}, "native", "a.json")


def test_only_what_is_not_done_is_measured():
    cases = choose_cases(["relu"])[:2]
    isa, (a, b) = qn.backend.isa(), [c.name for c in cases]
    run = Run(
        cases, [isa], [1, 2], {}, seconds=0.001, done={("relu", a, isa, 1), ("relu", a, isa, 2), ("relu", b, isa, 1)}
    )
    assert run.steps() == 1
    run.play()
    assert [(r.case.name, r.threads) for r in run.rows] == [(b, 2)] and run.steps() == 0


def test_no_case_is_begun_when_the_time_is_over():
    run = Run(choose_cases(["relu"]), [qn.backend.isa()], [1], {}, seconds=0.001, until=time.monotonic() - 1)
    run.play()
    assert not run.rows and run.steps() == 3


def _command(*words):
    return [sys.executable, "-m", "quernel", "bench", "--threads", "1", "--peers", "", *words]


def _bench(tmp_path, *words):
    return subprocess.run(_command(*words), cwd=tmp_path, capture_output=True, text=True, timeout=300)


def test_resume_from_the_command_line(tmp_path):
    words = ["--seconds", "0.01", "--json", "a.json", "--resume", "--history", "kept"]
    assert _bench(tmp_path, "--op", "relu", *words).returncode == 0
    first = json.loads((tmp_path / "a.json").read_text())
    done = _bench(tmp_path, "--op", "relu,exp", *words)
    assert done.returncode == 0 and "relu 1MB" in done.stdout and "exp 1MB" in done.stdout, done.stderr
    both = json.loads((tmp_path / "a.json").read_text())
    assert [r for r in both["rows"] if r["op"] == "relu"] == first["rows"]  # not measured again
    assert {r["op"] for r in both["rows"]} == {"relu", "exp"} and len(both["rows"]) == len(first["rows"]) + 1
    assert len(list((tmp_path / "kept").iterdir())) == 1
    none = _bench(tmp_path, "--op", "relu,exp,sum", *words, "--minutes", "1e-9", "--html", "a.html")
    assert none.returncode == 0 and "lines are left to measure" in none.stdout
    assert "lines are left to measure" in (tmp_path / "a.html").read_text()
    assert json.loads((tmp_path / "a.json").read_text())["left"] == len(choose_cases(["sum"]))


@pytest.mark.parametrize(
    "words, reason",
    [
        (["--resume"], "--resume needs --json FILE"),
        (["--json", "a.json", "--resume"], "--resume: a.json is no run of quernel bench"),
        (["--minutes", "0"], "expected minutes above 0"),
    ],
)
def test_bad_options(tmp_path, words, reason):
    (tmp_path / "a.json").write_text("[]")
    done = _bench(tmp_path, *words)
    assert done.returncode == 2 and reason in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_timeout_keeps_what_is_done(tmp_path):
    command = _command("--op", "relu,add", "--seconds", "2", "--json", "a.json")
    with subprocess.Popen(["timeout", "60", *command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:  # fmt: skip
        seen = ""
        while "2/6" not in seen:  # the progress bar: one case is done
            seen += process.stderr.read(1)
            assert process.poll() is None, seen
        process.send_signal(signal.SIGTERM)  # timeout passes it on to its whole group
        process.stdout.read()
    assert json.loads((tmp_path / "a.json").read_text())["left"] == 5


def test_the_sentinel_is_warm_before_it_counts():
    loop = roof.sentinel(1)
    assert loop.warm * loop.once > 0.9 * roof.WARM
    seen = []
    one = contestants.Contestant("one", lambda n: seen.append(n) or 1e-6 * n, calls=7, warm=5, once=1e-6)
    assert one.sample() == pytest.approx(1e-6) and seen == [5, 7]


@pytest.mark.parametrize(
    "milliseconds, seen",
    [(2.0, [1, 1, 1, 1, 3]), (5.0, [1, 1, 1, 1, 1]), (9.9, [1] * 5), (10.1, [1, 1, 1]), (101.0, [1, 1])],
)
def test_calls_below_10_ms_are_warmed_up(milliseconds, seen):
    """Calibration: one call and one more, two below 10 ms. A sample: one that brings in the arrays, there; those that count."""
    ran = []
    one = contestants.Contestant("one", lambda n: ran.append(n) or 1e-3 * milliseconds * n).calibrate(6e-3)
    assert one.sample() == pytest.approx(1e-3 * milliseconds) and ran == seen
