"""Every mistake in a flow's files is named with its line, all of them in one pass."""

from __future__ import annotations

import pytest

import kyrios


def problems(folder):
    with pytest.raises(kyrios.FlowInvalid) as caught:
        kyrios.load_flow(folder)
    return caught.value.problems


def test_a_good_flow_is_read_with_its_units_in_order(sums):
    flow = kyrios.load_flow(sums)

    assert flow.name == "sums"
    assert flow.graph.names == ("numbers", "again", "double", "both")
    assert flow.graph.edges == [("again", "both"), ("double", "both"), ("numbers", "again"), ("numbers", "double")]


def test_the_digest_depends_on_what_is_said_and_not_on_how_it_is_written(sums, flow_folder):
    other = flow_folder("other")
    other.replace("flow.yaml", "params: {first: 1}", "params:\n  # a comment\n  'first': 1")

    assert kyrios.load_flow(other).digest == kyrios.load_flow(sums).digest
    other.replace("flow.yaml", "'first': 1", "'first': 2")
    assert kyrios.load_flow(other).digest != kyrios.load_flow(sums).digest


#: file, what stands there, what is put in its place, where the mistake is, what is said about it.
MISTAKES = [
    ("flow.yaml", "flow: sums", "flwo: sums", "flwo", "unknown key 'flwo'; did you mean 'flow'?"),
    ("flow.yaml", "fuse: none", "fuze: none", "fuze", "unknown key 'fuze'; did you mean 'fuse'?"),
    ("flow.yaml", "fuse: none", "fuse: all", "all", "'fuse' must be none, auto, or groups such as"),
    ("flow.yaml", "fuse: none", "fuse: {some: [numbers]}", "{some", "'fuse' must be none, auto, or groups such as"),
    (
        "flow.yaml",
        "fuse: none",
        "fuse: {some: [numbers, bith]}",
        "bith",
        "no unit 'bith' in this flow; did you mean 'both'",
    ),
    ("flow.yaml", "fuse: none", "fuse: {both: [numbers, double]}", "both", "'both' is a unit too"),
    (
        "flow.yaml",
        "fuse: none",
        "fuse: {x: [numbers, double], y: [double, both]}",
        "double, both",
        "'double' is in the group 'x' already",
    ),
    (
        "flow.yaml",
        "fuse: none",
        "fuse: {x: [numbers, both]}",
        "x:",
        "fused, the units form a cycle: again -> x -> again",
    ),
    ("flow.yaml", "kyrios: 1", "kyrios: 2", "2", "'kyrios' must be 1, not 2"),
    ("flow.yaml", 'version: "1.0"', "version: 1.0", "1.0", "'version' must be a text, not 1.0; write it in quotes"),
    ("flow.yaml", 'version: "1.0"', 'version: "one"', '"one', "'version' must be a version in quotes"),
    ("flow.yaml", "summary", "sumary", "sumary", "unknown key 'sumary'; did you mean 'summary'?"),
    ("flow.yaml", "flow: sums", "flow: My Sums", "My", "'flow' must be a name of small letters, digits and _"),
    (
        "flow.yaml",
        "numbers: {use",
        "Numbers: {use",
        "Numbers",
        "'Numbers' is no name: small letters, digits and _ only",
    ),
    ("flow.yaml", "use: numbers@1", "use: numbers", "numbers", "'use' must be a unit with its major version"),
    (
        "flow.yaml",
        "use: numbers@1",
        "use: numbres@1",
        "numbres@1",
        "there is no unit 'numbres'; did you mean 'numbers'?",
    ),
    ("flow.yaml", "use: numbers@1", "use: numbers@2", "numbers@2", "numbers@2 is asked for, but numbers is 1.0"),
    ("flow.yaml", "with: {first", "with: {frist", "frist", "has no parameter 'frist'; did you mean 'first'?"),
    (
        "flow.yaml",
        "${params.first}",
        "${params.fist}",
        '"${params.fist',
        "the flow has no parameter 'fist'; did you mean 'first'?",
    ),
    ("flow.yaml", "${params.first}", "${first}", '"${first', "'${first}' is not understood; write ${params.<name>}"),
    ("flow.yaml", '"${params.first}"', '"three"', '"three', "'first' must be a whole number, not 'three'"),
    ("flow.yaml", "{first: 1}", "{first: one}", '"${params.first', "'first' must be a whole number, not 'one'"),
    ("flow.yaml", "{first: 1}", "{first: 2020-01-01}", "2020-01-01", "the parameter 'first' must be JSON"),
    ("flow.yaml", "{first: 1}", "{first: .nan}", ".nan", "the parameter 'first' must be JSON"),
    ("flow.yaml", "{first: 1}", "{first: 1, first: 2}", "first", "'first' stands here twice; first in line 4"),
    (
        "flow.yaml",
        "double: {use: double@1, in: {numbers:",
        "double: {use: double@1, in: {number:",
        "number",
        "has no input 'number'; did you",
    ),
    (
        "flow.yaml",
        "again: {use: double@1, in: {numbers: numbers.numbers}}",
        "again: {use: double@1}",
        "again",
        "the input 'numbers' of double@1 is not connected",
    ),
    (
        "flow.yaml",
        "left: double.numbers",
        "left: dubble.numbers",
        "dubble.numbers",
        "there is no unit 'dubble' in this flow; did you mean 'double'?",
    ),
    (
        "flow.yaml",
        "left: double.numbers",
        "left: double.number",
        "double.number",
        "the unit 'double' has no output 'number'; did you mean 'numbers'?",
    ),
    (
        "flow.yaml",
        "left: double.numbers",
        "left: double",
        "double",
        "'left' must be a unit and its output, such as ingest.listing",
    ),
    (
        "flow.yaml",
        "double: {use: double@1, in: {numbers: numbers.numbers}}",
        "double: {use: double@1, in: {numbers: both.both}}",
        "both.both",
        "no output 'both'",
    ),
    (
        "flow.yaml",
        "double: {use: double@1, in: {numbers: numbers.numbers}}",
        "double: {use: double@1, in: {numbers: numbers.numbers}, after: [both]}",
        "both",
        "the units form a cycle: both -> double -> both",
    ),
    (
        "flow.yaml",
        "numbers: {use: numbers@1,",
        "numbers: {use: numbers@1, after: [nobody],",
        "nobody",
        "there is no unit 'nobody' in this flow",
    ),
    ("flow.yaml", "fuse: none", "schedule: {cron: '0 18 * *'}", "'0", "must be a cron line of five fields"),
    (
        "flow.yaml",
        "fuse: none",
        "schedule: {cron: '0 18 * * *', tz: Asia/Shangai}",
        "Asia",
        "must be a time zone of the IANA list",
    ),
    ("flow.yaml", "fuse: none", "units: {}", "units", "'units' stands here twice; first in line 5"),
    ("flow.yaml", "fuse: none", "fuse: [", "", "YAML"),
    ("units/double.yaml", "run:", "rnu:", "rnu", "unknown key 'rnu'; did you mean 'run'?"),
    (
        "units/double.yaml",
        "unit: double",
        "unit: dubble",
        "dubble",
        "the file is called double.yaml but the unit 'dubble'",
    ),
    ("units/double.yaml", "units:double", "units:dubble", '"units', "has no function 'dubble'; did you mean 'double'?"),
    ("units/double.yaml", "units:double", "units", '"units', "'call' must be module:function, such as units:adjust"),
    (
        "units/double.yaml",
        '"units:double"',
        '"units:double", timeout: 5',
        "5",
        "'timeout' must be a duration such as 30s, 5m or 2h, not 5",
    ),
    (
        "units/double.yaml",
        '"units:double"',
        '"units:double", retries: -1',
        "-1",
        "'retries' must be greater than or equal to 0",
    ),
    ("units/double.yaml", "n: int64", "n: int46", "int46", "no column type is called 'int46'; did you mean 'int64'?"),
    (
        "units/double.yaml",
        "n: int64",
        "n: string",
        "numbers.numbers",
        "column 'n' of numbers.numbers is int64, but numbers needs string",
    ),
    (
        "units/double.yaml",
        "n: int64",
        "m: int64",
        "numbers.numbers",
        "numbers.numbers has no column 'm', which numbers needs",
    ),
    (
        "units/double.yaml",
        "inputs: {numbers",
        "inputs: {number",
        '"units',
        "double at flows/sums/units.py:10 takes no 'number'; did you mean 'numbers'?",
    ),
    ("units/numbers.yaml", "type: integer", "type: int", "int", "'type' must be 'string', 'integer'"),
    ("units/numbers.yaml", "default: 1}", "default: x}", "x", "the default of 'first' must be a whole number, not 'x'"),
    (
        "units/numbers.yaml",
        ", factor: {type: number, default: 1.0}",
        "",
        '"units',
        "needs 'factor', which the interface does not name",
    ),
    ("units.py", "def double(numbers):", "def double(numbers:", '"units', "is not Python"),
]


@pytest.mark.parametrize(("file", "old", "new", "at", "said"), MISTAKES, ids=[f"{m[0]}-{m[2]}" for m in MISTAKES])
def test_a_mistake_is_named_with_its_file_line_and_column(sums, file, old, new, at, said):
    sums.replace(file, old, new)

    found = problems(sums)

    named = [p for p in found if said in str(p)]
    assert named, [str(p) for p in found]
    for problem in named[:1]:
        text = (sums.folder.parents[1] / problem.file).read_text(encoding="utf-8").split("\n")[problem.line - 1]
        assert text[problem.column - 1 :].startswith(at), str(problem)


def test_all_mistakes_are_found_in_one_pass(sums):
    sums.replace("flow.yaml", "fuse: none", "fuze: none")
    sums.replace("flow.yaml", "left: double.numbers", "left: dubble.numbers")
    sums.replace("units/double.yaml", "units:double", "units:dubble")
    sums.replace("units/numbers.yaml", "summary", "sumary")

    said = "\n".join(p.message for p in problems(sums))

    for word in ("fuze", "dubble", "sumary"):
        assert word in said
    assert len(problems(sums)) == 4


def test_a_problem_shows_the_line_and_a_caret_below_the_mistake(sums):
    sums.replace("flow.yaml", "fuse: none", "fuze: none")

    assert str(problems(sums)[0]).splitlines()[1:] == ["    fuze: none", "    ^"]


def test_a_folder_without_a_flow_is_not_found(tmp_path):
    with pytest.raises(kyrios.NotFound, match=r"there is no flow\.yaml"):
        kyrios.load_flow(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "- a\n- b\n", "just words", "kyrios: 1\n", "? [a]\n: b\n", "a: &x [*x]\n"]
)
def test_a_file_that_is_no_flow_at_all_is_a_problem_and_no_crash(sums, text):
    (sums.folder / "flow.yaml").write_text(text)

    assert problems(sums)


def test_a_file_that_is_not_text_is_a_problem(sums):
    (sums.folder / "flow.yaml").write_bytes(b"\xff\xfe\x00flow")

    assert "not UTF-8" in problems(sums)[0].message


def test_aliases_that_repeat_one_another_do_not_fill_the_memory(sums):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (sums.folder / "flow.yaml").write_text("\n".join(lines))

    assert "repeat too much" in problems(sums)[0].message


def test_a_cycle_of_three_is_printed_whole(sums):
    sums.flow("""
        kyrios: 1
        flow: ring
        info: {version: "1.0"}
        units:
          a: {use: numbers@1, after: [c]}
          b: {use: numbers@1, after: [a]}
          c: {use: numbers@1, after: [b]}
    """)

    assert "the units form a cycle: a -> b -> c -> a" in [p.message for p in problems(sums)]
