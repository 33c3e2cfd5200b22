"""Compilation: where compiled kernels are kept, and how they are compiled.

numba keys a cached function on its own file alone, so a change in a helper it calls would
go unnoticed. Here every kernel is keyed on a fingerprint of all sources it may be compiled
from: its own folder and the layers below it. Where that folder cannot be written (a read-only install
without a home), kernels are compiled anew in each process and a warning says so once.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import llvmlite.binding
import numba
import numba.core.ccallback
import numba.extending
from numba import types
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.environment import Environment

from depthscope.kept import cache_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "Int",
    "Step",
    "UInt",
    "cache_folder",
    "carray",
    "compile_cfunc",
    "direct",
    "hot",
    "intrinsic",
    "kernel",
    "njit",
    "pending",
    "pointer",
    "step_of",
]

PACKAGE = Path(__file__).resolve().parent
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}

# Inside compiled code numba settles every type; these say what a person should read.
Int = Any  # a 64-bit signed integer
UInt = Any  # a 64-bit unsigned integer

Function = TypeVar("Function", bound="Callable[..., Any]")
carray: Any = vars(numba)["carray"]
_untyped: Any = numba  # numba's own annotations stop half-way


def intrinsic(function: Callable[..., Any]) -> Any:
    """Register a function that writes its own machine code (see numba.extending.intrinsic)."""
    return _untyped.extending.intrinsic(function)


@intrinsic
def pointer(typing_context: Any, address: Any) -> Any:
    """Reinterpret an int64 address as ``void*``, for `carray`.

    Passing an address costs a call nothing, an array a tenth of a microsecond from Python and
    reference counts inside.
    """
    signature = types.voidptr(address)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return signature, codegen


def njit(function: Function) -> Function:
    """Compile a function that other compiled functions call."""
    compiled: Function = numba.njit(**OPTIONS)(function)
    return compiled


def hot(function: Function) -> Function:
    """Like `njit`, and always inlined: for what is small and on the path of every event."""
    compiled: Function = numba.njit(forceinline=True, **OPTIONS)(function)
    return compiled


LAYERS = ("market", "book", "features", "detectors", "signals")  # each compiles code of those before it


@cache
def fingerprint(folder: Path) -> str:
    """Hash of the compiler's version and every source a kernel of `folder` may be compiled from."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.version_info[:3]}".encode())
    sources = [PACKAGE / "jit.py"]
    depth = LAYERS.index(folder.name) if folder.parent == PACKAGE and folder.name in LAYERS else len(LAYERS)
    for layer in (*(PACKAGE / name for name in LAYERS[:depth]), folder):
        sources += sorted(layer.glob("*.py"))
    for path in sources:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def cache_folder() -> Path | None:
    """Folder that keeps compiled kernels, or None where none can be written."""
    try:
        folder = cache_root() / "kernels"
        folder.mkdir(parents=True, exist_ok=True)
        # A name of its own: several threads and processes may ask at the same moment.
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe-"):
            pass
    except (OSError, RuntimeError) as error:
        warnings.warn(
            f"Compiled kernels cannot be kept ({error}); they are compiled again in each process. "
            "Set DEPTHSCOPE_CACHE_DIR to a folder that can be written.",
            stacklevel=2,
        )
        return None
    return folder


class _Locator:
    """numba's view of where one function's machine code lives and when it is out of date."""

    def __init__(self, root: Path, source: Path, line: int) -> None:
        self._source, self._line = source, line
        self._py_file = str(source)  # where numba says a warning comes from
        self._print = fingerprint(source.parent)
        self._folder = root / self._print

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _Locator | None:
        root = cache_folder()
        if root is None:
            return None
        return cls(root, Path(py_file).resolve(), py_func.__code__.co_firstlineno)

    def ensure_cache_path(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return self._print

    def get_disambiguator(self) -> str:
        # Told by its place in the package, so that two installs of one version share the machine code.
        inside = self._source.is_relative_to(PACKAGE)
        place = self._source.relative_to(PACKAGE).as_posix() if inside else self._source
        return hashlib.sha256(f"{place}:{self._line}".encode()).hexdigest()[:10]


class _Impl(CompileResultCacheImpl):
    """What numba keeps of a kernel, less what only a compiler would need of it.

    Its LLVM code is there for functions that would inline it. Nothing compiled calls a kernel, and to read
    that code back costs a start more than everything else: names of what the machine code defines are all
    that is looked for in it.
    """

    _locator_classes: list[Any] = [_Locator]  # noqa: RUF012  (an attribute of numba)

    def reduce(self, cres: Any) -> Any:
        whole: Any = super().reduce
        (name, kind, (machine_code, _)), *rest, environments = whole(cres)
        shared = cres.library._get_module_for_linking()
        defined = [f.name for f in shared.functions if not f.is_declaration]
        names = "\n".join(f'define void @"{of}"() {{ unreachable }}' for of in defined)
        defines = llvmlite.binding.parse_assembly(names).as_bitcode()
        return (name, kind, (machine_code, defines)), *rest, tuple(map(_of_this_module, environments))

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        whole: Any = super().rebuild
        cres = whole(target_context, payload)
        cres.library._get_module_for_linking = partial(_no_linking, cres.fndesc.qualname)
        return cres


def _of_this_module(environment: Any) -> Any:
    """Return the constants of a function that a kernel has inlined, as if the function stood in this module.

    Only interpreted code asks for its globals; to read them back, numba would import its own modules that
    write code for arrays and linear algebra, and with them SciPy.
    """
    moved = Environment({"__name__": __name__})
    moved.env_name = environment.env_name
    moved.consts[:] = environment.consts
    return moved


@cache
def _tell_runtime() -> None:
    """Tell the linker where numba's runtime is. numba would also compile a part of it, for the compiler."""
    for name, address in _untyped.core.runtime.nrt._nrt.c_helpers.items():
        llvmlite.binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


def _no_linking(name: str) -> NoReturn:
    """Refuse what only `njit` and `hot` functions can do."""
    raise RuntimeError(f"{name} is a kernel: compiled code cannot call it. Share a function made with njit.")


class _Cache(FunctionCache):
    _impl_class = _Impl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Read machine code back; what writes code, which takes as long to load, is left to the compiler."""
        _tell_runtime()
        guard: Any = self._guard_against_spurious_io_errors
        load: Any = self._load_overload
        found = None
        with guard():
            found = load(sig, target_context)
        return found  # noqa: RET504  (the guard takes an error of several processes at one file, on Windows)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep machine code; a disk that takes no more costs the next start time, not this one its life."""
        save: Any = super().save_overload
        try:
            save(sig, data)
        except OSError as error:
            why = error.strerror or error
            warnings.warn(
                f"A compiled kernel cannot be kept ({why}); the next start compiles it.", stacklevel=2
            )


_new_cache: Any = _Cache
_kernels: list[tuple[str, Any, tuple[Any, ...]]] = []


def kernel(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function with `signature` on its first call, and keep the machine code.

    The signature is fixed so that `warmup` can compile without data.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**OPTIONS)(function)
        if cache_folder() is not None:
            dispatcher._cache = _new_cache(function)
        args = _untyped.core.sigutils.normalize_signature(signature)[0]
        _kernels.append((function.__name__, dispatcher, args))
        return dispatcher

    return decorate


def direct(dispatcher: Any) -> Any:
    """Return what the dispatcher of a kernel with one signature would call, compiled.

    A dispatcher looks at the type of each argument at each call to choose what to run: a fifth of
    a microsecond that counts where a call is one small message. Numbers are still converted and bytes
    asked for their memory, but an array is taken for what the signature says: its dtype and dimensions
    are for the caller to know.
    """
    found = next((args for _, known, args in _kernels if known is dispatcher), None)
    if found is None:
        raise ValueError(f"{dispatcher} is no kernel")
    return dispatcher.compile(found)


@dataclass(frozen=True, slots=True)
class Step:
    """One function to compile, or to load where its machine code is kept.

    Attributes
    ----------
    name : str
        What a person calls it.
    module : str
        Dotted name of the module that holds it.
    function : str
        Its name there.
    build : callable
        Compiles or loads it in this process.
    """

    name: str
    module: str
    function: str
    build: Callable[[], object]

    @property
    def is_kept(self) -> bool:
        """Whether there is machine code of it on disk."""
        held: Any = getattr(sys.modules.get(self.module), self.function, None)
        if held is None or cache_folder() is None:
            return False
        kept: Any = _new_cache(getattr(held, "py_func", held))
        return Path(kept._cache_file._index_path).is_file()


def step_of(name: str, function: Callable[..., Any], build: Callable[[], object]) -> Step:
    """Return the step that compiles `function`, which stands in its module under its own name."""
    return Step(name, function.__module__, function.__name__, build)


def pending() -> list[Step]:
    """List the kernels not compiled in this process yet."""
    return [
        step_of(name, dispatcher.py_func, partial(dispatcher.compile, args))
        for name, dispatcher, args in _kernels
        if not dispatcher.signatures
    ]


_one_level = threading.RLock()  # numba's level is the process's: another thread would take ours for its own


@contextmanager
def _level(wanted: int) -> Iterator[None]:
    """Optimise at a level, unless the environment says at which."""
    config: Any = _untyped.core.config
    with _one_level:
        before = config.OPT
        if "NUMBA_OPT" not in os.environ:
            config.OPT = type(before)(wanted)
        try:
            yield
        finally:
            config.OPT = before


def compile_cfunc(function: Callable[..., Any], signature: Any, *, hard: bool = True) -> Any:
    """Compile `function` to a C callback and keep the machine code.

    Not `hard`, it is optimised at level 2: on long functions that inline much, level 3 takes up to five times
    as long and gains nothing that can be measured (docs/adr/0003).
    """
    args, returns = _untyped.core.sigutils.normalize_signature(signature)
    options = {k: v for k, v in OPTIONS.items() if k != "nogil"}
    compiled: Any = _untyped.core.ccallback.CFunc(function, (args, returns), locals={}, options=options)
    if cache_folder() is not None:
        compiled._cache = _new_cache(function)
    with _level(3 if hard else 2):
        compiled.compile()
    return compiled
