"""
Decodes one frame of zstd (RFC 8878) without a dictionary, since Python has no zstd before 3.14. It is no part of
Anchorage's protocol. The frame's own checksum is not checked: the caller has a better hash.
"""

MAGIC = b"\x28\xb5\x2f\xfd"
BLOCK_BYTES_MAX = 128 * 1024


class Malformed(ValueError):
    """Bytes that are no frame of zstd."""


class Backward:
    """Reads bits from the end: the highest bit that is set in the last byte only marks where they begin."""

    def __init__(self, data):
        if not data or data[-1] == 0:
            raise Malformed("a stream of bits without its mark")
        self.data = bytes(8) + data  # what is read before the beginning is zero
        self.at = 64 + 8 * (len(data) - 1) + data[-1].bit_length() - 1

    def peek(self, bits):
        start = self.at - bits
        if start < 0:
            raise Malformed("a stream of bits ends too early")
        first = start >> 3
        return (int.from_bytes(self.data[first : first + 8], "little") >> (start & 7)) & ((1 << bits) - 1)

    def read(self, bits):
        value = self.peek(bits)
        self.at -= bits
        return value

    @property
    def left(self):
        return self.at - 64


def distribution(data, accuracy_max):
    """Probabilities of symbols, and how many bytes they take."""
    bits, at = int.from_bytes(data[:512], "little"), 4
    accuracy = (bits & 15) + 5
    if accuracy > accuracy_max:
        raise Malformed("a table is too large")
    left, probabilities = 1 << accuracy, []
    while left > 0:
        width = (left + 1).bit_length()
        value, low = (bits >> at) & ((1 << width) - 1), (1 << (width - 1)) - 1
        threshold = (1 << width) - 2 - left
        at += width
        if value & low < threshold:
            at, value = at - 1, value & low
        elif value > low:
            value -= threshold
        probabilities.append(value - 1)
        left -= abs(value - 1)
        while value == 1:
            repeat, at = (bits >> at) & 3, at + 2
            probabilities += [0] * repeat
            if repeat < 3:
                break
    if left < 0 or len(probabilities) > 256 or at > 8 * len(data):
        raise Malformed("the probabilities of a table are wrong")
    return (probabilities, accuracy), (at + 7) // 8


def table(probabilities, accuracy):
    """For each state: its symbol, how many bits to read, and what to add for the next state."""
    size = 1 << accuracy
    symbols, high, counts = [0] * size, size, [abs(each) for each in probabilities]
    for symbol, each in enumerate(probabilities):
        if each == -1:
            high -= 1
            symbols[high] = symbol
    at, step = 0, (size >> 1) + (size >> 3) + 3
    for symbol, each in enumerate(probabilities):
        for _ in range(max(0, each)):
            symbols[at] = symbol
            at = (at + step) % size
            while at >= high:
                at = (at + step) % size
    states = []
    for symbol in symbols:
        count = counts[symbol]
        counts[symbol] += 1
        bits = accuracy - count.bit_length() + 1
        states.append((symbol, bits, (count << bits) - size))
    return states, accuracy


def extras(bases, first):
    """Bits of codes to (base, bits) of each."""
    result, base = [], first
    for bits in bases:
        result.append((base, bits))
        base += 1 << bits
    return result


LITERALS = extras([0] * 16 + [1] * 4 + [2, 2, 3, 3, 4, 6] + list(range(7, 17)), 0)
MATCHES = extras([0] * 32 + [1] * 4 + [2, 2, 3, 3, 4, 4, 5] + list(range(7, 17)), 3)
PREDEFINED = [
    table([4, 3] + [2] * 11 + [1] * 3 + [2] * 9 + [3, 2] + [1] * 5 + [-1] * 4, 6),
    table([1] * 6 + [2] * 3 + [1] * 15 + [-1] * 5, 5),
    table([1, 4, 3] + [2] * 6 + [1] * 37 + [-1] * 7, 6),
]
ACCURACIES = [9, 8, 9]


def weights(data):
    """The weights of Huffman's codes, and how many bytes they take."""
    head = data[0]
    if head >= 128:
        count = head - 127
        nibbles = [each for byte in data[1 : 1 + (count + 1) // 2] for each in (byte >> 4, byte & 15)]
        return nibbles[:count], 1 + (count + 1) // 2
    described, used = distribution(data[1 : 1 + head], 6)
    states, accuracy = table(*described)
    bits, result = Backward(data[1 + used : 1 + head]), []
    even, odd = bits.read(accuracy), bits.read(accuracy)
    while len(result) < 256:
        symbol, more, base = states[even]
        result.append(symbol)
        if more > bits.left:
            return result + [states[odd][0]], 1 + head
        even, odd = odd, base + bits.read(more)
    raise Malformed("too many weights")


def huffman(data):
    """A table from the next bits to (symbol, bits) of its code."""
    given, used = weights(data)
    total = sum(1 << (weight - 1) for weight in given if weight)
    bits = total.bit_length()
    rest = (1 << bits) - total
    if bits > 11 or rest & (rest - 1):
        raise Malformed("Huffman's weights do not add up")
    given = given + [rest.bit_length()]
    codes = []
    for weight in range(1, bits + 1):
        for symbol, each in enumerate(given):
            if each == weight:
                codes += [(symbol, bits + 1 - weight)] * (1 << (weight - 1))
    return (codes, bits), used


def letters(data, codes, width, count):
    bits, result = Backward(data), bytearray()
    for _ in range(count):
        symbol, used = codes[bits.peek(width)]
        bits.at -= used
        result.append(symbol)
    if bits.left != 0:
        raise Malformed("a stream of literals does not end where it should")
    return result


class Frame:
    """What blocks of one frame have in common."""

    def __init__(self, size_max):
        self.size_max = size_max
        self.out = bytearray()
        self.huffman = None
        self.tables = [None, None, None]
        self.offsets = [1, 4, 8]

    def literals(self, data):
        kind, size = data[0] & 3, (data[0] >> 2) & 3
        if kind < 2:
            head, shift = ((1, 3), (2, 4), (1, 3), (3, 4))[size]
            count = int.from_bytes(data[:head], "little") >> shift
            if kind == 1:
                return data[head : head + 1] * count, head + 1
            return data[head : head + count], head + count
        head, width = ((3, 10), (3, 10), (4, 14), (5, 18))[size]
        both = int.from_bytes(data[:head], "little") >> 4
        count, length = both & ((1 << width) - 1), both >> width
        body = data[head : head + length]
        if kind == 2:
            self.huffman, used = huffman(body)
            body = body[used:]
        codes, bits = self.huffman
        if size == 0:
            return letters(body, codes, bits, count), head + length
        ends, at, result = [], 6, bytearray()
        for n in range(3):
            at += int.from_bytes(body[2 * n : 2 * n + 2], "little")
            ends.append(at)
        each, begin = (count + 3) // 4, 6
        for n, end in enumerate(ends + [len(body)]):
            result += letters(body[begin:end], codes, bits, each if n < 3 else count - 3 * each)
            begin = end
        return result, head + length

    def block(self, data):
        literals, at = self.literals(data)
        count = data[at]
        at += 1
        if count == 255:
            count, at = int.from_bytes(data[at : at + 2], "little") + 0x7F00, at + 2
        elif count >= 128:
            count, at = ((count - 128) << 8) + data[at], at + 1
        if count == 0:
            self.out += literals
            return
        modes, at = data[at], at + 1
        for n in range(3):
            mode = (modes >> (6 - 2 * n)) & 3
            if mode == 0:
                self.tables[n] = PREDEFINED[n]
            elif mode == 1:
                self.tables[n], at = ([(data[at], 0, 0)], 0), at + 1
            elif mode == 2:
                described, used = distribution(data[at:], ACCURACIES[n])
                self.tables[n], at = table(*described), at + used
        self.sequences(Backward(data[at:]), count, literals)

    def sequences(self, bits, count, literals):
        (runs, lb), (places, ob), (copies, mb) = self.tables
        run, place, copy, used = bits.read(lb), bits.read(ob), bits.read(mb), 0
        out = self.out
        for n in range(count):
            offset = (1 << places[place][0]) + bits.read(places[place][0])
            base, more = MATCHES[copies[copy][0]]
            length = base + bits.read(more)
            base, more = LITERALS[runs[run][0]]
            before = base + bits.read(more)
            if n + 1 < count:
                run = runs[run][2] + bits.read(runs[run][1])
                copy = copies[copy][2] + bits.read(copies[copy][1])
                place = places[place][2] + bits.read(places[place][1])
            out += literals[used : used + before]
            used += before
            offset = self.offset(offset, before)
            if not 0 < offset <= len(out):
                raise Malformed("a match from before the beginning")
            if len(out) + length > self.size_max:
                raise Malformed("more bytes than there may be")
            while length > 0:
                piece = out[len(out) - offset : len(out) - offset + length]
                out += piece
                length -= len(piece)
        if bits.left != 0 or used > len(literals):
            raise Malformed("the sequences of a block do not end where they should")
        out += literals[used:]

    def offset(self, value, before):
        if value > 3:
            self.offsets = [value - 3] + self.offsets[:2]
            return value - 3
        which = value - 1 + (before == 0)
        if which == 3:
            self.offsets = [self.offsets[0] - 1] + self.offsets[:2]
        else:
            self.offsets = [self.offsets.pop(which)] + self.offsets
        return self.offsets[0]


def decompress(data, size_max):
    """The content of the one frame in `data`. Raises `Malformed`, also for more than `size_max` bytes."""
    try:
        return decoded(data, size_max)
    except (IndexError, TypeError) as error:
        raise Malformed("a frame of zstd ends too early, or says what cannot be") from error


def decoded(data, size_max):
    if data[:4] != MAGIC:
        raise Malformed("it does not begin as zstd")
    flags, frame = data[4], Frame(size_max)
    single = (flags >> 5) & 1
    at = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
    last = False
    while not last:
        head = int.from_bytes(data[at : at + 3], "little")
        last, kind, size, at = head & 1, (head >> 1) & 3, head >> 3, at + 3
        stored = 1 if kind == 1 else size
        if size > BLOCK_BYTES_MAX or at + stored > len(data) or kind == 3:
            raise Malformed("a block of zstd cannot be")
        body, at = data[at : at + stored], at + stored
        if kind == 2:
            frame.block(body)
        else:
            frame.out += body * size if kind == 1 else body
        if len(frame.out) > size_max:
            raise Malformed("more bytes than there may be")
    if at + (4 if flags & 4 else 0) != len(data):
        raise Malformed("bytes follow the frame")
    return bytes(frame.out)
