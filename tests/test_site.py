"""The documentation's machinery: broken links are found, examples become pages, and the root's pages link within the site."""

import sys
from pathlib import Path

import pytest

EXTENSION = Path(__file__).parents[1] / "docs" / "extension"


@pytest.fixture(autouse=True)
def extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXTENSION))
    for name in ("links", "gallery", "root_pages"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    from links import broken

    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">x</h1><a href="sub/other.html#there"></a><a href="sub/other.html#nowhere"></a><a href="#top"></a>'
        '<a href="missing.html"></a><img src="sub/picture.png"><a href="https://example.org/x"></a><a href="sub/"></a>'
    )
    (tmp_path / "sub" / "explorer.html").write_text('<a href="gone.html"></a>')
    (tmp_path / "explorer.html").write_text('<a href="of-the-explorer.html"></a>')
    (tmp_path / "sub" / "other.html").write_text('<h2 id="there"></h2><a href="../index.html"></a>')
    assert sorted(broken(tmp_path)) == [
        "index.html: missing.html", "index.html: sub/", "index.html: sub/other.html#nowhere", "index.html: sub/picture.png",
        "sub/explorer.html: gone.html",
    ]  # fmt: skip


def test_examples_become_pages_to_the_letter() -> None:
    from gallery import _page

    page = _page('"""|J - F| over tau.\n\nWith `code*` and a_ word.\n\n    python x.py\n"""\n\nimport numpy\n')
    assert page.splitlines()[1:8] == [
        r"\|J - F\| over tau",
        "==================",
        "",
        r"With ``code*`` and a\_ word.",
        "",
        "::",
        "",
    ]
    assert page.endswith('"""\n\nimport numpy\n')
    compile(page, "page", "exec")


def test_links_between_pages_hold_on_the_site() -> None:
    from root_pages import linked

    assert linked("[n](../NOTATION.md#terms) [r](docs/remedies.md) [b](benchmarks/README.md)") == (
        "[n](notation.md#terms) [r](remedies.md) [b](benchmarks.md)"
    )
    assert linked("[r](RESULTS.md)", "benchmarks") == "[r](benchmarks.md)"
