"""Commands for people to copy: words that a POSIX shell and then Hydra read as what was meant, whatever they hold."""

import re
import shlex
import sys
from pathlib import Path

SCRIPTS = ("search.py", "train.py", "detect.py", "pretrain_predictor.py", "prepare_data.py", "measure_latency.py")
SCRIPTS += ("export.py",)
PLAIN = re.compile(r"(\.{0,2}/|[A-Za-z_])[\w./-]*", re.ASCII)  # what Hydra takes for text without quotes
OTHERWISE = re.compile("null|true|false|nan|inf", re.IGNORECASE)  # ... but for these


def command(script: str, *words: str) -> str:
    """`python <script> <words>`, with the script where the running one lies; words are of `override`, or literal."""
    running = Path(sys.argv[0])
    path = running.with_name(script) if running.name in SCRIPTS else Path(script)
    return " ".join(["python", shlex.quote(str(path)), *words])


def override(key: str, text: str | Path) -> str:
    """`key=text` as one word of a shell, which Hydra reads as this very text."""
    return word(key, literal(str(text)))


def word(key: str, value: str) -> str:
    """`key=value` as one word of a shell; the value is written in Hydra's grammar."""
    return shlex.quote(f"{key}={value}")


def literal(text: str) -> str:
    """How Hydra's grammar and then OmegaConf's write this text."""
    if PLAIN.fullmatch(text) and not OTHERWISE.fullmatch(text):
        return text
    return quoted(re.sub(r"(\\*)\$\{", r"\1\1\\${", text))


def quoted(text: str) -> str:
    """The text in double quotes of Hydra's grammar; what stands in `${}` is still looked up."""
    doubled = re.sub(r'(\\+)(?="|\Z)', r"\1\1", text)
    return '"' + doubled.replace('"', '\\"') + '"'
