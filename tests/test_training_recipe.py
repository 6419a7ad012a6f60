from pathlib import Path

import pytest

from artifact.errors import RecipeError
from drawn import write_recipe
from training.recipe import find_recipe, read_recipe


def test_the_recipes_that_come_with_hangtag_are_valid_and_say_what_to_expect():
    shipped = sorted(find_recipe("fashion-mnist").parent.glob("*.toml"))
    assert shipped
    for path in shipped:
        assert read_recipe(path).name == path.stem
        head = path.read_text().split("\n\n")[0]
        for word in ("command:", "expected time:", "expected accuracy:"):
            assert word in head


def test_an_unknown_recipe_is_answered_with_those_that_there_are():
    with pytest.raises(RecipeError, match=r"no recipe 'fashion'; there are .*fashion-mnist.* or give the path of"):
        find_recipe("fashion")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "epochs = 3",
            "epoch = 3",
            r"schedule.epoch is not a key that recipes know; valid here are optimizer, decay, ",
        ),
        ('name = "drawn"', 'name = "drawn"\nlr = 1', r"lr is not a key .* valid here are input, network, augmentation"),
        ("batch = 8", "batch = 0", r"schedule.batch: Input should be greater than or equal to 1"),
        ("blocks = [1, 1]", "blocks = [1]", r"network: `widths` and `blocks` must have one number"),
        ("blocks = [1, 1]", "block = 1", r"network.block is not a key .* valid here are kind, stem, stem_stride"),
        (
            'kind = "residual"',
            'kind = "plane"',
            r"network: Input tag 'plane' .* does not match any of .*'residual', 'plain'",
        ),
        ("epochs = 3", "epochs = 1", r"`warmup_epochs` must be fewer than `epochs`"),
        ('folder = "drawn"', "", r"`folder` belongs to the sources `folders` and `manifest`"),
        ("height = 12", "height = 0", r"input.height: Input should be greater than or equal to 1"),
        ("resize.fit", "resize.fits", r"input.resize.fits is not a key .* valid here are fit, filter"),
        ('name = "drawn"', "name = drawn", r"is not valid TOML: .*line 2"),
    ],
)
def test_a_wrong_recipe_says_which_key_and_what_would_be_right(tmp_path: Path, old: str, new: str, words: str):
    path = write_recipe(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RecipeError, match=words) as raised:
        read_recipe(path)
    assert str(path) in str(raised.value)
