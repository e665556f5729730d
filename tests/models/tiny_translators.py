"""Make tiny translation models of each family: random weights, and real tokenizers trained on a few sentences."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bot.cpu.examples import SENTENCES

PIECES = 120
SMALL: dict[str, Any] = {
    "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 64,
}  # fmt: skip
SMALL_T5: dict[str, Any] = {
    "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0,
}  # fmt: skip
OPUS_TO_ROMANCE = (">>por<<", ">>fra<<", ">>pt_BR<<")
MADLAD_TO = ("<2pt>", "<2de>", "<2sr_Latn>", "<2sr>")
T5_TASKS = {
    "summarization": {"prefix": "summarize: "},
    "translation_en_to_de": {"prefix": "translate English to German: ", "num_beams": 4, "max_length": 300},
    "translation_en_to_fr": {"prefix": "translate English to French: ", "num_beams": 4, "max_length": 300},
}


def tiny_fsmt(folder: Path) -> Path:
    """Write a model like facebook/wmt19-en-de."""
    from transformers import FSMTConfig, FSMTForConditionalGeneration, FSMTTokenizer

    folder.mkdir(parents=True)
    letters = "abcdefghijklmnopqrstuvwxyz.,?!"
    vocab = ["<s>", "<pad>", "</s>", "<unk>", *letters, *(f"{letter}</w>" for letter in letters)]
    for name in ("vocab-src.json", "vocab-tgt.json"):
        (folder / name).write_text(json.dumps({token: i for i, token in enumerate(vocab)}), encoding="utf-8")
    (folder / "merges.txt").write_text("t h 1\n", encoding="utf-8")
    FSMTTokenizer(
        ["en", "de"], *(str(folder / name) for name in ("vocab-src.json", "vocab-tgt.json", "merges.txt"))
    ).save_pretrained(folder)
    config = FSMTConfig(langs=["en", "de"], src_vocab_size=len(vocab), tgt_vocab_size=len(vocab), **SMALL)
    return _save(FSMTForConditionalGeneration, config, folder)


def tiny_marian(folder: Path, *, source: str = "en", to: str = "pt", codes: Sequence[str] = ()) -> Path:
    """Write a model like those of OPUS-MT; `codes` are the tokens of a multilingual one."""
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder.mkdir(parents=True)
    pieces = _sentencepiece()
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(pieces)
    vocab = ["</s>", "<unk>", *[p for p in _pieces_of(pieces) if not p.startswith("<")], *codes, "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(vocab)}), encoding="utf-8")
    files = [str(folder / name) for name in ("source.spm", "target.spm", "vocab.json")]
    MarianTokenizer(*files, source_lang=source, target_lang=to).save_pretrained(folder)
    pad = len(vocab) - 1
    config = MarianConfig(
        vocab_size=len(vocab), pad_token_id=pad, decoder_start_token_id=pad, eos_token_id=0, forced_eos_token_id=0,
        **SMALL,
    )  # fmt: skip
    return _save(MarianMTModel, config, folder)


def tiny_m2m100(folder: Path, *, without: int = 0) -> Path:
    """Write a model like facebook/m2m100_418M, `without` embeddings for the last of the tokenizer's languages."""
    from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer

    folder.mkdir(parents=True)
    pieces = _sentencepiece()
    (folder / "sentencepiece.bpe.model").write_bytes(pieces)
    vocab = ["<s>", "<pad>", "</s>", "<unk>", *[p for p in _pieces_of(pieces) if not p.startswith("<")]]
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(vocab)}), encoding="utf-8")
    tokenizer = M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"))
    tokenizer.save_pretrained(folder)
    size = len(vocab) + len(tokenizer.lang_code_to_id) - without
    config = M2M100Config(vocab_size=size, decoder_start_token_id=2, **SMALL)
    return _save(M2M100ForConditionalGeneration, config, folder)


def tiny_nllb(folder: Path) -> Path:
    """Write a model like facebook/nllb-200-distilled-600M: the architecture of M2M100 with a tokenizer of its own."""
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    folder.mkdir(parents=True)
    tokenizer = NllbTokenizer(vocab=_bpe_vocab(), merges=[])
    tokenizer.save_pretrained(folder)
    config = M2M100Config(vocab_size=len(tokenizer), decoder_start_token_id=2, **SMALL)
    return _save(M2M100ForConditionalGeneration, config, folder)


def tiny_mbart50(folder: Path, *, only_to: str | None = None) -> Path:
    """Write a model like facebook/mbart-large-50-many-to-many-mmt; `only_to` makes it many-to-one.

    Its tokenizer is there as a SentencePiece model only, as on the Hub.
    """
    from transformers import MBart50Tokenizer, MBartConfig, MBartForConditionalGeneration

    folder.mkdir(parents=True)
    tokenizer = MBart50Tokenizer(vocab=_unigram_vocab())
    (folder / "sentencepiece.bpe.model").write_bytes(_sentencepiece())
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "MBart50Tokenizer"}', encoding="utf-8")
    config = MBartConfig(vocab_size=len(tokenizer), decoder_start_token_id=2, **SMALL)
    forced = tokenizer.convert_tokens_to_ids(only_to) if only_to else None
    return _save(MBartForConditionalGeneration, config, folder, forced_bos_token_id=forced)


def tiny_mbart(folder: Path, *, to: str = "ro_RO") -> Path:
    """Write a model like facebook/mbart-large-en-ro, whose decoder starts with the language."""
    from transformers import MBartConfig, MBartForConditionalGeneration, MBartTokenizer

    folder.mkdir(parents=True)
    specials = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    tokenizer = MBartTokenizer(vocab=[*specials, *_unigram_vocab()[3:]])
    tokenizer.save_pretrained(folder)
    start = tokenizer.convert_tokens_to_ids(to)
    config = MBartConfig(vocab_size=len(tokenizer), decoder_start_token_id=start, **SMALL)
    return _save(MBartForConditionalGeneration, config, folder)


def tiny_madlad(folder: Path) -> Path:
    """Write a model like google/madlad400-3b-mt."""
    return _t5(folder, extra=MADLAD_TO)


def tiny_t5(folder: Path, tasks: Any = T5_TASKS, **config: Any) -> Path:
    """Write a model like google-t5/t5-small."""
    return _t5(folder, task_specific_params=tasks, **config)


def _t5(folder: Path, *, extra: Sequence[str] = (), **config: Any) -> Path:
    from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

    folder.mkdir(parents=True)
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((token, 0.0) for token in extra), *_unigram_vocab()[3:]]
    tokenizer = T5Tokenizer(vocab=vocab, extra_ids=0)
    tokenizer.save_pretrained(folder)
    return _save(T5ForConditionalGeneration, T5Config(vocab_size=len(tokenizer), **SMALL_T5, **config), folder)


def _save(kind: Any, config: Any, folder: Path, **generation: Any) -> Path:
    import torch

    torch.manual_seed(0)
    model = kind(config)
    model.generation_config.update(**generation)
    model.save_pretrained(folder)
    return folder


def _sentencepiece() -> bytes:
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=model, vocab_size=PIECES, minloglevel=2, hard_vocab_limit=False
    )
    return model.getvalue()


def _pieces_of(model: bytes) -> list[str]:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [processor.id_to_piece(i) for i in range(processor.get_piece_size())]


def _unigram_vocab() -> list[tuple[str, float]]:
    import sentencepiece

    model = _sentencepiece()
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [(piece, processor.get_score(i)) for i, piece in enumerate(_pieces_of(model))]


def _bpe_vocab() -> dict[str, int]:
    letters = sorted({*"".join(SENTENCES).replace(" ", ""), "▁"})
    return {token: i for i, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *letters])}
