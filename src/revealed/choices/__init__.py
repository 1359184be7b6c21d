"""What a choice is: the log's schema, validation, readers, data sets, a simulator. No models; imports no other room."""

from revealed.choices.columns import Columns
from revealed.choices.log import BLOCK_CASES, ChoiceLog, Facts, Partition

__all__ = ["BLOCK_CASES", "ChoiceLog", "Columns", "Facts", "Partition"]
