"""
Follows the log of a group, given as JSON, by what docs/protocol.md says of control entries, machine time and the group's
state. It prints the group's state after every so many entries, and what was sealed and disputed.
"""
import hashlib, json, sys

sys.dont_write_bytecode = True
from anchorage_reader import Refused, decode, encode

SKEW_MS, PAUSE_MS, CLOCKS_MAX, RECENT_MAX = 1_000, 604_800_000, 8, 2_048
CHUNK_BYTES_MAX = 8 * 1024 * 1024


class MachineTime:
    def __init__(self, ms=0):
        self.ms, self.clocks = ms, [[ms, ms]]

    def advance(self, timestamp):
        stamp = max(0, int(timestamp // 1))
        clock = self.clocks[0] if self.ms == 0 else self.clock_of(stamp)
        if clock is None:
            self.clocks = (self.clocks + [[stamp, self.ms]])[-CLOCKS_MAX:]
            return
        self.clocks.remove(clock)
        self.clocks.append(clock)
        if stamp > clock[0]:
            clock[:] = stamp, clock[1] + stamp - clock[0]
            self.ms = max(self.ms, clock[1])

    def clock_of(self, stamp):
        nearest, distance = None, None
        for clock in self.clocks:
            moves = clock[1] + stamp - clock[0] - self.ms
            fits = -SKEW_MS <= stamp - clock[0] <= PAUSE_MS and moves >= -SKEW_MS
            if fits and (distance is None or abs(moves) <= distance):
                nearest, distance = clock, abs(moves)
        return nearest


class Group:
    def __init__(self, bound):
        self.term, self.leader, self.entry, self.time = 0, "", "", MachineTime()
        self.format, self.signature, self.newest, self.recent = 1, bound, 0, []
        self.anchors, self.sealed, self.disputed = {}, {}, []

    def encode(self):
        clocks = [{"timestamp_ms": t, "time_ms": m} for t, m in self.time.clocks]
        if self.time.clocks == [[self.time.ms, self.time.ms]]:
            clocks = []
        state = {"term": self.term, "leader": self.leader, "time_ms": self.time.ms, "entry_id": self.entry, "clocks": clocks}
        if self.format > 1:
            recent = [{"key": key, "index": index} for key, index in self.recent]
            state.update(format=self.format, signature=self.signature, last_command=self.newest, recent=recent)
        return encode("GroupState", state)

    def apply(self, entry, epoch):
        self.entry = entry["id"]
        if entry["epoch"] != epoch:
            return
        self.time.advance(entry["timestampMs"])
        payload = bytes.fromhex(entry["payload"])
        if entry["kind"] == "command":
            self.command(entry["index"], payload)
            return
        try:
            [(kind, body)] = decode("Control", payload).items()
        except (Refused, ValueError):
            return
        getattr(self, kind)(body, entry)

    def command(self, index, command, key=None):
        """The machine of the test refuses a command that begins with 1, and cannot read one that begins with 2."""
        self.newest = index
        if key is not None and command[:1] not in (b"\1", b"\2"):
            self.recent = (self.recent + [(name_of(key), index)])[-RECENT_MAX:]

    def leads(self, body, entry):
        return entry["author"] == self.leader and body.get("term", 0) == self.term

    def raise_to(self, format, index):
        if format > self.format == 1:
            self.newest, self.recent = index, []
        self.format = max(format, self.format)

    def claim(self, body, entry):
        counts = body.get("term", 0) == self.term + 1 and (self.format == 1 or body.get("format", 0) == self.format)
        if counts:
            self.term, self.leader = body["term"], entry["author"]
            if self.term == 1:
                self.raise_to(body.get("format", 0), entry["index"])

    def marker(self, body, entry):
        size, speaks = body.get("chunk_bytes", 0), self.format == 1 or body.get("signature", "") == self.signature
        if 1 <= size <= CHUNK_BYTES_MAX and self.leads(body, entry) and speaks:
            self.anchors[entry["index"]] = (set(body.get("electorate", [])), {})

    def attestation(self, body, entry):
        anchor, root = body.get("anchor", 0), body.get("root", b"").hex()
        electorate, roots = self.anchors.get(anchor, (set(), {}))
        if entry["author"] not in electorate or entry["author"] in roots:
            return
        roots[entry["author"]] = root
        if anchor in self.sealed or anchor in self.disputed:
            return
        counts = [list(roots.values()).count(each) for each in roots.values()]
        if 2 * list(roots.values()).count(root) > len(electorate):
            self.sealed[anchor] = root
        elif 2 * (max(counts) + len(electorate) - len(roots)) <= len(electorate):
            self.disputed.append(anchor)

    def prune(self, body, entry):
        pass  # It leaves the state as it is, as does a tick.

    tick = prune

    def upgrade(self, body, entry):
        format, before, after = body.get("format", 0), body.get("from", ""), body.get("to", "")
        is_newer = format > self.format or (format == self.format and after != before)
        if self.leads(body, entry) and before == self.signature and is_newer and (after == before or format > 1):
            self.signature = after
            self.raise_to(format, entry["index"])

    def genesis(self, body, entry):
        pass  # These logs begin with nothing: it counts only as the first entry.

    def guarded(self, body, entry):
        key = body.get("key") or None
        if self.format == 1 or (key and name_of(key) in [name for name, _ in self.recent]):
            return
        if "expect" not in body or self.newest <= body["expect"]:
            self.command(entry["index"], body.get("command", b""), key)


def name_of(key):
    return hashlib.sha256(key).digest()[:16]


log = json.load(sys.stdin)
group, states = Group(log["bound"]), []
for entry in log["entries"]:
    group.apply(entry, log["epoch"])
    if entry["index"] % log["every"] == 0:
        states.append(group.encode().hex())
json.dump({"states": states, "sealed": group.sealed, "disputed": group.disputed}, sys.stdout)
