r"""The nested logit, two levels, and what nested models share. Imports evidence and choices.

.. math:: P_n(j) = \frac{e^{\mu_m v_{nj}}}{\sum_{k \in m} e^{\mu_m v_{nk}}} \cdot
   \frac{e^{I_{nm}}}{\sum_l e^{I_{nl}}}, \qquad I_{nm} = \frac{1}{\mu_m} \log \sum_{k \in m} e^{\mu_m v_{nk}}

Williams (1977), "On the formation of travel demand models and economic evaluation measures of user benefit"; Daly and
Zachary (1978), "Improved multiple choice models"; McFadden (1978), "Modelling the choice of residential location". The
nest parameter is :math:`\mu_m \ge 1` as in Biogeme, the scale of the upper level being one. Its inverse
:math:`\lambda_m = 1/\mu_m` is the dissimilarity (or logsum) parameter of other programs, and
:math:`1 - \lambda_m^2` the
correlation of the errors of two alternatives of the nest. With :math:`\mu_m = 1` the nest is none.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from revealed.choices.log import ChoiceLog
from revealed.choices.stream import ChoiceStream
from revealed.errors import SpecificationError, nearest
from revealed.models.design import Design
from revealed.models.model import Model
from revealed.models.nested.law import NestedLaw
from revealed.models.nested.memberships import Member, Memberships
from revealed.models.utility import read_utility

#: The lowest nest parameter where its bound at one is lifted: it must be positive.
LOWEST = 0.01


@dataclass(frozen=True)
class NestModel(Model):
    """What nested models share: nests by name, whose parameters begin, and have their lower bound, at one."""

    nests: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        nests = {str(nest): tuple(str(label) for label in inside) for nest, inside in self.nests.items()}
        object.__setattr__(self, "nests", nests)
        names = self.memberships().nest_names
        start, bounds = dict.fromkeys(names, 1.0) | dict(self.start), dict(self.bounds)
        for name in names:
            lower, upper = bounds.get(name, (1.0, None))
            lower = LOWEST if lower is None else lower
            bounds[name] = (lower, upper)
            for what, value in (("bound", lower), ("start", start[name]), ("value", self.fixed.get(name, 1.0))):
                if not value > 0:
                    raise SpecificationError(f"a nest parameter is positive, but {name} has the {what} {value!r}")
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "bounds", bounds)

    def memberships(self) -> Memberships:
        """Return which alternative is in which nests.

        Raises
        ------
        SpecificationError
            If there is no nest, an empty one, or an alternative where it cannot be.
        """
        if not self.nests:
            raise SpecificationError("name the nests: nests={'land': ['train', 'car']}")
        places: dict[str, list[str]] = {}
        for nest, inside in self.nests.items():
            if not inside:
                raise SpecificationError(f"the nest {nest!r} is empty; name its alternatives, or leave it away")
            for label in inside:
                if nest in places.setdefault(label, []):
                    raise SpecificationError(f"{label!r} is in the nest {nest!r} twice; name it once")
                places[label].append(nest)
        members = [Member(label, nest, share) for label in places for nest, share in self._shares(label, places[label])]
        return Memberships(tuple(members), tuple(self.nests))

    @abstractmethod
    def _shares(self, alternative: str, nests: Sequence[str]) -> list[tuple[str, float | None]]:
        """Return the share that each of its nests has of an alternative, None where it is estimated."""

    def nests_of(self, alternative: str) -> tuple[str, ...]:
        """Return the nests that an alternative is in."""
        return tuple(nest for nest, inside in self.nests.items() if alternative in inside)

    def law(self, log: ChoiceLog | ChoiceStream) -> NestedLaw:
        """Bind utility and nests to the columns of a log."""
        labels = log.facts.levels.labels
        for nest, inside in self.nests.items():
            for label in inside:
                if label not in labels:
                    raise SpecificationError(
                        f"no alternative {label!r} (in the nest {nest!r}) in {log.source}; {nearest(label, labels)}"
                    )
        design = read_utility(self.utility, log, self.reference)
        law = NestedLaw(design, self.memberships())
        for name in law.names[len(design.names) :]:
            if name in design.names:
                raise SpecificationError(
                    f"{name!r} is a term of the utility and a parameter of a nest; rename the nest"
                )
        return law

    @staticmethod
    def law_from_dict(data: Mapping[str, Any]) -> NestedLaw:
        """Rebuild the law a fit was saved with."""
        return NestedLaw(Design.from_dict(data["utility"]), Memberships.from_dict(data["nests"]))

    # ---- what summaries say ---------------------------------------------------------------------------------------

    def null_value(self, name: str) -> float:
        """Return one for a nest parameter, where the nest is none; zero for others."""
        return 1.0 if name in self.memberships().nest_names else 0.0

    def derived(self, estimates: Mapping[str, float]) -> dict[str, float]:
        """Return the dissimilarity of each nest, and the estimated shares of alternatives in several."""
        memberships = self.memberships()
        found = {
            f"dissimilarity[{nest}]": 1 / estimates[name]
            for nest, name in zip(memberships.nests, memberships.nest_names, strict=True)
        }
        logs = memberships.log_shares(np.array([estimates[name] for name in memberships.allocation_names]))
        members = zip(memberships.members, np.exp(logs[:-1]).tolist(), strict=True)
        return found | {f"share[{m.alternative}:{m.nest}]": share for m, share in members if m.share is None}

    def described(self) -> dict[str, str]:
        """Return the utility and the nests, in words."""
        memberships = self.memberships()
        return super().described() | {f"nest {nest}": memberships.words(nest) for nest in memberships.order}


@dataclass(frozen=True)
class Nested(NestModel):
    """The nested logit: alternatives of a nest resemble each other and draw from each other first.

    Parameters not named here are those of :class:`revealed.models.model.Model`.

    Parameters
    ----------
    nests : mapping
        ``{nest: [alternatives]}``. An alternative in no nest stands alone, and so does one alone in its nest. A nest of
        two or more has a parameter ``nest[name]``, at least one unless ``bounds={"nest[name]": (None, None)}``.

    Raises
    ------
    SpecificationError
        If there is no nest, an empty one, an alternative in two nests, or a bound or value of a nest parameter that is
        not positive.
    """

    title: ClassVar[str] = "Nested logit"
    citation: ClassVar[str] = "McFadden (1978), Modelling the choice of residential location"
    assumptions: ClassVar[tuple[str, ...]] = (
        (
            "alternatives of a nest are equally alike, and no others are: those of a nest draw from each other, and "
            "nests from each other, in proportion to their probabilities"
        ),
    )

    def _shares(self, alternative: str, nests: Sequence[str]) -> list[tuple[str, float | None]]:
        if len(nests) > 1:
            raise SpecificationError(
                f"the alternative {alternative!r} is in two nests ({nests[0]!r} and {nests[1]!r}); keep it in one, or "
                "use CrossNested (cross-nested on the command line), where an alternative may be in several"
            )
        return [(nests[0], 1.0)]
