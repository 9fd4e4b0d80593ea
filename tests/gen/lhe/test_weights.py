"""Weights in the groups in which NanoAOD has them, however a generator describes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flashsim.errors import InputFileError
from flashsim.gen.lhe.event import LHEEvent
from flashsim.gen.lhe.text import LHEText
from flashsim.gen.lhe.weights import LHEWeights


def described(lines, pdf=0):
    return LHEWeights.of(f"<header>\n<initrwgt>\n{lines}\n</initrwgt>\n</header>\n", pdf)


def test_madgraph(styles):
    weights = LHEWeights.of(styles["madgraph"].groups, 247000)
    assert weights.scale == ("1", "4", "3")
    assert weights.pdf == ("5", "6", "7")
    assert weights.reweighting == ("sm", "heavy")
    # The other form of the scale.
    assert weights.left_out == 1
    assert weights.titles["LHEScaleWeight"] == (
        "LHE scale variation weights (w_var / w_nominal); [0] is muR=0.5 muF=0.5 (id 1) ; "
        "[1] is muR=1 muF=2 (id 4) ; [2] is muR=2 muF=1 (id 3)"
    )
    assert weights.titles["LHEPdfWeight"].endswith("for LHA IDs 247000 - 247002")


def test_powheg(styles):
    weights = LHEWeights.of(styles["powheg"].groups, 306000)
    assert weights.scale == ("1003", "1001", "1002")
    assert weights.pdf == ("2000", "2001", "2002")
    assert weights.left_out == 0


def test_madgraph_before_2_6():
    lines = """<weightgroup type="scale_variation" combine="envelope">
    <weight id="1001"> muR=0.10000E+01 muF=0.10000E+01 </weight>
    <weight id="1002"> muR=0.10000E+01 muF=0.20000E+01 </weight>
    <weight id="1003"> dyn= 2 muR=0.10000E+01 muF=0.20000E+01 </weight>
    <weight id="1004"> dyn= -1 muR=0.50000E+00 muF=0.10000E+01 </weight>
    </weightgroup>
    <weightgroup type="PDF_variation" combine="hessian">
    <weight id="2001"> pdfset= 292201 </weight>
    <weight id="2002"> pdfset= 292202 </weight>
    </weightgroup>"""
    weights = described(lines, 292200)
    assert weights.scale == ("1004", "1001", "1002")
    assert weights.pdf == ("2001", "2002")
    assert weights.left_out == 1


@pytest.mark.parametrize(
    ("nominal", "expected"), [(13000, ("b0", "b1")), (10, ("a1", "a2")), (0, ("a1", "a2"))]
)
def test_the_set_of_the_nominal_densities_is_written(nominal, expected):
    lines = "".join(
        f"<weightgroup name='{name}'>{members}</weightgroup>"
        for name, members in {
            "a": "<weight id='a1'> PDF set = 11 </weight><weight id='a2'> PDF set = 12 </weight>",
            "b": "<weight id='b0'> lhapdf=13000 </weight><weight id='b1'> lhapdf=13001 </weight>",
        }.items()
    )
    assert described(lines, nominal).pdf == expected


def test_marks_as_entities_and_no_groups():
    lines = "&lt;weight id='7'&gt; muR=2.0 muF=2.0 &lt;/weight&gt;"
    assert described(lines).scale == ("7",)
    assert LHEWeights.of("<header>\n</header>\n", 0) == LHEWeights()


def events_of(path):
    with LHEText(path) as text:
        weights = LHEWeights.of(text.head, text.init.pdf_sets[0])
        return weights, [LHEEvent.of(one, k, path) for k, one in enumerate(text.events(), start=1)]


@pytest.mark.parametrize("name", ["madgraph", "powheg"])
def test_values_are_relative_to_the_nominal_weight(tmp_path, lhe, styles, name):
    path = tmp_path / "a.lhe"
    path.write_text(lhe(styles[name], 12))
    weights, events = events_of(path)
    branches = weights.branches(events, 1, path)
    factors = styles[name].factors
    for branch, ids in (("LHEScaleWeight", weights.scale), ("LHEPdfWeight", weights.pdf)):
        expected = np.tile([factors[one] for one in ids], (12, 1))
        np.testing.assert_allclose(branches[branch], expected, rtol=1e-6)


def test_weights_without_names_stand_in_the_order_of_the_head(tmp_path, lhe, styles):
    path = tmp_path / "a.lhe"
    text = lhe(replace(styles["powheg"], factors={}), 3)
    values = " ".join(str(900.0 * factor) for factor in styles["powheg"].factors.values())
    path.write_text(text.replace("</event>", f"<weights> {values} </weights>\n</event>"))
    weights, events = events_of(path)
    np.testing.assert_allclose(weights.branches(events, 1, path)["LHEPdfWeight"][0], [1.0, 1.02, 0.97])


def test_an_event_without_a_weight_is_named(tmp_path, lhe, styles):
    path = tmp_path / "a.lhe"
    head, mark, rest = lhe(styles["powheg"], 5).rpartition("<wgt id='2001'>")
    path.write_text(head + mark.replace("2001", "2009") + rest)
    weights, events = events_of(path)
    with pytest.raises(InputFileError, match=r"a\.lhe: event 5 lacks the weight '2001'"):
        weights.branches(events, 1, Path(path))
