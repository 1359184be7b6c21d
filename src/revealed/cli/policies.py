"""``revealed learn``, ``decide`` and ``evaluate``: policies that learn. Imports report to choices when run."""

from __future__ import annotations

import json as json_module
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from revealed.cli.feedback import open_feedback
from revealed.cli.options import Json, Report, TextOptions
from revealed.cli.results import require_writable, write_report
from revealed.cli.screen import Screen, remark
from revealed.errors import DataError, Problem, SpecificationError

if TYPE_CHECKING:
    from revealed.answer.offpolicy import PolicyComparison
    from revealed.choices.feedback import Feedback
    from revealed.decide.policy import LearningPolicy

PolicyFile = Annotated[Path, typer.Argument(help="A policy that `revealed learn` wrote.", metavar="POLICY")]
LogFile = Annotated[
    Path, typer.Argument(help="One row for each thing shown: CSV, Parquet, or a choice log of ours.", metavar="LOG")
]


def learn(
    specification: Annotated[
        Path, typer.Argument(help="What the policy is made of, in TOML; or a policy that goes on learning (JSON).")
    ],
    log: LogFile,
    text: TextOptions,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the policy.", metavar="FILE")] = None,
    seed: Annotated[int, typer.Option(help="Of the exploration; kept in the policy.", min=0)] = 0,
    now: Annotated[
        str | None,
        typer.Option(
            help="The end of the log, where answers are late; by default the latest time in it.", metavar="TIME"
        ),
    ] = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Learn a policy from what was shown and what came of it.

    revealed learn policy.toml shown.csv --out policy.json

    A policy.toml says what is known, and what the columns of the log are, such as

    \b
      \\[features]
      formula = "C(offer) + C(offer):C(device)"
      \\[log]
      decision = "visit"
      action = "offer"
      reward = "clicked"
      propensity = "propensity"
    """  # noqa: D301 - \b is the character by which click leaves lines as they are
    from revealed.report.policy import sections_of_policy

    screen = Screen(json)
    goes_on = specification.suffix.lower() == ".json"  # such a file is a policy, which may take its own place
    require_writable(report, out, reads=(log, None if goes_on else specification))
    policy = policy_in(specification, seed)
    with screen.working(f"Reading {log}"):
        feedback = open_feedback(log, policy.columns.roles(), text, judging=False)
    if policy.learned_from(feedback):
        problem = Problem(f"{specification} has learned from just this log", "learn from each answer once")
        raise DataError(str(log), [problem])
    with screen.working("Learning"):
        policy = policy.learn(feedback, now=now)
    sections = sections_of_policy(policy)
    screen.show(sections)
    waiting = feedback.n_rows - int(feedback.answered.sum())
    if waiting and policy.late is None:
        screen.say(f"{waiting:,} rows have no answer yet and taught nothing.")
    if feedback.columns.propensity is None:
        screen.say("The log has no propensities: it teaches all the same, but cannot judge a policy.")
    if out is not None:
        policy.save(out)
        remark(f"Wrote {out}")
    write_report(report, sections, "Policy")
    learned = {"version": policy.version, "n_answers": policy.model.n_answers, "n_params": policy.model.n_params}
    screen.document(learned | ({} if policy.late is None else {"late": policy.late.summary()}))


def policy_in(path: Path, seed: int) -> LearningPolicy:
    """Return the policy in a file: one that has learned, or a fresh one of a specification."""
    from revealed.decide.policy import LearningPolicy
    from revealed.decide.specification import Specification

    if path.suffix.lower() == ".json":
        return LearningPolicy.load(path)
    return LearningPolicy.fresh(Specification.read(path), seed)


def decide(
    policy: PolicyFile,
    context: Annotated[str, typer.Option(help='Whom it is for, as JSON: \'{"segment": "new"}\'.')] = "{}",
    k: Annotated[
        int | None, typer.Option(help="How many to show; by default as \\[slate] of the policy says, or one.", min=1)
    ] = None,
    among: Annotated[
        str | None, typer.Option(help="Candidates, as a JSON list of labels or records; by default all met so far.")
    ] = None,
    number: Annotated[int, typer.Option(help="Of the decision: another number, other random numbers.", min=0)] = 0,
    person: Annotated[str | None, typer.Option(help="Whom it is for, so that the holdout group is told.")] = None,
    marginals: Annotated[
        int, typer.Option(help="Tell too how likely each is in its place at all, by so many slates drawn again.", min=0)
    ] = 0,
    json: Json = False,
) -> None:
    """Say what to show, and with which propensity: log both.

    revealed decide policy.json --context '{"segment": "new"}' --k 3
    """
    from revealed.decide.policy import LearningPolicy
    from revealed.report.policy import sections_of_decision, warnings_of

    screen = Screen(json)
    asked = _json(context, "--context", dict)
    candidates = None if among is None else _candidates(among)
    learned = LearningPolicy.load(policy)
    decision = learned.decide(asked, candidates, seed=number, count=k, person=person, marginal_draws=marginals)
    screen.show(sections_of_decision(decision))
    for warning in warnings_of(learned, candidates):
        screen.say(f"Warning: {warning}.")
    screen.document(decision.to_dict())


def evaluate(
    policy: PolicyFile,
    log: LogFile,
    text: TextOptions,
    report: Report = None,
    json: Json = False,
) -> None:
    """Tell what a policy would have earned where another one was running, and whether that is better.

    The log must not be the one the policy learned from.

    revealed evaluate policy.json other-days.csv
    """
    from revealed.answer.offpolicy import compare_policies
    from revealed.decide.policy import LearningPolicy
    from revealed.decide.unmet import unmet

    screen = Screen(json)
    require_writable(report, reads=(policy, log))
    learned = LearningPolicy.load(policy)
    with screen.working(f"Reading {log}"):
        feedback = open_feedback(log, learned.columns.roles(), text)
    slates = feedback.n_decisions < feedback.n_rows
    with screen.working("Asking the policy what it would show"):
        name = policy.stem
        answer = _slates(name, learned, feedback) if slates else compare_policies(feedback, {name: learned})
        answer = replace(answer, warnings=(*unmet(learned, feedback), *answer.warnings))
    screen.show(answer)
    seen = learned.learned_from(feedback)
    if seen:
        screen.say(
            f"Warning: the policy learned from this very log, so {policy.stem} looks better than it is; use another."
        )
    write_report(report, answer, "Is the policy better?")
    screen.document({**answer.to_dict(), "learned_from_this_log": seen})


def _slates(name: str, policy: LearningPolicy, feedback: Feedback) -> PolicyComparison:
    """Return what a policy would have earned for each slate beside what was running, if people look from the top."""
    import numpy as np

    from revealed.answer.offpolicy import SlateCascade, compare_slates, prefix_probability

    each = policy.conditional_probabilities(feedback)
    shown = np.take_along_axis(each, feedback.action_codes[:, None].astype(np.intp), axis=1)[:, 0]
    would, did = (prefix_probability(feedback, given_above) for given_above in (shown, feedback.propensity))
    return compare_slates(feedback, would, SlateCascade.of(feedback, each), name=name, propensity=did)


def _candidates(text: str) -> list[Any]:
    """Return labels, as text, and records."""
    found = []
    for item in _json(text, "--among", list):
        if isinstance(item, bool) or not isinstance(item, str | int | float | dict):
            raise SpecificationError(f"--among takes labels or records in braces, not {json_module.dumps(item)}")
        found.append(item if isinstance(item, dict) else str(item))
    return found


def _json(text: str, option: str, kind: type[Any]) -> Any:
    try:
        value = json_module.loads(text)
    except json_module.JSONDecodeError as error:
        raise SpecificationError(f"{option} is not JSON: {error}") from None
    if not isinstance(value, kind):
        wanted = "an object in braces" if kind is dict else "a list in brackets"
        raise SpecificationError(f"{option} must be {wanted}, as JSON, not {text}")
    return value
