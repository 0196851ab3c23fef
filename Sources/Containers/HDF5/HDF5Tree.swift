//  "BTHD" │ version, kind: u8 │ node size: u32 │ record size, depth: u16 │ split, merge: u8 │ root: address
//         │ records in root: u16 │ all records: length │ sum: u32
//  "BTIN" │ version, kind: u8 │ records │ children: address, its records, records below it (in few bytes) │ sum: u32
//  "BTLF" │ version, kind: u8 │ records │ sum: u32

import Bytes
import IR

/// A B-tree of the second version: all its records, in order.
struct HDF5Tree {
  private let reader: HDF5Reader
  private let limit: Int
  let kind: Int
  private let nodeByteCount: Int
  private let recordByteCount: Int
  /// Bytes of a child's number of records, by the depth of its parent.
  private var countWidth = 1
  private var totalWidths = [0]
  private(set) var records: [[UInt8]] = []

  /// - Parameter limit: records that may be there.
  init(_ reader: HDF5Reader, at offset: Int, kinds: ClosedRange<Int>, limit: Int) throws(ContainerError) {
    self.reader = reader
    // A record takes its bytes in the file, so that its size ends all cycles.
    self.limit = limit
    try reader.expect("BTHD", at: offset)
    kind = try reader.number(at: offset + 5, count: 1)
    nodeByteCount = try reader.number(at: offset + 6, count: 4)
    recordByteCount = try reader.number(at: offset + 10, count: 2)
    let depth = try reader.number(at: offset + 12, count: 2)
    guard kinds.contains(kind), recordByteCount > 0, depth <= 16, nodeByteCount <= 1 << 24,
      nodeByteCount >= 10 + recordByteCount
    else { throw reader.fault("a B-tree of kind \(kind)", at: offset) }
    try measure(depth: depth, at: offset)
    guard try !reader.isUndefined(at: offset + 16) else { return }
    let root = try reader.address(at: offset + 16)
    let count = try reader.number(at: offset + 16 + reader.offsetSize, count: 2)
    try visit(root, count: count, depth: depth)
  }

  /// How wide the numbers beside a child's address are follows from how many records fit a node.
  private mutating func measure(depth: Int, at offset: Int) throws(ContainerError) {
    var most = (nodeByteCount - 10) / recordByteCount
    countWidth = Self.width(most)
    var total = most
    for level in 0..<depth {
      let pointer = reader.offsetSize + countWidth + totalWidths[level]
      most = (nodeByteCount - 10 - pointer) / (recordByteCount + pointer)
      let (product, overflow) = (most + 1).multipliedReportingOverflow(by: total)
      guard most > 0, !overflow, product < 1 << 60 else { throw reader.fault("an impossible B-tree", at: offset) }
      total = product + most
      totalWidths.append(Self.width(total))
    }
  }

  /// Bytes that hold numbers up to `most`, as the library counts them.
  private static func width(_ most: Int) -> Int { (Int.bitWidth - max(1, most).leadingZeroBitCount - 1) / 8 + 1 }

  private mutating func visit(_ address: Int, count: Int, depth: Int) throws(ContainerError) {
    try reader.expect(depth == 0 ? "BTLF" : "BTIN", at: address)
    guard count <= limit - records.count, count * recordByteCount <= nodeByteCount else {
      throw reader.fault("a node of \(count) records", at: address)
    }
    let bytes = try reader.bytes(at: address + 6, count: count * recordByteCount)
    let own = (0..<count).map { Array(bytes[$0 * recordByteCount..<($0 + 1) * recordByteCount]) }
    guard depth > 0 else {
      records += own
      return
    }
    let pointer = reader.offsetSize + countWidth + totalWidths[depth - 1]
    for index in 0...count {
      let at = address + 6 + count * recordByteCount + index * pointer
      let below = try reader.number(at: at + reader.offsetSize, count: countWidth)
      // Every node but the root holds at least one record, so that the limit ends any cycle.
      guard below > 0 else { throw reader.fault("a node without records", at: at) }
      try visit(try reader.address(at: at), count: below, depth: depth - 1)
      guard index < count, records.count < limit else { continue }
      records.append(own[index])
    }
  }
}
