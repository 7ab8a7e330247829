"""What an OpenAI-compatible server lists about its models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: What tells one model from another in the list: at its top, and in llama.cpp's ``meta``. Not
#: ``created``, which vLLM and llama.cpp set to the moment of the request.
_TELLING = ("id", "owned_by", "root", "parent")
_TELLING_META = ("n_params", "n_vocab", "n_embd", "size", "ftype")


@dataclass(frozen=True)
class ModelCard:
    """One model as the server lists it.

    ``names`` are all it can be asked for by. ``context_length`` (tokens) and ``size`` (bytes of
    its weights) are 0 where the server does not say. ``digest`` is a hash of whatever tells this
    model from others.
    """

    id: str
    names: tuple[str, ...]
    owner: str
    context_length: int
    size: int
    digest: str


def cards_of(answer: Any) -> list[ModelCard]:
    """The models in the answer of ``/v1/models``.

    Raises:
        ValueError: when it is no such answer.
    """
    listed = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        raise ValueError("its list of models has no `data`")
    return [_card(one) for one in listed if isinstance(one, dict) and one.get("id")]


def _card(listed: Mapping[str, Any]) -> ModelCard:
    found = listed.get("meta")
    meta: Mapping[str, Any] = found if isinstance(found, dict) else {}
    limits = (listed.get("max_model_len"), meta.get("n_ctx"), meta.get("n_ctx_train"))
    telling = {name: listed.get(name) for name in _TELLING}
    telling["meta"] = {name: meta.get(name) for name in _TELLING_META}
    aliases = listed.get("aliases")
    return ModelCard(
        id=str(listed["id"]),
        names=(str(listed["id"]), *(map(str, aliases) if isinstance(aliases, list) else ())),
        owner=str(listed.get("owned_by") or ""),
        context_length=min(filter(None, map(_whole, limits)), default=0),
        size=_whole(meta.get("size")),
        digest=hashlib.sha256(json.dumps(telling, sort_keys=True).encode()).hexdigest(),
    )


def _whole(value: object) -> int:
    """A whole number above 0, else 0."""
    return value if isinstance(value, int) and value > 0 else 0
