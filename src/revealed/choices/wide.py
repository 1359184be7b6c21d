"""From wide form, one row a choice and a column per alternative and attribute, to long. Imports its own room."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from revealed.choices.arrange import plain
from revealed.choices.columns import Columns
from revealed.choices.delimited import TextFormat
from revealed.choices.door import admit
from revealed.choices.expression import Labels, evaluate, names_in
from revealed.choices.kinds import holds_numbers, one_array
from revealed.choices.levels import encode
from revealed.choices.log import ChoiceLog
from revealed.choices.tables import as_table, lookup_in, rows_where
from revealed.errors import ColumnError, DataError, Problem, RevealedError, SpecificationError, nearest
from revealed.files import write_whole

#: What stands for one alternative: a column, an expression on columns, or a number.
Cell = str | int | float
#: One for all alternatives, in which ``{alternative}`` and ``{code}`` stand for theirs, or one for each.
PerAlternative = Cell | Mapping[str, Cell]


@dataclass(frozen=True)
class Wide:
    """How the columns of a wide table make choices.

    A cell is given as a column's name, as an expression on columns such as ``"TRAIN_CO * (GA == 0) / 100"``, as a
    number, or as text in quotes of its own (``"'red'"``). It may be given for each alternative, or once for all as a
    template: ``"{alternative}_TT"``. ``{alternative}`` stands for the alternative's label, ``{code}`` for its code.

    Parameters
    ----------
    alternatives : mapping
        Each alternative's label to its code in the choice column, such as ``{"train": 1, "car": 3}``.
    choice : str, optional
        The column with the code of what was chosen; or else ``chosen``.
    attributes : mapping
        Each attribute to what it is for the alternatives.
    chosen : optional
        In place of ``choice``: whether, or how often, each alternative was chosen.
    available : optional
        Where each alternative could be chosen: not zero. By default everywhere.
    case, person, time, weight : str, optional
        Columns with those roles. Without ``case`` each row's number is its case.
    keep : sequence of str, optional
        Further columns to carry along, the same on each row of a case. By default all but the choice column and
        those that only one alternative uses.
    where : str, optional
        Keep only the rows that meet this condition, such as ``"CHOICE != 0"``.

    Examples
    --------
    >>> spec = Wide(alternatives={"train": 1, "car": 2}, choice="CHOICE", attributes={"cost": "{alternative}_cost"})
    >>> table = {"CHOICE": [1, 2], "train_cost": [3.0, 4.0], "car_cost": [9.0, 2.0], "income": [50, 60]}
    >>> from_wide(table, spec).table.select(["alternative", "chosen", "cost", "income"]).to_pylist()[0]
    {'alternative': 'train', 'chosen': True, 'cost': 3.0, 'income': 50}
    """

    alternatives: Mapping[str, Cell]
    choice: str | None = None
    attributes: Mapping[str, PerAlternative] = field(default_factory=dict)
    chosen: PerAlternative | None = None
    available: PerAlternative | None = None
    case: str | None = None
    person: str | None = None
    time: str | None = None
    weight: str | None = None
    keep: Sequence[str] | None = None
    where: str | None = None

    def __post_init__(self) -> None:
        """Refuse at once what no table could satisfy."""
        wrong = []
        if len(self.alternatives) < 1:
            wrong.append("it names no alternatives")
        if (self.choice is None) == (self.chosen is None):
            wrong.append("give either choice (the column with the code chosen) or chosen (a column an alternative)")
        codes = [code_text(code) for code in self.alternatives.values()]
        doubled = sorted({code for code in codes if codes.count(code) > 1})
        if doubled:
            wrong.append(f"the code {doubled[0]} stands for more than one alternative")
        for name, cells in self._per_alternative().items():
            if isinstance(cells, Mapping):
                lacking = [label for label in self.alternatives if label not in cells]
                extra = [label for label in cells if label not in self.alternatives]
                if lacking:
                    wrong.append(f"{name} says nothing of {', '.join(lacking)}; write 0 if it is zero there")
                wrong += [f"{name} is given for {label!r}; {nearest(label, self.alternatives)}" for label in extra]
        taken = {"case", "alternative", "chosen", "available"} & set(self.attributes)
        wrong += [f"the attribute {name!r} has the name of a role; call it something else" for name in sorted(taken)]
        if wrong:
            raise SpecificationError("the wide form is not sound: " + "; ".join(wrong))

    def _per_alternative(self) -> dict[str, PerAlternative]:
        given: dict[str, PerAlternative | None] = {"chosen": self.chosen, "available": self.available}
        given |= {f"attribute {name!r}": cells for name, cells in self.attributes.items()}
        return {name: cells for name, cells in given.items() if cells is not None}

    def cell(self, cells: PerAlternative, label: str) -> Cell:
        """Return what stands for one alternative, its template filled in."""
        cell = cells[label] if isinstance(cells, Mapping) else cells
        if isinstance(cell, str):
            code = code_text(self.alternatives[label])
            return cell.replace("{alternative}", label).replace("{code}", code)
        return cell

    def uses(self, present: Iterable[str]) -> tuple[frozenset[str], list[Problem]]:
        """Return the columns that only one alternative uses, and a problem for each column that is not there."""
        known = list(present)
        users: dict[str, set[str]] = {}
        problems = [
            Problem(f"no column {column!r}", nearest(column, known), role)
            for role in ("choice", "case", "person", "time", "weight")
            if (column := getattr(self, role)) is not None and column not in known
        ]
        problems += [Problem(f"no column {c!r}", nearest(c, known), "keep") for c in self.keep or () if c not in known]
        texts = [("where", "", self.where)] + [
            (f"{name} of {label!r}", label, self.cell(cells, label))
            for name, cells in self._per_alternative().items()
            for label in self.alternatives
        ]
        for place, label, text in texts:
            if not isinstance(text, str):
                continue
            if text in known:
                users.setdefault(text, set()).add(label)
                continue
            try:
                names = names_in(text)
            except SpecificationError as error:
                problems.append(Problem(str(error), "name a column, or write an expression on columns", place))
                continue
            for name in names:
                users.setdefault(name, set()).add(label)
                if name not in known:
                    problems.append(Problem(f"no column {name!r}", nearest(name, known), place))
        return frozenset(name for name, labels in users.items() if len(labels) == 1 and "" not in labels), problems

    # ---- files ----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the form as data for JSON or TOML, without what is left at its default."""
        data = {item.name: getattr(self, item.name) for item in fields(self)}
        given = {name: value for name, value in data.items() if value is not None and value != {}}
        if self.keep is not None:
            given["keep"] = list(self.keep)
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in given.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Wide:
        """Return the form of :meth:`to_dict`.

        Raises
        ------
        SpecificationError
            For an entry that is not known, with the nearest, or one of the wrong kind.
        """
        known = {item.name for item in fields(cls)}
        for name in data:
            if name not in known:
                raise SpecificationError(f"the wide form has no entry {name!r}; {nearest(name, sorted(known))}")
        if not isinstance(data.get("alternatives"), Mapping):
            raise SpecificationError("the wide form needs a table of alternatives: label = code")
        if not isinstance(data.get("attributes", {}), Mapping):
            raise SpecificationError("the wide form needs a table of attributes: name = template, or a table of cells")
        for name in ("choice", "case", "person", "time", "weight", "where"):
            if not isinstance(data.get(name), str | None):
                raise SpecificationError(f"the wide form's {name} is a text, not {data[name]!r}")
        return cls(**data)

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Wide:
        """Return the form that a ``.toml`` or ``.json`` file holds.

        Raises
        ------
        DataError
            If there is no such file, or it cannot be parsed.
        """
        from revealed.choices.parquet import require_path

        file = Path(path)
        require_path(file)
        try:
            text = file.read_text(encoding="utf-8")
            data = json.loads(text) if file.suffix.lower() == ".json" else tomllib.loads(text)
        except (OSError, ValueError) as error:  # both parsers' errors are ValueErrors, as is a wrong encoding
            raise DataError(str(file), [Problem(f"cannot be read: {error}", "write it as TOML or JSON")]) from None
        try:
            return cls.from_dict(data)
        except RevealedError as error:
            raise SpecificationError(f"{file}: {error}") from None

    def to_file(self, path: str | PathLike[str]) -> Path:
        """Write the form to a ``.toml`` or ``.json`` file, all or nothing, and return its path."""
        file = Path(path)
        data = self.to_dict()
        text = json.dumps(data, ensure_ascii=False, indent=2) if file.suffix.lower() == ".json" else _toml(data)
        return write_whole(file, text)


def code_text(code: Cell) -> str:
    """Return a choice code as text: 1, 1.0 and ``"1"`` are the same."""
    return str(int(code)) if isinstance(code, float) and code.is_integer() else str(code)


def _toml(data: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """Return nested tables as TOML; JSON's texts, numbers and lists are TOML's too."""
    lines = [f"{_key(name)} = {_quoted(value)}" for name, value in data.items() if not isinstance(value, Mapping)]
    if path and lines:
        lines.insert(0, f"[{'.'.join(map(_key, path))}]")
    parts = ["\n".join(lines) + "\n"] if lines else []
    parts += [_toml(value, (*path, name)) for name, value in data.items() if isinstance(value, Mapping)]
    return "\n".join(parts)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def from_wide(
    source: Any,
    spec: Wide | str | PathLike[str],
    *,
    counts: bool = False,
    attributes: Sequence[str] = (),
    text: TextFormat | None = None,
) -> ChoiceLog:
    """Read choices in wide form, one row a choice, and check them.

    Parameters
    ----------
    source : path, frame, table, relation or dict
        Whatever :func:`revealed.read` takes.
    spec : Wide or path
        How its columns make choices, or the TOML or JSON file that says so.
    counts : bool
        The form's ``chosen`` holds counts, not 0/1.
    attributes : sequence of str
        Attributes to check for missing and infinite cells now rather than when a utility first uses them.
    text : TextFormat, optional
        How a text file is written.

    Returns
    -------
    ChoiceLog
        With columns ``case`` (unless the form names one), ``alternative``, ``chosen``, ``available`` if the form
        says so, the attributes, the roles and the columns carried along. Rows are numbered as in the source.

    Raises
    ------
    DataError
        With every problem found: codes that stand for no alternative, and all that :func:`revealed.read` refuses; a
        :class:`~revealed.errors.ColumnError` if the form does not fit the columns.
    """
    form = spec if isinstance(spec, Wide) else Wide.from_file(spec)
    labels = tuple(column for column in (form.choice, form.case, form.person) if column is not None)
    table, name = as_table(source, text, labels)
    table = plain(table, name)
    single, problems = form.uses(table.column_names)
    kept = _kept(form, table.column_names, single, problems)
    if problems:
        raise ColumnError(name, problems)
    rows = np.arange(1, table.num_rows + 1)
    if form.where is not None:
        mask = np.flatnonzero(rows_where(table, form.where, name))
        table, rows = table.take(pa.array(mask)), rows[mask]
    if table.num_rows == 0:
        raise DataError(name, [Problem("there are no rows", "check the file, and the where= of the wide form")])
    return _Lengthening(form, table, name, rows).log(kept, counts, tuple(attributes))


def _kept(form: Wide, present: list[str], single: frozenset[str], problems: list[Problem]) -> list[str]:
    """Return the columns to carry along; say of each whose name is taken that it is."""
    roles = [column for column in (form.case, form.person, form.time, form.weight) if column is not None]
    made = {"alternative", "chosen", *form.attributes}
    made |= set() if form.case is not None else {"case"}
    made |= set() if form.available is None else {"available"}
    wanted = present if form.keep is None else [*roles, *form.keep]
    kept = []
    for column in dict.fromkeys(wanted):
        if form.keep is None and (column == form.choice or (column in single and column not in roles)):
            continue
        if column in made:
            remedy = "name in keep the columns to carry along without it, or call it something else"
            problems.append(Problem(f"the column {column!r} has the name of one that the wide form makes", remedy))
        kept.append(column)
    return kept


class _Lengthening:
    """Makes the columns of a long table from those of a wide one."""

    def __init__(self, form: Wide, table: pa.Table, source: str, rows: np.ndarray) -> None:
        self.form = form
        self.table = table
        self.source = source
        self.rows = rows
        self.labels = list(form.alternatives)
        self.lookup = lookup_in(table, source)

    def log(self, kept: list[str], counts: bool, attributes: tuple[str, ...]) -> ChoiceLog:
        """Return the checked log."""
        form, n_rows, size = self.form, self.table.num_rows, len(self.labels)
        columns: dict[str, pa.Array] = {}
        if form.case is None:
            columns["case"] = pa.array(np.repeat(self.rows, size))
        codes = np.tile(np.arange(size, dtype=np.int32), n_rows)
        columns["alternative"] = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(self.labels))
        columns["chosen"] = self._choice() if form.chosen is None else self._cells(form.chosen)
        if form.available is not None:
            columns["available"] = self._cells(form.available)
        columns |= {name: self._cells(cells) for name, cells in form.attributes.items()}
        again = pa.array(np.repeat(np.arange(n_rows), size))
        columns |= {name: one_array(self.table.column(name)).take(again) for name in kept}
        roles = Columns(
            case=form.case or "case",
            person=form.person,
            time=form.time,
            weight=form.weight,
            available=None if form.available is None else "available",
        )
        rows = np.repeat(self.rows, size)
        long = pa.table(columns)
        return admit(long, roles, counts=counts, attributes=attributes, source=self.source, rows=rows)

    def _choice(self) -> pa.Array:
        """Return whether each alternative was chosen; refuse codes that stand for none."""
        column = self.form.choice
        assert column is not None
        levels, codes = encode(self.table.column(column))
        place = {code_text(code): j for j, code in enumerate(self.form.alternatives.values())}
        of_level = np.array([place.get(label, -1) for label in levels.labels] + [-1])
        chosen = of_level[codes]
        problems = []
        for label in [label for label in levels.labels if label not in place]:
            at = np.flatnonzero(codes == levels.labels.index(label))
            code = label if holds_numbers(self.table.schema.field(column).type) else repr(label)
            remedy = f'name it among the alternatives, or leave these choices out with where="{column} != {code}"'
            what = f"the choice code {label} stands for no alternative"
            problems.append(self._problem(what, remedy, column, at))
        missing = np.flatnonzero(codes < 0)
        if len(missing):
            problems.append(self._problem("no choice", "fill in what was chosen, or drop these rows", column, missing))
        if problems:
            raise DataError(self.source, problems)
        return pa.array((chosen[:, None] == np.arange(len(self.labels))).ravel())

    def _problem(self, what: str, remedy: str, column: str, at: np.ndarray) -> Problem:
        rows = tuple(self.rows[at[:5]].tolist())
        return Problem(what, remedy, f"column {column!r}", rows=rows, count=len(at))

    def _cells(self, cells: PerAlternative) -> pa.Array:
        """Return an attribute's cells, one row of alternatives after the other."""
        values = [self._value(self.form.cell(cells, label)) for label in self.labels]
        text = [isinstance(value, Labels | str) for value in values]
        if not any(text):
            wide = np.empty((self.table.num_rows, len(values)))
            for j, value in enumerate(values):
                wide[:, j] = value
            return pa.array(wide.ravel())
        if not all(text):
            given = ", ".join(f"{a} {'text' if t else 'numbers'}" for a, t in zip(self.labels, text, strict=True))
            raise SpecificationError(f"an attribute is text for some alternatives and numbers for others: {given}")
        known: dict[str, int] = {}
        codes = np.empty((self.table.num_rows, len(values)), np.int32)
        for j, value in enumerate(values):
            own = (value,) if isinstance(value, str) else value.labels
            of_own = np.array([known.setdefault(label, len(known)) for label in own] + [-1], np.int32)
            codes[:, j] = of_own[0] if isinstance(value, str) else of_own[value.codes]
        flat = codes.ravel()
        return pa.DictionaryArray.from_arrays(pa.array(flat, mask=flat < 0), pa.array(list(known), pa.string()))

    def _value(self, cell: Cell) -> Any:
        if not isinstance(cell, str):
            return float(cell)
        return self.lookup(cell) if cell in self.table.column_names else evaluate(cell, self.lookup)
