public import Bytes
import SystemPackage

/// Runs a pickle's opcodes on a stack of node numbers. They can only build a `PickleGraph`: names stay names, calls stay
/// descriptions of calls.
public struct PickleMachine {
  /// Longer byte strings stay in the file.
  private static let longestHeldString = 1 << 16

  private var cursor: FileCursor
  private let end: Int
  private let limits: Limits
  private let allows: (_ module: ByteString, _ name: ByteString) -> Bool
  private var graph = PickleGraph()
  private var stack: [Int] = []
  private var marks: [Int] = []
  private var memo: [Int: Int] = [:]
  /// Of the opcode being run.
  private var opcode: UInt8 = 0
  private var opcodeOffset = 0

  /// Reads one pickle that begins at `offset` and must end by `end`.
  ///
  /// - Parameter allows: whether the pickle may name this class or function; anything else is refused at once.
  public static func read(
    _ file: InputFile, at offset: Int, end: Int, limits: Limits,
    allows: @escaping (_ module: ByteString, _ name: ByteString) -> Bool
  ) throws(PickleError) -> PickleGraph {
    var machine = PickleMachine(
      cursor: FileCursor(file, offset: offset), end: end, limits: limits, allows: allows)
    try machine.run()
    return machine.graph
  }

  private init(
    cursor: FileCursor, end: Int, limits: Limits, allows: @escaping (_ module: ByteString, _ name: ByteString) -> Bool
  ) {
    self.cursor = cursor
    self.end = end
    self.limits = limits
    self.allows = allows
  }

  private mutating func run() throws(PickleError) {
    // Bounds the stack, the marks and the memo as well as the time: each opcode adds at most two entries.
    let limit = limits.pickleNodeCount * 8
    var opcodeCount = 0
    repeat {
      opcodeOffset = cursor.offset
      guard opcodeCount < limit else {
        throw .limitExceeded(path: path, item: "opcodes", limit: limit, offset: opcodeOffset)
      }
      opcodeCount += 1
      opcode = UInt8(truncatingIfNeeded: try number(1))
    } while try step()
    guard stack.count == 1, marks.isEmpty, let root = stack.last else { throw invalidStack() }
    graph.root = root
    graph.endOffset = cursor.offset
  }

  /// Runs `opcode`; false after STOP.
  private mutating func step() throws(PickleError) -> Bool {
    switch opcode {
    case UInt8(ascii: "."): return false
    case 0x80:
      guard try number(1) <= 5 else { throw .unknownOpcode(path: path, opcode: opcode, offset: opcodeOffset) }
    case 0x95: _ = try number(8)  // FRAME: a hint for reading ahead.
    case UInt8(ascii: "("): marks.append(stack.count)
    case UInt8(ascii: "0"): _ = try pop()
    case UInt8(ascii: "1"): _ = try popMark()
    case UInt8(ascii: "2"):
      let top = try pop()
      stack += [top, top]
    case UInt8(ascii: "N"): try push(.none)
    case 0x88: try push(.bool(true))
    case 0x89: try push(.bool(false))
    case UInt8(ascii: "J"): try push(.integer(Int(Int32(truncatingIfNeeded: try number(4)))))
    case UInt8(ascii: "K"): try push(.integer(Int(try number(1))))
    case UInt8(ascii: "M"): try push(.integer(Int(try number(2))))
    case UInt8(ascii: "I"), UInt8(ascii: "L"): try pushSpelledInteger()
    case 0x8A: try pushInteger(try bytes(Int(try number(1))))
    case 0x8B: try pushInteger(try bytes(try count(4)))
    case UInt8(ascii: "F"):
      guard let value = Double(try line().text) else { throw invalidLiteral() }
      try push(.real(value))
    case UInt8(ascii: "G"): try push(.real(Double(bitPattern: UInt64(bigEndian: try number(8)))))
    case UInt8(ascii: "X"): try pushString(count: try count(4), isText: true)
    case 0x8C: try pushString(count: try count(1), isText: true)
    case 0x8D: try pushString(count: try count(8), isText: true)
    case UInt8(ascii: "T"), UInt8(ascii: "B"): try pushString(count: try count(4), isText: false)
    case UInt8(ascii: "U"), UInt8(ascii: "C"): try pushString(count: try count(1), isText: false)
    case 0x8E, 0x96: try pushString(count: try count(8), isText: false)
    case UInt8(ascii: ")"): try push(.tuple([]))
    case 0x85, 0x86, 0x87:
      let items = try topItems(Int(opcode) - 0x84).map { $0 }
      stack.removeLast(items.count)
      try push(.tuple(items))
    case UInt8(ascii: "t"): try push(.tuple(try popMark()))
    case UInt8(ascii: "]"): try push(.list([]))
    case UInt8(ascii: "l"): try push(.list(try popMark()))
    case 0x8F: try push(.set([]))
    case 0x91: try push(.set(try popMark()))
    case UInt8(ascii: "}"): try push(.dictionary([]))
    case UInt8(ascii: "d"): try push(.dictionary(try pairs(of: try popMark())))
    case UInt8(ascii: "a"): try append([try pop()])
    case UInt8(ascii: "e"), 0x90: try append(try popMark())
    case UInt8(ascii: "s"):
      let items = Array(try topItems(2))
      stack.removeLast(2)
      try set(try pairs(of: items))
    case UInt8(ascii: "u"): try set(try pairs(of: try popMark()))
    case UInt8(ascii: "c"):
      let module = try line()
      try pushGlobal(module, try line())
    case 0x93:
      let name = try pop()
      guard let module = graph.text(try pop()), let name = graph.text(name) else { throw invalidStack() }
      try pushGlobal(module, name)
    case UInt8(ascii: "R"), 0x81:
      let arguments = try pop()
      try push(.object(PickleGraph.Object(callable: try pop(), arguments: arguments)))
    case UInt8(ascii: "b"): try build()
    case UInt8(ascii: "Q"): try push(.persistent(try pop()))
    case UInt8(ascii: "p"): try remember(at: try spelledSlot())
    case UInt8(ascii: "q"): try remember(at: Int(try number(1)))
    case UInt8(ascii: "r"): try remember(at: Int(try number(4)))
    case 0x94: try remember(at: memo.count)
    case UInt8(ascii: "g"): try recall(try spelledSlot())
    case UInt8(ascii: "h"): try recall(Int(try number(1)))
    case UInt8(ascii: "j"): try recall(Int(try number(4)))
    default:
      if let name = Self.refused[opcode] { throw .refusedOpcode(path: path, name: name, offset: opcodeOffset) }
      throw .unknownOpcode(path: path, opcode: opcode, offset: opcodeOffset)
    }
    return true
  }

  /// Opcodes that no checkpoint needs: old ways to make an instance, a registry of classes, buffers outside the stream.
  private static let refused: [UInt8: String] = [
    UInt8(ascii: "i"): "INST", UInt8(ascii: "o"): "OBJ", UInt8(ascii: "P"): "PERSID", UInt8(ascii: "S"): "STRING",
    UInt8(ascii: "V"): "UNICODE", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x92: "NEWOBJ_EX", 0x97: "NEXT_BUFFER",
    0x98: "READONLY_BUFFER",
  ]
}

// MARK: the stack

extension PickleMachine {
  private mutating func push(_ node: PickleGraph.Node) throws(PickleError) {
    guard graph.nodes.count < limits.pickleNodeCount else {
      throw .limitExceeded(path: path, item: "values", limit: limits.pickleNodeCount, offset: opcodeOffset)
    }
    stack.append(graph.nodes.count)
    graph.nodes.append(node)
  }

  private mutating func pop() throws(PickleError) -> Int {
    guard stack.count > (marks.last ?? 0), let top = stack.popLast() else { throw invalidStack() }
    return top
  }

  private func topItems(_ count: Int) throws(PickleError) -> ArraySlice<Int> {
    guard stack.count - (marks.last ?? 0) >= count else { throw invalidStack() }
    return stack.suffix(count)
  }

  /// What was pushed since the last mark.
  private mutating func popMark() throws(PickleError) -> [Int] {
    guard let mark = marks.popLast() else { throw invalidStack() }
    // Not Array(…), which keeps the stack's whole buffer where the slice is all of it.
    let items = stack[mark...].map { $0 }
    stack.removeLast(stack.count - mark)
    return items
  }

  private func pairs(of items: [Int]) throws(PickleError) -> [(key: Int, value: Int)] {
    guard items.count % 2 == 0 else { throw invalidStack() }
    return stride(from: 0, to: items.count, by: 2).map { (items[$0], items[$0 + 1]) }
  }

  /// Changes the node on top in place: it is taken out meanwhile, so that its arrays are not copied.
  private mutating func change(
    _ body: (inout PickleGraph.Node) -> Bool
  ) throws(PickleError) {
    guard stack.count > (marks.last ?? 0), let top = stack.last else { throw invalidStack() }
    var node = graph.nodes[top]
    graph.nodes[top] = .none
    guard body(&node) else { throw invalidStack() }
    graph.nodes[top] = node
  }

  private mutating func append(_ items: [Int]) throws(PickleError) {
    try change { node in
      switch node {
      case .list(var elements):
        node = .none
        elements += items
        node = .list(elements)
      case .set(var elements):
        node = .none
        elements += items
        node = .set(elements)
      case .object(var object):
        node = .none
        object.elements += items
        node = .object(object)
      default: return false
      }
      return true
    }
  }

  private mutating func set(_ pairs: [(key: Int, value: Int)]) throws(PickleError) {
    try change { node in
      switch node {
      case .dictionary(var members):
        node = .none
        members += pairs
        node = .dictionary(members)
      case .object(var object):
        node = .none
        object.pairs += pairs
        node = .object(object)
      default: return false
      }
      return true
    }
  }

  private mutating func build() throws(PickleError) {
    let state = try pop()
    try change { node in
      guard case .object(var object) = node else { return false }
      object.state = state
      node = .object(object)
      return true
    }
  }

  private mutating func remember(at slot: Int) throws(PickleError) {
    guard let top = stack.last else { throw invalidStack() }
    memo[slot] = top
  }

  private mutating func recall(_ slot: Int) throws(PickleError) {
    guard let node = memo[slot] else { throw .missingMemo(path: path, slot: slot, offset: opcodeOffset) }
    stack.append(node)
  }
}

// MARK: literals

extension PickleMachine {
  private var path: FilePath { cursor.file.path }

  private func invalidStack() -> PickleError { .invalidStack(path: path, opcode: opcode, offset: opcodeOffset) }
  private func invalidLiteral() -> PickleError { .invalidLiteral(path: path, opcode: opcode, offset: opcodeOffset) }

  /// An unsigned little-endian number.
  private mutating func number(_ byteCount: Int) throws(PickleError) -> UInt64 {
    guard byteCount <= end - cursor.offset else { throw .truncated(path: path, offset: cursor.offset) }
    do throws(FileError) { return try cursor.readBits(byteCount: byteCount) } catch { throw .file(error) }
  }

  /// A length, proved against the rest of the stream.
  private mutating func count(_ byteCount: Int) throws(PickleError) -> Int {
    let count = try number(byteCount)
    guard count <= end - cursor.offset else { throw .truncated(path: path, offset: cursor.offset) }
    return Int(count)
  }

  private mutating func bytes(_ count: Int) throws(PickleError) -> [UInt8] {
    guard count <= end - cursor.offset else { throw .truncated(path: path, offset: cursor.offset) }
    guard count <= limits.nameByteCount else {
      throw .limitExceeded(
        path: path, item: "bytes of a number or name", limit: limits.nameByteCount, offset: cursor.offset)
    }
    do throws(FileError) { return try cursor.readBytes(count) } catch { throw .file(error) }
  }

  private mutating func line() throws(PickleError) -> ByteString {
    var result: [UInt8] = []
    while true {
      let byte = UInt8(truncatingIfNeeded: try number(1))
      if byte == UInt8(ascii: "\n") { return ByteString(bytes: result) }
      guard result.count < limits.nameByteCount else {
        throw .limitExceeded(path: path, item: "bytes of a name", limit: limits.nameByteCount, offset: opcodeOffset)
      }
      result.append(byte)
    }
  }

  private mutating func spelledSlot() throws(PickleError) -> Int {
    guard let slot = Int(try line().text), slot >= 0 else { throw invalidLiteral() }
    return slot
  }

  private mutating func pushSpelledInteger() throws(PickleError) {
    var text = try line().text
    if opcode == UInt8(ascii: "I"), text == "00" || text == "01" { return try push(.bool(text == "01")) }
    if opcode == UInt8(ascii: "L"), text.hasSuffix("L") { text.removeLast() }
    guard let value = Int(text) else { throw invalidLiteral() }
    try push(.integer(value))
  }

  /// Two's complement, least significant byte first; no bytes are 0.
  private mutating func pushInteger(_ bytes: [UInt8]) throws(PickleError) {
    guard bytes.count <= 8 else { return try push(.bigInteger(bytes)) }
    var value: Int = bytes.last.map { $0 >= 0x80 ? -1 : 0 } ?? 0
    for byte in bytes.reversed() { value = value << 8 | Int(byte) }
    try push(.integer(value))
  }

  private mutating func pushString(count: Int, isText: Bool) throws(PickleError) {
    let start = cursor.offset
    guard count > Self.longestHeldString else {
      let value = ByteString(bytes: try bytes(count))
      return try push(isText ? .text(value) : .bytes(value))
    }
    do throws(FileError) { try cursor.skip(count) } catch { throw .file(error) }
    try push(.storedBytes(offset: start, count: count))
  }

  private mutating func pushGlobal(_ module: ByteString, _ name: ByteString) throws(PickleError) {
    guard allows(module, name) else {
      throw .refusedGlobal(path: path, name: "\(module).\(name)", offset: opcodeOffset)
    }
    try push(.global(module: module, name: name))
  }
}
