"""What is pinned can be installed with each Python that the package is for: Debian 12 has 3.11.2."""

from importlib.metadata import distributions
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
OLDEST = "3.11.0"


def test_pins_are_for_the_oldest_python() -> None:
    lines = ROOT.joinpath("constraints.txt").read_text().splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line and line[0] != "#"}
    wanted = {canonicalize_name(one.name): one.metadata["Requires-Python"] or "" for one in distributions()}
    assert len(pinned & wanted.keys()) > 50
    later = {name: wanted[name] for name in pinned & wanted.keys() if not SpecifierSet(wanted[name]).contains(OLDEST)}
    assert not later, f"these need a later Python than {OLDEST}: pin an older version"
