"""The lists of mistakes that tests must find: their texts stand in the sources as they are, so that a change which moves one is noticed at once."""

import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Lists(unittest.TestCase):
    def fits(self, script: str) -> None:
        run = subprocess.run(["node", script, "--fits"], cwd=ROOT, capture_output=True, text=True, timeout=120)
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_the_stages_fit_the_sources_and_their_document(self) -> None:
        self.fits("tests/stages/run.mjs")

    def test_the_mistakes_of_the_core_fit_the_sources(self) -> None:
        self.fits("fuzz/mutations/run.mjs")

    def test_the_mistakes_of_the_whole_fit_the_sources(self) -> None:
        self.fits("tests/chaos/mutations/run.mjs")


if __name__ == "__main__":
    unittest.main()
