"""What a policy has learned, as sections of a report. Imports decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from revealed.answer.table import Column, Table
from revealed.choices.policy import Decision
from revealed.decide.policy import LearningPolicy
from revealed.report.content import Facts, Section, Text
from revealed.report.late import sections_of_late_answers

#: More effects than this are cut.
_MOST_EFFECTS = 20


def sections_of_policy(policy: LearningPolicy) -> tuple[Section, ...]:
    """Return what a policy has learned: its size, what it waits for, its groups of features, its surest effects."""
    notes = (Text(f"{note[0].upper()}{note[1:]}.", "warning") for note in warnings_of(policy))
    return (
        Section("Policy", (Facts(_facts(policy)), *notes)),
        *sections_of_late_answers(policy),
        Section("Groups of features", (_groups(policy),)),
        Section("Effects", (_effects(policy),)),
    )


def warnings_of(policy: LearningPolicy, candidates: Sequence[str | Mapping[str, Any]] | None = None) -> tuple[str, ...]:
    """Return why a policy does not decide by what it learned, among some candidates or all actions met so far."""
    business, catalogue = policy.specification.business, policy.catalogue
    labels = {str(record[catalogue.column]) for record in catalogue.candidates(candidates)}
    if business.pinned in labels:
        return ()
    return policy.explorer.limits.warnings(len(labels.difference(business.blocked)))


def sections_of_decision(decision: Decision) -> tuple[Section, ...]:
    """Return what is to be shown, and what to log of it."""
    columns: dict[Column, tuple[object, ...]] = {
        Column("position", "integer"): tuple(range(1, len(decision.shown) + 1)),
        Column("show", "text"): decision.shown,
    }
    if len(decision.shown) > 1 and decision.propensities:
        columns[Column("propensity")] = decision.propensities
    if decision.marginals:
        columns[Column("in its place")] = decision.marginals
    notes = ("each propensity is given what stands above; their product is that of the whole",)
    table = Table("", tuple(columns), tuple(zip(*columns.values(), strict=True)), notes if len(columns) > 2 else ())
    facts = (("Propensity", f"{decision.propensity:.6g}"), ("Policy", decision.policy_version))
    return (Section("Decision", (table, Facts(facts))),)


def _facts(policy: LearningPolicy) -> tuple[tuple[str, str], ...]:
    explore = policy.specification.explore
    rule = explore.rule + "".join(f", {key} {value:g}" for key, value in explore.options.items())
    limits = f"{explore.floor:g} to {explore.cap:g}" if explore.floor or explore.cap < 1 else "none"
    learn = policy.specification.learn
    return (
        ("Version", policy.version),
        ("Answers learned", f"{policy.model.n_answers:,}"),
        ("Actions met", f"{len(policy.catalogue.actions):,}"),
        ("Features", f"{policy.model.n_params:,}"),
        ("Link and covariance", f"{learn.link}, {learn.covariance}"),
        *_noise(policy),
        ("Exploration", rule),
        ("Limits on propensities", limits),
        *_slates(policy),
    )


def _noise(policy: LearningPolicy) -> tuple[tuple[str, str], ...]:
    """Return the noise of amounts, and where it is from."""
    model = policy.model
    if policy.specification.learn.link != "gaussian":
        return ()
    source = "as told" if model.noise is None else "estimated"
    return (("Noise, as a deviation", f"{model.unit:.4g}, {source}" if model.n_answers else source),)


def _slates(policy: LearningPolicy) -> tuple[tuple[str, str], ...]:
    """Return what a policy knows of slates, if it shows any."""
    slates, learned = policy.specification.slate, policy.slates
    if slates is None:
        return ()
    diverse = "" if slates.category is None else f", diverse by {slates.category} ({slates.diversity:g})"
    facts = [("Slates", f"of {slates.size}{diverse}")]
    if learned.effects is not None:
        facts.append(("Positions are looked at", ", ".join(f"{seen:.3g}" for seen in learned.examination)))
    for price in learned.prices:
        told = f"{price.value:.4g}, for {price.average:.4g} on average"
        reached = f"; {price.goal.level:g} is out of reach" if price.out_of_reach else ""
        if price.falls_short and not price.out_of_reach:
            reached = f"; short of {price.goal.level:g}"
        facts.append((f"Price of {price.goal.name}", told + reached))
    return tuple(facts)


def _groups(policy: LearningPolicy) -> Table:
    columns = (
        Column("group", "text"),
        Column("features", "integer"),
        Column("prior mean"),
        Column("prior deviation"),
        Column("mean"),
        Column("spread"),
    )
    space, model = policy.space, policy.model
    prior_mean, prior_variance, mean = model.prior.mean, model.prior.variance, model.posterior.mean
    rows = []
    for number, name in enumerate(space.group_names):
        some = space.groups == number
        if some.any():
            spread = float(mean[some].std()) if some.sum() > 1 else None
            deviation = float(np.sqrt(prior_variance[some].mean()))
            rows.append(
                (name, int(some.sum()), float(prior_mean[some].mean()), deviation, float(mean[some].mean()), spread)
            )
    notes: tuple[str, ...] = ()
    if policy.prior is not None:
        floored = [group.name for group in policy.prior.groups if group.floored]
        notes = ("priors are estimated from the posteriors of each group (empirical Bayes)",)
        if floored:
            notes += (f"no more spread than chance in {', '.join(floored)}: the deviation is at its floor",)
    return Table("", columns, tuple(rows), notes)


def _effects(policy: LearningPolicy) -> Table:
    posterior = policy.model.posterior
    deviation = np.sqrt(posterior.variance)
    order = np.argsort(-np.abs(posterior.mean - policy.model.prior.mean) / deviation, kind="stable")
    shown = order[:_MOST_EFFECTS]
    columns = (Column("feature", "text"), Column("effect"), Column("95% low"), Column("95% high"))
    rows = tuple(
        (
            policy.space.name(int(k)),
            float(posterior.mean[k]),
            float(posterior.mean[k] - 1.96 * deviation[k]),
            float(posterior.mean[k] + 1.96 * deviation[k]),
        )
        for k in shown
    )
    left = len(order) - len(shown)
    notes = (
        f"on the scale of the {policy.model.link.name} link; those first that are surest to differ from their prior"
        + (f"; and {left:,} more" if left else ""),
    )
    return Table("", columns, rows, notes)
