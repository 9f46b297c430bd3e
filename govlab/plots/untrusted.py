"""Text from events is written by strangers: this is the one door through which it reaches a plot."""

import unicodedata

import pandas as pd

# Bokeh typesets text between these marks with MathJax, a program that it would also fetch for the purpose.
_TEX = {"$$": "$ $", "\\(": "\\ (", "\\[": "\\ ["}


def plain(value: object, limit: int = 160) -> str:
    r"""Make one short line of inert text out of any value.

    Control, format and surrogate characters (line breaks, reversed writing, halves of pairs that no encoder takes) become
    spaces, TeX marks are broken up, and what is longer than `limit` characters is cut. Markup is left as it is: Bokeh shows
    hover texts, axis labels and titles as text, and what is put into HTML is escaped there.

    Parameters
    ----------
    value : object
        Anything; ``None`` and NaN give an empty string.
    limit : int
        Largest length of the result, in characters.

    Returns
    -------
    str

    Examples
    --------
    >>> plain("first\nsecond")
    'first second'
    >>> plain("$$x$$")
    '$ $x$ $'
    >>> plain("abcdef", limit=4)
    'abc…'
    """
    if value is None or value is pd.NA or value != value:  # NaN and NaT are what differs from itself
        return ""
    text = str(value)[: 4 * limit]
    text = " ".join("".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text).split())
    for mark, broken in _TEX.items():
        text = text.replace(mark, broken)
    return text if len(text) <= limit else text[: limit - 1] + "…"
