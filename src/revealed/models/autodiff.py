"""Models given by their choice probabilities alone; JAX does the rest. Imports evidence to choices; JAX when used.

A subclass says which formulas it reads and, for one case, the log-probability of each alternative. Log-likelihood,
score, information and predictions follow by automatic differentiation, compiled once, in double precision asked for
locally. ``scaled_logit.py`` is such a model whole; CONTRIBUTING walks through it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from revealed.choices.log import ChoiceLog, Partition
from revealed.choices.stream import ChoiceStream
from revealed.errors import MissingExtraError
from revealed.evidence import Detail, Evidence, Tally
from revealed.models.blocks import Block, blocks_of
from revealed.models.design import Design
from revealed.models.law import Prediction
from revealed.models.model import Model
from revealed.models.utility import Utility, read_utility

#: Doubles per row and parameter that a compiled block works in: the design, its derivative, and their copies.
_DOUBLES = 4

#: Arrays of one case by formula: attributes (alternatives, columns), or parameters (columns,).
ByFormula = Mapping[str, Any]


@dataclass(frozen=True)
class AutodiffModel(Model):
    """A model given by the log-probabilities of one case."""

    #: Formulas whose terms may be constant within a case (a scale, a class membership), unlike those of a utility.
    of_the_case: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def formulas(self) -> dict[str, Utility]:
        """Return the formulas by name; parameters of one called ``utility`` keep their names, others get a prefix."""

    @staticmethod
    @abstractmethod
    def log_probability(params: ByFormula, attributes: ByFormula, available: Any) -> Any:
        """Return the log-probability of each alternative of one case, in JAX.

        Parameters
        ----------
        params : mapping
            Formula to its parameters, shape (columns,).
        attributes : mapping
            Formula to its design, shape (alternatives, columns); zero for alternatives that are not there.
        available : array of bool, shape (alternatives,)
        """

    @staticmethod
    def logsum(params: ByFormula, attributes: ByFormula, available: Any) -> Any:
        """Return the expected maximum utility of one case, where the model has one; NaN otherwise."""
        del params, attributes, available
        return float("nan")

    def law(self, log: ChoiceLog | ChoiceStream) -> AutodiffLaw:
        """Bind the formulas to the columns of a log."""
        designs = {
            name: read_utility(formula, log, self._references(log, formula), of_the_case=name in self.of_the_case)
            for name, formula in self.formulas().items()
        }
        return AutodiffLaw(type(self), designs)

    def _references(self, log: ChoiceLog | ChoiceStream, formula: Utility) -> dict[str, str]:
        """Return the reference levels that concern one of several formulas."""
        text = formula if isinstance(formula, str) else " ".join(formula.values())
        return {name: level for name, level in self.reference.items() if name in text or log.column_name(name) in text}

    @classmethod
    def law_from_dict(cls, data: Mapping[str, Any]) -> AutodiffLaw:
        """Rebuild the law a fit was saved with."""
        return AutodiffLaw(cls, {name: Design.from_dict(design) for name, design in data.items()})


@dataclass(frozen=True, eq=False)
class AutodiffLaw:
    """An autodiff model bound to design columns.

    Parameters
    ----------
    model : type
        The model's class.
    parts : mapping
        Formula to design.
    """

    model: type[AutodiffModel]
    parts: Mapping[str, Design]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, formula by formula."""
        return tuple(
            name if part == "utility" else f"{part}.{name}"
            for part, design in self.parts.items()
            for name in design.names
        )

    @property
    def designs(self) -> tuple[Design, ...]:
        """The design columns in use."""
        return tuple(self.parts.values())

    @property
    def signature(self) -> str:
        """The model in one line."""
        return f"{self.model.__name__}({' + '.join(self.names)})"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {part: design.to_dict() for part, design in self.parts.items()}

    def evidence(
        self, partition: Partition, params: Float[np.ndarray, " K"], detail: Detail, *, ledger: bool = False
    ) -> Evidence:
        """Return the evidence of a partition at ``params``, by automatic differentiation."""
        jax = require_jax()
        log, k = partition.log, len(self.names)
        tally = Tally(self.signature, self.names, params, detail, ledger=ledger)
        sums = _compiled(self.model, self._widths, detail >= Detail.INFORMATION)
        with jax.enable_x64(True):
            for block in blocks_of(partition, _DOUBLES * k):
                attributes, available, chosen = self._dense(log, block)
                values, scores, information = (np.asarray(a) for a in sums(params, attributes, available, chosen))
                scores = scores.reshape(-1, k)
                if not np.isfinite(values).all():
                    for design in self.designs:
                        design.require_clean(log)
                with np.errstate(all="ignore"):  # what is not finite is refused by the tally
                    outer = scores.T @ scores if detail >= Detail.OUTER else None
                n_cases = block.case_stop - block.case_start
                squared = information if detail >= Detail.INFORMATION else None
                tally.add(n_cases, float(values.sum()), scores.sum(axis=0), squared, outer)
                if ledger:
                    persons = log.person_codes[block.case_start : block.case_stop]
                    tally.enter(persons, log.first_case + block.case_start, scores[:n_cases])
        return tally.evidence()

    def predict(self, log: ChoiceLog, params: Float[np.ndarray, " K"]) -> Prediction:
        """Return choice probabilities and logsums."""
        jax = require_jax()
        probability, logsum = np.empty(log.n_rows), np.empty(log.n_cases)
        predicted = _compiled_prediction(self.model, self._widths)
        with jax.enable_x64(True):
            for block in blocks_of(Partition(log, 0, log.n_cases), _DOUBLES * len(self.names)):
                attributes, available, _ = self._dense(log, block)
                shares, sums = (np.asarray(a) for a in predicted(params, attributes, available))
                n_cases = block.case_stop - block.case_start
                probability[block.row_start : block.row_stop] = shares[_places(log, block)]
                logsum[block.case_start : block.case_stop] = sums[:n_cases]
        return Prediction(probability, logsum)

    @property
    def _widths(self) -> tuple[tuple[str, int], ...]:
        return tuple((part, len(design.columns)) for part, design in self.parts.items())

    def _dense(self, log: ChoiceLog, block: Block) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Return a block as rectangles (cases, largest set, …); cases are padded to a power of two.

        So few shapes occur, and few programs are compiled. A padded case has all alternatives and chooses none.
        """
        n_cases = block.case_stop - block.case_start
        shape = (1 << (n_cases - 1).bit_length(), int(log.sizes.max()))
        cases, places = _places(log, block)
        rows = slice(block.row_start, block.row_stop)
        available = np.zeros(shape, dtype=bool)
        available[n_cases:] = True
        available[cases, places] = True if log.available is None else log.available[rows]
        chosen = np.zeros(shape)
        weights = 1.0 if log.weights is None else log.weights[block.case_start + cases]
        chosen[cases, places] = log.chosen[rows] * weights
        attributes = {}
        for part, design in self.parts.items():
            columns = np.empty((len(design.columns), block.row_stop - block.row_start))
            design.fill(log, block.row_start, block.row_stop, columns)
            dense = np.zeros((*shape, len(design.columns)))
            dense[cases, places] = columns.T
            dense[~available] = 0.0
            attributes[part] = dense
        return attributes, available, chosen


def _places(log: ChoiceLog, block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's case within the block, and its place within the case."""
    sizes = log.sizes[block.case_start : block.case_stop]
    cases = np.repeat(np.arange(len(sizes)), sizes)
    firsts = log.offsets[block.case_start : block.case_stop] - block.row_start
    return cases, np.arange(block.row_stop - block.row_start) - firsts[cases]


def require_jax() -> Any:
    """Return JAX, or raise MissingExtraError with the command that installs it."""
    try:
        import jax
    except ModuleNotFoundError:
        raise MissingExtraError("what is compiled (automatic differentiation, a mixed logit on a GPU)", "jax") from None
    return jax


def _split(widths: tuple[tuple[str, int], ...], params: Any) -> dict[str, Any]:
    parts, start = {}, 0
    for part, width in widths:
        parts[part] = params[start : start + width]
        start += width
    return parts


@cache
def _compiled(model: type[AutodiffModel], widths: tuple[tuple[str, int], ...], squared: bool) -> Callable[..., Any]:
    """Return the compiled function from a block to log-likelihoods and scores by case, and the information."""
    jax = require_jax()
    numpy = jax.numpy

    def of_case(params: Any, attributes: Any, available: Any, chosen: Any) -> Any:
        logs = model.log_probability(_split(widths, params), attributes, available)
        return numpy.sum(numpy.where(chosen > 0, chosen * logs, 0.0))

    by_case = jax.vmap(jax.value_and_grad(of_case), in_axes=(None, 0, 0, 0))

    def total(params: Any, *block: Any) -> Any:
        return numpy.sum(jax.vmap(of_case, in_axes=(None, 0, 0, 0))(params, *block))

    def sums(params: Any, *block: Any) -> Any:
        values, scores = by_case(params, *block)
        information = -jax.hessian(total)(params, *block) if squared else numpy.zeros((0, 0))
        return values, scores, information

    return jax.jit(sums)  # type: ignore[no-any-return]


@cache
def _compiled_prediction(model: type[AutodiffModel], widths: tuple[tuple[str, int], ...]) -> Callable[..., Any]:
    jax = require_jax()

    def of_case(params: Any, attributes: Any, available: Any) -> Any:
        parts = _split(widths, params)
        logs = model.log_probability(parts, attributes, available)
        shares = jax.numpy.where(available, jax.numpy.exp(logs), 0.0)
        return shares, jax.numpy.asarray(model.logsum(parts, attributes, available), dtype=float)

    return jax.jit(jax.vmap(of_case, in_axes=(None, 0, 0)))  # type: ignore[no-any-return]
