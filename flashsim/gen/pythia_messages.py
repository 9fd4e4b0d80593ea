"""What Pythia 8 prints where it fails, in a few words."""

from __future__ import annotations

import re

__all__ = ["errors_of", "refusal_of"]

_SAID = re.compile(r"PYTHIA (?P<kind>Error|Abort)(:| in | from )\s*(?P<text>.+)")
_END_OF_FILE = "reached end of Les Houches Events File"


def refusal_of(text: str) -> str:
    """Give Pythia's reason for a refusal, from what it has printed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reason = errors_of(text) or " ".join(" ".join(lines[:2]).split()) or "no reason given"
    if "lhapdf" in reason.lower():
        return f"{reason}; pythia8mc comes without LHAPDF, take a set that Pythia has, such as PDF:pSet = 20"
    return reason


def errors_of(text: str) -> str:
    """Errors among what Pythia has printed, the deepest cause first; its last words if there are none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found: dict[str, list[str]] = {"Error": [], "Abort": []}
    for number, line in enumerate(lines):
        if (said := _SAID.search(line)) is None or _END_OF_FILE in line:
            continue
        # Some go on in the next line.
        more = f" {lines[number + 1]}" if line.endswith("::") and number + 1 < len(lines) else ""
        found[said["kind"]].append(" ".join((said["text"].rstrip(":") + more).split()))
    return "; ".join(list(dict.fromkeys(found["Error"] or found["Abort"]))[:2])
