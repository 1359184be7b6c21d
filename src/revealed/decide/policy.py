"""A policy that learns: features, a Bayesian model, an explorer and business rules. Imports models to choices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int

from revealed.choices.feedback import Feedback
from revealed.choices.feedback_checks import FeedbackColumns
from revealed.choices.policy import Decision
from revealed.decide.catalogue import Catalogue
from revealed.decide.explore import Explorer, Limits, rule_named
from revealed.decide.prior import MetaPrior, meta_prior, restarted
from revealed.decide.specification import Specification
from revealed.errors import DataError, Problem, SpecificationError, nearest
from revealed.files import write_whole
from revealed.models.glm.features import FeatureSpace, Rows
from revealed.models.glm.model import BayesianGLM
from revealed.models.glm.posterior import Posterior

#: Numbers of random numbers that a decision may use: one a position.
_POSITIONS = 64
#: Cells of features held at a time when a log is judged: 32 MiB.
_AT_ONCE = 1 << 22
#: Further apart than any two decisions of one pool.
_POOLS_APART = 1 << 40


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
    """

    specification: Specification
    columns: FeedbackColumns
    space: FeatureSpace
    model: BayesianGLM
    catalogue: Catalogue
    explorer: Explorer
    prior: MetaPrior | None = None
    logs: tuple[str, ...] = ()

    @classmethod
    def fresh(cls, specification: Specification, seed: int = 0) -> LearningPolicy:
        """Return a policy that has learned nothing.

        Raises
        ------
        SpecificationError
            For a formula, a name or a number that cannot be.
        """
        columns = FeedbackColumns.named(None, specification.log)
        space = specification.features.space()
        explore, learn = specification.explore, specification.learn
        explorer = Explorer(rule_named(explore.rule, **explore.options), seed, Limits(explore.floor, explore.cap))
        model = BayesianGLM.fresh(
            space.n_params,
            learn.link,
            covariance=learn.covariance,
            groups=space.groups if learn.covariance == "grouped" else None,
            mean=learn.mean,
            variance=learn.variance,
        )
        catalogue = Catalogue(columns.action, specification.features.item, {})
        return cls(specification, columns, space, model, catalogue, explorer)

    # ---- deciding -------------------------------------------------------------------------------------------------

    @cached_property
    def version(self) -> str:
        """Which policy this is, learned from what: a digest of all that its decisions depend on."""
        digest = blake2b(json.dumps(self.explorer.to_dict(), sort_keys=True).encode(), digest_size=6)
        digest.update(json.dumps(self.specification.to_dict(), sort_keys=True).encode())
        posterior = self.model.posterior
        digest.update(posterior.mean.tobytes() + posterior.variance.tobytes())
        return f"{self.model.n_answers}-{digest.hexdigest()}"

    def decide(
        self,
        context: Mapping[str, Any],
        candidates: Sequence[str | Mapping[str, Any]] | None = None,
        *,
        seed: int,
        count: int = 1,
        person: str | int | None = None,
    ) -> Decision:
        """Return what to show, in order, and the probability with which just that is shown.

        Several things are shown one after the other: each is chosen as if it were the only one, among those left, so
        that the propensity of the whole is the product.

        Parameters
        ----------
        context : mapping
            ``{field: value}`` of whom it is for, when and where.
        candidates : sequence of str or mapping, optional
            Labels, or records of attributes with the label; by default all actions met so far.
        seed : int
            The number of the decision: the same number, the same decision; another, other random numbers.
        count : int
            How many to show.
        person : str or int, optional
            Whom it is for, so that the holdout group can be told.

        Raises
        ------
        SpecificationError
            If nothing, or not enough, is eligible, or a label is unknown.
        DataError
            If a field is missing or not finite.
        """
        records = self.catalogue.candidates(candidates)
        if not records:
            raise SpecificationError("no candidate was given, and none met so far; learn first, or give candidates")
        labels = [str(record[self.catalogue.column]) for record in records]
        twice = [label for number, label in enumerate(labels) if label in labels[:number]]
        if twice:
            raise SpecificationError(f"the candidate {twice[0]!r} is given twice; give each once")
        business = self.specification.business
        eligible = business.eligible(labels)
        if not 1 <= count <= min(len(labels), _POSITIONS):
            raise SpecificationError(f"cannot show {count} of {len(labels)} candidates (at most {_POSITIONS} at once)")
        if count > eligible.sum() and count > 1:
            eligible = np.array([label not in business.blocked for label in labels])  # a pin takes one place only
            if count > eligible.sum():
                raise SpecificationError(f"cannot show {count}: only {int(eligible.sum())} candidates are eligible")
        self._require_context(context, records)
        posterior, features = self._believed(self.space.joint(context, records))
        out = business.holds_out(person)
        shown, propensity = [], 1.0
        for place in range(count):
            allowed = business.eligible(labels) if place == 0 else eligible
            if out:
                number, chance = self._by_lot(allowed, seed * _POSITIONS + place)
            else:
                number, chance = self.explorer.choose(posterior, features, seed * _POSITIONS + place, allowed)
            shown.append(labels[number])
            propensity *= chance
            eligible = eligible.copy()
            eligible[number] = False
        return Decision(tuple(shown), propensity, self.version + ("/holdout" if out else ""), seed)

    def _require_context(self, context: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> None:
        """Raise DataError naming each field that is wanted and that neither the context nor the candidates have."""
        problems = []
        for field in self.space.specification.fields:
            lacking = [s for s in field.sources if s not in context and not any(s in record for record in records)]
            if lacking and not field.optional:
                remedy = f"give it; {nearest(lacking[0], context)}" if context else "give it"
                problems.append(Problem(f"no {lacking[0]!r} in the context", remedy))
        if problems:
            raise DataError("context", problems)

    def _by_lot(self, allowed: np.ndarray, number: int) -> tuple[int, float]:
        places = np.flatnonzero(allowed)
        generator = np.random.Generator(np.random.Philox(key=np.array([self.explorer.seed, number], dtype=np.uint64)))
        return int(places[generator.integers(len(places))]), 1 / len(places)

    def _believed(self, rows: Rows) -> tuple[Posterior, Rows | np.ndarray]:
        """Return the posterior, with parameters for what rows hold that was never seen, and the features."""
        if rows.unseen is None:
            return self.model.posterior, rows
        mean, variance = self._prior_of(rows.unseen.group)
        features = np.concatenate([rows.dense(), rows.unseen.entries.dense()], axis=1)
        return self.model.posterior.extended(mean, variance), features

    def _prior_of(self, groups: Int[np.ndarray, " some"]) -> tuple[np.ndarray, np.ndarray]:
        if self.prior is not None:
            return self.prior.mean_of(groups), self.prior.variance_of(groups)
        learn = self.specification.learn
        return np.full(len(groups), learn.mean), np.full(len(groups), learn.variance)

    # ---- learning -------------------------------------------------------------------------------------------------

    def learn(self, outcomes: Feedback) -> LearningPolicy:
        """Return the policy that has learned from what was shown and what came of it.

        Rows without an answer are left out: they are no "no" (:mod:`revealed.decide.delay` says what they are).

        Raises
        ------
        DataError
            If no row has an answer, or answers and features cannot be; nothing is learned then.
        """
        answered = outcomes if outcomes.answered.all() else outcomes.take(outcomes.answered)
        if not answered.n_rows:
            raise DataError(outcomes.source, [Problem("no row has an answer yet", "learn when some have come")])
        catalogue = self.catalogue.met(answered)
        rows, space = self.space.grow_from_columns(self._fields_of(answered))
        model = self.model
        if space.n_params > model.n_params:
            model = model.extended(*self._prior_of(space.groups_since(model.n_params)))
        learn, rewards = self.specification.learn, answered.reward
        first = model.n_answers == 0
        learned = model
        for start in range(0, len(rows), learn.batch):
            stop = min(start + learn.batch, len(rows))
            if learn.keep < 1:
                learned = learned.faded(learn.keep)
            learned = learned.learn(rows.slice(start, stop), rewards[start:stop])
        prior = self.prior
        if learn.meta_prior and first:
            # Once: later the answers of before are not at hand to start again with. To estimate it anew, learn anew.
            prior = meta_prior(learned, space.groups, space.group_names)
            if learn.keep == 1:
                learned = restarted(learned, prior, space.groups, rows, rewards)
            else:  # a replay would keep all: the evidence stays as it faded, the prior beneath it changes
                learned = learned.with_prior(prior.mean_of(space.groups), prior.variance_of(space.groups))
        logs = (*self.logs, digest_of(outcomes))
        return replace(self, space=space, model=learned, catalogue=catalogue, prior=prior, logs=logs)

    def learned_from(self, feedback: Feedback) -> bool:
        """Whether the policy learned from just this log."""
        return digest_of(feedback) in self.logs

    def _fields_of(self, feedback: Feedback) -> dict[str, Any]:
        keys = [source for field in self.space.specification.fields for source in field.sources]
        return {key: feedback.column(key) for key in dict.fromkeys(keys)}

    # ---- being judged ---------------------------------------------------------------------------------------------

    def probabilities(self, feedback: Feedback) -> Float[np.ndarray, "rows actions"]:
        """Return the probability of each action in each row's context, in the order of ``feedback.actions``.

        Exploration and limits included; holdout left out, as it is not what the policy would do.

        Raises
        ------
        DataError
            If a field is missing or not finite.
        """
        labels = list(feedback.actions.labels)
        eligible = self.specification.business.eligible(labels)
        items = self.catalogue.table(labels)
        context = {key: column for key, column in self._fields_of(feedback).items() if key not in items}
        self._require_cells(feedback, context)
        first, of_row = _distinct(context, feedback.n_rows)
        n_actions = len(labels)
        found = np.empty((len(first), n_actions))
        step = max(1, _AT_ONCE // (n_actions * max(self.space.n_params, 1)))
        # A propensity is a share of one pool of draws; where few contexts come often, the mean over several is surer.
        pools = int(np.clip(feedback.n_rows // len(first), 1, 32))
        for start in range(0, len(first), step):
            some = np.arange(start, min(start + step, len(first)))
            repeated = pa.array(np.repeat(first[some], n_actions))
            each = pa.array(np.tile(np.arange(n_actions), len(some)))
            table = {key: column.take(repeated) for key, column in context.items()}
            table |= {key: pa.array(values).take(each) for key, values in items.items()}
            posterior, features = self._believed(self.space.rows_from_columns(table))
            dense = features.dense() if isinstance(features, Rows) else features
            allowed = np.broadcast_to(eligible, (len(some), n_actions))
            cube = dense.reshape(len(some), n_actions, -1)
            each_pool = [
                self.explorer.probabilities_many(posterior, cube, some + pool * _POOLS_APART, allowed)
                for pool in range(pools)
            ]
            found[some] = np.mean(each_pool, axis=0)
        return np.asarray(found[of_row])

    def _require_cells(self, feedback: Feedback, context: Mapping[str, Any]) -> None:
        """Raise DataError, with rows of the log, for missing or infinite cells of fields that are not optional."""
        for field in self.space.specification.fields:
            for source in field.sources:
                if source in context and not field.optional:
                    _ = feedback.numbers(source) if feedback.holds_numbers(source) else feedback.labels(source)

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
        return cls(
            Specification.from_dict(data["specification"]),
            FeedbackColumns(**data["columns"]),
            FeatureSpace.from_dict(data["space"]),
            BayesianGLM.from_dict(data["model"]),
            Catalogue.from_dict(data["catalogue"]),
            Explorer.from_dict(data["explorer"]),
            None if data["prior"] is None else MetaPrior.from_dict(data["prior"]),
            tuple(data["logs"]),
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
            If there is no such file, or it is no JSON.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            problem = Problem("there is no such file", "make one with: revealed learn policy.toml log.parquet")
            raise DataError(str(path), [problem]) from None
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise DataError(str(path), [Problem(f"is not JSON: {error}", "give a file that `learn` wrote")]) from None
        if not isinstance(data, dict):
            raise DataError(str(path), [Problem("is no policy", "give a file that `learn` wrote")])
        return cls.from_dict(data)


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Return cells as numbers, a missing one as a cell of its own."""
    cells = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    cells = pa.concat_arrays(cells.chunks) if isinstance(cells, pa.ChunkedArray) else cells
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    return np.asarray(pc.dictionary_encode(cells, null_encoding="encode").indices.to_numpy(zero_copy_only=False))


def digest_of(feedback: Feedback) -> str:
    """Return a digest of what was shown in a log and what came of it."""
    digest = blake2b("\0".join(feedback.actions.labels).encode(), digest_size=16)
    for column in (feedback.decision_codes, feedback.action_codes, feedback.reward, feedback.propensity):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def _distinct(columns: Mapping[str, pa.ChunkedArray], n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each distinct context, and which of them each row has."""
    if not columns:
        return np.zeros(1, np.int64), np.zeros(n_rows, np.int64)
    codes = np.column_stack([_codes(column) for column in columns.values()])
    _, first, of_row = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    return first, of_row.reshape(-1)
