r"""What the coefficients of each person are likely to be, given the person's choices. Imports evidence and choices.

.. math:: \bar\beta_n = E[\beta \mid \text{choices of } n] \approx \sum_r w_{nr} \beta_{nr}, \qquad
   w_{nr} = \frac{\prod_t P_{nt}(\beta_{nr})}{\sum_q \prod_t P_{nt}(\beta_{nq})}

Revelt and Train (2000), "Customer-specific taste parameters and mixed logit: households' choice of electricity
supplier"; Train (2009), chapter 11. Parameters are taken as known: their errors are not in the standard deviations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models.fit import Fit
from revealed.models.mixed.law import MixedLaw


@dataclass(frozen=True, eq=False)
class IndividualCoefficients:
    """The random coefficients of each person, given the person's choices.

    Parameters
    ----------
    names : tuple of str
        The random coefficients.
    persons : pyarrow.Array
        The label of each person (of each choice situation where the log names no persons).
    mean, standard_deviation : ndarray of float64, shape (persons, random)
        Of the coefficient given the choices. The mean over people of the means is that of the coefficient, but they
        vary less than coefficients do: what a few choices do not tell stays at the mean.
    """

    names: tuple[str, ...]
    persons: pa.Array
    mean: Float[np.ndarray, "persons random"]
    standard_deviation: Float[np.ndarray, "persons random"]

    def to_arrow(self) -> pa.Table:
        """Return one row per person, with mean and standard deviation of each coefficient."""
        columns = {"person": self.persons}
        for i, name in enumerate(self.names):
            columns[name] = pa.array(self.mean[:, i])
            columns[f"sd[{name}]"] = pa.array(self.standard_deviation[:, i])
        return pa.table(columns)


def individual_coefficients(fit: Fit, log: ChoiceLog) -> IndividualCoefficients:
    """Return mean and standard deviation of each person's random coefficients, given the person's choices.

    Parameters
    ----------
    fit : Fit
        Of a mixed logit.
    log : ChoiceLog
        The choices; those of people who are not in the fit will do too.

    Raises
    ------
    SpecificationError
        If the fit is not of a mixed logit.
    DataError
        If cells in use are missing or infinite.
    """
    if not isinstance(fit.law, MixedLaw):
        raise SpecificationError(
            f"only a mixed logit has coefficients that differ between people; this is a {fit.model.title.lower()}"
        )
    first, mean, spread = fit.law.posterior(log, fit.params)
    labels = log.case_labels if log.columns.person is None else log.first_cells(log.columns.person)
    return IndividualCoefficients(tuple(fit.law.coefficients.random), labels.take(pa.array(first)), mean, spread)
