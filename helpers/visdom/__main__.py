"""``python -m helpers.visdom`` fetches what Visdom's page needs and isn't there yet."""

import sys

from helpers.visdom.page import AssetsError, page_folder

if __name__ == "__main__":
    try:
        page_folder()
    except AssetsError as error:
        sys.exit(str(error))
