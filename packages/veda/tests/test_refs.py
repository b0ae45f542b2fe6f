"""What a reference means."""

import pytest

import veda
from veda import BadInput, NotFound, Ref
from veda.publish import register
from veda.records import tag
from veda.registry import open_registry
from veda.resolve import find_release


@pytest.fixture
def registry(workspace, home):
    for version in ("1.2.0", "1.10.0", "1.3.0", "2.0rc1"):
        register(veda.pack(workspace(version=version, word=version)))
    tag("small@1.3.0", "champion")
    with open_registry() as registry:
        yield registry


@pytest.mark.parametrize(
    ("ref", "version"),
    [
        ("small", "1.10.0"),
        ("Small", "1.10.0"),
        ("small@1.2.0", "1.2.0"),
        ("small@1.2", None),
        ("small@~=1.2", "1.10.0"),
        ("small@>=1.2,<1.10", "1.3.0"),
        ("small@==1.2.*", "1.2.0"),
        ("small@2.0rc1", "2.0rc1"),
        ("small@2.0.0rc1", None),
        ("small@>=2.0rc1", "2.0rc1"),
        ("small@champion", "1.3.0"),
        ("small@>=3", None),
        ("small@challenger", None),
        ("small@sha256:00000000", None),
        ("other", None),
    ],
)
def test_a_reference_means_one_release_or_none(registry, ref, version):
    if version is None:
        with pytest.raises(NotFound):
            find_release(Ref.parse(ref), registry)
    else:
        assert find_release(Ref.parse(ref), registry).version == version


def test_a_digest_or_its_beginning_means_the_release_of_that_content(registry):
    digest = registry.get("small", "1.3.0").digest

    assert find_release(Ref.parse(f"small@{digest}"), registry).version == "1.3.0"
    assert find_release(Ref.parse(f"small@{digest[:20]}"), registry).version == "1.3.0"


def test_a_mistyped_name_is_told_the_nearest(registry):
    with pytest.raises(NotFound) as caught:
        find_release(Ref.parse("smal"), registry)

    assert caught.value.hint == "did you mean 'small'?"


@pytest.mark.parametrize("text", ["small", "small@1.2.0", "small@~=1.2", "small@champion", "small@sha256:" + "a" * 64])
def test_a_reference_is_written_as_it_is_read(text):
    assert str(Ref.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "@1.0", "sm all", "../small", "small@", "small@~~1", "small@Champion", "small@sha256:xyz", "small@a/b"]
)
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(BadInput):
        Ref.parse(text)


@pytest.mark.parametrize("name", ["1.0", "Champion", "a b", "~=1", ""])
def test_a_tag_that_could_be_taken_for_something_else_is_refused(registry, name):
    with pytest.raises(BadInput, match="not a tag"):
        tag("small", name)
