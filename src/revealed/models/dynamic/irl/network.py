r"""A small network, several at once, with its gradient and Adam. Imports nothing of ours.

Layers of :math:`\tanh`, a linear one at the end. All members of an ensemble are one array, so that a step of all costs
little more than a step of one. Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float

_FIRST, _SECOND, _LEAST = 0.9, 0.999, 1e-8


class Network:
    """An ensemble of networks of one shape.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, units of each hidden layer, outputs.
    members : int
    random : Generator
        Draws the weights to begin with.
    """

    def __init__(self, sizes: Sequence[int], members: int, random: np.random.Generator) -> None:
        self.params: list[np.ndarray] = []
        for wide, narrow in pairwise(sizes):
            weights = random.normal(size=(members, wide, narrow)) / np.sqrt(wide)
            self.params += [weights.astype(np.float32), np.zeros((members, 1, narrow), dtype=np.float32)]
        self._mean = [np.zeros_like(array) for array in self.params]
        self._square = [np.zeros_like(array) for array in self.params]
        self._steps = 0

    def layers(self, x: Float[np.ndarray, "... rows inputs"]) -> list[np.ndarray]:
        """Return what each layer puts out, the inputs first; ``x`` may be the same for all members."""
        return layers_of(self.params, x)

    def __call__(self, x: Float[np.ndarray, "... rows inputs"]) -> Float[np.ndarray, "members rows outputs"]:
        """Return the outputs of each member."""
        return self.layers(x)[-1]

    def slopes(self, layers: list[np.ndarray], slope: Float[np.ndarray, "members rows outputs"]) -> list[np.ndarray]:
        """Return the slopes of a sum over rows in all parameters, from its slopes in the outputs."""
        found: list[np.ndarray] = [np.empty(0)] * len(self.params)
        for place in range(len(self.params) - 2, -1, -2):
            below = layers[place // 2]
            found[place] = np.swapaxes(below, -1, -2) @ slope
            found[place + 1] = slope.sum(axis=-2, keepdims=True)
            if place:
                slope = (slope @ np.swapaxes(self.params[place], -1, -2)) * (1 - below**2)
        return found

    def step(self, slopes: list[np.ndarray], rate: float, decay: float = 0.0) -> None:
        """Go a step of Adam downhill."""
        self._steps += 1
        unbias = np.float32(1 - _FIRST**self._steps), np.float32(1 - _SECOND**self._steps)
        for place, (array, slope) in enumerate(zip(self.params, slopes, strict=True)):
            mean, square = self._mean[place], self._square[place]
            mean += np.float32(1 - _FIRST) * (slope - mean)
            square += np.float32(1 - _SECOND) * (slope * slope - square)
            move = mean / unbias[0] / (np.sqrt(square / unbias[1]) + np.float32(_LEAST))
            if place % 2 == 0:  # constants are not drawn towards zero
                move = move + np.float32(decay) * array
            array -= np.float32(rate) * move

    def state(self) -> list[np.ndarray]:
        """Return a copy of the parameters."""
        return [array.copy() for array in self.params]


def layers_of(params: Sequence[np.ndarray], x: Float[np.ndarray, "... rows inputs"]) -> list[np.ndarray]:
    """Return what each layer of an ensemble puts out, the inputs first."""
    found, last = [x], len(params) - 2
    for place in range(0, len(params), 2):
        linear = found[-1] @ params[place] + params[place + 1]
        found.append(linear if place == last else np.tanh(linear))
    return found
