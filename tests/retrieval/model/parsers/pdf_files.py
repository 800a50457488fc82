"""PDF files made by hand, small enough to be read."""

from collections.abc import Sequence
from itertools import accumulate


def make_page(*parts: tuple[int, str]) -> str:
    """Draw the lines of a page, each with its size of type, for `make_pdf`."""
    tops = list(accumulate((-2 * size for size, _ in parts), initial=700))
    lines = zip(parts, tops[:-1], strict=True)
    return "\n".join(f"/F1 {size} Tf 1 0 0 1 72 {top} Tm ({text}) Tj" for (size, text), top in lines)


def make_field(value: str, rectangle: str, more: str = "/FT/Tx") -> bytes:
    """Make a field of a form, for `make_pdf`."""
    return f"<</Subtype/Widget/T({rectangle})/V({value})/Rect[{rectangle}]/DA(/F1 12 Tf){more}>>".encode()


def make_pdf(
    pages: Sequence[str],
    *,
    extra: bytes = b"",
    trailer: bytes = b"",
    annotations: Sequence[bytes] = (),
    layers: Sequence[bool] = (),
    form: str = "",
) -> bytes:
    """Make a PDF with one line of text per page, or with the lines from `make_page`; each has the annotations.

    The layers, which are on or off, are `/L0`, `/L1` and so on in pages; the drawing of a form is `/X` there.
    """
    kids = b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(len(pages)))
    first = 4 + 2 * len(pages)
    references = b" ".join(b"%d 0 R" % (first + n) for n in range(len(annotations)))
    fields = b"/AcroForm<</Fields[%s]/DR<</Font<</F1 3 0 R>>>>>>" % references if annotations else b""
    groups = [b"%d 0 R" % (first + len(annotations) + n) for n in range(len(layers))]
    off = b" ".join(group for group, is_on in zip(groups, layers, strict=True) if not is_on)
    fields += b"/OCProperties<</OCGs[%s]/D<</OFF[%s]>>>>" % (b" ".join(groups), off) if layers else b""
    drawn = b"/XObject<</X %d 0 R>>" % (first + len(annotations) + len(layers)) if form else b""
    names = b"".join(b"/L%d %s" % (n, group) for n, group in enumerate(groups))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R%s>>" % fields,
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(pages)),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for n, text in enumerate(pages):
        drawing = text if text.startswith("/F1") else f"/F1 12 Tf 72 700 Td ({text}) Tj"
        stream = f"BT {drawing} ET".encode("latin-1")
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Annots[%s]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>/Properties<<%s>>%s>>>>" % (references, 5 + 2 * n, names, drawn)
        )
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
    objects += annotations
    objects += [b"<</Type/OCG/Name(Layer)>>" for _ in layers]
    if form:
        content = f"BT {form} ET".encode("latin-1")
        kind = b"/Type/XObject/Subtype/Form/BBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>"
        objects.append(b"<<%s/Length %d>>stream\n%s\nendstream" % (kind, len(content), content))
    if extra:
        objects.append(extra)
    data, offsets = b"%PDF-1.7\n", list[int]()
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    return data + b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (size, trailer, start)
