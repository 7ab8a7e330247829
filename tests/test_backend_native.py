"""llama.cpp in process: a model that begins and ends at once."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from warmline.backends.native import start


@pytest.mark.model
def test_a_model_can_be_let_go_as_soon_as_it_began(builtin_weights: Path) -> None:
    """Without waiting for the library's own thread, one close in many never returns."""
    for _ in range(3):
        server: Any = start(builtin_weights, n_ctx=256)
        # Only the thread that is waited for can say this.
        assert "llamacpp:prompt_tokens_total" in server.handle_metrics()
        del server


@pytest.mark.model
def test_nobody_else_can_use_a_model_in_process(builtin_weights: Path) -> None:
    server: Any = start(builtin_weights, n_ctx=256)
    answer = httpx.post(f"{server.listening_address}/completion", json={"prompt": "Hello"})
    assert answer.status_code == 401


@pytest.mark.model
def test_a_parameter_that_the_library_does_not_have_is_an_error(builtin_weights: Path) -> None:
    with pytest.raises(AttributeError):
        start(builtin_weights, context=256)
