"""Test that damaged and hostile pictures are decoded or refused; `benchmarks.fuzz_pictures` tries more of them."""

from __future__ import annotations

from bot.errors import BadInput
from bot.tasks.images.decoder import ImageDecoder
from tests.tasks.images.mutations import mutated, originals


def test_sound_files_are_sound() -> None:
    decoder = ImageDecoder()
    assert all(sorted(decoder.decode(data, max_pixels=1_000_000).size) == [70, 90] for data in originals())
    decoder.close()


def test_mutated_pictures_are_decoded_or_refused() -> None:
    decoder, refused, children = ImageDecoder(), 0, set()
    for data in mutated(300, seed=13):
        try:
            image = decoder.decode(data, max_pixels=1_000_000).image
            assert image.mode == "RGB"
        except BadInput:
            refused += 1
        children.add(decoder.pid)
    decoder.close()
    assert 60 < refused < 290
    assert len(children) == 1
