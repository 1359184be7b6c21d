"""The tables of the log, as numbered steps that each database takes in a transaction. Imports errors only.

A step that has been released never changes: what comes later is a step of its own at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Template

from revealed.errors import StoreError

#: ``decisions`` is kept by number, as outcomes look decisions up by number; ``seq`` is the order of commitment.
#: ``positions`` stands before the long texts, so that a look-up of it does not read them. Persons are indexed by
#: stretches of numbers: an index over all of them is written to at a place of chance by each decision, a page each, and
#: costs more than all the rest; looking into each stretch, where somebody is forgotten, takes microseconds.
_FIRST = """
CREATE TABLE counters (
    id $integer PRIMARY KEY CHECK (id = 1), numbers $integer NOT NULL, decisions $integer NOT NULL,
    outcomes $integer NOT NULL
)$strict;
INSERT INTO counters (id, numbers, decisions, outcomes) VALUES (1, 0, 0, 0);
CREATE TABLE secrets (id $integer PRIMARY KEY CHECK (id = 1), secret $bytes NOT NULL)$strict;
CREATE TABLE versions (
    id $key, policy $text NOT NULL, version $text NOT NULL, UNIQUE (policy, version)
)$strict;
CREATE TABLE decisions (
    number $integer PRIMARY KEY, seq $integer NOT NULL UNIQUE, version $integer NOT NULL, positions $integer NOT NULL,
    made $real NOT NULL, person $text, asked $text, shown $text NOT NULL, propensities $text NOT NULL,
    context $text NOT NULL, candidates $text
)$strict;
CREATE INDEX decisions_person ON decisions ((number >> 10), person) WHERE person IS NOT NULL;
CREATE UNIQUE INDEX decisions_asked ON decisions (asked) WHERE asked IS NOT NULL;
CREATE TABLE outcomes (
    seq $integer PRIMARY KEY, decision $integer NOT NULL, position $integer NOT NULL, reward $real NOT NULL,
    came $real NOT NULL, received $real NOT NULL, UNIQUE (decision, position)
)$strict;
CREATE TABLE strays (
    seq $key, decision $integer NOT NULL, position $integer NOT NULL, reward $real NOT NULL, came $real NOT NULL,
    received $real NOT NULL, why $text NOT NULL, UNIQUE (decision, position, reward, came)
)$strict;
CREATE TABLE lessons (
    policy $text NOT NULL, number $integer NOT NULL, decisions_to $integer NOT NULL, outcomes_to $integer NOT NULL,
    moment $real NOT NULL, PRIMARY KEY (policy, number)
)$strict;
CREATE TABLE checkpoints (
    policy $text NOT NULL, lesson $integer NOT NULL, state $bytes NOT NULL, PRIMARY KEY (policy, lesson)
)$strict;
CREATE TABLE roles (role $text PRIMARY KEY, who $text NOT NULL, held_to $real NOT NULL)$strict;
CREATE TABLE policies (
    name $text PRIMARY KEY, specification $text NOT NULL, state $text NOT NULL, share $real NOT NULL,
    changed $real NOT NULL, slot $text NOT NULL, before $text
)$strict;
CREATE TABLE api_keys (
    id $text PRIMARY KEY, digest $bytes NOT NULL, scopes $text NOT NULL, note $text NOT NULL, made $real NOT NULL,
    expires $real, revoked $real
)$strict;
CREATE TABLE audit (
    seq $key, moment $real NOT NULL, who $text NOT NULL, act $text NOT NULL, about $text NOT NULL
)$strict;
"""

#: Policies as they once were, and how they did on what was decided after that.
_MILESTONES = """
CREATE TABLE milestones (
    policy $text NOT NULL, lesson $integer NOT NULL, answers $integer NOT NULL, decisions_to $integer NOT NULL,
    moment $real NOT NULL, state $bytes NOT NULL, PRIMARY KEY (policy, lesson)
)$strict;
CREATE TABLE judgements (slot $text PRIMARY KEY, moment $real NOT NULL, found $text NOT NULL)$strict;
"""

#: Outcomes of decisions that nobody knows, each with what its client called the decision: so two of them are two. A
#: process of the release before still writes here, without a name.
_NAMED_STRAYS = """
ALTER TABLE strays RENAME TO strays_before;
CREATE TABLE strays (
    seq $key, decision $integer NOT NULL, position $integer NOT NULL, reward $real NOT NULL, came $real NOT NULL,
    received $real NOT NULL, why $text NOT NULL, name $text NOT NULL DEFAULT '',
    UNIQUE (decision, name, position, reward, came)
)$strict;
INSERT INTO strays (decision, position, reward, came, received, why)
SELECT decision, position, reward, came, received, why FROM strays_before ORDER BY seq;
DROP TABLE strays_before;
"""

#: The index of persons by stretches of 256 numbers: those of 1,024 took seven pages, and decisions written together
#: touched five of them.
_SHORTER_STRETCHES = """
DROP INDEX decisions_person;
CREATE INDEX decisions_person ON decisions ((number >> 8), person) WHERE person IS NOT NULL;
"""

STEPS: tuple[str, ...] = (_FIRST, _MILESTONES, _NAMED_STRAYS, _SHORTER_STRETCHES)

#: What the types of columns are called.
SQLITE = {
    "integer": "INTEGER",
    "real": "REAL",
    "text": "TEXT",
    "bytes": "BLOB",
    "key": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "strict": " STRICT",
}
POSTGRES = {
    "integer": "bigint",
    "real": "double precision",
    "text": "text",
    "bytes": "bytea",
    "key": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "strict": "",
}


def statements_after(version: int, types: Mapping[str, str], where: str) -> list[str]:
    """Return the statements that bring a log of some version up to date.

    Parameters
    ----------
    version : int
        How many steps were taken; 0 for a new log.
    types : mapping of str to str
        What the types of columns are called there.
    where : str
        What the log is called in messages.

    Raises
    ------
    StoreError
        If the log was written by a newer release.
    """
    if version > len(STEPS):
        raise StoreError(
            f"{where} was written by a newer release (its tables are of version {version}, this one knows "
            f"{len(STEPS)}); upgrade this one: pip install --upgrade revealed"
        )
    filled = [Template(step).substitute(types) for step in STEPS[version:]]
    return [statement.strip() for step in filled for statement in step.split(";") if statement.strip()]
