"""What a feature space is made of: fields, terms up to second order, groups. Imports choices, its own room, errors.

A *field* is an entry of a record, a number or a label (or a number computed from others). A *term* is the intercept, a
field, or a pair of fields; it stands for one parameter (numbers), one for each value met (labels) or one for each
bucket (hashed labels). A *group* is a set of terms whose parameters share a prior.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from revealed.choices.expression import names_in
from revealed.errors import SpecificationError, nearest
from revealed.models.glm.features.hashing import MOST_BITS

#: How terms are grouped: each by itself, or by their order (intercept, main effects, pairs).
GROUPINGS = ("attribute", "order")

#: What decides the groups: a way, or a group's name for each term (terms left out are groups by themselves).
Groups = str | Mapping[str, str]


@dataclass(frozen=True)
class Field:
    """An entry of a record.

    Parameters
    ----------
    name : str
        Its key in the record, or the expression itself.
    categorical : bool
        Whether it holds labels; else numbers.
    optional : bool
        Whether it may be missing (absent or None), which then gives no feature; else a missing one is refused.
    bits : int
        Labels are hashed into ``2 ** bits`` buckets; 0 for a parameter to each label.
    expression : str
        Arithmetic on other entries (:mod:`revealed.choices.expression`), empty for an entry itself.
    """

    name: str
    categorical: bool
    optional: bool = False
    bits: int = 0
    expression: str = ""

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The keys of the record that it is read from."""
        return names_in(self.expression) if self.expression else (self.name,)


@dataclass(frozen=True)
class Term:
    """The intercept (no factors), a field, or a pair.

    Parameters
    ----------
    factors : tuple of int
        The places of its fields.
    name : str
        ``"1"``, ``"age"``, ``"age:item"``.
    group : int
        The place of its group.
    bits : int
        Its values are hashed into ``2 ** bits`` buckets; 0 if they are not.
    n_fixed : int
        How many parameters it has from the start: one for numbers, the buckets of a hashed term, else none.
    """

    factors: tuple[int, ...]
    name: str
    group: int
    bits: int
    n_fixed: int


@dataclass(frozen=True)
class Specification:
    """The fields and terms of a space, and the names of the groups. Made by :func:`specify`."""

    fields: tuple[Field, ...]
    terms: tuple[Term, ...]
    group_names: tuple[str, ...]

    @cached_property
    def first(self) -> tuple[int, ...]:
        """The first fixed parameter of each term, and last their number."""
        firsts = [0]
        for term in self.terms:
            firsts.append(firsts[-1] + term.n_fixed)
        return tuple(firsts)

    @property
    def n_fixed(self) -> int:
        """The number of parameters that the space has before it has seen anything."""
        return self.first[-1]

    def term(self, name: str) -> int:
        """Return the place of a term by its name; SpecificationError with the nearest if there is none."""
        names = [term.name for term in self.terms]
        if name not in names:
            raise SpecificationError(f"no term {name!r} in the feature space; {nearest(name, names)}")
        return names.index(name)


@dataclass
class Wanted:
    """What a user asked for, before it is checked: fields, pairs of their names, and options by name."""

    fields: list[Field]
    main: Sequence[str]
    pairs: Sequence[tuple[str, str]]
    intercept: bool = True
    hashed: Mapping[str, int] = field(default_factory=dict)
    groups: Groups = "attribute"


def pair_of(text: str | Sequence[str], known: Iterable[str]) -> tuple[str, str]:
    """Return the two fields of an interaction such as ``"age:item"`` or ``("age", "item")``.

    Raises
    ------
    SpecificationError
        If it is not two unlike fields, or one is unknown (with the nearest names).
    """
    names = tuple(text.split(":")) if isinstance(text, str) else tuple(text)
    listed = list(known)
    if len(names) != 2:
        raise SpecificationError(
            f"the interaction {text!r} is of {len(names)} fields; interactions are of two fields, as in 'age:item'"
        )
    for name in names:
        if name not in listed:
            raise SpecificationError(f"no field {name!r} for the interaction {text!r}; {nearest(name, listed)}")
    if names[0] == names[1]:
        raise SpecificationError(f"the interaction {text!r} is of a field with itself; a square is I({names[0]}**2)")
    return names[0], names[1]


def specify(wanted: Wanted) -> Specification:
    """Return the specification of what is wanted, its terms in the order that parameters have in a row.

    That order is: the intercept, numbers, pairs of numbers, labels, hashed labels, pairs with labels; within each those
    of fields that are never missing first, then as given.

    Raises
    ------
    SpecificationError
        For names given twice, unknown ones, or options that do not fit.
    """
    fields = _with_bits(wanted)
    place = {item.name: i for i, item in enumerate(fields)}
    factors = [(place[name],) for name in wanted.main] + [(place[a], place[b]) for a, b in wanted.pairs]
    seen: set[frozenset[int]] = set()
    for these in factors:
        if frozenset(these) in seen:
            raise SpecificationError(f"the term {_name(these, fields)!r} is there twice; leave one out")
        seen.add(frozenset(these))
    unknown = set(wanted.hashed) - {_name(these, fields) for these in factors} - set(place)
    if unknown:
        name = min(unknown)
        names = [item.name for item in fields if item.categorical] + [_name(these, fields) for these in factors]
        raise SpecificationError(f"hashed names no term or field {name!r}; {nearest(name, names)}")
    ordered: list[tuple[int, ...]] = sorted(factors, key=lambda these: _rank(these, fields))
    if wanted.intercept:
        ordered.insert(0, ())
    if not ordered:
        raise SpecificationError("a feature space without a feature; name a field, or keep the intercept")
    return _grouped(fields, ordered, wanted)


def _with_bits(wanted: Wanted) -> tuple[Field, ...]:
    names = [item.name for item in wanted.fields]
    for item in wanted.fields:
        if names.count(item.name) > 1:
            raise SpecificationError(f"the field {item.name!r} is named twice; it is a number or a label, once")
        if not item.name or (":" in item.name and not item.expression):
            raise SpecificationError(f"a field cannot be called {item.name!r}: ':' joins the two fields of a pair")
    labels = {item.name for item in wanted.fields if item.categorical}
    for name, bits in wanted.hashed.items():
        if name in names and name not in labels:
            raise SpecificationError(f"{name!r} holds numbers, which are not hashed; declare it categorical")
        if type(bits) is not int or not 1 <= bits <= MOST_BITS:
            raise SpecificationError(
                f"hashed={{{name!r}: {bits!r}}}: give the number of bits, 1 to {MOST_BITS}, for 2**bits buckets"
            )
    return tuple(
        Field(item.name, item.categorical, item.optional, wanted.hashed.get(item.name, 0), item.expression)
        for item in wanted.fields
    )


def _name(factors: Sequence[int], fields: Sequence[Field]) -> str:
    return ":".join(fields[i].name for i in factors) if factors else "1"


def _rank(factors: Sequence[int], fields: Sequence[Field]) -> tuple[int, bool]:
    """Return a term's place in the order of terms, and whether it may be missing from a row."""
    labels = [fields[i] for i in factors if fields[i].categorical]
    optional = any(fields[i].optional for i in factors)
    if not labels:
        return len(factors) - 1, optional
    if len(factors) == 1:
        return (3 if labels[0].bits else 2), optional
    return 4, optional


def _grouped(fields: tuple[Field, ...], ordered: Sequence[tuple[int, ...]], wanted: Wanted) -> Specification:
    names = [_name(factors, fields) for factors in ordered]
    groups = wanted.groups
    if isinstance(groups, str) and groups not in GROUPINGS:
        raise SpecificationError(f"no way to group {groups!r}; {nearest(groups, GROUPINGS)}; or give {{term: group}}")
    if isinstance(groups, Mapping):
        for name in groups:
            if name not in names:
                raise SpecificationError(f"groups names no term {name!r}; {nearest(name, names)}")
    group_names: dict[str, int] = {}
    terms = []
    for factors, name in zip(ordered, names, strict=True):
        if isinstance(groups, Mapping):
            group = str(groups.get(name, name if factors else "intercept"))
        elif groups == "order":
            group = ("intercept", "main", "pair")[len(factors)]
        else:
            group = name if factors else "intercept"
        labels = [fields[i] for i in factors if fields[i].categorical]
        bits = 0
        if len(factors) == 1 and labels:
            bits = labels[0].bits
        elif len(factors) == 2:
            bits = wanted.hashed.get(name, 0)
            if bits and not labels:
                raise SpecificationError(f"the pair {name!r} is of two numbers: one parameter, nothing to hash")
        n_fixed = 2**bits if bits else int(not labels)
        terms.append(Term(tuple(factors), name, group_names.setdefault(group, len(group_names)), bits, n_fixed))
    return Specification(fields, tuple(terms), tuple(group_names))
