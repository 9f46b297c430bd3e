"""What a registered step says of a fixed input is recorded; it changes only with the version of its class.

``python tests/contracts/test_fingerprints.py`` records new steps and steps whose version was raised, and refuses the others.
Packages whose models are wrapped have their own versions, those of constraints.txt.
"""

import json
import sys
from pathlib import Path

import pytest

from govlab import frames, registry, testing
from govlab.summary import Fingerprint

RECORD = Path(__file__).with_name("fingerprints.json")
STEPS = [(room, name) for room in registry.STEP_ROOMS for name in registry.names(room)]


def say(room, name):
    """Give the version of a step, and a hash of all that it says of 600 events and of what it does with them at the end."""
    kind = registry.load(room, name)
    running, said = kind.example().fresh(), Fingerprint()
    events = testing.sample_events(600, seed=13, entities=12, span_s=14_400)
    for first in range(0, len(events), 200):
        said.give(running.process(frames.cut(events, first, first + 200)))
    said.give(running.finish())
    for side, rows in running.take_sides():
        said.take(rows.assign(side=side))
    return {"version": kind.version, "fingerprint": said.digest({})[:16]}


def recorded():
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def what_changed(name, now, before):
    """Say what is wrong with a record; None if nothing is."""
    if before is None:
        return f"{name} is not recorded: python {Path(__file__).name}"
    if now == before:
        return None
    if now["version"] == before["version"]:
        return (
            f"{name} says something else than recorded, and its version is still {now['version']}: raise it "
            f"(version: ClassVar[int] = {now['version'] + 1}) and record it, or mend what changed it"
        )
    return f"{name} has version {now['version']}, recorded is {before['version']}: python {Path(__file__).name}"


@pytest.mark.parametrize(("room", "name"), STEPS)
def test_what_a_registered_step_says_changes_only_with_its_version(room, name):
    assert what_changed(name, say(room, name), recorded().get(name)) is None


def test_no_step_is_recorded_that_is_not_registered():
    assert sorted(name for _, name in STEPS) == sorted(recorded())


def test_a_step_that_says_something_else_is_found_though_its_version_stays():
    before = recorded()["ewma_z"]
    assert "raise it" in what_changed("ewma_z", before | {"fingerprint": "0" * 16}, before)
    assert "recorded is 1" in what_changed("ewma_z", before | {"version": 2}, before | {"version": 1})
    assert "is not recorded" in what_changed("ewma_z", before, None)


def main():
    """Record."""
    known, wrong, kept = recorded(), [], {}
    for room, name in STEPS:
        now, before = say(room, name), known.get(name)
        if before is not None and now["version"] == before["version"] and now != before:
            wrong.append(what_changed(name, now, before))
            now = before
        kept[name] = now
    RECORD.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
    print("\n".join(wrong) or f"{len(kept)} steps are recorded in {RECORD.name}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
