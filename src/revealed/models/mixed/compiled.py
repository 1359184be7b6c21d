r"""The sums of some persons compiled by JAX, on a GPU where it finds one. Imports models' own files; JAX when used.

The formulas of :mod:`revealed.models.mixed.sums`, written for arrays that are made once and never changed: a whole
block is one program. Coefficients are functions of parameters and draws; their slopes
:math:`D = \partial\beta/\partial\theta`, and what their second derivatives add,
:math:`\nabla^2 \sum_r w_r g_r^\top \beta_r` with the score :math:`g` by coefficient held, are left to automatic
differentiation, so that a distribution is one line here. The same program runs on the processor, in double precision
on either: there it is slower than numpy in blocks that stay in the cache.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from revealed.models.autodiff import require_jax
from revealed.models.mixed.families import Family
from revealed.models.mixed.worth import Space, WorthCoefficients, space_from_dict
from revealed.models.people import PeopleBlock

#: Doubles in the largest array of a block (128 MiB): a GPU is busy for a millisecond with each step.
BLOCK_CELLS = 1 << 24


class _Summed(NamedTuple):
    """What a program returns; the information is empty where it was not asked for."""

    log_likelihood: float
    scores: np.ndarray
    information: np.ndarray


class CompiledSums:
    """Sums of a block of persons at parameters, as :class:`revealed.models.mixed.sums.MixedSums` has them.

    Parameters
    ----------
    people : PeopleBlock
    coefficients : Coefficients or WorthCoefficients
    variates : ndarray of float64, shape (persons, random, draws)
    params : ndarray of float64, shape (K,)
    widest : int
        The most rows of a case in the log: blocks are padded to it, so that few programs are compiled.
    """

    def __init__(
        self,
        people: PeopleBlock,
        coefficients: Space,
        variates: Float[np.ndarray, "persons random draws"],
        params: Float[np.ndarray, " K"],
        widest: int,
    ) -> None:
        # What a program is compiled for, as text: coefficients are an object of their own in each fit.
        self._space = json.dumps([coefficients.columns, coefficients.to_dict()])
        self._n_persons, self._params = len(people.persons), params
        self._arrays = _padded(people, variates, widest)
        self._known: dict[bool, _Summed] = {}

    @property
    def log_likelihood(self) -> float:
        """The simulated log-likelihood, weighted."""
        return self._summed(squared=True in self._known).log_likelihood

    def scores(self) -> Float[np.ndarray, "persons K"]:
        """Return the score of each person, weighted."""
        return self._summed(squared=False).scores

    def squares(self) -> tuple[Float[np.ndarray, "persons K"], Float[np.ndarray, "K K"]]:
        """Return the score of each person, weighted, and the information of the block."""
        found = self._summed(squared=True)
        return found.scores, found.information

    def _summed(self, *, squared: bool) -> _Summed:
        if squared not in self._known:
            with require_jax().enable_x64(True):
                value, scores, information = _program(self._space, squared)(self._params, *self._arrays)
                scores = np.asarray(scores)[: self._n_persons]
                self._known[squared] = _Summed(float(value), scores, np.asarray(information))
        return self._known[squared]


def most_rows(coefficients: Space) -> int:
    """Return how many rows' worth of room a person takes at least: slopes are by coefficient and parameter."""
    return len(coefficients.columns) * len(coefficients.names)


def _padded(
    people: PeopleBlock, variates: Float[np.ndarray, "persons random draws"], widest: int
) -> tuple[np.ndarray, ...]:
    """Return attributes, where nothing can be chosen, sizes, weights and draws, padded to one of few shapes."""
    persons, cases, rows, columns = people.x.shape
    shape = _rounded(persons), _rounded(cases), widest
    x, closed = np.zeros((*shape, columns)), np.ones(shape, bool)
    x[:persons, :cases, :rows] = people.x
    closed[:persons, :cases, :rows] = False if people.closed is None else people.closed
    closed[persons:, :, 0] = closed[:, cases:, 0] = False  # padding has one thing to choose, and chooses it
    size, weight = np.zeros(shape[:2]), np.zeros(shape[0])
    size[:persons, :cases], weight[:persons] = people.size, people.weight
    # Any draws do for padding; those of the first person are in the range of each distribution.
    return x, closed, size, weight, np.concatenate([variates, np.repeat(variates[:1], shape[0] - persons, axis=0)])


def _rounded(count: int) -> int:
    """Return the next power of two, or one and a half times one: at most a third of the room is padding."""
    power = 1 << (count - 1).bit_length()
    return power * 3 // 4 if power >= 4 and count <= power * 3 // 4 else power


@cache
def _program(told: str, squared: bool) -> Callable[..., Any]:
    """Return the compiled function from parameters and a block to log-likelihood, scores and information."""
    jax = require_jax()
    jnp = jax.numpy
    space = space_from_dict(*json.loads(told))
    beta = _coefficients(space)

    def sums(params: Any, x: Any, closed: Any, size: Any, weight: Any, variates: Any) -> Any:
        values = beta(params, variates)
        utility = jnp.where(closed[..., None], -jnp.inf, jnp.einsum("ntjc,ncr->ntjr", x, values))
        logsum = jax.nn.logsumexp(utility, axis=2)
        probability = jnp.exp(utility - logsum[:, :, None])
        of_draw = -jnp.einsum("nt,ntr->nr", size, logsum)
        total = jax.nn.logsumexp(of_draw, axis=1)
        posterior = jnp.exp(of_draw - total[:, None])
        value = weight @ (total - jnp.log(of_draw.shape[1]))
        mean = jnp.einsum("ntjc,ntjr->ntcr", x, probability)
        by_coefficient = -jnp.einsum("nt,ntcr->ncr", size, mean)
        slopes = jax.jacfwd(beta)(params, variates)
        by_draw = jnp.einsum("ncr,ncrk->nrk", by_coefficient, slopes)
        scores = jnp.einsum("nr,nrk->nk", posterior, by_draw)
        if not squared:
            return value, scores * weight[:, None], jnp.zeros((0, 0))
        share = posterior * weight[:, None]
        spread = jnp.einsum("nt,ntjc,ntjd,ntjr->ncdr", size, x, x, probability)
        spread -= jnp.einsum("nt,ntcr,ntdr->ncdr", size, mean, mean)
        moved = jnp.einsum("nr,ncdr,ndrk->ncrk", share, spread, slopes)
        information = jnp.einsum("ncrk,ncrl->kl", slopes, moved)
        information -= jnp.einsum("nr,nrk,nrl->kl", share, by_draw, by_draw)
        information += jnp.einsum("n,nk,nl->kl", weight, scores, scores)
        if space.is_bent:
            held = share[:, None] * by_coefficient
            information -= jax.hessian(lambda point: jnp.vdot(held, beta(point, variates)))(params)
        return value, scores * weight[:, None], information

    return jax.jit(sums)  # type: ignore[no-any-return]


def _coefficients(space: Space) -> Callable[[Any, Any], Any]:
    """Return the function from parameters and draws to the coefficient of each column: (persons, columns, draws)."""
    jnp = require_jax().numpy
    plain = space.plain if isinstance(space, WorthCoefficients) else space
    columns = plain.columns
    families, places = plain.families, {int(column): a for a, column in enumerate(plain.of_random)}
    rows, others = ([scale[i] for scale in plain.scales] for i in (1, 2))

    def each(params: Any, variates: Any) -> Any:
        spread = jnp.zeros((len(families),) * 2).at[jnp.array(rows), jnp.array(others)].set(params[len(columns) :])
        drawn = jnp.einsum("ab,nbr->nar", spread, variates)
        shape = drawn.shape[0], drawn.shape[2]
        found = []
        for column in range(len(columns)):
            a = places.get(column)
            if a is None:
                found.append(jnp.broadcast_to(params[column], shape))
            else:
                found.append(_drawn(families[a], params[column], spread[a, a], drawn[:, a], variates[:, a]))
        return jnp.stack(found, axis=1)

    if not isinstance(space, WorthCoefficients):
        return each
    place = space.place

    def in_money(params: Any, variates: Any) -> Any:
        worths = each(params, variates)
        money = worths[:, place]
        return (-money[:, None] * worths).at[:, place].set(money)

    return in_money


def _drawn(family: Family, location: Any, scale: Any, moved: Any, variate: Any) -> Any:
    """Return a random coefficient; ``moved`` is what its draws add to the location of one that is not truncated."""
    jax = require_jax()
    jnp = jax.numpy
    if family.is_linear:
        return location + moved
    if family.shape == "lognormal":
        return family.sign * jnp.exp(location + moved)
    normal = jax.scipy.stats.norm
    above = jnp.log1p(-variate) + normal.logcdf(location / scale)  # of being further above zero than this draw
    return family.sign * (location - scale * normal.ppf(jnp.exp(above)))
