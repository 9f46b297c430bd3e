"""Every registered step keeps the contract: a new one is tested by being in its table."""

import pytest

from govlab import registry, testing
from govlab.step import Detector

STEPS = [(room, name) for room in registry.STEP_ROOMS for name in registry.names(room)]
DETECTORS = [name for name in registry.names("detectors") if issubclass(registry.load("detectors", name), Detector)]


@pytest.mark.parametrize(("room", "name"), STEPS)
def test_a_registered_step_keeps_the_contract_of_a_step(room, name):
    testing.check_step(registry.load(room, name).example())


@pytest.mark.parametrize("name", DETECTORS)
def test_a_registered_detector_keeps_the_contract_of_a_detector(name):
    testing.check_detector(registry.load("detectors", name).example())
