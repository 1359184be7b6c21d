"""Choices from the files that commands are given. Imports choices to models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from revealed.cli.options import FileOptions, RoleOptions, TextOptions
from revealed.errors import DataError, Problem, RevealedError, SpecificationError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from revealed.choices import ChoiceLog, ChoiceStream, Columns, TextFormat
    from revealed.models import Fit
    from revealed.models.dynamic import DynamicFit, RecoveredFit

#: Roles a column plays by its name alone. A column called time or weight may well be an attribute.
_BY_NAME = ("person", "available")

#: How a file of arrays begins, as that of recovered rewards does.
_ZIPPED = "PK"

Saved = TypeVar("Saved")


def open_choices(
    path: Path, file: FileOptions, roles: RoleOptions, attributes: tuple[str, ...] = (), *, stream: bool = False
) -> ChoiceLog | ChoiceStream:
    """Return the choices in a file, checked.

    Parameters
    ----------
    path : Path
    file, roles : FileOptions, RoleOptions
    attributes : tuple of str
        Columns to check along with the roles.
    stream : bool
        Leave them on disk.
    """
    if file.wide is not None:
        _require_no(roles, "--wide: the form says which column plays which role")
        return _lengthened(path, file, roles.counts, attributes, stream)
    if stream:
        _require_none_of(file, "--stream")
        return _scanned(path, roles, attributes)
    table, name = _table(path, file, tuple(filter(None, (roles.case or "case", roles.alternative, roles.person))))
    columns, counts = _roles_in(table.schema, roles)
    return _checked(table, name, columns, counts, file, attributes)


def choices_for(fit: Fit, path: Path, file: FileOptions) -> ChoiceLog:
    """Return the choices in a file whose columns play the roles they played in a fit."""
    attributes = tuple(
        dict.fromkeys(name for design in fit.law.designs for name in (*design.variables, *design.categories))
    )
    if file.wide is not None:
        return _lengthened(path, file, fit.data.counts, attributes, stream=False)
    columns = fit.data.columns
    table, name = _table(path, file, tuple(filter(None, (columns.case, columns.alternative, columns.person))))
    return _checked(table, name, columns, fit.data.counts, file, attributes)


def text_format(options: FileOptions | TextOptions) -> TextFormat:
    """Return how a text file is written, in the library's words.

    Raises
    ------
    SpecificationError
        For a delimiter of several marks.
    """
    from revealed.choices import TextFormat

    delimiter = {"\\t": "\t", "tab": "\t"}.get(options.delimiter or "", options.delimiter)
    if delimiter is not None and len(delimiter) != 1:
        raise SpecificationError(f"--delimiter is a single mark such as ';', not {options.delimiter!r}")
    return TextFormat(delimiter=delimiter, encoding=options.encoding, decimal=options.decimal)


def load_fit(path: Path) -> Fit:
    """Return a saved fit; DataError if the file is not there or is none."""
    from revealed.choices.parquet import require_path
    from revealed.models import Fit

    require_path(path)
    return loaded(Fit.load, path, "give a file that 'revealed fit --out' or fit.save() wrote", SpecificationError)


def loaded(load: Callable[[Path], Saved], path: Path, remedy: str, told: type[RevealedError] = DataError) -> Saved:
    """Return what a file of ours holds; DataError where it holds something else, but for errors that tell it all."""
    try:
        return load(path)
    except told:
        raise
    except RevealedError as error:
        raise DataError(str(path), [Problem(str(error), remedy)]) from None


def is_over_time(path: Path) -> bool:
    """Return whether a file is a saved fit of choices over time, by what it says it is in its first letters."""
    first = _first_letters(path)
    return '"kind": "dynamic fit"' in first or first.startswith(_ZIPPED)


def _first_letters(path: Path) -> str:
    from revealed.choices.parquet import require_path

    require_path(path)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(200)
    except OSError as error:
        remedy = "give a file that can be read"
        raise DataError(str(path), [Problem(f"cannot be read: {error.strerror or error}", remedy)]) from None


def load_over_time(path: Path) -> DynamicFit | RecoveredFit:
    """Return a saved fit of choices over time, with a formula or without; DataError if the file is none."""
    from revealed.models.dynamic import DynamicFit, RecoveredFit

    remedy = "give a file that 'revealed dynamic --out' wrote"
    if _first_letters(path).startswith(_ZIPPED):
        return loaded(RecoveredFit.load, path, remedy)
    return loaded(DynamicFit.load, path, remedy)


def columns_by_name(roles: RoleOptions, present: list[str]) -> Columns:
    """Return the roles: as given, else by the columns' names."""
    from revealed.choices import Columns

    named: dict[str, str | None] = {}
    for role in ("case", "alternative", "chosen"):
        named[role] = getattr(roles, role) or role
    for role in ("person", "available", "time", "weight", "propensity"):
        given = getattr(roles, role)
        taken = role in named.values()  # the column of that name plays another role already
        named[role] = given or (role if given is None and role in _BY_NAME and role in present and not taken else None)
    return Columns(**named)  # type: ignore[arg-type]


def _given(roles: RoleOptions) -> list[str]:
    names = ("case", "alternative", "chosen", "person", "available", "time", "weight", "propensity")
    return [name for name in names if getattr(roles, name) is not None]


def _require_no(roles: RoleOptions, because: str) -> None:
    given = _given(roles)
    if given:
        raise SpecificationError(f"--{given[0]} does not go with {because}")


def _require_none_of(file: FileOptions, option: str) -> None:
    for name in ("where", "outside", "delimiter"):
        if getattr(file, name) is not None:
            remedy = "write what is to be streamed to Parquet first"
            raise SpecificationError(f"--{name} does not go with {option}; {remedy}")


def _roles_in(schema: pa.Schema, roles: RoleOptions) -> tuple[Columns, bool]:
    """Return the roles, and whether choices are counts: as given, else as the file says, else by columns' names."""
    from revealed.choices.readers import stored_roles

    stored = None if _given(roles) else stored_roles(schema)
    if stored is None:
        return columns_by_name(roles, schema.names), roles.counts
    return stored[0], roles.counts or stored[1]


def _table(path: Path, file: FileOptions, labels: tuple[str, ...]) -> tuple[pa.Table, str]:
    from revealed.choices.tables import as_table

    return as_table(path, text_format(file), labels)


def _checked(
    table: pa.Table, name: str, columns: Columns, counts: bool, file: FileOptions, attributes: tuple[str, ...]
) -> ChoiceLog:
    """Return the log of a table under the name of its file, the rows that are wanted."""
    import numpy as np
    import pyarrow as pa

    from revealed.choices.door import admit
    from revealed.choices.tables import rows_where

    rows: np.ndarray | int = 0
    if file.where is not None:
        kept = np.flatnonzero(rows_where(table, file.where, name))
        table, rows = table.take(pa.array(kept)), kept + 1
    return admit(table, columns, counts=counts, outside=file.outside, attributes=attributes, source=name, rows=rows)


def _scanned(path: Path, roles: RoleOptions, attributes: tuple[str, ...]) -> ChoiceStream:
    from revealed.choices import parquet, scan

    if not path.is_dir() and path.suffix.lower() not in parquet.SUFFIXES:
        return scan(path)  # says what is wrong
    columns, counts = _roles_in(parquet.schema_of(parquet.parquet_files(path)[0]), roles)
    return scan(path, columns, counts=counts, attributes=attributes)


def _lengthened(path: Path, file: FileOptions, counts: bool, attributes: tuple[str, ...], stream: bool) -> ChoiceLog:
    from revealed.choices import Wide, from_wide

    if stream:
        raise SpecificationError("--stream does not go with --wide; make the file long first")
    if file.outside is not None:
        raise SpecificationError("--outside does not go with --wide; name the outside option in the form")
    assert file.wide is not None
    form = Wide.from_file(file.wide)
    if file.where is not None:
        form = replace(form, where=file.where if form.where is None else f"({form.where}) and ({file.where})")
    return from_wide(path, form, counts=counts, attributes=attributes, text=text_format(file))
