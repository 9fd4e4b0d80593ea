"""What the command line and Python users call: each function joins the stages that it needs."""

from __future__ import annotations
