"""`hangtag bench`: one subcommand per claim."""

import importlib
import sys
from collections.abc import Sequence

BENCHMARKS = {
    "accuracy": "the share of a test split that a running service answers right, and as Keras did",
    "models": "each model version's size, time on one core, and accuracy",
    "overhead": "what a request costs over decode and bare onnxruntime in one process",
    "decode": "our decoder beside others",
    "catalog": "what a whole catalogue takes, over decode and inference alone, and its memory",
    "workers": "what a second worker on a second core is worth",
    "refusal": "what a request costs that finds no place",
    "peers": "other servers and ours, side by side",
    "overload": "goodput and refusals while a thousand clients ask",
    "fairness": "how long single photos take beside batches that want the whole machine",
    "soak": "everything at once for as long as you like: surprises and leaks",
    "reload": "what requests and memory have of new versions under load",
    "scrape": "how long a scrape takes, and holds up others",
    "pages": "how soon the pages for people are there, their bytes, and their frames with 200 photos",
    "stalls": "how long the machine itself keeps every program waiting",
    "keys": "what the check of a key costs, and its rate",
    "versions": "two versions of a model, such as float and 8 bits, under load",
}

USAGE = """usage: hangtag bench URL ...        rates and latencies of a service under load
       hangtag bench BENCHMARK ...

benchmarks:
{benchmarks}

`hangtag bench URL --help` and `hangtag bench BENCHMARK --help` show the options and an example.
Example: hangtag bench accuracy fashion-mnist"""


def run(arguments: Sequence[str]) -> int:
    """Run one benchmark; returns 0 where what it measures is as claimed, 1 where it is not, 2 for wrong usage."""
    name, *rest = list(arguments) or ["--help"]
    if name == "URL" or name.startswith("http://"):
        return int(importlib.import_module("benchmarks.load").run(rest if name == "URL" else arguments))
    if name in BENCHMARKS:
        return int(importlib.import_module(f"benchmarks.{name}").run(rest))
    asked = name in {"-h", "--help"}
    lines = "\n".join(f"  {benchmark:10} {what}" for benchmark, what in BENCHMARKS.items())
    print(USAGE.format(benchmarks=lines), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2
