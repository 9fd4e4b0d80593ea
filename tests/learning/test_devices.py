from __future__ import annotations

import pytest
import torch

from flashsim.errors import FlashSimError
from flashsim.learning.devices import prepare_device, threads_of_process


@pytest.mark.parametrize("device", ["abacus", "meta", "cuda:99"])
def test_unknown_device(device):
    with pytest.raises(
        FlashSimError, match=rf"--device {device}: torch cannot compute on it here \(.*\); use cpu"
    ):
        prepare_device(device)


def test_threads():
    before = torch.get_num_threads()
    try:
        prepare_device("cpu", 1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("threads", "workers", "dask", "expected"),
    [(None, 1, None, None), (3, 2, None, 3), (None, 64, None, 1), (None, 1, "tcp://x:1", 1)],
)
def test_threads_are_shared_out(threads, workers, dask, expected):
    assert threads_of_process(threads, workers, dask) == expected
