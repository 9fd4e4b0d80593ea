"""The joint table: columns, and what is marked."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot

from benchmarks.joint import columns, main, rows


def test_values_that_differ_by_errors_and_by_a_tenth_are_bold() -> None:
    found = {
        "CMS": {"a": (1.0, 0.01), "b": (2.0, 0.5), "c": (3.0, 0.1)},
        "same": {"a": (1.02, 0.01), "b": (1.0, 0.1)},
        "other": {"a": (0.7, 0.01), "b": (2.0, 0.1), "c": (3.0, 0.1)},
    }
    assert list(rows(found)) == [
        ["a", "1.000 ± 0.010", "1.020 ± 0.010", "**0.700 ± 0.010**"],
        ["b", "2.000 ± 0.500", "1.000 ± 0.100", "2.000 ± 0.100"],
        ["c", "3.000 ± 0.100", "-", "3.000 ± 0.100"],
    ]


@pytest.mark.parametrize("text", ["full", "=full.root", "full=", "full=none.root"])
def test_a_column_needs_a_name_and_files(text, capsys) -> None:
    with pytest.raises(ValueError, match="is not NAME=FILE"):
        columns([text])
    with pytest.raises(SystemExit):
        main([text])
    assert "is not NAME=FILE of a file that is there" in capsys.readouterr().err


def test_files_without_some_branches_get_a_sentence_in_place_of_numbers(tmp_path, capsys) -> None:
    """FlashSim writes fewer collections than CMS."""
    jets = {
        name: ak.Array([[value, -value], [value]])
        for name, value in (("pt", 30.0), ("eta", 1.0), ("phi", 2.0))
    }
    muons = {f"Muon_{name}": values for name, values in jets.items()}
    content = {"event": np.arange(2), **{f"Jet_{name}": values for name, values in jets.items()}}
    content |= {"MET_pt": np.ones(2), "MET_phi": np.ones(2)}
    for name, more in {"CMS": muons, "FlashSim": {}}.items():
        with uproot.recreate(tmp_path / f"{name}.root") as file:
            file.mktree(
                "Events",
                {k: v.type if isinstance(v, ak.Array) else v.dtype for k, v in (content | more).items()},
            )
            file["Events"].extend(content | more)
    assert main([f"{name}={tmp_path / name}.root" for name in ("CMS", "FlashSim")]) == 0
    text = capsys.readouterr().out
    assert "FlashSim has no branches or too few objects for: Muon (pT > 10) with a jet within 0.4" in text
    assert "CMS has no branches" not in text
