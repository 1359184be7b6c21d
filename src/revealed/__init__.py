"""Revealed learns what people value from what they choose, and acts on it.

Everything public is here by name and loads when first used, so that ``import revealed`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from revealed.choices import ChoiceLog as ChoiceLog
    from revealed.choices import ChoiceStream as ChoiceStream
    from revealed.choices import Columns as Columns

_HOME = {
    "ChoiceLog": "revealed.choices",
    "ChoiceStream": "revealed.choices",
    "Columns": "revealed.choices",
    "datasets": "revealed.choices.datasets",
}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'revealed' has no attribute {name!r}")
    module = import_module(_HOME[name])
    return module if _HOME[name].endswith(f".{name}") else getattr(module, name)


def __dir__() -> list[str]:
    return __all__
