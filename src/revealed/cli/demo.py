"""``revealed demo``: the whole way on real choices, told as a story. Imports report to choices when run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from revealed.cli.datasets import export_log
from revealed.cli.demo_buses import Outlook, chapter_on_buses, look_ahead
from revealed.cli.demo_policy import SPECIFICATION, Lesson, chapter_of, learn_a_policy
from revealed.cli.demo_service import chapter_on_service, look_around, somebody_looks, stay_open, store_service
from revealed.cli.options import Json
from revealed.cli.screen import Screen
from revealed.cli.serve import require_service
from revealed.errors import MissingExtraError, OutputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from revealed.answer.elasticity import Elasticities
    from revealed.answer.table import Table
    from revealed.answer.validation import Validation
    from revealed.answer.whatif import WhatIf
    from revealed.answer.willingness import WillingnessToPay
    from revealed.choices import ChoiceLog
    from revealed.models import Fit
    from revealed.report.content import Section

_UTILITY = "C(alternative) + cost + time"
_DEARER = "cost[alternative == 'train'] *= 1.1"
#: Multiples of today's train price for the demand curve.
_PRICES = tuple(0.5 + 0.1 * step for step in range(16))


@dataclass(frozen=True)
class _Findings:
    """All that the demo finds out."""

    fit: Fit
    worth: WillingnessToPay
    elasticities: Elasticities
    dearer: WhatIf
    prices: tuple[WhatIf, ...]
    validation: Validation
    lesson: Lesson
    outlook: Outlook

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "fit": self.fit.summary().to_dict(),
            "willingness_to_pay": self.worth.to_dict(),
            "elasticities": self.elasticities.to_dict(),
            "whatif": self.dearer.to_dict(),
            "validation": self.validation.to_dict(),
            "policy": self.lesson.to_dict(),
            "over_time": self.outlook.to_dict(),
        }


def demo(
    output: Annotated[Path, typer.Option(help="The folder for what it writes.", metavar="FOLDER")] = Path(
        "demo-output"
    ),
    service: Annotated[
        float,
        typer.Option(help="Then let a service decide for a simulated store, for so many seconds; 0: not.", min=0),
    ] = 0.0,
    json: Json = False,
) -> None:
    """Show what the package does, on the choices of real travellers; takes seconds.

    Writes the data, the fit, a report and pictures, and tells how to do the same with your own file. With --service
    it ends with the service's console open, until Ctrl-C; without a terminal it opens the pages itself, and ends.
    """
    from revealed.choices.datasets import swissmetro

    if service:
        require_service()
    screen = Screen(json)
    _make_folder(output)
    with screen.working("Reading, fitting, trying out"):
        log = swissmetro(unit=1)
        found = _find_out(log)
    story = list(_story(found))
    screen.show(story)
    with screen.working("Drawing"):
        pictures, without = _pictures(found)
        files = _write(output, log, found, story, pictures)
    told = found.to_dict() | {"files": [str(file) for file in files], "command": _command(output)}
    if service:
        told["service"] = serve_a_store(output, screen, service, _farewell(output, without))
    else:
        screen.say(_farewell(output, without))
    screen.document(told)


def serve_a_store(folder: Path, screen: Screen, seconds: float, farewell: str) -> dict[str, Any]:
    """Let a service decide, tell of it, take leave, and end with its console; return what a machine is told of it."""
    pictures: list[Path] = []
    with store_service(folder) as service:
        with screen.working("Deciding for a simulated store"):
            found = service.visited(seconds)
        screen.say()
        screen.show(chapter_on_service(found, 8))
        screen.say(farewell)
        if somebody_looks(screen):
            stay_open(service, screen, _program())
        else:
            pictures = look_around(service, screen)
    screen.say("The service has ended.")
    return found.to_dict() | {"address": service.address, "pictures": [str(picture) for picture in pictures]}


def _find_out(log: ChoiceLog) -> _Findings:
    from revealed.answer.validation import validate
    from revealed.models import Logit

    model = Logit(_UTILITY)
    fit = model.fit(log)
    return _Findings(
        fit=fit,
        worth=fit.willingness_to_pay("-time", cost="cost", scale=60, per="hour"),
        elasticities=fit.elasticities(log, "cost"),
        dearer=fit.whatif(log, _DEARER, cost="cost"),
        prices=tuple(fit.whatif(log, f"cost[alternative == 'train'] *= {factor:.1f}") for factor in _PRICES),
        validation=validate(model, log, folds=5),
        lesson=learn_a_policy(),
        outlook=look_ahead(),
    )


# ---- the story ------------------------------------------------------------------------------------------------------


def _story(found: _Findings) -> Iterator[Section]:
    from revealed.report.content import Section, Text

    data = found.fit.data
    yield Section(
        "What Swiss travellers value, by what they chose",
        (
            Text(
                f"In 1998, {data.n_persons:,} Swiss commuters and business travellers told how they would make a trip: "
                "by train, by car, or by Swissmetro, a fast underground train that was planned and never built. Each "
                f"chose nine times, among other prices and travel times: {data.n_cases:,} choices. Nobody asked them "
                "what a minute is worth. Their choices tell."
            ),
        ),
    )
    yield from (
        _weights(found),
        _worth(found),
        _dearer(found),
        _response(found),
        _trust(found),
        chapter_of(found.lesson, 6),
        chapter_on_buses(found.outlook, 7),
    )


def _weights(found: _Findings) -> Section:
    from revealed.report.content import Code, Section, Text

    estimates = found.fit.summary().table()
    return Section(
        "1. What they weigh",
        (
            Text("Each alternative gets a score, and the higher the score, the likelier the choice:"),
            Code(f"score = {_UTILITY}"),
            Text(
                "cost is in francs, time in minutes; C(alternative) stands for all else that makes people prefer one "
                "way of travel, compared with the car. The estimates are the weights that make the choices that were "
                "made as likely as they can be (a conditional logit). A minus puts people off."
            ),
            replace(estimates, title=""),
        ),
    )


def _worth(found: _Findings) -> Section:
    from revealed.report.content import Section, Text

    worth = found.worth["-time"]
    return Section(
        "2. What time is worth",
        (
            Text(
                f"They would pay {worth.value:.0f} francs to save an hour, that is {worth.value / 60:.2f} a minute: "
                f"the weight of time over the weight of cost. The data cannot say it to the franc: the range from "
                f"{worth.low:.0f} to {worth.high:.0f} holds the true value with 95% confidence."
            ),
        ),
    )


def _dearer(found: _Findings) -> Section:
    from revealed.report.content import Section, Text

    answer = found.dearer
    train, car, metro = (answer.share(name) for name in ("train", "car", "swissmetro"))
    surplus = answer.surplus[0].per_choice
    lost = -train.difference.value
    text = (
        f"The train would keep {train.after.value:.1%} of these trips instead of {train.before.value:.1%}. "
        f"Of those who leave it, {metro.difference.value / lost:.0%} would take the Swissmetro and "
        f"{car.difference.value / lost:.0%} the car. The average trip gets {-surplus.value:.2f} francs worse "
        f"[{-surplus.high:.2f} to {-surplus.low:.2f}], counting those who pay more and those who go another way."
    )
    warnings = tuple(Text(warning, "warning") for warning in answer.warnings)
    return Section("3. What if the train cost 10% more?", (Text(text), _bare(answer.table()), *warnings))


def _response(found: _Findings) -> Section:
    from revealed.report.content import Section, Text

    own = {name: found.elasticities.find(name, name).value for name in ("train", "swissmetro", "car")}
    most = min(own, key=lambda name: own[name])
    text = (
        "Elasticities: by how many percent the share in the row changes when the cost in the column rises by 1%. "
        f"The {most} reacts most to its own price ({own[most]:.2f})."
    )
    return Section("4. How strongly they react to prices", (Text(text), _bare(found.elasticities.table())))


def _bare(table: Table) -> Table:
    """Return a table for a story that has said the rest: without title and notes."""
    return replace(table, title="", notes=())


def _trust(found: _Findings) -> Section:
    from revealed.report.content import Section, Text

    tried = found.validation.held_out
    scores = tried.scores
    worst = max(tried.bins, key=lambda each: abs(each.observed - each.predicted))
    text = (
        "The travellers were split into five groups, and the choices of each group foretold from those of the other "
        f"four. The model gave what they then chose a probability of {_geometric(scores.log_likelihood):.0%} (a "
        f"geometric mean; guessing gives {_geometric(scores.null_log_likelihood):.0%}). The shares come out right:"
    )
    but = (
        f"Its probabilities come true to within {100 * tried.expected_calibration_error:.1f} percentage points on "
        f"average, but where it says {worst.predicted:.0%} it was {worst.observed:.0%}: one weight of time and one of "
        "cost for everybody is too simple. Such a check tells when a model is good enough, and when to refine it."
    )
    return Section("5. Does it foresee choices it has not seen?", (Text(text), _bare(tried.shares_table()), Text(but)))


def _geometric(log_likelihood: float) -> float:
    from math import exp

    return exp(log_likelihood)


# ---- what it writes -------------------------------------------------------------------------------------------------


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}; choose another") from None


def _pictures(found: _Findings) -> tuple[dict[str, tuple[Figure, str]], str]:
    """Return the pictures by name, each with its caption; or why there are none."""
    from revealed.report import pictures
    from revealed.report.over_time_picture import picture_of_over_time

    try:
        drawn = {
            "estimates": (
                pictures.picture_of_estimates(found.fit),
                "The weights with their 95% intervals; one that keeps clear of zero is hardly there by chance.",
            ),
            "demand": (
                pictures.picture_of_scenarios(
                    _PRICES, found.prices, "price of the train, as a multiple of today's", now=1.0
                ),
                "Who goes how as the train gets cheaper or dearer, with 95% intervals.",
            ),
            "shares": (
                pictures.picture_of_whatif(found.dearer),
                "Shares before and after a rise of train prices by 10%.",
            ),
            "calibration": (
                pictures.picture_of_calibration(found.validation.held_out),
                "How often alternatives were chosen, by the probability the model gave them before it saw the choice.",
            ),
            "buses": (
                picture_of_over_time(found.outlook.answer),
                "Buses that start with new engines, month by month; the band is the interval of what comes if dearer.",
            ),
        }
    except MissingExtraError as error:
        return {}, f"There are no pictures: {error}"
    return drawn, ""


def _write(
    folder: Path, log: ChoiceLog, found: _Findings, story: list[Section], pictures: dict[str, tuple[Figure, str]]
) -> list[Path]:
    from revealed.files import write_whole
    from revealed.report.content import Section, Text
    from revealed.report.html import to_page
    from revealed.report.pictures import as_picture, save_picture

    data, fit, report = folder / "swissmetro.csv", folder / "fit.json", folder / "report.html"
    buses = folder / "buses.json"
    export_log(log, data)
    found.fit.save(fit)
    found.outlook.fit.save(buses)
    specification, policy = folder / "policy.toml", folder / "policy.json"
    write_whole(specification, SPECIFICATION)
    found.lesson.policy.save(policy)
    files = [data, fit, specification, policy, buses]
    for name, (figure, _) in pictures.items():
        files += [save_picture(figure, folder / f"{name}{suffix}") for suffix in (".png", ".svg")]
    illustrated = dict(zip(pictures, (as_picture(*pair) for pair in pictures.values()), strict=True))
    places = {1: ("estimates",), 3: ("shares", "demand"), 5: ("calibration",), 7: ("buses",)}
    chapters: list[Any] = []
    for number, section in enumerate(story):
        added = tuple(illustrated[name] for name in places.get(number, ()) if name in illustrated)
        title = "" if number == 0 else section.title
        chapters.append(Section(title, (*section.blocks, *added)))
    details = [found.fit.summary(), found.worth, found.elasticities.details(), found.dearer, found.validation]
    details += [found.outlook.fit.summary(), found.outlook.answer]
    data_facts = found.fit.data
    lead = f"{data_facts.n_persons:,} travellers, {data_facts.n_cases:,} choices, Swissmetro survey 1998"
    in_full = Section("In full", (Text("The same results with all figures, and what they rest on."),))
    page = to_page([*chapters, in_full, *details], story[0].title, lead)
    return [write_whole(report, page), *files]


def _program() -> str:
    """Return what to type for ``revealed``: its path where the shell would not find it, as after ``make demo``."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "revealed" and shutil.which("revealed") is None else "revealed"


def _command(folder: Path) -> str:
    return f'{_program()} fit {folder / "swissmetro.csv"} --utility "{_UTILITY}"'


def _farewell(folder: Path, without: str) -> str:
    return f"""
Now with your own choices

{without or f"Open {folder / 'report.html'} in a browser for the pictures; each is in {folder}/ as .png and .svg too."}
The data are in {folder / "swissmetro.csv"}: one row per choice and alternative. Fit them yourself:

  {_command(folder)}

For your own file, say which columns are the choice situation, the alternative and the choice:

  {_program()} fit yours.csv --case trip --alternative mode --chosen taken --utility "C(mode) + price"

For what you showed and what was clicked, write a file such as {folder / "policy.toml"}, and:

  {_program()} learn yours.toml shown.csv --out policy.json

And for what would happen over time, here or with what 'revealed dynamic' saves of a panel of yours:

  {_program()} whatif {folder / "buses.json"} --set "price *= 0.8" --months 60
"""
