"""Reads its own flags while it is imported, and asks the whole command line again."""

from modules import cmd_args, shared

SEEN = {"level": shared.cmd_opts.sample_level, "names": shared.cmd_opts.sample_names}
AGAIN = cmd_args.parser.parse_args(["--sample-level", "9", "--unknown-to-all"]).sample_level
