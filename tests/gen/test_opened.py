"""Compressed inputs: read whole, or refused in a sentence where they are damaged."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import sys

import pytest

from flashsim.errors import InputFileError, MissingDependencyError
from flashsim.gen.hepmc.text import HepMCText
from flashsim.gen.kinds import kind_of
from flashsim.gen.lhe.text import LHEText
from flashsim.gen.opened import DAMAGED, decompressed

PACKINGS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": None}
ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
CONTENT = random.Random(1).randbytes(300_000).hex().encode()


def packed(packing, content):
    if pack := PACKINGS[packing]:
        return pack(content)
    zstd = pytest.importorskip(ZSTD, reason="no module packs zstd")
    # As the program zstd writes it.
    return zstd.compress(content, options={zstd.CompressionParameter.checksum_flag: 1})


@pytest.fixture(params=PACKINGS)
def packing(request):
    return request.param


def test_all_bytes_are_read(tmp_path, packing):
    (tmp_path / "a").write_bytes(packed(packing, CONTENT))
    with decompressed(tmp_path / "a") as file:
        assert file.readline(1000) + file.read() == CONTENT


@pytest.mark.parametrize("place", [8, 150_000])
def test_damage_is_one_of_a_few_errors(tmp_path, packing, place):
    data = bytearray(packed(packing, CONTENT))
    data[place : place + 4000] = bytes(byte ^ 0x5A for byte in data[place : place + 4000])
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(DAMAGED), decompressed(tmp_path / "a") as file:
        file.read()


@pytest.mark.parametrize(
    ("mark", "read"),
    [
        (b'<LesHouchesEvents version="3.0">\n<header>\n', LHEText),
        (b"HepMC::Version 3.02.06\nHepMC::Asciiv3-START_EVENT_LISTING\n", HepMCText),
    ],
    ids=["lhe", "hepmc"],
)
@pytest.mark.parametrize("ask", [True, False], ids=["kind", "whole"])
def test_damage_at_the_beginning_is_refused_in_a_sentence(tmp_path, packing, mark, read, ask):
    path = tmp_path / "a"
    data = bytearray(packed(packing, mark * 1000))
    data[8:] = bytes(byte ^ 0x5A for byte in data[8:])
    path.write_bytes(data)
    with pytest.raises(InputFileError, match=r"a: .*(damaged|cannot be (read|decompressed))") as error:
        (kind_of if ask else read)(path)
    assert "\n" not in str(error.value)


def test_without_the_zstd_package_its_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    monkeypatch.setitem(sys.modules, ZSTD, None)
    for read in (kind_of, LHEText, HepMCText):
        with pytest.raises(MissingDependencyError, match=r"zstd needs the package .*flashsim\[reference\]"):
            read(tmp_path / "a")
