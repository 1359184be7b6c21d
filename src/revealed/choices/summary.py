"""What a log holds, as data for a report. Imports its own room only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class AlternativeSummary:
    """One alternative over all cases.

    Parameters
    ----------
    label : str
    rows, available : int
        In how many cases it is listed, and in how many of them it could be chosen.
    chosen : float
        The weighted number of times it was chosen.
    share : float
        ``chosen`` as a share of all choices.
    """

    label: str
    rows: int
    available: int
    chosen: float
    share: float


@dataclass(frozen=True)
class AttributeSummary:
    """One column without a role.

    Parameters
    ----------
    name : str
    kind : str
        ``"number"``, ``"flag"``, ``"label"``, ``"time"`` or ``"other"``.
    smallest, mean, largest : float or None
        Over the cells that are neither missing nor infinite; None where there is no such number.
    missing : int
        Cells that are missing, infinite ones among them, whether their alternative is available or not.
    n_levels : int or None
        How many distinct labels, None for numbers.
    varies_within_case : bool
        Whether it tells the alternatives of a case apart; if not it can only enter a utility per alternative.
    """

    name: str
    kind: str
    smallest: float | None
    mean: float | None
    largest: float | None
    missing: int
    n_levels: int | None
    varies_within_case: bool


@dataclass(frozen=True)
class Description:
    """What a log holds; made by ``ChoiceLog.describe`` and ``ChoiceStream.describe``.

    Parameters
    ----------
    source : str
    n_cases, n_rows, n_persons : int
    n_choices : float
        The weighted number of cases, or of counted choices.
    counts, weighted : bool
        Whether ``chosen`` holds counts, and whether the cases have weights.
    has_persons : bool
        Whether the log names its decision makers; if not each case is its own person.
    alternatives : tuple of AlternativeSummary
        In the order of their labels.
    set_sizes : mapping
        How many cases offer how many available alternatives.
    attributes : tuple of AttributeSummary
    time_span : tuple of str or None
        The first and the last time.
    propensity_range : tuple of float or None
        The smallest and the largest propensity of an available row.
    null_log_likelihood : float
        The log-likelihood when each available alternative is equally likely.
    """

    source: str
    n_cases: int
    n_rows: int
    n_persons: int
    n_choices: float
    counts: bool
    weighted: bool
    has_persons: bool
    alternatives: tuple[AlternativeSummary, ...]
    set_sizes: Mapping[int, int]
    attributes: tuple[AttributeSummary, ...]
    time_span: tuple[str, str] | None
    propensity_range: tuple[float, float] | None
    null_log_likelihood: float
