"""Short made-up texts: what members of the community write, and what spammers and crowds write."""

import numpy as np

_OPENERS = (
    "just finished", "anyone else likes", "thinking about", "new here, into", "question about", "photos of",
    "third day of", "finally got", "not sure about", "best guide to", "my notes on", "looking for",
)  # fmt: skip
_TOPICS = (
    ("sourdough", "rye bread", "pizza dough", "starter", "oven spring", "flour"),
    ("trail running", "hill repeats", "race day", "new shoes", "long run", "stretching"),
    ("tomato seedlings", "compost", "raised beds", "pruning", "slugs", "rain barrel"),
    ("chess openings", "endgames", "blitz", "the local club", "rook lifts", "puzzles"),
    ("film cameras", "developing", "street photos", "a 50 mm lens", "contact sheets", "light meters"),
    ("synth patches", "tape loops", "drum machines", "mixing", "field recordings", "reverb"),
    ("bike repair", "gear ratios", "winter tyres", "cargo bikes", "brake pads", "the commute"),
    ("night sky", "meteor shower", "small telescopes", "Saturn", "star charts", "dew heaters"),
)
_CLOSERS = (
    "", "today", "this week", "with friends", "before work", "and it worked", "any tips?", "more soon", "so good",
    "what do you think?", "after the rain", "at last",
)  # fmt: skip

# Viewers must show these as text and never run them; readers must carry them through CSV, JSON and a queue unharmed.
_ODD = (
    "<script>alert(1)</script>", '<img src=x onerror="alert(1)">', "<b>bold?</b> & 5 < 6", "&lt;already escaped&gt;",
    "comma, \"quote\" and 'tick'", "two\nlines", "naïve café, señor", "日本語のテキスト", "Привет, мир", "مرحبا",
    "👍🏽 nice", "{{ 7 * 7 }} ${x} %s", "=1+1", "null",
)  # fmt: skip

_SITES = ("coins.example", "lucky.example", "fast-money.example")
_HURRY = ("now!!", "today!!!", "right now!", "before midnight!!", "- tell your friends!!", "(real)!!")
_SCORN = (
    "{target} should be banned", "nobody wants {target} here", "report {target}, all of you", "shame on {target}",
    "{target} again? get out", "remove {target}",
)  # fmt: skip


def chatter(rng, topic):
    """One ordinary text for each entry of ``topic`` (int array); about 0.6 % are odd ones with markup or unicode."""
    n = len(topic)
    opener, word, closer = (rng.integers(0, len(words), n) for words in (_OPENERS, _TOPICS[0], _CLOSERS))
    odd = np.where(rng.integers(0, 1000, n) < 6, rng.integers(0, len(_ODD), n), -1)
    return [
        _ODD[o] if o >= 0 else f"{_OPENERS[a]} {_TOPICS[t][b]} {_CLOSERS[c]}".rstrip()
        for t, a, b, c, o in zip(topic % len(_TOPICS), opener, word, closer, odd, strict=True)
    ]


def spam(rng, n):
    """``n`` near-duplicates of one advertisement."""
    amount, site, hurry = rng.integers(50, 99, n), rng.integers(0, len(_SITES), n), rng.integers(0, len(_HURRY), n)
    return [
        f"Earn {a}0 coins a day from home, no work needed, see http://{_SITES[s]}/{a} {_HURRY[h]}"
        for a, s, h in zip(amount, site, hurry, strict=True)
    ]


def scorn(rng, n, target):
    """``n`` comments of a crowd against ``target``."""
    return [_SCORN[k].format(target=target) for k in rng.integers(0, len(_SCORN), n)]
