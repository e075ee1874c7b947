"""Recomputes the vectors of test/vectors with the reader. See anchorage_reader.py."""
import glob, json, os, re

import anchorage_reader as reader
from anchorage_reader import Refused, check, decode, encode, uvarint


def given(value):
    """An input as the reader takes it: bytes for {"hex": …}, and names of fields as the page has them."""
    if isinstance(value, list):
        return [given(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"hex"}:
        return bytes.fromhex(value["hex"])
    return {snake(key): given(each) for key, each in value.items()}


def snake(name):
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def without(value, *names):
    return {key: each for key, each in value.items() if key not in names}


def control(entry):
    kind, body = entry["type"], without(entry, "type", "source")
    for key, each in entry.get("source", {}).items():
        body[f"source_{key}"] = each
    return {kind: body}


def request(told):
    kind, body = snake(told["body"]["type"]), without(told["body"], "type")
    if kind == "order":
        order = body["order"]
        body = {"prune": order["keep_entries"]} if order["type"] == "prune" else {"upgrade": order["to"]}
    return {**without(told, "body"), kind: body["offer"] if kind == "offer" else body}


def response(told):
    kind, body = told["body"]["type"], without(told["body"], "type")
    if kind == "error":
        body = body["error"]
    if kind == "manifest" and "control" in body:
        body["complete"] = True
    if "encoding" in body:
        body["encoding"] = ["raw", "zstd"].index(body["encoding"])
    return {"id": told["id"], kind: body}


def message(name, of=lambda told: told):
    """How the vectors of a message become bytes, and what those are read as."""

    def bytes_of(told, expected):
        read = decode(name, expected)
        check(encode(name, read) == expected, "what was read is written otherwise")
        return encode(name, of(told))

    return bytes_of


def frame(told, expected):
    payload = told.get("payload", b"")
    check(reader.read_frame(expected) == (told["header"], payload, len(expected)), "it is read otherwise")
    return reader.frame_of(told["header"], payload)


def chunk(items, expected):
    check(reader.items_of(expected, len(items)) == items, "it is read otherwise")
    return reader.chunk_of(items)


def generated(told):
    """See test/snapshot/generated-items.ts."""
    state, least, most = told["seed"], told["bytes_min"], told["bytes_max"]

    def byte():
        nonlocal state
        state = (state * 1664525 + 1013904223) % 2**32
        return state >> 24

    return [bytes(byte() for _ in range(least + byte() % (most - least + 1))) for _ in range(told["count"])]


def map_item(told, _expected):
    """Keys and values are text of one character a byte."""
    key, deadline = told["key"].encode("latin1"), told.get("deadline_ms")
    head = uvarint(2 * len(key) + (deadline is not None)) + key
    return head + (b"" if deadline is None else uvarint(deadline)) + told["value"].encode("latin1")


FILES = {
    "announcements": message("Announcement"),
    "boundaries": lambda told, _: bytes(len(each) for each in reader.cut(generated(told), told["chunk_bytes"])),
    "chunk-hashes": lambda told, _: reader.hash_of(reader.CHUNK, told),
    "chunks": chunk,
    "control": message("Control", control),
    "frames": frame,
    "group-state": message("GroupState"),
    "hints": lambda items, _: b"".join(reader.murmur3(item).to_bytes(4, "little") for item in items),
    "item-hashes": lambda item, _: reader.boundary_hash(item).to_bytes(4, "big"),
    "map-items": map_item,
    "roots": lambda told, _: reader.root_of(told["control"], told["chunks"]),
    "sync-requests": message("Request", request),
    "sync-responses": message("Response", response),
}


def recompute(directory):
    """How many vectors of each file are right. Raises `Refused` for the first one that is not."""
    counts = {}
    for path in sorted(glob.glob(os.path.join(directory, "*.json"))):
        name = os.path.basename(path)[: -len(".json")]
        if name not in FILES:
            counts[name] = None  # commands of machines, which are not on the page
            continue
        with open(path, encoding="utf8") as opened:
            vectors = json.load(opened)["vectors"]
        for vector in vectors:
            expected = bytes.fromhex(vector["bytes"])
            found = FILES[name](given(vector["input"]), expected)
            if found != expected:
                raise Refused(f"{name}, {vector['name']}: {found.hex()}, not {expected.hex()}")
        counts[name] = len(vectors)
    return counts
