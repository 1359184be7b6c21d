"""Messages of the library in the words of the command line. Imports nothing of ours.

The library names its keywords (``person=…``); whoever types commands knows them as options (``--person …``).
"""

from __future__ import annotations

import re

_FORMAT = re.compile(r"text=TextFormat\((?P<inside>[^()]*)\)")
_OPTIONS = (
    "case|alternative|chosen|person|time|available|weight|propensity|counts|outside|where|delimiter|encoding|decimal"
    "|errors|scale|method|cost|costs|draws|unit|renewal|folds|share|seed|by|of|arc"
)
_KEYWORD = re.compile(rf"(?<![\w'\"`.-])(?P<name>{_OPTIONS})=(?!=)")
_AT = re.compile(r"\bat=\{(?:'(?P<name>[^']+)': )?…\}")


def for_the_command_line(message: str) -> str:
    """Return a message with options in place of keywords.

    >>> for_the_command_line("clustered errors need to know the decision makers; name their column: person=…")
    'clustered errors need to know the decision makers; name their column: --person …'
    >>> for_the_command_line("say text=TextFormat(delimiter=';')")
    "say --delimiter ';'"
    """
    told = _FORMAT.sub(lambda found: found["inside"], message).replace("counts=True", "--counts")
    told = _KEYWORD.sub(r"--\g<name> ", told)
    return _AT.sub(lambda found: f"--at {found['name'] or 'COLUMN'}=…", told)
