"""The one estimation procedure of all models: samples, Newton passes, covariance. Imports evidence to choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from revealed.choices.log import ChoiceLog, Partition
from revealed.choices.sampled import Sampled
from revealed.choices.stream import ChoiceStream
from revealed.engine import Engine, Progress, Summed
from revealed.errors import SpecificationError, nearest
from revealed.evidence import Detail, Evidence, Gaussian, Maximum, NewtonOptions, Region, Sample, maximise
from revealed.evidence.covariance import covariance
from revealed.evidence.newton import EvidenceAt, cases_to_step_on
from revealed.models.fit import DataSummary, Fit
from revealed.models.law import Law
from revealed.models.overflow import told

if TYPE_CHECKING:
    from revealed.models.model import Model

#: Logs smaller than this are climbed as a whole: a pass costs less than the samples would save.
SAMPLE_FROM = 20_000
#: Cases in the first sample, and the share of the log in the second where there are not four times as many cases as
#: would spare a full pass.
_FIRST_SAMPLE, _SECOND_SHARE = 1_200, 0.12

ERRORS = ("classic", "robust", "clustered")
#: A parameter held or started beyond this is a slip: products with attributes and their squares would overflow.
LARGEST = 1e100


@runtime_checkable
class Constrained(Protocol):
    """What is imposed on the parameters of a model; see :class:`revealed.models.model.Model`."""

    @property
    def fixed(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def bounds(self) -> Mapping[str, tuple[float | None, float | None]]: ...  # noqa: D102
    @property
    def ridge(self) -> float: ...  # noqa: D102
    @property
    def prior(self) -> Mapping[str, tuple[float, float]]: ...  # noqa: D102


def estimate(
    model: Model,
    log: ChoiceLog | ChoiceStream,
    errors: str | None,
    engine: Engine,
    options: NewtonOptions,
    progress: Progress | None,
) -> Fit:
    """Fit a model to a log; see :meth:`Model.fit`."""
    errors = errors_to_show(errors, log)
    law = model.law(log)
    start = named_vector(law.names, model.start, 0.0, "start")
    region = region_of(model, law.names)
    start = np.where(region.fixed, region.lower, start)
    prior = prior_of(model, law.names)
    ledger = errors == "clustered"
    with told(law, log, engine, region.clip(start), region.fixed):
        maximum = maximise(
            evidence_of(law, log, engine, ledger, progress),
            start,
            region,
            prior=prior,
            samples=samples_of(law, log, engine),
            options=options,
        )
    return conclude(model, law, log, maximum, errors, prior)


def conclude(
    model: Model,
    law: Law,
    log: ChoiceLog | ChoiceStream,
    maximum: Maximum,
    errors: str,
    prior: Gaussian | None,
) -> Fit:
    """Return the fit of a maximum, with each covariance its evidence allows."""
    free = free_of(model, law.names, maximum.status.at_bound)
    kinds = [kind for kind in ERRORS if kind != "clustered" or maximum.evidence.ledger is not None]
    return Fit(
        model=model,
        law=law,
        params=maximum.params,
        evidence=maximum.evidence,
        status=maximum.status,
        prior=prior,
        free=free,
        errors=errors,
        covariances={kind: covariance(maximum.evidence, kind, free, maximum.status, prior) for kind in kinds},
        data=DataSummary.of(log),
    )


def errors_to_show(errors: str | None, log: ChoiceLog | ChoiceStream) -> str:
    """Return the kind of standard errors to show by default for a log."""
    alone = isinstance(log, ChoiceLog) and log.columns.person is not None and not np.asarray(log.person_codes).any()
    if errors is None:  # one person makes one cluster, which has no spread
        return "robust" if log.columns.person is None or alone else "clustered"
    if errors not in ERRORS:
        raise SpecificationError(f"no standard errors {errors!r}; {nearest(errors, ERRORS)}")
    if errors == "clustered" and log.columns.person is None:
        raise SpecificationError("clustered errors need to know the decision makers; name their column: person=…")
    if errors == "clustered" and alone:
        raise SpecificationError("clustered errors need two decision makers or more; take errors='robust'")
    return errors


def evidence_of(law: Law, log: Summed, engine: Engine, ledger: bool, progress: Progress | None) -> EvidenceAt:
    """Return the function from parameters to the evidence of a log, or a sample of one, on an engine."""
    columns = columns_of(law)

    def evidence_at(params: Float[np.ndarray, " K"], detail: Detail) -> Evidence:
        keep = ledger and detail == Detail.OUTER

        def task(partition: Partition) -> Evidence:
            return law.evidence(partition, params, detail, ledger=keep)

        return engine.sum(task, log, columns=columns, progress=progress)

    return evidence_at


def columns_of(law: Law) -> list[str]:
    """Return the columns of the log a law reads."""
    found = [name for design in law.designs for name in (*design.variables, *design.categories)]
    return list(dict.fromkeys(found))


def samples_of(law: Law, log: ChoiceLog | ChoiceStream, engine: Engine) -> list[Sample]:
    """Return evenly spaced samples of a large log, coarse to fine; none for a small one."""
    n_cases = log.facts.n_cases
    if n_cases < SAMPLE_FROM:
        return []
    enough = cases_to_step_on(len(law.names))
    second = enough if _FIRST_SAMPLE < enough < n_cases // 4 else int(n_cases * _SECOND_SHARE)
    samples: list[ChoiceLog | Sampled]
    if isinstance(log, ChoiceLog):
        samples = [Sampled.of(log, _FIRST_SAMPLE), Sampled.of(log, second)]
    else:
        read = log.sample(second, columns_of(law))
        samples = [Sampled.of(read, _FIRST_SAMPLE), read]
    return [
        Sample(evidence_of(law, part, engine, False, None), part.n_cases, part.n_cases / n_cases) for part in samples
    ]


def named_vector(
    names: tuple[str, ...], values: Mapping[str, float], otherwise: float, what: str
) -> Float[np.ndarray, " K"]:
    """Return one value per parameter from a mapping by name."""
    vector = np.full(len(names), otherwise)
    for name, value in values.items():
        if name not in names:
            raise SpecificationError(f"no parameter {name!r} (in {what}); {nearest(name, names)}")
        if not np.isfinite(value):
            raise SpecificationError(f"the {what} value of {name!r} must be finite, not {value!r}")
        if not abs(value) < LARGEST:
            raise SpecificationError(
                f"the {what} value of {name!r} must be below {LARGEST:g} in size, not {value!r}; "
                "measure what it multiplies in another unit"
            )
        vector[names.index(name)] = value
    return vector


def region_of(model: Constrained, names: tuple[str, ...]) -> Region:
    """Return the bounds of the parameters; a fixed one has both at its value."""
    lower, upper = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    for name, (low, high) in model.bounds.items():
        if name not in names:
            raise SpecificationError(f"no parameter {name!r} (in bounds); {nearest(name, names)}")
        i = names.index(name)
        lower[i] = -np.inf if low is None else low
        upper[i] = np.inf if high is None else high
        if not lower[i] <= upper[i]:
            raise SpecificationError(f"the bounds of {name!r} are empty: {low!r} to {high!r}")
    held = named_vector(names, model.fixed, np.nan, "fixed")
    fixed = ~np.isnan(held)
    outside = np.flatnonzero(fixed & ~((lower <= held) & (held <= upper)))
    if len(outside):
        name = names[outside[0]]
        raise SpecificationError(f"{name!r} is fixed at {model.fixed[name]:g}, outside of its bounds; leave out one")
    return Region(np.where(fixed, held, lower), np.where(fixed, held, upper))


def prior_of(model: Constrained, names: tuple[str, ...]) -> Gaussian | None:
    """Return the Gaussian prior of a model, None if it has none."""
    if not model.ridge and not model.prior:
        return None
    return Gaussian.ridge(model.ridge, len(names)) + Gaussian.independent(model.prior, names)


def free_of(model: Constrained, names: tuple[str, ...], at_bound: tuple[str, ...]) -> np.ndarray:
    """Return which parameters were estimated: neither held (fixed, or between equal bounds) nor at a bound."""
    return ~(region_of(model, names).fixed | np.isin(names, at_bound))
