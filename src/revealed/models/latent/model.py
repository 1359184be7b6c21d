r"""The latent-class logit: a few kinds of people, each with weights of its own. Imports evidence and choices.

.. math:: P_n = \sum_k \pi_{nk} \prod_t \frac{e^{x_{nt i_t}^\top\beta_k}}{\sum_j e^{x_{ntj}^\top\beta_k}}, \qquad
   \pi_{nk} \propto e^{z_n^\top\gamma_k}, \quad \gamma_1 = 0

Kamakura and Russell (1989), "A probabilistic choice model for market segmentation and elasticity structure"; Bhat
(1997) for memberships that depend on what people are. A person is of the same class in all of the person's choices.

The likelihood has several maxima. From several starts drawn about the plain logit, steps of expectation and
maximisation (Lange 1995: one Newton step with the information there would be if classes were known) come near one
each; the best is then climbed by Newton's method with the information of what was seen. Choices left open: what
memberships depend on is read from a person's first choice situation; classes are put in the order of falling share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from revealed.choices.log import ChoiceLog, Partition
from revealed.choices.stream import ChoiceStream
from revealed.engine import Engine, Progress
from revealed.errors import SpecificationError
from revealed.evidence import NewtonOptions
from revealed.models.design import Design
from revealed.models.fit import Fit
from revealed.models.latent.law import LatentLaw
from revealed.models.logit import Logit
from revealed.models.model import Model
from revealed.models.utility import read_utility

#: The most steps of expectation and maximisation from a start, and the gain of log-likelihood below which they end.
_STEPS, _GAIN = 200, 1e-3
#: A step that makes it worse is halved this often at most.
_HALVINGS = 8


@dataclass(frozen=True)
class LatentClass(Model):
    """The latent-class logit; parameters not named here are those of :class:`revealed.models.model.Model`.

    Class ``k`` weighs ``cost`` by the parameter ``classk.cost``; ``sharek.constant`` and further ``sharek.…`` are the
    logit of membership in it against the first class.

    Parameters
    ----------
    classes : int
    membership : str, optional
        A formula of what is the same for all alternatives: ``"income + C(region)"``. A constant is there by itself.
    starts : int
    seed : int

    Raises
    ------
    SpecificationError
        For fewer than two classes or one start.
    """

    classes: int = 2
    membership: str = ""
    starts: int = 6
    seed: int = 0
    title: ClassVar[str] = "Latent-class logit"
    citation: ClassVar[str] = "Kamakura and Russell (1989), A probabilistic choice model for market segmentation"
    assumptions: ClassVar[tuple[str, ...]] = (
        (
            "everybody is of one of a few classes, the same in all of a person's choices; within a class alternatives "
            "are substitutes in proportion to their shares"
        ),
    )

    def __post_init__(self) -> None:
        if self.classes < 2 or self.starts < 1:
            raise SpecificationError(f"two classes and one start at least, not {self.classes!r} and {self.starts!r}")

    def law(self, log: ChoiceLog | ChoiceStream) -> LatentLaw:
        """Bind the utility and the memberships to the columns of a log."""
        if isinstance(log, ChoiceStream):
            raise SpecificationError(
                "a latent-class logit needs all choices of a person at once, but a stream comes in batches: read the "
                "log into memory (without --stream)"
            )
        told = {name: level for name, level in self.reference.items() if name in self.membership}
        rest = {name: level for name, level in self.reference.items() if name not in told}
        membership = read_utility(self.membership, log, told, of_the_case=True) if self.membership else None
        return LatentLaw(read_utility(self.utility, log, rest), membership, self.classes)

    @staticmethod
    def law_from_dict(data: Mapping[str, Any]) -> LatentLaw:
        """Rebuild the law a fit was saved with."""
        membership = None if data["membership"] is None else Design.from_dict(data["membership"])
        return LatentLaw(Design.from_dict(data["utility"]), membership, data["classes"])

    def fit(
        self,
        log: ChoiceLog | ChoiceStream,
        *,
        errors: str | None = None,
        engine: Engine | None = None,
        options: NewtonOptions | None = None,
        progress: Progress | None = None,
    ) -> Fit:
        """Estimate from several starts. See :meth:`revealed.models.model.Model.fit`."""
        law = self.law(log)
        assert isinstance(log, ChoiceLog)
        held = bool(self.start or self.fixed or self.bounds)
        plain = Logit(self.utility, reference=self.reference_of_utility(), ridge=self.ridge).fit(log, errors="classic")
        spread = np.sqrt(plain.data.n_cases / np.maximum(np.diag(plain.evidence.information), 1e-300))
        rng = np.random.default_rng(self.seed)
        checkpoint = None if options is None else options.checkpoint
        found: list[np.ndarray] = []  # the log-likelihood, then the parameters
        for number in range(self.starts):
            tastes = plain.params + 0.5 * spread * rng.standard_normal((self.classes, len(plain.params)))
            reached = None if checkpoint is None else checkpoint.known(f"start {number}", 1 + len(law.names))
            if reached is None:
                begin = np.zeros(len(law.names))
                begin[: tastes.size] = tastes.ravel()
                reached = np.append(*_near(law, log, begin))
                if checkpoint is not None:
                    checkpoint.note(f"start {number}", reached)
            found.append(reached)
        best = max(found, key=lambda one: float(one[0]))[1:]
        if not held:  # who holds a parameter of a class means that class
            best = _in_order(law, log, best)
        start = dict(zip(law.names, best.tolist(), strict=True)) | dict(self.start) | dict(self.fixed)
        start = {name: value for name, value in start.items() if name not in self.fixed}
        fitted = Model.fit(
            replace(self, start=start), log, errors=errors, engine=engine, options=options, progress=progress
        )
        return replace(fitted, model=self)

    def reference_of_utility(self) -> dict[str, str]:
        """Return the reference levels that concern the utility."""
        return {name: level for name, level in self.reference.items() if name not in self.membership}

    def described(self) -> dict[str, str]:
        """Return the utility and the memberships, in words."""
        told = f"1 + {self.membership}" if self.membership else "1"
        return super().described() | {f"membership in {self.classes} classes": told}

    def derived(self, estimates: Mapping[str, float]) -> dict[str, float]:
        """Return the share of each class, where memberships are the same for all."""
        if self.membership:
            return {}
        scores = np.array([0.0, *(estimates[f"share{k}.constant"] for k in range(2, self.classes + 1))])
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        return {f"share of class {k + 1}": float(share) for k, share in enumerate(shares)}


def _near(law: LatentLaw, log: ChoiceLog, params: Float[np.ndarray, " K"]) -> tuple[float, Float[np.ndarray, " K"]]:
    """Return the log-likelihood and parameters near a maximum, by steps of expectation and maximisation."""
    everyone = Partition(log, 0, log.n_cases)

    def value_at(at: Float[np.ndarray, " K"]) -> float:
        return sum(sums.log_likelihood for _, sums in law.sums(everyone, at))

    value = value_at(params)
    for _ in range(_STEPS):
        score, complete = np.zeros(len(params)), np.zeros((len(params), len(params)))
        for _, sums in law.sums(everyone, params):
            score += sums.scores().sum(axis=0)
            complete += sums.complete()
        step = np.linalg.lstsq(complete + 1e-9 * np.diag(np.diag(complete) + 1e-9), score, rcond=None)[0]
        for halving in range(_HALVINGS):
            after = params + step / 2**halving
            gained = value_at(after) - value
            if np.isfinite(gained) and gained >= 0:
                break
        else:
            break
        params, value = after, value + gained
        if gained < _GAIN:
            break
    return value, params


def _in_order(law: LatentLaw, log: ChoiceLog, params: Float[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    """Return the same parameters with the classes in the order of falling share."""
    share = law.posterior(log, params)[1].mean(axis=0)
    order = np.argsort(-share, kind="stable")
    weights, membership = law.parts(params)
    moved = membership[:, order] - membership[:, order[:1]]
    return np.concatenate([weights[:, order].T.ravel(), moved[:, 1:].T.ravel()])
