"""
A second reader of Anchorage's formats, written from docs/protocol.md alone, for Python 3.9 and its standard library.

    anchorage_reader.py vectors DIRECTORY              recompute the vectors, and read them back
    anchorage_reader.py read PATH [--chunk-bytes S]    verify an export, or all checkpoints of a data directory

The standard library has no BLAKE3, which is below, and no zstd before Python 3.14: rfc8878.py decodes that. Messages
are read as the page defines them. It prints JSON. For what is refused, it ends with exit code 1.
"""
import argparse, functools, json, os, re, sys

sys.dont_write_bytecode = True
import rfc8878

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "protocol.md")
CHUNK, ROOT, CONTENTS, TAG = (f"anchorage 2026 {name} 1" for name in ("chunk", "root", "checkpoint", "epoch tag"))
ITEM_BYTES_MAX, MANIFEST_CHUNKS_MAX, CONTROL_BYTES_MAX = 32 * 1024 * 1024, 262_144, 1024 * 1024
CONTENTS_BYTES_MAX, RESPONSE_BYTES_MAX, GROUP_FORMAT, WHOLE, LISTED = 256 * 1024 * 1024, 49 * 1024 * 1024, 2, 1, 2

class Refused(Exception):
    """Bytes that a reader must not use."""

def check(holds, why):
    if not holds:
        raise Refused(why)

# BLAKE3, in key derivation mode
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
STEPS = [(n, 4 + (n + by) % 4, 8 + (n + 2 * by) % 4, 12 + (n + 3 * by) % 4) for by in (0, 1) for n in range(4)]
START, END, PARENT, TOP, OF_CONTEXT, OF_MATERIAL, M32 = 1, 2, 4, 8, 32, 64, 0xFFFFFFFF

def words(data):
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]

def compress(cv, m, counter, length, flags):
    v = [*cv, *IV[:4], counter & M32, counter >> 32, length, flags]
    for _ in range(7):
        for n, (a, b, c, d) in enumerate(STEPS):
            va, vb, vc, vd = v[a], v[b], v[c], v[d]
            for add, right, left in ((m[2 * n], 16, 12), (m[2 * n + 1], 8, 7)):
                va = (va + vb + add) & M32
                vd = ((vd ^ va) >> right | (vd ^ va) << 32 - right) & M32
                vc = (vc + vd) & M32
                vb = ((vb ^ vc) >> left | (vb ^ vc) << 32 - left) & M32
            v[a], v[b], v[c], v[d] = va, vb, vc, vd
        m = [m[at] for at in PERMUTATION]
    return [v[n] ^ v[n + 8] for n in range(8)]

def node(key, data, counter, flags):
    """The last compression of a subtree, which is done once more with `TOP` if it is the whole tree."""
    if len(data) > 1024:
        size = 1024 << ((len(data) - 1) // 1024).bit_length() - 1
        left, right = node(key, data[:size], counter, flags), node(key, data[size:], counter + size // 1024, flags)
        return key, compress(*left) + compress(*right), 0, 64, flags | PARENT
    cv, first, last = key, START, max(0, (len(data) - 1) // 64 * 64)
    for at in range(0, last, 64):
        cv, first = compress(cv, words(data[at : at + 64]), counter, 64, flags | first), 0
    return cv, words(data[last:].ljust(64, b"\0")), counter, len(data) - last, flags | first | END

def blake3(key, data, flags):
    *rest, flags = node(key, data, 0, flags)
    return b"".join(word.to_bytes(4, "little") for word in compress(*rest, flags | TOP))

key_of = functools.lru_cache(None)(lambda context: words(blake3(IV, context.encode(), OF_CONTEXT)))

def hash_of(context, data):
    return blake3(key_of(context), data, OF_MATERIAL)

# Uvarints, and protobuf by the messages of the page
def uvarint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))

def read_uvarint(data, at, bytes_max=10):
    number = 0
    for n in range(bytes_max):
        check(at + n < len(data), "it ends within a number")
        number |= (data[at + n] & 0x7F) << 7 * n
        if data[at + n] < 0x80:
            return number, at + n + 1
    raise Refused("a number is too long")

def uvarints(data):
    at = 0
    while at < len(data):
        number, at = read_uvarint(data, at)
        yield number

@functools.lru_cache(None)
def schemas():
    """By the name of a message and the number of a field: its label, type and name, and whether it is in a oneof."""
    with open(PAGE, encoding="utf8") as page:
        blocks = re.findall(r"^```proto\n(.*?)^```", page.read(), re.M | re.S)
    found, scope = {}, []
    for line in "".join(blocks).splitlines():
        opens = re.match(r" *(message|oneof) (\w+) {(})?", line)
        field = re.match(r" *(repeated |optional )?(\w+) (\w+) = (\d+);", line)
        if opens:
            scope.append(opens[2] if opens[1] == "message" else "")
            found.setdefault(".".join(filter(None, scope)), {})
        if line.strip().endswith("}"):
            scope.pop()
        if field:
            label, of, name, number = field.groups()
            found[".".join(filter(None, scope))][int(number)] = ((label or "").strip(), of, name, scope[-1] == "")
    return found

def resolved(name, of):
    while name and f"{name}.{of}" not in schemas():
        name = name.rpartition(".")[0]
    return f"{name}.{of}" if name else of

def encode(name, message):
    out = b""
    for number, (label, of, field, in_oneof) in sorted(schemas()[name].items()):
        values = message.get(field, [] if label == "repeated" else None)
        values = values if label == "repeated" else [] if values is None else [values]
        if not (label or in_oneof or of[0].isupper()):
            values = [value for value in values if value not in (0, "", b"", False)]
        is_number = of in ("uint32", "uint64", "bool")
        if label == "repeated" and is_number and values:
            values, is_number = [b"".join(uvarint(int(value)) for value in values)], False
        for value in values:
            if is_number:
                out += uvarint(number << 3) + uvarint(int(value))
                continue
            body = encode(resolved(name, of), value) if of[0].isupper() else value
            body = body.encode() if isinstance(body, str) else body
            out += uvarint(number << 3 | 2) + uvarint(len(body)) + body
    return out

def decode(name, data):
    message, at = {}, 0
    while at < len(data):
        tag, at = read_uvarint(data, at)
        label, of, field, _ = schemas()[name].get(tag >> 3, ("", "", None, False))
        if tag & 7 == 0:
            value, at = read_uvarint(data, at)
        else:
            length, at = read_uvarint(data, at) if tag & 7 == 2 else ({1: 8, 5: 4}.get(tag & 7, len(data) + 1), at)
            check(at + length <= len(data), f"a {name} ends within a field")
            value, at = data[at : at + length], at + length
        if field is None:
            continue
        is_number = of in ("uint32", "uint64", "bool")
        check((tag & 7 == 0) == is_number or label == "repeated", f"{name}.{field} is of another type")
        if of[0].isupper():
            value = decode(resolved(name, of), value)
        elif of == "string":
            value = value.decode("utf8")
        elif of == "bool":
            value = value != 0
        values = list(uvarints(value)) if is_number and tag & 7 == 2 else [value]
        message[field] = message.get(field, []) + values if label == "repeated" else value
    return message

# Chunks, manifests, frames
def fmix32(h):
    h = (h ^ h >> 16) * 0x85EBCA6B & M32
    h = (h ^ h >> 13) * 0xC2B2AE35 & M32
    return h ^ h >> 16

def scrambled(word):
    word = word * 0xCC9E2D51 & M32
    return (word << 15 | word >> 17) & M32

def boundary_hash(item):
    h, at, length = len(item), 0, len(item)
    while at + 4 <= length:
        at = max(48, length - 16) if at == 48 else at
        h, at = scrambled(h ^ int.from_bytes(item[at : at + 4], "little")), at + 4
    for byte in item[at:]:
        h = scrambled(h ^ byte)
    return fmix32(h)

def murmur3(item):
    h, whole = 0, len(item) // 4 * 4
    for word in words(item[:whole]):
        h ^= scrambled(word) * 0x1B873593 & M32
        h = ((h << 13 | h >> 19) * 5 + 0xE6546B64) & M32
    rest = scrambled(int.from_bytes(item[whole:], "little")) * 0x1B873593 & M32
    return fmix32(h ^ rest ^ len(item))

def chunk_of(items):
    return b"".join(uvarint(len(item)) + item for item in items)

def items_of(chunk, count):
    items, at = [], 0
    for _ in range(count):
        length, at = read_uvarint(chunk, at, 4)
        check(at + length <= len(chunk) and length <= ITEM_BYTES_MAX, "a chunk ends within an item")
        items.append(chunk[at : at + length])
        at += length
    check(at == len(chunk), "a chunk holds more than its items")
    return items

def cut(items, size):
    """The items of each chunk."""
    chunk, used = [], 0
    for item in items:
        own = len(uvarint(len(item))) + len(item)
        chunk.append(item)
        used += own
        if used >= 2 * size or 2 * used >= size and (boundary_hash(item) >> 4) * size < own << 29:
            yield chunk
            chunk, used = [], 0
    if chunk:
        yield chunk

def root_of(control, chunks):
    check(len(control) <= CONTROL_BYTES_MAX and len(chunks) <= MANIFEST_CHUNKS_MAX, "a manifest is too large")
    numbers = lambda *given: b"".join(number.to_bytes(4, "big") for number in given)
    listed = b"".join(numbers(each.get("items", 0), each.get("bytes", 0)) + each["hash"] for each in chunks)
    return hash_of(ROOT, numbers(len(control)) + listed + control)

def frame_of(header, payload=b""):
    own = uvarint(len(header)) + header
    return uvarint(len(own) + len(payload)) + own + payload

def read_frame(data, at=0, bytes_max=RESPONSE_BYTES_MAX):
    """Header, payload, and where the next frame begins."""
    length, at = read_uvarint(data, at, 5)
    check(0 < length <= bytes_max and at + length <= len(data), "a frame is cut short, empty or too long")
    body = data[at : at + length]
    header, begin = read_uvarint(body, 0, 5)
    check(begin + header <= length, "a frame ends within its header")
    return body[begin : begin + header], body[begin + header :], at + length

# Checkpoints and exports
def decoded_chunk(encoded, is_zstd, info):
    size, raw = info.get("bytes", 0), encoded
    if is_zstd:
        try:
            raw = rfc8878.decompress(encoded, size)
        except rfc8878.Malformed as error:
            raise Refused(f"a chunk is no zstd of its size: {error}") from error
    check(len(raw) == size and hash_of(CHUNK, raw) == info.get("hash"), "the size or the hash of a chunk is wrong")
    return raw

def read_checkpoint(path, chunk_bytes=None):
    with open(path, "rb") as opened:
        file = opened.read()
    check(len(file) >= 52 and file[:7] == b"ANCHCKP" and file[:8] == file[-8:], "it does not look like a checkpoint")
    check(file[7] in (WHOLE, LISTED), f"it is of format {file[7]}")
    end, length = len(file) - 44, int.from_bytes(file[-44:-40], "big")
    check(length <= min(end - 8, CONTENTS_BYTES_MAX), "its contents do not fit into it")
    check(hash_of(CONTENTS, file[end - length : end]) == file[-40:-8], "the hash of its contents is wrong")
    contents = decode("Contents", file[end - length : end])
    infos, control, at, items = contents.pop("chunks", []), contents.pop("control", b""), 8, []
    for info in infos:
        if file[7] == WHOLE:
            encoded, is_zstd = file[at : at + info.get("encoded_bytes", 0)], info.get("zstd", False)
            at += len(encoded)
        else:
            with open(os.path.join(os.path.dirname(path), "chunks", info["hash"].hex()), "rb") as opened:
                first, encoded = opened.read(1), opened.read()
            check(first in (b"\0", b"\1"), "a chunk's file begins with another byte than 0 and 1")
            is_zstd = first == b"\1"
        items += items_of(decoded_chunk(encoded, is_zstd, info), info.get("items", 0))
    root, state = root_of(control, infos), decode("GroupState", control)
    check(state.get("format", 1) <= GROUP_FORMAT, "the group's state is of a newer format")
    check(encode("GroupState", state) == control, "the group's state is not written as it must be")
    if chunk_bytes is not None:
        anew = [(len(each), chunk_of(each)) for each in cut(items, chunk_bytes)]
        listed = [{"items": count, "bytes": len(chunk), "hash": hash_of(CHUNK, chunk)} for count, chunk in anew]
        check(root_of(control, listed) == root, "its items, cut anew, make another manifest")
    told = {"index": 0, "sealed": False, **contents, "format": file[7], "chunks": len(infos), "items": len(items)}
    return {**told, "root": root.hex(), "state": state}

def read_directory(path, chunk_bytes=None):
    folder, found = os.path.join(path, "checkpoints"), []
    for name in sorted(each for each in os.listdir(folder) if re.fullmatch(r"\d{16}-[0-9a-f]{8}\.checkpoint", each)):
        found.append(read_checkpoint(os.path.join(folder, name), chunk_bytes))
        named = f"{found[-1]['index']:016}-{hash_of(TAG, found[-1]['epoch'].encode())[:4].hex()}.checkpoint"
        check(name == named, f"{name} is of another position than its name says")
    return found

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("vectors", "read"))
    parser.add_argument("path")
    parser.add_argument("--chunk-bytes", type=int)
    given = parser.parse_args()
    try:
        if given.what == "vectors":
            import vectors
            told = vectors.recompute(given.path)
        else:
            told = (read_directory if os.path.isdir(given.path) else read_checkpoint)(given.path, given.chunk_bytes)
    except (Refused, ValueError, OSError) as error:
        sys.exit(f"refused: {error}")
    json.dump(told, sys.stdout, indent=2, default=bytes.hex)

if __name__ == "__main__":
    sys.modules["anchorage_reader"] = sys.modules["__main__"]  # vectors.py imports it by its name
    main()
