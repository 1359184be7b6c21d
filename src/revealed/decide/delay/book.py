"""A posterior kept as a sum: what is settled, and a site for each decision held. Imports its own room and models.

Sites come in and go out; what was settled is only ever added to. Once more sites have gone out than a few times those
held, the posterior is summed anew from its parts, so that rounding cannot build up however long it goes on.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.delay.live import Live
from revealed.decide.delay.sites import Cells, cells_of, sites_of
from revealed.decide.delay.standing import Standing, StandingLink
from revealed.models.glm.links import Link
from revealed.models.glm.posterior import Posterior, Sites

Index = Int[np.ndarray, " some"]

#: Sites taken out between two sweeps: at least this many, or twice those held.
SWEEP_AFTER = 20_000

_SITES = ("precision", "shift")


class SiteBook:
    """The sum and its parts; changes in place.

    Parameters
    ----------
    link : Link
    posterior : Posterior
        What is believed before any decision is held.
    live : Live
        The decisions held, with the site of each.
    """

    def __init__(self, link: Link, posterior: Posterior, live: Live) -> None:
        self.link = link
        self.posterior = posterior
        self.settled = posterior
        self.live = live
        self.since_sweep = 0

    def put_in(self, index: Index, standing: Standing) -> None:
        """Put in the sites of some decisions as they stand, which have none."""
        precision, shift = self.learn(index, standing)
        self.live.put(index, precision=precision, shift=shift)

    def learn(self, index: Index, standing: Standing) -> tuple[Cells, Cells]:
        """Add the sites of some decisions as they stand, found together, and return what they are; nobody notes them.

        A decision may be among them twice.
        """
        says = standing.says
        speaking = index[says]
        if not len(speaking):
            return np.zeros((len(index), 1)), np.zeros((len(index), 1))
        rows, stands = self.live.rows(speaking), standing.some(says)
        if stands.plain.all():
            self.posterior, sites = self.posterior.learn(self.link, rows, (stands.answer > 0).astype(np.float64))
        else:
            bound = StandingLink(self.link, stands)
            self.posterior, sites = self.posterior.learn(bound, rows, np.arange(len(speaking), dtype=np.float64))
        found = cells_of(sites, rows)
        if says.all():
            return found
        precision, shift = np.zeros((2, len(index), found[0].shape[1]))
        precision[says], shift[says] = found
        return precision, shift

    def take_out(self, index: Index, *, lasting: bool = False) -> None:
        """Take out what some decisions say; with ``lasting`` also what their answer had left in place."""
        live = self.live
        gone = index if lasting else index[self.says(index)]
        if len(gone):
            self.posterior = self.posterior.changed(self._sites(gone, lasting=lasting), -1.0)
            self.since_sweep += len(gone)
        for name in _SITES:
            live[name][index] = 0.0
            if lasting:
                live[f"lasting_{name}"][index] = 0.0
        if self.since_sweep > max(SWEEP_AFTER, 2 * len(live)):
            self.sweep()

    def says(self, index: Index) -> Bool[np.ndarray, " some"]:
        """Return which of some decisions have a site."""
        both = [(self.live[name][index] != 0).any(axis=1) for name in _SITES]
        return np.asarray(np.logical_or(*both))

    def leave(self, index: Index) -> None:
        """Leave in place what some decisions say, whatever they come to say besides."""
        live = self.live
        for name in _SITES:
            live.put(index, **{f"lasting_{name}": _plus(live[name][index], live[f"lasting_{name}"][index])})
            live[name][index] = 0.0

    def settle(self, done: Bool[np.ndarray, " rows"]) -> None:
        """Let go of some decisions; what they said stays for good."""
        self.settled = self.settled.changed(self._sites(np.flatnonzero(done), lasting=True), 1.0)
        self.live.drop(done)

    def sweep(self) -> None:
        """Sum the posterior anew."""
        everything = self._sites(np.arange(len(self.live)), lasting=True)
        self.posterior = self.settled.changed(everything, 1.0)
        self.since_sweep = 0

    def fade(self, keep: float, prior: Posterior) -> None:
        """Keep a share of all that was learned beyond the prior, what decisions say included."""
        self.posterior, self.settled = self.posterior.faded(keep, prior), self.settled.faded(keep, prior)
        for name in _SITES:
            self.live[name][:] *= keep
            self.live[f"lasting_{name}"][:] *= keep

    def restart(self, posterior: Posterior) -> None:
        """Start again from another belief, with no decision saying anything."""
        self.posterior = self.settled = posterior
        self.since_sweep = 0
        for name in _SITES:
            self.live[name][:] = 0.0
            self.live[f"lasting_{name}"][:] = 0.0

    def _sites(self, index: Index, *, lasting: bool) -> Sites:
        live, tables = self.live, []
        for name in _SITES:
            table = live[name][index]
            tables.append(_plus(table, live[f"lasting_{name}"][index]) if lasting else table)
        return sites_of(self.posterior, live.rows(index), tables[0], tables[1])


def _plus(one: Cells, other: Float[np.ndarray, "rows narrower_or_wider"]) -> Float[np.ndarray, "rows wider"]:
    """Return the sum of two tables; one may be narrower."""
    wide, narrow = (one, other) if one.shape[1] >= other.shape[1] else (other, one)
    total = wide.copy()
    total[:, : narrow.shape[1]] += narrow
    return total
