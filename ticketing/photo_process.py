"""The process that decodes one photo: bytes in, a plain JPEG out, and nothing else that it could reach.

It is started by its path as `python -I` with an empty environment, and imports nothing of Andon. Once all that it needs
is loaded it gives up what it will not need: with no free descriptor there is no file, no socket and no program to
run; memory, CPU time and what it may write are bounded. A decoder that a hostile file takes over holds that file.
"""

import json
import resource
import sys
import warnings
from io import BytesIO

from PIL import (
    Image,
    ImageOps,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

FORMATS = ("JPEG", "PNG", "WEBP")
PLUGINS = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin)
"""Loaded before the descriptors are gone; a phone's JPEG with a second picture inside is an MPO."""
MEMORY_BYTES, CPU_S = 1024**3, 30
LIMITS = {
    "AS": MEMORY_BYTES,
    "CPU": CPU_S,
    "CORE": 0,
    "FSIZE": 0,
    "NPROC": 0,
    "NOFILE": 3,
}


class Refused(Exception):
    """The bytes are no photo to be kept; the first argument is the code, the second says why."""


def give_up() -> list[str]:
    """Set every limit; gives the names of those that this system does not have or does not set."""
    missing = []
    for name, most in LIMITS.items():
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
        except (AttributeError, OSError, ValueError):
            missing.append(f"RLIMIT_{name}")
    return missing


def upright(body: bytes, pixels_max: int) -> Image.Image:
    """The picture as it is to be looked at, in RGB, on white where it was transparent; Refused if there is none."""
    with Image.open(BytesIO(body), formats=FORMATS) as image:
        if image.width * image.height > pixels_max:
            raise Refused("photo_too_many_pixels", f"{image.width} x {image.height} pixels")
        if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
            raise Refused("photo_animated", "it moves")
        ImageOps.exif_transpose(image, in_place=True)
        if image.has_transparency_data:
            seen = image.convert("RGBA")
            flat = Image.new("RGB", seen.size, "white")
            flat.paste(seen, mask=seen.getchannel("A"))
            return flat
        return image.convert("RGB")


def written(body: bytes, order: dict[str, int]) -> tuple[dict[str, object], bytes]:
    """What is told of the picture, and the picture written anew without anything beside its pixels."""
    image = upright(body, order["pixels_max"])
    image.info.clear()  # a comment in it would be written too
    if longest := order.get("longest"):
        image.thumbnail((longest, longest))
    out = BytesIO()
    image.save(out, "JPEG", quality=order["quality"])
    darkest, lightest = image.convert("L").getextrema()
    return {"width": image.width, "height": image.height, "blank": darkest == lightest}, out.getvalue()


def main() -> None:
    """Answer the order in the arguments about the photo on standard input: a line of JSON, then the JPEG."""
    order = json.loads(sys.argv[1])
    Image.new("RGB", (8, 8)).save(BytesIO(), "JPEG")  # what is loaded with the first picture is loaded now
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = order["pixels_max"]
    missing = give_up()
    picture = b""
    try:
        facts, picture = written(sys.stdin.buffer.read(), order)
    except Refused as refused:
        facts = {"refused": refused.args[0], "why": refused.args[1]}
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        facts = {"refused": "photo_too_many_pixels", "why": str(error)}
    except UnidentifiedImageError:
        facts = {"refused": "photo_not_an_image", "why": "it begins like none of them"}
    except (MemoryError, RecursionError) as error:
        facts = {"refused": "photo_too_costly", "why": type(error).__name__}
    except Exception as error:  # noqa: BLE001 - whatever a decoder raises, it is no photo
        facts = {"refused": "photo_not_an_image", "why": f"{type(error).__name__}: {error}"[:200]}
    sys.stdout.buffer.write(json.dumps({**facts, "missing": missing}).encode() + b"\n" + picture)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
