"""LHE files written by a small generator: q qbar -> Z -> mu+ mu-, with or without a gluon."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

BEAM = 6500.0

MADGRAPH_GROUPS = """<initrwgt>
<weightgroup name="Central scale variation" combine="envelope">
<weight id="1" MUR="0.5" MUF="0.5" PDF="247000" > MUR=0.5 MUF=0.5 </weight>
<weight id="2" MUR="0.5" MUF="0.5" DYN_SCALE="1" PDF="247000" > MUR=0.5 MUF=0.5 dyn_scale_choice=1 </weight>
<weight id="3" MUR="2.0" MUF="1.0" PDF="247000" > MUR=2.0 </weight>
<weight id="4" MUR="1.0" MUF="2.0" PDF="247000" > MUF=2.0 </weight>
</weightgroup>
<weightgroup name="NNPDF23_lo_as_0130_qed" combine="replicas"> # 247000: central
<weight id="5" MUR="1.0" MUF="1.0" PDF="247000" > PDF=247000 MemberID=0 </weight>
<weight id="6" MUR="1.0" MUF="1.0" PDF="247001" > PDF=247001 MemberID=1 </weight>
<weight id="7" MUR="1.0" MUF="1.0" PDF="247002" > PDF=247002 MemberID=2 </weight>
</weightgroup>
<weightgroup name="mg_reweighting" weight_name_strategy="includeIdInWeightName">
<weight id="sm">set param_card mass 25 125.0</weight>
<weight id="heavy">set param_card mass 25 130.0</weight>
</weightgroup>
</initrwgt>
"""

POWHEG_GROUPS = """<initrwgt>
<weightgroup name='scale_variation' combine='None'>
<weight id='1001'> lhapdf=306000 renscfact=1d0 facscfact=1d0 </weight>
<weight id='1002'> lhapdf=306000 renscfact=2d0 facscfact=1d0 </weight>
<weight id='1003'> lhapdf=306000 renscfact=0.5d0 facscfact=1d0 </weight>
</weightgroup>
<weightgroup name='PDF_variation' combine='hessian'>
<weight id='2000'> lhapdf=306000 </weight>
<weight id='2001'> lhapdf=306001 </weight>
<weight id='2002'> lhapdf=306002 </weight>
</weightgroup>
</initrwgt>
"""


@dataclass(frozen=True)
class Style:
    """How a generator writes: head, strategy, cross section and its error, weight of an event, numbers."""

    strategy: int
    weight: float
    groups: str
    factors: dict[str, float] = field(default_factory=dict)
    pdf: int = 0
    version: str = "3.0"
    comment: str = ""
    attributes: str = ""
    fortran: bool = False


MADGRAPH = Style(
    strategy=3,
    weight=2.5,
    groups=MADGRAPH_GROUPS,
    factors={str(k): 1 + 0.1 * k for k in range(1, 8)} | {"sm": 1.0, "heavy": 0.25},
    pdf=247000,
    comment="<MGVersion>\n3.5.0\n</MGVersion>\n<MGRunCard>\n  0 = ickkw\n</MGRunCard>\n",
    attributes=" npLO=\" 1 \" npNLO=' -1 '",
)
POWHEG = Style(
    strategy=-4,
    weight=900.0,
    groups=POWHEG_GROUPS,
    factors={"1001": 1.0, "1002": 0.9, "1003": 1.15, "2000": 1.0, "2001": 1.02, "2002": 0.97},
    pdf=306000,
    comment="<!--\nfile generated with POWHEG-BOX-V2\n-->\n",
    fortran=True,
)
STYLES = {"madgraph": MADGRAPH, "powheg": POWHEG}
CROSS_SECTION, CROSS_SECTION_ERROR = 800.0, 4.0


def _two_body(rng, mass):
    """Momenta of two massless bodies from the rest of a mass, with an angle as 1 + cos^2."""
    while True:
        cosine = rng.uniform(-1, 1)
        if rng.uniform(0, 2) < 1 + cosine**2:
            break
    sine, phi = np.sqrt(1 - cosine**2), rng.uniform(-np.pi, np.pi)
    direction = np.array([sine * np.cos(phi), sine * np.sin(phi), cosine])
    return [np.append(sign * direction * mass / 2, mass / 2) for sign in (1, -1)]


def _boosted(p, velocity):
    square = velocity @ velocity
    if square == 0:
        return p
    gamma = 1 / np.sqrt(1 - square)
    along = velocity @ p[:3]
    space = p[:3] + ((gamma - 1) * along / square + gamma * p[3]) * velocity
    return np.append(space, gamma * (p[3] + along))


def particles(rng, *, gluon):
    """Particles of an event as (pdg id, status, mothers, colours, four-momentum, mass, spin)."""
    mass = 91.19 + 2.5 * np.tan(rng.uniform(-1.2, 1.2)) / 2
    rapidity = rng.uniform(-1.5, 1.5)
    z = np.array([0.0, 0.0, 0.0, mass])
    jet = np.zeros(4)
    if gluon:
        pt, phi, eta = rng.uniform(15, 60), rng.uniform(-np.pi, np.pi), rng.uniform(-2, 2)
        jet = pt * np.array([np.cos(phi), np.sin(phi), np.sinh(eta), np.cosh(eta)])
        z = np.array([-jet[0], -jet[1], 0.0, np.sqrt(mass**2 + pt**2)])
    z = _boosted(z, np.array([0.0, 0.0, np.tanh(rapidity)]))
    leptons = [_boosted(p, z[:3] / z[3]) for p in _two_body(rng, mass)]
    total = z + jet
    plus, minus = (total[3] + total[2]) / 2, (total[3] - total[2]) / 2
    q = int(rng.choice([1, 2]))
    light = 501, 502
    lines = [
        (q, -1, (0, 0), (light[0], 0), np.array([0, 0, plus, plus]), 0.0, 9.0),
        (-q, -1, (0, 0), (0, light[1] if gluon else light[0]), np.array([0, 0, -minus, minus]), 0.0, 9.0),
        (23, 2, (1, 2), (0, 0), z, mass, 9.0),
        (13, 1, (3, 3), (0, 0), leptons[0], 0.0, -1.0),
        (-13, 1, (3, 3), (0, 0), leptons[1], 0.0, 1.0),
    ]
    if gluon:
        lines.append((21, 1, (1, 2), light, jet, 0.0, 9.0))
    return lines


def _number(value, style):
    text = f"{value: .10E}"
    return text.replace("E", "D") if style.fortran else text


def event_text(rng, style, number):
    """One event, every second with a gluon."""
    lines = particles(rng, gluon=number % 2 == 1)
    weight = style.weight * (-1 if style.strategy < 0 and number % 10 == 9 else 1)
    head = f"{len(lines)} 1 {_number(weight, style)} {_number(91.188, style)} 7.8E-03 1.18E-01"
    rows = [
        f"{code} {status} {m[0]} {m[1]} {c[0]} {c[1]} "
        + " ".join(_number(value, style) for value in (*p, mass))
        + f" 0.0 {spin}"
        for code, status, m, c, p, mass, spin in lines
    ]
    weights = [f"<wgt id='{name}'> {weight * factor:.8E} </wgt>" for name, factor in style.factors.items()]
    rwgt = ["<rwgt>", *weights, "</rwgt>"] if weights else []
    return "\n".join([f"<event{style.attributes}>", head, *rows, *rwgt, "</event>", ""])


def lhe_text(style=MADGRAPH, events=20, seed=1):
    """Text of a file."""
    rng = np.random.default_rng(seed)
    init = (
        f"2212 2212 {_number(BEAM, style)} {_number(BEAM, style)} "
        f"0 0 {style.pdf} {style.pdf} {style.strategy} 1\n"
        f"{_number(CROSS_SECTION, style)} {_number(CROSS_SECTION_ERROR, style)} "
        f"{_number(style.weight, style)} 1\n"
    )
    head = f'<LesHouchesEvents version="{style.version}">\n<header>\n{style.comment}{style.groups}</header>\n'
    body = "".join(event_text(rng, style, number) for number in range(events))
    return f"{head}<init>\n{init}</init>\n{body}</LesHouchesEvents>\n"
