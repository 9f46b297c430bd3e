"""The syntax of CSV: where a record ends and what its values are, also when quotes are broken."""

from __future__ import annotations

import re

__all__ = ["CsvLines", "OpenQuoteError"]

RECORD_LIMIT = 1 << 20


class OpenQuoteError(ValueError):
    """A value begins with a quote that no other closes."""


class CsvLines:
    """Cuts bytes into records and records into values (RFC 4180; a quote within a value that does not begin with one is a letter).

    Parameters
    ----------
    delimiter : str
        The sign between two values.
    columns : int
        How many values a record has.
    """

    def __init__(self, delimiter: str, columns: int) -> None:
        self.delimiter, self.columns = delimiter.encode(), columns
        sign = re.escape(self.delimiter)
        self._plain = re.compile(rb"[^\r\n%b]*+" % sign)
        self._quoted = re.compile(rb'"((?:[^"]++|"")*+)"')
        self._after = re.compile(rb"%b|\r?\n|\r?\Z" % sign)
        self._quoted_in_line = re.compile(rb'"(?<=[\n%b]")(?:[^"\n]++|"")*+"(?=[\n%b]|\Z)' % (sign, sign))

    def one_a_line(self, text: bytes) -> bool:
        """Tell whether every line of a text (with LF ends) is surely a record of its own."""
        if b"\r" in text or b"\n\n" in text or text.startswith(b"\n"):
            return False
        return b'"' not in text or b'"' not in self._quoted_in_line.sub(b"", b"\n" + text)

    def values(self, data: bytes, at: int = 0) -> tuple[list[bytes], int]:
        """Give the values of the record that begins at a byte, and where the next one begins.

        Raises
        ------
        ValueError
            There is more after a closing quote, or a carriage return in a line.
        OpenQuoteError
            A quote is not closed.
        """
        values: list[bytes] = []
        while True:
            quoted = data[at : at + 1] == b'"'
            match = (self._quoted if quoted else self._plain).match(data, at)
            if match is None:
                raise OpenQuoteError("a quote is not closed")
            after = self._after.match(data, match.end())
            if after is None:
                raise ValueError("a quote or a carriage return stands where a value should end")
            values.append(match[1].replace(b'""', b'"') if quoted else match[0])
            at = after.end()
            if after[0] != self.delimiter:
                return values, at

    def row(self, raw: bytes) -> list[bytes]:
        """Give the values of one record, or raise a ValueError that says what is wrong with it."""
        values, end = self.values(raw)
        if end != len(raw):
            raise ValueError("more than one record")
        if len(values) != self.columns:
            raise ValueError(f"{len(values)} values for {self.columns} columns")
        return values

    def split(self, data: bytes, first_line: int, last: bool) -> tuple[list[tuple[int, bytes]], int]:
        """Give the records with the numbers of their lines, and how many bytes they take up.

        A quoted value may hold newlines. But a record whose quote is not closed within 1 MiB, or that then has the wrong number
        of values, ends with its line: a stray quote does not swallow the lines after it. Unless this is the ``last`` of the data,
        a record that may go on is left.
        """
        records: list[tuple[int, bytes]] = []
        at, line = 0, first_line
        while at < len(data):
            end = data.find(b"\n", at) + 1 or len(data)
            if data.find(b'"', at, end) >= 0:
                try:
                    values, whole = self.values(data, at)
                    if whole > end and whole - at <= RECORD_LIMIT and len(values) == self.columns:
                        end = whole
                except OpenQuoteError:
                    if not last and len(data) - at <= RECORD_LIMIT:
                        break
                except ValueError:
                    pass
            raw = data[at:end].removesuffix(b"\n").removesuffix(b"\r")
            if raw.strip():
                records.append((line, raw))
            line += data.count(b"\n", at, end)
            at = end
        return records, at
