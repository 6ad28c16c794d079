"""The shipped development CLIP, through the same library that loads the production model."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open

from prethrift_backend.devstack.garments import Garment, caption, draw
from prethrift_backend.devstack.sample import SampleItem, sample_items

FOLDER = Path(str(files("prethrift_backend.devstack") / "clip"))
SCORE = json.loads((FOLDER / "score.json").read_text(encoding="utf-8"))

RED_HAT = Garment(colour="red", pattern="plain", kind="hat")

Vectors: TypeAlias = NDArray[np.float32]
Encode: TypeAlias = Callable[[list[Any]], Vectors]


@pytest.fixture(scope="module", name="encode")
def encoder() -> Encode:
    """Load the folder offline; return what turns texts or pictures into unit vectors."""
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415  # 6 s, only when one of these tests runs

    model = SentenceTransformer(str(FOLDER), device="cpu", local_files_only=True)
    return lambda inputs: np.asarray(model.encode(inputs, normalize_embeddings=True, show_progress_bar=False))


@pytest.fixture(scope="module", name="catalogue")
def encoded_catalogue(encode: Encode) -> tuple[list[SampleItem], Vectors]:
    """Draw and encode the pictures of the whole sample catalogue."""
    items = list(sample_items())
    return items, encode([Image.open(BytesIO(item.picture_png())) for item in items])


def drawn(garment: Garment, *, size_pixels: int, seed: int | str) -> Image.Image:
    """Draw with a generator of its own."""
    return draw(garment, size_pixels=size_pixels, rng=Random(seed))  # a picture, no secret


def nearest(vectors: Vectors, query: Vectors, count: int, items: list[SampleItem]) -> list[Garment]:
    """Return what the pictures nearest to the query show, the nearest first."""
    return [items[index].garment for index in np.argsort(-(vectors @ query))[:count]]


def test_the_checkpoint_holds_no_pickles() -> None:
    """The folder is JSON and one safetensors file of about a megabyte."""
    suffixes = {path.suffix for path in FOLDER.iterdir()}
    with safe_open(FOLDER / "model.safetensors", framework="numpy") as weights:
        names = list(weights.keys())

    assert suffixes == {".json", ".safetensors"}
    assert (FOLDER / "model.safetensors").stat().st_size < 1_500_000
    assert "logit_scale" in names


def test_texts_and_pictures_become_unit_vectors_of_512(encode: Encode) -> None:
    """Both sides share one space: float32, 512 dimensions, length one."""
    picture = drawn(RED_HAT, size_pixels=200, seed=1)

    texts, pictures = encode(["a red hat"]), encode([picture])

    assert texts.shape == pictures.shape == (1, 512)
    assert texts.dtype == pictures.dtype == np.float32
    assert np.linalg.norm(np.vstack([texts, pictures]), axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)


def held_out(seed: int) -> list[Garment]:
    """Return what was held out, from a process of its own: the training script imports torch and more."""
    code = (
        "import json; from prethrift_backend.devstack.clip_training import held_out_garments as h; "
        f"print(json.dumps([[g.colour, g.pattern, g.kind] for g in h(seed={seed})]))"
    )
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return [Garment(*words) for words in json.loads(run.stdout)]


@pytest.mark.parametrize(
    ("size_pixels", "prefix", "drawings"), [(64, "top", 5), (512, "top_of_512_pixels", 1)], ids=["64 px", "512 px"]
)
def test_the_score_is_reached_again(encode: Encode, size_pixels: int, prefix: str, drawings: int) -> None:
    """Captions of combinations that training never saw find their own picture; the recorded figures hold."""
    garments = held_out(SCORE["seed"])
    texts, firsts, fives = encode([caption(garment) for garment in garments]), [], []
    for drawing in range(drawings):
        pictures = encode(
            [
                drawn(garment, size_pixels=size_pixels, seed=f"test {SCORE['seed']} {drawing} {index}")
                for index, garment in enumerate(garments)
            ]
        )
        for index, similarities in enumerate(texts @ pictures.T):
            place = list(np.argsort(-similarities)).index(index)
            firsts.append(place == 0)
            fives.append(place < 5)

    assert len(set(garments)) == SCORE["held_out"] == 60
    assert np.mean(firsts) >= 0.85
    assert np.mean(firsts) == pytest.approx(SCORE[prefix.replace("top", "top1", 1)], abs=0.02)
    assert np.mean(fives) == pytest.approx(SCORE[prefix.replace("top", "top5", 1)], abs=0.02)


@pytest.mark.parametrize("query", ["blue striped dress", "Blue Striped Dress", "  a blue striped DRESS "])
def test_a_blue_striped_dress_is_found_by_text(
    encode: Encode, catalogue: tuple[list[SampleItem], Vectors], query: str
) -> None:
    """Among all pictures of the sample catalogue a blue striped dress comes first, however the words are typed."""
    items, vectors = catalogue

    found = nearest(vectors, encode([query])[0], 5, items)

    assert found[0] == Garment(colour="blue", pattern="striped", kind="dress")


@pytest.mark.parametrize("size_pixels", [64, 320, 512])
def test_a_drawn_red_hat_finds_red_hats(
    encode: Encode, catalogue: tuple[list[SampleItem], Vectors], size_pixels: int
) -> None:
    """A new drawing of a red hat, at any size, has red hats as its nearest pictures."""
    items, vectors = catalogue
    red_hat = drawn(RED_HAT, size_pixels=size_pixels, seed=5)

    found = nearest(vectors, encode([red_hat])[0], 4, items)

    assert {(garment.colour, garment.kind) for garment in found} == {("red", "hat")}
    assert RED_HAT in found


@pytest.mark.parametrize("kind", ["dress", "hat", "scarf", "trousers"])
def test_a_kind_alone_finds_its_kind(encode: Encode, catalogue: tuple[list[SampleItem], Vectors], kind: str) -> None:
    """One word is a query as well: most of the first ten are of the kind."""
    items, vectors = catalogue

    found = nearest(vectors, encode([kind])[0], 10, items)

    assert sum(garment.kind == kind for garment in found) >= 8


@pytest.mark.parametrize(
    "text",
    ["", " ", "blue dress " * 1_000, "👗🎩", "robe d'été à pois", "ﬁ\u0000\u200b", "<|endoftext|> hat", "x" * 5_000],
    ids=["empty", "blank", "long", "emoji", "accents", "odd characters", "special token", "one long word"],
)
def test_hostile_texts_are_encoded(encode: Encode, text: str) -> None:
    """Whatever is typed becomes a finite unit vector; what is too long is cut."""
    vectors = encode([text])

    assert vectors.shape == (1, 512)
    assert np.linalg.norm(vectors[0]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("mode", "size"), [("L", (30, 400)), ("RGBA", (400, 30)), ("P", (1, 1))], ids=["grey", "transparent", "palette"]
)
def test_pictures_of_any_shape_are_encoded(encode: Encode, mode: str, size: tuple[int, int]) -> None:
    """Grey, transparent, palette, narrow and tiny pictures become finite unit vectors."""
    vectors = encode([Image.new(mode, size)])

    assert np.linalg.norm(vectors[0]) == pytest.approx(1.0, abs=1e-5)
