"""Train the development CLIP on drawn garments: ``python -m prethrift_backend.devstack.clip_training --output FOLDER``.

The result is a checkpoint folder as production uses it, CLIPModel beside CLIPProcessor, so that development runs the
same loading code over the same file format; only the model is small enough to ship (1.4 MB) and knows nothing but our
garments. It takes a few minutes on two cores and no network. The last thing written is ``score.json``: how
often the right picture comes first for combinations of colour, pattern and kind that were held out of the training.

The captions are worded in many ways, as people search, and that takes 2,400 steps: after 900 the right picture came
first for 82 of 100 held-out captions, after 2,400 for 92.

The tokens are characters without merges: nothing is learned from a corpus, and no text is out of vocabulary.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sentence_transformers import SentenceTransformer
from tokenizers import pre_tokenizers
from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from prethrift_backend.devstack.garments import Garment, caption, draw, every_garment

IMAGE_PIXELS = 64
MAX_TOKENS = 77
HELD_OUT_COUNT = 60
_BATCH = 96
_LEARNING_RATE = 1e-3
_THREADS = 2

# How many pictures of each garment are drawn at which size: uploads are far larger than what the model sees, and come
# to it reduced. Large ones are dear to draw, so they are few; the counts are arbitrary.
_DRAWN_PIXELS = (64,) * 10 + (96,) * 5 + (160,) * 3 + (320,)


# --- What is held out, and how it is scored ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Score:
    """Shares of held-out captions whose own picture comes first, or among the first five, of all held-out pictures."""

    top1: float
    top5: float


def held_out_garments(*, seed: int) -> tuple[Garment, ...]:
    """Return the 60 combinations that training with this seed never sees."""
    return tuple(_random(f"held out {seed}").sample(every_garment(), HELD_OUT_COUNT))


def held_out_pictures(*, seed: int, size_pixels: int, drawing: int) -> list[Image.Image]:
    """Draw every held-out garment once, in their order; another ``drawing`` is another pose and background."""
    garments = held_out_garments(seed=seed)
    return [
        draw(garment, size_pixels=size_pixels, rng=_random(f"test {seed} {drawing} {index}"))
        for index, garment in enumerate(garments)
    ]


def ranking_score(captions: NDArray[np.float32], pictures: NDArray[np.float32]) -> Score:
    """Score unit vectors of shape (n, 512) each, where row i of both is the same garment."""
    similarity = captions @ pictures.T
    better = (similarity > np.diag(similarity)[:, None]).sum(axis=1)
    return Score(top1=float(np.mean(better < 1)), top5=float(np.mean(better < 5)))


def _random(seed: str) -> Random:
    return Random(seed)  # noqa: S311  # pictures and words, no secrets


# --- Captions ---------------------------------------------------------------------------------------------------------

_PATTERN_WORDS = {
    "plain": (("", "", "plain", "solid"), ("",)),
    "striped": (("striped", "striped", "stripy"), ("with stripes",)),
    "dotted": (("dotted", "dotted", "polka dot", "spotted"), ("with dots", "with polka dots")),
    "checked": (("checked", "checked", "checkered", "plaid"), ("with checks",)),
}
_OTHER_WORDS = {"grey": "gray", "teal": "turquoise", "trousers": "pants"}
_PLURALS = {"dress": "dresses", "scarf": "scarves", "trousers": "trousers"}
_BEFORE = (
    "",
    "",
    "",
    "",
    "a ",
    "a ",
    "photo of a ",
    "a photo of a ",
    "picture of a ",
    "i want a ",
    "vintage ",
    "used ",
)
_AFTER = ("", "", "", "", "", " size m", " for summer", " for women", " in good condition", ", second hand")


@dataclass(frozen=True, slots=True)
class Wish:
    """A search text and what it asks for; None is "any"."""

    text: str
    colour: str | None
    pattern: str | None
    kind: str | None

    def fits(self, garment: Garment) -> bool:
        """Say whether the garment has everything that is asked for."""
        wanted = ((self.colour, garment.colour), (self.pattern, garment.pattern), (self.kind, garment.kind))
        return all(word is None or word == had for word, had in wanted)


def wish(garment: Garment, rng: Random) -> Wish:
    """Word a search that the garment answers: mostly the whole of it, now and then a part."""
    whole = rng.random() < 0.8
    if whole:
        return Wish(_whole_text(garment, rng), garment.colour, garment.pattern, garment.kind)
    part = rng.choice(("colour", "pattern", "kind", "kind"))
    text, found = _part_text(garment, part, rng), {part: getattr(garment, part)}
    return Wish(text, **{"colour": None, "pattern": None, "kind": None, **found})


def _whole_text(garment: Garment, rng: Random) -> str:
    if rng.random() < 0.3:
        return caption(garment)
    adjectives, nouns = _PATTERN_WORDS[garment.pattern]
    colour, kind = (_synonym(word, rng) for word in (garment.colour, garment.kind))
    kind = _plural(kind) if rng.random() < 0.15 else kind
    adjective, noun = rng.choice(adjectives), rng.choice(nouns)
    order = rng.choice(
        (
            f"{colour} {adjective} {kind}",
            f"{adjective} {colour} {kind}",
            f"{colour} {kind} {noun or adjective}",
            f"{kind}, {colour} {noun or adjective}",
            f"{adjective} {kind} in {colour}",
        )
    )
    return " ".join(f"{rng.choice(_BEFORE)}{order}{rng.choice(_AFTER)}".split())


def _part_text(garment: Garment, part: str, rng: Random) -> str:
    if part == "kind":
        kind = _synonym(garment.kind, rng)
        return rng.choice((kind, f"a {kind}", _plural(kind)))
    word = "plain" if garment.pattern == "plain" else rng.choice(_PATTERN_WORDS[garment.pattern][0])
    word = _synonym(garment.colour, rng) if part == "colour" else word
    return rng.choice((word, f"something {word}", f"{word} clothes"))


def _synonym(word: str, rng: Random) -> str:
    return _OTHER_WORDS[word] if word in _OTHER_WORDS and rng.random() < 0.3 else word


def _plural(kind: str) -> str:
    return _PLURALS.get(kind, kind if kind.endswith("s") else f"{kind}s")


# --- The model --------------------------------------------------------------------------------------------------------


def _new_processor() -> Any:
    side = {"height": IMAGE_PIXELS, "width": IMAGE_PIXELS}
    image_processor = CLIPImageProcessorPil(size={"shortest_edge": IMAGE_PIXELS}, crop_size=side)
    tokenizer = CLIPTokenizer(_vocabulary(), [], model_max_length=MAX_TOKENS)
    return CLIPProcessor(image_processor, tokenizer)  # type: ignore[no-untyped-call]  # transformers leaves it untyped


def _vocabulary() -> dict[str, int]:
    """Give numbers to the two marks, then to every byte as it is spelled inside and at the end of a word."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    return {token: index for index, token in enumerate(tokens)}


def _new_model(tokenizer: Any) -> Any:
    tower = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2}
    marks = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = CLIPConfig(
        text_config={**tower, **marks, "vocab_size": len(tokenizer), "max_position_embeddings": MAX_TOKENS},
        vision_config={**tower, "image_size": IMAGE_PIXELS, "patch_size": 16},
        projection_dim=512,
    )
    return CLIPModel(config)


# --- Training ---------------------------------------------------------------------------------------------------------


def train(*, steps: int, seed: int) -> tuple[Any, Any]:
    """Train from nothing; return the model and its processor."""
    torch.set_num_threads(_THREADS)
    torch.manual_seed(seed)
    processor = _new_processor()
    model = _new_model(processor.tokenizer).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    for step, (inputs, fits) in enumerate(_batches(processor, steps=steps, seed=seed)):
        loss = _loss(model, inputs, fits)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        schedule.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step} of {steps}: loss {loss.item():.3f}", flush=True)
    return model.eval(), processor


def _rate(step: int, steps: int) -> float:
    """Rise over the first 50 steps, then fall along a cosine to a twentieth."""
    return min(1.0, (step + 1) / 50) * (0.525 + 0.475 * math.cos(math.pi * step / steps))


def _loss(model: Any, inputs: dict[str, torch.Tensor], fits: torch.Tensor) -> torch.Tensor:
    """Cross entropy in both directions; a text that fits several pictures wants them all alike."""
    logits = model(**inputs).logits_per_text
    by_text = torch.nn.functional.cross_entropy(logits, fits / fits.sum(dim=1, keepdim=True))
    by_picture = torch.nn.functional.cross_entropy(logits.T, fits.T / fits.T.sum(dim=1, keepdim=True))
    return (by_text + by_picture) / 2


def _batches(processor: Any, *, steps: int, seed: int) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
    """Yield model inputs for 96 different garments, and which text (row) fits which picture (column)."""
    rng = _random(f"train {seed}")
    held_out = set(held_out_garments(seed=seed))
    garments = [garment for garment in every_garment() if garment not in held_out]
    pool = _picture_pool(garments, processor.image_processor, rng)
    mean, deviation = (
        torch.tensor(values).view(1, 3, 1, 1)
        for values in (processor.image_processor.image_mean, processor.image_processor.image_std)
    )
    for _ in range(steps):
        chosen = rng.sample(range(len(garments)), _BATCH)
        wishes = [wish(garments[index], rng) for index in chosen]
        inputs = processor.tokenizer([wish.text for wish in wishes], padding=True, truncation=True, return_tensors="pt")
        pixels = torch.stack([pool[index, rng.randrange(pool.shape[1])] for index in chosen]) / 255
        fits = torch.tensor([[float(wish.fits(garments[index])) for index in chosen] for wish in wishes])
        yield {**inputs, "pixel_values": (pixels - mean) / deviation}, fits


def _picture_pool(garments: Sequence[Garment], image_processor: Any, rng: Random) -> torch.Tensor:
    """Draw every garment at every size; return bytes of shape (garments, drawings, 3, 64, 64).

    Drawn once and kept as bytes: drawing anew for every batch would take longer than the training.
    """
    shelves = []
    for garment in garments:
        pictures = [draw(garment, size_pixels=size, rng=rng) for size in _DRAWN_PIXELS]
        seen = image_processor(pictures, do_rescale=False, do_normalize=False)["pixel_values"]
        shelves.append(torch.from_numpy(np.stack(seen).clip(0, 255).astype(np.uint8)))
    return torch.stack(shelves)


# --- Saving and scoring -----------------------------------------------------------------------------------------------


def save(model: Any, processor: Any, folder: Path) -> None:
    """Write the checkpoint; the weights as safetensors, no pickles."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    # The weights are written for their owner alone, and an installed package belongs to somebody else.
    (folder / "model.safetensors").chmod(0o644)


def score_folder(folder: Path, *, seed: int, size_pixels: int, drawings: int) -> Score:
    """Load the saved folder the way the server does and score it; the mean over several drawings of each garment."""
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    texts = model.encode([caption(garment) for garment in held_out_garments(seed=seed)], normalize_embeddings=True)
    scores = []
    for drawing in range(drawings):
        pictures = held_out_pictures(seed=seed, size_pixels=size_pixels, drawing=drawing)
        scores.append(ranking_score(texts, model.encode(pictures, normalize_embeddings=True)))
    count = len(scores)
    return Score(top1=sum(one.top1 for one in scores) / count, top5=sum(one.top5 for one in scores) / count)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, save, score, and write ``score.json``."""
    parser = argparse.ArgumentParser(description="Train the development CLIP on drawn garments.")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where the checkpoint goes")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    model, processor = train(steps=options.steps, seed=options.seed)
    save(model, processor, options.output)
    report = _report(options.output, steps=options.steps, seed=options.seed)
    (options.output / "score.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


def _report(folder: Path, *, steps: int, seed: int) -> dict[str, object]:
    small = score_folder(folder, seed=seed, size_pixels=IMAGE_PIXELS, drawings=5)
    large = score_folder(folder, seed=seed, size_pixels=512, drawings=1)
    names = ("pillow", "sentence-transformers", "tokenizers", "torch", "transformers")
    return {
        "held_out": HELD_OUT_COUNT,
        "drawings": 5,
        "top1": round(small.top1, 4),
        "top5": round(small.top5, 4),
        "top1_of_512_pixels": round(large.top1, 4),
        "top5_of_512_pixels": round(large.top5, 4),
        "steps": steps,
        "seed": seed,
        "versions": {name: version(name) for name in names},
    }


if __name__ == "__main__":
    main()
