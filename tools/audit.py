"""Known holes in the installed packages, by pip-audit; says so where the advisory service cannot be reached."""

import importlib.metadata
import json
import subprocess
import sys
import tempfile

PIP_AUDIT = [
    sys.executable,
    "-m",
    "pip_audit",
    "--format",
    "json",
    "--progress-spinner",
    "off",
    "--timeout",
    "10",
]


def ask(*arguments) -> tuple[list, str]:
    """What pip-audit says of each package, and its last words."""
    done = subprocess.run([*PIP_AUDIT, *arguments], capture_output=True, text=True)
    said = done.stderr.strip().splitlines()[-1:] or [""]
    return (json.loads(done.stdout)["dependencies"] if done.stdout.strip() else []), said[0]


with tempfile.NamedTemporaryFile("w", suffix=".txt") as one:
    one.write(f"pip=={importlib.metadata.version('pip')}\n")
    one.flush()
    answer, said = ask("--requirement", one.name, "--no-deps", "--disable-pip")
if not any(
    "vulns" in package for package in answer
):  # a mirror of packages has no advisories: it "does not find" any
    reason = next((package["skip_reason"] for package in answer if "skip_reason" in package), said)
    print(f"pip-audit: SKIPPED, the advisory service cannot be reached ({reason[:200]})")
    sys.exit(0)
packages, said = ask("--skip-editable")
asked = [package for package in packages if "vulns" in package]
if not asked:
    sys.exit(f"pip-audit: it gave no answer ({said[:200]})")
for package in packages:
    if "skip_reason" in package:
        print(f"not looked up: {package['name']} ({package['skip_reason']})")
    for hole in package.get("vulns", []):
        print(
            f"{package['name']} {package['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version'}"
        )
holes = sum(bool(package["vulns"]) for package in asked)
print(f"pip-audit: {len(asked)} packages looked up, {holes} with known holes")
sys.exit(bool(holes))
