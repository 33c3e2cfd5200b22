"""What the simulated exchange hands to whatever carries its bytes."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Out", "Reply"]


class Out(NamedTuple):
    """Something to send on a stream connection.

    Attributes
    ----------
    connection : int
    payload : bytes
        Of the frame; the reason of a close.
    kind : str
        ``text`` (a message, not always valid UTF-8), ``ping``, ``close`` (with `code`), or
        ``abort`` (the transport breaks without a closing frame). The last two end the
        connection: the exchange has forgotten it.
    code : int
        WebSocket close code.
    """

    connection: int
    payload: bytes
    kind: str = "text"
    code: int = 0


class Reply(NamedTuple):
    """Answer of a REST request.

    Attributes
    ----------
    status : int
    headers : dict of str
    body : bytes
    delay : int
        Ns the reply takes to arrive; :data:`~depthscope.simulators.binance_rules.NEVER`: it does not.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    delay: int = 0
