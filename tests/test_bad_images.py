"""What is no good picture is refused, by one clear error, in bounded time and memory."""

import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from artifact.containers import declared_pixels
from artifact.errors import (
    EmptyImage,
    ImageError,
    TooManyPixels,
    TruncatedImage,
    UndecodableImage,
    UnsupportedImageType,
)
from artifact.pixels import DEFAULT_MAX_PIXELS, decode
from pictures import FILES, drawing, ihdr, raw_png, saved, spec


def test_no_bytes_are_an_empty_image():
    with pytest.raises(EmptyImage):
        decode(b"", spec())


@pytest.mark.parametrize(
    "data",
    [b"hello", b"<svg/>", b"%PDF-1.7", b"RIFF\x04\0\0\0WAVE", b"GIF", b"\0" * 100, b"\xff\xd8", b"qoif" + b"\0" * 20],
)
def test_what_is_no_image_is_an_unsupported_type(data):
    with pytest.raises(UnsupportedImageType):
        decode(data, spec())


@pytest.mark.parametrize("kind", ["JPEG2000", "PPM", "ICO", "PCX", "TGA", "AVIF", "DDS", "SGI"])
def test_no_other_decoder_can_be_reached(kind):
    with pytest.raises(UnsupportedImageType):
        decode(saved(drawing(), kind), spec())


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_is_never_a_picture(name):
    data = FILES[name]
    if name == "pages.tiff":  # a cut behind the first page is not seen
        data = data[: struct.unpack_from("<I", data, 4)[0] + 2]
    for end in {*range(20, min(1200, len(data))), *range(20, len(data), 97), *range(len(data) - 40, len(data))}:
        with pytest.raises(TruncatedImage):
            decode(data[:end], spec())


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_within_its_first_bytes_is_an_image_error(name):
    for end in range(1, 20):
        with pytest.raises(ImageError):
            decode(FILES[name][:end], spec())


@pytest.mark.parametrize("name", ["baseline.jpg", "progressive.jpg", "rgb.png"])
def test_a_file_cut_and_filled_up_with_zeros_is_never_a_picture(name):
    data = FILES[name]
    with pytest.raises((TruncatedImage, UndecodableImage)):
        decode(data[: len(data) // 2].ljust(len(data), b"\0"), spec())


def test_half_a_jpeg_with_an_end_marker_is_never_a_picture():
    data = FILES["baseline.jpg"]
    with pytest.raises(UndecodableImage):
        decode(data[: len(data) * 2 // 3] + b"\xff\xd9", spec())


@pytest.mark.parametrize("name", FILES)
def test_what_follows_the_end_of_a_file_changes_nothing(name):
    trailer = b"\0\xff\xd9\xff\xda;IEND" * 20
    assert (decode(FILES[name] + trailer, spec()) == decode(FILES[name], spec())).all()


def test_bytes_too_many_before_a_jpegs_end_marker_do_no_harm():
    data = FILES["baseline.jpg"]
    assert (decode(data[:-2] + bytes(9) + data[-2:], spec()) == decode(data, spec())).all()


def raw_gif(screen, frame):
    header = b"GIF89a" + struct.pack("<HHBBB", *screen, 0, 0, 0)
    return header + b",\0\0\0\0" + struct.pack("<HHB", *frame, 0) + b"\x08\x01?\0;"


def raw_webp(chunk, start):
    return b"RIFF\x28\0\0\0WEBP" + chunk + b"\x1c\0\0\0" + start.ljust(28, b"\0")


HUGE = {  # headers that declare 60 megapixels and more, and garbage where the pixels should be
    "png": raw_png(ihdr(10_000, 6_000), b"garbage"),
    "png over Pillow's own limits": raw_png(ihdr(60_000, 60_000), b"garbage"),
    "png without an end": raw_png(ihdr(10_000, 6_000), b"garbage")[:45],
    "png with a long side": raw_png(ihdr(70_000, 1), b"garbage"),
    "gif": raw_gif((10_000, 6_000), (10_000, 6_000)),
    "gif with a large frame": raw_gif((1, 1), (65_535, 65_535)),
    "gif with a frame that Pillow warns of": raw_gif((1, 1), (10_000, 10_000)),
    "bmp": b"BM" + struct.pack("<IIIIiiHHIIIIII", 99, 0, 54, 40, 10_000, 6_000, 1, 24, 0, 0, 0, 0, 0, 0),
    "webp": raw_webp(b"VP8X", struct.pack("<IHBHB", 0, 9_999, 0, 5_999, 0)),
    "webp, lossless": raw_webp(b"VP8L", struct.pack("<BI", 0x2F, 9_999 | 5_999 << 14)),
    "webp, lossy": raw_webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 10_000, 6_000)),
}


def huge_jpeg():
    data = bytearray(saved(drawing(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 6_000, 10_000)
    return bytes(data)


def huge_tiff():
    return saved(drawing(), "TIFF").replace(
        struct.pack("<HHII", 256, 4, 1, 96), struct.pack("<HHII", 256, 4, 1, 960_000)
    )


@pytest.mark.parametrize("data", [*HUGE.values(), huge_jpeg(), huge_tiff()], ids=[*HUGE, "jpeg", "tiff"])
def test_a_bomb_is_refused_by_its_header_alone(data):
    tracemalloc.start()
    try:
        with pytest.raises(TooManyPixels, match="send at most"):
            decode(data, spec())
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_pixel_limit_is_inclusive_and_can_be_set():
    data = saved(drawing(), "PNG")
    assert decode(data, spec(), max_pixels=96 * 64).shape == (16, 16, 3)
    with pytest.raises(TooManyPixels, match="96 x 64 pixels; send at most 6143 pixels"):
        decode(data, spec(), max_pixels=96 * 64 - 1)


def test_the_default_limit_takes_a_50_megapixel_phone_and_refuses_60():
    assert 8160 * 6144 <= DEFAULT_MAX_PIXELS < 60_000_000


GREY_PIXEL = ihdr(1, 1, 8, 0), zlib.compress(b"\0\x7f")
BALLOON = zlib.compress(bytes(50_000_000), 9)


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"iCCP", b"icc\0\0" + BALLOON)],
        [(b"zTXt", b"Comment\0\0" + BALLOON)],
        [(b"iTXt", b"Comment\0\1\0\0\0" + BALLOON)],
        [(b"iCCP", b"icc\0\0" + zlib.compress(bytes(1_000_000), 9))] * 5,
        [(b"tEXt", b"k\0v")] * 60_000,
    ],
    ids=["profile", "text", "international text", "many profiles", "many chunks"],
)
def test_metadata_that_would_swell_is_refused_in_bounded_time_and_memory(chunks):
    data = raw_png(*GREY_PIXEL, *chunks)
    tracemalloc.start()
    start = time.thread_time()
    try:
        with pytest.raises(UndecodableImage):
            decode(data, spec())
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
        assert time.thread_time() - start < 2
    finally:
        tracemalloc.stop()


def test_a_jpeg_of_endless_scans_is_refused():
    data = FILES["progressive.jpg"]
    last = data.rindex(b"\xff\xda")
    with pytest.raises(UndecodableImage, match="over 100 scans"):
        decode(data[:-2] + data[last:-2] * 100 + b"\xff\xd9", spec())


def raw_bmp(compression: int, body: bytes) -> bytes:
    palette = bytes(4 * 256)
    start = 54 + len(palette)
    sizes = struct.pack("<IiiHHIIiiII", 40, 7_000, 7_000, 1, 8, compression, len(body), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + sizes + palette + body


def raw_tiff(strips: int, *more: tuple[int, int, int, bytes]) -> bytes:
    """One pixel a strip, all of them the same one; `more` tags with type, count and values."""
    tags = [(256, 4, 1, 1), (257, 4, 1, strips), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
    tags += [(273, 4, strips, struct.pack("<I", 8) * strips), (278, 4, 1, 1), (279, 4, strips, b"\1\0\0\0" * strips)]
    tags += more
    directory, values, start = b"", b"", 14 + 12 * len(tags)
    for tag, kind, count, value in tags:
        is_far = isinstance(value, bytes)
        directory += struct.pack("<HHII", tag, kind, count, start + len(values) if is_far else value)
        values += value if is_far else b""
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + directory + bytes(4) + values


def with_comments(count: int) -> bytes:
    """A JPEG with so many segments before those that it needs."""
    data = FILES["baseline.jpg"]
    return data[:2] + b"\xff\xfe\0\2" * count + data[2:]


HEADS: dict[str, Callable[[int], bytes]] = {  # the size of a picture behind so many parts
    "JPEG": with_comments,
    "TIFF": lambda count: raw_tiff(2, *[(700 + number, 4, 1, 0) for number in range(count)]),
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_in_far_too_many_parts_is_refused_before_its_size_is_looked_for(kind: str):
    taken, refused = HEADS[kind](900), HEADS[kind](10_000)
    assert declared_pixels(taken) > 0
    assert decode(taken, spec()).shape == (16, 16, 3)
    start = time.thread_time()
    for look in (declared_pixels, lambda data: decode(data, spec())):
        with pytest.raises(UndecodableImage, match="head is in over 1000 parts"):
            look(refused)
    assert time.thread_time() - start < 0.003  # the first look is on the event loop, where others wait


def of_many_scans(width: int, height: int, more: int) -> bytes:
    data = saved(Image.new("RGB", (width, height)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * more + b"\xff\xd9"


GIF_START, GIF_END = b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0), raw_gif((9, 9), (9, 9))[13:]
COSTLY: dict[str, Callable[[], bytes]] = {  # each took a second or more, or hundreds of megabytes
    "GIF with comments of a byte": lambda: GIF_START + b"!\xfe\1a\0" * 2_000_000 + GIF_END,
    "GIF with one comment in bytes": lambda: GIF_START + b"!\xfe" + b"\1a" * 5_000_000 + b"\0" + GIF_END,
    "GIF with bytes between its blocks": lambda: GIF_START + b"x" * 10_000_000 + GIF_END,
    "BMP in runs of a pixel": lambda: raw_bmp(1, b"\1\5" * 5_000_000 + b"\0\1"),
    "BMP in steps": lambda: raw_bmp(1, b"\0\2\0\xff" * 100 + b"\0\1"),
    "TIFF in a million strips": lambda: raw_tiff(1_290_000),
    "TIFF with a million fractions": lambda: raw_tiff(2, (282, 5, 1_200_000, bytes(9_600_000))),
    "JPEG in more scans than its size allows": lambda: of_many_scans(3_500, 3_500, 80),
}


@pytest.mark.parametrize("kind", COSTLY)
def test_what_only_costs_time_and_memory_is_refused_before_it_does(kind: str):
    data = COSTLY[kind]()
    tracemalloc.start()
    start = time.thread_time()
    try:
        with pytest.raises((UndecodableImage, UnsupportedImageType), match=r"parts|run lengths|scans"):
            decode(data, spec())
        assert time.thread_time() - start < 1  # tracemalloc takes most of it
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=200),
    start=st.sampled_from([b"", *{name.split(".")[1]: d[:16] for name, d in FILES.items()}.values()]),
)
def test_random_bytes_raise_nothing_but_image_errors(data, start):
    with pytest.raises(ImageError):
        decode(start + data, spec())


@settings(max_examples=600, deadline=None)
@given(
    name=st.sampled_from(sorted(FILES)),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=4),
)
def test_flipped_bits_give_a_picture_or_an_image_error(name, flips):
    data = bytearray(FILES[name])
    for place, bit in flips:
        data[int(place * len(data))] ^= 1 << bit
    with suppress(ImageError):
        assert decode(bytes(data), spec()).shape == (16, 16, 3)


def test_messages_are_our_own_sentences():
    damaged = bytearray(FILES["rgb.png"])
    damaged[60] ^= 0xFF
    for data in (b"", b"text", bytes(damaged), FILES["rgb.png"][:99], HUGE["png"], FILES["animated.gif"][:50]):
        with pytest.raises(ImageError) as caught:
            decode(data, spec())
        text = str(caught.value)
        assert "send" in text
        assert text.endswith(".")
        assert not any(word in text.lower() for word in ("pil", "codec", "stream", "0x", "buffer", "struct"))
