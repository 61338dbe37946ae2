"""Known holes in what is locked: `make audit`. Needs a network; without one it fails, and says that nothing was asked.

pip-audit can end well where it could not ask, which reads like a clean bill: so `--strict`, and so not in `make check`.
"""

import subprocess
import sys

from local.settings import ROOT

LOCKS = ("requirements.txt", "requirements-dev.txt", "local/ministack.txt", "infra/tools.txt")


def main() -> None:
    """Ask for each lock file; the exit code says whether all were asked and are well."""
    failed = []
    for lock in LOCKS:
        asked = [sys.executable, "-m", "pip_audit", "--strict", "--disable-pip", "--require-hashes", "-r", lock]
        if subprocess.run(asked, cwd=ROOT, check=False).returncode:
            failed.append(lock)
    if subprocess.run(["npm", "audit", "--audit-level=high"], cwd=ROOT, check=False).returncode:
        failed.append("package-lock.json")
    if failed:
        print(f"not well, or not asked for want of a network: {', '.join(failed)}", file=sys.stderr)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
