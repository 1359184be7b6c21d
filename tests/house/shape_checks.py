"""The checker of types and shapes while tests run."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

#: As type checkers have it, an int will do where a float is asked for.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
