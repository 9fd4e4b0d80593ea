from __future__ import annotations

import os

import pytest

from flashsim.errors import MissingDependencyError
from flashsim.gen.libraries import printed, require, stdout_captured


def test_missing_package_names_the_extra():
    with pytest.raises(MissingDependencyError, match=r"no_such_generator.*flashsim\[reference\]"):
        require("no_such_generator")


def test_output_of_libraries_is_held_back(capfd):
    with stdout_captured() as sink:
        os.write(1, b"banner\n")
        assert printed(sink) == "banner\n"
        os.write(1, b"more\n")
        assert printed(sink) == "banner\nmore\n"
    print("result", flush=True)  # noqa: T201
    assert capfd.readouterr().out == "result\n"


def test_standard_output_comes_back_after_an_error(capfd):
    def fail():
        with stdout_captured():
            os.write(1, b"banner\n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    os.write(1, b"result\n")
    assert capfd.readouterr().out == "result\n"
