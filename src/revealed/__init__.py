"""Revealed learns what people value from what they choose, and acts on it.

Everything public is here by name and loads when first used, so that ``import revealed`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from revealed.answer import Add as Add
    from revealed.answer import IntervalOptions as IntervalOptions
    from revealed.answer import Remove as Remove
    from revealed.answer import Set as Set
    from revealed.answer import calibrate as calibrate
    from revealed.answer import case_elasticities as case_elasticities
    from revealed.answer import compare as compare
    from revealed.answer import demand_curve as demand_curve
    from revealed.answer import diversion as diversion
    from revealed.answer import elasticities as elasticities
    from revealed.answer import goodness as goodness
    from revealed.answer import likelihood_ratio_test as likelihood_ratio_test
    from revealed.answer import surplus as surplus
    from revealed.answer import validate as validate
    from revealed.answer import wald_test as wald_test
    from revealed.answer import whatif as whatif
    from revealed.answer import willingness_to_pay as willingness_to_pay
    from revealed.answer.offpolicy import compare_policies as compare_policies
    from revealed.answer.offpolicy import evaluate as evaluate
    from revealed.choices import ChoiceLog as ChoiceLog
    from revealed.choices import ChoiceStream as ChoiceStream
    from revealed.choices import Columns as Columns
    from revealed.choices import Described as Described
    from revealed.choices import Description as Description
    from revealed.choices import TextFormat as TextFormat
    from revealed.choices import Wide as Wide
    from revealed.choices import from_wide as from_wide
    from revealed.choices import read as read
    from revealed.choices import read_sql as read_sql
    from revealed.choices import scan as scan
    from revealed.choices.feedback import Feedback as Feedback
    from revealed.choices.feedback import read_feedback as read_feedback
    from revealed.choices.simulate import Simulation as Simulation
    from revealed.decide.policy import LearningPolicy as LearningPolicy
    from revealed.models import CrossNested as CrossNested
    from revealed.models import Fit as Fit
    from revealed.models import Logit as Logit
    from revealed.models import Mixed as Mixed
    from revealed.models import Nested as Nested
    from revealed.models import ScaledLogit as ScaledLogit
    from revealed.models import individual_coefficients as individual_coefficients

_HOME = {
    "Add": "revealed.answer",
    "IntervalOptions": "revealed.answer",
    "Remove": "revealed.answer",
    "Set": "revealed.answer",
    "calibrate": "revealed.answer",
    "case_elasticities": "revealed.answer",
    "compare": "revealed.answer",
    "demand_curve": "revealed.answer",
    "diversion": "revealed.answer",
    "elasticities": "revealed.answer",
    "goodness": "revealed.answer",
    "likelihood_ratio_test": "revealed.answer",
    "surplus": "revealed.answer",
    "validate": "revealed.answer",
    "wald_test": "revealed.answer",
    "whatif": "revealed.answer",
    "willingness_to_pay": "revealed.answer",
    "compare_policies": "revealed.answer.offpolicy",
    "evaluate": "revealed.answer.offpolicy",
    "ChoiceLog": "revealed.choices",
    "ChoiceStream": "revealed.choices",
    "Columns": "revealed.choices",
    "Described": "revealed.choices",
    "Description": "revealed.choices",
    "from_wide": "revealed.choices",
    "read": "revealed.choices",
    "read_sql": "revealed.choices",
    "scan": "revealed.choices",
    "TextFormat": "revealed.choices",
    "Wide": "revealed.choices",
    "datasets": "revealed.choices.datasets",
    "Feedback": "revealed.choices.feedback",
    "read_feedback": "revealed.choices.feedback",
    "LearningPolicy": "revealed.decide.policy",
    "CrossNested": "revealed.models",
    "Fit": "revealed.models",
    "Logit": "revealed.models",
    "Mixed": "revealed.models",
    "Nested": "revealed.models",
    "ScaledLogit": "revealed.models",
    "individual_coefficients": "revealed.models",
    "Simulation": "revealed.choices.simulate",
}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'revealed' has no attribute {name!r}")
    module = import_module(_HOME[name])
    return module if _HOME[name].endswith(f".{name}") else getattr(module, name)


def __dir__() -> list[str]:
    return __all__
