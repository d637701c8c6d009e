"""Answers as CSV (RFC 4180): a header row, then one line per row, safe to open in a spreadsheet.

A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break as a formula,
and the names of users and models are chosen by others. Such texts get an apostrophe in front, which
spreadsheets take as "this is text"; numbers are written as they are.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bursar.usage.query_answer import Column, QueryAnswer, WireValue

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Text:
    """A cell that others chose the words of."""

    text: str


Cell = Text | str | bool | int | float | None
"""A `str` is one of our own forms: a decimal, a time, a word of ours."""


def write_csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """The whole table as CSV text."""
    return write_rows([[Text(name) for name in header]]) + write_rows(rows)


def write_rows(rows: Iterable[Sequence[Cell]], *, is_raw: bool = False) -> str:
    """Rows as CSV text without a header; `is_raw` leaves every text as it is, formulas too."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_cell(cell, is_raw=is_raw) for cell in row])
    return out.getvalue()


def answer_as_csv(answer: QueryAnswer) -> str:
    """The rows of a query's answer."""
    return rows_as_csv(answer.columns, answer.rows)


def rows_as_csv(columns: Sequence[Column], rows: Iterable[dict[str, WireValue]]) -> str:
    """Rows of named values, by their columns."""
    foreign = {column.name for column in columns if column.kind == "dimension" and column.type == "string"}
    names = [column.name for column in columns]
    lines = ([_foreign(row[name], name in foreign) for name in names] for row in rows)
    return write_csv(names, lines)


def json_cell(value: object) -> Cell:
    """Something nested as JSON text, empty for nothing."""
    return Text(msgspec.json.encode(value).decode()) if value else None


def text_cell(value: str | None) -> Cell:
    """A text that others chose."""
    return None if value is None else Text(value)


def _foreign(value: WireValue, is_foreign: bool) -> Cell:  # noqa: FBT001 - says what kind of column it is in
    return Text(value) if is_foreign and isinstance(value, str) else value


def _cell(cell: Cell, *, is_raw: bool) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case Text(text=text):
            return text if is_raw else _safe(text)
        case _:
            return str(cell)


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
