//  fixed array       "FAHD" │ version, client, entry's size, page bits: u8 │ entries: length │ block: address
//                    "FADB" │ version, client: u8 │ header: address │ [pages in use: bits │ sum] │ entries │ sum
//  extensible array  "EAHD" │ version, client, entry's size, index bits, entries in the index block, entries of the first
//                    data block, pointers of the first super block, page bits: u8 │ six counts: length │ block: address
//                    "EAIB" │ version, client: u8 │ header: address │ entries │ data blocks │ super blocks: addresses
//                    "EASB" │ … │ place │ [pages in use: bits] │ data blocks: addresses
//                    "EADB" │ … │ place │ entries, in pages with a sum each where they are many
//  entry             address [stored bytes │ skipped filters: u32]

import Bytes
import IR

/// Chunks as the newer indices list them: by their number, rows of chunks one after the other.
struct HDF5ChunkIndex {
  let reader: HDF5Reader
  let name: ByteString
  let isFiltered: Bool
  let chunkByteCount: Int
  /// What a number may be at most, and how many numbers may be looked at.
  let count: Int
  /// Entries that may still be looked at: each takes its bytes in the file, so that the file's size ends all cycles.
  private var budget: Int

  init(_ reader: HDF5Reader, name: ByteString, isFiltered: Bool, chunkByteCount: Int, count: Int) {
    self.reader = reader
    self.name = name
    self.isFiltered = isFiltered
    self.chunkByteCount = chunkByteCount
    self.count = count
    budget = reader.file.byteCount / reader.offsetSize
  }

  /// Called with the number, the address, the stored bytes and the filters that were skipped.
  typealias Found = (Int, Int, Int, UInt32) throws(ContainerError) -> Void

  private func fault(_ reason: String, at offset: Int) -> ContainerError {
    reader.fault(reason, at: offset, name: name)
  }

  private mutating func entries(
    at offset: Int, count: Int, from number: Int, size: Int, _ found: Found
  ) throws(ContainerError) {
    try spend(count, at: offset)
    let bytes = try reader.bytes(at: offset, count: count * size)
    for index in 0..<count where number + index < self.count {
      let start = index * size
      guard !bytes[start..<start + reader.offsetSize].allSatisfy({ $0 == 0xFF }) else { continue }
      let address = try reader.address(at: offset + start)
      guard isFiltered else {
        try found(number + index, address, chunkByteCount, 0)
        continue
      }
      let sizeWidth = size - reader.offsetSize - 4
      let stored = bytes[(start + reader.offsetSize)..<start + reader.offsetSize + sizeWidth].reversed()
        .reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      try found(number + index, address, Int(clamping: stored), bytes.integer(at: start + size - 4))
    }
  }

  private mutating func spend(_ count: Int, at offset: Int) throws(ContainerError) {
    guard count <= budget else { throw fault("an index that contains itself", at: offset) }
    budget -= count
  }

  private func checkEntry(_ size: Int, client: Int, at offset: Int) throws(ContainerError) {
    let fits = isFiltered ? (5...12).contains(size - reader.offsetSize) : size == reader.offsetSize
    guard client == (isFiltered ? 1 : 0), fits else { throw fault("an index of another kind", at: offset) }
  }

  mutating func fixedArray(at offset: Int, _ found: Found) throws(ContainerError) {
    try reader.expect("FAHD", at: offset)
    let client = try reader.number(at: offset + 5, count: 1)
    let size = try reader.number(at: offset + 6, count: 1)
    let pageBits = try reader.number(at: offset + 7, count: 1)
    let total = try reader.number(at: offset + 8, count: reader.lengthSize)
    try checkEntry(size, client: client, at: offset)
    guard pageBits <= 24, total <= reader.file.byteCount / size else { throw fault("\(total) chunks", at: offset) }
    guard try !reader.isUndefined(at: offset + 8 + reader.lengthSize) else { return }
    let block = try reader.address(at: offset + 8 + reader.lengthSize)
    try reader.expect("FADB", at: block)
    let start = block + 6 + reader.offsetSize
    let page = 1 << pageBits
    guard total > page else {
      return try entries(at: start, count: min(total, count), from: 0, size: size, found)
    }
    let pageCount = (total + page - 1) / page
    let bits = try reader.bytes(at: start, count: (pageCount + 7) / 8)
    try pages(bits, at: start + bits.count + 4, total: total, page: page, from: 0, size: size, found)
  }

  /// Pages of entries, of which only those are written whose bit is set.
  private mutating func pages(
    _ bits: [UInt8], at offset: Int, total: Int, page: Int, from number: Int, size: Int, _ found: Found
  ) throws(ContainerError) {
    var first = 0
    while first < total, number + first < count {
      let index = first / page
      try spend(1, at: offset)
      if bits[index / 8] & 0x80 >> UInt8(index % 8) != 0 {
        try entries(
          at: offset + index * (page * size + 4), count: min(page, total - first), from: number + first, size: size,
          found)
      }
      first += page
    }
  }

  mutating func extensibleArray(at offset: Int, _ found: Found) throws(ContainerError) {
    try reader.expect("EAHD", at: offset)
    let head = try reader.bytes(at: offset + 5, count: 7).map(Int.init)
    let (size, bits, inIndex, firstBlock, pointers, pageBits) = (head[1], head[2], head[3], head[4], head[5], head[6])
    try checkEntry(size, client: head[0], at: offset)
    guard bits <= 62, firstBlock > 0, firstBlock & (firstBlock - 1) == 0, pointers > 0, pointers & (pointers - 1) == 0,
      pageBits <= 24, bits >= firstBlock.trailingZeroBitCount
    else { throw fault("an index of impossible blocks", at: offset) }
    let rootAt = offset + 12 + 6 * reader.lengthSize
    guard try !reader.isUndefined(at: rootAt) else { return }
    let root = try reader.address(at: rootAt)
    try reader.expect("EAIB", at: root)
    var at = root + 6 + reader.offsetSize
    try entries(at: at, count: inIndex, from: 0, size: size, found)
    at += inIndex * size
    var number = inIndex
    // Super block u has 2^(u/2) data blocks of 2^((u+1)/2) times the first's entries; those of the first are listed here.
    let direct = 2 * pointers.trailingZeroBitCount
    for level in 0...bits - firstBlock.trailingZeroBitCount where number < count {
      let blockCount = 1 << (level / 2)
      let blockEntries = firstBlock << ((level + 1) / 2)
      let block = DataBlock(
        entryCount: blockEntries, page: 1 << pageBits, placeWidth: (bits + 7) / 8, size: size)
      var list = at
      var pageBits: [UInt8] = []
      if level >= direct {
        let isThere = try !reader.isUndefined(at: at)
        let superBlock = isThere ? try reader.address(at: at) : 0
        at += reader.offsetSize
        guard isThere else {
          number += blockCount * blockEntries
          continue
        }
        try reader.expect("EASB", at: superBlock)
        list = superBlock + 6 + reader.offsetSize + block.placeWidth
        if block.isPaged {
          guard blockCount <= 1 << 24, block.pageBitsByteCount <= 1 << 24 else {
            throw fault("an index of impossible blocks", at: superBlock)
          }
          pageBits = try reader.bytes(at: list, count: blockCount * block.pageBitsByteCount)
          list += pageBits.count
        }
      } else {
        at += blockCount * reader.offsetSize
      }
      for index in 0..<blockCount {
        guard number < count else { return }
        try spend(1, at: list)
        if try !reader.isUndefined(at: list + index * reader.offsetSize) {
          let bits = pageBits.dropFirst(index * block.pageBitsByteCount).prefix(block.pageBitsByteCount)
          try dataBlock(
            block, at: try reader.address(at: list + index * reader.offsetSize), bits: Array(bits), from: number, found)
        }
        number += blockEntries
      }
    }
  }

  private struct DataBlock {
    let entryCount: Int
    let page: Int
    let placeWidth: Int
    let size: Int

    var isPaged: Bool { entryCount > page }
    var pageBitsByteCount: Int { isPaged ? (entryCount / page + 7) / 8 : 0 }
  }

  private mutating func dataBlock(
    _ block: DataBlock, at address: Int, bits: [UInt8], from number: Int, _ found: Found
  ) throws(ContainerError) {
    try reader.expect("EADB", at: address)
    let start = address + 6 + reader.offsetSize + block.placeWidth
    guard block.isPaged else {
      return try entries(
        at: start, count: min(block.entryCount, count - number), from: number, size: block.size, found)
    }
    guard !bits.isEmpty else { throw fault("an index of impossible blocks", at: address) }
    try pages(
      bits, at: start + 4, total: block.entryCount, page: block.page, from: number, size: block.size, found)
  }
}
