"""Calls one hook of a build backend (PEP 517, PEP 660), and nothing else.

Started by v4run as `python -I -S -B backend.py PLAN` in the sandbox of an approved build. PLAN is a
JSON file that v4run made. What the build requires was installed from verified wheels before, into a
directory of its own; nothing is fetched here, and nothing of an environment is seen.
"""

import importlib
import json
import os
import re
import sys


def is_there(requirement):
    """Whether a distribution of that name is there. Its version is the backend's to look at."""
    from importlib.metadata import PackageNotFoundError, distribution

    name = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
    try:
        return bool(name and distribution(name.group()))
    except PackageNotFoundError:
        return False


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    os.chdir(plan["source"])
    sys.path[:0] = plan["backend_path"] + [plan["requires"]]
    sys.argv[:] = [""]
    module, _, attributes = plan["backend"].partition(":")
    backend = importlib.import_module(module)
    for name in filter(None, attributes.split(".")):
        backend = getattr(backend, name)
    hook = getattr(backend, plan["hook"], None)
    if hook is None:
        sys.exit("the build backend `%s` has no `%s`" % (plan["backend"], plan["hook"]))
    asks = getattr(backend, "get_requires_for_" + plan["hook"], None)
    missing = [one for one in (asks(None) if asks else []) if not is_there(one)]
    if missing:
        sys.exit(
            "the build asks for more than the project states: name all that it needs under "
            "`requires` of the approval: " + json.dumps(plan["stated"] + missing)
        )
    hook(plan["to"], None, None)


if __name__ == "__main__":
    main()
