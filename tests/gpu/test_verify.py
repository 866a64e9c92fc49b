"""The table of what has run on a GPU is up to date, and an edited kernel loses its mark."""

from __future__ import annotations

import json

import pytest

from . import verify


def test_the_table_is_up_to_date():
    assert verify.TABLE.read_text("utf-8") == verify.render(), "run `python -m tests.gpu.verify --render`"


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Results as a GPU would leave them: everything passed but max_pool2d."""
    kernels = {name: {"sha256": verify.sha256(f), "verdict": "passed"} for name, f in verify.FOLDERS.items()}
    kernels["max_pool2d"]["verdict"] = "1 failed"
    about = dict.fromkeys(("compute_capability", "driver", "cuda", "nvrtc", "cupy"), "1")
    found = about | {"device": "H100", "date": "2026-01-01", "kernels": kernels, "networks": "passed"}
    file = tmp_path / "results.json"
    file.write_text(json.dumps(found | {"compute-sanitizer": dict.fromkeys(verify.TOOLS, "passed")}))
    monkeypatch.setattr(verify, "RESULTS", file)


def marks() -> dict[str, str]:
    rows = (line.split(" | ") for line in verify.render().splitlines() if line.startswith("| "))
    return {row[0].removeprefix("| "): row[1].removesuffix(" |") for row in rows}


def test_verified_kernels_are_named_with_the_device(results):
    assert marks()["conv2d"] == "verified on H100, 2026-01-01"
    assert marks()["max_pool2d"] == "fails on H100, 2026-01-01: 1 failed"
    assert "not yet" not in marks().values()


def test_an_edited_kernel_loses_its_mark_and_so_do_those_that_use_it(results, monkeypatch):
    right = verify.CudaSource.text.func

    def edited(self):
        return right(self) + ("// edited" if self.path.parent.name == "conv2d" else "")

    monkeypatch.setattr(verify.CudaSource, "text", property(edited))
    assert {op for op, mark in marks().items() if mark == "not yet"} >= {"conv2d", "conv_transpose2d"}
    assert marks()["relu"].startswith("verified")
