#!/usr/bin/env python3
"""Writes vectors/filters.json; `--check` only compares. What a case expects comes from the evaluator below, which follows [P-70] to [P-79]
word by word and shares nothing with the engines; with `--mongomock` it is held against that package too, where MongoDB has the operator."""
import json
import re
import sys
from pathlib import Path

from filter_cases import BY_HAND, MATRIX, REJECT

FILE = Path(__file__).resolve().parent.parent / "vectors/filters.json"
COMMENT = (
    "Filters with a payload and whether it passes, and filters that are refused with INVALID_FILTER. Written by tools/filter_vectors.py. "
    "`wide`: a number that doubles do not hold exactly, for implementations that read integers as such."
)
MISSING = object()


def places(value, segments):
    """What a path reaches: values, or MISSING ([P-72])."""
    if value is MISSING or not segments:
        return [value]
    first, *rest = segments
    if isinstance(value, list):
        if re.fullmatch("0|[1-9][0-9]{0,8}", first):
            return places(value[int(first)] if int(first) < len(value) else MISSING, rest)
        found = [places(e.get(first, MISSING) if isinstance(e, dict) else MISSING, rest) for e in value]
        return sum(found, []) or [MISSING]
    return places(value.get(first, MISSING) if isinstance(value, dict) else MISSING, rest)


def kind(value):
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def equal(a, b):
    if MISSING in (a, b) or kind(a) != kind(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return a == b


def ordered(relation):
    return lambda value, bound: kind(value) == kind(bound) and kind(value) in ("number", "str") and relation(value, bound)


def searched(value, pattern):
    pattern = re.sub(r"(?<!\\)\$", r"\\Z", pattern).replace("&&", r"\&\&")
    return isinstance(value, str) and re.search(pattern, value, re.ASCII) is not None


def equal_or_missing(value, operand):
    return value is MISSING and operand is None or equal(value, operand)


TESTS = {
    "$eq": equal_or_missing,
    "$in": lambda value, operand: any(equal_or_missing(value, o) for o in operand),
    "$gt": ordered(lambda a, b: a > b),
    "$gte": ordered(lambda a, b: a >= b),
    "$lt": ordered(lambda a, b: a < b),
    "$lte": ordered(lambda a, b: a <= b),
    "$regex": searched,
    "$startswith": lambda value, operand: isinstance(value, str) and value.startswith(operand),
    "$endswith": lambda value, operand: isinstance(value, str) and value.endswith(operand),
}


def contains(value, operand):
    if isinstance(value, list):
        return any(equal(element, operand) for element in value)
    return isinstance(value, str) and isinstance(operand, str) and operand in value


def accepts(place, operator, operand):
    if operator == "$exists":
        return place is not MISSING
    if operator == "$contains":
        return contains(place, operand)
    inside = place if isinstance(place, list) else []
    return any(TESTS[operator](value, operand) for value in [place, *inside])


def field(payload, path, operand):
    if not (isinstance(operand, dict) and operand and all(key.startswith("$") for key in operand)):
        operand = {"$eq": operand}
    return all(operator(payload, path, name, value) for name, value in operand.items())


def operator(payload, path, name, operand):
    if name == "$not":
        return not field(payload, path, operand)
    if name in ("$ne", "$nin"):
        return not operator(payload, path, {"$ne": "$eq", "$nin": "$in"}[name], operand)
    found = any(accepts(place, name, operand) for place in places(payload, path.split(".")))
    return found == operand if name == "$exists" else found


def matches(filter, payload):
    def clause(key, operand):
        match key:
            case "$and":
                return all(matches(f, payload) for f in operand)
            case "$or":
                return any(matches(f, payload) for f in operand)
            case "$nor":
                return not any(matches(f, payload) for f in operand)
            case "$not":
                return not matches(operand, payload)
        return field(payload, key, operand)

    return all(clause(key, operand) for key, operand in filter.items())


def as_read(value):
    """Integers beyond 64 bits are read as doubles ([P-74])."""
    if isinstance(value, list):
        return [as_read(v) for v in value]
    if isinstance(value, dict):
        return {k: as_read(v) for k, v in value.items()}
    return float(value) if kind(value) == "number" and isinstance(value, int) and not -(2**63) <= value < 2**64 else value


def is_wide(value):
    if isinstance(value, (list, dict)):
        return any(map(is_wide, value.values() if isinstance(value, dict) else value))
    return kind(value) == "number" and isinstance(value, int) and abs(value) >= 2**53 and float(value) != value


def case(name, rule, filter, payload):
    found = {"name": name, "rule": rule, "filter": filter, "payload": payload, "matches": matches(as_read(filter), as_read(payload))}
    return found | {"wide": True} if is_wide([filter, payload]) else found


def accepted():
    cases = []
    for name, rule, filter, payload, expected in BY_HAND:
        cases.append(case(name, rule, filter, payload))
        if cases[-1]["matches"] != expected:
            raise SystemExit(f"{name}: written by hand as {expected}, evaluated as {not expected}")
    for rule, filters, payloads in MATRIX:
        cases += [case(f"{json.dumps(f)} against {json.dumps(p)}", rule, f, p) for f in filters for p in payloads]
    return cases


def written():
    cases, refused = accepted(), [{"name": name, "rule": rule, "filter": filter} for name, rule, filter in REJECT]
    lines = lambda items: ",\n".join("  " + json.dumps(item, ensure_ascii=False) for item in items)
    head = f' "comment": {json.dumps(COMMENT)},\n "count": {len(cases) + len(refused)},\n'
    return f'{{\n{head} "accept": [\n{lines(cases)}\n ],\n "reject": [\n{lines(refused)}\n ]\n}}\n'


def against_mongomock():
    """Only what is in MongoDB's language: documents, operators that it has, filters that it takes."""
    from mongomock.filtering import filter_applies

    def foreign(filter, payload):
        try:
            return filter_applies(filter, payload)
        except Exception as error:  # the package lets errors of all kinds out
            return type(error).__name__

    ours_alone = re.compile(r'"\$(contains|startswith|endswith)"|\{"\$not": \{')
    cases = [c for c in accepted() if isinstance(c["payload"], dict) and not ours_alone.search(json.dumps(c["filter"]))]
    other = [(c, found) for c in cases if (found := foreign(c["filter"], c["payload"])) != c["matches"]]
    for c, found in other:
        print(f"{c['rule']} {json.dumps(c['filter'])} on {json.dumps(c['payload'])}: {c['matches']}, mongomock: {found}")
    print(f"{len(cases) - len(other)} of {len(cases)} cases agree with mongomock")


def main():
    if "--mongomock" in sys.argv:
        against_mongomock()
    elif "--check" not in sys.argv:
        FILE.write_text(written())
    elif FILE.read_text() != written():
        raise SystemExit("vectors/filters.json is not what tools/filter_vectors.py writes: run it")


if __name__ == "__main__":
    main()
