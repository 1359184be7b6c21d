"""How a policy learns from a log: what answers say, and what it says that there are none. Imports models, choices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from revealed.choices.feedback import Feedback
from revealed.decide.delay.known import names_of
from revealed.decide.delay.late import Arrivals, LateAnswers, Moment
from revealed.decide.judged import fields_of
from revealed.decide.prior import MetaPrior, meta_prior, meta_prior_by_moments
from revealed.decide.slates import learned_slates
from revealed.decide.specification import Learning
from revealed.errors import DataError, Problem, SpecificationError
from revealed.models.glm.features import FeatureSpace, Rows
from revealed.models.glm.features.knowing import knowing
from revealed.models.glm.model import BayesianGLM

if TYPE_CHECKING:
    from revealed.decide.policy import LearningPolicy


def learn_from(policy: LearningPolicy, outcomes: Feedback, now: Moment | None) -> LearningPolicy:
    """Return the policy that has learned from a log; see :meth:`LearningPolicy.learn`."""
    learned = _learned_from(policy, outcomes, now)
    if not knows_numbers(learned.model):
        largest = np.nanmax(np.abs(outcomes.reward), initial=0.0)
        what = f"what was learned is beyond what numbers hold; the largest answer is {largest:g}"
        remedy = "correct the answers, measure in a unit in which they are about one, or start from smaller variances"
        raise DataError(outcomes.source, [Problem(what, remedy, f"column {outcomes.columns.reward!r}")])
    return learned


def knows_numbers(model: BayesianGLM) -> bool:
    """Whether all that a model believes are finite numbers."""
    belief = model.posterior
    return bool(np.isfinite(belief.mean).all() and np.isfinite(belief.variance).all())


def _learned_from(policy: LearningPolicy, outcomes: Feedback, now: Moment | None) -> LearningPolicy:
    if policy.late is not None:
        return _with_late_answers(policy, policy.late, outcomes, now)
    if now is not None:
        raise SpecificationError("the time now is for late answers: say how they are learned in [delay] of the policy")
    answered = outcomes if outcomes.answered.all() else outcomes.take(outcomes.answered)
    if not answered.n_rows:
        raise DataError(outcomes.source, [Problem("no row has an answer yet", "learn when some have come")])
    catalogue = policy.catalogue.met(answered)
    rows, space = _grown(policy, answered)
    with _told_of(answered, f"column {outcomes.columns.reward!r}"):
        policy.model.link.require(answered.reward)
    model = policy.model
    if space.n_params > model.n_params:
        model = model.extended(*policy.prior_of(space.groups_since(model.n_params)))
    prior = policy.prior
    # Once: later the answers of before are not at hand to start again with. To estimate it anew, learn anew.
    if policy.specification.learn.estimator and model.n_answers == 0:
        learned, prior = _with_first_prior(policy.specification.learn, model, space, rows, answered)
    else:
        learned = _taught(policy.specification.learn, model, rows, answered.reward)
    logs = (*policy.logs, digest_of(outcomes))
    policy = replace(policy, space=space, model=learned, catalogue=catalogue, prior=prior, logs=logs)
    return replace(policy, slates=learned_slates(policy, answered))


def _taught(learn: Learning, model: BayesianGLM, rows: Rows, rewards: Float[np.ndarray, " rows"]) -> BayesianGLM:
    """Return a model that has learned answers batch by batch, and forgotten as they came."""
    for start in range(0, len(rows), learn.batch):
        stop = min(start + learn.batch, len(rows))
        if learn.keep < 1:
            model = model.faded(learn.kept(stop - start))
        model = model.learn(rows.slice(start, stop), rewards[start:stop])
    return model


def _with_first_prior(
    learn: Learning, model: BayesianGLM, space: FeatureSpace, rows: Rows, answered: Feedback
) -> tuple[BayesianGLM, MetaPrior]:
    """Return a model that has learned a first log from the meta-prior that the log tells, and the meta-prior.

    Amounts are looked at in units of their noise, so that floors and first guesses are of the right size.
    """
    of, names = space.groups, space.group_names
    if learn.estimator == "moments" or model.noise is not None:
        model = _taught(learn, model, rows, answered.reward)
    unit = model.unit
    if learn.estimator == "moments":
        prior = meta_prior_by_moments(model.in_unit(unit), of, names)
    else:
        prior = meta_prior(model.in_unit(unit), of, names, rows, answered.reward / unit, units=answered.action_codes)
    prior = prior.in_unit(1 / unit)
    mean, variance = prior.mean_of(of), prior.variance_of(of)
    learned = _taught(learn, model.unlearned().with_prior(mean, variance), rows, answered.reward)
    # The prior is an amount: it does not get wider or narrower with what the noise turned out to be.
    return learned if learned.noise is None else learned.with_prior(mean, variance), prior


def _grown(policy: LearningPolicy, feedback: Feedback) -> tuple[Rows, FeatureSpace]:
    """Return the features of what was shown, and the space that has met it.

    An option of a layout has a parameter for each label of the context as soon as that was met with any option: layouts
    are decided together (:mod:`revealed.decide.many`) where none of them lacks a parameter.
    """
    with _told_of(feedback):
        rows, space = policy.space.grow_from_columns(fields_of(policy.space, feedback))
    if policy.specification.layout is not None:
        space = knowing(space, policy.specification.layout.slots)
        rows = replace(rows, n_params=space.n_params)
    return rows, space


@contextmanager
def _told_of(log: Feedback, where: str = "") -> Iterator[None]:
    """Tell of a log what is refused of arrays made of it: its name, and rows as they are numbered in its source."""
    try:
        yield
    except DataError as error:
        if error.source == log.source:  # told so already
            raise
        told = [
            replace(one, where=one.where or where, rows=tuple(log.row_numbers(np.array(one.rows, int) - 1).tolist()))
            for one in error.problems
        ]
        raise DataError(log.source, told) from None


def _with_late_answers(
    policy: LearningPolicy, late: LateAnswers, outcomes: Feedback, now: Moment | None
) -> LearningPolicy:
    arrivals = late.arrivals(outcomes, now)
    catalogue, space = policy.catalogue, policy.space
    rows = Rows(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0), space.n_params)
    if len(arrivals.new):
        made = outcomes.take(arrivals.new)
        catalogue = catalogue.met(made)
        rows, space = _grown(policy, made)
    if space.n_params > policy.model.n_params:
        late = late.extended(*policy.prior_of(space.groups_since(policy.model.n_params)))
    prior, some = policy.prior, len(arrivals.told.tickets) > 0
    if policy.model.n_answers == 0 and some and policy.specification.learn.estimator:
        prior = _first_prior(late, space, outcomes, rows, arrivals, policy.specification.learn.estimator)
        late = late.restarted(prior.mean_of(space.groups), prior.variance_of(space.groups))
    late = late.learned(rows, arrivals)
    logs = (*policy.logs, digest_of(outcomes))
    model = late.ledger.model
    policy = replace(policy, space=space, model=model, catalogue=catalogue, prior=prior, logs=logs, late=late)
    return replace(policy, slates=learned_slates(policy, outcomes)) if some else policy


def _first_prior(
    late: LateAnswers, space: FeatureSpace, outcomes: Feedback, rows: Rows, arrivals: Arrivals, estimator: str
) -> MetaPrior:
    """Return the meta-prior of a first log with answers.

    By prediction no answer yet counts as a "no", unless it is to say nothing: how much effects differ is asked here,
    not how high they are. By moments it says what it says.
    """
    if estimator == "moments":
        return meta_prior_by_moments(late.learned(rows, arrivals).ledger.model, space.groups, space.group_names)
    seen = outcomes.take(outcomes.answered) if late.section.method == "wait" else outcomes
    features = space.rows_from_columns(fields_of(space, seen))
    rewards, units = np.where(seen.answered, seen.reward, 0.0), seen.action_codes
    return meta_prior(late.ledger.model, space.groups, space.group_names, features, rewards, units=units)


def digest_of(feedback: Feedback) -> str:
    """Return a digest of what was shown in a log, in which decision, and what came of it."""
    digest = blake2b(digest_size=16)
    for column in (*names_of(feedback), feedback.reward):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()
