"""
Asks a provider for a snapshot with the sync protocol of docs/protocol.md, over standard input and output, and verifies it.
What came of it goes to standard error, as JSON.
"""
import json, sys

sys.dont_write_bytecode = True
import rfc8878
from anchorage_reader import (CHUNK, Refused, check, chunk_of, decode, decoded_chunk, encode, frame_of, hash_of, items_of,
                              murmur3, read_frame, read_uvarint, root_of)

SCOPE = {"group": "g", "signature": "s"}
RANGE = 3


class Stream:
    """The asking side of one stream."""

    def __init__(self):
        self.last = 0

    def send(self, **request):
        """Sends a request without waiting for its answer. Returns its id."""
        self.last += 1
        self.write(frame_of(encode("Request", {"id": self.last, **SCOPE, **request})))
        return self.last

    def write(self, data):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def read(self):
        """The next response, and its payload. None at the end of the stream."""
        head = b""
        while not head or head[-1] >= 0x80:
            byte = sys.stdin.buffer.read(1)
            if not byte:
                return None
            head += byte
        body = sys.stdin.buffer.read(read_uvarint(head, 0, 5)[0])
        header, payload, _ = read_frame(head + body)
        return decode("Response", header), payload

    def take(self, request, kind):
        """The answer to a request, which is the next one due."""
        response, payload = self.read()
        check(response.get("id", 0) == request, f"the answer to {request} was due, not {response}")
        check(kind in response, f"{kind} was due, not {response}")
        return response[kind], payload

    def ask(self, kind, **request):
        return self.take(self.send(**request), kind)


def encoded(answer, payload, size):
    check(answer.get("encoding", 0) in (0, 1), "an encoding that is not known")
    return rfc8878.decompress(payload, size) if answer.get("encoding", 0) == 1 else payload


def join(stream):
    anchor = stream.ask("anchored", snapshot={"position": {"epoch": "e"}})[0]["anchor"]
    offers = stream.ask("offers", offers={})[0].get("offers", [])
    check(any(offer["anchor"] == anchor for offer in offers), "the anchor is not offered")

    infos, page = [], {}
    while not page.get("complete"):
        page, _ = stream.ask("manifest", manifest={"anchor": anchor, "from": len(infos)})
        infos += page.get("chunks", [])
    control = page.get("control", b"")

    # All ranges are asked for before the first answer is read.
    ranges = range(0, len(infos), RANGE)
    asked = [(first, min(RANGE, len(infos) - first)) for first in ranges]
    ids = [stream.send(chunks={"anchor": anchor, "first": first, "count": count}) for first, count in asked]
    chunks = []
    for request, (first, count) in zip(ids, asked):
        for index in range(first, first + count):
            answer, payload = stream.take(request, "chunk")
            check(answer.get("index", 0) == index, "another chunk was due")
            check(len(payload) <= infos[index]["bytes"], "a chunk is longer than what it holds")
            chunks.append((decoded_chunk(payload, answer.get("encoding", 0) == 1, infos[index]), answer.get("encoding", 0)))
    items = [item for (chunk, _), info in zip(chunks, infos) for item in items_of(chunk, info["items"])]
    check_delta(stream, anchor, infos[1], items_of(chunks[1][0], infos[1]["items"]))

    remaining = stream.ask("revived", keep_alive={"anchor": anchor})[0]["remaining_ms"]
    noted = stream.ask("noted", offer={"anchor": anchor, "remaining_ms": 1})[0]
    check(noted == {}, "an offer is only noted")
    return {"anchor": anchor["index"], "root": root_of(control, infos).hex(), "items": len(items), "chunks": len(chunks),
            "zstd": sum(encoding for _, encoding in chunks), "control": control.hex(), "remaining_ms": remaining,
            "text": hash_of(CHUNK, b"".join(items)).hex()}


def check_delta(stream, anchor, info, items):
    """As one that has all items of chunk 1 but the second and the third."""
    _, hints = stream.ask("hints", hints={"anchor": anchor, "index": 1})
    check(hints == b"".join(murmur3(item).to_bytes(4, "little") for item in items), "hints of other items")
    own = [items[0], *items[3:]]
    answer, payload = stream.ask("items", items={"anchor": anchor, "index": 1, "runs": [1, 2, len(own) - 1]})
    missing = items_of(encoded(answer, payload, info["bytes"] - len(chunk_of(own))), 2)
    check(hash_of(CHUNK, chunk_of([own[0], *missing, *own[1:]])) == info["hash"], "the chunk that was put together is another")


def refusals(stream, told):
    """The names of the errors for what must not be asked."""
    anchor = {"epoch": "e", "index": told["anchor"]}
    asked = [
        {"chunks": {"anchor": anchor, "first": told["chunks"], "count": 1}},
        {"chunks": {"anchor": anchor, "first": 0, "count": 257}},
        {"manifest": {"anchor": {"epoch": "e", "index": told["anchor"] + 7}}},
        {"manifest": {"anchor": {"epoch": "f", "index": told["anchor"]}}},
        {"group": "another", "offers": {}},
        {"signature": "another", "offers": {}},
        {"group": "g", "signature": "another", "status": {}},
    ]
    names = [stream.ask("error", **request)[0]["name"] for request in asked]
    stream.ask("offers", signature="another", also=["s"], offers={})
    stream.write(frame_of(b"\xff"))
    response, _ = stream.read()
    check("id" not in response, "what is no request has no id")
    check(stream.read() is None, "the stream goes on after what is no request")
    return names + [response["error"]["name"]]


try:
    stream = Stream()
    told = join(stream)
    told["refusals"] = refusals(stream, told)
    json.dump(told, sys.stderr)
except (Refused, ValueError) as error:
    sys.exit(f"refused: {error}")
