"""The reason of an error in one line."""

from __future__ import annotations

import re
import traceback

NAMES_A_FILE = re.compile(r"'[^']+'|/")
OUR_CODE = re.compile(r'File ".*?((?:models|probes|search)/[^"]+\.py)", line \d+, in (\w+)')


def in_words(error: BaseException) -> str:
    """The last line of an error. An error of the system that names no file says in which function
    of this project it was raised.

    Ray passes on an error of a callback as the text of a traceback, whose last line is the error
    itself."""
    line = (str(error).strip() or repr(error)).splitlines()[-1]
    line = line.rpartition("SearchStopped: ")[2]
    if "[Errno " not in line or NAMES_A_FILE.search(line):
        return line
    text = "".join(traceback.format_exception(error)) + str(error)
    places = OUR_CODE.findall(text)
    if not places:
        return line
    file, function = places[-1]
    return f"{line} (in {function} of {file})"
