"""Where sums are computed: this process or threads, over logs in memory or on disk. Imports choices only."""

from revealed.engine.local import InProcess
from revealed.engine.protocol import Addable, Engine, Progress, Summed, Task
from revealed.engine.threads import Threads

__all__ = ["Addable", "Engine", "InProcess", "Progress", "Summed", "Task", "Threads"]
