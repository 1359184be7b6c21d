"""Utility as a formula, read into design columns. Imports choices and the errors; formulaic when a formula is read.

A design column is a named product of factors (a column, an expression, an indicator of a level). That is all a fitted
model keeps of its formula: it is data, goes to JSON as it is, and is filled block by block (:mod:`.design`), so the
design matrix never exists as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from keyword import iskeyword
from typing import Any

import numpy as np

from revealed.choices.cells import refuse_unlike_labels
from revealed.choices.expression import Labels, evaluate, names_in
from revealed.choices.log import ChoiceLog
from revealed.choices.stream import ChoiceStream
from revealed.errors import SpecificationError, nearest
from revealed.models.design import Design, DesignColumn, Indicator, Numeric

Utility = str | Mapping[str, str]

CATEGORICAL = re.compile(r"^C\((?P<column>`[^`]+`|[^,`]+?)\s*(?:,\s*(?P<contrast>.+))?\)$", re.DOTALL)
_TREATMENT = re.compile(
    r"""^(?:(?:contr\.)?[Tt]reatment\(\s*(?:base\s*=\s*|reference\s*=\s*)?)?(['"])(?P<base>.*)\1\s*\)?$"""
)
_OWN = re.compile(r"^own\((?P<inside>.+)\)$", re.DOTALL)
_CALL = re.compile(r"\w+\([^()]*(?:\([^()]*\)[^()]*)*\)|\{[^{}]*\}")
_QUOTED = re.compile(r"`[^`]*`")
_POWER = re.compile(r"(\w+|`[^`]+`)\s*(?:\*\*|\^)\s*\w+")
IDENTITY = re.compile(r"^I\((?P<inside>.+)\)$", re.DOTALL)


def read_utility(
    utility: Utility,
    log: ChoiceLog | ChoiceStream,
    reference: Mapping[str, str] | None = None,
    *,
    of_the_case: bool = False,
    looking_ahead: bool = False,
) -> Design:
    """Read a utility against a log: which design columns it stands for, under which names.

    Parameters
    ----------
    utility : str or mapping
        One formula on the long table (``"C(alternative) + cost + C(alternative):income"``), or a formula per
        alternative (``{"train": "asc + cost", "car": "asc + cost + own(parking)", "bus": "0"}``). In the second form a
        term has one coefficient wherever it stands; ``asc`` is the alternative's constant and ``own(...)`` gives
        the alternative a coefficient of its own.
    log : ChoiceLog or ChoiceStream
        For the levels of its columns.
    reference : mapping, optional
        ``{column: level}``, the reference level of a categorical column; by default the first in order.

    of_the_case : bool
        The formula describes cases and not alternatives (a scale, say), so its terms may be constant within them.
    looking_ahead : bool
        Cases are states that alternatives lead to: a term that is the same for all of them matters where they lead.

    Returns
    -------
    Design

    Raises
    ------
    SpecificationError
        For a formula that cannot be read, unknown columns or levels, or a term that cannot matter.

    Notes
    -----
    Whatever is constant within a choice situation drops out of choice probabilities. The coding of categorical terms
    takes that as spanned (as other packages do with the intercept), so ``C(alternative):income`` gets a column for
    each alternative but the reference, and ``C(alternative):cost`` one for each, unless ``cost`` is there by itself.
    """
    reader = _Reader(log, reference or {}, of_the_case, looking_ahead)
    design = reader.long(utility) if isinstance(utility, str) else reader.per_alternative(utility)
    for name in (*design.variables, *design.categories):
        if log.column_name(name) == log.columns.chosen:
            raise SpecificationError(f"the utility uses {name!r}, which says what was chosen, to explain just that")
    unused = [column for column in reader.reference if column not in reader.used]
    if unused:
        raise SpecificationError(f"the reference of {unused[0]!r} is set, but the utility has no C({unused[0]})")
    return design


@dataclass(frozen=True)
class _Part:
    """One factor of a term: numeric text, or a categorical column."""

    text: str
    categorical: bool = False


class _Reader:
    """Reads formulas against one log."""

    def __init__(
        self, log: ChoiceLog | ChoiceStream, reference: Mapping[str, str], of_the_case: bool, looking_ahead: bool
    ) -> None:
        self.log = log
        self.of_the_case = of_the_case
        self.looking_ahead = looking_ahead
        self.used: dict[str, str] = {}
        self.constant: dict[_Part, bool] = {}
        self.reference = {log.column_name(name): str(level) for name, level in reference.items()}

    # ---- the two forms --------------------------------------------------------------------------------------------

    def long(self, formula: str) -> Design:
        terms = [self._parts(term) for term in formula_terms(formula)]
        spanned: set[frozenset[_Part]] = set()
        columns: list[DesignColumn] = []
        if self.of_the_case and () in terms:
            columns.append(DesignColumn("1", (Numeric("1"),)))
        terms = [term for term in terms if term]  # in a utility an intercept is constant within a case
        for term in terms:
            if all(self._constant_within_cases(part) for part in term):
                # ``C(alternative)*income`` means income too, where it cannot matter: only alone is it a mistake.
                if not any(set(term) < set(other) for other in terms):
                    if self.looking_ahead:
                        columns += self._columns(term, spanned)
                        continue
                    self._refuse_constant(term)
                spanned.add(frozenset(term))
            else:
                columns += self._columns(term, spanned)
        return self._design(columns)

    def per_alternative(self, formulas: Mapping[str, str]) -> Design:
        levels = self.log.facts.levels.labels
        for name in formulas:
            if str(name) not in levels:
                raise SpecificationError(f"no alternative {name!r} in {self.log.source}; {nearest(str(name), levels)}")
        missing = [level for level in levels if level not in {str(name) for name in formulas}]
        if missing:
            raise SpecificationError(
                f"no utility for the alternative {missing[0]!r}; write {missing[0]!r}: '0' for none"
            )
        where: dict[tuple[str, tuple[Any, ...]], list[str]] = {}
        for name, formula in formulas.items():
            for term in formula_terms(formula, intercept_is="asc"):
                for label, factors in self._own_columns(term, str(name)):
                    where.setdefault((label, factors), []).append(str(name))
        return self._design([self._where(*key, tuple(names)) for key, names in where.items()])

    # ---- pieces ---------------------------------------------------------------------------------------------------

    def _design(self, columns: Sequence[DesignColumn]) -> Design:
        if not columns:
            raise SpecificationError("the utility has no term that differs between alternatives")
        seen: set[str] = set()
        for column in columns:
            if column.name in seen:
                raise SpecificationError(f"two terms of the utility have the name {column.name!r}")
            seen.add(column.name)
        return Design(tuple(columns), dict(self.used))

    def _where(self, label: str, factors: tuple[Any, ...], names: tuple[str, ...]) -> DesignColumn:
        if set(names) == set(self.log.facts.levels.labels) and factors:
            return DesignColumn(label, factors)
        return DesignColumn(label, (Indicator(self.log.columns.alternative, names), *factors))

    def _own_columns(self, term: Sequence[str], alternative: str) -> list[tuple[str, tuple[Any, ...]]]:
        """Return ``(label, factors)`` of a term in one alternative's formula."""
        if list(term) == ["asc"]:
            return [(f"asc[{alternative}]", ())]
        own = any(_OWN.match(text) for text in term)
        parts = self._parts([m.group("inside") if (m := _OWN.match(text)) else text for text in term])
        suffix = f"[{alternative}]" if own else ""
        choices: list[tuple[str, tuple[Any, ...]]] = [("", ())]
        for part in parts:
            options = self._coded(part, reduced=True) if part.categorical else [(part.text, (Numeric(part.text),))]
            choices = [(f"{a}:{b}" if a else b, (*x, *y)) for a, x in choices for b, y in options]
        return [(f"{label}{suffix}", factors) for label, factors in choices]

    def _parts(self, term: Sequence[str]) -> tuple[_Part, ...]:
        parts = []
        for text in term:
            if text == "1":
                continue
            match = CATEGORICAL.match(text)
            if match:
                column = self.log.column_name(match.group("column").strip().strip("`"))
                self._set_base(column, match.group("contrast"))
                parts.append(_Part(match.group("column").strip().strip("`"), categorical=True))
                continue
            inside = IDENTITY.match(text)
            text = inside.group("inside") if inside else text
            if not _is_plain(text, self.log):
                self._check_expression(text)
                parts.append(_Part(text))
            elif self.log.is_categorical(text) or self.log.column_name(text) == self.log.columns.alternative:
                column = self.log.column_name(text)
                if column in self.log.attribute_names and column not in self.reference:
                    refuse_unlike_labels(self.log, column)
                self._set_base(column, None)
                parts.append(_Part(text, categorical=True))
            else:
                parts.append(_Part(text if _is_identifier(text) else f"`{text}`"))
        return tuple(parts)

    def _check_expression(self, text: str) -> None:
        """Raise on unknown columns, functions and labels, by trying the expression on one row of ones."""

        def lookup(name: str) -> Any:
            column = self.log.column_name(name)
            if self.log.is_categorical(column):
                return Labels(np.zeros(1, np.int32), self.log.levels_of(column).labels)
            return np.ones(1)

        evaluate(text, lookup)

    def _set_base(self, column: str, contrast: str | None) -> None:
        """Settle the reference level of a categorical column."""
        base = self.reference.get(column)
        if contrast is not None:
            match = _TREATMENT.match(contrast.strip())
            if not match:
                raise SpecificationError(
                    f"C({column}, {contrast}): only a reference level can be given, as C({column}, Treatment('…'))"
                )
            base = match.group("base")
        levels = self.log.levels_of(column).labels
        if base is None:
            base = self.used.get(column, levels[0])
        if base not in levels:
            raise SpecificationError(f"no level {base!r} in column {column!r}; {nearest(base, levels)}")
        if self.used.get(column, base) != base:
            raise SpecificationError(
                f"column {column!r} is given two reference levels: {self.used[column]!r}, {base!r}"
            )
        self.used[column] = base

    def _coded(self, part: _Part, *, reduced: bool) -> list[tuple[str, tuple[Any, ...]]]:
        column = self.log.column_name(part.text)
        levels = self.log.levels_of(column).labels
        kept = [level for level in levels if not (reduced and level == self.used[column])]
        return [(f"{part.text}[{level}]", (Indicator(column, (level,)),)) for level in kept]

    def _columns(self, term: tuple[_Part, ...], spanned: set[frozenset[_Part]]) -> list[DesignColumn]:
        """Return the columns of a term, coded so that they add to what is spanned without repeating it."""
        categorical = [part for part in term if part.categorical]
        numeric = frozenset(part for part in term if not part.categorical)
        wanted: list[dict[_Part, bool]] = []
        constant = {part for part in term if self._constant_within_cases(part)}
        if len(constant) == len(term):  # read at all only where it matters
            constant = set()
        for size in range(len(categorical) + 1):
            for subset in combinations(categorical, size):
                key = frozenset(subset) | numeric
                drops_out = all(part in constant for part in key)  # true of the empty key, the intercept
                if key not in spanned and not drops_out:
                    wanted.append(dict.fromkeys(subset, True))
                spanned.add(key)
        columns = []
        for coding in _merged(wanted):
            choices: list[tuple[str, tuple[Any, ...]]] = [("", ())]
            for part in term:
                if part.categorical and part not in coding:
                    continue
                options = (
                    self._coded(part, reduced=coding[part])
                    if part.categorical
                    else [(part.text, (Numeric(part.text),))]
                )
                choices = [(f"{a}:{b}" if a else b, (*x, *y)) for a, x in choices for b, y in options]
            columns += [DesignColumn(label, factors) for label, factors in choices]
        return columns

    def _refuse_constant(self, term: tuple[_Part, ...]) -> None:
        text = ":".join(f"C({part.text})" if part.categorical else part.text for part in term)
        raise SpecificationError(
            f"the term {text} is the same for all alternatives of every choice situation, so it cannot matter; "
            f"drop it, or let its effect differ by alternative: C(alternative):{text}"
        )

    @cached_property
    def _probe(self) -> ChoiceLog:
        """The log itself, or enough of a stream to tell what is constant within cases."""
        return self.log if isinstance(self.log, ChoiceLog) else self.log.sample(5_000)

    def _constant_within_cases(self, part: _Part) -> bool:
        """Whether a factor has one value per case, by all cases of a log in memory or a sample of a stream."""
        if self.of_the_case:
            return False
        if part not in self.constant:
            names = names_in(_quoted(part.text))
            self.constant[part] = all(_constant(self._probe, self.log.column_name(name)) for name in names)
        return self.constant[part]


def _quoted(text: str) -> str:
    return text if _is_identifier(text) or "`" in text or not re.fullmatch(r"[\w\s.\-]+", text) else f"`{text}`"


def _is_identifier(text: str) -> bool:
    """Whether an expression may hold a name as it is: not so words of Python, such as ``lambda``."""
    return text.isidentifier() and not iskeyword(text)


def _is_plain(text: str, log: ChoiceLog | ChoiceStream) -> bool:
    """Whether the text is just the name of a column (or meant to be)."""
    present = [*log.attribute_names, *log.columns.roles().values(), *log.columns.roles()]
    if text in present:
        return True
    if re.fullmatch(r"\w+", text) and not text.replace("_", "").isdigit():
        log.column_name(text)  # raises with the nearest names
    return False


def _constant(log: ChoiceLog, column: str) -> bool:
    """Whether a column has one value in each case, among the alternatives available."""
    values = log.codes(column, log.levels_of(column)) if _labels(log, column) else log.numbers(column)
    # Most attributes differ at once: look at the first cases before all of them.
    for stop in (min(64, log.n_cases), log.n_cases):
        rows = slice(0, int(log.offsets[stop]))
        same = values[rows] == np.repeat(values[log.offsets[:stop]], log.sizes[:stop])
        if not (same.all() if log.available is None else same[log.available[rows]].all()):
            return False
    return True


def _labels(log: ChoiceLog, column: str) -> bool:
    return log.is_categorical(column) or column == log.columns.alternative


def _merged(codings: list[dict[_Part, bool]]) -> list[dict[_Part, bool]]:
    """Merge ``a`` and ``a:b (reduced)`` into ``a:b (full)`` until nothing merges."""
    codings = list(codings)
    changed = True
    while changed:
        changed = False
        for small in codings:
            for large in codings:
                extra = [part for part in large if part not in small]
                agree = all(large.get(part) == coding for part, coding in small.items())
                if len(extra) == 1 and len(large) == len(small) + 1 and agree and large[extra[0]]:
                    codings[codings.index(large)] = {**large, extra[0]: False}
                    codings.remove(small)
                    changed = True
                    break
            if changed:
                break
    return codings


def formula_terms(formula: str, intercept_is: str = "1") -> list[list[str]]:
    """Return the terms of a formula as lists of factors' texts, in the order written."""
    from formulaic.parser import DefaultFormulaParser

    if not str(formula).strip():
        raise SpecificationError(f"a utility must be a formula such as 'cost + time', not {formula!r}")
    # What a name in backticks holds is no part of the grammar.
    plain = _QUOTED.sub(lambda name: re.sub(r"[~^*(){}]", " ", name.group()), str(formula))
    if "~" in plain:
        raise SpecificationError("a utility has no left side: the choice is in the log; write only what follows '~'")
    power = _POWER.search(_CALL.sub("f", plain))
    if power:
        raise SpecificationError(
            f"{power.group().strip()} in the formula {formula!r} crosses terms and would leave {power.group(1)} as it "
            f"is; a power goes inside I(...): I({power.group(1)}**2)"
        )
    try:
        terms = DefaultFormulaParser(include_intercept=False).get_terms(formula)
    except Exception as error:  # noqa: BLE001 - formulaic raises many kinds; its message says where
        first_line = str(error).strip().split("\n")[0]
        remedy = "arithmetic and comparisons go inside I(...): I(cost / 100), I(cost * (income < 50))"
        raise SpecificationError(f"cannot read the formula {formula!r}: {first_line}; {remedy}") from None
    if not all(hasattr(term, "factors") for term in terms):  # several parts, where | stands between them
        raise SpecificationError(f"a formula has one part, and {formula!r} has several; write + instead of |")
    read = [[factor.expr for factor in term.factors] for term in terms]
    return [[intercept_is] if factors == ["1"] else factors for factors in read]
