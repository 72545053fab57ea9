"""Small files in the published formats, written from the format descriptions and not with the code under test."""

import gzip
import hashlib
import io
import struct
import tarfile

import numpy as np
import yaml


def idx_gz(array: np.ndarray) -> bytes:
    """An idx file of uint8: magic 0x08 and the number of dimensions, big-endian sizes, values."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


def tar_gz(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def cifar_records(images: np.ndarray, *labels: np.ndarray) -> bytes:
    """images (n, 32, 32, 3): label bytes, then the red, green and blue planes."""
    return b"".join(
        bytes(int(column[i]) for column in labels) + b"".join(image[:, :, c].tobytes() for c in range(3))
        for i, image in enumerate(images)
    )


def python2_batch(images: np.ndarray, labels: list[int], key: bytes = b"labels") -> bytes:
    """A CIFAR batch as Python 2 and NumPy 1 pickled it: byte strings, and the array through numpy.core.multiarray."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), 3072)
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN" + 2 * b"J\xff\xff\xff\xff" + b"K\x00tb"
    shape = b"M" + struct.pack("<H", len(images)) + b"M" + struct.pack("<H", 3072) + b"\x86"
    values = b"T" + struct.pack("<I", planes.size) + planes.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    array += b"(K\x01" + shape + dtype + b"\x89" + values + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + b"U\x04data" + array + b"U" + bytes([len(key)]) + key + numbers + b"u."


def write_card(
    folder, name: str, files: dict[str, bytes], *, reader: str, mirrors=(), folders=(), others=(), fields=None
) -> None:
    """The card of a set whose files have the given content. `others`: further sources, as in the YAML; `fields`:
    fields of the card that replace those of a set of ten classes."""
    entries = [{"name": n, "bytes": len(c), "md5": hashlib.md5(c).hexdigest()} for n, c in files.items()]
    source = {"id": "first", "title": "the first source", "reader": reader, "comparable": True}
    source |= {"folders": list(folders)}
    card = dict.fromkeys(("title", "description", "source", "licence", "citation", "layout"), f"text of {name}")
    card |= {"name": name, "caveats": ["none"], "mean": None, "std": None, "folders": [name]}
    card |= {"class_names": [str(i) for i in range(10)]}
    card |= fields or {}
    card["sources"] = [source | {"files": entries, "mirrors": list(mirrors)}, *others]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(card))


def tiny_mnist(seed: int = 0) -> dict[str, bytes]:
    """Four idx files: 200 training and 50 test images of 6x5 pixels, ten classes."""
    random = np.random.default_rng(seed)
    files = {}
    for prefix, count in (("train", 200), ("t10k", 50)):
        images = random.integers(0, 256, (count, 6, 5), np.uint8)
        files[f"{prefix}-images-idx3-ubyte.gz"] = idx_gz(images)
        files[f"{prefix}-labels-idx1-ubyte.gz"] = idx_gz(np.arange(count) % 10)
    return files
