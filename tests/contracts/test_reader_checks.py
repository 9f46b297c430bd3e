"""The checks of readers themselves: a reader that breaks a rule is told which."""

import re

import pytest

from govlab import frames
from govlab.errors import CheckError
from govlab.sinks.encode import json_bodies
from govlab.sources.messages import MessageDecoder, Messages
from govlab.sources.reader import DeadLetter, EndOfStream, Reader
from govlab.testing import LIVE_SCHEMA, check_live_reader, check_reader, live_events
from govlab.testing.engines import Letters

CORRECTED = json_bodies(live_events(10_000, 1))[0]


class Ranged(Letters):
    """Frames with bad records before some rows, which can be read again and corrected."""

    def __init__(self):
        super().__init__(live_events(0, 40), (3, 20))

    def fetch(self, evidence):
        first = int(evidence.partition(":")[2])
        return live_events(0, 40).iloc[[first]]

    def redrive(self, letters):
        rows = [live_events(0, 1).assign(offset=letter.offset) for letter, raw in letters if raw == CORRECTED]
        return frames.concat(rows or [frames.empty()]), [letter for letter, raw in letters if raw != CORRECTED]


class PendingLost(Ranged):
    def position_before(self, rows):
        return self.position()


class PendingWhole(Ranged):
    """Takes the whole last frame for what comes again, whatever it is asked of."""

    def read(self, max_rows):
        rows = super().read(max_rows)
        self.last = len(rows)
        return rows

    def position_before(self, rows):
        return {0: self._given - (self.last if len(rows) else 0)}


class LettersTwice(Ranged):
    def take_dead_letters(self):
        return 2 * super().take_dead_letters()


class LettersDropped(Ranged):
    def take_dead_letters(self):
        return super().take_dead_letters()[:0]


class LettersLost(Ranged):
    """Forgets the letters of the rows that were read and not yet given when it is opened at a position."""

    def open(self, position=None):
        super().open(position)
        self.bad = () if position and position[0] else (3, 20)


class Speechless(Ranged):
    def take_dead_letters(self):
        return [DeadLetter(one.source, one.partition, one.offset, "", one.raw) for one in super().take_dead_letters()]


class CommitMoves(Ranged):
    def commit(self, position):
        super().commit(position)
        if position[0] == 7:
            self.read(1)


class LagStays(Ranged):
    def lag(self):
        return {0: 40}


class FetchesNext(Ranged):
    def fetch(self, evidence):
        return live_events(int(evidence.partition(":")[2]) + 1, 1)


class RedrivesAll(Ranged):
    def redrive(self, letters):
        return live_events(0, 1), []


class Elsewhere(Ranged):
    def redrive(self, letters):
        rows, still = super().redrive(letters)
        return rows.assign(offset=rows["offset"] + 1), still


class EndsOnce(Ranged):
    def read(self, max_rows):
        try:
            return super().read(max_rows)
        except EndOfStream:
            if getattr(self, "ended", False):
                return frames.empty()
            self.ended = True
            raise


def test_a_reader_that_keeps_the_contract_passes():
    check_reader(Ranged, 2, CORRECTED)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (PendingLost, "position_before() of the last 7 of 7 rows read changes the rows"),
        (PendingWhole, "position_before() of the last 5 of 7 rows read changes the rows"),
        (LettersTwice, "a dead letter is handed over twice"),
        (LettersDropped, "2 records cannot be read, and there are 0 dead letters"),
        (LettersLost, "dead letters are lost over opening at"),
        (Speechless, "a dead letter says its source, position and reason"),
        (CommitMoves, "read(7) with a commit after each changes the rows"),
        (LagStays, "all was read, and its lag is {0: 40}"),
        (FetchesNext, "fetch of 0:0 changes the rows"),
        (RedrivesAll, "redrive() of what is as bad as before must give it back"),
        (Elsewhere, "redrive() of a corrected record must give its row, at its position"),
        (EndsOnce, "must raise EndOfStream again"),
    ],
)
def test_a_reader_that_breaks_a_rule_is_told_which(broken, rule):
    with pytest.raises(CheckError, match=re.escape(rule)):
        check_reader(broken, 2, CORRECTED)


class Log:
    """Records in a list, as a broker keeps them, with what was committed."""

    def __init__(self):
        self.bodies, self.committed = [], 0

    def put(self, rows):
        self.bodies += json_bodies(rows)

    def put_raw(self, body):
        self.bodies.append(body)


class Tail(Reader):
    """Reads a log as it grows."""

    name = "tail"

    def __init__(self, log):
        self.log, self.decoder = log, MessageDecoder(LIVE_SCHEMA, "json")
        self.at, self.letters = 0, []

    def open(self, position=None):
        self.at, self.letters = (position or {0: self.log.committed})[0], []

    def read(self, max_rows):
        bodies = self.log.bodies[self.at : self.at + max_rows]
        rows, bad = self.decoder.block(Messages(list(range(self.at, self.at + len(bodies))), bodies), 0)
        self.letters += [DeadLetter("log", 0, offset, reason, raw) for offset, reason, raw in bad]
        self.at += len(bodies)
        return rows

    def position(self):
        return {0: self.at}

    def position_before(self, rows):
        return {0: int(rows["offset"].iloc[0]) if len(rows) else self.at}

    def commit(self, position):
        self.log.committed = position[0]

    def lag(self):
        return {0: len(self.log.bodies) - self.at}

    def take_dead_letters(self):
        letters, self.letters = self.letters, []
        return letters

    def redrive(self, letters):
        return self.decoder.redrive(letters)

    def fetch(self, evidence):
        first = int(evidence.partition(":")[2])
        return self.decoder.block(Messages([first], [self.log.bodies[first]]), 0)[0]

    def close(self):
        self.letters = []


class LosesPending(Tail):
    def position_before(self, rows):
        return self.position()


class SkipsOne(Tail):
    def open(self, position=None):
        super().open(position)
        self.at += self.at > 0


class GivesAgain(Tail):
    def open(self, position=None):
        super().open(position)
        self.at = max(0, self.at - 1)


class LagRemembered(Tail):
    def read(self, max_rows):
        self.end = len(self.log.bodies)
        return super().read(max_rows)

    def lag(self):
        return {0: getattr(self, "end", self.at) - self.at}


class LagUnknown(Tail):
    def lag(self):
        return {}


class Troubled(Tail):
    def trouble(self):
        return "stalled", "always"


class Ends(Tail):
    def read(self, max_rows):
        if self.at == len(self.log.bodies):
            raise EndOfStream("silence")
        return super().read(max_rows)


class LivesBackwards(Tail):
    def read(self, max_rows):
        rows = super().read(max_rows)
        return rows.iloc[::-1].reset_index(drop=True)


class DropsLetters(Tail):
    def take_dead_letters(self):
        return []


class GivesLettersAgain(Tail):
    def take_dead_letters(self):
        self.kept = getattr(self, "kept", []) + super().take_dead_letters()
        return list(self.kept)


class CommitsAll(Tail):
    def commit(self, position):
        self.log.committed = len(self.log.bodies)


class CommitsNothing(Tail):
    def commit(self, position):
        pass


class AcknowledgesWhatIsRead(Tail):
    def close(self):
        self.log.committed = max(self.at, self.log.committed)


class Overfull(Tail):
    def read(self, max_rows):
        return super().read(max_rows + 1)


class OtherValues(Tail):
    def read(self, max_rows):
        rows = super().read(max_rows)
        return rows.assign(value=rows["value"].round(2)) if len(rows) else rows


class FetchesAnother(Tail):
    def fetch(self, evidence):
        return super().fetch("0:1")


def test_a_live_reader_that_keeps_the_contract_passes():
    log = Log()
    check_live_reader(lambda: Tail(log), log.put, log.put_raw, CORRECTED, remembers=True)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (LosesPending, "rows are lost"),
        (SkipsOne, "rows are lost"),
        (GivesAgain, "rows come twice"),
        (LagRemembered, "lag() is asked of the origin: 20 rows wait"),
        (LagUnknown, "lag() is asked of the origin"),
        (Troubled, "trouble() must be None when all is well"),
        (Ends, "a live reader never ends"),
        (LivesBackwards, "the rows of a partition must come in the order in which they were written"),
        (DropsLetters, "dead letters are lost"),
        (GivesLettersAgain, "a dead letter is handed over twice"),
        (CommitsAll, "rows are lost"),
        (CommitsNothing, "rows come twice"),
        (AcknowledgesWhatIsRead, "rows are lost"),
        (Overfull, "read(3) gave 4 rows"),
        (OtherValues, "the values of 'value' are not read as they were written"),
        (FetchesAnother, "fetch of 0:0 changes the rows"),
    ],
)
def test_a_live_reader_that_breaks_a_rule_is_told_which(broken, rule):
    log = Log()
    with pytest.raises(CheckError, match=re.escape(rule)):
        check_live_reader(lambda: broken(log), log.put, log.put_raw, CORRECTED, remembers=True, patience_s=1.0)
