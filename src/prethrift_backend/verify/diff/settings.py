"""What changed between two settings contracts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from prethrift_backend.contracts.settings import Setting, SettingsContract
from prethrift_backend.verify.diff.changes import Change
from prethrift_backend.verify.diff.consumers import Use
from prethrift_backend.verify.diff.values import paired


def diff_settings(old: SettingsContract, new: SettingsContract) -> list[Change]:
    """Return every difference that someone can notice who deploys the process."""
    before, after = {s.name: s for s in old.settings}, {s.name: s for s in new.settings}
    gone, kept, added = paired(before, after)
    changes = [_change(before[name], "C001", f"setting {name} is gone") for name in gone]
    for _, was, now in kept:
        changes += _kept_changes(was, now)
    for name in added:
        changes += _addition(after[name])
    return changes


def _change(setting: Setting, rule: str, message: str, *, line: int | None = None) -> Change:
    return Change(rule, "settings", setting.name, message, line=line, use=Use((setting.name,)))


def _addition(setting: Setting) -> Iterator[Change]:
    yield _change(setting, "C006", f"setting {setting.name} is new", line=setting.line)
    if setting.required_in:
        yield _demand(setting, setting.required_in)


def _demand(setting: Setting, environments: tuple[str, ...]) -> Change:
    message = f"{', '.join(environments)} does not start without {setting.name}"
    return replace(_change(setting, "C005", message, line=setting.line), observed=f"required={'|'.join(environments)}")


def _kept_changes(old: Setting, new: Setting) -> Iterator[Change]:
    yield from _type_changes(old, new)
    if old.defaults != new.defaults:
        change = _change(old, "C003", f"{old.name} has another default", line=new.line)
        yield change.shown(",".join(old.defaults), ",".join(new.defaults))
    if old.secret != new.secret:
        rule, message = ("C004", "may be shown") if old.secret else ("C007", "is never shown any more")
        yield _change(old, rule, f"{old.name} {message}", line=new.line)
    demanded = tuple(name for name in new.required_in if name not in old.required_in)
    if demanded:
        yield _demand(new, demanded)
    elif old.required_in != new.required_in:
        yield _change(old, "C007", f"fewer environments demand {old.name}", line=new.line)
    if old.group != new.group:
        change = _change(old, "C007", f"{old.name} stands in another group", line=new.line)
        yield change.shown(old.group, new.group)


def _type_changes(old: Setting, new: Setting) -> Iterator[Change]:
    if old.type != new.type:
        change = _change(old, "C002", f"{old.name} has another type", line=new.line)
        yield change.shown(old.kind, new.kind)
        return
    gone = [value for value in old.values if value not in new.values]
    added = [value for value in new.values if value not in old.values]
    if gone:
        change = _change(old, "C002", f"{old.name} no longer takes {', '.join(gone)}", line=new.line)
        yield change.shown(old.kind, new.kind)
    if added:
        change = _change(old, "C006", f"{old.name} also takes {', '.join(added)}", line=new.line)
        yield replace(change, name=f"{old.name} values", observed="|".join(added))
