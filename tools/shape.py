#!/usr/bin/env python3
"""Prints the shape of the source per language (functions and files, in lines) and fails above the limits. Tests and generated files do not count."""
import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEDIAN, P90, LONGEST, FILE = 8, 30, 70, 600
LANGUAGES = {"Rust": (".rs",), "Python": (".py",), "TypeScript": (".ts", ".tsx")}
NOT_SOURCE = re.compile(r"(^|/)(tests?|fuzz|vectors|benches|dist|generated|node_modules)/|\.test\.|\.gen\.|_defaults\.py$|/codes\.py$|(^|/)(tests|conformance)\.rs$|conftest\.py$|\.config\.")
# What hides braces from counting: comments, strings, characters, regular expressions after ( or =.
RUST_NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?\'(?:\\.[^\']*|[^\'\\\n])\'', re.S)
TS_NOISE = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|(?<=[(=,:] )/(?:\\.|[^/\\\n])+/[a-z]*", re.S)
RUST_FUNCTION = re.compile(r"\bfn\s+\w+")
TS_FUNCTION = re.compile(r"\bfunction\b[^{;]*\{|=>\s*\{|^\s+(?:static |async |get |set |readonly |override |#|public |private )*[\w#]+(?:<[^>]*>)?\([^;{}]*\)(?::[^;{}=]+)?\s*\{", re.M)
TS_KEYWORD = re.compile(r"^\s*(?:if|for|while|switch|catch|return|else|do|with)\b")


def blank(match: re.Match) -> str:
    return "".join("\n" if c == "\n" else " " for c in match.group())


def closing(text: str, opening: int) -> int:
    depth = 0
    for at in range(opening, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at
    return len(text) - 1


def lines_between(text: str, start: int, end: int) -> int:
    return text.count("\n", start, end) + 1


def rust_functions(text: str) -> list[int]:
    text = RUST_NOISE.sub(blank, text.split("#[cfg(test)]\nmod tests {")[0])
    lengths = []
    for match in RUST_FUNCTION.finditer(text):
        brace, end = text.find("{", match.end()), text.find(";", match.end())
        if brace >= 0 and not 0 <= end < brace:
            lengths.append(lines_between(text, match.start(), closing(text, brace)))
    return lengths


def python_functions(text: str) -> list[int]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.end_lineno - node.lineno + 1 for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]


def typescript_functions(text: str) -> list[int]:
    text = TS_NOISE.sub(blank, text)
    lengths = []
    for match in TS_FUNCTION.finditer(text):
        if not TS_KEYWORD.match(match.group().lstrip("\n")):
            start = match.start() + len(match.group()) - len(match.group().lstrip())
            lengths.append(lines_between(text, start, closing(text, match.end() - 1)))
    return lengths


FUNCTIONS = {"Rust": rust_functions, "Python": python_functions, "TypeScript": typescript_functions}


def source_files(endings: tuple[str, ...]) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if name.endswith(endings) and not NOT_SOURCE.search(name) and (ROOT / name).exists()]


def measure(language: str) -> list[str]:
    """Prints one language's row; returns what is above the limits."""
    functions, files = [], []
    for path in source_files(LANGUAGES[language]):
        text, name = path.read_text(), str(path.relative_to(ROOT))
        functions += [(length, name) for length in FUNCTIONS[language](text)]
        files.append((text.count("\n"), name))
    lengths = sorted(length for length, _ in functions)
    median, p90 = statistics.median(lengths), lengths[int(len(lengths) * 0.9)]
    longest, file = max(functions), max(files)
    print(f"{language:<10} {len(files):>3} files, longest {file[0]:>3} ({file[1]}); {len(lengths):>4} functions, median {median:g}, p90 {p90}, longest {longest[0]} ({longest[1]})")
    faults = [f"{language}: the median function has {median:g} lines, over {MEDIAN}"] if median > MEDIAN else []
    faults += [f"{language}: p90 of functions is {p90} lines, over {P90}"] if p90 > P90 else []
    faults += [f"{name}: a function of {length} lines, over {LONGEST}" for length, name in functions if length > LONGEST]
    return faults + [f"{name}: {length} lines, over {FILE}" for length, name in files if length > FILE]


def main() -> int:
    faults = [fault for language in LANGUAGES for fault in measure(language)]
    for fault in faults:
        print("above the limit:", fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
