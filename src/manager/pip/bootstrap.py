"""Runs pip in the target environment, and nothing else that lies there.

Started by v4run as `python -I -S -B bootstrap.py PLAN`, so that neither `site` nor any `.pth` file,
`sitecustomize`, `usercustomize`, user site or working directory has been looked at. PLAN is a JSON
file that v4run made; every value in it is trusted.

pip must see what is installed (`importlib.metadata`, `pkg_resources`), but nothing installed may be
imported except pip itself: what lies in site-packages may shadow the standard library or be one of
the modules that pip tries to import (`keyring`, `truststore`, `chardet`, ...). So `sys.path` is what
the environment's own would be, while imports are looked for in two places only: the standard
library, and for `pip` the directory of the pip that was chosen. That holds for what lies inside a
package too: pip's `pkg_resources` adds directories of site-packages to the path of any package that
a `namespace_packages.txt` there names, and with one in the path of `encodings` the first line of an
installed file (`# coding: NAME`) would choose a module to run while pip compiles it.
"""

import errno
import gc
import json
import os
import sys

# What pip runs for the text of its User-Agent header and does without when it cannot.
PROBES = (["lsb_release", "-a"], ["uname", "-rs"], ["rustc", "--version"])


def confine_imports(pip):
    """Puts a finder in the place of the one that searches sys.path."""
    from importlib.machinery import PathFinder

    library = list(sys.path)

    class Finder:
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            top = name.partition(".")[0]
            roots = pip if top == "pip" else library
            if path is None:
                path = roots
            else:
                # Of a package's path only what lies in that very package, wherever it was found.
                own = [os.path.join(root, top) for root in roots]
                own += [os.path.realpath(place) for place in own]
                own = [os.path.join(place, "") for place in own]
                path = [place for place in path if (place + os.sep).startswith(tuple(own))]
            return PathFinder.find_spec(name, path, target)

        @classmethod
        def find_distributions(cls, *arguments, **options):
            return PathFinder.find_distributions(*arguments, **options)

        @classmethod
        def invalidate_caches(cls):
            PathFinder.invalidate_caches()

    sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]


def enter(plan):
    """Makes this interpreter the environment's: what `site` would do, from the plan alone."""
    sys.prefix = sys.exec_prefix = plan["prefix"]
    sys.executable = plan["executable"]
    sys.argv[:] = [plan["program"]] + plan["arguments"]
    sys.path.extend(plan["paths"])
    import site

    site.PREFIXES = [sys.prefix, sys.exec_prefix]
    site.ENABLE_USER_SITE = plan["user_site_enabled"]
    site.USER_BASE = plan["user_base"]
    site.USER_SITE = plan["user_site"]


def forgo_probes():
    """Answers pip's probes as the sandbox would, without a system call that is worth a report.

    Any other start of a program, and any other socket, is tried, refused and reported.
    """
    import socket
    import subprocess

    # urllib3 binds a socket to see whether there is IPv6; v4run's proxy is at an IPv4 address.
    socket.has_ipv6 = False
    # pip imports it ahead of an install in case somebody wants a debugger's prompt; it reads the
    # terminal's database and the user's key bindings.
    sys.modules["readline"] = None

    start = subprocess.Popen.__init__

    def refuse(self, args, *rest, **options):
        if not isinstance(args, str) and list(args) in PROBES:
            raise PermissionError(errno.EACCES, "not started under v4run", args[0])
        start(self, args, *rest, **options)

    subprocess.Popen.__init__ = refuse


def state(file):
    """What tells a file from any other, or from itself after a change."""
    found = os.stat(file)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def remember_names():
    """Reads the name of an installed package once as long as its METADATA is the same file.

    For each package that it has installed, pip goes through all that are there until one has that
    name, and parses a whole METADATA for each of them: with 100 packages 5000 times.
    """
    from importlib.metadata import PathDistribution

    read = PathDistribution.name.fget
    names = {}

    def name(self):
        try:
            file = os.path.join(self._path, "METADATA")
            now = state(file)
        except (AttributeError, OSError, TypeError):
            return read(self)  # Another kind of description, or one inside an archive.
        known, text = names.get(file, (None, None))
        if known != now:
            text = read(self)
            names[file] = (now, text)
        return text

    PathDistribution.name = property(name)


def remember_wheels():
    """Reads the description of a wheel once as long as the wheel is the same file.

    To prepare, to report and to install it pip opens the archive each time, and each time it is
    verified anew.
    """
    try:
        from pip._internal.metadata.importlib import Distribution

        read = Distribution.from_wheel.__func__
    except (AttributeError, ImportError):
        return  # A pip that does it in another way.
    wheels = {}

    def from_wheel(cls, wheel, name):
        try:
            key = (str(name), state(wheel.location))
        except (AttributeError, OSError, TypeError, ValueError):
            return read(cls, wheel, name)  # One that is no file.
        if key not in wheels:
            wheels[key] = read(cls, wheel, name)
        return wheels[key]

    Distribution.from_wheel = classmethod(from_wheel)


def collect_seldom():
    """Looks for reference cycles after as many new objects as make the search worth its time.

    pip makes millions of objects and hardly any cycle; a hundred wheels grow by two MiB.
    """
    gc.set_threshold(50_000)


def fetch_sources(wanted, to):
    """Has `pip download` fetch the source archive of each that no wheel is offered of, and no more.

    Left alone, pip would run the build of what it has, to learn its name.
    """
    from pip._internal.commands.download import DownloadCommand
    from pip._internal.network.utils import raise_for_status
    from pip._internal.utils.hashes import Hashes
    from pip._vendor.packaging.markers import Marker
    from pip._vendor.packaging.specifiers import SpecifierSet

    def choose(finder, one):
        if one["marker"] and not Marker(one["marker"]).evaluate({"extra": ""}):
            return None
        evaluator = finder.make_candidate_evaluator(
            project_name=one["name"],
            specifier=SpecifierSet(one["specifier"]),
            hashes=Hashes({"sha256": one["hashes"]}) if one["hashes"] else None,
        )
        fit = evaluator.get_applicable_candidates(finder.find_all_candidates(one["name"]))
        if any(candidate.link.is_wheel for candidate in fit):
            return None
        fit = [candidate for candidate in fit if candidate.link.scheme == "https"]
        approved = Hashes({"sha256": one["approved"]})
        known = [candidate for candidate in fit if candidate.link.is_hash_allowed(approved)]
        return evaluator.sort_best_candidate(known or fit)

    def run(self, options, _arguments):
        session = self.get_default_session(options)
        finder = self._build_package_finder(options=options, session=session)
        found = []
        for number, one in enumerate(wanted):
            candidate = choose(finder, one)
            if candidate is None:
                continue
            file = "%d.tar.gz" % number
            answer = session.get(
                candidate.link.url_without_fragment, headers={"Accept-Encoding": "identity"}
            )
            raise_for_status(answer)
            with open(os.path.join(to, file), "wb") as out:
                out.write(answer.content)
            version = str(candidate.version)
            found.append({"name": one["name"], "version": version, "file": file})
        with open(os.path.join(to, "sources.json"), "w", encoding="utf-8") as out:
            json.dump(found, out)
        return 0

    DownloadCommand.run = run


def main():
    collect_seldom()
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    confine_imports([plan["pip"]])
    enter(plan)
    forgo_probes()
    if sys.version_info >= (3, 11):  # Before, pip asks another module.
        remember_names()
        remember_wheels()
    if plan["fetches"]:
        fetch_sources(**plan["fetches"])
    from pip._internal.cli.main import main as pip

    status = pip()
    if plan["echo"] and status in (None, 0):
        # The user asked for the report on standard output; v4run needs it in a file.
        with open(plan["echo"], encoding="utf-8") as file:
            print(file.read())
    return status


if __name__ == "__main__":
    sys.exit(main())
