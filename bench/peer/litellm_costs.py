"""Prices a list of calls with litellm, in litellm's own environment; prints one JSON object.

Reads the calls that `bench/pricing.py` wrote. Responses are built before the clock starts: only
`completion_cost` is timed. Run by `bench/peer_programs.py`, never by hand.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

RUNS = 5


def main(path: Path) -> None:
    """Time the pricing of every call, five times."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    litellm = importlib.import_module("litellm")
    calls = json.loads(path.read_text())
    responses = [_response_of(litellm, call) for call in calls]
    micros: list[float] = []
    total = 0.0
    for _ in range(RUNS):
        started = time.process_time()
        total = sum(litellm.completion_cost(completion_response=one, model=model) for model, one in responses)
        micros.append((time.process_time() - started) / len(responses) * 1e6)
    print(json.dumps({"micros": micros, "total": total}))


def _response_of(litellm: Any, call: dict[str, Any]) -> tuple[str, Any]:  # noqa: ANN401 - not installed here
    provider = {"google": "gemini"}.get(call["provider"], call["provider"])
    usage = {
        "prompt_tokens": call["input_tokens"],
        "completion_tokens": call["output_tokens"],
        "total_tokens": call["input_tokens"] + call["output_tokens"],
        "prompt_tokens_details": {"cached_tokens": call["cached_tokens"]},
    }
    model = f"{provider}/{call['model']}"
    return model, litellm.ModelResponse(model=call["model"], usage=usage)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
