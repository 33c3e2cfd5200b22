"""The command table, and how every command ends."""

from __future__ import annotations

import errno
import os
import sys
import traceback
import warnings
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from depthscope.cli import common
from depthscope.cli.archive import archive
from depthscope.cli.book import book
from depthscope.cli.capture import capture
from depthscope.cli.demo import demo
from depthscope.cli.detections import detections
from depthscope.cli.doctor import doctor
from depthscope.cli.features import features
from depthscope.cli.fit import fit
from depthscope.cli.footprint import footprint
from depthscope.cli.info import info
from depthscope.cli.liquidity import liquidity
from depthscope.cli.live import live
from depthscope.cli.record import record
from depthscope.cli.replay import replay
from depthscope.cli.score import score
from depthscope.cli.simulate import simulate
from depthscope.cli.state import state
from depthscope.cli.version import version
from depthscope.cli.warmup import warmup
from depthscope.errors import DepthscopeError
from depthscope.ops.redact import redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FULL = {errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)}  # no fault of ours

# Plain help: rich would triple the time `depthscope --help` takes. No pretty exceptions: errors
# of ours are paragraphs, others show Python's own traceback with --debug.
app = typer.Typer(
    name="depthscope",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


for _command in (
    demo,
    live,
    replay,
    record,
    features,
    detections,
    footprint,
    liquidity,
    book,
    state,
    score,
    fit,
    simulate,
    info,
    archive,
    doctor,
    warmup,
    version,
):
    app.command(help=common.help_of(_command))(_command)
app.add_typer(capture)


def _note(message: Warning | str, *_: Any, **__: Any) -> None:
    common.say(redact_text(f"note: {message}"))


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version as of

        typer.echo(f"depthscope {of('depthscope')}")
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: common.Debug = False,
) -> None:
    r"""Exact, fast order books: replay, features and a live page.

    \b
    Exit codes: 0 done, 1 failure, 2 bad input.

    \b
    Try:
      depthscope demo
      depthscope info FILE
      depthscope features FILE --every 100ms --out features.parquet
    """


app.callback(help=common.help_of(root))(root)


@cache
def _commands() -> Callable[..., Any]:
    """Build the table of commands: once, however often :func:`run` is called in a process."""
    return typer.main.get_command(app)


def _let_go_of_stdout() -> None:
    """Keep Python from complaining about stdout once more when it flushes it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit the process.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments after the program's name; the process's own by default.
    """
    warnings.showwarning = _note
    try:
        try:
            _commands()(args=None if arguments is None else list(arguments), prog_name="depthscope")
        finally:
            sys.stdout.flush()  # here, where what the disk or the reader says to it is heard
    except DepthscopeError as error:
        if common.debugging():
            common.say(redact_text(traceback.format_exc()))
        common.say_error(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): end quietly.
        _let_go_of_stdout()
        sys.exit(common.EXIT_FAILURE)
    except Exception as error:  # noqa: BLE001  (the last line of defence: no traceback without --debug)
        if common.debugging():
            common.say(redact_text(traceback.format_exc()))
        if isinstance(error, OSError) and error.errno in FULL and error.filename is None:
            _let_go_of_stdout()
            common.say_error(
                f"Standard output cannot be written: {error.strerror}. Make room or choose another place, "
                "and run the command again."
            )
            sys.exit(common.EXIT_BAD_INPUT)
        reason = (str(error).splitlines() or [""])[0]
        common.say_error(
            f"depthscope failed unexpectedly ({type(error).__name__}: {reason}). This is a fault of the "
            "program, not of your input. Run the same command with --debug and report what it prints."
        )
        sys.exit(common.EXIT_FAILURE)
    sys.exit(common.EXIT_OK)
