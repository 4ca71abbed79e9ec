"""The file of figures that every benchmark writes."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def write(name, cases):
    """Writes `target/bench/NAME.json`, and a line a case: dictionaries of case, unit, ours, peers and goal."""
    out = ROOT / "target" / "bench" / f"{name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(cases, indent=1) + "\n")
    for case in cases:
        print(f"{case['case']:50} {case['ours']:8.1f} {case['unit']}  {case['peers']}")
