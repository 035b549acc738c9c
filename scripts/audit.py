"""Lists known vulnerabilities of the pinned packages, and which the registry had no answer for.

pip-audit alone ends in "No known vulnerabilities found" also where it could ask about nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PIP_AUDIT = [
    *(sys.executable, "-m", "pip_audit", "--requirement", "constraints.txt"),
    *("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"),
]


def main() -> int:
    """Prints what was found; returns 1 for a vulnerable package or a failed pip-audit."""
    ended = subprocess.run(PIP_AUDIT, stdout=subprocess.PIPE, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(ended.stdout)["dependencies"]
    except ValueError:
        print("not audited: pip-audit's message is above", file=sys.stderr)
        return 1
    unknown = [each["name"] for each in packages if "skip_reason" in each]
    vulnerable = [each for each in packages if each.get("vulns")]
    for each in vulnerable:
        for found in each["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"{each['name']} {each['version']}: {found['id']}, fixed in {fixed}")
    audited = len(packages) - len(unknown)
    print(
        f"{audited} of {len(packages)} packages audited, {len(vulnerable)} known to be vulnerable"
    )
    if unknown and audited:
        print("the registry told nothing of " + ", ".join(unknown))
    elif unknown:
        print("not audited: this registry serves no advisories; run this where pypi.org answers")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
