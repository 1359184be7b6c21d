"""A utility as the command line takes it: formulas, pairs or a file; the columns it uses. Imports choices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from revealed.errors import DataError, Problem, SpecificationError

Utility = str | dict[str, str]

#: ``train=asc + cost``: a label without brackets, then one equals sign.
_PAIR = re.compile(r"^\s*(?P<label>[^=<>!()\[\]+*:]+?)\s*=(?!=)\s*(?P<formula>.*)$", re.DOTALL)
_CATEGORICAL = re.compile(r"^C\((?P<column>`[^`]+`|[^,`]+?)\s*(?:,.*)?\)$", re.DOTALL)
_WRAPPED = re.compile(r"^(?:own|I)\((?P<inside>.+)\)$", re.DOTALL)


def utility_of(given: Sequence[str], option: str = "--utility") -> Utility:
    """Return the utility, or reward, that options give.

    Raises
    ------
    SpecificationError
        For formulas that do not go together.
    DataError
        For a file that cannot be read.
    """
    file = utility_file(given)
    if file is not None:
        return _from_file(file)
    pairs = [_PAIR.match(text) for text in given]
    if not any(pairs):
        if len(given) > 1:
            raise SpecificationError(
                f"more than one {option}: give one formula for all alternatives, or one for each as "
                f'{option} "train=asc + cost" {option} "car=asc + cost"'
            )
        return given[0]
    formulas: dict[str, str] = {}
    for text, pair in zip(given, pairs, strict=True):
        if pair is None:
            raise SpecificationError(
                f"{option} {text!r} does not say for which alternative: write it as 'train={text}'"
            )
        label = pair["label"].strip("'\"")
        if label in formulas:
            raise SpecificationError(f"{option} gives the alternative {label!r} two formulas; add them up in one")
        formulas[label] = pair["formula"]
    return formulas


def utility_file(given: Sequence[str]) -> Path | None:
    """Return the file that options name in place of formulas, if they do."""
    return Path(given[0]) if len(given) == 1 and Path(given[0]).suffix.lower() in (".toml", ".json") else None


def columns_of(utility: Utility | str) -> tuple[str, ...]:
    """Return the columns that a utility uses, so that their cells are checked along with all else in the file.

    A formula that cannot be read gives none: the model says what is wrong with it. Nor do expressions that choose with
    ``where(...)``, which may be there just because cells are missing.
    """
    from formulaic.parser import DefaultFormulaParser

    found: dict[str, None] = {}
    for formula in [utility] if isinstance(utility, str) else utility.values():
        try:
            terms = DefaultFormulaParser(include_intercept=False).get_terms(formula)
            factors = [factor for term in terms for factor in term.factors]  # none where there are several parts
        except Exception:  # noqa: BLE001, S112 (formulaic raises many kinds; the model says what is wrong)
            continue
        for factor in factors:
            # A name is taken as it is: what stood in backticks may look like an expression.
            named = factor.eval_method.value == "lookup"
            found.update(dict.fromkeys((factor.expr,) if named else _columns_in(factor.expr)))
    if not isinstance(utility, str):
        found.pop("asc", None)
    return tuple(found)


def _columns_in(factor: str) -> Iterable[str]:
    from revealed.choices.expression import names_in

    wrapped = _WRAPPED.match(factor)
    if wrapped:
        return _columns_in(wrapped["inside"])
    categorical = _CATEGORICAL.match(factor)
    if categorical:
        return (categorical["column"].strip().strip("`"),)
    if "where(" in factor:
        return ()
    try:
        return names_in(factor)
    except SpecificationError:
        plain = factor.strip("`")
        return (plain,) if re.fullmatch(r"[\w .\-]+", plain) else ()


def _from_file(path: Path) -> dict[str, str]:
    import json
    import tomllib

    from revealed.choices.parquet import require_path

    require_path(path)
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:  # both parsers' errors are ValueErrors, as is a wrong encoding
        remedy = 'write a line for each alternative, such as train = "asc + cost"'
        raise DataError(str(path), [Problem(f"cannot be read: {error}", remedy)]) from None
    if not isinstance(data, dict) or not data or not all(isinstance(formula, str) for formula in data.values()):
        remedy = 'write a line for each alternative, such as train = "asc + cost"'
        raise DataError(str(path), [Problem("it does not give each alternative a formula", remedy)])
    return data


def pairs_of(given: Sequence[str] | None, option: str) -> dict[str, str]:
    """Return ``NAME=VALUE`` options as a mapping; the last equals sign parts them, as names may hold some."""
    pairs: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.rpartition("=")
        if not equals or not name.strip():
            raise SpecificationError(f"{option} {text!r} has no name or no value; write NAME=VALUE")
        pairs[name.strip()] = value.strip()
    return pairs


def nests_of(given: Sequence[str] | None) -> dict[str, list[str]]:
    """Return ``--nest NEST=ALTERNATIVE,ALTERNATIVE`` options as a mapping."""
    nests: dict[str, list[str]] = {}
    for text in given or ():
        for nest, inside in pairs_of([text], "--nest").items():
            if nest in nests:
                raise SpecificationError(f"--nest names {nest!r} twice; give all its alternatives at once")
            nests[nest] = [label.strip() for label in inside.split(",") if label.strip()]
    return nests


def numbers_of(given: Sequence[str] | None, option: str) -> dict[str, float]:
    """Return ``NAME=NUMBER`` options as a mapping."""
    return {name: _number(value, option, name) for name, value in pairs_of(given, option).items()}


def spans_of(given: Sequence[str] | None, option: str) -> dict[str, tuple[float | None, float | None]]:
    """Return ``NAME=LOW:HIGH`` options as a mapping; what is left out is None."""
    spans = {}
    for name, text in pairs_of(given, option).items():
        low, colon, high = text.partition(":")
        if not colon:
            raise SpecificationError(
                f"{option} {name}={text} is not two numbers with a colon between; write {name}=0:10"
            )
        spans[name] = (
            _number(low, option, name) if low.strip() else None,
            _number(high, option, name) if high.strip() else None,
        )
    return spans


def _number(text: str, option: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SpecificationError(f"{option} {name}: {text!r} is not a number") from None
