"""Pictures: they show the numbers they are given, stay inside their frame, and are written whole."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from revealed.answer import calibrate, demand_curve, whatif
from revealed.choices import ChoiceLog
from revealed.errors import MissingExtraError, OutputError
from revealed.models import Fit
from revealed.report import to_page
from revealed.report.drawing import Interval, draw_calibration, draw_demand, draw_estimates, draw_shares
from revealed.report.pictures import (
    as_picture,
    picture_of_calibration,
    picture_of_demand,
    picture_of_estimates,
    picture_of_scenarios,
    picture_of_whatif,
    save_picture,
)
from revealed.report.replay_picture import interval_of, picture_of_regret


def interval(*values: float, half: float = 0.1) -> Interval:
    array = np.array(values, dtype=np.float64)
    return Interval(array, array - half, array + half)


def words(figure: Any) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def points(ax: Any) -> np.ndarray:
    """Return where the points of all scatters of an axis are."""
    from matplotlib.collections import PathCollection

    scatters = [each for each in ax.collections if isinstance(each, PathCollection)]
    return np.concatenate([np.asarray(each.get_offsets()).reshape(-1, 2) for each in scatters])


def is_inside(figure: Any) -> bool:
    """Whether all that is drawn lies inside the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.get_tightbbox(canvas.get_renderer())
    width, height = figure.get_size_inches()
    return bool(box.x0 > -0.01 and box.y0 > -0.01 and box.x1 < width + 0.01 and box.y1 < height + 0.01)


def test_estimates_of_unlike_size_get_axes_of_their_own() -> None:
    estimates = Interval(
        np.array([5.0, -0.01, 3.0, 0.02]), np.array([4.0, -0.02, 2.0, np.nan]), np.array([6.0, 0.0, 4.0, np.nan])
    )
    figure = draw_estimates(["a", "b", "c", "d"], estimates)
    labels = [[tick.get_text() for tick in ax.get_yticklabels()] for ax in figure.axes]
    assert labels == [["a", "c"], ["b", "d"]]
    drawn = np.concatenate([points(ax)[:, 0] for ax in figure.axes])
    assert sorted(drawn.tolist()) == sorted(estimates.value.tolist())


def test_the_estimates_of_a_fit(fit: Fit) -> None:
    figure = picture_of_estimates(fit, errors="robust", level=0.9)
    assert set(fit.names) <= set(words(figure))
    assert "estimate and 90% interval (robust errors)" in words(figure)
    segments = np.concatenate(
        [np.array(c.get_segments()) for c in figure.axes[0].collections if hasattr(c, "get_segments")]
    )
    widths = segments[:, 1, 0] - segments[:, 0, 0]
    assert np.allclose(widths, 2 * 1.644853627 * fit.standard_errors("robust"))


def test_shares_before_and_after(fit: Fit, log: ChoiceLog) -> None:
    answer = whatif(fit, log, "cost[mode == 'train'] *= 2")
    figure = picture_of_whatif(answer)
    texts = words(figure)
    for item in answer.shares:
        change = f"{100 * item.difference.value:+.1f}".replace("-", "−")
        assert any(
            f"{100 * item.before.value:.1f}% → {100 * item.after.value:.1f}%" in t and change in t for t in texts
        )


def test_demand_falls_with_the_price(fit: Fit, log: ChoiceLog) -> None:
    curve = demand_curve(fit, log, "cost", "train", [0.5, 1.0, 2.0, 4.0])
    line = picture_of_demand(curve).axes[0].get_lines()[0]
    assert np.asarray(line.get_xdata()).tolist() == [0.5, 1.0, 2.0, 4.0]
    assert (np.diff(np.asarray(line.get_ydata(), dtype=float)) < 0).all()


def test_scenarios_draw_every_alternative_by_name(fit: Fit, log: ChoiceLog) -> None:
    answers = [whatif(fit, log, f"cost[mode == 'train'] *= {f}") for f in (0.5, 1.0, 1.5)]
    figure = picture_of_scenarios([0.5, 1.0, 1.5], answers, "times", now=1.0)
    assert {"bus", "car", "train", "now", "times"} <= set(words(figure))


def test_calibration_of_a_fit(fit: Fit, log: ChoiceLog) -> None:
    found = calibrate(fit, log, bins=5)
    figure = picture_of_calibration(found)
    assert np.allclose(points(figure.axes[0]), [(each.predicted, each.observed) for each in found.bins])


LONG = ["short", "an alternative of a name that goes on for ever and a day, and then some more", "$5_ticket$", "名前"]
HARD = {
    "estimates": lambda: draw_estimates(LONG, interval(1, -2, 300, 0.001)),
    "shares": lambda: draw_shares(LONG[:2], np.array([0.99, 0.01]), interval(0.999, 0.001, half=0.0005)),
    "demand": lambda: draw_demand(
        np.array([1.0, 2.0]), [interval(0.3, 0.3 + i / 1e3) for i in range(3)], LONG[:3], "p", 1.0
    ),
    "many": lambda: draw_demand(np.array([1.0, 2.0]), [interval(0.05, 0.05)] * 12, [f"mode {i}" for i in range(12)]),
    "calibration": lambda: draw_calibration(np.array([0.0, 1.0]), interval(0.0, 1.0), np.array([1.0, 5.0])),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")  # whatever fonts a machine has
def test_nothing_is_cut_off(name: str) -> None:
    assert is_inside(HARD[name]())


def test_what_is_cut_off_is_found() -> None:
    figure = draw_estimates(["a"], interval(1))
    figure.text(0.99, 0.5, "far too long for its place")
    assert not is_inside(figure)


def test_names_of_lines_do_not_overlap() -> None:
    shares = [interval(0.3, 0.3), interval(0.3, 0.301), interval(0.31, 0.302)]
    figure = draw_demand(np.array([1.0, 2.0]), shares, ["bus", "car", "train"])
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = sorted(
        t.get_window_extent().intervaly.tolist()
        for t in figure.findobj(Text)
        if t.get_text() in ("bus", "car", "train")
    )
    assert all(low[1] <= high[0] + 1 for low, high in pairwise(boxes))


def test_pictures_are_written_in_each_format_and_are_the_same_each_time(fit: Fit, tmp_path: Path) -> None:
    figure = picture_of_estimates(fit)
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        path = save_picture(figure, tmp_path / f"a{suffix}")
        assert path.read_bytes().startswith(start)
    again = save_picture(picture_of_estimates(fit), tmp_path / "b.svg")
    assert again.read_bytes() == (tmp_path / "a.svg").read_bytes()
    with pytest.raises(OutputError, match=r"\.gif"):
        save_picture(figure, tmp_path / "a.gif")
    with pytest.raises(OutputError, match="nothing was changed"):
        save_picture(figure, tmp_path / "no folder" / "a.png")


def test_in_a_page_a_picture_takes_the_page_s_colours(fit: Fit) -> None:
    picture = as_picture(picture_of_estimates(fit), "What <they> weigh")
    ET.fromstring(picture.svg)
    assert "var(--ink" in picture.svg
    assert "metadata" not in picture.svg
    page = to_page(picture, "Pictures")
    assert picture.svg in page
    assert "What &lt;they&gt; weigh" in page


def test_without_matplotlib_the_remedy_is_said(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'revealed\[plots\]'"):
        picture_of_estimates(fit)


def test_drawing_leaves_no_global_state(fit: Fit) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    picture_of_estimates(fit)
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules


def test_curves_of_regret_start_from_nothing() -> None:
    runs = np.array([[3.0, 5.0], [5.0, 6.0]])
    for points in (1, 2):
        figure = picture_of_regret(np.array([50, 100])[:points], {"greedy": interval_of(runs[:, :points])})
        (line,) = figure.axes[0].get_lines()
        drawn = np.asarray(line.get_xydata()).tolist()
        assert drawn[:2] == [[0, 0], [50, 4]]
        assert len(drawn) == points + 1
