"""Our own vectors: Python gives what they say, and they are what the maker would make again."""

from pathlib import Path

import pytest

from safelight.sync_protocol.refusals import Code
from tools import exchange_vectors, make_vectors
from tools.vector_operations import FORMAT, OPERATIONS, SUCCESS, VECTORS, Values, dump, load, matches, run


@pytest.mark.parametrize("name", sorted(make_vectors.FILES))
def test_every_case_gives_what_it_states(name: str) -> None:
    """Each case of the file succeeds with exactly its output, or is refused by exactly its code."""
    cases = load(VECTORS / name)
    assert cases
    for case in cases:
        expect, output = run(case["operation"], case["inputs"])
        assert expect == case["expect"], case["name"]
        assert matches(case.get("output"), output), case["name"]


def test_the_maker_would_make_the_same_again() -> None:
    """What stands in the files is what `tools/make_vectors.py` writes, so nobody edits an expectation by hand."""
    for name, text in make_vectors.texts().items():
        assert (VECTORS / name).read_text(encoding="utf-8") == text, name


def test_files_keep_to_their_format() -> None:
    """Names are unique, and every expectation is success with an output or a code of the table without one."""
    codes = {code.value for code in Code}
    for name in make_vectors.FILES:
        cases = load(VECTORS / name)
        assert len({case["name"] for case in cases}) == len(cases)
        for case in cases:
            assert ("output" in case) == (case["expect"] == SUCCESS)
            assert case["expect"] == SUCCESS or case["expect"] in codes


def test_every_operation_is_described_and_used() -> None:
    """The README's table lists each operation, and each occurs in a file."""
    described = (VECTORS / "README.md").read_text(encoding="utf-8")
    used = {case["operation"] for name in make_vectors.FILES for case in load(VECTORS / name)}
    assert used == set(OPERATIONS)
    for operation in OPERATIONS:
        assert f"| `{operation}` |" in described, operation


def test_fresh_values_are_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `write` makes, `read` accepts; both say what they did."""
    assert exchange_vectors.main(["write", str(tmp_path)]) == 0
    file = tmp_path / "exchange-python.json"
    assert exchange_vectors.main(["read", str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("cases agree")


def test_a_difference_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that opens to something else than its case says fails the reading, by the case's name."""
    cases: list[Values] = exchange_vectors.fresh_cases()
    cases[0]["output"] = {"plaintext": "00"}
    cases[1]["expect"] = Code.OPEN_FAILED.value
    file = tmp_path / "exchange.json"
    file.write_text(dump("Two lies.", cases))
    assert exchange_vectors.main(["read", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" (")[0] for line in lines] == [cases[0]["name"], cases[1]["name"]]
    assert exchange_vectors.main([]) == 2


def test_another_format_is_not_read(tmp_path: Path) -> None:
    """A file of a later format is not taken for one of this."""
    file = tmp_path / "later.json"
    file.write_text(dump("Later.", []).replace(FORMAT, "safelight-vectors/2"))
    with pytest.raises(ValueError, match="format"):
        load(file)
