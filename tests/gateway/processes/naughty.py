"""A child for the tests: it starts a tree of processes and behaves as told. Run as a script."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ready", type=Path, help="file to write when ready")
    parser.add_argument(
        "--workers", type=int, default=0, help="grandchildren, deaf to SIGTERM, each with one of its own"
    )
    parser.add_argument("--deaf", action="store_true")
    parser.add_argument("--exit", type=int, default=None)
    parser.add_argument("--words", default="")
    args = parser.parse_args()
    if args.words:
        sys.stdout.write(args.words + "\n")
        sys.stdout.flush()
    if args.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for _ in range(args.workers):
        # One more level, and a process group of its own, as an engine's workers may have.
        again = [sys.executable, __file__, "--deaf", "--workers", str(args.workers - 1)]
        subprocess.Popen(again, process_group=0)
    if args.exit is not None:
        os._exit(args.exit)
    if args.ready:
        args.ready.write_text(str(os.getpid()))
    time.sleep(600)


if __name__ == "__main__":
    main()
