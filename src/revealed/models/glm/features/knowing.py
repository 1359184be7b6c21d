"""A feature space that knows some labels before they are met, each with each. Imports its own room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from revealed.models.glm.features.ledger import PAIR, Ledger, News
from revealed.models.glm.features.records import RecordPath
from revealed.models.glm.features.space import FeatureSpace


def knowing(space: FeatureSpace, labels: Mapping[str, Sequence[str]]) -> FeatureSpace:
    """Return a space that has met some labels, and has a parameter for each pair with them.

    Of the terms that one of these fields is in, it has the parameters of all labels met so far, each with each, whether
    they ever came together or not.

    Parameters
    ----------
    space : FeatureSpace
    labels : mapping from str to sequence of str
        The labels of some fields, none of them hashed.
    """
    specification, ledger, news = space.specification, space.ledger, []
    fields, met = specification.fields, zip(specification.fields, space.extent.labels, strict=True)
    n_labels = [count if item.categorical else 1 for item, count in met]
    wanted = [i for i, item in enumerate(fields) if item.name in labels]
    for i in wanted:
        known = set(ledger.labels[i][: n_labels[i]])
        news.append((i, [label for label in labels[fields[i].name] if label not in known]))
        n_labels[i] += len(news[-1][1])
    params: list[tuple[int, int]] = []
    for t, term in enumerate(specification.terms):
        if term.n_fixed or term.bits or not any(i in term.factors for i in wanted):
            continue
        each = product(*(range(n_labels[i]) for i in term.factors))
        new = (codes for codes in each if not _has(ledger, space.n_params, t, codes))
        params += [(t, codes[0] if len(codes) == 1 else codes[0] * PAIR + codes[1]) for codes in new]
    grown, extent = ledger.grown(space.extent, News(news, params))
    return FeatureSpace(grown, extent, space.path if grown is ledger else RecordPath(grown))


def _has(ledger: Ledger, n_params: int, t: int, codes: Sequence[int]) -> bool:
    """Whether a term has a parameter for its labels among the first so many."""
    if len(codes) == 2:
        param = ledger.pairs[t].get(codes[0] * PAIR + codes[1])
    else:
        known = ledger.labels[ledger.specification.terms[t].factors[0]]
        param = ledger.main[t].get(known[codes[0]]) if codes[0] < len(known) else None
    return param is not None and param < n_params
