"""The web interface in a headless Chromium, used with mouse and keyboard."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from taxi_platform_tests.support.waiting import PATIENCE

POSTGRES_ASSETS = '+key:"postgres_tripdata"'


def find_programs() -> tuple[str, str] | None:
    """Return the paths of Chromium and its driver, None if one is not installed."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    return (chromium, driver) if chromium and driver else None


class Browser:
    """A window."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self._driver = driver
        self._url = url

    def open(self, path: str) -> None:
        self._driver.get(f"{self._url}/{path}")

    def find(self, xpath: str) -> WebElement:
        """Wait for a visible element at the path; return the last one."""

        def shown(driver: webdriver.Chrome) -> WebElement | Literal[False]:
            found = [each for each in driver.find_elements(By.XPATH, xpath) if each.is_displayed()]
            return found[-1] if found else False

        wait = WebDriverWait(self._driver, PATIENCE, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(shown, f"there is no {xpath}")

    def click(self, xpath: str) -> None:
        """Click the element once it does not move any more."""
        places: list[dict] = []

        def stands_still(_: webdriver.Chrome) -> bool:
            places.append(self.find(xpath).rect)
            return places[-1:] == places[-2:-1]

        wait = WebDriverWait(
            self._driver, PATIENCE, poll_frequency=0.1, ignored_exceptions=[StaleElementReferenceException]
        )
        wait.until(stands_still, f"{xpath} keeps moving")
        ActionChains(self._driver).move_to_element(self.find(xpath)).click().perform()

    def type(self, text: str) -> None:
        """Type into the clicked element, and press Enter."""
        ActionChains(self._driver).send_keys(text, Keys.ENTER).perform()

    def show_graph(self, selection: str) -> None:
        """Open the graph of the selected assets, in their groups."""
        self.open(f"asset-groups~{quote(selection, safe='')}/")
        self.find("//*[normalize-space(text()) = 'postgres']")

    def expand(self) -> None:
        """Expand all groups."""
        ActionChains(self._driver).key_down(Keys.ALT).send_keys("e").key_up(Keys.ALT).perform()
        self.find("//*[normalize-space(text()) = 'postgres_tripdata']")

    def launch_backfill(self, colour: str, months: str) -> str:
        """Materialize the shown assets for months such as `[2020-04...2020-05]`; return the backfill's id."""
        self.click("//button[contains(., 'Materialize')]")
        self.click("//*[contains(text(), 'Select a partition')]")
        self.click(f"//span[normalize-space(text()) = '{colour}']")
        self.click("//*[starts-with(normalize-space(text()), 'Launch runs to materialize')]")  # closes the list
        self.click("//input[starts-with(@placeholder, 'ex:')]")
        self.type(months)
        self.click("//button[contains(., 'Launch') and not(@disabled)]")
        self.click("//*[normalize-space(text()) = 'View']")
        self.find("//*[normalize-space(text()) = 'Partition selection']")
        return self._driver.current_url.partition("/runs/b/")[2].partition("?")[0].strip("/")

    def dismiss_message(self) -> None:
        """Move the mouse away from the message in the corner, and wait until it has disappeared."""
        ActionChains(self._driver).move_to_element(self.find("//*[normalize-space(text()) = 'Overview']")).perform()
        WebDriverWait(self._driver, PATIENCE).until_not(
            lambda driver: driver.find_elements(By.XPATH, "//*[contains(text(), 'Created backfill')]")
        )

    def photograph(self, path: Path) -> None:
        path.write_bytes(self._driver.get_screenshot_as_png())


@contextmanager
def browser(programs: tuple[str, str], url: str) -> Iterator[Browser]:
    """Open a window on the web interface at the URL until the block ends."""
    chromium, driver = programs
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1440,900"):
        options.add_argument(option)
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Browser(window, url)
    finally:
        window.quit()
