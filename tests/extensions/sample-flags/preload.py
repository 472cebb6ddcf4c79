"""Flags as extensions declare them: alone, in a group, and one that A1111 has already."""


def preload(parser):
    parser.add_argument("--sample-level", type=int, default=3, help="how much of it")
    group = parser.add_argument_group("sample")
    group.add_argument("--sample-names", nargs="*", default=[], help="which ones")
    parser.add_argument("--ngrok-region", type=str, default="eu", help="where")
