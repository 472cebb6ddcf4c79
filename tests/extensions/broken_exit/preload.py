import sys


def preload(parser):
    parser.add_argument("--broken-exit", action="store_true")
    sys.exit(2)
