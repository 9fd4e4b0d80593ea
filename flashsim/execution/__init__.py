"""How work runs on a machine or a cluster: threads, processes, executors; files that appear whole."""

from __future__ import annotations
