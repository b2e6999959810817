"""The emulators as a service of docker-compose.yml: `python -m taxi_platform.local.emulators OPTIONS`."""

import argparse
import signal
import sys
from pathlib import Path

from taxi_platform.local.emulators.servers import running


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m taxi_platform.local.emulators", description="Emulators of Google Cloud."
    )
    parser.add_argument("--folder", type=Path, required=True, help="folder of objects and logs")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--storage-port", type=int, required=True)
    parser.add_argument("--bigquery-port", type=int, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with running(options.folder, options.host, options.storage_port, options.bigquery_port):
        signal.pause()


if __name__ == "__main__":
    main()
