import Bytes
import IR

/// Bytes that are spelled as UTF-8 text of code points below 256. Reads from the beginning for any rows.
struct LatinSource: TensorSource {
  let file: InputFile
  let range: Range<Int>
  let byteCount: Int
  let rowByteCount: Int

  static func decoded(_ text: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    var index = 0
    while index < text.count {
      let byte = text[index]
      if byte < 0x80 {
        result.append(byte)
        index += 1
      } else {
        guard byte == 0xC2 || byte == 0xC3, index + 1 < text.count, text[index + 1] & 0xC0 == 0x80 else { return nil }
        result.append(byte << 6 | text[index + 1] & 0x3F)
        index += 2
      }
    }
    return result
  }

  func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    let wanted = rows.lowerBound * rowByteCount..<rows.upperBound * rowByteCount
    var place = 0
    var offset = range.lowerBound
    var rest: [UInt8] = []
    while place < wanted.upperBound, offset < range.upperBound {
      let chunk = rest + (try file.read(at: offset, count: min(1 << 18, range.upperBound - offset)))
      offset += chunk.count - rest.count
      // A pair that is cut waits for its second half.
      let cut = chunk.last.map { $0 >= 0xC0 } ?? false
      rest = cut ? [chunk[chunk.count - 1]] : []
      guard let part = Self.decoded(Array(chunk.dropLast(cut ? 1 : 0))) else {
        throw .damaged(path: file.path, reason: "elements that are no Latin-1 text", offset: offset)
      }
      let overlap = wanted.clamped(to: place..<place + part.count)
      if !overlap.isEmpty {
        bytes.copy(
          from: part.rawSpan.extracting(overlap.lowerBound - place..<overlap.upperBound - place),
          at: overlap.lowerBound - wanted.lowerBound)
      }
      place += part.count
    }
    guard place >= wanted.upperBound else {
      throw .damaged(path: file.path, reason: "elements end too early", offset: range.lowerBound)
    }
  }
}
