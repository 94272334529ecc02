"""The Python side of a contender: loads once, then encodes on command. serve-peer.ts is its twin in JavaScript.

Lines of JSON: the texts and commands on stdin, replies on file descriptor 3, so that what libraries print does no harm.
"""

import base64
import json
import os
import sys
import time
from collections.abc import Callable

import numpy as np

Encode = Callable[[list[str]], np.ndarray]


def serve(versions: dict[str, str], settings: dict[str, Encode]) -> None:
    """Answers until stdin ends. An encoder returns float32 `[texts, dimensions]`, in the order of the texts."""
    with os.fdopen(3, "w") as replies:

        def reply(value: dict) -> None:
            replies.write(json.dumps(value) + "\n")
            replies.flush()

        reply({"versions": versions, "settings": list(settings)})
        texts: list[str] = []
        for line in sys.stdin:
            command = json.loads(line)
            if "texts" in command:
                texts = command["texts"]
            encode, count = settings[command["encode"]], command.get("first", len(texts))
            start = time.perf_counter()
            vectors = encode(texts[:count])
            seconds = time.perf_counter() - start
            data = np.ascontiguousarray(vectors, dtype=np.float32).tobytes()
            reply({"seconds": seconds, "vectors": base64.b64encode(data).decode()})
