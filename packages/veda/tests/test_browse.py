"""The catalogue: what its pages say, that no author can put a script into them, and that it works from a folder."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

import veda
from veda import keys
from veda.registry import Event

EXAMPLES = Path(__file__).parents[3] / "examples"

README = """\
# small

Adds a *number*.

| a | b |
|:-:|--:|
| 1 | 2 |

<script>document.title = "taken"</script>
<img src=x onerror="document.title='taken'">
[web](https://example.org/a?b=1&c=2) [folder](../other) [bad](javascript:alert(1)) ![picture](https://example.org/p.png)

```python
1 < 2
```
"""


class Page(HTMLParser):
    """Every element of a page with its attributes, and its text."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(Path(path).read_text(encoding="utf-8"))

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, name, attribute):
        return [a.get(attribute) for n, a in self.elements if n == name and attribute in a]


@pytest.fixture
def named(workspace):
    """Give a function that publishes a package of a name that needs others."""

    def publish(name, *needs, version="1.0", push=True, **files):
        root = workspace(version=version, word=name, folder=f"{name}-{version}", **files)
        toml = root / "veda.toml"
        needed = f"packages = {list(needs)!r}\n"
        toml.write_text(
            toml.read_text()
            .replace('"small"', f'"{name}"', 1)
            .replace("requires = []\n", f"requires = ['numpy>=1.26']\n{needed}")
        )
        package = veda.pack(root)
        veda.register(package)
        if push:
            veda.push(package)
        return package

    return publish


def test_a_package_has_a_page_with_all_that_is_known_of_it(named, tmp_path):
    keys.signing_key()
    package = named("base", **{"README.md": README, "data/x.csv": "1"})
    named("user", "base>=1")
    named("base", version="1.1", push=False)
    veda.tag("base@1.0", "champion")

    done = veda.browse(tmp_path / "out")

    assert (done.packages, done.releases, done.index) == (2, 3, tmp_path / "out" / "index.html")
    page = Page(tmp_path / "out/packages/base/1.0.html")
    for said in (
        "Add a number to what comes in.", "signal(value: float) -> float", "step", "int", package.digest, "champion",
        "signed by", "Apache-2.0", "numpy>=1.26", "Adds a number.", "There is a newer version: 1.1",
        '"type": "integer"',
    ):  # fmt: skip
        assert said in page.text, said
    assert "../user/index.html" in page.all("a", "href")
    assert "1.1.html" in page.all("a", "href")
    assert "<td>Return <code>value</code> plus the step.</td>" in (tmp_path / "out/packages/base/1.0.html").read_text()
    newest = Page(tmp_path / "out/packages/base/index.html")
    assert "not in the store" in newest.text
    assert "There is a newer" not in newest.text
    assert "../base/index.html" in Page(tmp_path / "out/packages/user/index.html").all("a", "href")


def test_each_package_is_a_row_that_can_be_searched_by_methods_parameters_and_requirements(named, tmp_path):
    named("base")
    named("user", "base>=1")

    veda.browse(tmp_path / "out")

    index = Page(tmp_path / "out/index.html")
    rows = index.all("tr", "data-words")
    assert len(rows) == 2
    assert all(word in rows[1].split() for word in ("user", "signal", "step", "numpy", "base"))
    assert index.all("a", "href") == ["packages/base/index.html", "packages/user/index.html"]
    about = json.loads((tmp_path / "out/catalogue.json").read_text())
    assert [(p["name"], p["used_by"]) for p in about["packages"]] == [("base", ["user"]), ("user", [])]


def test_nothing_that_an_author_writes_becomes_a_script_a_picture_or_a_dead_link(named, tmp_path):
    evil = "<script>alert(1)</script><b onmouseover=x>"
    source = f'class Small:\n    """{evil}"""\n    def signal(self, x="{evil}"):\n        """{evil}"""\n'
    named("base", **{"README.md": README, "src/small/__init__.py": source})

    veda.browse(tmp_path / "out")

    for path in (tmp_path / "out").rglob("*.html"):
        page = Page(path)
        assert [a for n, a in page.elements if n == "script"] in ([], [{"src": "catalogue.js", "defer": None}])
        assert not [n for n, _ in page.elements if n in ("img", "iframe", "b")]
        assert not [key for _, attributes in page.elements for key in attributes if key.startswith("on")]
        assert not [h for h in page.all("a", "href") if h.startswith("javascript") or h == "../other"]
        assert not [a for _, a in page.elements if "style" in a]
        assert "default-src 'none'" in page.all("meta", "content")[0]
    shown = Page(tmp_path / "out/packages/base/index.html")
    assert "https://example.org/a?b=1&c=2" in shown.all("a", "href")
    assert "<script>alert(1)</script>" in shown.text
    assert "folder" in shown.text


def test_who_signed_is_said_as_this_machine_sees_it(named, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("VEDA_STORE", f"file:{tmp_path}/srv")
    package = named("base")
    stranger = tmp_path / "stranger"
    veda.register(package, home=stranger)

    veda.browse(tmp_path / "mine")
    veda.browse(tmp_path / "theirs", home=stranger)

    assert "signed by " in Page(tmp_path / "mine/packages/base/index.html").text
    assert "unknown key" in Page(tmp_path / "theirs/index.html").text
    assert "whom you do not trust" in Page(tmp_path / "theirs/packages/base/index.html").text


def test_a_store_that_does_not_answer_leaves_signatures_open_and_the_rest_written(named, tmp_path):
    named("base", push=False)
    (tmp_path / "file").touch()

    done = veda.browse(tmp_path / "out", store=f"file:{tmp_path}/file/store")

    assert not done.asked
    assert "not asked" in Page(tmp_path / "out/index.html").text


def test_what_was_yanked_says_so_and_is_not_the_first(named, tmp_path):
    named("base")
    named("base", version="1.1")
    with veda.open_registry() as registry:
        registry.append(Event("yanked", "base", "1.1", data={"reason": "wrong sign"}))

    veda.browse(tmp_path / "out")

    assert "taken back: wrong sign" in Page(tmp_path / "out/packages/base/index.html").text
    assert "Taken back: wrong sign" in Page(tmp_path / "out/packages/base/1.1.html").text
    assert [
        r["version"] for r in json.loads((tmp_path / "out/catalogue.json").read_text())["packages"][0]["releases"]
    ] == ["1.0", "1.1"]


def test_a_channel_is_shown_without_anything_registered_here(named, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    store = f"file:{tmp_path}/srv"
    for name in ("base", "other"):
        veda.push(named(name, push=False, **{"README.md": "# From the store\n"}), store)
    veda.promote("base", "expert", store=store)
    reader = tmp_path / "reader"
    public = str(keys.signing_key().public)
    for channel in ("", "expert"):
        veda.trust("curator", public, channel=channel, home=reader)

    done = veda.browse(tmp_path / "out", store=store, channel="expert", home=reader)

    assert (done.packages, done.releases) == (1, 1)
    assert "state 1, signed by curator" in Page(tmp_path / "out/index.html").text
    page = Page(tmp_path / "out/packages/base/index.html")
    assert "From the store" in page.text
    assert "signed by curator" in page.text
    with pytest.raises(veda.NotFound, match="no channel stable"):
        veda.browse(tmp_path / "none", store=store, channel="stable", home=reader)
    assert not (tmp_path / "none").exists()


def test_an_older_catalogue_is_replaced_and_nothing_else_ever_is(named, tmp_path):
    named("base")
    veda.browse(tmp_path / "out")
    named("other")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years")

    assert veda.browse(tmp_path / "out").packages == 2
    with pytest.raises(veda.Conflict, match="is no catalogue"):
        veda.browse(tmp_path / "mine")

    assert (tmp_path / "mine/thesis.txt").read_text() == "years"
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_an_empty_registry_gives_a_page_that_says_what_to_do(tmp_path):
    assert veda.browse(tmp_path / "out").packages == 0
    assert "veda register FILE" in Page(tmp_path / "out/index.html").text


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Write the catalogue of the six expert algorithms, in a home of its own."""
    folder = tmp_path_factory.mktemp("library")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEDA_HOME", str(folder / "home"))
        patch.setenv("HOME", str(folder))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        for path in [EXAMPLES / "momentum", *(p.parent for p in EXAMPLES.glob("expert/*/veda.toml"))]:
            package = veda.pack(path, folder / f"{path.name}.vedapkg")
            veda.register(package)
            veda.push(package)
        return veda.browse(folder / "catalogue").index


@pytest.fixture(params=["light", "dark"])
def page(request, library, open_url):
    return open_url(library.as_uri(), color_scheme=request.param)


@pytest.mark.chromium
def test_in_a_browser_the_search_works_from_a_file_and_asks_no_host(page):
    rows = page.locator("#packages tr:visible")
    assert rows.count() == 6
    assert page.locator("#count").inner_text() == "6 of 6"

    page.keyboard.press("/")
    page.keyboard.type("hedge Kalman")

    assert [rows.nth(n).locator("a").inner_text() for n in range(rows.count())] == ["kalman-hedge"]
    assert page.locator("#count").inner_text() == "1 of 6"
    page.keyboard.press("Escape")
    page.locator("#search").fill("iterations")
    assert rows.locator("a").inner_text() == "garch"
    address = page.url
    page.locator("#search").fill("no such thing")
    assert page.get_by_text("No package fits.").is_visible()
    page.goto("about:blank")
    page.goto(address)
    assert rows.locator("a").inner_text() == "garch"

    assert page.said == []
    assert [url for url in page.asked if not url.startswith(("file:", "about:"))] == []


@pytest.mark.chromium
def test_in_a_browser_a_package_opens_is_styled_and_fits_a_telephone(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.get_by_role("link", name="garch").click()

    assert page.get_by_role("heading", name="garch 1.0.0").is_visible()
    assert page.get_by_text("The benchmark of Fiorentini").is_visible()
    page.get_by_text("Parameters as a JSON Schema").click()
    assert page.get_by_text('"additionalProperties": false').is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")
    page.get_by_role("link", name="Packages").click()
    assert page.get_by_role("heading", name="Packages").is_visible()
    assert page.said == []
