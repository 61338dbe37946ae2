"""Secrets in the tree: `python -m local.leaks`, part of `make check`; `--keep` keeps what was found as known.

detect-secrets finds them. What it takes for secrets and is none, such as the vectors of a test, is known by its hash in
`.secrets.baseline`, wherever in its file it moves. `detect-secrets audit .secrets.baseline` shows each to a person.
"""

import json
import re
import subprocess
import sys

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

from local.settings import ROOT

BASELINE = ROOT / ".secrets.baseline"
_GENERATED = re.compile(
    r"docs/(openapi\.json|events/.*|figures/.*)|package-lock\.json|(requirements.*|local/ministack|infra/tools)\.txt|\.secrets\.baseline"
)
"""Generated, or hashes of packages by the thousand."""
_OURS = re.compile(r"rgk_[a-z2-7]{16}_[a-z2-7]{52}")
"""An integration key."""
_KEEP = "python -m local.leaks --keep"
_PLUGINS = [
    {"name": "AWSKeyDetector"},
    {"name": "BasicAuthDetector"},
    {"name": "GitHubTokenDetector"},
    {"name": "JwtTokenDetector"},
    {"name": "KeywordDetector"},
    {"name": "PrivateKeyDetector"},
    {"name": "Base64HighEntropyString", "limit": 4.5},
    {"name": "HexHighEntropyString", "limit": 3.0},
]


def files() -> list[str]:
    """What git keeps or would keep, but for what is generated."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in names if name and not _GENERATED.fullmatch(name) and (ROOT / name).is_file()]


def found(names: list[str]) -> SecretsCollection:
    """What looks like a secret in some files."""
    with transient_settings({"plugins_used": _PLUGINS}):
        secrets = SecretsCollection(root=str(ROOT))
        secrets.scan_files(*names)
    return secrets


def known() -> set[tuple[str, str]]:
    """File and hash of what is no secret."""
    kept = json.loads(BASELINE.read_text())["results"] if BASELINE.exists() else {}
    return {(file, each["hashed_secret"]) for file, some in kept.items() for each in some}


def keep(secrets: SecretsCollection) -> None:
    """Keep what was found as known, without line numbers, which would change with every edit."""
    results = {
        file: [{**each, "filename": file, "line_number": 0} for each in some]
        for file, some in sorted(secrets.json().items())
    }
    kept = {"version": "1.5.0", "plugins_used": _PLUGINS, "filters_used": [], "results": results}
    BASELINE.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def leaked(names: list[str]) -> list[tuple[str, int, str]]:
    """What is new in some files: file, line, and what it is."""
    told = known()
    faults = [
        (file, int(each.line_number), str(each.type))
        for file, each in found(names)
        if (file, each.secret_hash) not in told
    ]
    for name in names:
        for number, line in enumerate((ROOT / name).read_text(errors="replace").splitlines(), 1):
            if _OURS.search(line):
                faults.append((name, number, "an integration key"))
    return sorted(faults)


def main() -> None:
    """Print what is new; the exit code says whether anything is."""
    names = files()
    if "--keep" in sys.argv[1:]:
        keep(found(names))
        return
    faults = leaked(names)
    for file, line, kind in faults:
        print(f"{file}:{line}: {kind}: take it out, and replace it wherever it was good. If it is none: {_KEEP}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
