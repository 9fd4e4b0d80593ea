"""The interface in the kernel of a notebook."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLE = Path(__file__).parents[2] / "examples" / "vbf_hmumu_gen.root"
CELLS = (
    """
import flashsim
import uproot

with uproot.open({example!r} + ":Events") as tree:
    gen = tree.arrays(entry_stop=200)
simulator = flashsim.Simulator({models!r}, seed=1)
simulated = simulator(gen)
len(simulated), sorted({{"Electron", "Jet", "Muon"}} & set(simulated.fields))
""",
    """
events = simulator.events(gen)
events.Jet.matched_gen.pt[events.Jet.genJetIdx < 0].ndim, repr(events.metadata["version"])
""",
    """
made = flashsim.generate({example!r}, "flash.root", models={models!r}, workers=2)
made.summaries[0].events
""",
    """
with uproot.open("flash.root:Events") as tree:
    written = tree["Jet_pt"].array(entry_stop=200)
written.tolist() == simulated.Jet.pt.tolist() == events.Jet.pt.tolist()
""",
    "flashsim.inspect('flash.root')['flashsim']['seed']",
)


@pytest.mark.slow
def test_cells_run(made_models, tmp_path):
    names = {"example": str(EXAMPLE), "models": str(made_models)}
    cells = [nbformat.v4.new_code_cell(text.strip().format(**names)) for text in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    results = [output.data["text/plain"] for cell in cells for output in cell.outputs if "data" in output]
    assert results == ["(200, ['Electron', 'Jet', 'Muon'])", "(2, \"'latest'\")", "1000", "True", "1"]
