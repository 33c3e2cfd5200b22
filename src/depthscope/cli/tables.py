"""What commands that write one table have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from depthscope.cli.common import print_json, progress, say, say_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from depthscope.market.source import Source


def write_table(
    what: str,
    out: str,
    json: bool,
    files: Iterable[str],
    source: Callable[[], Source],
    batches: Callable[[Source, Any], Iterator[Any]],
    *,
    detectors: Iterable[str] | None = (),
    rows: str = "",
    empty: str,
) -> None:
    """Write a table of a source, with progress, and say what was written.

    Parameters
    ----------
    what : str
        Title of the progress bar.
    out : str
        As the user named it. It is opened before the source: a wrong one should cost nothing.
    files : iterable of str
        What is read: it must not be overwritten.
    json : bool
        Whether rows on standard output and the summary are JSON.
    source : callable
        Opens the source.
    batches : callable
        Record batches of the source; its second argument is to be told of progress.
    detectors : iterable of str, optional
        Detectors whose kernels are needed.
    rows : str
        What the rows are called in the summary, where columns are of no interest.
    empty : str
        Why there may be no row at all.
    """
    from depthscope.cli.output import check_outputs, table_output
    from depthscope.cli.warmup import warm

    check_outputs({"--out": out}, files)
    with table_output(out, lines_of_json=json) as writer:
        data = source()
        warm([], detectors=detectors)
        with progress(what) as advance:
            for batch in batches(data, advance):
                writer.write(batch)
    say_warnings(data)
    if not writer.rows:
        say(f"note: no rows: {empty}")
    if out == "-":
        return
    if json:
        print_json({"path": out, "rows": writer.rows, "columns": writer.columns})
    elif rows:
        say(f"{out}: {writer.rows:,} {rows}")
    else:
        say(f"{out}: {writer.rows:,} rows, {len(writer.columns)} columns")
