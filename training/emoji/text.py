"""Give the first pipeline's text encoder a vocabulary for everyday English, before the UNet is trained on.

The new tokenizer has a token for each word of the captions. The encoder keeps its layers; each new word begins
with the embedding of a word that it knows: a synonym with that of the thing, the words around it with that of
"picture". So the first UNet goes on drawing what it can draw, and training has only to add to it.
"""

import argparse
import json
import random
import re
import string
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextModel, CLIPTokenizer

from training.emoji.captions import WORDINGS, caption
from training.emoji.data import COLOURS, Glyph, read_table

MAX_TOKENS = 24
WIDTH = 96
VOCABULARY = 1400
START, END = "<|startoftext|>", "<|endoftext|>"
CHARACTERS = string.ascii_lowercase + string.digits + ",.!?'-:;/()\"&+"


def samples(glyphs: list[Glyph], rng: random.Random, count: int) -> tuple[list[str], list[int], list[int]]:
    """Draw ``count`` captions with the numbers of their glyph and colour; white comes more often."""
    things = [rng.randrange(len(glyphs)) for _ in range(count)]
    colours = [0 if rng.random() < 0.15 else rng.randrange(len(COLOURS)) for _ in range(count)]
    names = list(COLOURS)
    return [caption(glyphs[i], names[j], rng) for i, j in zip(things, colours, strict=True)], things, colours


def learn_merges(texts: list[str]) -> tuple[dict[str, int], list[str]]:
    """Return a CLIP vocabulary (with every character, inside and at the end of a word) and its merges."""
    bpe = Tokenizer(models.BPE(unk_token=END, end_of_word_suffix="</w>"))
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=list(CHARACTERS),
        special_tokens=[START, END],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    model = json.loads(bpe.to_str())["model"]
    vocabulary: dict[str, int] = dict(model["vocab"])
    for piece in (character + suffix for character in CHARACTERS for suffix in ("", "</w>")):
        vocabulary.setdefault(piece, len(vocabulary))
    return vocabulary, [" ".join(merge) if isinstance(merge, list) else merge for merge in model["merges"]]


def make_tokenizer(glyphs: list[Glyph], folder: Path, seed: int) -> CLIPTokenizer:
    """Train the byte pair encoding on captions and save it as a ``CLIPTokenizer``."""
    texts, _, _ = samples(glyphs, random.Random(seed), 30_000)
    vocabulary, merges = learn_merges(texts)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    files = (str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer: CLIPTokenizer = CLIPTokenizer(*files, model_max_length=MAX_TOKENS, pad_token=END)
    tokenizer.save_pretrained(folder)
    return tokenizer


def tokenize(tokenizer: Any, texts: list[str]) -> torch.Tensor:
    """Return token numbers, shape (n, MAX_TOKENS), as the pipeline makes them."""
    batch = tokenizer(texts, padding="max_length", max_length=MAX_TOKENS, truncation=True, return_tensors="pt")
    ids: torch.Tensor = batch.input_ids
    return ids


def meanings(glyphs: list[Glyph]) -> dict[str, str]:
    """Return for each word of a name or synonym that belongs to one known glyph the teacher's word for it."""
    found: dict[str, set[str]] = {}
    for glyph in glyphs:
        for word in {word for phrase in (glyph.name, *glyph.synonyms) for word in phrase.split()}:
            found.setdefault(word, set()).add(glyph.first_name)
    return {word: first.pop().split()[0] for word, first in found.items() if len(first) == 1 and "" not in first}


def first_embedding(token: str, known: dict[str, int], old: torch.Tensor, words: dict[str, str]) -> torch.Tensor:
    """Return where the embedding of a new token begins.

    A token of the teacher keeps its own; a synonym of a glyph that the teacher knows begins as that glyph's word,
    every other word of the training captions as "picture" (which the teacher reads over), and a part of a word anew.
    """
    word = token.removesuffix("</w>")
    twin = f"{words[word]}</w>" if word in words else token
    if twin in known:
        return old[known[twin]]
    noise = old.std() * torch.randn(WIDTH)
    return old[known["picture</w>"]] + 0.3 * noise if token in words["*"].split() else noise


@torch.no_grad()
def grow(teacher: Path, tokenizer: Any, glyphs: list[Glyph]) -> CLIPTextModel:
    """Return the teacher's text encoder with an embedding for each token of ``tokenizer``."""
    encoder = CLIPTextModel.from_pretrained(teacher / "text_encoder", dtype=torch.float32)
    known = CLIPTokenizer.from_pretrained(teacher / "tokenizer").get_vocab()
    old, words = encoder.get_input_embeddings().weight.clone(), meanings(glyphs)
    words["*"] = " ".join(f"{word}</w>" for word in fillers())
    encoder.resize_token_embeddings(len(tokenizer))
    for token, number in tokenizer.get_vocab().items():
        encoder.get_input_embeddings().weight[number] = first_embedding(token, known, old, words)
    start, end = tokenizer.convert_tokens_to_ids([START, END])
    encoder.config.update({"bos_token_id": start, "eos_token_id": end, "pad_token_id": end})
    return encoder


def fillers() -> set[str]:
    """Return the words of the training captions that stand around the thing."""
    return {word for phrases in WORDINGS.values() for phrase in phrases for word in re.findall(r"[a-z0-9]+", phrase)}


def main() -> None:
    """Write ``OUT/tokenizer`` and ``OUT/text_encoder``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the first pipeline")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    glyphs = read_table()
    tokenizer = make_tokenizer(glyphs, args.out / "tokenizer", args.seed)
    grow(args.teacher, tokenizer, glyphs).save_pretrained(args.out / "text_encoder")
    print(f"{len(tokenizer)} tokens")


if __name__ == "__main__":
    main()
