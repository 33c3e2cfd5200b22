"""Numbers the Binance scanner and decoder share: answers, columns, limits, packed words.

Rows are EVENT records seen as eight int64 columns (:func:`pack6` and :func:`pack7` say how the
narrow fields share the last two), so that writing one is eight plain stores.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from depthscope.market.events import ASK, BID, LAST, LEVEL, NO_SIDE, NONE, QUOTE, SNAPSHOT, TRADE, UNDEF_PRICE

DIGITS: Final = 18  # most digits a number may have: it then fits int64 whatever they are
DECIMALS: Final = 9  # most decimals a price or size may have
MOST_LOTS: Final = 10**15  # more is absurd, and thousands of levels must still sum in int64
SYMBOL_BYTES: Final = 32
ROW_BYTES: Final = 64

POW10: Final = np.array([10**k for k in range(19)], np.int64)
# Largest digits a number with d decimals may have to fit its fixed-point or lot integer.
PRICE_MOST: Final = np.array([(UNDEF_PRICE - 1) // 10 ** (9 - d) for d in range(10)], np.int64)
LOTS_MOST: Final = np.array([MOST_LOTS // 10**d for d in range(10)], np.int64)

# What the scanner answers of a message; of lines, H_POS says of which.
DONE: Final = 0  # it is taken; lines: all are, or all up to the first later than `until`
UNSURE: Final = 1  # it needs the slow path
RULE: Final = 2  # a depth update, and read; the sequence rule must decide on it
ROOM: Final = 3  # the rows, or the text that messages are copied to, are too small; nothing of it was kept

# How lines begin.
BARE: Final = 0  # in some other way: the scanner is given their messages alone
NANOS: Final = 1  # "<nanoseconds> {json}"
SECONDS: Final = 2  # "<seconds.fraction>: {json}"

# What scanner and decoder share stands in one array: an argument costs a call more than its use.
# First the scratch of one message; decimals take two places, digits and number of decimals.
H_NOWHERE, H_POS, H_SEEN, H_KIND, H_SYMBOL, H_LEVELS = 0, 1, 2, 3, 4, 5
H_TIME, H_FIRST, H_FINAL, H_PREVIOUS, H_MAKER, H_ID, H_AGG_ID = 7, 8, 9, 10, 11, 12, 13
H_PRICE, H_QTY, H_NORMAL, H_BID, H_BID_QTY, H_ASK, H_ASK_QTY = 14, 16, 18, 20, 22, 24, 26
# How the last level was written: a guess at the next one, on which nothing depends but time.
H_PRICE_DECIMALS, H_SIZE_DECIMALS = 28, 29
# Set by the decoder: address of uint8[length + PADDING] that single messages are copied to, and length.
H_SCRATCH, H_LONGEST = 30, 31
# Then counters and times.
N_FRAMES, N_DEPTH, N_LEVELS, N_TRADES, N_QUOTES, N_BACK = 32, 33, 34, 35, 36, 37
T_LAST, T_BACK_MOST, T_LAG_LEAST, T_LAG_MOST = 38, 39, 40, 41
# Then the symbols: a hash table of index + 1 (0 for none), names as words, and rows of S_*.
MOST_SYMBOLS: Final = 4_096  # the venue lists a few hundred
SLOTS: Final = 4 * MOST_SYMBOLS
WORDS: Final = SYMBOL_BYTES // 8
SYMBOL_COLUMNS: Final = 8
S_ID, S_STATE, S_LAST, S_TIME, S_TRADES, S_LOT, S_LOT_DECIMALS, S_FRESH = 0, 1, 2, 3, 4, 5, 6, 7
AT_SLOTS: Final = 42
AT_WORDS: Final = AT_SLOTS + SLOTS
AT_SYMBOLS: Final = AT_WORDS + MOST_SYMBOLS * WORDS
STATE: Final = AT_SYMBOLS + MOST_SYMBOLS * SYMBOL_COLUMNS

# What a buffer of rows says of itself (`place` of `rows`).
P_ROWS, P_ROOM, P_STATE = 0, 1, 2

# Multipliers of the hash of a name's words: odd, below 2**63.
HASH_0, HASH_1 = 0x1E3779B97F4A7C15, 0x3F58476D1CE4E5B9
HASH_2, HASH_3 = 0x14D049BB133111EB, 0x2545F4914F6CDD1D

SYNCING, LIVE, UNKNOWN = 0, 1, 2  # S_STATE; UNKNOWN: no tick is known, so nothing is written
NO_TRADES, SINGLE_TRADES, AGGREGATE_TRADES = 0, 1, 2  # S_TRADES: the trade stream in use
DEPTH_UPDATE, SINGLE_TRADE, AGGREGATE_TRADE, BOOK_TICKER = 1, 2, 3, 4  # H_KIND
MARK_PRICE: Final = 5  # H_KIND too, of a message that makes no event

MOST_MS: Final = 9_000_000_000_000  # a later millisecond would not fit int64 nanoseconds
LEAST_NS: Final = 10**17  # 1973; a smaller receive time is in some other unit
MOST_NS: Final = 9 * 10**18
NS_A_MS: Final = 1_000_000

LAST_BITS: Final = LAST << 48
SNAPSHOT_BITS: Final = SNAPSHOT << 48
LEVEL_BID: Final = (LEVEL << 32) | (BID << 40)
LEVEL_ASK: Final = (LEVEL << 32) | (ASK << 40)
QUOTE_BID: Final = (QUOTE << 32) | (BID << 40)
QUOTE_ASK: Final = (QUOTE << 32) | (ASK << 40) | LAST_BITS
NOTHING: Final = (NONE << 32) | (NO_SIDE << 40) | LAST_BITS
TRADE_BUY: Final = (TRADE << 32) | (BID << 40) | LAST_BITS
TRADE_SELL: Final = (TRADE << 32) | (ASK << 40) | LAST_BITS


def pack6(instrument_id: int, aux: int = 0) -> int:
    """Column 6 of a row: ``instrument_id, aux``."""
    return instrument_id | (aux << 32)


def pack7(publisher: int, action: int, side: int, flags: int = 0, cond: int = 0) -> int:
    """Column 7 of a row: ``publisher, cond, action, side, flags, reserved``."""
    return publisher | (cond << 16) | (action << 32) | (side << 40) | (flags << 48)
