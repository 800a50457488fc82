"""ISO-2022-JP as mail programs write it: with the characters of Shift-JIS that the standard lacks (`①`, `㈱`, `髙`)."""

import re

__all__ = ["decode_iso2022_jp"]

_SWITCH = re.compile(rb"(\x1b(?:\$[@B]|\$\(D|\([BIJ]))")
_ASCII, _ROMAN, _KATAKANA, _SUPPLEMENT = b"\x1b(B", b"\x1b(J", b"\x1b(I", b"\x1b$(D"
_OTHERS = re.compile(rb"\x1b(?:\$\(C|\$A|\.)")  # of Korean, Chinese and accents, as RFC 1554 adds them
_HIGH = bytes((byte | 0x80) if byte > 0x20 else byte for byte in range(256))
_PAIR = re.compile(rb"[\x21-\x7e]{2}")


def decode_iso2022_jp(data: bytes) -> str:
    """Decode; what is no character becomes U+FFFD."""
    if _OTHERS.search(data):
        return data.decode("iso2022_jp_2", "replace")
    first, *parts = _SWITCH.split(data)
    texts = [_decode(_ASCII, first)]
    texts += [_decode(switch, part) for switch, part in zip(parts[::2], parts[1::2], strict=True)]
    return "".join(texts)


def _decode(switch: bytes, part: bytes) -> str:
    if switch in (_ASCII, _ROMAN):
        return part.decode("ascii", "replace")
    if switch == _KATAKANA:
        return part.translate(_HIGH).decode("cp932", "replace")
    if switch == _SUPPLEMENT:
        return _PAIR.sub(lambda pair: b"\x8f" + pair[0].translate(_HIGH), part).decode("euc_jp", "replace")
    return _PAIR.sub(lambda pair: _to_shift_jis(*pair[0]), part).decode("cp932", "replace")


def _to_shift_jis(row: int, cell: int) -> bytes:
    lead = (row - 0x21) // 2 + 0x81
    trail = cell + (0x1F if cell < 0x60 else 0x20) if row % 2 else cell + 0x7E
    return bytes((lead if lead < 0xA0 else lead + 0x40, trail))
