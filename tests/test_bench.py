"""The benchmark: it refuses to time what is wrong, counts correctly, and writes what it says."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from tinyunet import use_kernels
from tinyunet.bench import ladder, machine, memory, networks, op_cases, operations, pytorch, scaling, timing
from tinyunet.cli import main
from tinyunet.data.image_file import read_image

TORCH = pytest.param(True, marks=pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is not installed"))
PEAKS = machine.Peaks(gflops=100.0, gb_per_s=10.0)
NETWORKS = (networks.Case(2, 1, 8, 1), networks.Case(3, 2, 4, 1), networks.Case(2, 1, 4, 2))
OPS = (
    op_cases.conv2d(2, 3, 6, N=2),
    op_cases.conv2d(2, 3, 6, kernel_size=1, N=2),
    op_cases.conv_transpose2d(2, 3, 4, N=2),
    op_cases.max_pool2d(2, 6, N=2),
    op_cases.relu(2, 5, N=2),
    op_cases.batch_norm2d(2, 5, N=2),
    op_cases.concat(2, 5, N=2),
    op_cases.loss("cross_entropy", 3, 5, N=2),
    op_cases.loss("dice_loss", 3, 5, N=2),
)


@pytest.fixture
def reference_kernels():
    with use_kernels("reference"):
        yield


def torch_or_none(wanted: bool):
    return pytorch.find() if wanted else None


# ------------------------------------------------------------------------------------------- validation


@pytest.mark.parametrize("result", [[1.0, np.array([2.0, 4.1])], [1.0, np.array([np.nan, 4.0])], [1.1, [2.0, 4.0]]])
def test_a_wrong_result_is_refused(result):
    with pytest.raises(timing.WrongResult, match="sum: result [01] of ours differs"):
        timing.validate("sum", {"ours": lambda: result}, [1.0, np.array([2.0, 4.0])], 1e-2)


def test_the_error_is_relative_to_the_largest_number_and_may_have_a_tolerance_per_result():
    sides, expected = {"ours": lambda: [1.0, np.array([2.0, 4.1])]}, [1.0, np.array([2.0, 4.0])]
    assert timing.validate("sum", sides, expected, [1e-6, 0.03]) == {"ours": pytest.approx(0.025)}
    with pytest.raises(timing.WrongResult, match="more than 2e-02"):
        timing.validate("sum", sides, expected, [1e-6, 0.02])


def test_a_result_of_another_shape_is_refused():
    with pytest.raises(timing.WrongResult, match=r"expected a result of shape \(2,\), got \(1,\)"):
        timing.validate("sum", {"ours": lambda: [np.ones(1)]}, [np.ones(2)], 1)


@pytest.mark.parametrize("direction, name", [("forward", "forward"), ("backward", "backward_input")])
def test_a_wrong_kernel_is_found_and_not_timed(monkeypatch, direction, name):
    from tinyunet.ops.relu import cpu, reference

    timed = []
    monkeypatch.setattr(operations, "time_in_turn", lambda *_: timed.append(1) or {"tinyunet": [1.0]})
    for function in ("forward", "backward_input"):
        monkeypatch.setattr(cpu, function, getattr(reference, function))
    monkeypatch.setattr(cpu, name, lambda *arrays: 1.001 * getattr(reference, name)(*arrays))
    with pytest.raises(timing.WrongResult, match=f"relu 2, 2x5x5, {direction}: result 0 of tinyunet differs"):
        operations.measure(operations.works(OPS[4:5], None), 1, PEAKS)
    assert len(timed) == (direction == "backward")  # the right forward only


def test_a_wrong_network_is_found(monkeypatch, reference_kernels):
    def off(model, *data):
        model.decoder1.weight.data *= 1.01
        return right(model, *data)

    right = networks.training_step
    sides = iter((right, off))  # the first builds the reference
    monkeypatch.setattr(networks, "training_step", lambda *given: next(sides)(*given))
    monkeypatch.setattr(networks, "time_in_turn", None)
    with pytest.raises(timing.WrongResult, match="training step, base 2, 1x1x8x8"):
        networks.measure(NETWORKS[:1], 1, None)


# ------------------------------------------------------------------------------------------- timing and counting


def test_sides_take_turns_and_each_begins_a_round():
    calls = []
    seconds = timing.time_in_turn({name: lambda name=name: calls.append(name) for name in "abc"}, 4)
    assert "".join(calls) == "abcbcacababc"
    assert {name: len(times) for name, times in seconds.items()} == {"a": 4, "b": 4, "c": 4}


def test_ratios_are_those_within_a_round():
    seconds = {"tinyunet": [1.0, 2.0, 30.0], "PyTorch": [2.0, 4.0, 10.0]}
    summary = timing.summarize(seconds)
    assert summary["ms"] == {"tinyunet": 2000.0, "PyTorch": 4000.0}
    assert summary["ratio"] == {"PyTorch": 0.5}
    assert summary["ratio_quartiles"] == {"PyTorch": [0.5, 1.75]}
    assert timing.summarize(seconds, "PyTorch")["ratio"] == {"tinyunet": 2.0}


@pytest.mark.parametrize("compared", [False, TORCH])
def test_every_operation_agrees_and_has_its_numbers(reference_kernels, compared):
    rows = operations.measure(operations.works(OPS, torch_or_none(compared)), 1, PEAKS)
    assert len(rows) == 2 * len(OPS) - 1 + 1  # concat has no backward; Adam comes last
    assert {case.op for case in op_cases.CASES} | {"adam"} == {row["op"] for row in rows}
    for row in rows:
        seconds = row["ms"]["tinyunet"] / 1e3
        least = max(row["flops"] / 100e9, row["bytes"] / 10e9)
        assert row["share"]["tinyunet"] == pytest.approx(least / seconds)
        assert row["gflops"] == pytest.approx(row["flops"] / seconds / 1e9)
        assert row["intensity"] == row["flops"] / row["bytes"]
        assert set(row["ms"]) == {"tinyunet"} | ({"PyTorch"} if compared else set())


def test_costs_of_a_convolution_are_counted_by_hand(reference_kernels):
    forward, backward = operations.measure(operations.works_of(OPS[0], {"tinyunet": use_reference}, None), 1, PEAKS)
    x, w, b, y = 2 * 2 * 36, 3 * 2 * 9, 3, 2 * 3 * 36
    assert (forward["flops"], forward["bytes"]) == (2 * y * 2 * 9, 4 * (x + w + b + y))
    assert (backward["flops"], backward["bytes"]) == (4 * y * 2 * 9, 4 * (y + x + w + x + w + b))


def use_reference():
    return use_kernels("reference")


def test_peaks_are_measured():
    assert all(peak > 0 for peak in machine.measure_peaks(repeats=1, steps=100, copied=1000))


# ------------------------------------------------------------------------------------------- ladder and memory


def test_every_operation_with_rungs_has_a_ladder():
    assert set(ladder.BY_OP) == {case.op for case in op_cases.CASES} - {"concat"}
    assert str(ladder.BY_OP["conv2d"]) == "conv2d 3x3 32->32, 4x128x128"
    assert list(ladder.rungs("relu")) == [ladder.REFERENCE, "numba"]


@pytest.mark.skipif(not memory.CLEAR_REFS.exists(), reason="peaks of memory are Linux's")
def test_memory_grows_with_the_images():
    # Fresh processes: this one may have kept the memory of earlier tests, and then it need not grow.
    small, large = (memory._in_fresh_process(timing.OURS, networks.Case(4, 1, size, 1), 1) for size in (64, 512))
    assert large > 4 * 512 * 512 * 8 / 1e6 and large > 4 * small  # eight images at full size are too few


@pytest.mark.skipif(not memory.CLEAR_REFS.exists(), reason="peaks of memory are Linux's")
def test_recomputing_takes_less_memory():
    case = networks.Case(16, 2, 128)
    once, twice = (memory._in_fresh_process(name, case, 1) for name in (timing.OURS, networks.RECOMPUTED))
    assert twice < 0.9 * once


def test_a_process_that_fails_says_why():
    with pytest.raises(OSError, match="measuring tinyunet, base 2, 1x1x4x4 failed: ValueError: --threads must be"):
        memory._in_fresh_process("tinyunet", networks.Case(2, 1, 4, 1), threads=0)


def test_multiply_adds_of_a_network_are_counted_by_hand():
    # depth 1, base 2, 1 x 8 x 8: two 3 x 3 on 64 pixels (1 -> 2, 2 -> 2), two on 16 (2 -> 4, 4 -> 4), up 2 x 2 (4 -> 2,
    # a pixel of the 16 makes 4), two 3 x 3 on 64 (4 -> 2, 2 -> 2), head 1 x 1 (2 -> 2)
    by_hand = 9 * (64 * (2 + 4) + 16 * (8 + 16) + 64 * (8 + 4)) + 16 * 4 * 8 + 64 * 4
    assert scaling.multiply_adds(networks.Case(2, 1, 8, 1)) == by_hand


# ------------------------------------------------------------------------------------------- the command

ROW = {
    "networks": {"case", "task", "error", "ms", "ratio", "ratio_quartiles"},
    "ladder": {"op", "case", "direction", "error", "ms", "speed_up"},
    "memory": {"case", "mb"},
}
ROW["ops"] = {"op", "case", "direction", "error", "flops", "bytes", "intensity", "gflops", "gb_per_s", "limit", "share"}
ROW["scaling"] = ROW["networks"] | {"gmacs"}
ROW["ops"] |= {"ms", "ratio", "ratio_quartiles"}


@pytest.fixture
def tiny(monkeypatch, tmp_path, reference_kernels):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(networks, "CASES", NETWORKS)
    monkeypatch.setattr(scaling, "CASES", NETWORKS)
    monkeypatch.setattr(op_cases, "CASES", OPS)
    monkeypatch.setattr(ladder, "BY_OP", {"relu": OPS[4]})
    monkeypatch.setattr(machine, "measure_peaks", lambda: PEAKS)
    monkeypatch.setattr(memory, "_in_fresh_process", lambda *given: 12.5)


@pytest.mark.parametrize("compared", [False, TORCH])
@pytest.mark.parametrize("mode", ROW)
def test_the_command_prints_and_writes(tiny, monkeypatch, capsys, tmp_path, mode, compared):
    if not compared:
        monkeypatch.setitem(sys.modules, "torch", None)  # importing it now fails
    options = {"networks": [], "ladder": ["--ladder", "relu"]}.get(mode, [f"--{mode}"])
    assert main(["bench", *options, "--quick", "--rounds", "2", "--threads", "1", "--out", "a/b"]) == 0
    said = capsys.readouterr().out
    assert ("PyTorch is not installed" in said) != compared
    assert said.endswith("In a/b: bench.json, bench.png\n")

    content = json.loads((tmp_path / "a/b/bench.json").read_text("utf-8"))
    assert set(content) == {"mode", "machine", "rounds", "rows"} | ({"peaks"} if mode == "ops" else set())
    assert (content["mode"], content["rounds"], content["machine"]["threads"]) == (mode, 2, 1)
    assert set(content["machine"]) == {"cpu", "cores", "threads", "vector_bits", "versions"}
    assert set(content["machine"]["versions"]) == {"python", "numpy", "numba", "torch"}
    assert (content["machine"]["versions"]["torch"] is None) != compared
    assert len(content["rows"]) == {"ops": 5, "ladder": 2, "memory": 2}.get(mode, 4)
    for row in content["rows"]:
        assert set(row) == ROW[mode]
        times = row["mb" if mode == "memory" else "ms"]
        assert ("PyTorch" in times) == compared and all(time > 0 for time in times.values())
        assert row["case"] in said
    picture = read_image(tmp_path / "a/b/bench.png")
    assert min(picture.shape[1:]) > 100 and picture.std() > 5


def test_help(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", "--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0 and said.startswith("usage: tinyunet bench")
    assert all(
        f"--{name}" in said for name in ("ops", "ladder", "memory", "scaling", "quick", "rounds", "threads", "out")
    )


@pytest.mark.parametrize(
    "options, text",
    [
        (["--rounds", "0"], "--rounds must be at least 1, got 0"),
        (["--threads", "0"], "--threads must be from 1 to"),
        (["--threads", "1000"], "got 1000"),
        (["--ladder", "relo"], "--ladder takes one of relu, got relo"),
    ],
)
def test_a_wrong_option_is_explained_and_leaves_nothing(tiny, capsys, tmp_path, options, text):
    assert main(["bench", *options]) == 1
    complained = capsys.readouterr().err
    assert text in complained and complained.count("\n") == 1
    assert not list(tmp_path.iterdir())
