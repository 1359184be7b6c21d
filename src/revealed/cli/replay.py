"""``revealed replay``: rules of exploration in a simulated store whose truth is known. Imports report to choices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from revealed.cli.options import Json
from revealed.cli.results import require_writable
from revealed.cli.screen import Screen, remark
from revealed.errors import SpecificationError, nearest

if TYPE_CHECKING:
    import numpy as np

    from revealed.answer.table import Table
    from revealed.choices.store_world import StoreWorld
    from revealed.decide.specification import Specification
    from revealed.report.drawing import Interval

_ALL = "thompson,top_two,upper_confidence,epsilon_greedy,greedy"
#: Points of a curve, at most.
_POINTS = 200


def replay(
    specification: Annotated[Path, typer.Argument(help="What the policy is made of, in TOML.", metavar="POLICY")],
    rules: Annotated[str, typer.Option(help="Rules of exploration, with commas between them.")] = _ALL,
    rounds: Annotated[int, typer.Option(help="How many visits each run has.", min=1)] = 20_000,
    seeds: Annotated[int, typer.Option(help="How many runs of each rule, with other visitors each.", min=1)] = 5,
    batch: Annotated[int, typer.Option(help="Visits decided before their answers are learned.", min=1)] = 100,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the regret into this .png, .svg or .pdf file.", metavar="FILE")
    ] = None,
    json: Json = False,
) -> None:
    """Tell what rules of exploration lose to one who knows the truth, in a simulated store.

    The store has 20 items and features of its own, and its answers are yes or no; link, covariance, prior and limits
    are those of the policy.

    revealed replay policy.toml --rules thompson,greedy --picture regret.png
    """
    from revealed.choices.store_world import BernoulliStore
    from revealed.decide.specification import Specification

    screen = Screen(json)
    require_writable(None, picture=picture, reads=(specification,))
    made_of = Specification.read(specification)
    for part in ("layout", "slate", "delay"):
        if getattr(made_of, part) is not None:
            raise SpecificationError(
                f"[{part}] cannot be replayed: the store shows one of its items at a time and hears at once what came "
                f"of it; leave the part out of {specification}"
            )
    names = _rules(rules)
    world = BernoulliStore().world()
    with screen.working("Replaying"):
        found = _replayed(world, made_of, names, _Size(rounds, seeds, batch))
    screen.show(found.table())
    if picture is not None:
        from revealed.report.pictures import save_picture
        from revealed.report.replay_picture import picture_of_regret

        save_picture(picture_of_regret(found.rounds, found.curves()), picture)
        remark(f"Wrote {picture}")
    screen.document(found.to_dict())


@dataclass(frozen=True)
class _Size:
    rounds: int
    seeds: int
    batch: int


@dataclass(frozen=True, eq=False)
class _Replay:
    """Cumulative regret of each rule, of shape (seeds, points), at some rounds."""

    size: _Size
    rounds: np.ndarray
    regret: dict[str, np.ndarray]

    def curves(self) -> dict[str, Interval]:
        """Return the mean curves with their intervals over seeds, without that of chance, which dwarfs them."""
        from revealed.report.replay_picture import interval_of

        return {name: interval_of(runs) for name, runs in self.regret.items() if name != "random"}

    def rows(self) -> list[tuple[str, float, float | None, float | None, float]]:
        """Return rule, regret in all, its interval, and its share of the regret of chance; the least first."""
        from math import isnan

        from revealed.report.replay_picture import interval_of

        chance = float(self.regret["random"][:, -1].mean())
        rows: list[tuple[str, float, float | None, float | None, float]] = []
        for name, runs in self.regret.items():
            last = interval_of(runs[:, -1:])
            value, low, high = (float(part[0]) for part in (last.value, last.low, last.high))
            known = not isnan(low)
            rows.append((name, value, low if known else None, high if known else None, value / chance))
        return sorted(rows, key=lambda row: row[1])

    def table(self) -> Table:
        """Return a row for each rule."""
        from revealed.answer.table import Column, Table

        columns = (
            Column("rule", "text"),
            Column("regret"),
            Column("95% low"),
            Column("95% high"),
            Column("of chance", "share"),
        )
        notes = (
            f"answers lost in {self.size.rounds:,} visits to one who knows the truth; {self.size.seeds} seeds",
            f"a simulated store of 20 items, answers learned by {self.size.batch:,}; another store, another order",
        )
        return Table("Regret", columns, tuple(self.rows()), notes)

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready data."""
        names = ("rule", "regret", "low", "high", "of_chance")
        return {
            "rounds": self.size.rounds,
            "seeds": self.size.seeds,
            "batch": self.size.batch,
            "rules": [dict(zip(names, row, strict=True)) for row in self.rows()],
        }


def _rules(text: str) -> list[str]:
    from revealed.decide.explore.rules import RULES

    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in RULES:
            raise SpecificationError(f"--rules: no rule of exploration {name!r}; {nearest(name, RULES)}")
    return list(dict.fromkeys(names))


def _replayed(world: StoreWorld, made_of: Specification, names: list[str], size: _Size) -> _Replay:
    """Run each rule with each seed; the same visitors come to all rules."""
    import numpy as np

    ends = np.append(np.arange(size.batch, size.rounds, size.batch), size.rounds)
    kept = np.unique(np.linspace(0, len(ends) - 1, min(_POINTS, len(ends))).astype(int))
    regret = {
        name: np.array([_run(world, made_of, name, seed, size)[kept] for seed in range(size.seeds)]) for name in names
    }
    regret["random"] = np.array([_by_lot(world, seed, size)[kept] for seed in range(size.seeds)])
    return _Replay(size, ends[kept], regret)


def _run(world: StoreWorld, made_of: Specification, name: str, seed: int, size: _Size) -> np.ndarray:
    """Return the cumulative regret of a rule after each batch."""
    import numpy as np

    from revealed.decide.explore import Explorer, Limits, rule_named

    explore, learn = made_of.explore, made_of.learn
    options = explore.options if name == explore.rule else {}
    explorer = Explorer(rule_named(name, **options), seed, Limits(explore.floor, explore.cap))
    n_params = len(world.feature_names)
    model = learn.model(n_params, learn.variance, np.zeros(n_params, np.int64))
    lost = []
    for first in range(0, size.rounds, size.batch):
        visits = world.visits(first, min(size.batch, size.rounds - first), seed=seed)
        features = world.features(visits)
        number = np.arange(first, first + len(visits))
        shown = explorer.pick_many(model.posterior, features, number)
        lost.append(float(world.regret(visits, shown).sum()))
        if learn.keep < 1:
            model = model.faded(learn.kept(len(visits)))
        model = model.learn(features[np.arange(len(visits)), shown], world.answer(visits, shown).reward)
    return np.cumsum(lost)


def _by_lot(world: StoreWorld, seed: int, size: _Size) -> np.ndarray:
    """Return the expected cumulative regret of showing any item by lot."""
    import numpy as np

    lost = []
    for first in range(0, size.rounds, size.batch):
        visits = world.visits(first, min(size.batch, size.rounds - first), seed=seed)
        lost.append(float((world.best(visits) - world.probability(visits).mean(axis=1)).sum()))
    return np.cumsum(lost)
