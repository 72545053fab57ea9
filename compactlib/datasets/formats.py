"""Readers of the binary formats in which MNIST and CIFAR are published."""

import gzip
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file of unsigned bytes (MNIST), gzipped or not -> uint8 array of the shape that its header gives.

    Header, big-endian: 0, 0, 8 (the code of uint8), number of dimensions, then each dimension as int32.
    Raises ValueError if the header or the length is not that of such a file.
    """
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise ValueError(f"{path} is not an idx file of uint8: it starts with {data[:4].hex(' ')}, not 00 00 08.")
    shape = tuple(np.frombuffer(data, ">i4", count=data[3], offset=4).tolist())
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
    if values.size != np.prod(shape):
        raise ValueError(f"{path}: the header promises {shape}, the file holds {values.size} values.")
    return values.reshape(shape)


def read_tar(path: Path, wanted: list[str]) -> list[bytes]:
    """The content of the members whose last name is in `wanted`, in that order. Nothing is written to disk."""
    found = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            base = member.name.rsplit("/", 1)[-1]
            if member.isfile() and base in wanted:
                found[base] = archive.extractfile(member).read()
    if missing := [name for name in wanted if name not in found]:
        raise ValueError(f"{path} has no member {', '.join(missing)}; is it another archive of that name?")
    return [found[name] for name in wanted]


def parse_cifar_binary(data: bytes, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """CIFAR's binary records -> images (n, 32, 32, 3) uint8, labels (n,) int64.

    A record is `label_bytes` labels (CIFAR-10: 1; CIFAR-100: coarse, fine) and 3072 bytes: red, green, blue planes.
    The last label byte is the one used.
    """
    length = label_bytes + 3072
    if len(data) % length:
        raise ValueError(f"{len(data)} bytes are no whole number of CIFAR records of {length} bytes.")
    records = np.frombuffer(data, np.uint8).reshape(-1, length)
    return _planes_to_images(records[:, label_bytes:]), records[:, label_bytes - 1].astype(np.int64)


def parse_cifar_pickle(data: bytes, labels_key: bytes) -> tuple[np.ndarray, np.ndarray]:
    """A batch of CIFAR's Python version -> images (n, 32, 32, 3) uint8, labels (n,) int64."""
    batch = _ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()
    return _planes_to_images(batch[b"data"]), np.asarray(batch[labels_key], np.int64)


def _planes_to_images(planes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


class _ArrayUnpickler(pickle.Unpickler):
    """A pickle can run any code; this unpickler knows the three names that a NumPy array needs and refuses others."""

    ALLOWED = (
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    )

    def find_class(self, module: str, name: str):
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"the file asks for {module}.{name}; only NumPy arrays are allowed here.")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
