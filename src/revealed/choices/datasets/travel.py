"""Travellers' choices of a mode: stated in Switzerland, revealed in Canada and Australia. Imports its own room only."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from revealed.choices.columns import Columns
from revealed.choices.datasets.shelf import decoded, raw, replaced
from revealed.choices.log import ChoiceLog
from revealed.choices.wide import Wide, from_wide
from revealed.errors import SpecificationError, nearest

_PURPOSES = {
    1: "commuting",
    2: "shopping",
    3: "business",
    4: "leisure",
    5: "return from work",
    6: "return from shopping",
    7: "return from business",
    8: "return from leisure",
    9: "other",
}
_TICKETS = {
    0: "none",
    1: "return with half-fare card",
    2: "single with half-fare card",
    3: "return at full fare",
    4: "single at full fare",
    5: "half day",
    6: "annual pass",
    7: "annual pass, junior or senior",
    8: "free after 7 pm",
    9: "group",
    10: "other",
}
_PAYERS = {0: "unknown", 1: "self", 2: "employer", 3: "half and half"}
_LUGGAGE = {0: "none", 1: "one piece", 3: "several pieces"}
_AGES = {1: "up to 24", 2: "25 to 39", 3: "40 to 54", 4: "55 to 65", 5: "over 65", 6: "unknown"}
_INCOMES = {0: "under 50", 1: "under 50", 2: "50 to 100", 3: "over 100", 4: "unknown"}
_PERSONAL = {
    "group": "GROUP",
    "purpose": "PURPOSE",
    "first_class": "FIRST",
    "ticket": "TICKET",
    "who_pays": "WHO",
    "luggage": "LUGGAGE",
    "age": "AGE",
    "male": "MALE",
    "income": "INCOME",
    "season_pass": "GA",
    "origin": "ORIGIN",
    "destination": "DEST",
}


def swissmetro(*, purposes: Sequence[int] | None = (1, 3), unit: float = 100.0) -> ChoiceLog:
    """Return the stated choices of 1,192 Swiss travellers between train, car and a magnetic train never built.

    With the defaults it is the sample of Bierlaire's examples, on which published estimates rest: commuting and
    business trips, times and costs in hundreds, train and Swissmetro free of charge for holders of an annual pass,
    cars only for those who have one.

    Parameters
    ----------
    purposes : sequence of int, optional
        The codes of the trips to keep (1 commuting, 2 shopping, 3 business, 4 leisure, …); None keeps all.
    unit : float
        Times and costs are in this many minutes and francs.

    Returns
    -------
    ChoiceLog
        Columns: case (the row of the file, from 1), person, alternative, chosen, available; time, cost, headway
        (minutes), airline_seats; and of the traveller and the trip group, purpose, first_class, ticket, who_pays,
        luggage, age, male, income, season_pass, origin, destination. See ``datasets.card("swissmetro")``.
    """
    if unit <= 0:
        raise SpecificationError(f"unit must be above 0, not {unit}")
    unknown = [code for code in purposes or () if code not in _PURPOSES]
    if unknown:
        raise SpecificationError(f"no purpose {unknown[0]}; the codes are 1 to 9, see datasets.card('swissmetro')")
    table = raw("swissmetro")
    codes = _PURPOSES if purposes is None else purposes
    decode = {
        "purpose": _PURPOSES,
        "ticket": _TICKETS,
        "who_pays": _PAYERS,
        "luggage": _LUGGAGE,
        "age": _AGES,
        "income": _INCOMES,
    }
    for tidy, name in _PERSONAL.items():
        values = decoded(table[name], decode[tidy]) if tidy in decode else table[name]
        table = table.append_column(tidy, values)
    table = table.append_column("person", table["ID"])
    wanted = " or ".join(f"PURPOSE == {code}" for code in codes)
    spec = Wide(
        alternatives={"train": 1, "swissmetro": 2, "car": 3},
        choice="CHOICE",
        attributes={
            "time": {"train": f"TRAIN_TT / {unit}", "swissmetro": f"SM_TT / {unit}", "car": f"CAR_TT / {unit}"},
            "cost": {
                "train": f"TRAIN_CO * (GA == 0) / {unit}",
                "swissmetro": f"SM_CO * (GA == 0) / {unit}",
                "car": f"CAR_CO / {unit}",
            },
            "headway": {"train": "TRAIN_HE", "swissmetro": "SM_HE", "car": 0},
            "airline_seats": {"train": 0, "swissmetro": "SM_SEATS", "car": 0},
        },
        available={"train": "TRAIN_AV * (SP != 0)", "swissmetro": "SM_AV", "car": "CAR_AV * (SP != 0)"},
        person="person",
        keep=list(_PERSONAL),
        where=f"CHOICE != 0 and ({wanted})",
    )
    return from_wide(table, spec, attributes=("time", "cost", "headway", "airline_seats")).renamed("swissmetro")


def mode_choice() -> ChoiceLog:
    """Return how 210 travellers went between Sydney, Canberra and Melbourne: by air, train, bus or car.

    Returns
    -------
    ChoiceLog
        Columns: case, alternative, chosen; terminal_time (minutes), vehicle_cost (dollars), vehicle_time (minutes),
        generalized_cost (dollars); income (thousand dollars), party_size. See ``datasets.card("mode_choice")``.
    """
    columns = {
        "case": "individual",
        "alternative": "mode",
        "chosen": "choice",
        "terminal_time": "ttme",
        "vehicle_cost": "invc",
        "vehicle_time": "invt",
        "generalized_cost": "gc",
        "income": "hinc",
        "party_size": "psize",
    }
    table = raw("mode_choice", columns)
    modes = decoded(table["alternative"], {1: "air", 2: "train", 3: "bus", 4: "car"})
    table = replaced(table, alternative=modes, chosen=pc.equal(table["chosen"], 1))
    return ChoiceLog.from_table(table, attributes=tuple(columns)[3:], source="mode_choice")


def mode_canada(*, all_modes: bool = False, modes: Sequence[str] = ("air", "bus", "car", "train")) -> ChoiceLog:
    """Return how 4,324 travellers went between Montreal and Toronto, by two to four modes they could choose from.

    Parameters
    ----------
    all_modes : bool
        Keep only the travellers who could choose between all four modes.
    modes : sequence of str
        Keep only these modes, and the travellers who chose one of them.

    Returns
    -------
    ChoiceLog
        Columns: case, alternative, chosen; cost (Canadian dollars), vehicle_time, other_time (minutes), frequency
        (departures a day), distance; income, urban. See ``datasets.card("mode_canada")``.
    """
    columns = {
        "case": "case",
        "alternative": "alt",
        "chosen": "choice",
        "cost": "cost",
        "vehicle_time": "ivt",
        "other_time": "ovt",
        "frequency": "freq",
        "distance": "dist",
        "income": "income",
        "urban": "urban",
        "n_alternatives": "noalt",
    }
    table = raw("mode_canada", columns)
    known = pc.unique(table["alternative"]).to_pylist()
    for mode in modes:
        if mode not in known:
            raise SpecificationError(f"no mode {mode!r}; {nearest(mode, sorted(known))}")
    if all_modes:
        table = table.filter(pc.equal(table["n_alternatives"], len(known)))
    offered = pc.is_in(table["alternative"], pa.array(list(modes)))
    served = table.filter(pc.and_(offered, pc.equal(table["chosen"], 1)))["case"]
    table = table.filter(pc.and_(offered, pc.is_in(table["case"], served.combine_chunks())))
    table = replaced(
        table.drop_columns("n_alternatives"),
        alternative=table["alternative"].dictionary_encode(),
        chosen=pc.equal(table["chosen"], 1),
    )
    return ChoiceLog.from_table(table, Columns(), attributes=tuple(columns)[3:-1], source="mode_canada")
