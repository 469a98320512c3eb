"""What every client script reports: one line of JSON that tests/clients.rs reads. It retries nothing itself."""

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor


def judge(calls):
    """Runs each call as many times as the first argument says, four at once, and prints the verdict.

    `calls` maps a name to a function that answers with the content it got.
    """
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    verdict = {"calls": 0, "ok": 0, "errors": [], "contents": {}}
    work = [(name, call) for _ in range(rounds) for name, call in calls.items()]
    with ThreadPoolExecutor(max_workers=4) as pool:
        results = list(pool.map(lambda item: (item[0], attempt(item[1])), work))
    for name, (content, error) in results:
        verdict["calls"] += 1
        if error is None and not content:
            error = "the content is empty"
        if error is None:
            digest = hashlib.sha256(content.encode()).hexdigest()
            if verdict["contents"].setdefault(name, digest) != digest:
                error = "the content differs from the first time"
        if error is None:
            verdict["ok"] += 1
        else:
            verdict["errors"].append(f"{name}: {error}")
    print(json.dumps(verdict))


def attempt(call):
    try:
        return call(), None
    except Exception as error:  # whatever a client raises is a verdict, not a crash
        return "", f"{type(error).__name__}: {error} ({error.__cause__!r})"
