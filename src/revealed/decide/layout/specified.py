"""What the part [layout] of a policy's file says, and the features of its layouts. Imports models and errors.

A policy that learns shows *actions*; here an action is a layout, called ``headline=plain, image=cat``, with the option
of each slot as an attribute. So all that holds of policies holds of layouts: exploration and its propensities, limits,
business rules, files, the service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from math import inf
from typing import TYPE_CHECKING, Any

from revealed.decide.layout.space import LayoutSpace
from revealed.errors import SpecificationError, nearest
from revealed.models.glm.features import FeatureSpace
from revealed.models.glm.features.knowing import knowing

if TYPE_CHECKING:
    from revealed.decide.specification import Features

#: The most layouts, allowed or not, of a policy: each decision compares all of them under each of its draws.
MOST = 1024
#: Between the slots of a layout's name, and between a slot and its option.
_NEXT, _IS = ", ", "="
_OF_OTHERS = ("context.", "item.")


@dataclass(frozen=True)
class Layout:
    """Slots to be filled together.

    Parameters
    ----------
    slots : mapping from str to sequence of str
        The options of each slot.
    never : sequence of mappings
        Options that do not go together: each names two slots and an option, or several, of each.
    pairs : bool, or sequence of pairs of slots
        Whose options have effects in pairs: all slots', none, or these.
    by_context : bool, or sequence of str
        The slots whose options have effects that depend on the context (the fields of [features]): all, none, or these.
    option, pair, option_by_context : float
        How much effects are believed to differ before any answer: standard deviations on the scale of the link, as of
        :class:`revealed.decide.layout.Priors`. The variance of [learn] is that of all others.

    Raises
    ------
    SpecificationError
        For no slots, a slot of fewer than two options or with one of them twice, names that are unknown or cannot be
        told apart, if no layout is allowed, and for more than 1,024 combinations.
    """

    slots: Mapping[str, Any] = field(default_factory=dict)
    never: Any = field(default=(), metadata={"accepts": (list, tuple)})
    pairs: Any = field(default=True, metadata={"accepts": (bool, list, tuple)})
    by_context: Any = field(default=True, metadata={"accepts": (bool, list, tuple)})
    option: float = 0.5
    pair: float = 0.25
    option_by_context: float = 0.25

    def __post_init__(self) -> None:
        for slot, options in self.slots.items():
            if not isinstance(options, list | tuple) or not all(isinstance(one, str) for one in options):
                raise SpecificationError(f"[layout] the options of slot {slot!r} are a list of texts, not {options!r}")
            for name in (slot, *options):
                if _NEXT in name or not name.strip():
                    raise SpecificationError(
                        f"[layout] {name!r} names neither a slot nor an option: no {_NEXT!r} in it"
                    )
            if _IS in slot or slot.startswith(_OF_OTHERS):
                raise SpecificationError(
                    f"[layout] a slot cannot be called {slot!r}: no {_IS!r}, no 'context.', 'item.'"
                )
        for rule in self.never:
            if not isinstance(rule, Mapping):
                raise SpecificationError(
                    f'[layout] never lists options that do not go together, {{headline = "bold", image = "cat"}}, not '
                    f"{rule!r}"
                )
        if self.space.n_layouts > MOST:
            raise SpecificationError(
                f"[layout] {self.space.n_layouts:,} combinations are too many to compare for each decision; a policy "
                f"has at most {MOST:,}: fewer options, or two policies"
            )
        for name in ("option", "pair", "option_by_context"):
            if not 0 < getattr(self, name) < inf:
                raise SpecificationError(f"[layout] {name} is a deviation above 0, not {getattr(self, name)!r}")
        _ = self.paired, self.depending  # refuse unknown slots

    # ---- layouts and their names ----------------------------------------------------------------------------------

    @cached_property
    def space(self) -> LayoutSpace:
        """All layouts that are allowed."""
        return LayoutSpace.of(self.slots, self.never)

    @cached_property
    def listed(self) -> Mapping[str, Mapping[str, str]]:
        """All allowed layouts, by their names."""
        decoded = [self.space.decode(layout) for layout in self.space.layouts()]
        return {self.label(layout): layout for layout in decoded}

    def label(self, layout: Mapping[str, str]) -> str:
        """Return the name of a layout, its slots in order."""
        return _NEXT.join(f"{slot}{_IS}{layout[slot]}" for slot in self.space.names)

    def named(self, label: str) -> dict[str, str]:
        """Return the layout of a name, whatever the order of its slots there and whether it is allowed.

        Raises
        ------
        KeyError
            If it does not name an option for each slot.
        """
        told = dict(part.partition(_IS)[::2] for part in label.split(_NEXT))
        if len(told) != len(self.space.names) or not all(told.values()):
            raise KeyError(label)
        return {slot: told[slot] for slot in self.space.names}

    def require_labels(self, labels: Sequence[str]) -> None:
        """Raise SpecificationError unless all are names of allowed layouts."""
        for label in labels:
            if label not in self.listed:
                example = self.label(self.space.decode(self.space.witness))
                known = nearest(label, self.listed)
                raise SpecificationError(f"no layout {label!r}; one is called {example!r}; {known}")

    # ---- features -------------------------------------------------------------------------------------------------

    @cached_property
    def paired(self) -> tuple[tuple[str, str], ...]:
        """The pairs of slots whose options have effects in pairs."""
        names = self.space.names
        if isinstance(self.pairs, bool):
            return tuple(combinations(names, 2)) if self.pairs else ()
        found = []
        for pair in self.pairs:
            named = isinstance(pair, list | tuple) and all(isinstance(name, str) for name in pair)
            if not named or len(pair) != 2 or pair[0] == pair[1]:
                raise SpecificationError(f'[layout] pairs lists pairs of slots, ["headline", "image"], not {pair!r}')
            places = sorted(self.space.slot_of(name) for name in pair)
            found.append((names[places[0]], names[places[1]]))
        return tuple(dict.fromkeys(found))

    @cached_property
    def depending(self) -> tuple[str, ...]:
        """The slots whose options have effects that depend on the context."""
        if isinstance(self.by_context, bool):
            return self.space.names if self.by_context else ()
        if not all(isinstance(name, str) for name in self.by_context):
            raise SpecificationError(f"[layout] by_context is true, false or a list of slots, not {self.by_context!r}")
        return tuple(self.space.names[self.space.slot_of(name)] for name in dict.fromkeys(self.by_context))

    def feature_space(self, context: Features) -> FeatureSpace:
        """Return the features of layouts in a context: each option, pair, field, and option by field.

        Parameters
        ----------
        context : Features
            The fields of the context.

        Raises
        ------
        SpecificationError
            If it says more than fields and interactions of the context, or names a slot.
        """
        if context.formula is not None or context.item or context.hashed or context.groups != "attribute":
            raise SpecificationError(
                "[features] beside [layout] are the fields of the context alone: numeric, categorical, interactions, "
                "optional"
            )
        names = self.space.names
        for name in (*context.numeric, *context.categorical):
            if name in names:
                raise SpecificationError(
                    f"{name!r} is a slot of [layout] and a field of [features]; rename one of them"
                )
        space = FeatureSpace.of(
            numeric=context.numeric,
            categorical=(*names, *context.categorical),
            interactions=(*self.paired, *self._crossed(context), *context.interactions),
            optional=context.optional,
        )
        return knowing(space, self.slots)

    def variances(self, context: Features) -> dict[str, float]:
        """Return the first variance of each group of features that is a matter of options."""
        return (
            dict.fromkeys(self.space.names, self.option**2)
            | {":".join(pair): self.pair**2 for pair in self.paired}
            | {":".join(pair): self.option_by_context**2 for pair in self._crossed(context)}
        )

    def _crossed(self, context: Features) -> tuple[tuple[str, str], ...]:
        return tuple((slot, name) for slot in self.depending for name in (*context.numeric, *context.categorical))
