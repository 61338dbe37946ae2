"""`make returns`: return parts of purchases that were replayed, at random, then say what came of it.

Which purchases, which parts and in which order follow from the file and the seed, and so do the keys: the same command
again sends the same returns, and they are answered as replays. A fifth of them are sent twice. What holds afterwards is
said by `make verify`, which knows nothing of what was sent here.
"""

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chalicelib.kernel.ids import PurchaseId
from chalicelib.storage import keys
from local.replay.crew import CHANNEL
from local.replay.rows import Row, read
from local.replay.wire import Silent, Wire
from local.settings import environment, settings
from local.tokens import make_token

CLIENTS = 8
TWICE = 0.2
"""How many of the returns are sent a second time."""


def main(arguments: Sequence[str]) -> int:
    """Send returns; 0 when each was taken, or refused for what it asked, and every repeat got its first answer."""
    env = environment()
    parser = argparse.ArgumentParser(prog="python -m local returns")
    parser.add_argument("--file", default=env.get("FILE"), required=not env.get("FILE"), type=Path)
    parser.add_argument("--count", default=env.get("COUNT") or "5000", type=int)
    parser.add_argument("--seed", default=env.get("SEED") or "1", type=int)
    asked = parser.parse_args(arguments)
    chosen = settings()
    if not chosen.keys_file.exists():
        print(f"Nothing ever ran from {chosen.data_dir}. Replay the file first.", file=sys.stderr)
        return 2
    token = make_token(json.loads(chosen.keys_file.read_text()), "admin", sub="stf_replay")
    errands = _errands(list(read(asked.file)), asked.count, random.Random(asked.seed), asked.seed)
    counts: Counter[str] = Counter()
    started = time.monotonic()
    clients = [
        threading.Thread(target=_send, args=(errands[number::CLIENTS], Wire("127.0.0.1", chosen.port, token), counts))
        for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    seconds = time.monotonic() - started
    print(f"{len(errands):,} returns in {seconds:.1f} s: {len(errands) / seconds:,.0f} a second.")
    for what, count in sorted(counts.items()):
        print(f"  {what:<36}{count:>12,}")
    return 1 if counts["wrong"] else 0


def _errands(rows: Sequence[Row], count: int, chance: random.Random, seed: int) -> list[tuple[PurchaseId, str, bytes]]:
    """The returns: a purchase, a key and a body each. Every third goes to a purchase of which part came back before."""
    chosen: list[Row] = []
    errands = []
    for number in range(count):
        row = chance.choice(chosen) if chosen and number % 3 == 0 else chance.choice(rows)
        chosen.append(row)
        body: dict[str, Any] = {"reason": "unwanted"}
        how = chance.random()
        if how < 0.5 and row.cents > 1:
            body["amount_minor"] = chance.randint(1, row.cents)
        elif how < 0.7:
            body["lines"] = [{"sku": "CD", "quantity": chance.randint(1, row.quantity)}]
        where = keys.purchase_id(CHANNEL, row.order_no)
        errands.append((where, f"returns-{seed}-{number}", json.dumps(body).encode()))
    return errands


def _send(errands: Sequence[tuple[PurchaseId, str, bytes]], wire: Wire, counts: Counter[str]) -> None:
    """Send returns over one connection."""
    chance = random.Random(len(errands))
    try:
        for where, key, body in errands:
            path = f"/v1/purchases/{where}/returns"
            answer = wire.insist("POST", path, body, key=key)
            told = json.loads(answer.body)
            if answer.status == 201:
                counts["answered as a replay" if answer.replayed else "taken"] += 1
                counts["points taken back"] += told["points_taken_back"]
                counts["money back, in minor units"] += told["refund_minor"]
            elif answer.status in (400, 409):
                counts[f"refused: {told['code']}"] += 1
            else:
                counts["wrong"] += 1
                print(f"{answer.status}: {answer.body[:200].decode(errors='replace')}", file=sys.stderr)
            if chance.random() < TWICE:
                again = wire.insist("POST", path, body, key=key)
                same = again.status == answer.status and (again.status != 201 or json.loads(again.body) == told)
                counts["sent again, same answer" if same else "wrong"] += 1
    except Silent as silent:
        counts["wrong"] += 1
        print(f"The server did not answer for too long ({silent}).", file=sys.stderr)
    finally:
        wire.close()
