internal import Catalog

/// Something to run a model on: how much memory, how fast it is read, how fast it computes (Formats/Devices).
public struct Device: Hashable, Sendable {
  public enum Confidence: String, Sendable {
    /// High: the vendor's figure, or computed; medium; low: estimates and sources that disagree.
    case high = "H"
    case medium = "M"
    case low = "L"
  }

  public let name: String
  public let vendor: String
  /// The file it is from: `consumer`, `datacenter`, `apple`, `host`.
  public let kind: String
  /// As sold; nil where it is the user's choice (hosts).
  public let memoryBytes: Int?
  /// What programs can have of it; the user says it of a host.
  public var usableBytes: Int?
  public let bandwidthBytesPerSecond: Double?
  /// Dense, without sparsity.
  public let float16OperationsPerSecond: Double?
  public let int8OperationsPerSecond: Double?
  public let float32OperationsPerSecond: Double?
  public let confidence: Confidence
  public let source: String
  public let note: String

  /// A budget without a name (`--vram 6GB`), or this machine as its owner measured it.
  public init(
    name: String, kind: String = "host", usableBytes: Int, bandwidthBytesPerSecond: Double? = nil,
    float16OperationsPerSecond: Double? = nil
  ) {
    self.name = name
    vendor = ""
    self.kind = kind
    memoryBytes = usableBytes
    self.usableBytes = usableBytes
    self.bandwidthBytesPerSecond = bandwidthBytesPerSecond
    self.float16OperationsPerSecond = float16OperationsPerSecond
    int8OperationsPerSecond = nil
    float32OperationsPerSecond = nil
    confidence = .high
    source = "as given"
    note = ""
  }

  /// Memory as sold is in GiB for everything that is soldered to a chip; bandwidth in GB/s.
  init(_ row: [String: String], kind: String, file: String) throws(FootprintError) {
    func text(_ column: String) throws(FootprintError) -> String {
      guard let value = row[column] else { throw .invalidData(file: file, found: "no column \(column)") }
      return value
    }
    func number(_ column: String) throws(FootprintError) -> Double? {
      let value = try text(column)
      if value.isEmpty { return nil }
      guard let number = Double(value), number > 0, number < 1e9 else {
        throw .invalidData(file: file, found: "\(column) = \(value)")
      }
      return number
    }
    name = try text("name")
    vendor = try text("vendor")
    self.kind = kind
    memoryBytes = try number("memory_GiB").map { Int($0 * 1_073_741_824) }
    usableBytes = try number("usable_GiB").map { Int($0 * 1_073_741_824) } ?? memoryBytes
    bandwidthBytesPerSecond = try number("bandwidth_GBps").map { $0 * 1e9 }
    float16OperationsPerSecond = try number("float16_TFLOPS").map { $0 * 1e12 }
    int8OperationsPerSecond = try number("int8_TOPS").map { $0 * 1e12 }
    float32OperationsPerSecond = try number("float32_TFLOPS").map { $0 * 1e12 }
    guard let confidence = Confidence(rawValue: try text("confidence")) else {
      throw .invalidData(file: file, found: "confidence of \(name)")
    }
    self.confidence = confidence
    source = try text("source")
    note = try text("note")
  }

  /// Whether the model runs on a processor's own memory, not behind a driver.
  public var isHost: Bool { kind == "host" }

  /// Whether processor and device share one memory (Apple).
  public var isUnified: Bool { isHost || kind == "apple" }
}
