"""Simulated venues: users rehearse on them offline, and every live test runs against them.

The Binance USD-M futures exchange (docs/SIMULATORS.md). What other code may rely on:

``binance_exchange.Exchange(source, *, start, seed, speed, skip, loop, symbols, faults, rules)``
    The exchange without input or output; `source` is a callable that opens a ``Source`` or an
    ``EventSource``; only `start` must be given.

    - ``advance(now) -> list[Out]``: let time (exchange ns) pass; what is to be sent, in order.
    - ``next_time() -> int``: when something happens next by itself (for a virtual clock).
    - ``connect(target, address, now) -> int | Reply``: number of a stream connection, or the refusal.
    - ``receive(connection, payload, now, kind="text" | "ping" | "pong")``, ``disconnect(connection, now)``.
    - ``frozen(connection) -> bool``: the transport must not even answer pings.
    - ``request(method, path, query, address, now, body=b"") -> Reply``.
    - ``book(symbol, speed=None) -> Snapshot``: the whole book as it is, or as the last depth message
      of ``"100ms"``, ``"250ms"`` or ``"500ms"`` left it: ``last_id``, ``bids``, ``asks`` (price in 1e-9
      to lots).
    - ``inject(fault, now)``: ``"drop:BTCUSDT@30s"`` or a ``Fault``; ``binance_faults.KINDS`` lists them.
    - ``listings[name].trades``: aggregate trades told so far; ``listings[name].told(trade)`` as a message.
    - ``unlisted``: what of the recording cannot be listed, and why; ``close()``: let go of the recording.

``binance_wire.Out(connection, payload, kind, code)``
    kind is ``text``, ``ping``, ``close`` or ``abort``; the last two end the connection.
``binance_wire.Reply(status, headers, body, delay)``
    delay in ns; ``binance_rules.NEVER``: the reply does not come.
``binance_rules.Rules(...)``
    Weights, bans, ping and life times, extra keys, rpi.
``binance_playback.EventSource(chunks, instruments)``
    EVENT arrays in memory as something to play.
``binance_server.serve(exchange, host="127.0.0.1", port=0)``
    Async context manager: ``async with serve(exchange) as server`` gives ``server.url``
    (``http://127.0.0.1:PORT``, REST), ``server.ws_url`` (``ws://127.0.0.1:PORT``), ``server.exchange``,
    ``server.now()``. Under ``/sim``: ``GET /sim/book?symbol=…&speed=100ms``, ``GET /sim/status``,
    ``POST /sim/fault`` (one fault a line).
"""
