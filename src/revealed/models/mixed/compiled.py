r"""The sums of some persons compiled by JAX, on a GPU where it finds one. Imports models' own files; JAX when used.

The formulas of :mod:`revealed.models.mixed.sums`, written for arrays that are made once and never changed: a whole
block is one program. Coefficients are functions of parameters and draws; their slopes
:math:`D = \partial\beta/\partial\theta`, and what their second derivatives add,
:math:`\nabla^2 \sum_r w_r g_r^\top \beta_r` with the score :math:`g` by coefficient held, are left to automatic
differentiation, so that a distribution is one line here. The same program runs on the processor, in double precision
on either: there it is slower than numpy in blocks that stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.models.autodiff import require_jax
from revealed.models.mixed.coefficients import Coefficients
from revealed.models.mixed.families import Family
from revealed.models.mixed.worth import Space, WorthCoefficients
from revealed.models.people import PeopleBlock

#: Doubles in the largest array of a block (128 MiB): a GPU is busy for a millisecond with each step.
BLOCK_CELLS = 1 << 24

#: What a program is compiled for: columns, distributions, who is correlated, the column of the cost, whether
#: coefficients have second derivatives.
_Kind = tuple[tuple[str, ...], tuple[tuple[str, str], ...], tuple[str, ...], str, bool]


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
        self._n_persons, self._kind, self._params = len(people.persons), _kind_of(coefficients), params
        self._arrays = _padded(people, variates, widest)
        self._log_likelihood: float | None = None

    @property
    def log_likelihood(self) -> float:
        """The simulated log-likelihood, weighted."""
        if self._log_likelihood is None:
            _ = self._scored
        assert self._log_likelihood is not None
        return self._log_likelihood

    def scores(self) -> Float[np.ndarray, "persons K"]:
        """Return the score of each person, weighted."""
        return self._scored

    def squares(self) -> tuple[Float[np.ndarray, "persons K"], Float[np.ndarray, "K K"]]:
        """Return the score of each person, weighted, and the information of the block."""
        scores, information = self._run(squared=True)
        return scores, information

    @cached_property
    def _scored(self) -> Float[np.ndarray, "persons K"]:
        return self._run(squared=False)[0]

    def _run(self, *, squared: bool) -> tuple[np.ndarray, np.ndarray]:
        jax = require_jax()
        with jax.enable_x64(True):
            value, scores, information = _program(self._kind, squared)(self._params, *self._arrays)
            self._log_likelihood = float(value)
            return np.asarray(scores)[: self._n_persons], np.asarray(information)


def most_rows(coefficients: Space) -> int:
    """Return how many rows' worth of room a person takes at least: slopes are by coefficient and parameter."""
    return len(coefficients.columns) * len(coefficients.names)


def _kind_of(coefficients: Space) -> _Kind:
    if isinstance(coefficients, WorthCoefficients):
        return (*_kind_of(coefficients.plain)[:3], coefficients.cost, coefficients.is_bent)
    return coefficients.columns, tuple(coefficients.random.items()), coefficients.correlated, "", coefficients.is_bent


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
def _program(kind: _Kind, squared: bool) -> Callable[..., Any]:
    """Return the compiled function from parameters and a block to log-likelihood, scores and information."""
    jax = require_jax()
    jnp = jax.numpy
    beta, bent = _coefficients(kind), kind[-1]

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
        if bent:
            held = share[:, None] * by_coefficient
            information -= jax.hessian(lambda point: jnp.vdot(held, beta(point, variates)))(params)
        return value, scores * weight[:, None], information

    return jax.jit(sums)  # type: ignore[no-any-return]


def _coefficients(kind: _Kind) -> Callable[[Any, Any], Any]:
    """Return the function from parameters and draws to the coefficient of each column: (persons, columns, draws)."""
    columns, random, correlated, cost, _ = kind
    jnp = require_jax().numpy
    plain = Coefficients(columns, dict(random), correlated)
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

    if not cost:
        return each
    place = columns.index(cost)

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
