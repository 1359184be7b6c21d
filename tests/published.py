"""Numbers printed elsewhere, as text so that every printed digit is kept, with where they stand.

Each table also names the cells whose last printed digit is not that of the maximum itself, because the program that
printed it stopped iterating a little short (``short``), and how far off the farthest is, in units of the last printed
place. The tests hold the other cells to every digit, hold these to that distance, and check that the likelihood at our
estimates is not below that at the printed ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True)
class Printed:
    """A printed table of estimates.

    Parameters
    ----------
    where : str
        The document, its version and what it says of the specification.
    columns : tuple of str
        What each row's cells are: ``value``, ``classic`` and ``robust`` standard errors, and for each of the two
        ``t …`` (the ratio), ``p …`` (two-sided, normal), ``low …`` and ``high …`` (the 95% interval).
    rows : mapping
        Parameter, under the name our fit gives it, to the cells as printed; an empty cell was not printed, or says
        only that the number is small.
    figures : mapping
        Figures of the whole fit, as printed.
    short : frozenset of (str, str)
        The cells (parameter, column) whose last digit is not that of the maximum.
    off_by : float
        The farthest of those, in units of the last printed place.
    """

    where: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]
    figures: Mapping[str, str] = field(default_factory=dict)
    short: frozenset[tuple[str, str]] = frozenset()
    off_by: float = 0.5

    def cells(self) -> dict[tuple[str, str], str]:
        """Return ``{(parameter, column): text}`` of all printed cells."""
        return {
            (name, column): text
            for name, row in self.rows.items()
            for column, text in zip(self.columns, row, strict=True)
            if text
        }


def last_places_off(value: float, printed: str) -> float:
    """Return how far a value is from a printed number, in units of the last printed place.

    >>> last_places_off(0.12349, ".123")
    0.49
    >>> round(last_places_off(-6964.66, "−6,964.7"), 6)
    0.4
    """
    number = Decimal(printed.strip().replace("\N{MINUS SIGN}", "-").replace(",", ""))
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), f"{printed!r} is not a number"
    return float(abs(Decimal(repr(float(value))) - number) / Decimal(1).scaleb(exponent))


def matches_printed(value: float, printed: str) -> bool:
    """Whether a value agrees with a printed number to its last digit: within half a unit of the last place.

    >>> matches_printed(-0.1546334, "−.154633"), matches_printed(-0.1546336, "−.154633")
    (True, False)
    """
    return last_places_off(value, printed) <= 0.5


# ---- Swissmetro, logit ----------------------------------------------------------------------------------------------
# Bierlaire's first example: utilities asc + b_time * time / 100 + b_cost * cost / 100, Swissmetro as the reference; the
# sample that datasets.swissmetro() returns.

SWISSMETRO_REPORT = Printed(
    where=(
        "github.com/michelbierlaire/biogeme, commit 3d9a75237469d7d868df4ef8064968c02529fef4, "
        "examples/swissmetro/01logit.html: report of biogeme 3.2.6a, 2020-04-29. The figures of the null model and the "
        "condition number of the Hessian are from docs/source/examples/swissmetro/saved_html/b01a_logit.html, commit "
        "4a878d7e6312902af3abbfc8a530d6c77a7621fe: report of biogeme 3.3.4, 2026-08-11, otherwise the same"
    ),
    columns=("value", "classic", "t classic", "p classic", "robust", "t robust", "p robust"),
    rows={
        "alternative[car]": ("-0.155", "0.0432", "-3.58", "0.000348", "0.0582", "-2.66", "0.00785"),
        "alternative[train]": ("-0.701", "0.0549", "-12.8", "", "0.0826", "-8.49", ""),
        "cost": ("-1.08", "0.0518", "-20.9", "", "0.0682", "-15.9", ""),
        "time": ("-1.28", "0.0569", "-22.5", "", "0.104", "-12.3", ""),
    },
    figures={
        "sample size": "6768",
        "null log-likelihood": "-6964.663",
        "log-likelihood": "-5331.252",
        "likelihood ratio against null": "3266.822",
        "rho-square": "0.235",
        "rho-square-bar": "0.234",
        "AIC": "10670.5",
        "BIC": "10697.78",
        "smallest eigenvalue": "159.083",
        "largest eigenvalue": "1469.54",
        "condition number": "9.23759",
    },
)

#: From the same report: the covariance and correlation of each pair, classic and robust.
SWISSMETRO_COVARIANCES: Mapping[tuple[str, str], tuple[str, str, str, str]] = {
    ("alternative[train]", "alternative[car]"): ("0.00138", "0.58", "0.0039", "0.812"),
    ("cost", "alternative[car]"): ("0.000485", "0.216", "2.86e-05", "0.00722"),
    ("cost", "alternative[train]"): ("8.22e-06", "0.00289", "-0.000831", "-0.147"),
    ("time", "alternative[car]"): ("-0.00144", "-0.585", "-0.00482", "-0.796"),
    ("time", "alternative[train]"): ("-0.00225", "-0.722", "-0.0076", "-0.883"),
    ("time", "cost"): ("0.00055", "0.187", "0.0022", "0.309"),
}

SWISSMETRO_PYLOGIT = Printed(
    where=(
        "github.com/timothyb0912/pylogit, commit cffc9c523b5368966ef2481c7dc30f0a5d296de8, examples/notebooks/"
        "Python Biogeme Benchmark--01Logit.ipynb, the last output but one. Its robust errors are left out: they "
        "are not those of Biogeme"
    ),
    columns=("value", "classic", "t classic", "p classic"),
    rows={
        "alternative[car]": ("-0.154632", "0.043235", "-3.576518", "3.482020e-04"),
        "alternative[train]": ("-0.701187", "0.054874", "-12.778138", "2.172063e-37"),
        "cost": ("-1.083791", "0.051830", "-20.910412", ""),
        "time": ("-1.277860", "0.056883", "-22.464576", ""),
    },
    figures={"null log-likelihood": "-6,964.6630", "log-likelihood": "-5,331.2520"},
)

SWISSMETRO_INTRODUCTION = Printed(
    where=(
        "M. Bierlaire (2023), A short introduction to Biogeme, report TRANSP-OR 230620, section 6: the listing of "
        "getEstimatedParameters() of biogeme 3.2.11 (github.com/michelbierlaire/biogeme, commit 4a878d7e, reports/"
        "pandasFirstModel3.2.11/pandasfirstmodel.tex)"
    ),
    columns=("value", "robust", "t robust", "p robust"),
    rows={
        "alternative[car]": ("-0.154633", "0.058163", "-2.658590", "0.007847"),
        "alternative[train]": ("-0.701187", "0.082562", "-8.492857", ""),
        "cost": ("-1.083790", "0.068225", "-15.885521", ""),
        "time": ("-1.277859", "0.104254", "-12.257120", ""),
    },
    figures={"null log-likelihood": "-6964.663", "log-likelihood": "-5331.252"},
    # The gradient at these estimates is 6.3e-4, as the report of the same run says.
    short=frozenset(
        {
            ("alternative[car]", "value"),
            ("cost", "value"),
            ("time", "value"),
            ("cost", "t robust"),
            ("alternative[car]", "t robust"),
            ("alternative[train]", "t robust"),
            ("time", "t robust"),
        }
    ),
    off_by=11.0,
)

# ---- Swissmetro, a scale per group ----------------------------------------------------------------------------------
# The same utilities, times a scale that differs between the two groups of respondents.

SWISSMETRO_SCALE = Printed(
    where=(
        "github.com/michelbierlaire/biogeme, commit fac43cc33556bf2e1123c1a80ba2a5ff94a95c5a, "
        "examples/swissmetro/03scale.html: report of biogeme 3.2.6, 2020-06-02. The scale of group 2 is 1, that of "
        "group 3 is estimated. Reports of the same example by 3.2.7 to 3.2.9 stopped shorter still (b_time -0.375)"
    ),
    columns=("value", "classic", "t classic", "p classic", "robust", "t robust", "p robust"),
    rows={
        "alternative[car]": ("-0.0153", "0.0132", "-1.16", "0.246", "0.0185", "-0.829", "0.407"),
        "alternative[train]": ("-0.447", "0.0329", "-13.6", "", "0.0412", "-10.9", ""),
        "cost": ("-0.357", "0.0304", "-11.7", "", "0.0384", "-9.3", ""),
        "time": ("-0.374", "0.0315", "-11.9", "", "0.0445", "-8.41", ""),
        "scale of group 3": ("4.18", "0.305", "13.7", "", "0.371", "11.3", ""),
    },
    figures={"log-likelihood": "-4976.691", "AIC": "9963.381", "BIC": "9997.481"},
    short=frozenset(
        {
            ("alternative[car]", "t robust"),
            ("alternative[car]", "p robust"),
            ("alternative[train]", "robust"),
        }
    ),
    off_by=0.75,
)

SWISSMETRO_MONEY_SCALE = Printed(
    where=(
        "github.com/michelbierlaire/biogeme, commit 4a878d7e6312902af3abbfc8a530d6c77a7621fe, "
        "docs/source/examples/swissmetro/saved_html/b03_scale.html: report of biogeme 3.3.4, 2026-08-11. The "
        "coefficient of cost is fixed at -1 and both scales are estimated, so that utilities are in hundreds of francs"
    ),
    columns=("value", "robust", "t robust", "p robust"),
    rows={
        "alternative[car]": ("-0.0429", "0.0508", "-0.845", "0.398"),
        "alternative[train]": ("-1.25", "0.12", "-10.4", ""),
        "time": ("-1.05", "0.0805", "-13", ""),
        "scale of group 3": ("1.49", "0.0755", "19.8", ""),
        "scale of group 2": ("0.357", "0.0384", "9.3", ""),
    },
    figures={"log-likelihood": "-4976.691", "AIC": "9963.381", "BIC": "9997.481"},
)

# ---- Swissmetro, nested and cross-nested -----------------------------------------------------------------------------
# The same utilities; train and car in a nest of existing modes, then train also in one of public modes.

SWISSMETRO_NESTED = Printed(
    where=(
        "github.com/michelbierlaire/biogeme, commit 01c8da0caeff631001a7f6448f0558795def2cd0, "
        "examples/swissmetro/09nested.html: report of biogeme 3.2.7, 2021-07-19; its t-tests are against zero"
    ),
    columns=("value", "classic", "t classic", "p classic", "robust", "t robust", "p robust"),
    rows={
        "alternative[car]": ("-0.167", "0.0371", "-4.5", "6.76e-06", "0.0545", "-3.07", "0.00217"),
        "alternative[train]": ("-0.512", "0.0452", "-11.3", "", "0.0791", "-6.47", "9.73e-11"),
        "cost": ("-0.857", "0.0463", "-18.5", "", "0.06", "-14.3", ""),
        "time": ("-0.899", "0.057", "-15.8", "", "0.107", "-8.39", ""),
        "nest[existing]": ("2.05", "0.118", "17.5", "", "0.164", "12.5", ""),
    },
    figures={"log-likelihood": "-5236.9", "AIC": "10483.8", "BIC": "10517.9"},
)

SWISSMETRO_CROSS_NESTED = Printed(
    where=(
        "github.com/michelbierlaire/biogeme, commit 01c8da0caeff631001a7f6448f0558795def2cd0, "
        "examples/swissmetro/11cnl.html: report of biogeme 3.2.7, 2021-07-19; its t-tests are against zero"
    ),
    columns=("value", "classic", "t classic", "p classic", "robust", "t robust", "p robust"),
    rows={
        "share[train:existing]": ("0.495", "0.0289", "17.1", "", "0.0348", "14.2", ""),
        "alternative[car]": ("-0.24", "0.0384", "-6.26", "3.94e-10", "0.0534", "-4.5", "6.82e-06"),
        "alternative[train]": ("0.0981", "0.0564", "1.74", "0.0816", "0.07", "1.4", "0.161"),
        "cost": ("-0.819", "0.0446", "-18.4", "", "0.059", "-13.9", ""),
        "time": ("-0.777", "0.0558", "-13.9", "", "0.102", "-7.59", "3.24e-14"),
        "nest[existing]": ("2.51", "0.175", "14.4", "", "0.248", "10.1", ""),
        "nest[public]": ("4.11", "0.568", "7.23", "4.67e-13", "0.496", "8.28", ""),
    },
    # The gradient at these estimates is 3.4e-2, as the report says. The robust p-value of nest[public], 2.22e-16 there,
    # is one less a number next to one.
    short=frozenset(
        {
            ("alternative[car]", "p classic"),
            ("alternative[car]", "p robust"),
            ("alternative[train]", "value"),
            ("alternative[train]", "classic"),
            ("alternative[train]", "p classic"),
            ("alternative[train]", "p robust"),
            ("time", "p robust"),
            ("nest[public]", "classic"),
            ("nest[public]", "p classic"),
            ("nest[public]", "robust"),
        }
    ),
    off_by=5.1,
    figures={"log-likelihood": "-5214.049", "AIC": "10442.1", "BIC": "10489.84"},
)

# ---- Mode choice between Sydney, Canberra and Melbourne -------------------------------------------------------------
# Greene (2003), Econometric Analysis, 5th edition, table 21.11: generalized cost, terminal time and the income of those
# who fly, with constants against the car.

MODE_CHOICE_STATA = Printed(
    where=(
        "www.indiana.edu/~statmath/stat/all/cdvm/cdvm7.html: Indiana University, '7. The Conditional Logit Regression "
        "Model', section 7.1, the output of Stata's clogit"
    ),
    columns=("value", "classic", "t classic", "p classic", "low classic", "high classic"),
    rows={
        "alternative[air]": ("5.207443", ".7790551", "6.68", "", "3.680523", "6.734363"),
        "alternative[train]": ("3.869043", ".4431269", "8.73", "", "3.00053", "4.737555"),
        "alternative[bus]": ("3.163194", ".4502659", "7.03", "", "2.280689", "4.045699"),
        "generalized_cost": ("-.0155015", ".004408", "-3.52", "0.000", "-.024141", "-.006862"),
        "terminal_time": ("-.0961248", ".0104398", "-9.21", "", "-.1165865", "-.0756631"),
        "air:income": (".013287", ".0102624", "1.29", "0.195", "-.0068269", ".033401"),
    },
    figures={
        "log-likelihood": "-199.12837",
        "likelihood ratio against null": "183.99",
        "rho-square": "0.3160",
    },
)

MODE_CHOICE_R = Printed(
    where=(
        "R package mlogit, tests/AER.Rout.save (github.com/cran/mlogit, commit "
        "9299242ef2590eb7955a43d784636c371936459d): 'Greene (2003), Table 21.11, conditional logit model'; 5 Newton "
        "steps, stopped at g'(-H)^-1g = 0.000234"
    ),
    columns=("value", "classic", "t classic", "p classic"),
    rows={
        "alternative[air]": ("5.207433", "0.779055", "6.6843", "2.320e-11"),
        "alternative[train]": ("3.869036", "0.443127", "8.7312", ""),
        "alternative[bus]": ("3.163190", "0.450266", "7.0252", "2.138e-12"),
        "generalized_cost": ("-0.015501", "0.004408", "-3.5167", "0.000437"),
        "terminal_time": ("-0.096125", "0.010440", "-9.2075", ""),
        "air:income": ("0.013287", "0.010262", "1.2947", "0.195414"),
    },
    figures={
        "log-likelihood": "-199.13",
        "McFadden R^2 against constants": "0.29825",
        "likelihood ratio against constants": "169.26",
    },
    short=frozenset(
        {
            ("alternative[air]", "value"),
            ("alternative[train]", "value"),
            ("alternative[bus]", "value"),
            ("generalized_cost", "value"),
        }
    ),
    off_by=10.5,
)

# ---- Mode choice between Montreal and Toronto -----------------------------------------------------------------------

MODE_CANADA = Printed(
    where=(
        "R package mlogit, vignette 'Random utility model and the multinomial logit model', section Application "
        "(github.com/cran/mlogit, commit 9299242ef2590eb7955a43d784636c371936459d, inst/doc/c3.rum.html): cost and "
        "frequency, income and constants against the car, the time of each mode, for travellers who had all four modes "
        "and did not take the bus; 6 Newton steps, stopped at g'(-H)^-1g = 6.94E-06"
    ),
    columns=("value", "classic", "t classic", "p classic"),
    rows={
        "alternative[train]": ("-0.97034440", "0.26513065", "-3.6599", "0.0002523"),
        "alternative[air]": ("-1.89856552", "0.68414300", "-2.7751", "0.0055185"),
        "cost": ("-0.02849715", "0.00655909", "-4.3447", "1.395e-05"),
        "frequency": ("0.07402902", "0.00473270", "15.6420", ""),
        "alternative[train]:income": ("-0.00646892", "0.00310366", "-2.0843", "0.0371342"),
        "alternative[air]:income": ("0.02824632", "0.00365435", "7.7295", "1.088e-14"),
        "alternative[car]:time": ("-0.01402405", "0.00138047", "-10.1589", ""),
        "alternative[train]:time": ("-0.01096877", "0.00081834", "-13.4036", ""),
        "alternative[air]:time": ("-0.01755120", "0.00399181", "-4.3968", "1.099e-05"),
    },
    figures={
        "log-likelihood": "-1951.344",
        "McFadden R^2 against constants": "0.31221",
        "likelihood ratio against constants": "1771.6",
    },
    # R prints the p-value as the rounding error of 1 - pnorm(7.7295).
    short=frozenset({("alternative[air]", "value"), ("alternative[air]:income", "p classic")}),
    off_by=9.0,
)

#: From the same section: what happens if the train takes 20% less time, the shares before and after.
MODE_CANADA_FASTER_TRAIN = {
    "before": {"car": "0.4575659", "train": "0.1672084", "air": "0.3752257"},
    "after": {"car": "0.4044736", "train": "0.2635801", "air": "0.3319462"},
    #: Of the change in consumer surplus over travellers, Canadian dollars.
    "surplus": {"smallest": "0.5852", "median": "3.8998", "mean": "4.6971", "largest": "31.3912"},
}

#: Also: dollars an hour of travel time; and for a traveller who faces the means of the sample, the probabilities and
#: their elasticities, {by the cost of: {probability of: …}}.
MODE_CANADA_VALUE_OF_TIME = {"car": "29.52728", "train": "23.09447", "air": "36.95360"}
MODE_CANADA_MEAN_TRAVELLER = {"car": "0.5066362", "train": "0.2116876", "air": "0.2816761"}
MODE_CANADA_COST_ELASTICITIES = {
    "car": {"car": "-0.9131273", "train": "0.9376923", "air": "0.9376923"},
    "train": {"car": "0.3358005", "train": "-1.2505014", "air": "0.3358005"},
    "air": {"car": "1.2316679", "train": "1.2316679", "air": "-3.1409703"},
}

# ---- Heating systems in California ----------------------------------------------------------------------------------

_HEATING = (
    "R package mlogit, vignette 'Exercise 1: Multinomial logit model' by K. Train and Y. Croissant "
    "(github.com/cran/mlogit, commit 9299242ef2590eb7955a43d784636c371936459d, inst/doc/e1.mlogit.html), "
)

HEATING_COSTS = Printed(
    where=_HEATING + "question 1: costs alone",
    columns=("value", "classic", "t classic", "p classic"),
    rows={
        "installation_cost": ("-0.0062319", "0.0003528", "-17.66", ""),
        "operating_cost": ("-0.0045801", "0.0003222", "-14.22", ""),
    },
    figures={"log-likelihood": "-1095.2", "ratio of the costs": "0.7349453"},
    short=frozenset({("installation_cost", "t classic")}),
    off_by=0.55,
)

HEATING_CONSTANTS = Printed(
    where=_HEATING + "question 2: costs, and constants against the heat pump",
    columns=("value", "classic", "t classic", "p classic"),
    rows={
        "alternative[electric_central]": ("1.6588459", "0.4484194", "3.699", "0.000216"),
        "alternative[electric_room]": ("1.8534370", "0.3619551", "5.121", "3.05e-07"),
        "alternative[gas_central]": ("1.7109793", "0.2267421", "7.546", "4.49e-14"),
        "alternative[gas_room]": ("0.3082633", "0.2065922", "1.492", "0.135664"),
        "installation_cost": ("-0.0015332", "0.0006209", "-2.469", "0.013533"),
        "operating_cost": ("-0.0069964", "0.0015541", "-4.502", "6.73e-06"),
    },
    figures={"ratio of the costs": "4.563385"},
    short=frozenset({("alternative[gas_room]", "value")}),
    off_by=0.6,
)

#: From the same exercise: average probabilities at the data, with a rebate of 10% on installing heat pumps, and with a
#: sixth system that costs 200 more to install than electric central and 25% less to run.
HEATING_SHARES = {
    "data": {
        "heat_pump": "0.05555556",
        "electric_central": "0.07111111",
        "electric_room": "0.09333333",
        "gas_central": "0.63666667",
        "gas_room": "0.14333333",
    },
    "rebate": {
        "heat_pump": "0.06446230",
        "electric_central": "0.07045486",
        "electric_room": "0.09247026",
        "gas_central": "0.63064443",
        "gas_room": "0.14196814",
    },
    "sixth": {
        "electric_central": "0.06311578",
        "electric_room": "0.08347713",
        "gas_central": "0.57145108",
        "gas_room": "0.12855080",
        "heat_pump": "0.04977350",
        "new": "0.10363170",
    },
}

#: Also: the likelihood-ratio test of operating costs capitalised at 12% (installation + operating / 0.12) against
#: both costs free (question 1), and of income by system added to question 2.
HEATING_CAPITALISED_TEST = {"statistic": "306.930", "degrees": 1, "restricted log-likelihood": "-1248.7"}
HEATING_INCOME_TEST = {"statistic": "4.680", "degrees": 4, "p": "0.322", "wald": "4.646", "p of wald": "0.326"}


# ---- electricity contracts, mixed logit -----------------------------------------------------------------------------
# Six normal coefficients, the same in all choices of a household, 100 Halton draws. Where the maximum is depends on the
# draws, which differ from program to program.

ELECTRICITY_MIXED = Printed(
    where=(
        "K. Train and Y. Croissant, Exercise 3: mixed logit model, question 1, vignette of R's mlogit 2.0-0 "
        "(github.com/cran/mlogit, commit 9299242ef2590eb7955a43d784636c371936459d, inst/doc/e3.mxlogit.html); the "
        "log-likelihood as the vignettes of version 1 print it"
    ),
    columns=("value", "classic"),
    rows={
        "price": ("-0.97339", "0.03432"),
        "contract_years": ("-0.20556", "0.01332"),
        "local": ("2.07572", "0.08043"),
        "well_known": ("1.47565", "0.06517"),
        "time_of_day": ("-9.05254", "0.28722"),
        "seasonal": ("-9.10376", "0.28904"),
        "sd[price]": ("0.21994", "0.01084"),
        "sd[contract_years]": ("0.37830", "0.01849"),
        "sd[local]": ("1.48297", "0.08130"),
        "sd[well_known]": ("1.00006", "0.07418"),
        "sd[time_of_day]": ("2.28948", "0.11073"),
        "sd[seasonal]": ("1.18087", "0.10901"),
    },
    figures={"log-likelihood": "-3952.5"},
)

# ---- the latent-class logit -----------------------------------------------------------------------------------------

#: Stopped a little short of the maximum: by our likelihood its point is .0009 below ours.
ELECTRICITY_CLASSES = Printed(
    where=(
        "M. Sarrias and R. Daziano, gmnl (R; Journal of Statistical Software 79(2), 2017), the latent-class example of "
        "help(gmnl) on the first 3,000 rows of Electricity, as its users print it"
    ),
    columns=("value", "classic"),
    rows={
        "class1.price": ("-0.445822", "0.087567"),
        "class1.contract_years": ("-0.184654", "0.030077"),
        "class1.local": ("1.214376", "0.161829"),
        "class1.well_known": ("0.964074", "0.142875"),
        "class1.time_of_day": ("-3.218417", "0.687990"),
        "class1.seasonal": ("-3.486496", "0.692898"),
        "class2.price": ("-0.843079", "0.096787"),
        "class2.contract_years": ("-0.124183", "0.045291"),
        "class2.local": ("1.644477", "0.268852"),
        "class2.well_known": ("1.413870", "0.211971"),
        "class2.time_of_day": ("-9.373176", "0.867618"),
        "class2.seasonal": ("-9.264694", "0.884694"),
        "share2.constant": ("-0.220005", ""),
    },
    figures={"log-likelihood": "-792.86"},
)
