"""`klasskart cloud office-link`: the only way into the office of a fresh cloud."""

import time

from click.testing import CliRunner

from cloud.cli import cloud
from tests.fixtures.pages import Pages


def test_console_link_opens_the_office(pages: Pages) -> None:
    pages.config.write()
    done = CliRunner().invoke(cloud, ["office-link", "--config", str(pages.config.data_dir)])
    assert done.exit_code == 0
    address = done.output.strip()
    assert address.startswith("http://127.0.0.1:8080/office/enter?link=0000f015-")
    pages.clock.now = int(time.time())
    visitor = pages.visitor()
    assert "Войти в кабинет школы" in visitor.get(address.partition(":8080")[2]).text
    visitor.post("/office/enter", link=address.partition("link=")[2])
    assert visitor.get("/office/").status_code == 200


def test_console_link_names_the_outside_address(pages: Pages) -> None:
    pages.config.web_url = "https://card.school.example"
    pages.config.write()
    done = CliRunner().invoke(cloud, ["office-link", "--config", str(pages.config.data_dir)])
    assert done.output.startswith("https://card.school.example/office/enter?link=")
