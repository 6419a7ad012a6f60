import runpy
import struct
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from artifact.card import InputSpec, Resize
from artifact.errors import (
    EmptyImage,
    ImageError,
    TooManyPixels,
    TruncatedImage,
    UndecodableImage,
    UnsupportedImageType,
)
from artifact.pixels import DEFAULT_MAX_PIXELS, decode

GOLDEN = Path(__file__).parent / "golden-pixels"
MAKE = runpy.run_path(str(GOLDEN / "make.py"))
FILES = {path.name: path.read_bytes() for path in sorted(GOLDEN.iterdir()) if path.suffix not in (".py", ".npz")}
LOSSY = {name for name in FILES if name.endswith(".jpg") or name in ("lossy.webp", "jpeg.tiff")}
LOSSY_TOLERANCE = 3  # builds of libjpeg and libwebp may round differently; a wrong colour is off by tens
saved, drawing, turned, exif = MAKE["saved"], MAKE["drawing"], MAKE["turned"], MAKE["exif"]


def spec(height=16, width=16, channels=3, fit="stretch"):
    return InputSpec(height=height, width=width, channels=channels, resize=Resize(fit=fit))


def same_size(picture, channels=3):
    return spec(picture.height, picture.width, channels)


def ihdr(width, height, depth=8, colour=2):
    return struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def raw_png(header, idat, *before):
    chunks = ((b"IHDR", header), *before, (b"IDAT", idat), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


# What good pictures become


@pytest.mark.parametrize("key", MAKE["SPECS"])
@pytest.mark.parametrize("name", FILES)
def test_the_pixels_of_the_golden_files_stay_as_they_are(name, key):
    with np.load(GOLDEN / "expected.npz") as golden:
        expected = golden[key][golden["names"].tolist().index(name)]
    pixels = decode(FILES[name], MAKE["SPECS"][key])
    difference = np.abs(pixels.astype(int) - expected)
    assert difference.max() <= (LOSSY_TOLERANCE if name in LOSSY else 0)


def test_every_golden_file_has_its_expected_pixels():
    with np.load(GOLDEN / "expected.npz") as golden:
        assert golden["names"].tolist() == list(FILES)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_a_grey_png_of_the_models_own_size_comes_back_bit_by_bit(channels, fit):
    grey = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    pixels = decode(saved(Image.fromarray(grey), "PNG"), spec(28, 28, channels, fit))
    assert (pixels == grey[:, :, None]).all()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_colour_picture_of_the_models_own_size_comes_back_bit_by_bit(kind):
    colours = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    assert (decode(saved(Image.fromarray(colours), kind), spec(20, 30)) == colours).all()


def test_the_answer_is_a_writable_contiguous_array_of_the_specs_shape():
    pixels = decode(FILES["large.jpg"], spec(24, 40, fit="crop"))
    assert pixels.shape == (24, 40, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_shows_the_same_upright_pixels(orientation, kind, fit):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(turned(orientation), kind, exif=exif(orientation), **options)
    upright = decode(saved(drawing(), "PNG"), spec(20, 24, fit=fit))
    assert (decode(data, spec(20, 24, fit=fit)) == upright).all()


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_jpeg_shows_the_same_upright_pixels(orientation, fit):
    picture = turned(orientation).resize((960, 640) if orientation < 5 else (640, 960))  # far larger: decoded scaled
    data = saved(picture, "JPEG", quality=95, subsampling=0, exif=exif(orientation))
    upright = decode(saved(drawing().resize((960, 640)), "PNG"), spec(40, 24, fit=fit)).astype(int)
    assert np.abs(decode(data, spec(40, 24, fit=fit)) - upright).mean() < 3


@pytest.mark.parametrize(
    "block", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"?" * 40]
)
def test_exif_that_makes_no_sense_leaves_the_picture_as_it_is(block):
    plain = decode(saved(drawing(), "JPEG"), spec())
    assert (decode(saved(drawing(), "JPEG", exif=block), spec()) == plain).all()


@pytest.mark.parametrize("size", [(480, 320), (1600, 1067), (3001, 2003)])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_decoded_at_reduced_scale_looks_like_one_decoded_in_full(size, fit, channels):
    data = saved(drawing().resize(size), "JPEG", quality=92)
    full = saved(Image.open(BytesIO(data)), "PNG", compress_level=1)
    difference = decode(data, spec(64, 48, channels, fit)).astype(int) - decode(full, spec(64, 48, channels, fit))
    assert np.abs(difference).mean() < 2


def test_crop_cuts_evenly_and_pad_shows_all_on_white():
    stripes = np.full((10, 30, 3), 255, np.uint8)
    stripes[:, :10], stripes[:, 10:20], stripes[:, 20:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    data = saved(Image.fromarray(stripes), "PNG")
    assert (decode(data, spec(10, 10, fit="crop")) == (0, 255, 0)).all()
    padded = decode(data, spec(30, 30, fit="pad"))
    assert (padded[:10] == 255).all()
    assert (padded[10:20] == stripes).all()
    assert (padded[20:] == 255).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (1, 10_000), (10_000, 1), (2, 5000), (-1, 1), (1, -1)])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(("kind", "longest"), [("PNG", 65_535), ("JPEG", 65_500), ("BMP", 65_535)])
def test_no_shape_is_too_odd(size, fit, kind, longest):
    size = tuple(longest if side == -1 else side for side in size)  # libjpeg writes a little less than it could read
    pixels = decode(saved(Image.new("RGB", size, (9, 9, 9)), kind), spec(33, 17, fit=fit))
    assert pixels.shape == (33, 17, 3)
    assert (pixels == 9).any()


def test_shrinking_one_side_while_the_other_grows_still_averages():
    stripes = np.zeros((10_000, 1), np.uint8)
    stripes[::2] = 255
    pixels = decode(saved(Image.fromarray(stripes), "PNG"), spec(16, 16, 1))
    assert np.abs(pixels.astype(int) - 127).max() <= 2


def test_growing_one_side_while_the_other_shrinks_interpolates_as_growing_both_does():
    halves = np.array([[0, 255]], np.uint8)
    tall, flat = (saved(Image.fromarray(np.repeat(halves, height, 0)), "PNG") for height in (1000, 1))
    assert (decode(tall, spec(8, 8, 1)) == decode(flat, spec(8, 8, 1))).all()


def test_a_turned_jpeg_is_not_decoded_smaller_than_it_is_drawn():
    stripes = np.repeat((np.arange(200) // 2 % 2 * 255).astype(np.uint8)[:, None], 1600, 1)  # 200 high, as stored
    data = saved(Image.fromarray(stripes), "JPEG", quality=95, exif=exif(6))  # upright it is 200 wide
    assert decode(data, spec(100, 200, 1)).std() > 100


# Samples and colours


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_full_transparency_is_white(mode):
    clear = Image.new("RGBA", (4, 4), (200, 30, 30, 0)).convert(mode)
    assert (decode(saved(clear, "PNG"), spec(4, 4)) == 255).all()


def test_half_transparency_is_half_white():
    data = saved(Image.new("RGBA", (4, 4), (0, 100, 200, 128)), "PNG")
    assert np.abs(decode(data, spec(4, 4)).astype(int) - (127, 177, 227)).max() <= 1


def test_a_16_bit_grey_that_is_declared_clear_is_white():
    row = b"\0" + struct.pack(">HH", 0x1234, 0x1235)
    data = raw_png(ihdr(2, 1, 16, 0), zlib.compress(row), (b"tRNS", struct.pack(">H", 0x1234)))
    assert decode(data, spec(1, 2, 1)).tolist() == [[[255], [0x12]]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled_and_not_clipped(kind):
    ramp = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    pixels = decode(saved(Image.fromarray(ramp), kind), spec(64, 64, 1))
    assert (pixels[:, :, 0] == ramp >> 8).all()


def test_a_tiff_of_32_bits_is_a_type_that_is_not_taken():
    with pytest.raises(UnsupportedImageType, match="8 or 16 bits"):
        decode(saved(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"), spec())


def test_cmyk_and_ycck_have_the_colours_of_the_picture():
    rgb = decode(FILES["baseline.jpg"], spec()).astype(int)
    for name in ("cmyk.jpg", "ycck.jpg", "cmyk.tiff"):
        reference = rgb if name != "cmyk.tiff" else decode(saved(drawing(48, 32), "PNG"), spec()).astype(int)
        assert np.abs(decode(FILES[name], spec()) - reference).mean() < 4, name


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_a_fax_is_a_type_that_is_not_taken(compression, capfd):
    data = bytearray(saved(drawing().convert("1"), "TIFF", compression=compression))
    data[100:200] = bytes(100)
    with pytest.raises(UnsupportedImageType, match="fax"):
        decode(bytes(data), spec())
    assert capfd.readouterr() == ("", "")


# Bad input


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


# Threads


def test_eight_threads_see_what_one_sees():
    jobs = [
        (data, size) for data in FILES.values() for size in (spec(), spec(28, 28, 1, "crop"), spec(64, 48, fit="pad"))
    ] * 3
    alone = [decode(*job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda job: decode(*job), jobs))
    assert all((one == other).all() for one, other in zip(alone, together, strict=True))
