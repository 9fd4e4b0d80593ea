from __future__ import annotations

import numpy as np
import pytest

from flashsim.errors import TableError
from flashsim.training.rows import Tables


def test_columns_are_grouped(write_tables, tmp_path):
    tables = Tables(write_tables(tmp_path / "t"))
    objects = tables.objects("train")
    assert list(objects.conditioning) == ["pt", "eta"]
    assert list(objects.gen) == ["pt", "eta", "phi"]
    assert list(objects.targets) == ["pt", "eta", "phi", "id"]
    assert 0 < objects.reconstructed.sum() < len(objects)
    assert len(objects) + len(tables.objects("validation")) == 600
    assert tables.sources("train", "event").number.max() > 0


def test_matched_objects_are_the_reconstructed_ones(write_tables, tmp_path):
    tables = Tables(write_tables(tmp_path / "t"))
    matched = tables.matched("train")
    assert len(matched) == tables.objects("train").reconstructed.sum()
    assert all(np.isfinite(column).all() for column in matched.targets.values())


def test_a_target_that_is_nan_costs_the_flow_a_row_but_not_the_efficiency(write_tables, tmp_path, caplog):
    def spoil(columns):
        columns["target.pt"][np.flatnonzero(columns["reconstructed"])[:30]] = np.nan
        columns["target.eta"][np.flatnonzero(columns["reconstructed"])[30]] = np.inf

    sound, spoiled = Tables(write_tables(tmp_path / "a")), Tables(write_tables(tmp_path / "b", spoil=spoil))
    splits = ("train", "validation")
    assert [len(spoiled.objects(split)) for split in splits] == [
        len(sound.objects(split)) for split in splits
    ]
    assert (
        sum(len(spoiled.matched(split)) for split in splits)
        == sum(len(sound.matched(s)) for s in splits) - 31
    )
    assert "not finite in targets 'pt'" in caplog.text


def test_rows_with_conditioning_that_is_not_finite_are_set_aside(write_tables, tmp_path, caplog):
    def spoil(columns):
        columns["conditioning.eta"][:10] = [np.nan, np.inf] * 5

    tables = Tables(write_tables(tmp_path / "t", spoil=spoil))
    assert len(tables.objects("train")) + len(tables.objects("validation")) == 590
    assert "not finite in conditioning 'eta'" in caplog.text


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(TableError, match="holds no training tables"):
        _ = Tables(tmp_path).description
