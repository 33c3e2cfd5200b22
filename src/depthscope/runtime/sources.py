"""open_source: whatever the user names, recognised and opened as one stream of events."""

from __future__ import annotations

import difflib
import glob
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from depthscope.errors import ConfigError, EmptyData, FormatUnknown, InputError, SourceMissing
from depthscope.market.instruments import to_fixed
from depthscope.market.source import SourceOptions
from depthscope.runtime.capture import CaptureSource, holds_capture
from depthscope.runtime.formats import FORMATS, recognise
from depthscope.runtime.sequence import FileSequence, Part, listed
from depthscope.storage.manifest import FOLDER as MANIFESTS
from depthscope.venues import SPECS, main_file, read_head, venue

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depthscope.market.source import Source
    from depthscope.venues import Venue

__all__ = ["open_source"]

PathLike = str | Path
READABLE: Final = f"Readable are {', '.join(sorted(FORMATS))} files, and recordings of live sessions."


def open_source(
    source: PathLike | Iterable[PathLike], options: SourceOptions | None = None, **settings: Any
) -> Source:
    """Open a file, folder, glob or list of them as one source of events.

    The format is recognised by content. Several files are read in order of their first event;
    files that overlap in time (one per symbol, say) are merged by receive time. Books are
    cleared where a new file begins, unless `continuous`. A folder is swept without its
    subfolders; what is no market data is left out and named in ``info.notes``.

    Parameters
    ----------
    source : str, Path or iterable of them
        A path, a glob, or ``name:specification`` for what is not a file, such as
        ``synthetic:seed=7``.
    options : SourceOptions, optional
        Everything below, settled.
    **settings
        Fields of :class:`~depthscope.market.source.SourceOptions`. `tick` and `lot` may be text,
        `Decimal` or float in the instrument's own units, or an int in units of 1e-9. `symbols`
        may be any iterable of names. Other names go to the reader, which refuses what it does
        not know.

    Returns
    -------
    Source
        Not read yet, but its kind, metadata and first records have been checked.

    Raises
    ------
    SourceMissing
        When nothing is there, or a folder or glob holds no market data.
    FormatUnknown, EmptyData, CorruptData
        When a file is of no kind we read, holds no record, or is damaged at its start.
    UnknownName
        When a symbol asked for is nowhere in the data.
    InputError
        When the files are of several formats or schemas, or cannot be read at all.
    ConfigError
        When an option is unknown or out of range.

    Examples
    --------
    >>> open_source("synthetic:seed=7,minutes=1").info.format
    'synthetic'
    """
    chosen = options or _options(settings)
    if options is not None and settings:
        raise ConfigError("Give options as one SourceOptions or by name, not both.")
    items = [source] if isinstance(source, str | Path) else list(source)
    if not items:
        raise SourceMissing("No file was named. Give a file, a folder or a glob.")
    spec = _spec(items)
    if spec is not None:
        name, text = spec
        opener: Any = venue(SPECS[name])
        opened: Source = opener.open_spec(text, chosen)
        return opened
    if len(items) == 1 and holds_capture(Path(items[0]).expanduser()):
        return CaptureSource(Path(items[0]).expanduser(), chosen)
    found = _Found()
    for item in items:
        found.add(item)
    return found.open(chosen, ", ".join(str(item) for item in items))


def _options(settings: dict[str, Any]) -> SourceOptions:
    """SourceOptions of keyword settings."""
    known = {f.name for f in fields(SourceOptions)} - {"extra"}
    given: dict[str, Any] = {k: v for k, v in settings.items() if k in known and v is not None}
    for name in ("tick", "lot"):
        if isinstance(given.get(name), str | float | Decimal):
            given[name] = to_fixed(given[name])
    if "symbols" in given:
        names = given["symbols"]
        given["symbols"] = frozenset([names] if isinstance(names, str) else names) or None
    extra = {k: str(v) for k, v in settings.items() if k not in known and v is not None}
    return SourceOptions(**given, extra=extra)


def _spec(items: Sequence[PathLike]) -> tuple[str, str] | None:
    """(name, text) of a ``name:text`` source, None for files."""
    for item in items:
        if not isinstance(item, str):
            continue
        name, colon, text = item.partition(":")
        if name in SPECS and (colon or not Path(item).exists()):
            if len(items) > 1:
                raise InputError(f"{item} cannot be combined with other sources: name it alone.")
            return name, text
    return None


@dataclass(slots=True)
class _Found:
    """Files gathered from what the user named, and what was passed over."""

    named: list[Path] = field(default_factory=list)
    swept: list[Path] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    mains: dict[Path, Venue] = field(default_factory=dict)
    sides: dict[Path, Venue] = field(default_factory=dict)

    def add(self, item: PathLike) -> None:
        """Gather the files behind one name.

        Raises
        ------
        SourceMissing
            When there are none.
        """
        if not str(item).strip():
            raise SourceMissing("The name of a file is empty. Give a file, a folder or a glob.")
        path = Path(item).expanduser()
        if (path / MANIFESTS).is_dir():  # an archive: each of its runs is one source, whatever its files
            path = path / MANIFESTS
        if path.is_dir():
            self._sweep(sorted(path.iterdir()))
        elif path.exists():
            self.named.append(path)
        elif path.is_symlink():
            raise SourceMissing(f"{item} is a link to {path.readlink()}, which is not there.")
        elif glob.has_magic(str(path)):
            hits = sorted(Path(hit) for hit in glob.glob(str(path), recursive=True))  # noqa: PTH207  (absolute ones too)
            if not hits:
                raise SourceMissing(f"No file matches {item}.")
            self._sweep(hits)
        else:
            near = (
                difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=3)
                if path.parent.is_dir()
                else []
            )
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            raise SourceMissing(f"There is no file or folder {item}.{hint}")

    def _sweep(self, paths: Iterable[Path]) -> None:
        for path in paths:
            if path.name.startswith("."):
                self.skipped.append(f"{path.name} (hidden)")
            elif path.is_dir():
                self.skipped.append(f"{path.name}/ (a folder)")
            elif not path.exists():
                self.skipped.append(f"{path.name} (a link to nothing)")
            else:
                self.swept.append(path)

    def open(self, options: SourceOptions, label: str) -> Source:
        """Recognise what was gathered and open it."""
        for path in self.named:
            self._sort(path, swept=False)
        for path in self.swept:
            self._sort(path, swept=True)
        mains = self.mains or self.sides
        if not mains:
            passed = f": passed over {listed(self.skipped)}" if self.skipped else ""
            raise SourceMissing(f"{label} holds no market data{passed}. {READABLE}")
        self._check_formats(mains)
        if len(mains) == 1:
            ((path, module),) = mains.items()
            source = module.open_file(path, options)
        else:
            parts = [Part(path, module) for path, module in mains.items()]
            sequence = FileSequence(parts, options, label)
            self.skipped += sequence.left_out
            source = sequence
        if self.skipped:
            source.info.notes["passed over"] = listed(self.skipped)
        return source

    def _sort(self, path: Path, *, swept: bool) -> None:
        """Put one file with the data, with what accompanies data, or with what is passed over."""
        try:
            if not path.is_file():
                raise InputError(f"{path} is no regular file. Save what it gives in a file and name that.")
            if path.stat().st_size == 0:
                if not swept:
                    raise EmptyData(
                        f"{path} is empty (0 bytes): nothing was ever written to it, or a download failed."
                    )
                self.skipped.append(f"{path.name} (empty)")
                return
            head = read_head(path)
            module = recognise(path, head)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
        if module is None:
            if not swept:
                raise FormatUnknown(
                    f"{path} is of no kind that is read here: its content starts with {head[:8]!r}. "
                    f"{READABLE}"
                )
            self.skipped.append(f"{path.name} (no market data)")
            return
        main = main_file(module, path)
        if main is None:
            self.sides[path] = module
        else:
            self.mains[main] = module

    def _check_formats(self, mains: dict[Path, Venue]) -> None:
        by_format: dict[str, list[str]] = {}
        for path, module in mains.items():
            by_format.setdefault(module.FORMAT, []).append(path.name)
        if len(by_format) > 1:
            kinds = "; ".join(f"{name}: {listed(files)}" for name, files in sorted(by_format.items()))
            raise InputError(
                f"These files are of several formats ({kinds}). Name the files of one format, for example "
                f"with a glob."
            )
