#!/usr/bin/env python3
"""Draws Leeward's mark into src-tauri/icons: a sail in still water, on a round tile. The same bytes every time.

Needs nothing but Python. Run from the project's root after a change of the drawing, and commit what it wrote.
"""

import pathlib
import struct
import zlib

FOLDER = pathlib.Path("src-tauri/icons")
TILE, SAIL, SHADE, WATER = (22, 78, 99), (240, 249, 250), (158, 206, 214), (94, 234, 212)
SAMPLES = 4  # per pixel and axis


def tile(x, y):
    """A rounded square; coordinates run from 0 to 1."""
    radius, edge = 0.24, 0.03
    dx = max(abs(x - 0.5) - (0.5 - edge - radius), 0)
    dy = max(abs(y - 0.5) - (0.5 - edge - radius), 0)
    return dx * dx + dy * dy <= radius * radius


def main_sail(x, y):
    """Right of the mast, its outer edge swelling a little."""
    if not 0.18 <= y <= 0.66 or x < 0.50:
        return False
    height = (y - 0.18) / 0.48
    return x <= 0.50 + 0.29 * height**0.8


def fore_sail(x, y):
    """Left of the mast, smaller."""
    if not 0.30 <= y <= 0.66 or x > 0.46:
        return False
    return x >= 0.46 - 0.22 * (y - 0.30) / 0.36


def water(x, y):
    """One calm line."""
    return 0.20 <= x <= 0.82 and 0.73 <= y <= 0.79


def ring(x, y, inner, outer):
    return inner <= ((x - 0.74) ** 2 + (y - 0.74) ** 2) ** 0.5 <= outer


def triangle(x, y):
    return 0.52 <= y <= 0.94 and abs(x - 0.74) <= (y - 0.52) * 0.57


def cross(x, y):
    dx, dy = abs(x - 0.74), abs(y - 0.74)
    return max(dx, dy) <= 0.2 and abs(dx - dy) <= 0.09


def bars(x, y):
    return abs(y - 0.74) <= 0.19 and 0.05 <= abs(x - 0.74) <= 0.16


def tick(x, y):
    """A shield's tick: what came was taken."""
    return (0.56 <= x <= 0.70 and abs(y - (x + 0.1)) <= 0.06) or (0.70 < x <= 0.94 and abs(y - (1.5 - x)) <= 0.06)


# State: the sign in the corner, and its colour. Shapes differ, so that nobody needs the colours.
SIGNS = {
    "starting": (lambda x, y: ring(x, y, 0.11, 0.2), (240, 249, 250)),
    "serving": (lambda x, y: False, (0, 0, 0)),
    "retried": (tick, (94, 234, 212)),
    "degraded": (triangle, (251, 191, 36)),
    "broken": (cross, (248, 113, 113)),
    "paused": (bars, (240, 249, 250)),
}


def with_sign(state):
    """The mark with the state's sign, on a dark disc so that it stands out from the sails."""
    sign, rgb = SIGNS[state]

    def picture(x, y):
        if state != "serving" and ring(x, y, 0, 0.26):
            return (*rgb, 255) if sign(x, y) else (8, 31, 41, 255)
        return colour(x, y)

    return picture


def template(state):
    """For macOS, which colours it: only the shape counts."""
    sign, _ = SIGNS[state]

    def picture(x, y):
        if state != "serving" and ring(x, y, 0, 0.28):
            return (0, 0, 0, 255) if sign(x, y) else (0, 0, 0, 0)
        drawn = main_sail(x, y) or fore_sail(x, y) or water(x, y)
        return (0, 0, 0, 255) if drawn else (0, 0, 0, 0)

    return picture


def colour(x, y):
    if not tile(x, y):
        return (0, 0, 0, 0)
    for shape, rgb in ((main_sail, SAIL), (fore_sail, SHADE), (water, WATER)):
        if shape(x, y):
            return (*rgb, 255)
    return (*TILE, 255)


def png(size, colour=colour):
    rows = bytearray()
    for row in range(size):
        rows.append(0)
        for column in range(size):
            red = green = blue = alpha = 0
            for i in range(SAMPLES):
                for j in range(SAMPLES):
                    x = (column + (i + 0.5) / SAMPLES) / size
                    y = (row + (j + 0.5) / SAMPLES) / size
                    r, g, b, a = colour(x, y)
                    red, green, blue, alpha = red + r * a, green + g * a, blue + b * a, alpha + a
            count = SAMPLES * SAMPLES
            solid = max(alpha, 1)
            rows += bytes((red // solid, green // solid, blue // solid, alpha // count))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)
    # Level 9, so that the bytes do not hang on a default.
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(rows), 9)) + chunk(b"IEND", b"")


def ico(images):
    head, body = struct.pack("<HHH", 0, 1, len(images)), b""
    for size, data in images:
        at = 6 + 16 * len(images) + len(body)
        head += struct.pack("<BBBBHHII", size % 256, size % 256, 0, 0, 1, 32, len(data), at)
        body += data
    return head + body


def icns(images):
    body = b"".join(kind + struct.pack(">I", len(data) + 8) + data for kind, data in images)
    return b"icns" + struct.pack(">I", len(body) + 8) + body


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    drawn = {size: png(size) for size in (16, 24, 32, 48, 64, 128, 256, 512)}
    for name, size in (("32x32", 32), ("128x128", 128), ("128x128@2x", 256), ("icon", 512)):
        (FOLDER / f"{name}.png").write_bytes(drawn[size])
    (FOLDER / "icon.ico").write_bytes(ico([(size, drawn[size]) for size in (16, 24, 32, 48, 64, 256)]))
    for state in SIGNS:
        (FOLDER / f"tray-{state}.png").write_bytes(png(64, with_sign(state)))
        (FOLDER / f"tray-{state}-template.png").write_bytes(png(44, template(state)))
    (FOLDER / "icon.icns").write_bytes(icns([(b"ic07", drawn[128]), (b"ic08", drawn[256]), (b"ic09", drawn[512])]))


main()
