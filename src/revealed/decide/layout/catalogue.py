"""Layouts as what a policy can show. Imports its own room, choices and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from revealed.choices.feedback import Feedback
from revealed.decide.catalogue import Catalogue
from revealed.decide.layout.specified import Layout
from revealed.errors import DataError, Problem


class _Named(Mapping[str, Mapping[str, Any]]):
    """The layouts by name: those that are allowed, and any other that fills the slots, which a log may hold."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def __getitem__(self, label: str) -> Mapping[str, Any]:
        found = self.layout.listed.get(label)
        return self.layout.named(label) if found is None else found

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout.listed)

    def __len__(self) -> int:
        return len(self.layout.listed)


class LayoutCatalogue(Catalogue):
    """All allowed layouts, from the first decision on; a slot is an attribute.

    Made by :meth:`of`.
    """

    @classmethod
    def of(cls, column: str, layout: Layout) -> LayoutCatalogue:
        """Return the catalogue of a part [layout].

        Parameters
        ----------
        column : str
            What the field of a layout's name is called.
        layout : Layout
        """
        return cls(column, layout.space.names, _Named(layout))

    @property
    def layout(self) -> Layout:
        """The slots, their options, and what does not go together."""
        assert isinstance(self.actions, _Named)
        return self.actions.layout

    def candidates(self, wanted: Sequence[str | Mapping[str, Any]] | None) -> list[dict[str, Any]]:
        """Return the records of layouts, given by name or by the option of each slot; by default of all.

        Raises
        ------
        SpecificationError
            For unknown names, slots and options.
        DataError
            For a layout that is not allowed.
        """
        if wanted is None:
            return [{self.column: label, **slots} for label, slots in self.layout.listed.items()]
        return [self._record(item) for item in wanted]

    def _record(self, item: str | Mapping[str, Any]) -> dict[str, Any]:
        if isinstance(item, Mapping):
            told = {name: value for name, value in item.items() if name != self.column}
            slots = self.layout.space.decode(self.layout.space.encode([told])[0])
            return {self.column: self.layout.label(slots), **slots}
        self.layout.require_labels([item])
        return {self.column: item, **self.layout.listed[item]}

    def met(self, feedback: Feedback) -> LayoutCatalogue:
        """Return the same: nothing can be met that is not known.

        Raises
        ------
        DataError
            If what a log shows fills no slots.
        """
        labels = [feedback.actions.labels[code] for code in dict.fromkeys(feedback.action_codes.tolist())]
        odd = [label for label in labels if label not in self.actions]
        if odd:
            what = f"{odd[0]!r} is no layout"
            remedy = f"call layouts as the policy does: {next(iter(self.actions))!r}"
            raise DataError(feedback.source, [Problem(what, remedy, f"column {self.column!r}", count=len(odd))])
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data: the layouts are in the specification."""
        return {"column": self.column, "fields": list(self.fields), "actions": {}}
