"""A posterior kept as a sum: what is settled, and a site for each decision held. Imports its own room and models.

Sites come in and go out; what was settled is only ever added to. Once more sites have gone out than a few times those
held, the posterior is summed anew from its parts, so that rounding cannot build up however long it goes on.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from revealed.decide.delay.live import Live
from revealed.decide.delay.standing import Standing, StandingLink
from revealed.models.glm.full import FullPosterior, FullSites
from revealed.models.glm.links import Link

Index = Int[np.ndarray, " some"]

#: Sites taken out between two sweeps: at least this many, or twice those held.
SWEEP_AFTER = 20_000


class SiteBook:
    """The sum and its parts; changes in place.

    Parameters
    ----------
    link : Link
    posterior : FullPosterior
        What is believed before any decision is held.
    live : Live
        The decisions held, with the site of each.
    """

    def __init__(self, link: Link, posterior: FullPosterior, live: Live) -> None:
        self.link = link
        self.posterior = posterior
        self.settled = posterior
        self.live = live
        self.since_sweep = 0

    def learn(self, index: Index, standing: Standing) -> None:
        """Put the sites of some decisions as they stand in place of those they had."""
        self.take_out(index)
        live = self.live
        says = (standing.weight > 0) & ((standing.answer > 0) | (standing.share > 0))
        speaking = index[says]
        if len(speaking):
            bound = StandingLink(self.link, standing.some(says))
            rows, answer = live.rows[speaking], bound.standing.answer
            if len(speaking) == 1:  # the mode lies along its own row
                sites = FullSites(rows, *bound.site(answer, *self.posterior.predictor(rows)))
                self.posterior = self.posterior.changed(sites, 1.0)
            else:
                self.posterior, sites = self.posterior.learn(bound, rows, answer)
            live["precision"][speaking], live["shift"][speaking] = sites.precision, sites.shift

    def take_out(self, index: Index, *, lasting: bool = False) -> None:
        """Take out what some decisions say; with ``lasting`` also what their answer had left in place."""
        live = self.live
        said = (live["precision"][index] != 0) | (live["shift"][index] != 0)
        gone = index if lasting else index[said]
        if len(gone):
            self.posterior = self.posterior.changed(self._sites(gone, lasting=lasting), -1.0)
            self.since_sweep += len(gone)
        live["precision"][index], live["shift"][index] = 0.0, 0.0
        if lasting:
            live["lasting_precision"][index], live["lasting_shift"][index] = 0.0, 0.0
        if self.since_sweep > max(SWEEP_AFTER, 2 * len(live)):
            self.sweep()

    def leave(self, index: Index) -> None:
        """Leave in place what some decisions say, whatever they come to say besides."""
        for name in ("precision", "shift"):
            self.live[f"lasting_{name}"][index] += self.live[name][index]
            self.live[name][index] = 0.0

    def settle(self, done: Bool[np.ndarray, " rows"]) -> None:
        """Let go of some decisions; what they said stays for good."""
        self.settled = self.settled.changed(self._sites(np.flatnonzero(done), lasting=True), 1.0)
        self.live.drop(done)

    def sweep(self) -> None:
        """Sum the posterior anew."""
        everything = self._sites(np.arange(len(self.live)), lasting=True)
        self.posterior = self.settled.changed(everything, 1.0)
        self.since_sweep = 0

    def _sites(self, index: Index, *, lasting: bool) -> FullSites:
        live = self.live
        precision, shift = live["precision"][index], live["shift"][index]
        if lasting:
            precision, shift = precision + live["lasting_precision"][index], shift + live["lasting_shift"][index]
        return FullSites(live.rows[index], precision, shift)
