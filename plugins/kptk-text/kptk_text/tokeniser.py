"""Tokenisers: WordPiece and byte-level BPE trained on a corpus, or one from a local folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from kptk.errors import InputError, UsageError
from kptk.runfolder import PREPROCESSOR
from kptk.training.tokens import PADDING, TokenFacts

KINDS = ("wordpiece", "bpe")
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_GOES_ON = "##"
_WORD_START = "Ġ"
"""How byte-level BPE writes the space before a word."""


def train_tokeniser(texts: Callable[[], Iterable[list[str]]], kind: str, vocabulary: int, *, lowercase: bool) -> Any:
    """Learn a vocabulary. The same texts give the same one in every process.

    Args:
        texts: called for batches of texts, once or twice.
        kind: ``"wordpiece"`` (words, and pieces that go on with ``##``) or ``"bpe"`` (pieces of bytes: nothing is unknown).
        vocabulary: the largest number of tokens, special ones among them.
        lowercase: whether capital letters are made small, and accents are taken off with WordPiece.

    Returns:
        A `tokenizers.Tokenizer` whose first tokens are ``[PAD]`` (0), ``[UNK]``, ``[CLS]``, ``[SEP]``, ``[MASK]``.

    Raises:
        UsageError: if the vocabulary is too small for the letters.

    References:
        WordPiece, https://arxiv.org/abs/1609.08144; BPE, https://arxiv.org/abs/1508.07909
    """
    made = (
        _train_word_pieces(texts, vocabulary, lowercase)
        if kind == "wordpiece"
        else _train_bpe(texts, vocabulary, lowercase)
    )
    if made.get_vocab_size() > vocabulary:
        raise UsageError(
            f"`vocabulary` must be at least {made.get_vocab_size():,} for {kind} on this text: its letters and the special "
            f"tokens alone are so many. Received: {vocabulary:,}."
        )
    return made


def _train_word_pieces(texts: Callable[[], Iterable[list[str]]], vocabulary: int, lowercase: bool) -> Any:
    def train(first: list[str], size: int) -> list[str]:
        made = _empty_word_pieces(None, lowercase)
        trainer = trainers.WordPieceTrainer(
            vocab_size=size,
            special_tokens=first,
            limit_alphabet=max(vocabulary // 2, 1),  # rarer letters, as of Chinese names, become [UNK]
            show_progress=False,
        )
        made.train_from_iterator(texts(), trainer)
        return [made.id_to_token(number) for number in range(made.get_vocab_size())]

    # The library numbers the letters that go on with a word in the order of a hash table, which is another one each time, and
    # by these numbers decides between pieces that are equally frequent. So their order is fixed before.
    letters = train(list(SPECIALS), 1)
    first = [*SPECIALS, *sorted(word for word in letters if word.startswith(_GOES_ON) and len(word) > len(_GOES_ON))]
    words = train(first, vocabulary)
    return _empty_word_pieces({word: number for number, word in enumerate(words)}, lowercase)


def _empty_word_pieces(words: dict[str, int] | None, lowercase: bool) -> Any:
    made = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    if words:
        made.add_special_tokens(list(SPECIALS))
    return made


def _train_bpe(texts: Callable[[], Iterable[list[str]]], vocabulary: int, lowercase: bool) -> Any:
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.Sequence([normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])])
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts(), trainer)
    return made


def load_tokeniser(folder: str) -> Any:
    """Load a tokeniser from a local folder; nothing is ever downloaded.

    Args:
        folder: a run of kptk; a model in Hugging Face's layout (``tokenizer.json`` or ``vocab.txt``); or a KerasHub preset with
            a WordPiece vocabulary (``assets/tokenizer/vocabulary.txt``).

    Returns:
        A `tokenizers.Tokenizer`.

    Raises:
        InputError: if there is none, or it is not one with ``[PAD]``, ``[CLS]``, ``[SEP]`` and ``[MASK]``.
    """
    path = Path(folder)
    if not path.is_dir():
        raise InputError(
            f"`tokenizer` must be {', '.join(map(repr, KINDS))} or a local folder with a tokeniser. Received: {folder!r}, "
            "and there is no such folder. Nothing is downloaded: give the folder in which the model lies."
        )
    files = [path / "tokenizer.json", path / "vocab.txt", path / "assets" / "tokenizer" / "vocabulary.txt"]
    made = None
    if state := _json(path / PREPROCESSOR).get("config", {}).get("state") if (path / PREPROCESSOR).exists() else "":
        made = Tokenizer.from_str(state)
    elif files[0].exists() and "model" in (config := _json(files[0])):
        try:
            made = Tokenizer.from_str(json.dumps(config))
        except Exception as error:  # the library raises plain Exception
            raise InputError(f"{files[0]} cannot be read as a tokeniser: {error}") from None
    elif vocabulary := next((file for file in files[1:] if file.exists()), None):
        made = _word_pieces(vocabulary, path)
    if made is None:
        raise InputError(
            f"{folder} holds no tokeniser: neither a run's nor tokenizer.json, vocab.txt or assets/tokenizer/vocabulary.txt."
        )
    made.no_padding()
    made.no_truncation()
    missing = [name for name in SPECIALS if made.token_to_id(name) is None]
    if missing or made.token_to_id("[PAD]") != PADDING:
        what = f"it lacks {', '.join(missing)}" if missing else f"[PAD] has the number {made.token_to_id('[PAD]')}"
        raise InputError(f"the tokeniser in {folder} is not one of BERT's kind with [PAD] as number 0: {what}.")
    return made


def _word_pieces(file: Path, folder: Path) -> Any:
    words = file.read_text(encoding="utf-8").splitlines()
    config = _json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    preset = _json(folder / "tokenizer.json").get("config", {}) if (folder / "tokenizer.json").exists() else {}
    lowercase = config.get("do_lower_case", preset.get("lowercase", True))
    if "[UNK]" not in words:
        raise InputError(f"{file} is no WordPiece vocabulary: it lacks [UNK].")
    return _empty_word_pieces({word: number for number, word in enumerate(words)}, bool(lowercase))


def _json(file: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is not readable JSON: {error}") from None
    return loaded if isinstance(loaded, dict) else {}


def facts_of(tokeniser: Any) -> TokenFacts:
    """What the numbers of a tokeniser mean.

    Args:
        tokeniser: one of `train_tokeniser` or `load_tokeniser`.
    """
    size = tokeniser.get_vocab_size()
    words = [tokeniser.id_to_token(number) or "" for number in range(size)]
    specials = tuple(int(tokeniser.token_to_id(name)) for name in SPECIALS)
    byte_level = any(word.startswith(_WORD_START) for word in words)
    continues = np.array([not w.startswith(_WORD_START) if byte_level else w.startswith("##") for w in words])
    continues[list(specials)] = False
    return TokenFacts(
        vocabulary=size,
        mask=int(tokeniser.token_to_id("[MASK]")),
        start=int(tokeniser.token_to_id("[CLS]")),
        end=int(tokeniser.token_to_id("[SEP]")),
        specials=specials,
        continues=continues,
    )
