"""``python -m warmline``."""

from warmline.cli import main

main()
