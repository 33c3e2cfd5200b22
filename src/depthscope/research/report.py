"""A scorecard as one HTML file with drawings: it needs no network and no other file."""

from __future__ import annotations

import html
import io
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from depthscope.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from depthscope.research.metrics import Interval
    from depthscope.research.scorecard import Card, Group

__all__ = ["report_html"]

STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.25rem; margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
h3 { font-size: 1rem; margin-bottom: .3rem; }
dd { margin: 0 0 .4rem; overflow-wrap: anywhere; }
table { display: block; overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); }
th, td { text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; } small, .dim { color: var(--dim); }
.note { border-left: 4px solid #c80; padding: .2rem .8rem; margin: .6rem 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1rem; }
.charts svg { width: 100%; height: auto; background: #fff; border-radius: 6px; }
"""


def number(value: float | None, digits: int = 4, *, signed: bool = False) -> str:
    """A figure, or a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:{'+' if signed else ''}.{digits}f}"


def ranged(found: Interval, digits: int = 4, *, signed: bool = False) -> str:
    """A figure with its interval."""
    if found.value is None:
        return "–"
    text = number(found.value, digits, signed=signed)
    if found.low is None or found.high is None:
        return text
    low, high = number(found.low, digits, signed=signed), number(found.high, digits, signed=signed)
    return f"{text} <small>[{low}, {high}]</small>"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An HTML table of cells that are HTML already."""
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _figure() -> tuple[Any, Any, Any]:
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("A report needs matplotlib: pip install 'depthscope[research]'.") from error
    mpl.rcParams["svg.hashsalt"] = "depthscope"  # the same card gives the same file
    mpl.rcParams["svg.fonttype"] = "none"
    figure = Figure(figsize=(5.6, 3.9), layout="constrained")
    return figure, figure.add_subplot(), mpl


def _svg(figure: Any) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]


def reliability_chart(card: Card) -> str:
    """Forecast against frequency, for the model and for what was fitted here."""
    figure, axes, _ = _figure()
    axes.plot([0, 1], [0, 1], color="#999", linewidth=1, linestyle="--", label="as it should be")
    for contender, color in zip(card.contenders[:2], ("#1769aa", "#d9822b"), strict=False):
        x, y = [b.forecast for b in contender.bins], [b.frequency for b in contender.bins]
        axes.plot(x, y, marker="o", markersize=4, color=color, label=contender.name)
    top = max((max(b.forecast, b.frequency) for c in card.contenders[:2] for b in c.bins), default=1.0)
    axes.set(xlim=(0, min(1.0, 1.1 * top)), ylim=(0, min(1.0, 1.1 * top)))
    axes.set(
        xlabel="forecast probability of a move up (or down)", ylabel="how often it came", title="Reliability"
    )
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def loss_chart(card: Card) -> str:
    """Log-loss of every contender, with intervals."""
    figure, axes, _ = _figure()
    for k, contender in enumerate(reversed(card.contenders)):
        found = contender.log_loss
        if found.value is None:
            continue
        axes.plot([found.value], [k], "o", color="#1769aa" if k == len(card.contenders) - 1 else "#555")
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [k, k], color="#888", linewidth=1.5)
    axes.set_yticks(range(len(card.contenders)), [c.name for c in reversed(card.contenders)], fontsize=8)
    axes.set(xlabel="log-loss, nats (less is better)", title="Beside what costs nothing")
    axes.grid(axis="x", color="#ddd")
    return _svg(figure)


def markout_chart(card: Card) -> str:
    """Mean move in the direction of a signal, after each time."""
    figure, axes, _ = _figure()
    axes.axhline(0.0, color="#999", linewidth=1)
    axes.axhline(card.mean_cost_bps, color="#b22", linewidth=1, linestyle=":", label="mean cost")
    for (name, curve), color in zip(card.markouts.items(), ("#1769aa", "#d9822b"), strict=False):
        points = [(seconds, found) for seconds, found in curve if found.value is not None]
        if not points:
            continue
        axes.plot(
            [s for s, _ in points],
            [f.value for _, f in points],
            marker="o",
            markersize=3,
            color=color,
            label=name,
        )
        sure = [(s, f.low, f.high) for s, f in points if f.low is not None]
        axes.fill_between(
            [p[0] for p in sure], [p[1] for p in sure], [p[2] for p in sure], color=color, alpha=0.15
        )
    axes.set_xscale("log")
    axes.set(xlabel="seconds after the row", ylabel="move in its direction, bps", title="Markout")
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def group_rows(groups: Iterable[Group]) -> Iterable[list[str]]:
    """Table rows of groups."""
    for group in groups:
        yield [
            html.escape(group.name),
            f"{group.rows:,}",
            f"{group.calls:,}",
            ranged(group.hit_rate, 3),
            ranged(group.gross_bps, 3, signed=True),
            ranged(group.net_bps, 3, signed=True),
        ]


def _card(card: Card) -> str:
    sure = "calibrated" if card.calibrated else "uncalibrated"
    parts = [
        f"<h2>{html.escape(card.symbol)}</h2>",
        f"<p>Model <b>{html.escape(card.model)}</b> ({sure}), horizon {card.horizon / 1e9:g} s, fee "
        f"{card.fee_bps:g} bps. {card.rows:,} rows, {card.judged:,} judged, among them {card.independent:,} "
        "horizons that do not overlap.</p>",
        *(f'<div class="note">{html.escape(note)}</div>' for note in card.notes),
    ]
    if not card.contenders:
        return "\n".join(parts)
    often = card.frequencies
    parts += [
        f"<p>The mid moved by more than the cost (mean {card.mean_cost_bps:.3f} bps) up in {often['up']:.1%} "
        f"of rows, down in {often['down']:.1%}, neither in {often['neither']:.1%}. Mean absolute move "
        f"{card.mean_move_bps:.3f} bps.</p>",
        '<div class="charts">' + reliability_chart(card) + loss_chart(card) + markout_chart(card) + "</div>",
        "<h3>Forecasts</h3>",
        table(
            ["", "log-loss", "Brier", "calibration error", "information coefficient"],
            [
                [
                    html.escape(c.name),
                    ranged(c.log_loss),
                    ranged(c.brier),
                    ranged(c.calibration_error),
                    ranged(c.ic, 3, signed=True),
                ]
                for c in card.contenders
            ],
        ),
    ]
    heads = ["", "rows", "BUY and SELL", "hit rate", "gross, bps", "after cost, bps"]
    for title, groups in (
        ("Calls", (card.overall,)),
        ("By session phase", card.phases),
        ("By confidence", card.bands),
    ):
        parts += [f"<h3>{title}</h3>", table(heads, group_rows(groups))]
    return "\n".join(parts)


def report_html(
    cards: Sequence[Card], title: str = "Scorecard", about: Mapping[str, str] | None = None
) -> str:
    """The whole report.

    Parameters
    ----------
    cards : sequence of Card
    title : str
    about : mapping of str to str, optional
        What else to say of where it comes from: the model's own data, versions.

    Returns
    -------
    str
        HTML, complete in itself.
    """
    body = "\n".join(_card(card) for card in cards)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><h1>{html.escape(title)}</h1>"
        "<p class=dim>Every forecast was made before its outcome was seen. Intervals are 95 %, from a "
        "bootstrap of blocks of time. A move counts when it exceeds half the spread plus the fee; trading in "
        "and out costs that twice, so even a positive figure after cost is no promise of profit.</p>\n"
        f"{body}\n{_origin(cards, about or {})}\n</body></html>\n"
    )


def _origin(cards: Sequence[Card], about: Mapping[str, str]) -> str:
    """What was read and with what, so that the report can be made again."""
    data = dict.fromkeys(
        one["name"] + (f" (sha256 {one['sha256']})" if "sha256" in one else "")
        for card in cards
        for one in card.data
    )
    rows = [("data", name) for name in data] + [*about.items(), ("depthscope", version("depthscope"))]
    lines = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in rows)
    return f"<h2>Where it comes from</h2><dl class=dim>{lines}</dl>"
