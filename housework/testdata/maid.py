# A client of housework.RobotMaid that builds its messages by hand, byte by byte.
# Usage: maid.py ADDRESS CERTIFICATE
import sys

import grpc

TIMEOUT = 20  # seconds


def field(number, value):
    """A field: a number, or a string, a message or other bytes of less than 128."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    if isinstance(value, str):
        value = value.encode()
    return bytes([number << 3 | 2, len(value)]) + value


def check(what, got, want):
    if got != want:
        sys.exit(f"{what}: got {got!r}, want {want!r}")


address, certificate = sys.argv[1:]
with open(certificate, "rb") as f:
    credentials = grpc.ssl_channel_credentials(root_certificates=f.read())
channel = grpc.secure_channel(address, credentials)


def call(method, request=b""):
    return channel.unary_unary("/housework.RobotMaid/" + method)(request, timeout=TIMEOUT)


def code(method, request):
    try:
        return call(method, request)
    except grpc.RpcError as e:
        return e.code(), e.details()


mop, dust = field(2, "Mop floors"), field(2, "Dust ünder beds")
both = field(1, mop) + field(1, dust)
ok = field(1, "ok") + field(3, 1)

check("List of nothing", call("List"), b"")
check("Add", call("Add", both + field(3, "python-1")), ok)
check("Add again", call("Add", both + field(3, "python-1")), ok)
check("Complete", call("Complete", field(1, 2)), field(1, "ok"))
check("List", call("List"), field(1, mop) + field(1, field(1, 1) + dust))
check("a page", call("List", field(4, 1)), field(1, mop) + field(4, 2))
check("the next page", call("List", field(3, 2) + field(4, 1)), field(1, field(1, 1) + dust))
check("no such chore", code("Complete", field(1, 7)), (grpc.StatusCode.NOT_FOUND, "chore 7 not found"))
check("no description", code("Add", field(1, b""))[0], grpc.StatusCode.INVALID_ARGUMENT)
check("no such method", code("Fly", b"")[0], grpc.StatusCode.UNIMPLEMENTED)
channel.close()

channel = grpc.secure_channel(address, grpc.ssl_channel_credentials())
check("not trusted", code("List", b"")[0], grpc.StatusCode.UNAVAILABLE)
channel.close()
print("all is well")
