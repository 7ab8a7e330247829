"""llama.cpp in process: a model that begins and ends at once."""

from pathlib import Path
from typing import Any

import pytest

from warmline.backends.native import started


@pytest.mark.model
def test_a_model_can_be_let_go_as_soon_as_it_began(builtin_weights: Path) -> None:
    """Without waiting for the library's own thread, one close in many never returns."""
    xllamacpp: Any = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(builtin_weights)
    params.n_ctx = 256
    params.fit_params = params.warmup = params.ui = False
    params.verbosity = -1
    for _ in range(3):
        server: Any = started(params)
        # Only the thread that is waited for can say this.
        assert "llamacpp:prompt_tokens_total" in server.handle_metrics()
        del server
