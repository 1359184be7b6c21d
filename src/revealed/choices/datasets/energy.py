"""Households' choices of an electricity contract and of a heating system. Imports its own room only."""

from __future__ import annotations

from revealed.choices.columns import Columns
from revealed.choices.datasets.shelf import decoded, raw, replaced
from revealed.choices.log import ChoiceLog
from revealed.choices.wide import Wide, from_wide

_SYSTEMS = {
    "gas_central": "gc",
    "gas_room": "gr",
    "electric_central": "ec",
    "electric_room": "er",
    "heat_pump": "hp",
}
_REGIONS = {"ncostl": "northern coast", "scostl": "southern coast", "mountn": "mountains", "valley": "central valley"}


def electricity() -> ChoiceLog:
    """Return the stated choices of 361 households between four offers of electricity, up to 12 choices each.

    Returns
    -------
    ChoiceLog
        Columns: case, person, alternative, chosen; price (cents a kWh; 0 where the rate is time_of_day or seasonal),
        contract_years, local, well_known, time_of_day, seasonal. See ``datasets.card("electricity")``.
    """
    columns = {
        "case": "chid",
        "person": "id",
        "alternative": "alt",
        "chosen": "choice",
        "price": "pf",
        "contract_years": "cl",
        "local": "loc",
        "well_known": "wk",
        "time_of_day": "tod",
        "seasonal": "seas",
    }
    table = raw("electricity", columns)
    offers = decoded(table["alternative"], {number: f"offer_{number}" for number in range(1, 5)})
    table = replaced(table, alternative=offers)
    return ChoiceLog.from_table(table, Columns(person="person"), attributes=tuple(columns)[4:], source="electricity")


def heating() -> ChoiceLog:
    """Return which of five heating systems went into 900 new Californian houses.

    Returns
    -------
    ChoiceLog
        Columns: case, alternative, chosen; installation_cost (dollars), operating_cost (dollars a year); income,
        head_age (years), rooms, region. See ``datasets.card("heating")``.
    """
    table = raw("heating")
    table = replaced(table, region=decoded(table["region"], _REGIONS))
    names = [{"idcase": "case", "agehed": "head_age"}.get(name, name) for name in table.column_names]
    spec = Wide(
        alternatives=_SYSTEMS,
        choice="depvar",
        attributes={"installation_cost": "`ic.{code}`", "operating_cost": "`oc.{code}`"},
        case="case",
        keep=["income", "head_age", "rooms", "region"],
    )
    attributes = ("installation_cost", "operating_cost")
    return from_wide(table.rename_columns(names), spec, attributes=attributes).renamed("heating")
