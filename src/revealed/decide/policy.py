"""A policy that learns: features, a Bayesian model, an explorer and business rules. Imports models to choices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from revealed.choices.feedback import Feedback
from revealed.choices.feedback_checks import FeedbackColumns
from revealed.choices.policy import Decision
from revealed.decide.business import HOLDOUT
from revealed.decide.catalogue import Catalogue
from revealed.decide.delay.late import LateAnswers, Moment
from revealed.decide.explore import Explorer, Limits, rule_named
from revealed.decide.judged import conditional_probabilities_of, probabilities_of
from revealed.decide.learning import digest_of, knows_numbers, learn_from
from revealed.decide.prior import MetaPrior
from revealed.decide.showing import Showing
from revealed.decide.slate.learned import LearnedSlates
from revealed.decide.specification import Specification
from revealed.errors import DataError, Problem, SpecificationError, nearest
from revealed.files import load_saved, write_whole
from revealed.models.glm.features import FeatureSpace, Rows
from revealed.models.glm.model import BayesianGLM
from revealed.models.glm.noise import NoiseEstimate
from revealed.models.glm.posterior import Posterior


@dataclass(frozen=True, eq=False)
class LearningPolicy:
    """Decides by what it has learned; immutable: learning returns another.

    Parameters
    ----------
    specification : Specification
    columns : FeedbackColumns
        What the roles are called in its logs.
    space : FeatureSpace
    model : BayesianGLM
    catalogue : Catalogue
    explorer : Explorer
    prior : MetaPrior, optional
        The prior of each group of features, where it was estimated.
    logs : tuple of str
        Digests of the logs it learned from, which cannot judge it.
    slates : LearnedSlates
        What it learned of positions and of the prices of goals.
    late : LateAnswers, optional
        The decisions whose answers it waits for, where the specification has a part [delay].
    """

    specification: Specification
    columns: FeedbackColumns
    space: FeatureSpace
    model: BayesianGLM
    catalogue: Catalogue
    explorer: Explorer
    prior: MetaPrior | None = None
    logs: tuple[str, ...] = ()
    slates: LearnedSlates = field(default_factory=LearnedSlates)
    late: LateAnswers | None = None

    @classmethod
    def fresh(cls, specification: Specification, seed: int = 0) -> LearningPolicy:
        """Return a policy that has learned nothing.

        Raises
        ------
        SpecificationError
            For a formula, a name or a number that cannot be.
        """
        columns = FeedbackColumns.named(None, specification.log)
        space = specification.space()
        explore, learn = specification.explore, specification.learn
        explorer = Explorer(rule_named(explore.rule, **explore.options), seed, Limits(explore.floor, explore.cap))
        variance = np.array(specification.variances(space.group_names))[space.groups]
        model = learn.model(space.n_params, variance, space.groups)
        catalogue = specification.catalogue(columns.action)
        delay = specification.delay
        late = None if delay is None else LateAnswers.fresh(delay, model, learn.batch, learn.keep)
        return cls(specification, columns, space, model, catalogue, explorer, late=late)

    # ---- deciding -------------------------------------------------------------------------------------------------

    @cached_property
    def version(self) -> str:
        """Which policy this is, learned from what: a digest of all that its decisions depend on."""
        digest = blake2b(json.dumps(self.explorer.to_dict(), sort_keys=True).encode(), digest_size=6)
        digest.update(json.dumps(self.specification.to_dict(), sort_keys=True).encode())
        posterior = self.model.posterior
        digest.update(posterior.mean.tobytes() + posterior.variance.tobytes())
        if self.slates != LearnedSlates():
            digest.update(json.dumps(self.slates.to_dict(), sort_keys=True).encode())
        return f"{self.model.n_answers}-{digest.hexdigest()}"

    def decide(
        self,
        context: Mapping[str, Any],
        candidates: Sequence[str | Mapping[str, Any]] | None = None,
        *,
        seed: int,
        count: int | None = None,
        person: str | int | None = None,
        marginal_draws: int = 0,
    ) -> Decision:
        """Return what to show, in order, and the probability with which just that is shown.

        Several things are shown one after the other, each decided by a draw of its own. Each is chosen as if it were
        the only one, or, where the specification has a part [slate], as what adds most to those above it.

        Parameters
        ----------
        context : mapping
            ``{field: value}`` of whom it is for, when and where.
        candidates : sequence of str or mapping, optional
            Labels, or records of attributes with the label; by default all actions met so far.
        seed : int
            The number of the decision: the same number, the same decision; another, other random numbers.
        count : int, optional
            How many to show; by default the size in [slate], or one.
        person : str or int, optional
            Whom it is for, so that the holdout group can be told.
        marginal_draws : int
            So many slates are drawn again to tell how likely each thing is in its place whatever stands above it; by
            default that is not told.

        Raises
        ------
        SpecificationError
            If nothing, or not enough, is eligible, a label is unknown, or no slate meets the floors.
        DataError
            If a field is missing or not finite.
        """
        out = self.specification.business.holds_out(person)
        showing = Showing.of(self, context, candidates, count, by_lot=out)
        shown, chances = showing.decide(seed)
        return Decision(
            tuple(showing.labels[number] for number in shown),
            prod(chances),
            self.version + (HOLDOUT if out else ""),
            seed,
            tuple(chances),
            tuple(showing.marginals(seed, shown, chances, marginal_draws)) if marginal_draws else (),
        )

    def believed(
        self, context: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
    ) -> tuple[Posterior, Rows | np.ndarray]:
        """Return the belief about parameters, and the features of candidates in a context.

        Raises
        ------
        DataError
            Naming each field that is wanted and that neither the context nor the candidates have, or that is odd.
        """
        problems = []
        for wanted in self.space.specification.fields:
            lacking = [s for s in wanted.sources if s not in context and not any(s in record for record in records)]
            if lacking and not wanted.optional:
                remedy = f"give it; {nearest(lacking[0], context)}" if context else "give it"
                problems.append(Problem(f"no {lacking[0]!r} in the context", remedy))
        if problems:
            raise DataError("context", problems)
        return self.belief_in(self.space.joint(context, records))

    def belief_in(self, rows: Rows) -> tuple[Posterior, Rows | np.ndarray]:
        """Return the posterior, with parameters for what rows hold that was never seen, and the features."""
        if rows.unseen is None:
            return self.model.posterior, rows
        mean, variance = self.prior_of(rows.unseen.group)
        features = np.concatenate([rows.dense(), rows.unseen.entries.dense()], axis=1)
        return self.model.posterior.extended(mean, variance), features

    def prior_of(self, groups: Int[np.ndarray, " some"]) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the variance that parameters of some groups start from."""
        if self.prior is not None:
            return self.prior.mean_of(groups), self.prior.variance_of(groups)
        variances = self.model.unit**2 * np.array(self.specification.variances(self.space.group_names))
        return np.full(len(groups), self.specification.learn.mean), variances[groups]

    # ---- learning -------------------------------------------------------------------------------------------------

    def learn(self, outcomes: Feedback, *, now: Moment | None = None) -> LearningPolicy:
        """Return the policy that has learned from what was shown and what came of it.

        Rows without an answer are no "no" and left out; unless the specification has a part [delay], which says what
        they are until their answer comes, with the same decision in a later log.

        Parameters
        ----------
        outcomes : Feedback
        now : float, str or datetime, optional
            The end of the log, with [delay]; by default the latest time in it.

        Raises
        ------
        DataError
            If answers and features cannot be; without [delay] if no row has an answer; with it for answers given
            before, negative delays and a clock that runs backwards. Nothing is learned then.
        SpecificationError
            If [delay] does not fit the log, or ``now`` comes without it.
        """
        return learn_from(self, outcomes, now)

    def learned_from(self, feedback: Feedback) -> bool:
        """Whether the policy learned from just this log."""
        return digest_of(feedback) in self.logs

    # ---- being judged ---------------------------------------------------------------------------------------------

    def probabilities(self, feedback: Feedback) -> Float[np.ndarray, "rows actions"]:
        """Return the probability of each action in each row's context, in the order of ``feedback.actions``.

        Exploration and limits included; holdout left out, as it is not what the policy would do.

        Raises
        ------
        DataError
            If a field is missing or not finite.
        """
        return probabilities_of(self, feedback)

    def conditional_probabilities(self, feedback: Feedback) -> Float[np.ndarray, "rows actions"]:
        """Return the probability of each action in the place of each row, given what was shown above it.

        For the estimators of slates (:mod:`revealed.answer.offpolicy.slates`), from a log with positions. All actions
        of the log count as candidates; floors and goals are as for a slate of that length.

        Raises
        ------
        SpecificationError
            If a slate cannot be decided.
        DataError
            If a field is missing or not finite.
        """
        return conditional_probabilities_of(self, feedback)

    # ---- files ----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "kind": "policy",
            "format": 1,
            "version": self.version,
            "specification": self.specification.to_dict(),
            "columns": self.columns.roles(),
            "space": self.space.to_dict(),
            "model": self.model.to_dict(),
            "catalogue": self.catalogue.to_dict(),
            "explorer": self.explorer.to_dict(),
            "prior": None if self.prior is None else self.prior.to_dict(),
            "logs": list(self.logs),
            "slates": self.slates.to_dict(),
            "late": None if self.late is None else self.late.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LearningPolicy:
        """Return the policy that :meth:`to_dict` wrote.

        Raises
        ------
        SpecificationError
            If it is no policy, or a newer version of the package wrote it.
        """
        if data.get("kind") != "policy":
            raise SpecificationError("this is no policy; make one with: revealed learn policy.toml log.parquet")
        if data.get("format") != 1:
            raise SpecificationError(
                f"a policy of format {data.get('format')!r}, which this version does not know; use the version that "
                "wrote it, or a newer one"
            )
        specification, model = Specification.from_dict(data["specification"]), BayesianGLM.from_dict(data["model"])
        if not knows_numbers(model):
            raise ValueError("what it learned is not finite")
        if specification.learn.link == "gaussian" and specification.learn.noise is None and model.noise is None:
            model = replace(model, noise=NoiseEstimate())  # of before noise was estimated: from now on it is
        delay = specification.delay
        return cls(
            specification,
            FeedbackColumns(**data["columns"]),
            FeatureSpace.from_dict(data["space"]),
            model,
            specification.catalogue(data["catalogue"]["column"], data["catalogue"]["actions"]),
            Explorer.from_dict(data["explorer"]),
            None if data["prior"] is None else MetaPrior.from_dict(data["prior"]),
            tuple(data["logs"]),
            LearnedSlates.from_dict(data.get("slates")),
            None if delay is None else LateAnswers.from_dict(data["late"], delay, model),
        )

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the policy as JSON, all or nothing."""
        write_whole(path, json.dumps(self.to_dict()))
        return Path(path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> LearningPolicy:
        """Return the policy that :meth:`save` wrote.

        Raises
        ------
        DataError
            If there is no such file, it is no JSON, or parts of it are missing or spoiled.
        SpecificationError
            If it is no policy, or a newer version of the package wrote it.
        """
        return load_saved(path, cls.from_dict, "give a file that `revealed learn policy.toml log.parquet` wrote")
