"""Writes that S3 answers with success, and of which nothing is kept. What S3 would refuse is still refused."""

from __future__ import annotations

import datetime as dt
from xml.dom import minidom
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import escape

from moto.s3.models import FakeBucket, FakeKey, FakeMultipart

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.gate.error_answers import Answer
from cloudtune.localcloud.gate.s3_payload import Payload

_MOST_KEYS = 1000


def lost_put(payload: Payload) -> Answer:
    """PutObject: the ETag is that of the content."""
    return 200, {"ETag": f'"{payload.md5()}"'}, b""


def lost_deletion() -> Answer:
    """DeleteObject."""
    return 204, {}, b""


def lost_copy(source: FakeKey) -> Answer:
    """CopyObject: the ETag is that of the source."""
    modified = f"{dt.datetime.now(dt.timezone.utc):%Y-%m-%dT%H:%M:%S}.000Z"
    return _xml("CopyObjectResult", f"<LastModified>{modified}</LastModified><ETag>{escape(source.etag)}</ETag>")


def lost_deletions(payload: Payload) -> Answer:
    """DeleteObjects: all that it names are said to be deleted. Raises AwsError MalformedXML."""
    request = _parsed(payload)
    objects = request.getElementsByTagName("Object")
    if not 0 < len(objects) <= _MOST_KEYS:
        raise malformed_xml()
    named = [(_text(each, "Key"), _optional(each, "VersionId")) for each in objects]
    if _optional(request, "Quiet") == "true":
        return _xml("DeleteResult", "")
    rows = [
        f"<Deleted><Key>{escape(key)}</Key>{f'<VersionId>{escape(version)}</VersionId>' if version else ''}</Deleted>"
        for key, version in named
    ]
    return _xml("DeleteResult", "".join(rows))


def lost_completion(payload: Payload, bucket: FakeBucket, upload: FakeMultipart) -> Answer:
    """CompleteMultipartUpload: the parts are looked at and thrown away; the upload is over.

    Raises:
        AwsError: MalformedXML, InvalidPartOrder.
        ServiceException: InvalidPart, EntityTooSmall, as moto has them.
    """
    parts = [(_text(part, "PartNumber"), _text(part, "ETag")) for part in _parsed(payload).getElementsByTagName("Part")]
    if not parts or not all(number.isdecimal() for number, _ in parts):
        raise malformed_xml()
    numbers = [int(number) for number, _ in parts]
    if numbers != sorted(set(numbers)):
        raise AwsError(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
        )
    _, etag, _ = upload.complete(iter([(int(number), etag) for number, etag in parts]))
    del bucket.multiparts[upload.id]
    upload.dispose()
    key = escape(upload.key_name)
    return _xml(
        "CompleteMultipartUploadResult",
        f"<Location>http://{bucket.name}.s3.amazonaws.com/{key}</Location><Bucket>{bucket.name}</Bucket>"
        f"<Key>{key}</Key><ETag>&quot;{etag}&quot;</ETag>",
    )


def malformed_xml() -> AwsError:
    """The body is not what the operation wants."""
    return AwsError(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )


def _parsed(payload: Payload) -> minidom.Document:
    try:
        # Its size is limited by the server, and expat by itself limits how far entities may grow.
        return minidom.parseString(b"".join(payload.pieces))  # noqa: S318
    except ExpatError as error:
        raise malformed_xml() from error


def _text(element: minidom.Element, name: str) -> str:
    text = _optional(element, name)
    if text is None:
        raise malformed_xml()
    return text


def _optional(element: minidom.Element | minidom.Document, name: str) -> str | None:
    found = element.getElementsByTagName(name)
    return "".join(node.data for node in found[0].childNodes if isinstance(node, minidom.Text)) if found else None


def _xml(name: str, content: str) -> Answer:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{content}</{name}>'
    )
    return 200, {"Content-Type": "application/xml"}, text.encode("utf-8", "surrogatepass")
