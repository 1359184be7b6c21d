"""Comma-separated text and its kin as Arrow tables, with what is wrong said by row. Imports its own room only."""

from __future__ import annotations

import codecs
import csv as python_csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from revealed.errors import DataError, Problem, SpecificationError

#: What a cell of text may hold to say that it is missing.
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "null", "None")

_DELIMITERS = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar"}
_BLOCKS = (1 << 22, 1 << 26, 1 << 30)  # a block must hold the longest row
_KEPT = 1000


@dataclass(frozen=True)
class TextFormat:
    """How a text file is written.

    Parameters
    ----------
    delimiter : str, optional
        What stands between cells. By default a comma, a tab in ``.tsv`` and ``.tab``, and whichever the header holds
        in files of other names.
    encoding : str
        ``"utf-8"``, ``"cp1252"``, ``"latin-1"``, …
    decimal : str
        The mark between whole and fraction.
    missing : tuple of str
        Cells that mean "missing" when not in quotes.
    """

    delimiter: str | None = None
    encoding: str = "utf-8"
    decimal: str = "."
    missing: tuple[str, ...] = MISSING


def read_delimited(path: Path, text: TextFormat | None = None, labels: tuple[str, ...] = ()) -> pa.Table:
    """Return a text file, plain or compressed (``.gz``, ``.bz2``, ``.zst``), as a table.

    Types are inferred from the whole file: a column with one word among a million numbers is text, and says so when
    it is asked for as numbers.

    Parameters
    ----------
    path : Path
    text : TextFormat, optional
    labels : tuple of str
        Columns that name things, kept to the last digit when they look like numbers too long for the machine.

    Raises
    ------
    DataError
        For an empty file, a wrong delimiter or encoding, rows of the wrong length, doubled names.
    """
    text = text or TextFormat()
    try:
        codecs.lookup(text.encoding)
    except LookupError:
        raise SpecificationError(f"no encoding {text.encoding!r}; try 'utf-8', 'cp1252' or 'latin-1'") from None
    delimiter = _check_header(path, text)
    table = _parse(path, text, delimiter, {})
    if any(pa.types.is_binary(kind) for kind in table.schema.types):
        raise _bad_encoding(path, text.encoding)
    long_labels = [name for name in labels if name in table.column_names and _loses_digits(table.column(name))]
    if long_labels:
        table = _parse(path, text, delimiter, dict.fromkeys(long_labels, pa.string()))
    return table


def _loses_digits(column: pa.ChunkedArray) -> bool:
    if not pa.types.is_floating(column.type):
        return False
    return bool(np.any(np.abs(column.drop_null().to_numpy()) >= 2.0**53))


def _check_header(path: Path, text: TextFormat) -> str:
    """Return the delimiter, or raise DataError for a file that is empty, not text, or delimited otherwise."""
    head = _head(path)
    if not head.strip():
        raise DataError(str(path), [Problem("the file is empty", "check that it was written and copied in full")])
    sixteen = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if (sixteen or b"\0" in head[:1000]) and not codecs.lookup(text.encoding).name.startswith(("utf-16", "utf-32")):
        remedy = 'say text=TextFormat(encoding="utf-16")' if sixteen else "export the data as CSV, Parquet or Arrow"
        raise DataError(str(path), [Problem("the file is UTF-16 text" if sixteen else "the file is not text", remedy)])
    try:
        decoded = codecs.getincrementaldecoder(text.encoding)().decode(head)
    except UnicodeDecodeError:
        raise _bad_encoding(path, text.encoding) from None
    decoded = decoded.removeprefix("\ufeff").lstrip("\r\n")
    line = decoded.splitlines()[0]
    delimiter = text.delimiter or _default_delimiter(path, line)
    header = next(python_csv.reader(io.StringIO(decoded), delimiter=delimiter))
    if len(header) == 1:
        other = max(_DELIMITERS, key=lambda mark: (line.count(mark), mark == ","))
        if other != delimiter and line.count(other):
            problem = Problem(
                what=f"one single column, {header[0]!r}: the cells look to be separated by a {_DELIMITERS[other]}",
                remedy=f"say text=TextFormat(delimiter={other!r})",
                where="header",
            )
            raise DataError(str(path), [problem])
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        what = f"more than one column is called {', '.join(map(repr, doubled))}"
        raise DataError(str(path), [Problem(what, "give each column its own name", "header", count=len(doubled))])
    return delimiter


def _default_delimiter(path: Path, line: str) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if ".csv" in suffixes:
        return ","
    if ".tsv" in suffixes or ".tab" in suffixes:
        return "\t"
    return max(_DELIMITERS, key=lambda mark: (line.count(mark), mark == ","))


def _head(path: Path, size: int = 1 << 16) -> bytes:
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            return bytes(stream.read(size))
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(str(path), [Problem(f"cannot be read: {error}", "check that the file was copied in full")])


def _parse(path: Path, text: TextFormat, delimiter: str, types: dict[str, pa.DataType]) -> pa.Table:
    """Return the table, trying larger blocks for files with very long rows."""
    ragged: list[arrow_csv.InvalidRow] = []

    def collect(row: arrow_csv.InvalidRow) -> str:
        if len(ragged) < _KEPT or row.number is not None:
            ragged.append(row)
        return "skip"

    # Python is called back only when the rows are read in order: a callback that a thread of Arrow's still holds when
    # the interpreter ends would end the process the hard way.
    parsings = {
        True: arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        False: arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=collect),
    }
    convert = arrow_csv.ConvertOptions(
        null_values=list(text.missing),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        decimal_point=text.decimal,
        column_types=types,
    )
    for block in _BLOCKS:
        for threads in (True, False):
            reading = arrow_csv.ReadOptions(block_size=block, encoding=text.encoding, use_threads=threads)
            try:
                table = arrow_csv.read_csv(str(path), reading, parsings[threads], convert)
            except UnicodeDecodeError:
                raise _bad_encoding(path, text.encoding) from None
            except (pa.ArrowInvalid, OSError) as error:
                if "straddling" in str(error) and block != _BLOCKS[-1]:
                    break  # on to larger blocks
                if threads and "columns, got" in str(error):
                    continue  # rows have numbers only when read in order
                raise _unreadable(path, error) from None
            if not ragged:
                return table
            raise DataError(str(path), [_ragged_problem(ragged)])
    raise AssertionError("the last block size returns or raises")


def _ragged_problem(ragged: list[arrow_csv.InvalidRow]) -> Problem:
    first = ragged[0]
    return Problem(
        what=f"rows with another number of cells than the header's {first.expected_columns}; "
        f"the first has {first.actual_columns}: {first.text[:60]!r}",
        remedy="complete these rows; text that holds the delimiter goes in quotes",
        rows=tuple(row.number - 1 for row in ragged[:5]),  # the header is line 1, the first data row is row 1
        count=len(ragged),
    )


def _bad_encoding(path: Path, encoding: str) -> DataError:
    """Return the error for the first byte that is not text in the encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, seen, tail = 1, 0, b""
    with pa.input_stream(str(path), compression="detect") as stream:
        while True:
            block = bytes(stream.read(1 << 20))
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                bad = error.object[error.start]
                before = error.object[: error.start]
                line += before.count(b"\n") - tail.count(b"\n")
                column = len(before) - before.rfind(b"\n")
                guess = "utf-16" if error.object[:2] in (b"\xff\xfe", b"\xfe\xff") and not seen else "cp1252"
                problem = Problem(
                    what=f"byte 0x{bad:02x} is not {encoding} text",
                    remedy=f'save it as UTF-8, or say how it was written: text=TextFormat(encoding="{guess}")',
                    where=f"line {line:,}, byte {column}",
                )
                return DataError(str(path), [problem])
            if not block:
                break
            line += block.count(b"\n")
            seen += len(block)
            tail = decoder.getstate()[0]
    problem = Problem(
        f"cells that are not {encoding} text",
        'save it as UTF-8, or say how it was written: text=TextFormat(encoding="…")',
    )
    return DataError(str(path), [problem])
