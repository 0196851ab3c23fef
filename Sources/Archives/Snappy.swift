//  length: varint │ elements: tag: u8, its lowest two bits the kind
//    0  length − 1 in six bits, 60–63: in the following 1–4 bytes; then the bytes themselves
//    1  length − 4 in three bits, distance in three bits and a byte
//    2  length − 1 in six bits, distance in two bytes       3  … in four bytes
//
//  github.com/google/snappy/blob/main/format_description.txt

/// Snappy, expanded in memory up to a limit that the caller knows.
public enum Snappy {
  /// What is wrong, and at which byte of the input.
  public struct Fault: Error, Hashable, Sendable {
    public let reason: String
    public let offset: Int
  }

  public static func expand(_ input: [UInt8], limit: Int) throws(Fault) -> [UInt8] {
    var place = 0
    func number(_ count: Int) throws(Fault) -> Int {
      guard count <= input.count - place else { throw Fault(reason: "it is cut off", offset: place) }
      var value = 0
      for index in 0..<count { value |= Int(input[place + index]) << (8 * index) }
      place += count
      return value
    }
    var length = 0
    var shift = 0
    while true {
      let byte = try number(1)
      guard shift <= 28 else { throw Fault(reason: "its length does not end", offset: place) }
      length |= (byte & 0x7F) << shift
      shift += 7
      if byte & 0x80 == 0 { break }
    }
    // The densest element makes 64 bytes of three.
    guard length <= limit, length / 22 <= input.count else {
      throw Fault(reason: "it expands to \(length) bytes", offset: 0)
    }
    var output: [UInt8] = []
    output.reserveCapacity(length)
    while place < input.count {
      let start = place
      let tag = try number(1)
      if tag & 3 == 0 {
        let count = (tag >> 2 < 60 ? tag >> 2 : try number((tag >> 2) - 59)) + 1
        guard count <= input.count - place, count <= length - output.count else {
          throw Fault(reason: "bytes reach past its end", offset: start)
        }
        output += input[place..<place + count]
        place += count
        continue
      }
      let count = tag & 3 == 1 ? (tag >> 2 & 7) + 4 : (tag >> 2) + 1
      let distance = tag & 3 == 1 ? (tag >> 5) << 8 | (try number(1)) : try number(tag & 3 == 2 ? 2 : 4)
      guard distance > 0, distance <= output.count, count <= length - output.count else {
        throw Fault(reason: "a copy from \(distance) bytes back", offset: start)
      }
      let from = output.count - distance
      for index in from..<from + count { output.append(output[index]) }
    }
    guard output.count == length else {
      throw Fault(reason: "\(output.count) bytes where it says \(length)", offset: place)
    }
    return output
  }
}
