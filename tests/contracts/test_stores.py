"""Every registered store keeps the contract of stores: a new one needs a factory here."""

import pytest
from origins import what_to_do

from govlab import registry
from govlab.testing import check_store

FACTORIES = {"sqlite": lambda made, tmp_path: made(tmp_path / "lab.db")}
EXEMPT = {}


@pytest.mark.parametrize("name", FACTORIES)
def test_a_registered_store_keeps_the_contract_of_a_store(name, tmp_path, monkeypatch):
    monkeypatch.setenv("GOVLAB_KEY", "a key of sixteen bytes or more")
    made = registry.load("stores", name)
    check_store(lambda: FACTORIES[name](made, tmp_path))


def test_every_registered_store_has_a_factory_or_a_reason():
    assert what_to_do("stores", FACTORIES, EXEMPT) is None


def test_a_new_store_without_a_factory_or_one_with_an_empty_reason_is_told_what_to_do():
    for exempt in ({}, {"sqlite": ""}):
        assert "write one into FACTORIES of tests/contracts/test_stores.py, or a reason into EXEMPT" in what_to_do(
            "stores", {}, exempt
        )
