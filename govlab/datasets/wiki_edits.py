"""Edit times for the English Wikipedia edits of 2015, which were published without any.

For an anonymous edit the published ``seconds_since_registration`` counts from 2006-01-01T00:00:00Z, a stand-in for the
registration there never was; so it tells when the edit was made, to the second. Revision numbers grow with time, so
the other edits lie between the anonymous ones around them.
"""

import numpy as np
import pandas as pd

FEATURES = [
    "longest_repeated_char_added",
    "words_added",
    "words_removed",
    "badwords_delta",
    "informals_delta",
    "nonstopword_delta",
    "user_is_anon",
    "user_is_bot_or_sysop",
    "seconds_since_registration",
]
REVERT_WITHIN = "48h"
_ANONYMOUS_SINCE = pd.Timestamp("2006-01-01", tz="UTC")


def edit_times_s(rev_id, elapsed_s, anonymous):
    """Seconds since 2006-01-01 of every edit, and whether they are exact.

    Parameters
    ----------
    rev_id, elapsed_s : ndarray of int64
        Revision numbers, growing, and the published seconds.
    anonymous : ndarray of bool

    Returns
    -------
    (ndarray of int64, ndarray of bool)
        Never decreasing. An anonymous edit that is earlier than one before it (a revision imported with its old date)
        is not taken as exact; edits before the first or after the last exact one follow the mean rate of all.

    Examples
    --------
    >>> rev_id = np.array([10, 20, 30, 40])
    >>> times_s, exact = edit_times_s(rev_id, np.array([100, 7, 200, 9]), np.array([True, False, True, False]))
    >>> times_s.tolist(), exact.tolist()
    ([100, 150, 200, 250], [True, False, True, False])
    """
    candidate = np.flatnonzero(anonymous)
    seen_s = elapsed_s[candidate]
    known = candidate[seen_s >= np.maximum.accumulate(seen_s)]
    exact = np.zeros(len(rev_id), dtype=bool)
    exact[known] = True
    rev, at_s = rev_id[known], elapsed_s[known]
    left = np.clip(np.searchsorted(rev, rev_id, side="right") - 1, 0, len(rev) - 2)
    rise_s, run = at_s[left + 1] - at_s[left], rev[left + 1] - rev[left]
    outside = (rev_id < rev[0]) | (rev_id > rev[-1])
    rise_s, run = np.where(outside, at_s[-1] - at_s[0], rise_s), np.where(outside, rev[-1] - rev[0], run)
    base = np.where(rev_id > rev[-1], len(rev) - 1, left)
    return at_s[base] + (rev_id - rev[base]) * rise_s // run, exact


def edits_and_labels(published):
    """Split the published table into edits with times and labels with the time they were known.

    Parameters
    ----------
    published : DataFrame
        ``rev_id``, the nine features and ``reverted``.

    Returns
    -------
    (DataFrame, DataFrame)
        Edits by ``rev_id`` (``time``, ``rev_id``, ``time_exact``, the features; the seconds since registration only
        for registered users), and ``rev_id``, ``reverted``, ``known_at``.
    """
    edits = published.sort_values("rev_id", ignore_index=True)
    anonymous = edits["user_is_anon"].to_numpy() == 1
    elapsed_s = edits["seconds_since_registration"].to_numpy(np.int64)
    times_s, exact = edit_times_s(edits["rev_id"].to_numpy(np.int64), elapsed_s, anonymous)
    time = (_ANONYMOUS_SINCE + pd.to_timedelta(pd.Series(times_s), unit="s")).astype("datetime64[us, UTC]")
    labels = pd.DataFrame({"rev_id": edits["rev_id"], "reverted": edits["reverted"]})
    labels["known_at"] = time + pd.Timedelta(REVERT_WITHIN)
    edits["seconds_since_registration"] = edits["seconds_since_registration"].astype("Int64").mask(anonymous)
    edits.insert(0, "time", time)
    edits.insert(2, "time_exact", exact.astype(np.int64))
    return edits[["time", "rev_id", "time_exact", *FEATURES]], labels
