"""Take the README's screenshot: `python docs/screenshots.py http://127.0.0.1:3000`, while `make dev` runs there.

It loads four green months of 2020 as a backfill with the mouse, and photographs the backfill's page.
"""

import sys
from pathlib import Path

from taxi_platform_tests.support.browser import POSTGRES_ASSETS, browser, find_programs

IMAGES = Path(__file__).parent / "images"


def main(url: str) -> None:
    programs = find_programs()
    if programs is None:
        raise SystemExit("chromium and chromedriver are not on the PATH; on Debian: chromium, chromium-driver")
    IMAGES.mkdir(exist_ok=True)
    with browser(programs, url) as window:
        window.show_graph(POSTGRES_ASSETS)
        window.launch_backfill("green", "[2020-03...2020-06]")
        window.find("//*[contains(., '100% completed')]")
        window.rest()
        window.photograph(IMAGES / "backfill.png")


if __name__ == "__main__":
    main(sys.argv[1])
