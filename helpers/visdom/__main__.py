"""``python -m helpers.visdom [FOLDER]`` fetches what Visdom's page needs and isn't there yet.

FOLDER holds npm's archives, as on a stick: then no network is needed.
"""

import sys
from pathlib import Path

from helpers.visdom.page import AssetsError, page_folder

if __name__ == "__main__":
    try:
        page_folder(*map(Path, sys.argv[1:]))
    except AssetsError as error:
        sys.exit(str(error))
