"""A tokenizer that learns its tokens from texts, by Hugging Face's library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

PAD, UNKNOWN = "[PAD]", "[UNK]"
SPECIAL = [PAD, UNKNOWN]  # tokens 0 and 1
ADDRESS, MENTION = r"https?://\S+|www\.\S+", r"@\w+"
PIECE = r"<(?:url|user|term)>|\w+(?:['\u2019]\w+)*|[^\w\s]"
"""A word with its apostrophes, an address, a mention, a masked term, or any other character that shows."""


def train_tokenizer(texts: Sequence[str], kind: str, vocabulary: int) -> str:
    """Learn tokens; gives the tokenizer as Hugging Face's JSON.

    Texts are put in lower case and Unicode's form NFKC; addresses become ``<url>``, mentions of users
    ``<user>``: who is mentioned says nothing that holds for others. The same texts give the same bytes.

    Args:
        texts: to learn from.
        kind: ``word`` (whole words), ``bpe`` (byte pairs: nothing is unknown; Sennrich et al. 2016),
            ``wordpiece`` (Schuster and Nakajima 2012) or ``byte`` (each byte, whatever the texts).
        vocabulary: tokens at most, ``[PAD]`` and ``[UNK]`` among them; texts of more characters than that
            have one for each of them.
    """
    written: str = KINDS[kind](texts, vocabulary).to_str()
    return written


def _word(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    tokenizer = _whole_words(models.WordLevel(unk_token=UNKNOWN))
    trainer = trainers.WordLevelTrainer(vocab_size=vocabulary, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _wordpiece(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """Pieces of one character are given first: the library would number them in no order."""
    learning = _whole_words(models.WordPiece(unk_token=UNKNOWN))
    normal = _normalizer()
    characters = set().union(*(normal.normalize_str(text) for text in texts))
    given = sorted(f"##{character}" for character in characters if not character.isspace())
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary, special_tokens=[*SPECIAL, *given], show_progress=False
    )
    learning.train_from_iterator(texts, trainer)
    tokenizer = _whole_words(models.WordPiece(learning.get_vocab(), unk_token=UNKNOWN))
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def _bpe(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """Over bytes; a blank before a word is part of its first token."""
    tokenizer = _over_bytes(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _byte(texts: Sequence[str], vocabulary: int) -> Tokenizer:  # noqa: ARG001 - it is fixed in advance
    """Each byte of UTF-8 for itself: 256 tokens after the special ones, in the order of their characters."""
    given = enumerate([*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())])
    tokenizer = _over_bytes(models.BPE({token: i for i, token in given}, []))
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def _over_bytes(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    blanks = [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip(), normalizers.Prepend(" ")]
    tokenizer.normalizer = normalizers.Sequence([_normalizer(), *blanks])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [_pieces(" ?"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    return tokenizer


def _whole_words(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = _normalizer()
    tokenizer.pre_tokenizer = _pieces()
    return tokenizer


def _normalizer() -> normalizers.Normalizer:
    return normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(ADDRESS), " <url> "),
            normalizers.Replace(Regex(MENTION), " <user> "),
        ]
    )


def _pieces(before: str = "") -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(f"{before}(?:{PIECE})"), "removed", invert=True)


KINDS: Mapping[str, Callable[[Sequence[str], int], Tokenizer]] = MappingProxyType(
    {"word": _word, "bpe": _bpe, "wordpiece": _wordpiece, "byte": _byte}
)
