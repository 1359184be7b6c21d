"""What a choice is: the log's schema, validation, readers, data sets, a simulator. No models; imports no other room."""

from revealed.choices.columns import Columns
from revealed.choices.delimited import TextFormat
from revealed.choices.described import Described
from revealed.choices.facts import Facts
from revealed.choices.log import BLOCK_CASES, ChoiceLog, Partition
from revealed.choices.readers import read, read_sql
from revealed.choices.stream import ChoiceStream, scan
from revealed.choices.summary import AlternativeSummary, AttributeSummary, Description
from revealed.choices.wide import Wide, from_wide

__all__ = [
    "BLOCK_CASES",
    "AlternativeSummary",
    "AttributeSummary",
    "ChoiceLog",
    "ChoiceStream",
    "Columns",
    "Described",
    "Description",
    "Facts",
    "Partition",
    "TextFormat",
    "Wide",
    "from_wide",
    "read",
    "read_sql",
    "scan",
]
