"""Hosts and origins: ours, and everybody else's."""

import pytest

from cloud import guards

OUTSIDE = "https://card.school.example"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8080", "LOCALHOST:1", "[::1]:8080", "[::1]"])
def test_loopback_names_are_ours(host: str) -> None:
    assert guards.is_our_host(host, "", "127.0.0.1")


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[::1", "127.0.0.2", "0.0.0.0"],
)
def test_other_names_are_refused(host: str) -> None:
    assert not guards.is_our_host(host, "", "127.0.0.1")


def test_configured_names_are_ours() -> None:
    assert guards.is_our_host("card.school.example", OUTSIDE, "10.0.0.5")
    assert guards.is_our_host("10.0.0.5:8080", OUTSIDE, "10.0.0.5")


def test_origin_must_be_this_very_site() -> None:
    assert guards.is_our_origin("http://127.0.0.1:8080", "127.0.0.1:8080", "")
    assert guards.is_our_origin(OUTSIDE, "card.school.example", OUTSIDE)
    for origin in (
        None,
        "",
        "null",
        "http://127.0.0.1:9999",
        "https://127.0.0.1:8080",
        "http://evil.example",
    ):
        assert not guards.is_our_origin(origin, "127.0.0.1:8080", "")
    assert not guards.is_our_origin("http://card.school.example", "card.school.example", OUTSIDE)


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a\r\nb"]
)
def test_way_back_stays_on_the_site(target: str) -> None:
    assert not guards.is_our_path(target)
    assert guards.is_our_path("/money/0000abcd?before=7")
