"""The scripts behind `make`: what they say to somebody whose machine lacks something, and that their limits hold."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534


def run(command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload]


def script(name: str) -> ModuleType:
    """A tool as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Setup(unittest.TestCase):
    def test_without_root_it_prints_the_one_line_that_installs_what_is_missing(self) -> None:
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        done = run("tools/setup.sh apt bash wse-lacks-this and-this", **as_nobody)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(
            done.stderr,
            "Missing: wse-lacks-this and-this. Install with: "
            "sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends wse-lacks-this and-this'\n",
        )
        self.assertEqual(done.stdout, "")

    def test_what_is_there_is_not_installed(self) -> None:
        done = run("tools/setup.sh apt bash git")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_any_chromium_will_do(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for tool in ("bash", "id", "dirname", "mkdir", "apt-get"):
                (Path(folder) / tool).symlink_to(shutil.which(tool) or self.fail(f"{tool} is missing"))
            (Path(folder) / "google-chrome").symlink_to("/bin/true")
            done = run("tools/setup.sh apt chromium", env={"PATH": folder})
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_a_missing_toolchain_is_named_with_where_to_get_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for tool in ("bash", "dirname", "mkdir"):
                (Path(folder) / tool).symlink_to(shutil.which(tool) or self.fail(f"{tool} is missing"))
            for what, said in (("rust", "https://rustup.rs"), ("node", "https://nodejs.org"), ("python", "Python 3.11 or newer is missing")):
                with self.subTest(what), tempfile.TemporaryDirectory() as root:
                    shutil.copytree(ROOT / "tools", Path(root) / "tools")
                    done = subprocess.run([f"{root}/tools/setup.sh", what], env={"PATH": folder}, capture_output=True, text=True, timeout=20)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn(said, done.stderr)
                    self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


class Steps(unittest.TestCase):
    def test_a_step_shows_that_it_moves_and_how_long_it_took(self) -> None:
        done = run("source tools/steps.sh; STEP_SECONDS=1 step moving 'A long one' sh -c 'echo compiling tokio; sleep 2.2'")
        self.assertRegex(done.stdout, r"==> A long one\n( +\d+ s +compiling tokio\n)+ +done in [23] s\n")

    def test_a_step_that_fails_shows_the_end_of_its_log_and_ends_the_script(self) -> None:
        done = run("source tools/steps.sh; step broken 'A bad one' sh -c 'echo the reason; exit 3'; echo unreached")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the reason\n", done.stderr)
        self.assertIn("A bad one: failed after", done.stderr)
        self.assertNotIn("unreached", done.stdout)


class Shape(unittest.TestCase):
    """CI fails above the limits."""

    LONG = {
        "a.rs": "fn long() {\n" + "    step();\n" * 70 + "}\n",
        "a.py": "def long():\n" + "    step()\n" * 71,
        "a.ts": "function long() {\n" + "  step();\n" * 70 + "}\n",
    }

    def faults(self, files: dict[str, str]) -> str:
        shape, said = script("shape"), StringIO()
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["git", "init", "-q", folder], check=True)
            for name, text in files.items():
                (Path(folder) / name).write_text(text)
            with patch.object(shape, "ROOT", Path(folder)), redirect_stdout(said):
                code = shape.main()
        self.assertEqual(code, 1 if "above the limit" in said.getvalue() else 0)
        return said.getvalue()

    def test_what_is_short_passes(self) -> None:
        said = self.faults({"a.rs": "fn a() {\n}\n", "a.py": "def a():\n    pass\n", "a.ts": "function a() {\n}\n"})
        self.assertNotIn("above", said)
        for language in ("Rust", "Python", "TypeScript"):
            self.assertRegex(said, rf"{language} +1 files, longest +\d+ \(a\.\w+\); +1 functions, median \d, p90 \d, longest \d")

    def test_a_function_over_seventy_lines_is_a_fault_in_each_language(self) -> None:
        said = self.faults(self.LONG)
        for name in self.LONG:
            self.assertIn(f"above the limit: {name}: a function of 72 lines, over 70", said)

    def test_a_file_over_six_hundred_lines_is_a_fault(self) -> None:
        files = {name: text.split("\n")[0] + ("\n}\n" if "{" in text else " pass\n") for name, text in self.LONG.items()}
        files["a.py"] += "x = 1\n" * 600
        self.assertIn("above the limit: a.py: 601 lines, over 600", self.faults(files))

    def test_long_medians_are_a_fault(self) -> None:
        files = {name: text.split("\n")[0] + ("\n}\n" if "{" in text else " pass\n") for name, text in self.LONG.items()}
        files["a.rs"] = "".join(f"fn f{n}() {{\n" + "    step();\n" * 30 + "}\n" for n in range(5))
        said = self.faults(files)
        self.assertIn("Rust: the median function has 32 lines, over 8", said)
        self.assertIn("Rust: p90 of functions is 32 lines, over 30", said)


class Generated(unittest.TestCase):
    """One table of defaults and codes for three languages."""

    def test_a_default_that_was_changed_in_the_table_alone_is_stale_in_all_three(self) -> None:
        gen = script("gen")
        self.assertEqual(self.check(gen), (0, ""))
        defaults = json.loads((ROOT / "vectors/defaults.json").read_text())["defaults"]
        with patch.object(gen, "DEFAULTS", defaults | {"heartbeat_ms": 1}):
            code, said = self.check(gen)
        self.assertEqual(code, 1)
        self.assertEqual(
            sorted(said.split()[1::2]),
            ["wse-client-ts/src/core/defaults.gen.ts", "wse-protocol/src/generated/defaults.rs", "wse-python/python/wse_server/_defaults.py"],
        )

    def check(self, gen: ModuleType) -> tuple[int, str]:
        said = StringIO()
        with patch.object(sys, "argv", ["gen.py", "--check"]), redirect_stdout(said):
            return gen.main(), said.getvalue()


if __name__ == "__main__":
    unittest.main()
