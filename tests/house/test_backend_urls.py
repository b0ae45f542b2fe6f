from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veda._house.backends import BackendURL
from veda._house.errors import BadInput

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=12)
PLAIN_KEYS = st.sampled_from(["secure", "region", "表", "a&b", "x=y"])
ADDRESSES = st.builds(
    BackendURL,
    scheme=st.sampled_from(["sqlite", "minio", "a+b"]),
    host=st.sampled_from(["127.0.0.1", "db.example", "::1"]),
    port=st.none() | st.integers(0, 65535),
    user=NAMES,
    path=NAMES.map(lambda text: f"/{text}"),
    query=st.dictionaries(PLAIN_KEYS, NAMES, max_size=3),
)


def test_all_parts_of_a_url_are_read():
    url = BackendURL.parse("minio://some%40one:p%23ss@127.0.0.1:9000/bucket/a%20b?secure=false&region=")

    assert url == BackendURL(
        "minio", "127.0.0.1", 9000, "some@one", "p#ss", "/bucket/a b", {"secure": "false", "region": ""}
    )


@given(ADDRESSES)
def test_a_url_without_secrets_reads_back_as_it_was_written(url):
    assert BackendURL.parse(str(url)) == url


@given(ADDRESSES, st.from_regex(r"canary[0-9]{6}", fullmatch=True))
def test_no_password_and_no_secret_of_the_query_ever_shows(url, secret):
    hidden = BackendURL(
        url.scheme, url.host, url.port, url.user, secret, url.path, {"access_key": secret, "Token": secret}
    )

    assert secret not in f"{hidden} {hidden!r}"
    assert "***" in str(hidden)


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_is_refused_in_one_line(text):
    refusal = None
    try:
        str(BackendURL.parse(text))
    except BadInput as exc:
        refusal = exc

    assert refusal is None or (refusal.hint and "\n" not in str(refusal))


@pytest.mark.parametrize("special", ["#", "/", "?", "#/?"])
def test_a_password_that_was_not_escaped_is_refused_and_not_shown(special):
    text = f"postgresql://me:can{special}ary@db/name"

    with pytest.raises(BadInput, match="postgresql") as caught:
        BackendURL.parse(text)

    assert "can" not in str(caught.value)
    assert "ary" not in str(caught.value)
    assert "%23" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["", "://host", "file:///a#b", "file:///a\nb", "redis://host:port", "redis://[::1"])
def test_what_is_no_url_is_refused(text):
    with pytest.raises(BadInput):
        BackendURL.parse(text)


def test_a_bare_word_is_the_librarys_default_place():
    assert BackendURL.parse("sqlite") == BackendURL("sqlite")
    assert BackendURL.parse("sqlite").file_path(Path("/default")) == Path("/default")


def test_a_path_is_absolute_after_three_slashes_and_relative_without_any():
    assert BackendURL.parse("file:///srv/a b").file_path(Path("x")) == Path("/srv/a b")
    assert BackendURL.parse("file:store/here").file_path(Path("x")) == Path("store/here")


def test_a_path_with_two_slashes_is_refused_because_it_names_a_host():
    with pytest.raises(BadInput, match="names a host") as caught:
        BackendURL.parse("file://store/here").file_path(Path("x"))

    assert "file:relative/path" in str(caught.value.hint)
