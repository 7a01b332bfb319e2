"""Signatures as SPEC.md, section 3, wants them: strict, and without a cofactor."""

import hashlib

from nacl import bindings
from nacl.exceptions import BadSignatureError

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def verify(key, message, signature):
    """Whether the signature is valid."""
    commitment, response = signature[:32], signature[32:]
    s = int.from_bytes(response, "little")
    if s >= L:
        return False
    if _is_plain(key) and _is_plain(commitment):
        # Canonical points of the prime-order subgroup: with and without a cofactor are the same.
        try:
            return bindings.crypto_sign_open(signature + message, key) == message
        except BadSignatureError:
            return False
    return verify_exactly(key, message, signature)


def verify_exactly(key, message, signature):
    """The rules one by one."""
    commitment, s = signature[:32], int.from_bytes(signature[32:], "little")
    a, r = _decompress(key), _decompress(commitment)
    if s >= L or a is None or r is None or _is_small(a) or _is_small(r):
        return False
    k = int.from_bytes(hashlib.sha512(commitment + key + message).digest(), "little") % L
    x, y, z, t = a
    point = _add(_times(s, BASE), _times(k, (-x % P, y, z, -t % P)))
    return _compress(point) == commitment


def _is_plain(point):
    return bindings.crypto_core_ed25519_is_valid_point(point)


# --- the curve, in extended coordinates (RFC 8032, section 5.1.4) ---


def _add(left, right):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = left, right
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(factor, point):
    result = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            result = _add(result, point)
        point = _add(point, point)
        factor >>= 1
    return result


def _is_small(point):
    x, y, z, _ = _times(8, point)
    return x % P == 0 and (y - z) % P == 0


def _decompress(data):
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, (number & ((1 << 255) - 1)) % P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P:
        return None
    if x & 1 != sign:
        x = -x % P
    return x, y, 1, x * y % P


def _compress(point):
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = _decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
