"""Bad files of generators: HepMC, LHE and command files of Pythia."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Any

from judge.cases import Case, copied, damaged, edited, several, text, unique

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CASES"]

_GEN = "gen bad.hepmc -o out.root"
_RIGHT = "gen {hepmc} -o right.root"
_BAD = (r"bad\.hepmc",)
_MUON = re.compile(rb"P \d+ -4 13 (\S+) (\S+) (\S+) (\S+) (\S+) 1")


def lines(change: Callable[[list[str]], list[str]], source: str = "hepmc", name: str = "bad.hepmc") -> Any:
    """Change the lines of a file."""

    def changed(before: bytes) -> bytes:
        return "\n".join([*change(before.decode().split("\n"))]).encode()

    return damaged(source, name, changed)


def muon(field: int, value: str, event: int = 3) -> Any:
    """Put a text in place of a number of the muon of an event: px, py, pz, energy, mass."""

    def changed(before: bytes) -> bytes:
        found = list(_MUON.finditer(before))[event]
        first, last = found.span(1 + field)
        return before[:first] + value.encode() + before[last:]

    return damaged("hepmc", "bad.hepmc", changed)


def in_event(number: int, old: str, new: str, source: str = "hepmc") -> Any:
    """Replace a pattern once in the text of an event."""

    def changed(before: bytes) -> bytes:
        parts = re.split(rb"(?=^E )", before, flags=re.MULTILINE)
        found, times = re.subn(old.encode(), new.encode(), parts[number], count=1, flags=re.MULTILINE)
        assert times == 1, old
        parts[number] = found
        return b"".join(parts)

    return damaged(source, "bad.hepmc", changed)


def cut(share: float, source: str = "hepmc") -> Any:
    """Leave the end of a file out."""
    return damaged(source, "bad.hepmc", lambda b: b[: int(share * len(b))])


def _hepmc() -> list[Case]:
    refused = {
        "no such file": None,
        "an empty file": text("bad.hepmc", ""),
        "the last line is missing": lines(lambda found: [*found[:-2], ""]),
        "a head without events": damaged("hepmc", "bad.hepmc", lambda b: b[: b.index(b"\nE 1") + 1]),
        "text": text("bad.hepmc", "to be or not to be\n" * 20),
        "bytes": text("bad.hepmc", bytes(range(256)) * 8),
        "zeros": text("bad.hepmc", bytes(2000)),
        "cut in the first event": cut(0.05),
        "cut in the middle of an event": cut(0.55),
        "cut in the middle of the old format": cut(0.55, "hepmc2"),
        "zeros in the middle": damaged("hepmc", "bad.hepmc", lambda b: b[:6000] + bytes(300) + b[6300:]),
        "bytes in the middle": damaged(
            "hepmc", "bad.hepmc", lambda b: b[:6000] + b"\xff\xfe" * 20 + b[6040:]
        ),
        "a compressed file that is cut": damaged("hepmc", "bad.hepmc", lambda b: gzip.compress(b)[:2000]),
        "a compressed file that is damaged": damaged(
            "hepmc", "bad.hepmc", lambda b: gzip.compress(b)[:1500] + b"damage" + gzip.compress(b)[1506:]
        ),
        "an unknown unit": in_event(2, "^U GEV MM", "U TEV MM"),
        "a particle from a vertex that is not there": in_event(3, r"^P 10 -4 13", "P 10 -40 13"),
        "a particle that comes from itself": in_event(3, r"^P 10 -4 13", "P 10 10 13"),
        "a vertex of a particle that is not there": in_event(3, r"\[8,9\]", "[8,900]"),
        "vertices in a circle": in_event(3, r"^V -3 0 \[3,5\]", "V -3 0 [3,5,10]"),
        "a particle without a status": in_event(3, r" 1$", ""),
        "a number of particles that is a word": in_event(3, r"^E (\d+) (\d+) \d+", r"E \1 \2 many"),
        "a negative number of particles": in_event(3, r"^E (\d+) (\d+) \d+", r"E \1 \2 -4"),
        "billions of particles": in_event(3, r"^E (\d+) (\d+) \d+", r"E \1 \2 2000000000"),
        "fewer particles than announced": in_event(3, r"^P 26 .*\n", ""),
        "a weight less": in_event(3, r"^W \S+ ", "W "),
        "a weight more": in_event(3, r"^W ", "W 1.0 "),
        "a weight that is a word": in_event(3, r"^W \S+ \S+", "W 1.0 heavy"),
        "a nominal weight that is no number": in_event(3, r"^W (\S+) \S+", r"W \1 nan"),
        "an infinite nominal weight": in_event(3, r"^W (\S+) \S+", r"W \1 inf"),
        "a nominal weight beyond float32": in_event(3, r"^W (\S+) \S+", r"W \1 1e300"),
        "another weight beyond float32": in_event(3, r"^W \S+", "W 1e300"),
        "another weight that is no number": in_event(3, r"^W \S+", "W nan"),
        **{
            f"a muon whose {name} is {value}": muon(field, value)
            for field, name in enumerate(("px", "py", "pz", "energy", "mass"))
            for value in ("nan", "inf")
        },
        "a momentum beyond all bounds": muon(0, "1e308"),
        "a momentum that is a word": muon(0, "much"),
        "a pion whose energy is no number": in_event(4, r"(^P \d+ -5 -?211 \S+ \S+ \S+) \S+", r"\1 nan"),
        "old: a weight less than announced": in_event(2, r"^(E .* 3) \S+ ", r"\1 ", "hepmc2"),
        "old: a vertex with more particles than follow": in_event(2, r"^(V -6 .*) 3 0$", r"\1 9 0", "hepmc2"),
        "old: an energy that is no number": in_event(2, r"(^P \d+ 13 \S+ \S+ \S+) \S+", r"\1 nan", "hepmc2"),
    }
    accepted = {
        "blanks at the ends of lines": lines(lambda found: [f"{line}  " if line.startswith("P") else line for line in found]),
        "more blanks between numbers": damaged("hepmc", "bad.hepmc", lambda b: re.sub(rb"(?<=[0-9]) (?=[-0-9])", b"  ", b)),
        "empty lines between events": lines(lambda found: [x for line in found for x in (["", line] if line.startswith("E ") else [line])]),
        "ends of lines of another system": damaged("hepmc", "bad.hepmc", lambda b: b.replace(b"\n", b"\r\n")),
        "compressed under another name": damaged("hepmc", "bad.hepmc", gzip.compress),
    }  # fmt: skip
    made = [Case(f"gen: {name}", _GEN, _BAD, build) for name, build in refused.items()]
    made += [Case(f"gen: {name}", _GEN, (), build, _RIGHT, but=_IDENTITY) for name, build in accepted.items()]
    return [
        *made,
        Case(
            "gen: old: no units",
            _GEN,
            (),
            in_event(2, r"^U .*\n", "", "hepmc2"),
            "gen {hepmc2} -o right.root",
            but=_IDENTITY,
        ),
        Case("gen: the old format", "gen {hepmc2} -o out.root", (), None, _RIGHT, but=_IDENTITY),
        Case(
            "gen: a file of another name",
            "gen 'my events' -o out.root",
            (),
            copied("hepmc", "my events"),
            _RIGHT,
            but=_IDENTITY,
        ),
    ]


_IDENTITY = ("luminosityBlock",)
"""Events are told apart by what they come from: their block follows the input."""


def _options() -> list[Case]:
    cases = {
        "an output that is there": ("gen {hepmc} -o out.root", (r"out\.root", "exists already"), text("out.root", "x")),
        "an output in no folder": ("gen {hepmc} -o none/out.root", ("none",)),
        "the input as the output": ("gen in.hepmc -o in.hepmc -f", (r"in\.hepmc", "input"), copied("hepmc", "in.hepmc")),
        "the settings as the output": ("gen in.cmnd -n 2 -o in.cmnd -f", (r"in\.cmnd", "input"), copied("cmnd", "in.cmnd")),
        "no events": ("gen {hepmc} -o out.root -n 0", ("--events",)),
        "a seed below 0": ("gen {hepmc} -o out.root --seed -1", ("--seed",)),
        "no process": ("gen {hepmc} -o out.root --workers 0", ("--workers",)),
        "no such weight": ("gen {hepmc} -o out.root --weight NONE", ("NONE", "Weight")),
        "ROOT in place of events": ("gen {gen} -o out.root", (r"gen\.root",)),
        "a model in place of events": ("gen {muons} -o out.root", (r"muons\.safetensors",)),
        "a folder without events": ("gen empty -o out.root", ("empty",), lambda _, f: (f / "empty").mkdir()),
        "a glob without a match": ("gen 'none*.hepmc' -o out.root", (r"none\*\.hepmc",)),
        "no such option": ("gen {hepmc} -o out.root --evnts 3", ("--evnts",)),
        "no output": ("gen {hepmc}", ("--output",)),
    }  # fmt: skip
    return [Case(f"gen: {name}", *content) for name, content in cases.items()]


def _commands() -> list[Case]:
    run = "gen bad.cmnd -n 2 -o out.root"
    bad = (r"bad\.cmnd",)
    process = "WeakSingleBoson:ffbar2gmZ = on\nBeams:eCM = 13000\n"
    cases = {
        "no such command file": (bad, None),
        "an empty command file": (bad, text("bad.cmnd", "")),
        "no process": ((*bad, "process"), text("bad.cmnd", "Beams:eCM = 13000\nWeakSingleBoson:ffbar2gmZ = off\n")),
        "no such setting": ((*bad, "Beams:eCMM"), text("bad.cmnd", process + "Beams:eCMM = 13000\n")),
        "a value that is a word": ((*bad,), text("bad.cmnd", process + "Beams:eCM = high\n")),
        "a value is missing": ((*bad,), text("bad.cmnd", process + "Beams:eCM =\n")),
        "no such particle": ((*bad,), text("bad.cmnd", process + "999888777:m0 = 3\n")),
        "an energy below 0": ((*bad,), text("bad.cmnd", process + "Beams:eCM = -13000\n")),
        "an energy that is no number": ((*bad,), text("bad.cmnd", process + "Beams:eCM = nan\n")),
        "too little energy": ((*bad,), text("bad.cmnd", process + "Beams:eCM = 1\n")),
        "a beam that is none": ((*bad,), text("bad.cmnd", process + "Beams:idA = 123456\n")),
        "an included file is missing": ((r"none\.cmnd",), text("bad.cmnd", "include = none.cmnd\n")),
        "a file that includes itself": ((*bad, "include"), text("bad.cmnd", "include = bad.cmnd\n")),
        "two files that include each other": (
            ("include",),
            several(text("bad.cmnd", "include = b.cmnd\n"), text("b.cmnd", "include = bad.cmnd\n")),
        ),
        "a library that is missing": ((*bad, "LHAPDF"), text("bad.cmnd", process + "PDF:pSet = LHAPDF6:NNPDF31_nnlo_as_0118\n")),
        "a spectrum that is missing": ((*bad, r"none\.spc"), text("bad.cmnd", "Beams:eCM = 13000\nSUSY:all = on\nSLHA:file = none.spc\n")),
        "events of a file that is missing": ((r"none\.lhe",), text("bad.cmnd", "Beams:frameType = 4\nBeams:LHEF = none.lhe\n")),
        "bytes": (bad, text("bad.cmnd", bytes(range(256)) * 4)),
    }  # fmt: skip
    made = [Case(f"gen: {name} (Pythia)", run, *content) for name, content in cases.items()]
    reference = {
        "no such process": ("reference none -n 2 -o out", ("none",)),
        "a process that is empty": ("reference bad.cmnd -n 2 -o out", bad, text("bad.cmnd", "")),
        "no such detector": ("reference {cmnd} -n 2 -o out --detectors delphes", ("delphes",)),
        "no such key": ("reference {cmnd} -n 2 -o out --set full.nothing=1", ("nothing",)),
        "a value that is a word": ("reference {cmnd} -n 2 -o out --set full.muons.track.quality=high", ("quality",)),
        "no draws": ("reference {cmnd} -n 2 -o out --draws 0", ("--draws",)),
        "no such recipe": ("reference {cmnd} -n 2 -o out --full none.yaml", (r"none\.yaml",)),
        "a recipe that is no mapping": ("reference {cmnd} -n 2 -o out --full bad.yaml", (r"bad\.yaml",), text("bad.yaml", "[1, 2]\n")),
        "a recipe with a date": ("reference {cmnd} -n 2 -o out --full bad.yaml", (r"bad\.yaml",), text("bad.yaml", "schema_version: 2026-99-99\n")),
        "a file as the output": ("reference {cmnd} -n 2 -o out", ("out",), text("out", "mine")),
        "a folder that holds something": ("reference {cmnd} -n 2 -o out", ("out",), text("out/full.root", "mine")),
    }  # fmt: skip
    return [*made, *(Case(f"reference: {name}", *content) for name, content in reference.items())]


def _les_houches() -> list[Case]:
    run = "gen bad.lhe -o out.root"
    bad = (r"bad\.lhe",)
    cases = {
        "no such file": None,
        "an empty file": text("bad.lhe", ""),
        "a head alone": damaged("lhe", "bad.lhe", lambda b: b[: b.index(b"<init>")]),
        "no events": damaged("lhe", "bad.lhe", lambda b: b[: b.index(b"<event>")] + b"</LesHouchesEvents>\n"),
        "a cross section that is a word": edited("lhe", "bad.lhe", (" 1.2e+03 1.7e+00", " large 1.7e+00")),
        "a beam that is none": edited("lhe", "bad.lhe", (" 2212 2212 ", " 2212 123456 ")),
        "an energy that is no number": edited("lhe", "bad.lhe", ("6.500000e+03", "nan")),
        "text": text("bad.lhe", "to be or not to be\n" * 20),
        "cut in the middle of an event": damaged("lhe", "bad.lhe", lambda b: b[: int(0.6 * len(b))]),
        "a compressed file that is cut": damaged("lhe", "bad.lhe", lambda b: gzip.compress(b)[:500]),
        "a momentum that is no number": damaged("lhe", "bad.lhe", lambda b: re.sub(rb"(\n13 1 3 3 0 0) \S+", rb"\1 nan", b, count=1)),
    }  # fmt: skip
    return [Case(f"gen: {name} (LHE)", run, bad, build) for name, build in cases.items()]


def _names() -> list[Case]:
    other = "gen {hepmc} -o right.root"
    twins = ("A B", "Weight", "A_B")

    def named(*names: str) -> Any:
        from judge import generators

        def build(_: Any, folder: Any) -> None:
            content = generators.hepmc3(generators.small_events(6), names)
            (folder / "bad.hepmc").write_text(content, encoding="utf-8")

        return build

    but = (*_IDENTITY, "GenWeight.*", ".*Weight(_.*)?")
    return [
        Case("gen: names with blanks and twins", _GEN, (), named(*twins), other, but=but),
        Case("gen: two weights of one name", _GEN, (), named("a", "Weight", "a"), other, but=but),
        Case("gen: a name with a line break", _GEN, (), named("a\\\\nb", "Weight", "c"), other, but=but),
    ]


CASES = unique([*_hepmc(), *_options(), *_commands(), *_les_houches(), *_names()])
