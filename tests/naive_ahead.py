"""The guard on event time, slow and obvious: lists and dicts, one row after the other."""

DAY = 86_400_000_000


class Clock:
    def __init__(self):
        self.newest, self.gap, self.rows, self.waiting = None, 0, 0, None

    def accept(self, t):
        if self.rows and t > self.newest:
            self.gap = max(self.gap, min(t - self.newest, 1_200 * DAY))
        self.newest = t if not self.rows else max(t, self.newest)
        self.rows += 1
        if self.rows % 1_000 == 0:
            self.gap //= 2


def guard(rows, ahead, apart=False):
    """Take rows (time, partition, arrival or None); give [(row, the row at which it passes)] in order, and the rows aside."""
    clocks, scores, runs = {}, {}, {}
    held, passed, aside = [], [], []

    def bound(clock):
        return max(ahead, 3 * clock.gap)

    def decide(i, at, passes):
        held.remove(i)
        (passed.append((i, at)) if passes else aside.append(i))

    def move(at, some, sparse, clock):
        times = sorted(rows[i][0] for i in some)
        far = bound(clock)
        top = times[-1] if sparse else times[(len(times) - 1) // 2]
        for t in times:
            if t <= top + far:
                top = max(top, t)
            else:
                break
        for i in list(held):
            if rows[i][0] <= (top + far if i in some else top):
                clock.accept(rows[i][0])
                decide(i, at, True)
        for place in scores:
            scores[place] = min(90, 3 * sum(place in ("all", rows[i][1]) for i in held))

    for at, (t, part, arrival) in enumerate(rows):
        clock = clocks.setdefault(part if apart else "all", Clock())
        scores.setdefault("all", 0), scores.setdefault(part, 0)
        run = runs.setdefault(part, [])
        if clock.rows == 0 and arrival is None:
            if -DAY <= t < DAY:
                passed.append((at, at))
                continue
            if clock.waiting is None:
                clock.waiting = at
                held.append(at)
                continue
            if clock.waiting in held:
                if t >= rows[clock.waiting][0] - ahead:
                    clock.accept(rows[clock.waiting][0])
                    decide(clock.waiting, at, True)
                else:
                    scores["all"] += 3
                    scores[rows[clock.waiting][1]] += 3
        if arrival is not None:
            odd = t > arrival + ahead
        else:
            odd = clock.rows > 0 and t > clock.newest + bound(clock)
        if not odd:
            clock.accept(t)
            run.clear()
            scores["all"], scores[part] = max(0, scores["all"] - 1), max(0, scores[part] - 1)
            far = bound(clock)
            for i in list(held):
                mine = rows[i][1] == part
                if (mine or not apart) and rows[i][2] is None and rows[i][0] <= clock.newest + far:
                    clock.accept(rows[i][0])
                    decide(i, at, True)
                elif mine and scores[part] == 0:
                    decide(i, at, False)
            passed.append((at, at))
            # what was held comes before the row at which it passes
            for i in [p for p in passed if p[1] == at and p[0] != at]:
                passed.remove(i)
                passed.insert(len(passed) - 1, i)
            continue
        if len(held) == 256:
            decide(held[0], at, False)
        held.append(at)
        if scores[part] == 0:
            run.clear()
        if not run:
            before = clock.newest
        else:
            before = run[0][1]
        run.append((t, before))
        scores["all"], scores[part] = min(90, scores["all"] + 3), min(90, scores[part] + 3)
        enough = 3 * max(4, min(clock.rows, 30))
        times = [time for time, _ in run]
        sparse = (
            arrival is None
            and clock.rows > 0
            and len(run) >= (2 if clock.rows < 30 else 4)
            and times == sorted(times)
            and before is not None  # a run that began before any row was accepted
            and times[-1] - times[0] >= (times[0] - before) // 3
        )
        own = scores[part] >= enough or sparse
        if own or (not apart and scores["all"] >= enough):
            move(at, [i for i in held if not own or rows[i][1] == part], sparse, clock)
            for place in [part] if own else list(runs):
                runs[place].clear()
            if arrival is not None:
                scores["all"], scores[part] = max(scores["all"], enough - 3), max(scores[part], enough - 3)
    end = len(rows)
    for name, clock in sorted(clocks.items(), key=lambda item: next(i for i, r in enumerate(rows) if not apart or r[1] == item[0])):
        parts = [name] if apart else list(runs)
        if clock.rows < 30:
            for i in [i for i in held if rows[i][1] in parts]:
                decide(i, end, True)
            continue
        for place in parts if apart else ["all", *parts]:
            some = [i for i in held if place in ("all", rows[i][1])]
            if some and scores[place] >= 12:
                move(end, some, False, clock)
    for i in list(held):
        decide(i, end, False)
    return passed, aside
