from __future__ import annotations

import pytest
import torch

from flashsim.errors import FlashSimError
from flashsim.execution.threads import number_of_threads, set_threads
from flashsim.learning.devices import prepare_device


@pytest.mark.parametrize("device", ["abacus", "meta", "cuda:99"])
def test_unknown_device(device):
    with pytest.raises(
        FlashSimError, match=rf"--device {device}: torch cannot compute on it here \(.*\); use cpu"
    ):
        prepare_device(device)


def test_threads():
    before = torch.get_num_threads(), number_of_threads()
    try:
        assert prepare_device("cpu", 3) == "cpu"
        assert (torch.get_num_threads(), number_of_threads()) == (3, 3)
    finally:
        torch.set_num_threads(before[0])
        set_threads(before[1])


def test_auto_is_a_device_that_computes():
    assert prepare_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
