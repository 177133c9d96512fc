"""The documents: links lead somewhere, rules that are named exist, recipes are as short as they say, commands are there."""

import json
import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LISTED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
DOCUMENTS = [name for name in LISTED if name.endswith(".md")]


def text(name: str) -> str:
    return (ROOT / name).read_text()


class Documents(unittest.TestCase):
    def test_the_promised_ones_are_there(self) -> None:
        docs = {f"docs/{name}.md" for name in ("PROTOCOL", "ARCHITECTURE", "DESIGN", "SECURITY", "BENCHMARKS", "INTEGRATION")}
        self.assertLessEqual(docs | {"README.md", "CHANGELOG.md", "CONTRIBUTING.md"}, set(DOCUMENTS))
        self.assertIn("MIT License", text("LICENSE"))

    def test_the_rust_of_the_readme_is_what_a_doctest_compiles(self) -> None:
        (shown,) = re.findall(r"^```rust\n(.*?)^```", text("README.md"), re.S | re.M)
        lines = re.findall(r"^//! ?(.*)\n", text("wse-server/src/lib.rs"), re.M)
        (compiled,) = re.findall(r"```no_run\n(.*?)\n```", "\n".join(lines), re.S)
        self.assertEqual(shown.splitlines(), [line for line in compiled.splitlines() if not line.startswith("#") or line.startswith("#[")])

    def test_every_relative_link_leads_to_a_file(self) -> None:
        links = [(name, link) for name in DOCUMENTS for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text(name))]
        self.assertGreater(len(links), 10)
        for name, link in links:
            if "://" not in link:
                self.assertTrue((ROOT / name).parent.joinpath(link).exists(), f"{name} links to {link}")

    def test_every_rule_that_is_named_anywhere_is_in_the_protocol(self) -> None:
        rules = set(re.findall(r"\*\*\[(P-\d+)\]\*\*", text("docs/PROTOCOL.md")))
        self.assertGreater(len(rules), 30)
        for name in LISTED:
            if name.endswith((".rs", ".py", ".ts", ".tsx", ".json", ".md")):
                unknown = set(re.findall(r"\[(P-\d+)\]", text(name))) - rules if name != "docs/PROTOCOL.md" else set()
                self.assertFalse(unknown, f"{name} names {unknown}")

    def test_the_limits_of_the_protocol_are_the_defaults(self) -> None:
        defaults = json.loads(text("vectors/defaults.json"))["defaults"]
        section = text("docs/PROTOCOL.md").split("## 8. Limits")[1].split("\n## ")[0]
        rows = re.findall(r"^\| (`[^|]+`) \| ([\d, ]+) \|", section, re.M)
        self.assertGreater(len(rows), 15)
        for names, values in rows:
            listed = dict(zip(re.findall(r"`(\w+)`", names), map(int, values.split(", ")), strict=True))
            self.assertEqual(listed, {name: defaults[name] for name in listed})

    def test_who_reads_which_vectors_is_what_the_architecture_says(self) -> None:
        rows = re.findall(r"^\| `(\w+\.json)` \|[^|]*\| (yes|-) \| (yes|-) \| (yes|-) \|$", text("docs/ARCHITECTURE.md"), re.M)
        self.assertEqual([row[0] for row in rows], sorted(Path(name).name for name in LISTED if name.startswith("vectors/")))
        runners = [("wse-", ".rs"), ("wse-python/tests/", ".py"), ("wse-client-ts/tests/", ".ts")]
        sources = ["".join(text(name) for name in LISTED if name.startswith(start) and name.endswith(end)) for start, end in runners]
        for name, *said in rows:
            # What reads a file names it alone in quotes, or at the end of a path.
            reads = ["yes" if re.search(rf"""['"/]{re.escape(name)}['"]""", source) else "-" for source in sources]
            self.assertEqual(said, reads, name)

    def test_the_codes_of_the_protocol_are_those_of_the_table(self) -> None:
        codes = json.loads(text("vectors/codes.json"))
        section = text("docs/PROTOCOL.md").split("## 5. Codes")[1].split("\n## ")[0]
        errors = re.findall(r"^\| `([A-Z_]+)` \| (\d+|-) \| (\w+) \| ([^|]+) \|$", section, re.M)
        self.assertEqual(errors, [(e["code"], str(e["close"] or "-"), e["fault"], e["meaning"]) for e in codes["errors"]])
        rows = re.findall(r"^\| (\d[\d, ]*) \| [^|]+ \| (yes|no)\b", section, re.M)
        closes = [(int(number), returns) for numbers, returns in rows for number in numbers.split(", ")]
        self.assertEqual(sorted(closes), [(close["code"], "no" if close["fatal"] else "yes") for close in codes["close"]])
        self.assertEqual((len(errors), len(closes)), (42, 19))

    def test_every_make_command_in_them_is_a_target(self) -> None:
        targets = set(re.findall(r"^([a-z0-9-]+):", text("Makefile"), re.M))
        for name in DOCUMENTS:
            named = set(re.findall(r"`make ([a-z0-9-]+)", text(name))) | set(re.findall(r"^\$ make ([a-z0-9-]+)", text(name), re.M))
            self.assertLessEqual(named, targets, name)

    def test_the_readme_warns_of_the_name_and_installs_what_make_dist_writes(self) -> None:
        install = text("README.md").split("## Install")[1].split("\n## ")[0]
        self.assertRegex(install, r"`wse-server` on PyPI holds another project")
        version = re.search(r'^version = "([^"]+)"', text("Cargo.toml"), re.M)
        assert version is not None
        for line in ("make dist", 'pip install "uvicorn[standard]" dist/wse_server-*.whl', f"npm install ./dist/wse-client-{version[1]}.tgz"):
            self.assertIn(f"$ {line}\n", install)

    def test_the_readme_shows_the_picture_that_the_browser_test_makes(self) -> None:
        picture = re.search(r"!\[[^\]]+\]\((docs/dashboard\.png)\)", text("README.md"))
        assert picture is not None
        self.assertTrue((ROOT / picture[1]).read_bytes().startswith(b"\x89PNG"))
        self.assertIn(f"'{picture[1]}'", text("tests/e2e/dashboard.test.mjs"))


class Examples(unittest.TestCase):
    def test_a_rust_service_is_fifteen_lines(self) -> None:
        lines = [line for line in text("examples/rust-service/src/main.rs").split("\n") if line.strip() and not line.startswith("//!")]
        self.assertLessEqual(len(lines), 15)


class Recipes(unittest.TestCase):
    """CONTRIBUTING: at most five files each, and every one there unless it is to be made."""

    def test_each_names_five_files_at_most(self) -> None:
        recipes = dict(re.findall(r"^## Add a (.+?)\n(.*?)(?=^## |\Z)", text("CONTRIBUTING.md"), re.M | re.S))
        self.assertEqual(list(recipes), ["message kind", "stage", "bus", "knob"])
        for name, recipe in recipes.items():
            files = set(re.findall(r"`([\w<>-]+/[\w<>./-]+\.\w+)`", recipe))
            with self.subTest(name):
                self.assertIn(len(files), range(3, 6), files)
                missing = [file for file in files if "<" not in file and not (ROOT / file).exists()]
                self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
