//  blocks: last: 1 bit │ kind: 2 bits (0 stored, 1 fixed codes, 2 codes of its own) │ …
//
//  RFC 1951 (DEFLATE); RFC 1950 (zlib) puts two bytes before and a sum of four behind.

public import Bytes

/// DEFLATE and the zlib frame around it, expanded in memory up to a limit that the caller knows.
public enum Inflate {
  /// What is wrong, and at which byte of the input.
  public struct Fault: Error, Hashable, Sendable {
    public let reason: String
    public let offset: Int
  }

  /// Expands a zlib stream and checks its sum. More than `limit` bytes are a fault.
  public static func zlib(_ input: [UInt8], limit: Int) throws(Fault) -> [UInt8] {
    guard input.count >= 6, input[0] & 15 == 8, (Int(input[0]) << 8 | Int(input[1])) % 31 == 0, input[1] & 32 == 0
    else { throw Fault(reason: "no zlib stream", offset: 0) }
    var state = InflateMachine(input, from: 2)
    let output = try expanded(&state, limit: limit)
    let end = state.position
    guard end + 4 <= input.count else { throw Fault(reason: "the stream is cut off", offset: end) }
    let sum = input[end..<end + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    guard sum == adler32(output) else { throw Fault(reason: "its checksum is another", offset: end) }
    return output
  }

  /// Expands bare DEFLATE data, as zip holds it.
  public static func raw(_ input: [UInt8], limit: Int) throws(Fault) -> [UInt8] {
    var state = InflateMachine(input, from: 0)
    return try expanded(&state, limit: limit)
  }

  private static func expanded(_ state: inout InflateMachine, limit: Int) throws(Fault) -> [UInt8] {
    var output: [UInt8] = []
    while !state.isFinished {
      // One byte more than the limit tells that there are more.
      try state.run(into: &output, until: min(output.count + 1 << 17, limit + 1))
      guard output.count <= limit else {
        throw Fault(reason: "it expands to more than \(limit) bytes", offset: state.position)
      }
    }
    return output
  }

  private static func adler32(_ bytes: [UInt8]) -> UInt32 {
    var a: UInt32 = 1
    var b: UInt32 = 0
    var index = 0
    while index < bytes.count {
      // 5552 additions cannot overflow.
      for byte in bytes[index..<min(index + 5552, bytes.count)] {
        a &+= UInt32(byte)
        b &+= a
      }
      a %= 65521
      b %= 65521
      index += 5552
    }
    return b << 16 | a
  }
}

/// Expands DEFLATE data that lies in a file, forwards; keeps up to 32 of its states to go on from, so that going back
/// costs a little of the way only.
public struct InflateDecoder: ForwardDecoder {
  private struct Stop: Sendable {
    var machine: InflateMachine
    /// Of the machine's input, in the file.
    var inputStart: Int
    /// Of the first byte that it has not been given.
    var inputEnd: Int
    var position: Int
    /// What lies at most 32 KiB back.
    var history: [UInt8]
  }

  private static let pieceByteCount = 1 << 18
  private static let historyByteCount = 1 << 15
  private static let stopCount = 32
  private static let firstStopDistance = 1 << 21

  private let file: InputFile
  private let range: Range<Int>
  private var current: Stop
  private var stops: [Stop]
  private var stopDistance = firstStopDistance

  public var position: Int { current.position }

  /// - Parameter range: of the compressed bytes, known to lie in the file.
  public init(_ file: InputFile, range: Range<Int>) {
    self.file = file
    self.range = range
    current = Stop(
      machine: InflateMachine([], from: 0, isWhole: range.isEmpty), inputStart: range.lowerBound,
      inputEnd: range.lowerBound, position: 0, history: [])
    stops = [current]
  }

  public mutating func next() throws(FileError) -> [UInt8] {
    var output = current.history
    let start = output.count
    let wanted = start + Self.pieceByteCount
    while output.count < wanted, !current.machine.isFinished {
      do throws(Inflate.Fault) { try current.machine.run(into: &output, until: wanted) } catch {
        throw .damaged(
          path: file.path, reason: "compressed data: \(error.reason)", offset: current.inputStart + error.offset)
      }
      if current.machine.wantsInput { try feed() }
    }
    let made = output.count - start
    current.position += made
    current.history = Array(output.suffix(Self.historyByteCount))
    if let last = stops.last, current.position >= last.position + stopDistance {
      var stop = current
      stop.inputStart += stop.machine.dropInput()
      stop.inputEnd = stop.inputStart
      stops.append(stop)
      if stops.count > Self.stopCount {
        stops = stops.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        stopDistance *= 2
      }
    }
    return Array(output[start...])
  }

  private mutating func feed() throws(FileError) {
    let more = try file.read(at: current.inputEnd, count: min(1 << 16, range.upperBound - current.inputEnd))
    current.inputEnd += more.count
    current.inputStart += current.machine.feed(more, isLast: current.inputEnd == range.upperBound)
  }

  public mutating func approach(_ offset: Int) {
    guard let nearest = stops.last(where: { $0.position <= offset }) else { return }
    if current.position <= offset, current.position >= nearest.position { return }
    current = nearest
  }

  public mutating func rewind() {
    stops = [stops[0]]
    stopDistance = Self.firstStopDistance
    current = stops[0]
  }
}
