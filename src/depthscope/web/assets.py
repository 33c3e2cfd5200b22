"""Static files of the page, with types of our own and validators for caching."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["STATIC", "Assets"]

STATIC: Final = Path(__file__).resolve().parent / "static"

# The system's table differs by machine (Windows may call JavaScript text/plain): ours does not.
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}


class Assets:
    """Serves the files of one folder and nothing else.

    Parameters
    ----------
    folder : Path
        Read on each request, so that a developer sees changes; `index.html` stands for ``/``.
    """

    def __init__(self, folder: Path = STATIC) -> None:
        self.folder = folder.resolve()

    def find(self, name: str) -> Path | None:
        """File of a request path, None where there is none to give."""
        parts = name.split("/") if name else ["index.html"]
        if any(not p or p.startswith(".") or "\\" in p or ":" in p or "\0" in p for p in parts):
            return None
        path = self.folder.joinpath(*parts)
        if path.suffix not in TYPES or not path.is_file():
            return None
        return path if path.resolve().is_relative_to(self.folder) else None

    def respond(self, name: str, request: Request) -> Response | None:
        """Answer a request for a file, None where there is none."""
        path = self.find(name)
        if path is None:
            return None
        body = path.read_bytes()
        etag = f'"{sha256(body).hexdigest()[:32]}"'
        headers = {"etag": etag, "cache-control": "no-cache"}
        known = [t.strip().removeprefix("W/") for t in request.headers.get("if-none-match", "").split(",")]
        if etag in known:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=TYPES[path.suffix], headers=headers)
