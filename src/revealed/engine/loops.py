"""Loops compiled from loops.c, where there was a compiler when the package was installed. Imports no room.

Each returns False, or None, where the library was not compiled, where arrays are of another kind or shape than it
reads, or where it saw that something is wrong with what they hold: numpy is asked then, which has the words. So
everything works without the library, if slower (docs/design/compiled-loops.md). Shapes are looked at here, so they
stand in the docstrings, not in the types.
"""

from __future__ import annotations

import ctypes
from array import array
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
    library.learn_one.argtypes = [ctypes.c_int, _ADDRESS, _ADDRESS, _SIZE, _ADDRESS, _ADDRESS, _SIZE, _NUMBER, _ADDRESS]
    library.learn.argtypes = [_ADDRESS, ctypes.c_int, _SIZE, _SIZE, _NUMBER]
    library.move.argtypes = [_ADDRESS, _SIZE, _SIZE, _NUMBER, _NUMBER]
    library.climb.argtypes = [_ADDRESS, _SIZE, _ADDRESS, _ADDRESS, _SIZE, _SIZE, _SIZE, _ADDRESS, _ADDRESS]
    library.count.argtypes = [_ADDRESS, _SIZE, _SIZE, _ADDRESS, _SIZE, _SIZE, _ADDRESS, _SIZE, *[_ADDRESS] * 5]
    library.choose.argtypes = [_ADDRESS, _SIZE, _SIZE, _ADDRESS, _ADDRESS, _NUMBER, _SIZE]
    library.choose.argtypes += [_ADDRESS, _SIZE, _SIZE, _ADDRESS, _SIZE, *[_ADDRESS] * 6]
    library.move.restype = library.climb.restype = None
    return library


#: Candidates that are looked at at once.
_LANES = 4

#: As in loops.c.
_LINKS = {"probit": 1, "logit": 2}

#: None where there is none.
LIBRARY = loaded()

Rows = Float[np.ndarray, " rows"]


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
    each: np.ndarray, codes: np.ndarray | None, propensity: np.ndarray, reward: np.ndarray, tolerance: float | None
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
    sums = sum_up(each, codes, propensity, reward, tolerance, len(reward), (weight, weighted))
    if sums is None or not np.isfinite(sums).all():  # numpy raises where something overflows
        return None
    return WeighedRows(weight, weighted, *sums[0].tolist())


def sum_up(
    each: np.ndarray,
    codes: np.ndarray | None,
    propensity: np.ndarray,
    reward: np.ndarray,
    tolerance: float | None,
    block: int,
    into: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
) -> Float[np.ndarray, "blocks 7"] | None:
    """Return the sums of :func:`weigh`, in its order, of each ``block`` rows.

    No array as long as the log is made, unless weights and weighted rewards are to be put ``into`` two.
    """
    n_rows = len(reward)
    if LIBRARY is None or not n_rows or len(propensity) != n_rows:
        return None
    if not readable(each, propensity, reward) or not _fit(n_rows, codes, each):
        return None
    sums = np.empty((-(-n_rows // block), 7))
    given = (_address(codes), _address(propensity), _address(reward), n_rows, each.shape[1], block)
    found = (*map(_address, into), _address(sums))
    sound = LIBRARY.weigh(_address(each), _step(each, n_rows), _limit(tolerance), *given, *found)
    return sums if sound else None


def gather(each: np.ndarray, codes: np.ndarray, tolerance: float | None, found: np.ndarray) -> bool:
    """Fill ``found`` with the cell of each row that ``codes`` says; for the rest see :func:`weigh`."""
    n_rows = len(found)
    if LIBRARY is None or not readable(each, found) or not found.flags.writeable or not _fit(n_rows, codes, each):
        return False
    given = (_address(codes), n_rows, each.shape[1], _address(found))
    return bool(LIBRARY.gather(_address(each), _step(each, n_rows), _limit(tolerance), *given))


def foretell(
    each: np.ndarray, rewards: np.ndarray, codes: np.ndarray, *, told: bool
) -> tuple[Rows, Rows | None] | None:
    """Return rewards averaged over the actions of each row, and, if asked (``told``), that of what was shown.

    Parameters
    ----------
    each, rewards : array, shape (rows, actions) or (1, actions)
        Probabilities and rewards; a single row stands for all.
    codes : array of int32, shape (rows,)
    """
    n_rows = len(codes)
    if LIBRARY is None or not readable(each, rewards) or not _fit(n_rows, codes, each, rewards):
        return None
    if each.shape[1] != rewards.shape[1]:
        return None
    expected, of_shown = np.empty(n_rows), np.empty(n_rows) if told else None
    given = (_address(each), _step(each, n_rows), _address(rewards), _step(rewards, n_rows), _address(codes))
    found = (_address(expected), _address(of_shown))
    return (expected, of_shown) if LIBRARY.foretell(*given, n_rows, each.shape[1], *found) else None


class Counted(NamedTuple):
    """What draws make of contexts.

    Parameters
    ----------
    own : array, shape (contexts, candidates)
        Each context's scores under its own draw.
    counts : array, shape (contexts, candidates)
        In how many draws each candidate's score is the highest.
    """

    own: Float[np.ndarray, "contexts candidates"]
    counts: Float[np.ndarray, "contexts candidates"]


class Reading:
    """How columns of contexts are read from cells: each is a cell, or a product of two.

    Parameters
    ----------
    n_cells : int
        Of each context.
    left, right : array of int, shape (columns,)
        Without ``left`` cells are columns; without ``right`` columns are cells.
    """

    def __init__(self, n_cells: int, left: np.ndarray | None = None, right: np.ndarray | None = None) -> None:
        self.n_cells, self.n_columns = n_cells, n_cells if left is None else len(left)
        self._kept = [None if index is None else np.ascontiguousarray(index, np.int64) for index in (left, right)]
        some = [index for index in self._kept if index is not None]
        self.fits = all(
            len(index) == self.n_columns and bool(((index >= 0) & (index < n_cells)).all()) for index in some
        )
        self.given = [_address(index) for index in self._kept]


class Counter:
    """Counts, and chooses, for contexts that come one after the other; what they share is looked at once.

    Parameters
    ----------
    parts : array, shape (half, columns, candidates)
        Scores under a draw are contexts times this. Not to be written to, as are the others.
    n_draws : int
        Of which all but the first half are mirror images of those.
    twice : array, shape (columns, candidates)
        Contexts times this, less the scores under a draw, are those under its mirror image.
    members : array of int64, shape (draws,)
        Which draw is whose, by number.
    allowed : array of bool, shape (candidates,), or None
        Scores of others are minus infinity.
    """

    def __init__(
        self, parts: np.ndarray, n_draws: int, twice: np.ndarray, members: np.ndarray, allowed: np.ndarray | None
    ) -> None:
        (n_half, self._n_columns, n_candidates), self._n_draws = parts.shape, n_draws
        barred = np.zeros(n_candidates) if allowed is None else np.where(allowed, 0.0, -np.inf)
        sound = readable(parts) and n_candidates > 0 and n_half <= n_draws <= 2 * n_half
        self._counts = sound and n_candidates >= _LANES
        self._chooses = sound and readable(twice) and twice.shape == parts.shape[1:]
        self._chooses = self._chooses and members.dtype == _INT64 and _lies(members) and len(members) == n_draws
        self._n_candidates = max(n_candidates, _LANES)
        if self._chooses and n_candidates < _LANES:  # filled up with some that may not be shown
            more = self._n_candidates - n_candidates
            parts, twice = np.pad(parts, [(0, 0), (0, 0), (0, more)]), np.pad(twice, [(0, 0), (0, more)])
            barred = np.pad(barred, (0, more), constant_values=-np.inf)
        self._kept, self._barred = (parts, twice, members, barred), _address(barred)
        self._given = (_address(parts), n_half, self._n_candidates)
        self._shared = (*self._given, _address(twice), n_draws, self._barred, _address(members))

    def choose(
        self, cells: np.ndarray | array[float], first: int, numbers: Sequence[int], reading: Reading, most: float
    ) -> tuple[list[int], list[float]] | None:
        """Return what has the highest score under each context's own draw, and in which share of all it has.

        None, too, where a column of a context is not below ``most`` in size.

        Parameters
        ----------
        cells : array of float64, shape (contexts, cells), or as many numbers one after the other
        first : int
            The context with which to begin; there are as many as numbers.
        numbers : sequence of int
        reading : Reading
        most : float
        """
        n, n_cells = len(numbers), reading.n_cells
        if isinstance(cells, array):
            (start, size), fits = cells.buffer_info(), cells.typecode == "d"
        else:
            start, size, fits = _address(cells), cells.size, readable(cells)
        if not fits or LIBRARY is None or not (self._chooses and reading.fits) or reading.n_columns != self._n_columns:
            return None
        if first < 0 or (first + n) * n_cells > size:
            return None
        asked, best, share = array("q", numbers), array("q", bytes(8 * n)), array("d", bytes(8 * n))
        room = array("d", bytes(8 * n * (self._n_columns + 3 * self._n_candidates + 1)))
        start += 8 * first * n_cells
        found = [each.buffer_info()[0] for each in (asked, room, best, share)]
        sound = LIBRARY.choose(start, n, n_cells, *reading.given, most, self._n_columns, *self._shared, *found)
        return (best.tolist(), share.tolist()) if sound else None

    def count(self, contexts: np.ndarray, means: np.ndarray, members: np.ndarray) -> Counted | None:
        """Return what comes of contexts.

        Parameters
        ----------
        contexts : array, shape (contexts, columns)
        means : array, shape (contexts, candidates)
            Contexts times ``twice``.
        members : array of int64, shape (contexts,)
            The draw that is each context's own.
        """
        n_contexts, shape = len(contexts), (len(contexts), self._n_candidates)
        if LIBRARY is None or not self._counts or not readable(contexts, means):
            return None
        if contexts.shape[1] != self._n_columns or means.shape != shape:
            return None
        if members.dtype != _INT64 or not _lies(members) or len(members) != n_contexts:
            return None
        own, best, counts = np.empty(shape), np.empty(n_contexts, dtype=np.int64), np.zeros(shape)
        given = (_address(contexts), n_contexts, self._n_columns, *self._given, _address(means), self._n_draws)
        found = (self._barred, _address(members), _address(own), _address(best), _address(counts))
        return Counted(own, counts) if LIBRARY.count(*given, *found) else None


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
    if LIBRARY is None or not readable(pull, field) or not (at.flags.writeable and field.flags.writeable):
        return False
    if not all(array.dtype == _INT64 and _lies(array) for array in (first, order, at)):
        return False
    given = (_address(pull), len(pull), _address(first), _address(order), len(order), rounds)
    LIBRARY.climb(*given, len(at), _address(at), _address(field))
    return True


def learn(
    link: str,
    tilt: Callable[[float, float, float], tuple[float, float]],
    precision: np.ndarray,
    shift: np.ndarray,
    index: np.ndarray,
    value: np.ndarray,
    starts: Sequence[int],
    answers: Sequence[float],
) -> tuple[Float[np.ndarray, " cells"], Float[np.ndarray, " cells"]] | None:
    """Move independent beliefs, in place, by answers one after the other; return what was added, cell by cell.

    Parameters
    ----------
    link : str
        Answers of "probit" and "logit" are learned without a call of ``tilt``.
    tilt : callable
        ``(answer, mean, variance) -> (first, second)``: derivatives of the logarithm of the answer's probability.
    precision, shift : array of float64, shape (K,)
        The beliefs.
    index : array of int64, shape (cells,)
        Parameters, in a row each once.
    value : array of float64, shape (cells,)
    starts : sequence of int
        Where the cells of each row begin, and, at last, end.
    answers : sequence of float

    Returns
    -------
    tuple of array, or None
        None where something does not fit, before anything was learned.

    Raises
    ------
    IndexError
        If a row touches a parameter that is not there, or ends before it begins; the rows before it are learned.
    """
    size, places = len(index), _moved(precision, shift, index, value)
    if LIBRARY is None or places is None:
        return None
    if starts[0] < 0 or starts[-1] > size or len(starts) != len(answers) + 1:
        return None
    added, to, *beliefs = places
    # One for each call: threads may learn at once.
    found = _Answers(_address(index), _address(value), *beliefs, len(shift), to, to + added.strides[0])
    known, place, start = _LINKS.get(link, 0), ctypes.addressof(found), starts[0]
    for answer, stop in zip(answers, starts[1:], strict=True):
        if not start <= stop <= size:
            raise IndexError("a row ends before it begins, or beyond the last cell")
        if not (known and LIBRARY.learn(place, known, start, stop, answer)):
            if not LIBRARY.predict(place, start, stop):
                raise IndexError(f"a row touches a parameter that is none of the {len(shift)}")
            LIBRARY.move(place, start, stop, *tilt(answer, found.mean, found.variance))
        start = stop
    return added[0], added[1]


def learn_one(
    link: str, precision: np.ndarray, shift: np.ndarray, index: np.ndarray, value: np.ndarray, answer: float
) -> Float[np.ndarray, "two cells"] | None:
    """Return what :func:`learn` does for one row alone, in half the time; None where that is to be asked."""
    known, places = _LINKS.get(link, 0), _moved(precision, shift, index, value)
    if LIBRARY is None or not known or places is None:
        return None
    added, to, *beliefs = places
    given = (_address(index), _address(value), len(index), answer, to)
    return added if LIBRARY.learn_one(known, *beliefs, len(shift), *given) else None


def _moved(
    precision: np.ndarray, shift: np.ndarray, index: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, int, int, int] | None:
    """Return an array for what will be added, where that and the beliefs lie; None where something does not fit."""
    if index.dtype != _INT64 or not _lies(index) or not readable(value, precision, shift):
        return None
    if len(value) != len(index) or len(precision) != len(shift):
        return None
    added = np.empty((2, len(index)))
    try:  # there is no such address of what cannot be written, is empty, or does not lie in one piece
        return added, _writable(added), _writable(precision), _writable(shift)
    except (TypeError, ValueError):
        return None


def readable(*arrays: np.ndarray) -> bool:
    """Return whether loops read these as they lie in memory."""
    return all(array.dtype == _FLOAT64 and _lies(array) for array in arrays)


def _lies(array: np.ndarray) -> bool:
    """Return whether cells lie one after the other, each where the processor wants it."""
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def _address(array: np.ndarray | None) -> int:
    """Return where an array begins; 0, which a loop takes for none, without one."""
    if array is None:
        return 0
    try:
        return _writable(array)  # a sixth of the time of what is right for all arrays
    except (TypeError, ValueError):
        return int(array.__array_interface__["data"][0])


def _writable(array: np.ndarray) -> int:
    # Arrays are typed as buffers from Python 3.12 on.
    return ctypes.addressof(_byte_of(array))  # type: ignore[arg-type]


def _step(each: np.ndarray, n_rows: int) -> int:
    """Return how many cells a row begins after the one before."""
    return each.shape[1] if len(each) == n_rows else 0


def _limit(tolerance: float | None) -> float:
    return -1.0 if tolerance is None else tolerance


def _fit(n_rows: int, codes: np.ndarray | None, *each: np.ndarray) -> bool:
    """Return whether codes are of so many rows, and arrays of as many, or of one for all."""
    if codes is not None and (codes.dtype != _INT32 or not _lies(codes) or len(codes) != n_rows):
        return False
    return all(len(one) in (1, n_rows) for one in each)
