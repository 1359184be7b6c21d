r"""The cross-nested logit: an alternative may be in several nests. Imports evidence and choices.

.. math:: P_n(j) = \sum_m \frac{(\alpha_{jm} e^{v_{nj}})^{\mu_m}}{\sum_k (\alpha_{km} e^{v_{nk}})^{\mu_m}} \cdot
   \frac{e^{I_{nm}}}{\sum_l e^{I_{nl}}}, \qquad
   I_{nm} = \frac{1}{\mu_m} \log \sum_k (\alpha_{km} e^{v_{nk}})^{\mu_m}, \qquad \sum_m \alpha_{jm} = 1

Vovsha (1997), "Application of cross-nested logit model to mode choice in Tel Aviv"; Ben-Akiva and Bierlaire (1999),
"Discrete choice methods and their applications to short term travel decisions"; the allocations within the power
:math:`\mu_m` as in Bierlaire (2006), "A theoretical analysis of the cross-nested logit model", and in Biogeme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from revealed.choices.log import ChoiceLog
from revealed.choices.stream import ChoiceStream
from revealed.engine import Engine, Progress
from revealed.errors import SpecificationError, nearest
from revealed.evidence import NewtonOptions
from revealed.models.fit import Fit
from revealed.models.nested.model import NestModel


@dataclass(frozen=True)
class CrossNested(NestModel):
    """The cross-nested logit: alternatives in several nests, to shares that are given or estimated.

    Parameters not named here are those of :class:`revealed.models.model.Model`.

    Parameters
    ----------
    nests : mapping
        ``{nest: [alternatives]}``; nest parameters as in :class:`revealed.models.nested.Nested`.
    allocation : mapping, optional
        ``{alternative: {nest: share}}`` for alternatives whose shares are known: positive, summing to one. Those of
        others in several nests are estimated: ``allocation[alternative:nest]`` is the logarithm of the share in a
        nest over that in the alternative's first nest, so that shares stay positive and sum to one.

    Raises
    ------
    SpecificationError
        If the nests or the shares cannot be.
    """

    allocation: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    title: ClassVar[str] = "Cross-nested logit"
    citation: ClassVar[str] = "Vovsha (1997), Application of cross-nested logit model to mode choice in Tel Aviv"
    assumptions: ClassVar[tuple[str, ...]] = (
        (
            "alternatives are alike as far as they share nests; within a nest they draw from each other in proportion "
            "to their probabilities in it"
        ),
    )

    def __post_init__(self) -> None:
        everywhere = {str(label) for inside in self.nests.values() for label in inside}
        for label, shares in self.allocation.items():
            if str(label) not in everywhere:
                raise SpecificationError(
                    f"{label!r} (in allocation) is in no nest; {nearest(str(label), sorted(everywhere))}"
                )
            if not all(share > 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-9:
                raise SpecificationError(f"the shares of {label!r} must be positive and sum to one, not {dict(shares)}")
        super().__post_init__()

    def fit(
        self,
        log: ChoiceLog | ChoiceStream,
        *,
        errors: str | None = None,
        engine: Engine | None = None,
        options: NewtonOptions | None = None,
        progress: Progress | None = None,
    ) -> Fit:
        """Estimate the parameters, those of allocation last. See :meth:`revealed.models.model.Model.fit`.

        Where nest parameters are one, shares say nothing, and a search that moves both at once often ends with a share
        of all but zero, far below the maximum. So everything else is estimated first, at the shares that the search
        starts from; a start given for a parameter of allocation leaves that out.
        """
        further: dict[str, Any] = {"engine": engine, "options": options, "progress": progress}
        start = dict(self.start)
        searched = [name for name in self.memberships().allocation_names if name not in self.fixed]
        if searched and not any(name in start for name in searched):
            bounds = {name: value for name, value in self.bounds.items() if name not in searched}
            prior = {name: value for name, value in self.prior.items() if name not in searched}
            held = replace(self, fixed={**self.fixed, **dict.fromkeys(searched, 0.0)}, bounds=bounds, prior=prior)
            first = NestModel.fit(held, log, errors="classic", **further)
            start = {name: value for name, value in first.estimates.items() if name not in self.fixed}
        found = NestModel.fit(replace(self, start=start), log, errors=errors, **further)
        return replace(found, model=self)

    def _shares(self, alternative: str, nests: Sequence[str]) -> list[tuple[str, float | None]]:
        given = {str(label): shares for label, shares in self.allocation.items()}.get(alternative)
        if given is None:
            return [(nest, None if len(nests) > 1 else 1.0) for nest in nests]
        if set(given) != set(nests):
            raise SpecificationError(
                f"the allocation of {alternative!r} names {', '.join(given)}, but it is in {', '.join(nests)}; give a "
                "share for each"
            )
        return [(nest, float(given[nest])) for nest in nests]
