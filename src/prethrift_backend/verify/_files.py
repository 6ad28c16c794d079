"""Files written as a whole or not at all."""

from __future__ import annotations

import secrets
import stat
from pathlib import Path


def replace_file(path: Path, text: str) -> None:
    """Write the file so that a reader finds the old text or the new one; a link stays a link, and the mode stays.

    Raises OSError where the folder or the disk refuses; then nothing has changed.
    """
    target = path.resolve()
    # Not by tempfile: what it makes is for its owner alone, and a new file is for whom the umask says.
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            file.write(text.encode())
        if target.exists():
            draft.chmod(stat.S_IMODE(target.stat().st_mode))
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
