"""How a policy learns from a log: what answers say, and what it says that there are none. Imports models, choices."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from revealed.choices.feedback import Feedback
from revealed.decide.delay.late import Arrivals, LateAnswers, Moment
from revealed.decide.judged import fields_of
from revealed.decide.prior import MetaPrior, meta_prior, meta_prior_by_moments, restarted
from revealed.decide.slates import learned_slates
from revealed.errors import DataError, Problem, SpecificationError
from revealed.models.glm.features import FeatureSpace, Rows
from revealed.models.glm.features.knowing import knowing

if TYPE_CHECKING:
    from revealed.decide.policy import LearningPolicy


def learn_from(policy: LearningPolicy, outcomes: Feedback, now: Moment | None) -> LearningPolicy:
    """Return the policy that has learned from a log; see :meth:`LearningPolicy.learn`."""
    if policy.late is not None:
        return _with_late_answers(policy, policy.late, outcomes, now)
    if now is not None:
        raise SpecificationError("the time now is for late answers: say how they are learned in [delay] of the policy")
    answered = outcomes if outcomes.answered.all() else outcomes.take(outcomes.answered)
    if not answered.n_rows:
        raise DataError(outcomes.source, [Problem("no row has an answer yet", "learn when some have come")])
    catalogue = policy.catalogue.met(answered)
    rows, space = _grown(policy, answered)
    model = policy.model
    if space.n_params > model.n_params:
        model = model.extended(*policy.prior_of(space.groups_since(model.n_params)))
    learn, rewards = policy.specification.learn, answered.reward
    prior, first = policy.prior, model.n_answers == 0
    # Once: later the answers of before are not at hand to start again with. To estimate it anew, learn anew.
    if learn.estimator == "prediction" and first:
        of = space.groups
        prior = meta_prior(model, of, space.group_names, rows, rewards, units=answered.action_codes)
        model = model.with_prior(prior.mean_of(of), prior.variance_of(of))
    learned = model
    for start in range(0, len(rows), learn.batch):
        stop = min(start + learn.batch, len(rows))
        if learn.keep < 1:
            learned = learned.faded(learn.keep)
        learned = learned.learn(rows.slice(start, stop), rewards[start:stop])
    if learn.estimator == "moments" and first:
        prior = meta_prior_by_moments(learned, space.groups, space.group_names)
        if learn.keep == 1:
            learned = restarted(learned, prior, space.groups, rows, rewards)
        else:  # a replay would keep all: the evidence stays as it faded, the prior beneath it changes
            learned = learned.with_prior(prior.mean_of(space.groups), prior.variance_of(space.groups))
    logs = (*policy.logs, digest_of(outcomes))
    policy = replace(policy, space=space, model=learned, catalogue=catalogue, prior=prior, logs=logs)
    return replace(policy, slates=learned_slates(policy, answered))


def _grown(policy: LearningPolicy, feedback: Feedback) -> tuple[Rows, FeatureSpace]:
    """Return the features of what was shown, and the space that has met it.

    An option of a layout has a parameter for each label of the context as soon as that was met with any option: layouts
    are decided together (:mod:`revealed.decide.many`) where none of them lacks a parameter.
    """
    rows, space = policy.space.grow_from_columns(fields_of(policy.space, feedback))
    if policy.specification.layout is not None:
        space = knowing(space, policy.specification.layout.slots)
        rows = replace(rows, n_params=space.n_params)
    return rows, space


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
    """Return a digest of what was shown in a log and what came of it."""
    digest = blake2b("\0".join(feedback.actions.labels).encode(), digest_size=16)
    for column in (feedback.decision_codes, feedback.action_codes, feedback.reward, feedback.propensity):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()
