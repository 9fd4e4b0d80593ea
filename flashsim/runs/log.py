"""The log of a training: what it does, one line of JSON an event, in ``run.jsonl`` in its folder.

A file has one writer at a time and only grows; every line is one write in append mode, so that a reader on
any machine sees whole lines, and a training that dies leaves at most its last line torn. Nothing says that a
training runs but its recent lines: one without a sign of life for `LOST_AFTER` seconds is lost.

Events have ``event`` and ``time`` (seconds since 1970), and:

- ``queued``: ``name``, ``parameters``;
- ``start``: ``name``, ``parameters``, ``epochs`` (planned, by network), ``resumed``, ``host``, ``pid``;
- ``epoch``: ``network``, ``epoch`` (from 1), ``of``, ``losses``: ``train``, ``validation`` and for every
  further loss or multiplier ``train_NAME`` and ``validation_NAME``; null where a value is not finite;
- ``heartbeat``: nothing, every few seconds without another event;
- ``finish``: ``values``, what came of it;
- ``fail``: ``error``.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from flashsim.errors import OutputFileError
from flashsim.text import json_ready

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from pydantic import BaseModel

__all__ = ["LOST_AFTER", "RUN_FILE", "Parameter", "RunLog", "flat_parameters"]

_log = logging.getLogger(__name__)

RUN_FILE = "run.jsonl"
HEARTBEAT = 5.0
"""Seconds between signs of life."""
LOST_AFTER = 60.0
"""Seconds without a sign of life after which a training counts as lost."""

Parameter = str | int | float | bool | None


class RunLog:
    """Writes the log of one training.

    As a context it notes the start, gives a sign of life every few seconds, and in the end notes that the
    training finished, or with which exception it failed.

    Parameters
    ----------
    folder
        Of the training; made if there is none.
    name
        What the training is called.
    parameters
        Values that tell it from other trainings, by recipe key.
    epochs
        How many are planned for each network, in the order of their training.
    resumed
        Whether earlier epochs in the log belong to this training.

    Raises
    ------
    OutputFileError
        If the log cannot be written when the training begins. Later it is only a warning: a full disk must
        not end a training that could go on.

    Examples
    --------
    >>> planned = {"refiner": 30}
    >>> with RunLog(folder, "point_3", {"network.width": 64}, epochs=planned) as log:  # doctest: +SKIP
    ...     log.epoch("refiner", 1, 30, {"train": 1.2, "validation": 1.3})
    ...     log.finish({"validation": 1.3})
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        parameters: Mapping[str, Parameter] | None = None,
        *,
        epochs: Mapping[str, int] | None = None,
        resumed: bool = False,
    ) -> None:
        self.path = folder / RUN_FILE
        self.name, self.parameters = name, dict(parameters or {})
        self.epochs, self.resumed = dict(epochs or {}), resumed
        self._values: dict[str, float] = {}
        self._over = threading.Event()
        self._last = 0.0
        self._torn = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._beat, name="run log", daemon=True)

    @classmethod
    def of_recipe(
        cls, folder: Path, recipe: BaseModel, epochs: Mapping[str, int], *, resumed: bool = False
    ) -> Self:
        """Log of a training by a recipe: named like its folder, all values of the recipe as parameters."""
        name = folder.name.removesuffix(".run").removesuffix(".safetensors")
        parameters = flat_parameters(recipe.model_dump(mode="json"))
        return cls(folder, name, parameters, epochs=epochs, resumed=resumed)

    def queued(self) -> None:
        """Note that the training waits for its turn; whoever trains begins with a log of its own."""
        self._begin()
        self._write("queued", name=self.name, parameters=self.parameters)

    def __enter__(self) -> Self:
        self._begin()
        self._write(
            "start",
            name=self.name,
            parameters=self.parameters,
            epochs=self.epochs,
            resumed=self.resumed,
            host=socket.gethostname(),
            pid=os.getpid(),
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if error is None:
            self._write("finish", values=self._values)
        else:
            self._write("fail", error=f"{type(error).__name__}: {error}".removesuffix(": "))

    def epoch(self, network: str, epoch: int, of: int, losses: Mapping[str, float]) -> None:
        """Note the losses of an epoch that is over.

        Parameters
        ----------
        network
            Which network of the training, such as ``flow``.
        epoch, of
            Number of the epoch, from 1, and the largest number of epochs.
        losses
            Every loss component and multiplier, as ``train_NAME`` and ``validation_NAME``.
        """
        numbers = {loss: float(value) for loss, value in losses.items()}
        self._write("epoch", network=network, epoch=epoch, of=of, losses=numbers)

    def finish(self, values: Mapping[str, float]) -> None:
        """Give values that the training ended with; they are written when the context ends."""
        self._values = {name: float(value) for name, value in values.items()}

    def _begin(self) -> None:
        """Make the folder, and end a line that a writer who died left torn."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                if file.tell() > 0:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        file.write(b"\n")
        except OSError as error:
            msg = f"{self.path}: the log of the training cannot be written ({error.strerror})"
            raise OutputFileError(msg) from error

    def _write(self, event: str, **content: Any) -> None:
        now = time.time()
        line = json.dumps(json_ready({"event": event, "time": round(now, 3), **content}), allow_nan=False)
        with self._lock:
            data = f"\n{line}\n".encode() if self._torn else f"{line}\n".encode()
            try:
                # Opened for every line: on network disks, closing is what makes it seen elsewhere.
                descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
                try:
                    self._torn = os.write(descriptor, data) < len(data)
                finally:
                    os.close(descriptor)
            except OSError as error:
                _log.warning("%s: cannot be written (%s)", self.path, error.strerror)
            self._last = now

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT):
            if time.time() - self._last >= HEARTBEAT:
                self._write("heartbeat")


def flat_parameters(recipe: Mapping[str, Any]) -> dict[str, Parameter]:
    """Values of a recipe by dotted key: ``{"flow": {"width": 8}}`` gives ``{"flow.width": 8}``.

    Lists of numbers or names stay together as one text; lists of mappings get the number as key.
    """
    flat: dict[str, Parameter] = {}
    for key, value in recipe.items():
        if isinstance(value, dict):
            nested = flat_parameters(value)
        elif isinstance(value, list | tuple):
            if any(isinstance(entry, dict) for entry in value):
                nested = flat_parameters({str(number): entry for number, entry in enumerate(value)})
            else:
                flat[key] = ", ".join(map(str, value))
                continue
        else:
            flat[key] = value if isinstance(value, Parameter) else str(value)
            continue
        flat |= {f"{key}.{inner}": entry for inner, entry in nested.items()}
    return flat
