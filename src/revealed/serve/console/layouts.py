"""The effects of a policy of layouts as a matrix: options along both sides, pairs where they meet. Imports decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from revealed.decide.layout.believed import effects_in
from revealed.decide.layout.effects import Effect
from revealed.decide.layout.specified import Layout
from revealed.decide.policy import LearningPolicy

#: Shades of effects, from little to much.
SHADES = 4
#: What fields of the context are called in the page's address.
ASKED = "in."
#: Labels of a field to choose from.
_MOST_LABELS = 200


@dataclass(frozen=True)
class Cell:
    """What stands where two options meet, or an option and itself.

    Parameters
    ----------
    effect : Effect, optional
        Of the option by itself or of the pair; none within a slot, and where pairs have no effect.
    never : bool
        Whether the two do not go together.
    shade : str
        The class of its colour: ``more-1`` to ``more-4``, ``less-1`` to ``less-4``; none if it may well be 0.
    """

    effect: Effect | None = None
    never: bool = False
    shade: str = ""

    @property
    def sure(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.shade != ""


@dataclass(frozen=True)
class Row:
    """An option, and its effects."""

    slot: str
    option: str
    first: bool
    own: Cell
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Field:
    """A field of the context, as it is looked at.

    Parameters
    ----------
    name : str
    labels : sequence of str, optional
        Those met so far, of a field of labels.
    value : str
        As asked for; empty for the average of labels, or the number 0.
    """

    name: str
    labels: Sequence[str] | None
    value: str


@dataclass(frozen=True)
class Matrix:
    """All effects of options and pairs.

    Parameters
    ----------
    slots : sequence of (str, sequence of str)
        Each slot with its options.
    rows : sequence of Row
    fields : sequence of Field
        Of the context.
    n_layouts : int
        How many are allowed.
    """

    slots: Sequence[tuple[str, Sequence[str]]]
    rows: Sequence[Row]
    fields: Sequence[Field]
    n_layouts: int


def matrix_of(policy: LearningPolicy, asked: Mapping[str, str]) -> Matrix | None:
    """Return the matrix of a policy, or None if it is not one of layouts.

    Parameters
    ----------
    policy : LearningPolicy
    asked : mapping
        The query of the page: the context to look in, field by field.
    """
    layout = policy.specification.layout
    if layout is None:
        return None
    fields = _fields(policy, layout, asked)
    context = {f.name: f.value if f.labels is not None else float(f.value) for f in fields if f.value}
    effects = {(one.slots, one.options): one for one in effects_in(policy, context)}
    largest = max(abs(one.mean) for one in effects.values())
    places, clash = layout.space.places, layout.space.clash

    def cell(i: int, j: int) -> Cell:
        pair = sorted((i, j))
        (one, a), (other, b) = places[pair[0]], places[pair[1]]
        found = effects.get(((one, other), (a, b)))
        never = bool(clash is not None and clash[i, j])
        return Cell(found, never, "" if found is None or never else _shade(found, largest))

    rows = []
    for i, (slot, option) in enumerate(places):
        own = effects[(slot,), (option,)]
        cells = [cell(i, j) for j in range(len(places))]
        first = option == layout.space.slots[layout.space.slot_of(slot)].options[0]
        rows.append(Row(slot, option, first, Cell(own, False, _shade(own, largest)), cells))
    return Matrix([(slot.name, slot.options) for slot in layout.space.slots], rows, fields, len(layout.listed))


def _fields(policy: LearningPolicy, layout: Layout, asked: Mapping[str, str]) -> list[Field]:
    space, found = policy.space, []
    for i, field in enumerate(space.specification.fields):
        if field.name in layout.space.names or not layout.depending:
            continue
        name = field.name.removeprefix("context.")
        value = asked.get(f"{ASKED}{name}", "").strip()[:1024]
        if not field.categorical:
            found.append(Field(name, None, value if _is_number(value) else ""))
            continue
        labels = space.ledger.labels[i][: min(space.extent.labels[i], _MOST_LABELS)]
        found.append(Field(name, labels, value if value in labels else ""))
    return found


def _shade(effect: Effect, largest: float) -> str:
    if effect.low <= 0 <= effect.high:
        return ""
    step = min(SHADES, 1 + int(SHADES * abs(effect.mean) / largest))
    return f"{'more' if effect.mean > 0 else 'less'}-{step}"


def _is_number(text: str) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return abs(value) < 1e6
