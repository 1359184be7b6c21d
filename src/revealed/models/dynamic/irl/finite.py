r"""Rewards recovered on states that can be counted: expectations from a process instead of regressions.

Imports evidence, dynamic and its own room. Known is :math:`\sum_a \mu(a|s)\,r(s, a) = g(s)`, :math:`\mu` the anchor or
any policy (:mod:`.pqr`, :mod:`.genpqr`). With behaviour :math:`\pi` and transitions :math:`T` given,

.. math::
   V = (I - \gamma T_\mu)^{-1}\Big(g - \alpha\sum_a \mu_a \log\pi_a\Big), \qquad
   r(s, a) = V(s) + \alpha\log\pi(a|s) - \gamma \sum_{s'} T_a(s, s') V(s'),

without iteration; and the process under these rewards behaves as the estimate of behaviour says, to the last digit.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError
from revealed.evidence import Checkpoint
from revealed.models.dynamic.bootstrap import Mover, Told
from revealed.models.dynamic.free import Drawn, RecoveredFit
from revealed.models.dynamic.irl.bootstrap import bootstrapped_reward
from revealed.models.dynamic.irl.function_class import Function, FunctionClass, Rows
from revealed.models.dynamic.irl.iteration import Fixed
from revealed.models.dynamic.irl.polynomial import Polynomial
from revealed.models.dynamic.irl.pqr import Normalised, require_known
from revealed.models.dynamic.irl.recovered import Known, RecoveredReward, at, in_words
from revealed.models.dynamic.irl.tabular import Cells, TableFunction, Tabular
from revealed.models.dynamic.irl.trajectories import Trajectories
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess, Transitions
from revealed.models.dynamic.solve import forward


def recover_on(
    model: Normalised,
    panel: Panel,
    process: DecisionProcess,
    smooth: FunctionClass | None = None,
    log_policy: Function | None = None,
) -> RecoveredReward:
    """Recover the rewards of a process without a horizon from what was done in its states.

    Parameters
    ----------
    model : PQR or GenPQR
        With the discount factor and scale of the process. Only its class of functions for behaviour is used. Where
        the anchor cannot be taken, what can be taken instead is known to earn as much, each alike.
    panel : Panel
    process : DecisionProcess
        Its transitions are taken as known.
    smooth : FunctionClass, optional
        Rewards between and beyond the levels of the states, by regression on those recovered where there was a choice;
        without it, rewards are known in the states alone.
    log_policy : callable, optional
        Logarithms of choice probabilities, where they are known or were estimated before.

    Raises
    ------
    SpecificationError
        If discount factor, scale or actions differ, or the process ends.
    DataError
        If an action was taken where it is not available, or a table has no share of the anchor in a state.
    """
    _require_alike(model, panel, process)
    data = Trajectories.of_panel(panel, process.available)
    mu, known, spoken = model.assumed(data)
    log_policy = log_policy or _behaviour(model, data, panel)
    states, mask = process.space.numbers, process.mask
    alone = mask.sum(axis=1, keepdims=True) == 1  # nothing is chosen there, seen or not
    logs = np.where(alone, np.where(mask, 0.0, -np.inf), log_policy(states))
    weight = mu(states)
    share = np.where(weight > 0, logs, 0.0)
    require_known(states, share.sum(axis=1), data, spoken)
    value = forward(process, process.under(weight), at(known, states) - model.scale * (weight * share).sum(axis=1))
    found = value[:, None] + model.scale * logs - model.discount * process.expected(value)
    found = np.where(mask & np.isfinite(found), found, np.nan)
    found = np.where(weight == 1.0, at(known, states)[:, None], found)  # as assumed, to the last digit
    valued, recovered = _tables(process, value[:, None], found)
    reward: Function = recovered
    if smooth is not None:
        reward = WhereChosen(_smoothed(found, smooth, panel.counts().sum(axis=1), process), mu, known)
    of = "reward of" if spoken in process.actions else "mean reward under"
    instead = " (or of what can be taken instead, where that cannot be)" if process.available is not None else ""
    return RecoveredReward(
        method=f"{type(model).__name__} in {process.n_states:,} states (behaviour: {_of_behaviour(model).title})",
        citation="Geng, Nassif, Manzanares, Reppen and Sircar (2020); van der Laan, Kallus and Bibaut (2025)",
        labels=process.actions,
        discount=model.discount,
        scale=model.scale,
        log_policy=log_policy,
        reward=reward,
        value=FirstColumn(valued),
        fixed=Fixed(valued, 1, 0.0, True),
        identification=(
            f"the {of} {spoken!r}{instead} is {in_words(known)}: assumed, as no choice tells it",
            model.relative(repr(spoken)),
        ),
        remarks=data.remarks(),
        data=data,
        again=AgainOn(model, panel, process, smooth, log_policy),
    )


def fit_on(
    model: Normalised,
    panel: Panel,
    process: DecisionProcess,
    mover: Mover = None,
    *,
    smooth: FunctionClass | None = None,
    draws: int = 50,
    seed: int = 0,
    told: Told | None = None,
    checkpoint: Checkpoint | None = None,
) -> RecoveredFit:
    """Recover the rewards of a process, and how sure they are, ready for what-ifs.

    Parameters
    ----------
    model, panel, process, smooth
        As for :func:`recover_on`.
    mover : callable, optional
        Estimates transitions from a panel, again for each draw; without it those of the process stand.
    draws : int
        Of the bootstrap by person; 0 for no intervals.
    seed : int
    told : callable, optional
        Told of the draws done.
    checkpoint : Checkpoint, optional
        Where behaviour is noted, of all persons and of each draw, and known from: all else follows from it, but for a
        smooth reward, which is regressed again. It is for the caller to say that it is done.

    Raises
    ------
    SpecificationError, DataError
        As for :func:`recover_on`, and if fewer than two draws could be recovered.
    """
    moved: list[tuple[Transitions, ...]] = []
    numbers = itertools.count()

    def recover(some: Panel) -> RecoveredReward:
        number = next(numbers)
        given = process if some is panel or mover is None else replace(process, transitions=mover(some).matrices)
        log_policy = None
        if checkpoint is not None and not isinstance(_of_behaviour(model), Tabular):  # shares are as soon counted
            log_policy = _noted(model, some, given, checkpoint, f"behaviour {number}")
        found = recover_on(model, some, given, smooth, log_policy)
        moved.append(given.transitions)
        return found

    if draws:
        again = bootstrapped_reward(recover, panel, draws=draws, seed=seed, told=told)
        found, failed = again.found, again.failed
        drawn = tuple(Drawn(one.reward, moves) for one, moves in zip(again.draws, moved[1:], strict=True))
    else:
        found, failed, drawn = recover(panel), 0, ()
    return RecoveredFit(
        method=found.method,
        citation=found.citation,
        process=process,
        function=found.reward,
        taken=panel.counts(),
        draws=drawn,
        failed=failed,
        n_persons=panel.n_persons,
        assumptions=found.identification,
        remarks=panel.remarks(process),
    )


@dataclass(frozen=True, eq=False)
class FirstColumn:
    """The first output of a function, as one number a state."""

    function: Function

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, " m"]:
        """Return it at some states."""
        return np.asarray(self.function(states)[:, 0])


@dataclass(frozen=True, eq=False)
class WhereChosen:
    """A smooth reward where there was a choice, and what is known beforehand where there was none.

    Parameters
    ----------
    smooth : callable
    normaliser : callable
    known : float or callable
    """

    smooth: Function
    normaliser: Function
    known: Known

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m A"]:
        """Return rewards in some states."""
        weight = self.normaliser(states)
        certain = at(self.known, states)[:, None]
        # What the normaliser always takes earns what is known of it; a regression would only come near.
        return np.where(weight == 1.0, certain, self.smooth(states))


@dataclass(frozen=True, eq=False)
class AgainOn:
    """Recovers once more on a process from the same behaviour.

    Parameters
    ----------
    model : Normalised
    panel : Panel
    process : DecisionProcess
    smooth : FunctionClass, optional
    log_policy : callable
    """

    model: Normalised
    panel: Panel
    process: DecisionProcess
    smooth: FunctionClass | None
    log_policy: Function

    def __call__(self, known: Known) -> RecoveredReward:
        """Recover with something else known beforehand."""
        return recover_on(self.model.assuming(known), self.panel, self.process, self.smooth, self.log_policy)


def _smoothed(
    found: Float[np.ndarray, "S A"], smooth: FunctionClass, seen: Float[np.ndarray, " S"], process: DecisionProcess
) -> Function:
    """Return the regression of rewards on states, weighted by the choices seen where there was one to make."""
    states = process.space.numbers
    free = (seen > 0) & (process.mask.sum(axis=1) > 1)
    place, action = np.nonzero(np.isfinite(found) & free[:, None])
    rows = Rows(states[place], action, process.n_actions, seen[place])
    regression = smooth.regression(rows, states[:1])
    regression.fit(found[place, action])
    return regression.function()


def _behaviour(model: Normalised, data: Trajectories, panel: Panel) -> Function:
    """Return log-probabilities of what is done."""
    return model.behaviour(_counted(data, panel, model))


def _counted(data: Trajectories, panel: Panel, model: Normalised) -> Trajectories:
    """Return choices of an action in a state as one row with a weight, for classes to whom it is all the same."""
    if not isinstance(_of_behaviour(model), Tabular | Polynomial):
        return data
    cell = panel.state * len(panel.actions) + panel.action
    _, first, place = np.unique(cell, return_index=True, return_inverse=True)
    counted = replace(data.taken(first), weights=np.bincount(place.reshape(-1), data.weights))
    return replace(counted, followed=np.ones(len(first), dtype=bool))


def _of_behaviour(model: Normalised) -> FunctionClass:
    """Return the class of functions that behaviour is of."""
    return model.policy or model.function_class


def _noted(
    model: Normalised, panel: Panel, process: DecisionProcess, checkpoint: Checkpoint, name: str
) -> TableFunction:
    """Return log-probabilities in the states, as a checkpoint knows them, or estimated and noted there."""
    shape = process.n_states, process.n_actions
    found = checkpoint.known(name, process.n_states * process.n_actions)
    if found is None:
        data = Trajectories.of_panel(panel, process.available)
        found = _behaviour(model, data, panel)(process.space.numbers).ravel()
        checkpoint.note(name, found)
    return _tables(process, found.reshape(shape))[0]


def _tables(process: DecisionProcess, *values: Float[np.ndarray, "S _"]) -> list[TableFunction]:
    """Return functions that are known in the states of a process."""
    space = Cells.of(process.space.numbers)
    order = np.argsort(space.place(process.space.numbers))
    return [TableFunction(space, one[order]) for one in values]


def _require_alike(model: Normalised, panel: Panel, process: DecisionProcess) -> None:
    if process.horizon is not None:
        raise SpecificationError("rewards without a formula need a process that never ends, not one with a horizon")
    for name, ours, theirs in (
        ("discount factor", model.discount, process.discount),
        ("scale", model.scale, process.scale),
        ("actions", panel.actions, process.actions),
    ):
        if ours != theirs:
            raise SpecificationError(f"the {name} must be that of the process: {ours!r}, not {theirs!r}")
