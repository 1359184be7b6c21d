"""The ledger of pending decisions: exact replacement, refusals, and that it never does worse than the naive."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from revealed.decide.delay import (
    ElapsedWeighted,
    FakeNegativeWeighted,
    LawOptions,
    LedgerOptions,
    Naive,
    NothingYet,
    Oracle,
    PendingLedger,
    Waiting,
    WeibullDelay,
    load_ledger,
    save_ledger,
)
from revealed.decide.delay import book as book_module
from revealed.decide.delay.standing import Standing, StandingLink
from revealed.decide.delay.treatment import Treatment, View
from revealed.decide.delay.watch import LawWatch
from revealed.errors import DataError, SpecificationError
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.links import LogitLink, Probit
from revealed.models.glm.model import BayesianGLM
from revealed.models.glm.posterior import dense

KNOWN = LawOptions(law=WeibullDelay.with_mean(10.0))
TREATMENTS = [NothingYet(), Naive(), Waiting(), FakeNegativeWeighted(), ElapsedWeighted(5.0)]


def ledger_of(treatment: Treatment | None = None, delays: LawOptions = KNOWN, k: int = 4, **options) -> PendingLedger:
    return PendingLedger(BayesianGLM.fresh(k, "logit"), treatment, delays, LedgerOptions(**options))


def rows_of(n: int, seed: int = 0, k: int = 4) -> np.ndarray:
    return np.column_stack([np.ones(n), np.random.default_rng(seed).normal(size=(n, k - 1))])


def believed(ledger: PendingLedger) -> FullPosterior:
    posterior = ledger.hearing.book.posterior
    assert isinstance(posterior, FullPosterior)
    return posterior


def held(ledger: PendingLedger) -> tuple[np.ndarray, np.ndarray]:
    """Return prior, settled and the sites held, summed from nothing."""
    live, settled = ledger.hearing.live, ledger.hearing.book.settled
    precision = (live["precision"] + live["lasting_precision"])[:, 0]
    shift = (live["shift"] + live["lasting_shift"])[:, 0]
    rows = dense(live.rows(np.arange(len(live))))
    assert isinstance(settled, FullPosterior)
    return settled.precision + (rows.T * precision) @ rows, settled.shift + shift @ rows


# ---- what silence says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [LogitLink(), Probit()])
@given(f=st.floats(-6, 6), share=st.floats(0, 1), weight=st.floats(0.1, 3), yes=st.booleans())
def test_derivatives_are_those_of_the_likelihood(base, f, share, weight, yes):
    first_of_all, predictor = np.zeros(1), np.array([f])
    link = StandingLink(base, Standing(np.array([float(yes)]), np.array([share]), np.array([weight])))
    p = float(base.mean(predictor)[0])
    chapelle = np.log(p) if yes else np.log(1 - p + p * (1 - share))
    assert link.log_likelihood(first_of_all, predictor)[0] == pytest.approx(weight * chapelle, rel=1e-6, abs=1e-9)
    step = 1e-4
    below, middle, above = (link.log_likelihood(first_of_all, predictor + h)[0] for h in (-step, 0.0, step))
    first, second = link.slope(first_of_all, predictor)
    assert first[0] == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-6)
    assert second[0] >= 0
    assert second[0] == pytest.approx(max(0.0, (2 * middle - above - below) / step**2), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("base", [LogitLink(), Probit()])
def test_a_share_of_one_is_a_plain_no_and_of_zero_says_nothing_however_far_out(base):
    far = np.array([-700.0, -30.0, 0.0, 5.0, 30.0])
    zeros, ones, each = np.zeros(5), np.ones(5), np.arange(5.0)
    no = StandingLink(base, Standing(zeros, ones, ones))
    np.testing.assert_array_equal(no.log_likelihood(each, far), base.log_likelihood(zeros, far))
    np.testing.assert_array_equal(no.slope(each, far), base.slope(zeros, far))
    nothing = StandingLink(base, Standing(zeros, zeros, ones))
    assert not nothing.log_likelihood(each, far).any()
    assert not np.any(nothing.slope(each, far))
    half = StandingLink(base, Standing(zeros, ones / 2, ones))
    assert np.isfinite(half.slope(each, far)).all()
    assert half.log_likelihood(each, far)[-1] == pytest.approx(np.log(0.5))


def test_pending_decisions_move_the_mode_to_where_their_likelihood_has_it():
    x, ledger = rows_of(40), ledger_of(NothingYet())
    tickets = ledger.add(x, 0.0)
    ledger.answer(tickets[:9], np.ones(9), 6.0, came=np.linspace(1, 6, 9))
    ledger.advance(8.0)
    ledger.hearing.learn(np.arange(40))  # all at one time

    def objective(theta):
        p = 1 / (1 + np.exp(-x @ theta))
        silent = np.log(1 - p[9:] + p[9:] * np.exp(-0.8))
        return -(np.log(p[:9]).sum() + silent.sum() - theta @ theta / 2)

    best = minimize(objective, np.zeros(4), tol=1e-12)
    np.testing.assert_allclose(ledger.model.posterior.mean, best.x, atol=1e-5)


def test_an_answer_replaces_what_was_said_exactly():
    x = rows_of(30)
    # Where "yes" is probable, silence is not concave: its site has no precision, but a shift that must go too.
    for treatment, at in ((NothingYet(), 0.0), (NothingYet(), 3.0), (Naive(), 0.0), (Waiting(), 0.0)):
        fresh = BayesianGLM.fresh(4, "logit", mean=np.array([at, 0.0, 0.0, 0.0]))
        ledger = PendingLedger(fresh, treatment, KNOWN)
        tickets = ledger.add(x, 0.0)
        ledger.advance(1.5 if at else 7.0)
        without_precision = ((ledger.hearing.live["precision"] == 0) & (ledger.hearing.live["shift"] < 0)).any()
        answers = np.random.default_rng(1).integers(0, 2, 30).astype(float)
        ledger.answer(tickets, answers, 7.0)
        assert at == 0.0 or treatment.name != "nothing yet" or without_precision
        plain = fresh.learn(x, answers)
        assert isinstance(plain.posterior, FullPosterior)
        np.testing.assert_allclose(believed(ledger).precision, plain.posterior.precision, rtol=1e-8)
        np.testing.assert_allclose(ledger.model.posterior.mean, plain.posterior.mean, atol=1e-8)
        assert ledger.model.n_answers == 30


def test_silence_becomes_a_no_and_the_decision_is_let_go_of():
    x, ledger = rows_of(30), ledger_of()
    ledger.add(x, 0.0)
    assert believed(ledger).precision.tolist() == np.eye(4).tolist()  # nothing can have come yet
    for time in range(1, 80):
        ledger.advance(float(time))
    assert (ledger.status.n_closed, ledger.status.n_pending, len(ledger.hearing.live)) == (30, 0, 0)
    plain = BayesianGLM.fresh(4, "logit").learn(x, np.zeros(30))
    np.testing.assert_allclose(ledger.model.posterior.mean, plain.posterior.mean, atol=1e-6)


def test_the_posterior_is_the_sum_of_its_parts_and_proper_after_1e5_additions_and_subtractions(monkeypatch):
    for sweep_after in (10**9, 20_000):  # without any sweep, and as it is
        monkeypatch.setattr(book_module, "SWEEP_AFTER", sweep_after)
        generator = np.random.default_rng(5)
        ledger = ledger_of(NothingYet(change=0.01))
        tickets = ledger.add(1000.0 * rows_of(400) * np.array([1, 1e-3, 1, 1e-4]), 0.0)
        index, changed = np.arange(400), 0
        ledger.hearing.now = 0.1
        while changed < 100_000:
            some = generator.choice(index, 200, replace=False)
            ledger.hearing.live["decided"][some] = ledger.now - generator.exponential(10.0, 200)
            ledger.hearing.learn(some)
            changed += 200
        precision, shift = held(ledger)
        posterior = believed(ledger)
        scale = np.sqrt(np.diag(precision))
        np.testing.assert_allclose((posterior.precision - precision) / np.outer(scale, scale), 0.0, atol=1e-11)
        np.testing.assert_allclose((posterior.shift - shift) / scale, 0.0, atol=1e-9)
        assert np.linalg.eigvalsh(posterior.precision / np.outer(scale, scale)).min() > 0
        ledger.forget(tickets)
        assert believed(ledger).precision.tolist() == np.eye(4).tolist()


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.1, 30), st.integers(1, 6)), max_size=12), st.integers(0, 4))
def test_whatever_happens_the_posterior_is_proper_and_the_sum_of_its_parts(events, which):
    ledger = ledger_of(TREATMENTS[which], horizon=60.0)
    open_: list[int] = []
    now = 0.0
    for number, (kind, wait, count) in enumerate(events):
        now += wait
        open_ = [ticket for ticket in open_ if ledger.state[ticket] == 1]
        some, open_ = np.array(open_[:count], np.int64), open_[count:] if kind in (1, 2) else open_
        if kind == 0:
            open_ += ledger.add(3 * rows_of(count, number), now).tolist()
        elif kind == 1:
            ledger.answer(some, (np.arange(len(some)) % 3 > 0).astype(float), now)
        elif kind == 2:
            ledger.forget(some)
        else:
            ledger.advance(now)
        precision, shift = held(ledger)
        np.testing.assert_allclose(believed(ledger).precision, precision, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(believed(ledger).shift, shift, rtol=1e-9, atol=1e-9)
        assert np.linalg.eigvalsh(precision).min() >= 1 - 1e-9  # the prior's, or more
    status = ledger.status
    assert status.n_decisions == status.n_pending + status.n_answered + status.n_closed + status.n_forgotten


# ---- the law is not known yet -------------------------------------------------------------------------------------


def play(treatment: Treatment, delays: LawOptions, seed: int, rounds: int = 60, mean: float = 500.0):
    """Return regret, the mean error of predictions at the end, and the ledger, of a small bandit in batches of 100."""
    streams = [np.random.default_rng([seed, i]) for i in range(4)]
    truth = np.random.default_rng(77).normal(size=(5, 3)) * 0.8 - np.array([1.5, 0, 0])
    ledger = PendingLedger(BayesianGLM.fresh(15, "logit"), treatment, delays)
    due, waiting, regret, off = np.zeros(0), np.zeros(0, np.int64), 0.0, 0.0
    for batch in range(rounds):
        now, here = 100.0 * batch, due <= 100.0 * batch
        ledger.answer(waiting[here], np.ones(int(here.sum())), now, came=due[here])
        due, waiting = due[~here], waiting[~here]
        x = np.column_stack([np.ones(100), streams[0].normal(size=(100, 2))])
        theta = ledger.model.posterior.draw(streams[1].standard_normal((100, 15))).reshape(100, 5, 3)
        shown = np.einsum("nak,nk->na", theta, x).argmax(axis=1)
        p = 1 / (1 + np.exp(-x @ truth.T))
        at = p[np.arange(100), shown]
        regret += float((p.max(axis=1) - at).sum())
        rows = np.zeros((100, 5, 3))
        rows[np.arange(100), shown] = x
        off = float((ledger.model.expected(rows.reshape(100, 15)).mean - at).mean()) if batch > 5 else 0.0
        yes = streams[2].random((100, 5))[np.arange(100), shown] < at
        wait = streams[3].exponential(mean, 100)
        tickets = ledger.add(rows.reshape(100, 15), now, truth=yes.astype(float))
        due, waiting = np.concatenate([due, now + wait[yes]]), np.concatenate([waiting, tickets[yes]])
    return regret, off, ledger


def test_the_memory_of_delays_keeps_the_latest_decisions_and_the_law_does_not_see_late_ones_only():
    watch, generator = LawWatch(LawOptions(memory=400, family="exponential")), np.random.default_rng(0)
    decided, delay = np.arange(3000.0), generator.exponential(50.0, 3000)
    came = decided + delay
    order = np.argsort(came)
    for some in np.array_split(order, 60):
        watch.add(some, decided[some], came[some] - decided[some], np.zeros((len(some), 0)))
        watch.renew(float(came[some].max()))
    assert len(watch.delay) <= 600
    assert watch.decided.min() >= 2300
    assert watch.fit is not None
    assert abs(watch.fit.law.mean(np.zeros((1, 0)))[0] / 50 - 1) < 0.2
    assert watch.misfit < 0.1
    assert watch.law is watch.fit.law


def test_a_law_that_misses_the_delays_is_said():
    ledger = ledger_of(NothingYet(), LawOptions(family="exponential"))
    tickets = ledger.add(rows_of(300), 0.0)
    two_kinds = np.where(np.arange(200) % 2, 0.1, 50.0)
    ledger.answer(tickets[:200], np.ones(200), 400.0, came=two_kinds)
    assert ledger.status.law is not None
    assert any("the delay law is off by up to" in message for message in ledger.status.messages)


def test_until_the_law_is_told_it_is_the_naive_to_the_bit():
    _, _, naive = play(Naive(), LawOptions(), seed=0, rounds=8)
    _, _, ours = play(NothingYet(), LawOptions(min_answers=10_000), seed=0, rounds=8)
    assert believed(ours).precision.tobytes() == believed(naive).precision.tobytes()
    assert believed(ours).shift.tobytes() == believed(naive).shift.tobytes()
    assert ours.status.law is None
    assert "and a delay law needs 10000" in ours.status.messages[0]
    assert ours.status.messages[0].startswith('no answer yet is taken for "no" until it comes')
    _, _, strict = play(NothingYet(), LawOptions(max_error=1e-3), seed=0, rounds=8)
    assert "the standard error of the log" in strict.status.messages[0]


def test_regret_and_calibration_are_no_worse_than_the_naive():
    results = {}
    for treatment in (NothingYet(), Naive(), Oracle()):
        runs = [play(treatment, LawOptions(), seed, rounds=25) for seed in range(3)]
        results[treatment.name] = np.array([run[0] for run in runs]), np.array([run[1] for run in runs])
        if treatment.name == "nothing yet":
            law = runs[0][2].status.law
            assert abs(law.quantile(0.5, np.zeros((1, 0)))[0] / (500 * np.log(2)) - 1) < 0.25
    assert results["nothing yet"][0].mean() < results["naive"][0].mean()
    assert abs(results["nothing yet"][1].mean()) < abs(results["naive"][1].mean())
    assert results["naive"][1].mean() < -0.02  # it believes less than is true
    assert results["oracle"][0].mean() < results["nothing yet"][0].mean()


# ---- other treatments ---------------------------------------------------------------------------------------------


@given(st.floats(0.02, 0.95), st.floats(0, 1))
def test_weights_leave_the_score_without_bias_at_the_truth(p, survival):
    view = View(*(np.array([value]) for value in (9.0, survival, p, -1.0)))
    fake = FakeNegativeWeighted()
    no, yes = fake.pending(view).weight[0], fake.answered(view)[0]
    assert no * -p + p * yes * (1 - p) == pytest.approx(0.0, abs=1e-12)
    elapsed = ElapsedWeighted(5.0)
    no, yes = elapsed.pending(view).weight[0], elapsed.answered(view)[0]
    silent = 1 - p + p * survival
    assert silent * no * -p + p * yes * (1 - p) == pytest.approx(0.0, abs=1e-12)
    assert no == pytest.approx((1 + p * survival) * (1 - p) / silent)


def test_elapsed_weighted_waits_for_its_window():
    ledger = ledger_of(ElapsedWeighted(5.0))
    ledger.add(rows_of(3), 0.0)
    ledger.advance(4.9)
    assert not ledger.hearing.live["precision"].any()
    ledger.advance(5.0)
    assert (ledger.hearing.live["precision"] > 0).all()


def test_fake_negatives_stay_where_they_are():
    ledger = ledger_of(FakeNegativeWeighted())
    tickets = ledger.add(rows_of(3), 0.0)
    before = ledger.hearing.live["precision"].copy()
    ledger.answer(tickets, np.ones(3), 1.0)
    np.testing.assert_array_equal(ledger.hearing.live["lasting_precision"], before)
    assert (ledger.hearing.live["precision"] > 0).all()


def test_the_oracle_must_be_told():
    ledger = ledger_of(Oracle())
    with pytest.raises(DataError, match="the oracle was not told the answer"):
        ledger.add(rows_of(2), 0.0)
    assert ledger.n_decisions == 0


# ---- refusals -----------------------------------------------------------------------------------------------------


def test_answers_that_cannot_be_are_refused_all_at_once_and_change_nothing():
    ledger = ledger_of()
    tickets = ledger.add(rows_of(4), 10.0)
    ledger.answer(tickets[:1], np.ones(1), 12.0)
    ledger.forget(tickets[1:2])
    before = believed(ledger).precision.tobytes(), ledger.now, ledger.status.n_pending
    with pytest.raises(DataError) as caught:
        ledger.answer(np.array([0, 1, 7, 2, 2]), np.ones(5), 13.0)
    assert str(caught.value) == (
        "tickets: 4 problems found\n"
        "  1. decisions never made [case 7]\n    remedy: use the tickets the ledger gave; there are tickets 0 to 3\n"
        "  2. decisions named twice [case 2]\n    remedy: name each once\n"
        "  3. decisions that were forgotten [case 1]\n    remedy: leave them out: nothing is kept\n"
        "  4. decisions answered before [case 0]\n"
        "    remedy: one answer a decision: to correct one, forget the decision and make it anew"
    )
    with pytest.raises(DataError, match="the clock runs backwards: 11 after 12"):
        ledger.answer(tickets[2:3], np.ones(1), 11.0)
    with pytest.raises(DataError, match="the clock runs backwards"):
        ledger.add(rows_of(1), 11.0)
    with pytest.raises(DataError, match="the clock runs backwards"):
        ledger.advance(11.0)
    with pytest.raises(DataError, match="the time nan is not a finite number"):
        ledger.advance(float("nan"))
    with pytest.raises(DataError, match=r"negative delays \[case 2\]"):
        ledger.answer(tickets[2:3], np.ones(1), 13.0, came=np.array([9.0]))
    with pytest.raises(DataError, match=r"(?s)answers that are not 0 or 1.*answers from the future"):
        ledger.answer(tickets[2:3], np.array([0.5]), 13.0, came=np.array([14.0]))
    with pytest.raises(DataError, match="1 answers and 2 times for 2 tickets"):
        ledger.answer(tickets[2:4], np.ones(1), 13.0)
    assert (believed(ledger).precision.tobytes(), ledger.now, ledger.status.n_pending) == before


def test_decisions_that_cannot_be_are_refused():
    ledger = ledger_of()
    bad = rows_of(2)
    bad[1, 2] = np.nan
    with pytest.raises(DataError, match=r"features that are not finite numbers \[row 2\]"):
        ledger.add(bad, 0.0)
    with pytest.raises(DataError, match="features of 2×3 where 2×4 are held"):
        ledger.add(rows_of(2, k=3), 0.0)
    with pytest.raises(DataError, match="delay covariates of 2×1 where 2×0 are held"):
        ledger.add(rows_of(2), 0.0, covariates=np.ones((2, 1)))
    with pytest.raises(DataError, match="true answers that are not 0 or 1"):
        ledger.add(rows_of(2), 0.0, truth=np.array([0.0, 2.0]))
    with pytest.raises(SpecificationError, match="late answers are yes or no"):
        PendingLedger(BayesianGLM.fresh(3, "poisson"))


def test_options_are_checked():
    for make, message in (
        (lambda: LedgerOptions(negligible=0), "a negligible share"),
        (lambda: LedgerOptions(horizon=-1), "the horizon"),
        (lambda: NothingYet(change=1.0), "the change must be between"),
        (lambda: ElapsedWeighted(-1.0), "the window must be"),
        (lambda: LawOptions(family="gamma"), "no delay law 'gamma'"),
        (lambda: LawOptions(min_answers=0), "answers 1 or more"),
        (lambda: LawOptions(max_error=0), "largest error"),
        (lambda: LawOptions(law=WeibullDelay.with_mean(1.0), n_covariates=1), "a law of 0 covariates"),
    ):
        with pytest.raises(SpecificationError, match=message):
            make()


def test_an_answer_after_the_end_is_counted_and_said():
    ledger = ledger_of(Naive(), horizon=20.0)
    tickets = ledger.add(rows_of(3), 0.0)
    ledger.answer(tickets[:1], np.ones(1), 5.0)
    ledger.advance(20.0)
    before = believed(ledger).precision.copy()
    assert ledger.answer(tickets[1:], np.array([1.0, 0.0]), 21.0).tolist() == [1]
    np.testing.assert_array_equal(believed(ledger).precision, before)
    assert ledger.status.n_too_late == 1
    assert ledger.status.messages == ("1 answers came after their decision was closed, and were not learned",)
    with pytest.raises(DataError, match=r"decisions answered before \[cases 0, 1, 2\]"):
        ledger.answer(tickets, np.ones(3), 22.0)
    assert (ledger.status.n_too_late, ledger.status.n_closed, ledger.status.n_answered) == (1, 2, 1)
    with pytest.raises(DataError, match=r"decisions that are closed \[cases 0, 1, 2\]"):
        ledger.forget(tickets)


def test_what_is_forgotten_is_as_if_it_had_not_been():
    x = rows_of(20)
    ledger, other = ledger_of(Naive()), ledger_of(Naive())
    first = ledger.add(x[:10], 0.0)
    ledger.answer(first[:4], np.ones(4), 1.0)
    ledger.forget(first)
    later = ledger.add(x[10:], 2.0)
    other.add(x[10:], 2.0)
    np.testing.assert_array_equal(believed(ledger).precision, believed(other).precision)
    assert ledger.status.n_forgotten == 10
    assert len(ledger.hearing.watch.delay) == 0
    ledger.answer(later[:1], np.ones(1), 3.0)  # tickets go on where they were


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_what_is_forgotten_leaves_no_trace_in_the_others(covariance):
    x, drawn = rows_of(200), np.random.default_rng(3).random(200)
    answers = (drawn < 1 / (1 + np.exp(-x @ [0.0, 1.0, -1.0, 0.5]))).astype(float)
    stay = np.arange(200) % 4 > 0
    posteriors = []
    for some in (np.ones(200, bool), stay):
        ledger = PendingLedger(BayesianGLM.fresh(4, "logit", covariance=covariance), NothingYet(), KNOWN)
        tickets = ledger.add(x[some], 0.0)
        ledger.answer(tickets, answers[some], 3.0)
        if some.all():
            ledger.forget(tickets[~stay])
        posteriors.append(ledger.model.posterior)
    one, other = posteriors
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-9)
    np.testing.assert_allclose(one.variance, other.variance, rtol=1e-9)


# ---- files --------------------------------------------------------------------------------------------------------


def test_a_ledger_goes_on_from_its_file_as_if_it_had_not_stopped(tmp_path):
    for treatment in (NothingYet(), ElapsedWeighted(200.0)):
        _, _, ledger = play(treatment, LawOptions(), seed=3, rounds=14)
        again = load_ledger(save_ledger(ledger, tmp_path / "ledger.npz"))
        for one in (ledger, again):
            now = one.now
            waiting = np.flatnonzero(one.state[: one.n_decisions] == 1)[-50:]
            one.answer(waiting, np.ones(50), now + 200.0)
            one.advance(now + 900.0)
        assert believed(ledger).precision.tobytes() == believed(again).precision.tobytes()
        assert ledger.model.posterior.mean.tobytes() == again.model.posterior.mean.tobytes()
        assert ledger.status.n_pending == again.status.n_pending
        assert ledger.hearing.watch.fit is not None
        assert again.hearing.watch.fit is not None
        assert ledger.hearing.watch.fit.params.tobytes() == again.hearing.watch.fit.params.tobytes()


def test_files_of_newer_versions_and_foreign_treatments_are_refused(tmp_path, monkeypatch):
    import revealed.decide.delay.saved as saved

    monkeypatch.setattr(saved, "FORMAT", 3)
    path = save_ledger(ledger_of(), tmp_path / "ledger.npz")
    monkeypatch.undo()
    with pytest.raises(SpecificationError, match="a ledger of format 3, which this version does not know"):
        load_ledger(path)

    class Own(Waiting):
        pass

    with pytest.raises(SpecificationError, match="cannot be written"):
        save_ledger(ledger_of(Own()), path)
