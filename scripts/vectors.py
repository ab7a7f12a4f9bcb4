"""Fetches wheels and a published provenance, for the tests: they lie in one source distribution.

The index is the one that pip asks. Nothing of the distribution is run: it is compared with its digest and
some of its files are taken out.
"""

import hashlib
import io
import json
import os
import pathlib
import sys
import tarfile
import urllib.parse
import urllib.request

from pip._internal.models.index import PyPI

PROJECT = "pypi-attestations"
FILE = "pypi_attestations-0.0.30.tar.gz"
SHA256 = "14ff13c76bbef02a483c2b77532da02bfd746b5141b881f355e06b9807434423"
WHEEL = "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl"
TAKE = (WHEEL, f"{WHEEL}.provenance", "rfc8785-0.1.2-py3-none-any.whl")


def fetch():
    index = os.environ.get("PIP_INDEX_URL") or PyPI.simple_url
    page = f"{index.rstrip('/')}/{PROJECT}/"
    asked = urllib.request.Request(page, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        files = json.load(answer)["files"]
    address = next(file["url"] for file in files if file["filename"] == FILE)
    with urllib.request.urlopen(urllib.parse.urljoin(page, address), timeout=60) as answer:
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != SHA256:
        sys.exit(f"{FILE} is not what it was")
    return content


place = pathlib.Path(sys.argv[1])
with tarfile.open(fileobj=io.BytesIO(fetch())) as archive:
    for name in TAKE:
        member = f"{FILE.removesuffix('.tar.gz')}/test/assets/{name}"
        (place / name).write_bytes(archive.extractfile(member).read())
