r"""The mixed logit: a logit whose coefficients differ between people. Imports evidence and choices.

.. math:: P_n = \int \prod_t P_{nt}(\beta)\, f(\beta \mid \theta)\,d\beta \approx \frac1R \sum_{r=1}^R \prod_t
   P_{nt}(\beta_{nr}), \qquad P_{nt}(\beta) = \frac{e^{x_{nt i_t}^\top\beta}}{\sum_j e^{x_{ntj}^\top\beta}}

Revelt and Train (1998), "Mixed logit with repeated choices: households' choices of appliance efficiency level";
McFadden and Train (2000), "Mixed MNL models for discrete response"; Train (2009), "Discrete choice methods with
simulation", chapters 6 and 10. A person's coefficients are the same in all of the person's choices. Where choice
situations have weights, their mean over a person's choices weighs the person, and each choice counts in the person's
likelihood by its weight over that mean.

In willingness-to-pay space (Train and Weeks 2005) all parameters but those of a cost are worths in units of that cost;
see :mod:`revealed.models.mixed.worth`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from revealed.choices.log import ChoiceLog
from revealed.choices.stream import ChoiceStream
from revealed.engine import Engine, Progress
from revealed.errors import SpecificationError, nearest
from revealed.evidence import NewtonOptions, NotIdentified
from revealed.evidence.covariance import covariance
from revealed.models.autodiff import require_jax
from revealed.models.design import Design
from revealed.models.estimate import SAMPLE_FROM
from revealed.models.fit import Fit
from revealed.models.logit import Logit
from revealed.models.mixed.coefficients import Coefficients
from revealed.models.mixed.draws import Draws
from revealed.models.mixed.families import Family
from revealed.models.mixed.law import MixedLaw
from revealed.models.mixed.worth import Space, WorthCoefficients, space_from_dict
from revealed.models.model import Bounds, Model
from revealed.models.utility import read_utility

#: The lowest scale of a truncated distribution, which must be positive.
LOWEST = 1e-6
#: The utility step (root mean square) below which a climb without samples ends, unless another is asked for.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Mixed(Model):
    """The mixed logit: random coefficients, estimated by simulated maximum likelihood.

    Parameters not named here are those of :class:`revealed.models.model.Model`. The coefficient of a column ``price``
    that is random has the parameters ``price`` (its location) and ``sd[price]`` (its scale, zero or more); see
    :mod:`revealed.models.mixed.families` for what they are of each distribution. Of correlated coefficients,
    ``chol[a:b]`` are the entries of the lower triangular matrix that multiplies independent standard normal draws.

    Parameters
    ----------
    random : mapping
        ``{term: distribution}``: ``"normal"``, ``"lognormal"``, ``"triangular"``, ``"uniform"`` or ``"truncated"`` (a
        normal above zero); ``"lognormal-"`` and ``"truncated-"`` are below zero for everybody. An error component is
        a normal coefficient of a dummy whose mean is held: ``fixed={"rail": 0.0}``.
    correlated : sequence of str, optional
        Which of those that are normal or log-normal are correlated with each other.
    worth_in : str, optional
        The term that is money. All others then are what people would pay for one unit more, and ``random`` gives the
        distributions of these (willingness-to-pay space). Its own coefficient is the same for all, or ``lognormal-``
        or ``truncated-``.
    draws : int
        Draws of each person.
    kind : {"sobol", "halton"}
        Scrambled Sobol or Halton draws; see :mod:`revealed.models.mixed.draws`.
    seed : int
    compiled : bool
        The likelihood is summed by JAX, on a GPU where JAX finds one; the estimates are the same. On a processor numpy,
        the default, is faster.

    Raises
    ------
    SpecificationError
        If nothing is random, a distribution is unknown or cannot be correlated, draws are not a number of them, or what
        is worth something is told in a cost that some people may like.
    """

    random: Mapping[str, str] = field(default_factory=dict)
    correlated: Sequence[str] = ()
    worth_in: str = ""
    draws: int = 500
    kind: str = "sobol"
    seed: int = 0
    compiled: bool = False
    title: ClassVar[str] = "Mixed logit"
    citation: ClassVar[str] = "McFadden and Train (2000), Mixed MNL models for discrete response"
    assumptions: ClassVar[tuple[str, ...]] = (
        (
            "coefficients differ between people by the distributions named, whatever else is known of them, and a "
            "person's are the same in all of the person's choices"
        ),
    )

    def __post_init__(self) -> None:
        if not self.random:
            raise SpecificationError("say which coefficients differ between people: random={'price': 'normal'}")
        if isinstance(self.correlated, str):
            raise SpecificationError(f"correlated names several coefficients: ['{self.correlated}', …]")
        object.__setattr__(self, "correlated", tuple(self.correlated))
        Draws(self.draws, self.kind, self.seed)
        families = {name: Family.of(family) for name, family in self.random.items()}
        for name in self.correlated:
            if name not in families:
                raise SpecificationError(f"{name!r} (in correlated) is not random; {nearest(name, families)}")
            if not families[name].is_gaussian:
                raise SpecificationError(
                    f"{name!r} is {self.random[name]}, and only normal and lognormal coefficients may be correlated"
                )
        if len(set(self.correlated)) == 1:
            raise SpecificationError(f"correlated names {self.correlated[0]!r} alone; name two coefficients or more")
        if self.worth_in in families and self.random[self.worth_in] not in ("lognormal-", "truncated-"):
            raise SpecificationError(
                f"worths in {self.worth_in!r} need a coefficient of it that is below zero for everybody: the same for "
                f"all, lognormal- or truncated-, not {self.random[self.worth_in]}"
            )
        least = self.fixed.get(self.worth_in, self.bounds.get(self.worth_in, (None, None))[0])
        if self.worth_in not in families and least is not None and least >= 0:
            raise SpecificationError(f"worths in {self.worth_in!r} need a coefficient of it below zero, not {least:g}")
        object.__setattr__(self, "bounds", self._bounds(families))

    def _bounds(self, families: Mapping[str, Family]) -> dict[str, Bounds]:
        """Return the bounds asked for, and those of scales."""
        bounds = dict(self.bounds)
        for name, a, b in self._coefficients().scales:
            if a != b:
                continue
            lower, upper = bounds.get(name, (0.0, None))
            if families[list(families)[a]].shape == "truncated":
                lower = LOWEST if lower is None else max(lower, LOWEST)
                if not self.fixed.get(name, 1.0) > 0:
                    raise SpecificationError(f"{name} is a scale and must be positive, not {self.fixed[name]!r}")
            bounds[name] = (lower, upper)
        return bounds

    def law(self, log: ChoiceLog | ChoiceStream) -> MixedLaw:
        """Bind the utility and the distributions to the columns of a log."""
        if self.compiled:
            require_jax()
        if isinstance(log, ChoiceStream) and log.columns.person is not None:
            raise SpecificationError(
                "a mixed logit needs all choices of a person at once, but a stream comes in batches: read the log into "
                "memory (without --stream), or leave the person away if each chose once"
            )
        design = read_utility(self.utility, log, self.reference)
        plain = self._coefficients(design.names)
        space: Space = WorthCoefficients(plain, self.worth_in) if self.worth_in else plain
        law = MixedLaw(design, space, Draws(self.draws, self.kind, self.seed), self.compiled)
        for name in law.names[len(design.names) :]:
            if name in design.names:
                raise SpecificationError(
                    f"{name!r} is a term of the utility and a parameter of spread; rename the column"
                )
        return law

    @staticmethod
    def law_from_dict(data: Mapping[str, Any]) -> MixedLaw:
        """Rebuild the law a fit was saved with."""
        design = Design.from_dict(data["utility"])
        return MixedLaw(design, space_from_dict(design.names, data["coefficients"]), Draws(**data["draws"]))

    def fit(
        self,
        log: ChoiceLog | ChoiceStream,
        *,
        errors: str | None = None,
        engine: Engine | None = None,
        options: NewtonOptions | None = None,
        progress: Progress | None = None,
    ) -> Fit:
        """Estimate the parameters, from the estimates of the plain logit. See :meth:`revealed.models.model.Model.fit`.

        The log-likelihood is flat where a scale is zero, so a climb that steps there may stay there. A scale that ends
        at zero is therefore tried once more from a small one, and the better maximum is kept.
        """
        if self.worth_in not in self.random and self.start.get(self.worth_in, -1.0) >= 0:
            raise SpecificationError(f"worths in {self.worth_in!r} need a start of its coefficient below zero")
        options = options or NewtonOptions()
        if options.tolerance is None and log.facts.n_cases < SAMPLE_FROM:
            # A pass is dear, and the last step leaves about its square: nothing beside the noise of simulation.
            options = replace(options, tolerance=TOLERANCE)
        further: dict[str, Any] = {"engine": engine, "options": options, "progress": progress}
        plain = self._plain(self.law(log).design.names).fit(log, errors="classic", **further)
        start = self._start(plain)
        found = Model.fit(replace(self, start={**start, **self.start}), log, errors=errors, **further)
        scales = {name for name, a, b in self._coefficients().scales if a == b and name not in self.start}
        held = {name for name, (low, high) in self.bounds.items() if low is not None and low == high} | set(self.fixed)
        at_zero = {name for name in scales - held if found[name] <= 0}  # a saddle there may look as if nothing varied
        flat = [name for name in found.names if name in at_zero or name in scales.intersection(found.status.at_bound)]
        if flat:
            again = {**found.estimates, **{name: 0.3 * start[name] for name in flat}}
            other = Model.fit(replace(self, start=again), log, errors=errors, **further)
            found = other if other.log_likelihood > found.log_likelihood else found
        return replace(self._told_of_cost(found, plain), model=self)

    def _told_of_cost(self, found: Fit, plain: Fit) -> Fit:
        """Return the fit, with what a cost that raises utility means for worths in units of it."""
        if not self.worth_in or self.worth_in in self.fixed:
            return found
        turned = self.worth_in not in self.random and found[self.worth_in] >= 0
        if not turned and (found.status.sound or plain[self.worth_in] < 0):
            return found
        names = dict.fromkeys([self.worth_in, *plain.names])
        value = found[self.worth_in] if turned else plain[self.worth_in]
        why = (
            f"a higher {self.worth_in} goes with more choices, not fewer (its coefficient is {value:.4g} "
            f"{'here' if turned else 'in the plain logit'}), so nothing has a worth in units of it; mind the sign of "
            "the column, add what comes with a high cost to the utility, or fit without worths (no worth_in)"
        )
        others = tuple(item for item in found.status.not_identified if item.kind != "separation")
        told = (NotIdentified(tuple(names), "wrong sign of the cost", why), *others)
        status = replace(found.status, converged=False, reason="the cost has the wrong sign", not_identified=told)
        kinds = found.covariances
        return replace(
            found,
            status=status,
            covariances={kind: covariance(found.evidence, kind, found.free, status, found.prior) for kind in kinds},
        )

    def _coefficients(self, columns: Sequence[str] | None = None) -> Coefficients:
        return Coefficients(tuple(self.random if columns is None else columns), self.random, tuple(self.correlated))

    def _plain(self, columns: Sequence[str]) -> Logit:
        """Return the plain logit of the same utility, with what is imposed on coefficients that it has too."""
        families = {name: Family.of(family) for name, family in self.random.items()}
        straight = [name for name in columns if name not in families or families[name].is_linear]
        if self.worth_in:  # what is imposed on worths is not of the plain logit's coefficients
            straight = [name for name in straight if name == self.worth_in]
        imposed: dict[str, Any] = {
            what: {name: value for name, value in getattr(self, what).items() if name in straight}
            for what in ("fixed", "bounds", "prior")
        }
        return Logit(self.utility, reference=self.reference, ridge=self.ridge, **imposed)

    def _start(self, plain: Fit) -> dict[str, float]:
        """Return where to start: the plain logit's coefficients, and scales that move utility by half a unit."""
        spec = self._coefficients(plain.names)
        families = dict(zip(self.random, spec.families, strict=True))
        moved = np.sqrt(np.maximum(np.diag(plain.evidence.information), 0.0) / plain.data.n_cases)
        units = dict(zip(plain.names, np.where(moved > 0, 1 / np.where(moved > 0, moved, 1), 1.0), strict=True))
        start = plain.estimates
        if self.worth_in:
            cost = min(start[self.worth_in], -0.1 * float(units[self.worth_in]))
            start = {name: cost if name == self.worth_in else -value / cost for name, value in start.items()}
            units = {name: unit if name == self.worth_in else -unit / cost for name, unit in units.items()}
        scale: dict[str, float] = {}
        for name, family in families.items():
            scale[name] = 0.5 * float(units[name])
            if not family.is_linear:
                size = max(family.sign * start[name], 0.1 * float(units[name]))
                start[name] = float(np.log(size)) if family.shape == "lognormal" else size
                scale[name] = 0.5 if family.shape == "lognormal" else 0.5 * size
        order = list(self.random)
        return start | {name: scale[order[a]] if a == b else 0.0 for name, a, b in spec.scales}

    # ---- what summaries say ---------------------------------------------------------------------------------------

    def spread_of(self, name: str) -> str:
        """Return the distribution of a random coefficient, empty for others."""
        return self.random.get(name, "")

    def derived(self, estimates: Mapping[str, float]) -> dict[str, float]:
        """Return standard deviations and correlations of correlated coefficients, and moments of skewed ones."""
        order = list(self.random)
        spread = np.zeros((len(order), len(order)))
        for name, a, b in self._coefficients().scales:
            spread[a, b] = estimates[name]
        scale = np.sqrt((spread**2).sum(axis=1))
        found: dict[str, float] = {}
        for a, (name, distribution) in enumerate(self.random.items()):
            family = Family.of(distribution)
            if name in self.correlated:
                found[f"sd[{name}]"] = float(scale[a])
            if not family.is_linear:
                mean, deviation = family.moments(estimates[name], float(scale[a]))
                found |= {f"mean of {name}": mean, f"deviation of {name}": deviation}
        group = [name for name in order if name in self.correlated]
        for i, name in enumerate(group):
            for other in group[:i]:
                a, b = order.index(name), order.index(other)
                product = float(scale[a] * scale[b])
                found[f"correlation[{name}:{other}]"] = float(spread[a] @ spread[b]) / product if product else 0.0
        return found

    def described(self) -> dict[str, str]:
        """Return the utility, the distributions and the draws, in words."""
        together = dict.fromkeys(self.correlated, ", correlated")
        random = {f"random {name}": family + together.get(name, "") for name, family in self.random.items()}
        if self.worth_in:
            random |= {"worths": f"of one unit more, in units of {self.worth_in}"}
        return super().described() | random | {"draws": f"{self.draws:,} {self.kind.title()}, seed {self.seed}"}
