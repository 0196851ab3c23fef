//  "FRHP" │ version: u8 │ id's length, filters' length: u16 │ flags: u8 │ largest object: u32 │ … │ table width: u16
//         │ first block, largest direct block: length │ heap's bits: u16 │ … │ root block: address │ its rows: u16
//  "FHDB" │ version: u8 │ heap: address │ place in the heap │ [sum: u32] │ objects
//  "FHIB" │ version: u8 │ heap: address │ place in the heap │ children: addresses
//  id of an object: kind << 4 │ place in the heap │ length

import Bytes
import IR

/// A fractal heap: the links of a large group. Blocks double in size, row by row of a table.
struct HDF5FractalHeap {
  private let reader: HDF5Reader
  private let offset: Int
  private let placeWidth: Int
  private let lengthWidth: Int
  private let tableWidth: Int
  private let firstBlock: Int
  private let largestDirect: Int
  private let root: Int
  private let rootRows: Int

  init(_ reader: HDF5Reader, at offset: Int) throws(ContainerError) {
    self.reader = reader
    self.offset = offset
    let (address, length) = (reader.offsetSize, reader.lengthSize)
    try reader.expect("FRHP", at: offset)
    let filters = try reader.number(at: offset + 7, count: 2)
    let largestObject = try reader.number(at: offset + 10, count: 4)
    guard filters == 0 else {
      throw .unsupported(.init(reader.file.path, "HDF5", offset: offset), reason: "a compressed heap of links")
    }
    // Behind it: four numbers about large objects and free space, then eight of statistics.
    var at = offset + 14 + 2 * address + 10 * length
    tableWidth = try reader.number(at: at, count: 2)
    firstBlock = try reader.number(at: at + 2, count: length)
    largestDirect = try reader.number(at: at + 2 + length, count: length)
    let bits = try reader.number(at: at + 2 + 2 * length, count: 2)
    at += 6 + 2 * length
    guard (1...1 << 12).contains(tableWidth), (1...1 << 30).contains(firstBlock), (8...62).contains(bits),
      (firstBlock...1 << 32).contains(largestDirect), firstBlock & (firstBlock - 1) == 0,
      largestDirect & (largestDirect - 1) == 0, tableWidth & (tableWidth - 1) == 0
    else { throw reader.fault("a heap of impossible blocks", at: offset) }
    placeWidth = (bits + 7) / 8
    lengthWidth = min(Self.width(largestDirect), Self.width(largestObject))
    root = try reader.address(at: at)
    rootRows = try reader.number(at: at + address, count: 2)
  }

  private static func width(_ most: Int) -> Int { (Int.bitWidth - max(1, most).leadingZeroBitCount - 1) / 8 + 1 }

  /// Where in the file the object lies, and its length.
  func place(of id: ArraySlice<UInt8>) throws(ContainerError) -> (offset: Int, byteCount: Int) {
    let id = Array(id)
    guard let head = id.first, head >> 4 & 3 == 0, id.count >= 1 + placeWidth + lengthWidth else {
      throw .unsupported(
        .init(reader.file.path, "HDF5", offset: offset), reason: "an object apart from its heap's blocks")
    }
    let place = id[1..<1 + placeWidth].reversed().reduce(0) { $0 << 8 | Int($1) }
    let count = id[(1 + placeWidth)..<1 + placeWidth + lengthWidth].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard place >= 0 else { throw reader.fault("an object outside its heap", at: offset) }
    if rootRows == 0 {
      guard place < firstBlock, count <= firstBlock - place else {
        throw reader.fault("an object outside its heap", at: offset)
      }
      try reader.expect("FHDB", at: root)
      return (root + place, count)
    }
    return (try find(place, in: root, rows: rootRows, depth: 0), count)
  }

  private func find(_ place: Int, in block: Int, rows: Int, depth: Int) throws(ContainerError) -> Int {
    try reader.expect("FHIB", at: block)
    guard depth < 16, rows <= 64 else { throw reader.fault("blocks inside each other too deep", at: block) }
    var rowStart = 0
    for row in 0..<rows {
      let shift = max(0, row - 1)
      guard shift + firstBlock.trailingZeroBitCount + tableWidth.trailingZeroBitCount < 60 else { break }
      let size = firstBlock << shift
      if place < rowStart + size * tableWidth {
        let child = row * tableWidth + (place - rowStart) / size
        let inside = (place - rowStart) % size
        let address = try reader.address(at: block + 5 + reader.offsetSize + placeWidth + child * reader.offsetSize)
        if size <= largestDirect {
          try reader.expect("FHDB", at: address)
          return address + inside
        }
        let rowsBelow = size.trailingZeroBitCount - (firstBlock * tableWidth).trailingZeroBitCount + 1
        guard rowsBelow > 0 else { throw reader.fault("a heap of impossible blocks", at: block) }
        return try find(inside, in: address, rows: rowsBelow, depth: depth + 1)
      }
      rowStart += size * tableWidth
    }
    throw reader.fault("an object outside its heap", at: block)
  }
}
