"""Damaged DBN files: what was readable is read, the rest is explained, nothing crashes."""

from __future__ import annotations

import re
from pathlib import Path

import databento_dbn as dbn
import numpy as np
import pytest
import zstandard

from depthscope.errors import CorruptData, DepthscopeError, EmptyData, FormatUnknown, InputError
from depthscope.market.source import SourceOptions
from depthscope.venues.databento import DbnSource, open_file
from depthscope.venues.dbn_header import read_header
from depthscope.venues.dbn_stream import ByteStream, frames_whole
from tests.venues.dbn_files import DAY, NOON, header, mbo, write
from tests.venues.test_databento import LIVE, mapping, mbp1, ten, trade

SMALL = SourceOptions(chunk=4_096)

TWO_FRAMES = zstandard.compress(header()) + zstandard.compress(bytes(mbo()))


def drain(source: DbnSource) -> int:
    """Events read before the end or the damage."""
    count = 0
    try:
        for events in source.chunks():
            count += len(events)
    except CorruptData as error:
        assert error.records == source.info.records
        assert re.search(rf"{error.records:,} records were read", str(error))
        assert any("ended early" in warning for warning in source.info.warnings)
        raise
    return count


@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("name", ["x.dbn", "x.dbn.zst"])
def test_a_cut_file_gives_all_that_is_there(name: str, frames: int, tmp_path: Path) -> None:
    records = [mbo(NOON + i, order=i * 7919 % 1000) for i in range(3_000)]
    whole = write(tmp_path / name, records, frames=frames).read_bytes()
    cut = tmp_path / f"cut-{name}"
    start = 400 if name.endswith("dbn") else 200
    for size in np.linspace(start, len(whole) - 1, 40).astype(int).tolist():
        cut.write_bytes(whole[:size])
        try:
            source = open_file(cut, SMALL)
        except CorruptData as error:
            assert error.records == 0
            continue
        readable = _readable(cut)
        if name.endswith(".zst"):
            with pytest.raises(CorruptData) as caught:
                drain(source)
        elif (size - len(header())) % 56:
            with pytest.raises(CorruptData, match="last record is cut off") as caught:
                drain(source)
        else:  # cut exactly between two records of a plain file: nothing tells
            assert drain(source) == readable
            continue
        assert caught.value.records == source.info.records == readable
        assert sum(len(events) for events in _until_damage(source)) == readable


def _readable(path: Path) -> int:
    """Whole records that a patient decompressor gets out of a file."""
    raw = path.read_bytes()
    if path.name.endswith(".zst"):
        with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as stream:
            raw = stream.read()
    return (len(raw) - len(header())) // 56


def _until_damage(source: DbnSource):
    chunks = source.chunks()
    while True:
        try:
            yield next(chunks)
        except (StopIteration, CorruptData):
            return


def test_a_flipped_bit_in_zstd_keeps_the_blocks_before_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    body = np.frombuffer(bytes(mbo()) * 40_000, np.uint8).reshape(-1, 56).copy()
    body[:, 16:24] = rng.integers(0, 256, (40_000, 8))
    compressor = zstandard.ZstdCompressor(write_checksum=True)
    raw = bytearray(compressor.compress(header() + body.tobytes()))
    raw[len(raw) // 2] ^= 64
    path = tmp_path / "x.dbn.zst"
    path.write_bytes(raw)
    source = open_file(path, SMALL)
    with pytest.raises(CorruptData, match="compressed data is damaged") as caught:
        drain(source)
    # Each block holds 128 KiB, and at least those well before the middle decode.
    assert 15_000 < caught.value.records < 40_000
    assert caught.value.records == sum(len(events) for events in _until_damage(source))


def test_impossible_record_is_named(tmp_path: Path) -> None:
    records = [bytes(mbo(NOON + i)) for i in range(10)]
    records[6] = bytes([13]) + records[6][1:]
    source = open_file(write(tmp_path / "x.dbn", records), SMALL)
    with pytest.raises(
        CorruptData, match=r"record 7 says it is a mbo record of 52 bytes.*6 records were read"
    ):
        drain(source)


@pytest.mark.parametrize(
    ("content", "name", "kind", "says"),
    [
        (b"", "x.dbn", EmptyData, "is empty"),
        (zstandard.compress(b""), "x.dbn.zst", EmptyData, "is empty"),
        (header(), "x.dbn", EmptyData, "holds no record.*GLBX.MDP3 mbo"),
        (b"DB", "x.dbn", CorruptData, "damaged or cut"),
        (header()[:40], "x.dbn", CorruptData, "cut off inside its metadata"),
        (zstandard.compress(header())[:30], "x.dbn.zst", CorruptData, "cut"),
        (zstandard.compress(header() + bytes(mbo()))[:-3], "x.dbn.zst", CorruptData, "zstd frame is cut"),
        (b"\x1f\x8b" + bytes(30), "x.dbn.gz", CorruptData, "compressed data is damaged"),
        (
            zstandard.compress(header()) + zstandard.compress(bytes(mbo()))[:-3],
            "x.dbn.zst",
            CorruptData,
            "first record",
        ),
        (header() + bytes(mbo())[:20], "x.dbn", CorruptData, "first record"),
        (header() + bytes(560), "x.dbn", CorruptData, "first record"),
        (b"DBN\x09" + header()[4:], "x.dbn", FormatUnknown, "version 9; versions 1 to 3"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "x.dbn.zst", FormatUnknown, "starts with"),
        (b"P*M\x18\xff\xff\xff\x7fDBZ\x01" + bytes(60), "x.dbz", CorruptData, "cut off"),
        (b"P*M\x18\x60\x00\x00\x00DBZ\x01" + bytes(92), "x.dbz", CorruptData, "metadata"),
    ],
)
def test_nothing_to_read(
    content: bytes, name: str, kind: type[DepthscopeError], says: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(kind, match=says) as caught:
        open_file(path, SMALL)
    assert caught.type is kind
    assert str(path) in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("offset", "value", "says"),
    [
        (24, (99).to_bytes(2, "little"), "schema 99"),
        (50, b"\x63", "symbol type 99"),
        (53, bytes(2), "no length"),
        (108, b"\xff\xff\xff\xff", "does not fit"),
        (108, b"\xff\xff\x00\x00", "does not fit"),
        (116, b"\xff\xfe", "utf-8"),
    ],
)
def test_damaged_metadata_is_explained(offset: int, value: bytes, says: str, tmp_path: Path) -> None:
    raw = bytearray(header() + bytes(mbo()))
    raw[offset : offset + len(value)] = value
    path = tmp_path / "x.dbn"
    path.write_bytes(raw)
    with pytest.raises(CorruptData, match=f"(?s)damaged metadata.*{says}"):
        open_file(path, SMALL)


def test_a_zip_of_files_is_told_to_be_unpacked(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "batch.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.dbn.zst", b"")
    with pytest.raises(FormatUnknown, match="Unpack it"):
        open_file(path, SMALL)


# --- 10,000 seeded mutations ---------------------------------------------------------------------

CASES = 10_000


def _victims(folder: Path) -> list[bytes]:
    """Small files of every kind and container."""
    rolling = header("mbp-10", 2, mappings={"A": [], "B": []}, start=NOON, end=NOON + DAY)
    bbo = dbn.BBOMsg(dbn.RType.BBO_1S, 1, 5, NOON, 1, 2, dbn.Side.BID, NOON, flags=128)
    made = [
        ([mbo(NOON + i, order=i) for i in range(40)], header("mbo", 1), "a.dbn"),
        ([mbo(NOON + i, order=i) for i in range(40)], header("mbo", 3), "a.dbn.zst"),
        ([mbp1("T", 0), mbp1("A", 128), bbo], header(**LIVE), "a.dbn"),
        ([ten(n % 3, [10 + n, 9, 8]) for n in range(8)], rolling, "a.dbn"),
        (
            [mapping(5, "ES", "ESH4"), mbo(), trade(5), dbn.ErrorMsg(NOON, "x"), mbo()],
            header(**LIVE),
            "a.dbn.zst",
        ),
        ([mbo(NOON + i) for i in range(20)], b"", "a.dbn.frag"),
    ]
    return [write(folder / name, records, head=head).read_bytes() for records, head, name in made]


def test_ten_thousand_mutations_never_crash(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Bit flips, cuts and splices: an error of ours or a clean read, nothing else."""
    rng = np.random.default_rng(20_260_101)
    victims = _victims(tmp_path)
    path = tmp_path / "x.dbn"
    path.touch()
    file = path.open("r+b", buffering=0)
    request.addfinalizer(file.close)
    outcomes: dict[str, int] = {}
    for case in range(CASES):
        raw = bytearray(victims[case % len(victims)])
        for _ in range(int(rng.integers(1, 4))):
            kind = rng.integers(0, 4)
            at = int(rng.integers(0, len(raw)))
            if kind == 0:
                del raw[at:]
            elif kind == 1:
                raw[at : at + int(rng.integers(1, 9))] = rng.bytes(int(rng.integers(0, 9)))
            else:
                raw[at] ^= 1 << int(rng.integers(0, 8))
            if not raw:
                break
        file.seek(0)  # truncating an open file is a thousand times cheaper than making it anew
        file.write(raw)
        file.truncate(len(raw))
        try:
            source = open_file(path, SMALL)
            for events in source.chunks():
                assert len(events) <= SMALL.chunk
            outcome = "read"
        except DepthscopeError as error:
            assert isinstance(error, InputError), error
            assert len(str(error)) > 40
            outcome = type(error).__name__
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert sum(outcomes.values()) == CASES
    # Every way out was taken, so none of them is dead code here.
    ways = ("read", "CorruptData", "EmptyData", "FormatUnknown")
    assert min(outcomes[way] for way in ways) >= 20, outcomes


# --- the walk over zstd frames -------------------------------------------------------------------


def test_frames_are_walked_without_decoding(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    data = rng.bytes(300_000) + bytes(300_000)
    path = tmp_path / "x.zst"
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    for checksum in (False, True):
        for known in (False, True):
            compressor = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=known)
            whole = (
                skippable
                + compressor.compress(data)
                + compressor.compress(b"")
                + compressor.compress(b"x" * 9)
            )
            path.write_bytes(whole)
            assert frames_whole(path)
            for cut in (1, 2, 3, 5, 12, 20, 1000, len(whole) // 2, len(whole) - 3):
                path.write_bytes(whole[:-cut])
                ends = len(whole) - cut in _ends(whole)
                assert frames_whole(path) is ends, (checksum, known, cut)
    path.write_bytes(b"")
    assert frames_whole(path)


def _ends(whole: bytes) -> set[int]:
    """Lengths at which every frame of a file is whole, found by decoding."""
    ends, at = {0, 13}, 13
    while at < len(whole):
        decoder = zstandard.ZstdDecompressor().decompressobj()
        decoder.decompress(whole[at:])
        at = len(whole) - len(decoder.unused_data)
        ends.add(at)
    return ends


def test_damage_never_raises_while_reading(tmp_path: Path) -> None:
    values = np.random.default_rng(4).integers(0, 64, 400_000).astype(np.uint8)
    raw = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(values.tobytes()))
    raw[len(raw) // 2] ^= 255
    path = tmp_path / "x.zst"
    path.write_bytes(raw)
    stream = ByteStream(path)
    got = stream.read(1_000_000)
    assert 0 < stream.position <= len(raw)
    stream.close()
    assert len(got) < 400_000 and stream.position == 0
    assert "damaged" in stream.damage


def test_header_of_every_version_is_the_same(tmp_path: Path) -> None:
    heads = []
    for version in (1, 2, 3):
        path = write(tmp_path / f"v{version}.dbn", [mbo()], head=header("mbo", version, ts_out=True))
        head = read_header(path)
        heads.append(
            (head.dataset, head.schema, head.start, head.end, head.stype_in, head.mappings, head.ts_out)
        )
        assert head.version == version
    assert heads[0] == heads[1] == heads[2]
    assert heads[0][:5] == ("GLBX.MDP3", "mbo", NOON - DAY // 2, NOON + DAY // 2, "raw_symbol")
