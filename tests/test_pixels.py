"""What good pictures become."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from artifact.containers import declared_pixels
from artifact.errors import (
    UnsupportedImageType,
)
from artifact.pixels import decode
from pictures import FILES, GOLDEN, LOSSY, LOSSY_TOLERANCE, MAKE, drawing, exif, ihdr, raw_png, saved, spec, turned


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


# Threads


def test_eight_threads_see_what_one_sees():
    jobs = [
        (data, size) for data in FILES.values() for size in (spec(), spec(28, 28, 1, "crop"), spec(64, 48, fit="pad"))
    ] * 3
    alone = [decode(*job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda job: decode(*job), jobs))
    assert all((one == other).all() for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("name", FILES)
def test_a_files_head_declares_as_many_pixels_as_it_has(name):
    data = (GOLDEN / name).read_bytes()
    with Image.open(BytesIO(data)) as photo:
        assert declared_pixels(data) == photo.width * photo.height


@pytest.mark.parametrize("name", FILES)
def test_a_head_that_was_cut_off_declares_no_more(name):
    data = (GOLDEN / name).read_bytes()
    assert max(declared_pixels(data[:length]) for length in range(200)) <= declared_pixels(data)
    assert declared_pixels(b"no image") == declared_pixels(b"") == 0
