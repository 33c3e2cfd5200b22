"""Look-ahead tester: whether anything a computation says of the past changes with what comes later.

What is known at a time must not depend on what happens after it. The computation runs on the whole of a
stream and, for several cuts, on

* the events up to the cut (**prefix**);
* the events up to the cut and then others than there really were (**perturbation**: prices and sizes
  changed, sides exchanged).

Everything with a time at or before the cut must come out the same, byte for byte. What does not is a leak:
a feature that smooths with later values, a score made comparable with the whole day's mean, a detection whose
outcome is written into the message that opened it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from depthscope.api import features as features_of
from depthscope.api import opened
from depthscope.engine import Engine
from depthscope.errors import InputError
from depthscope.market import events as ev
from depthscope.market.source import SourceInfo
from depthscope.market.times import format_time
from depthscope.research.rows import observer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from depthscope.api import Sources
    from depthscope.market.instruments import Instrument

__all__ = ["Computation", "Leak", "Replayed", "everything", "find_lookahead", "of_table"]

Said = tuple[npt.NDArray[np.int64], npt.NDArray[Any]]
Resolve = Callable[[int, int], "Instrument"]
Computation = Callable[[ev.Events, Resolve], Mapping[str, Said]]
"""Events and their instruments to ``{name: (times of knowledge, values)}``, times ascending."""

CUTS: Final = 6


@dataclass(frozen=True, slots=True)
class Leak:
    """Something said of the past that what came later changed.

    Attributes
    ----------
    name : str
        Of the output.
    test : {"prefix", "perturbation"}
    cut : int
        Where the future began, UTC ns.
    at : int or None
        Time of the first value that differs; None where the number of values does.
    whole, cut_off : object
        The value from the whole stream, and from the changed one.
    """

    name: str
    test: str
    cut: int
    at: int | None
    whole: Any
    cut_off: Any

    def __str__(self) -> str:
        when = "the number of values" if self.at is None else f"its value at {format_time(self.at)}"
        return (
            f"{self.name} looks ahead ({self.test}): with the future after {format_time(self.cut)} changed, "
            f"{when} is {self.cut_off!r} instead of {self.whole!r}"
        )


class Replayed:
    """Events in memory as a source."""

    def __init__(self, events: ev.Events, resolve: Resolve) -> None:
        self._events, self._resolve = events, resolve
        self.info = SourceInfo("memory", "events", records=len(events))
        self.instruments: dict[tuple[int, int], Instrument] = {}

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Instrument of a key."""
        found = self._resolve(publisher, instrument_id)
        self.instruments[publisher, instrument_id] = found
        return found

    def chunks(self) -> Iterator[ev.Events]:
        """All events in one."""
        yield self._events


def everything(every: str | int = "100ms", **options: Any) -> Computation:
    """All features, detections and signals of an engine.

    Parameters
    ----------
    every : str or int
    **options
        Of `Engine`: ``features``, ``detectors``, ``signal`` and the like.
    """
    model = observer()
    given: dict[str, Any] = {"detectors": None, "signal": lambda instrument: model, **options}

    def run(events: ev.Events, resolve: Resolve) -> dict[str, Said]:
        engine = Engine(resolve, every=every, **given)
        first, last = engine.process(events), engine.finish()
        said = np.concatenate([first.detections, last.detections])
        found: dict[str, Said] = {"detections": (said["ts"].astype(np.int64), said)}
        ts = np.concatenate([first.meta["ts"], last.meta["ts"]]).astype(np.int64)
        for k, column in enumerate(engine.columns):
            found[column.name] = (ts, np.concatenate([first.values[k], last.values[k]]))
        return found

    return run


def of_table(function: Callable[[pa.Table], Any], every: str | int = "100ms", **options: Any) -> Computation:
    """A computation of yours from a table of features.

    Parameters
    ----------
    function : callable
        Takes what `depthscope.features` gives; returns one value a row, or a mapping of names to such.
    every : str or int
    **options
        Of `depthscope.features`.
    """

    def run(events: ev.Events, resolve: Resolve) -> dict[str, Said]:
        table = features_of(Replayed(events, resolve), every, threads=1, **options)
        made = function(table)
        named = made if isinstance(made, Mapping) else {getattr(function, "__name__", "values"): made}
        ts = np.asarray(table["ts_recv"].cast("int64"))
        return {str(name): (ts, _a_value_each(str(name), values, len(ts))) for name, values in named.items()}

    return run


def _a_value_each(name: str, values: Any, rows: int) -> npt.NDArray[Any]:
    """Values as an array that can be compared byte by byte, one for each row."""
    made = np.asarray(values)
    if made.ndim == 0 or len(made) != rows:
        found = f"{len(made)} values" if made.ndim else f"{type(values).__name__}"
        raise InputError(
            f"{name} returned {found} for a table of {rows} rows: a value for each row is needed."
        )
    if made.dtype == object:
        texts = all(value is None or isinstance(value, str) for value in made.tolist())
        made = made.astype(str) if texts else made.astype(np.float64)
    return made


def perturbed(events: ev.Events, seed: int) -> ev.Events:
    """Other events at the same times: sizes drawn anew, prices exchanged, half the sides turned."""
    rng = np.random.default_rng(seed)
    other = events.copy()
    sized = np.flatnonzero(other["size"] > 0)
    other["size"][sized] = rng.integers(1, 1 + 2 * other["size"][sized])
    priced = np.flatnonzero(other["price"] != ev.UNDEF_PRICE)
    other["price"][priced] = other["price"][rng.permutation(priced)]
    turned = rng.random(len(other)) < 0.5
    bids, asks = (turned & (events["side"] == side) for side in (ev.BID, ev.ASK))
    other["side"][bids], other["side"][asks] = ev.ASK, ev.BID
    return other


def find_lookahead(
    computation: Computation,
    source: Sources,
    *,
    cuts: int = CUTS,
    seed: int = 1,
    symbols: Iterable[str] | None = None,
) -> tuple[Leak, ...]:
    """Look for look-ahead in a computation.

    Parameters
    ----------
    computation : callable
        See `Computation`; `everything` and `of_table` make one.
    source : str, Path, list of them, or Source
        A few minutes suffice; all of it is held in memory.
    cuts : int
        Moments at which the future is changed, spread over the stream (seeded).
    seed : int
    symbols : iterable of str, optional

    Returns
    -------
    tuple of Leak
        The first of each output, test and cut; empty where none was found.

    Raises
    ------
    InputError
        When nothing could be tested: no cut, no moment to cut at, not a value for each row.

    Examples
    --------
    >>> import depthscope as ds
    >>> def centred(table):
    ...     return table["mid"].to_pandas().rolling(5, center=True).mean()
    >>> ds.find_lookahead(ds.of_table(centred), "day.mbo.dbn.zst")   # doctest: +SKIP
    """
    if cuts < 1:
        raise InputError(f"cuts is {cuts}: without a cut nothing is tested.")
    chosen = None if symbols is None else frozenset([symbols] if isinstance(symbols, str) else symbols)
    data = opened(source, {"symbols": chosen})
    events = np.concatenate([ev.empty_events(0), *(chunk.copy() for chunk in data.chunks())])
    whole = computation(events, data.resolve)
    # A group may span receive times, so a cut lies after a LAST record at which no other group is open.
    ends = np.flatnonzero(events["flags"] & ev.LAST)
    later = np.minimum.accumulate(events["ts_recv"][::-1])[::-1]
    clean = ends[:-1][events["ts_recv"][ends[:-1]] < later[ends[:-1] + 1]] if len(ends) > 1 else ends[:0]
    if not len(clean):
        raise InputError(
            "The stream has no moment at which it can be cut: too few events, or no group ends in it. "
            "Give a longer recording."
        )
    rng = np.random.default_rng(seed)
    leaks: list[Leak] = []
    for at in np.sort(rng.choice(clean, min(cuts, len(clean)), replace=False)):
        past, future = events[: at + 1], events[at + 1 :]
        cut = int(past["ts_recv"].max())
        tests = {
            "prefix": past,
            "perturbation": np.concatenate([past, perturbed(future, seed + int(at))]),
        }
        for test, stream in tests.items():
            other = computation(stream, data.resolve)
            leaks += [leak for name in whole if (leak := _compare(name, test, cut, whole[name], other[name]))]
    return tuple(leaks)


def _compare(name: str, test: str, cut: int, whole: Said, other: Said) -> Leak | None:
    """First difference at or before the cut."""
    (ts, values), (ts_2, values_2) = whole, other
    n, m = (int(np.searchsorted(t, cut, side="right")) for t in (ts, ts_2))
    same = min(n, m)
    left, right = np.ascontiguousarray(values[:same]), np.ascontiguousarray(values_2[:same])
    if left.tobytes() != right.tobytes() or not np.array_equal(ts[:same], ts_2[:same]):
        for k in range(same):
            if ts[k] != ts_2[k] or left[k : k + 1].tobytes() != right[k : k + 1].tobytes():
                return Leak(name, test, cut, int(ts[k]), _plain(left[k]), _plain(right[k]))
    return None if n == m else Leak(name, test, cut, None, n, m)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
