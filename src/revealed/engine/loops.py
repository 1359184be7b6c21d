"""Loops compiled from loops.c, where there was a compiler when the package was installed. Imports no room.

Each returns False, or None, where the library was not compiled, where arrays are of another kind than it reads, or
where it saw that something is wrong with what they hold: numpy is asked then, which has the words. So everything works
without the library, two to three times as slowly (docs/design/compiled-loops.md).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple
from zlib import crc32

import numpy as np
from jaxtyping import Float, Int

_SOURCE, _FILE = Path(__file__).with_suffix(".c"), Path(__file__).with_suffix(".compiled")

_ADDRESS, _SIZE, _NUMBER = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_double
_FLOAT64, _INT32, _INT64 = np.dtype(np.float64), np.dtype(np.int32), np.dtype(np.int64)
_byte_of = ctypes.c_char.from_buffer


class _Answers(ctypes.Structure):
    """As in loops.c."""

    _fields_: ClassVar = [
        ("index", _ADDRESS),
        ("value", _ADDRESS),
        ("precision", _ADDRESS),
        ("shift", _ADDRESS),
        ("n_params", ctypes.c_int64),
        ("added_precision", _ADDRESS),
        ("added_shift", _ADDRESS),
        ("mean", _NUMBER),
        ("variance", _NUMBER),
    ]


def loaded(file: Path = _FILE) -> ctypes.CDLL | None:
    """Return the compiled loops; None where they were not compiled, for another machine, or from another text."""
    try:
        library = ctypes.CDLL(str(file))
        library.source.restype = ctypes.c_uint32
        if library.source() != crc32(_SOURCE.read_bytes()):
            return None
    except (OSError, AttributeError):
        return None
    library.gather.argtypes = [_ADDRESS, _SIZE, _NUMBER, _ADDRESS, _SIZE, _SIZE, _ADDRESS]
    library.weigh.argtypes = [_ADDRESS, _SIZE, _NUMBER, *[_ADDRESS] * 3, *[_SIZE] * 3, *[_ADDRESS] * 3]
    library.foretell.argtypes = [_ADDRESS, _SIZE, _ADDRESS, _SIZE, _ADDRESS, _SIZE, _SIZE, _ADDRESS, _ADDRESS]
    library.predict.argtypes = [_ADDRESS, _SIZE, _SIZE]
    library.move.argtypes = [_ADDRESS, _SIZE, _SIZE, _NUMBER, _NUMBER]
    library.climb.argtypes = [_ADDRESS, _SIZE, _ADDRESS, _ADDRESS, _SIZE, _SIZE, _SIZE, _ADDRESS, _ADDRESS]
    library.move.restype = library.climb.restype = None
    return library


#: None where there is none.
LIBRARY = loaded()

Rows = Float[np.ndarray, " rows"]
Each = Float[np.ndarray, "rows_or_one actions"]
EachToo = Float[np.ndarray, "one_or_rows actions"]


class WeighedRows(NamedTuple):
    """What came of weighing rows.

    Parameters
    ----------
    weight, weighted : array, shape (rows,)
        The weights; times the rewards.
    sum, square : float
        Of the weights.
    weighted_sum, weighted_square : float
        Of the weighted rewards.
    both : float
        Of the products of the two.
    largest : float
        The largest weight.
    n_zero : float
        How many weights are zero.
    """

    weight: Rows
    weighted: Rows
    sum: float
    square: float
    weighted_sum: float
    weighted_square: float
    both: float
    largest: float
    n_zero: float


def weigh(
    each: Each, codes: Int[np.ndarray, " rows"] | None, propensity: Rows, reward: Rows, tolerance: float | None
) -> WeighedRows | None:
    """Return weights, weighted rewards and their sums, in one pass.

    Parameters
    ----------
    each : array, shape (rows, actions) or (1, actions)
        Probabilities; a single row stands for all.
    codes : array of int32, shape (rows,), or None
        What was shown; None where ``each`` has one column, which is of that.
    propensity, reward : array, shape (rows,)
    tolerance : float or None
        How far the sum of a row may be from one; None where rows were looked at before.
    """
    weight, weighted = np.empty(len(reward)), np.empty(len(reward))
    sums = _weigh(each, codes, propensity, reward, tolerance, len(reward), weight, weighted)
    return None if sums is None else WeighedRows(weight, weighted, *sums[0].tolist())


def sum_up(
    each: Each,
    codes: Int[np.ndarray, " rows"] | None,
    propensity: Rows,
    reward: Rows,
    tolerance: float | None,
    block: int,
) -> Float[np.ndarray, "blocks 7"] | None:
    """Return the sums of :func:`weigh`, in its order, of each ``block`` rows; no array as long as the log is made."""
    return _weigh(each, codes, propensity, reward, tolerance, block, None, None)


def _weigh(
    each: np.ndarray,
    codes: np.ndarray | None,
    propensity: np.ndarray,
    reward: np.ndarray,
    tolerance: float | None,
    block: int,
    weight: np.ndarray | None,
    weighted: np.ndarray | None,
) -> np.ndarray | None:
    n_rows = len(reward)
    if LIBRARY is None or not n_rows or not _readable(each, propensity, reward) or not _whole(codes):
        return None
    sums = np.empty((-(-n_rows // block), 7))
    given = (_address(codes), _address(propensity), _address(reward), n_rows, each.shape[1], block)
    found = (_address(weight), _address(weighted), _address(sums))
    sound = LIBRARY.weigh(_address(each), _step(each, n_rows), _limit(tolerance), *given, *found)
    return sums if sound else None


def gather(each: Each, codes: Int[np.ndarray, " rows"], tolerance: float | None, found: Rows) -> bool:
    """Fill ``found`` with the cell of each row that ``codes`` says; for the rest see :func:`weigh`."""
    n_rows = len(found)
    if LIBRARY is None or not _readable(each, found) or not _whole(codes):
        return False
    given = (_address(codes), n_rows, each.shape[1], _address(found))
    return bool(LIBRARY.gather(_address(each), _step(each, n_rows), _limit(tolerance), *given))


def foretell(
    each: Each, rewards: EachToo, codes: Int[np.ndarray, " rows"], *, told: bool
) -> tuple[Rows, Rows | None] | None:
    """Return rewards averaged over the actions of each row, and, if asked (``told``), that of what was shown.

    Parameters
    ----------
    each, rewards : array, shape (rows, actions) or (1, actions)
        Probabilities and rewards; a single row stands for all.
    codes : array of int32, shape (rows,)
    """
    n_rows = len(codes)
    if LIBRARY is None or not _readable(each, rewards) or not _whole(codes):
        return None
    expected, of_shown = np.empty(n_rows), np.empty(n_rows) if told else None
    given = (_address(each), _step(each, n_rows), _address(rewards), _step(rewards, n_rows), _address(codes))
    found = (_address(expected), _address(of_shown))
    return (expected, of_shown) if LIBRARY.foretell(*given, n_rows, each.shape[1], *found) else None


def climb(
    pull: Float[np.ndarray, "options options"],
    first: Int[np.ndarray, " ends"],
    order: Int[np.ndarray, " slots"],
    rounds: int,
    at: Int[np.ndarray, "starts slots"],
    field: Float[np.ndarray, "starts options"],
) -> bool:
    """Climb from several layouts at once, in place: each step takes the best option of one slot, given the others.

    Parameters
    ----------
    pull : array, shape (options, options)
        What two options add to each other.
    first : array of int64, shape (slots + 1,)
        Where the options of each slot begin, and the last end.
    order : array of int64, shape (slots,)
        In which slots take their turns.
    rounds : int
        Over all slots, at most.
    at : array of int64, shape (starts, slots)
        The option in each slot.
    field : array, shape (starts, options)
        What each option would add to each layout.
    """
    if LIBRARY is None or not _readable(pull, field):
        return False
    if not all(array.dtype == _INT64 and array.flags.c_contiguous for array in (first, order, at)):
        return False
    given = (_address(pull), len(pull), _address(first), _address(order), len(order), rounds)
    LIBRARY.climb(*given, len(at), _address(at), _address(field))
    return True


class Movable:
    """Independent beliefs about parameters, moved in place; the arrays are held, not copied.

    Parameters
    ----------
    precision, shift : array of float64, shape (K,)
    """

    def __init__(self, precision: Float[np.ndarray, " K"], shift: Float[np.ndarray, " K"]) -> None:
        assert LIBRARY is not None
        assert _readable(precision, shift)
        self._held = precision, shift
        self._answers = _Answers(precision=_address(precision), shift=_address(shift), n_params=len(shift))
        self._place = ctypes.addressof(self._answers)

    @classmethod
    def of(cls, precision: Float[np.ndarray, " K"], shift: Float[np.ndarray, " K"]) -> Movable | None:
        """Return beliefs to be moved by compiled loops; None where there are none."""
        return None if LIBRARY is None or not _readable(precision, shift) else cls(precision, shift)

    def learn(
        self,
        tilt: Callable[[float, float, float], tuple[float, float]],
        answers: Sequence[float],
        starts: Sequence[int],
        index: Int[np.ndarray, " cells"],
        value: Float[np.ndarray, " cells"],
    ) -> tuple[Float[np.ndarray, " cells"], Float[np.ndarray, " cells"]] | None:
        """Learn answers one after the other; return what was added to precision and shift, cell by cell.

        Parameters
        ----------
        tilt : callable
            ``(answer, mean, variance) -> (first, second)``: derivatives of the logarithm of the answer's probability.
        answers : sequence of float
        starts : sequence of int
            Where the cells of each row begin, and, at last, end.
        index : array of int64, shape (cells,)
            Parameters, in a row each once.
        value : array of float64, shape (cells,)

        Returns
        -------
        tuple of array, or None
            None where the arrays are of another kind, before anything was learned.

        Raises
        ------
        IndexError
            If a row touches a parameter that is not there.
        """
        if LIBRARY is None or index.dtype != _INT64 or value.dtype != _FLOAT64:
            return None
        if not (index.flags.c_contiguous and value.flags.c_contiguous):
            return None
        added = np.empty(len(index)), np.empty(len(index))
        found, place = self._answers, self._place
        found.index, found.value = _address(index), _address(value)
        found.added_precision, found.added_shift = (_address(cells) for cells in added)
        predict, move, start = LIBRARY.predict, LIBRARY.move, starts[0]
        for answer, stop in zip(answers, starts[1:], strict=True):
            if not predict(place, start, stop):
                raise IndexError(f"a row touches a parameter that is none of the {found.n_params}")
            move(place, start, stop, *tilt(answer, found.mean, found.variance))
            start = stop
        return added


def _address(array: np.ndarray | None) -> int:
    """Return where an array begins; 0, which a loop takes for none, without one."""
    if array is None:
        return 0
    try:
        # A sixth of the time of what is right for all arrays; typed as a buffer from Python 3.12 on.
        return ctypes.addressof(_byte_of(array))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # read-only, or empty
        return int(array.__array_interface__["data"][0])


def _step(each: np.ndarray, n_rows: int) -> int:
    """Return how many cells a row begins after the one before."""
    return each.shape[1] if len(each) == n_rows else 0


def _limit(tolerance: float | None) -> float:
    return -1.0 if tolerance is None else tolerance


def _readable(*arrays: np.ndarray) -> bool:
    return all(array.dtype == _FLOAT64 and array.flags.c_contiguous for array in arrays)


def _whole(codes: np.ndarray | None) -> bool:
    return codes is None or (codes.dtype == _INT32 and codes.flags.c_contiguous)
