internal import Bytes
internal import Catalog
public import IR

/// A program that would run the model: which law its memory follows, and with what settings (Formats/Profiles).
public struct RuntimeProfile: Hashable, Sendable {
  /// The laws there are code for.
  public enum Law: String, Sendable {
    case quern
    case llamaCpp = "llama.cpp"
    case transformers
    case vllm
  }

  public let name: String
  /// One sentence for people.
  public let summary: String
  public let law: Law
  /// Tokens of a prompt that it computes at a time; nil for all.
  public let microBatch: Int?
  public let usesFlashAttention: Bool
  /// Types that its KV cache can have.
  public let cacheFormats: [BlockFormat]
  /// Packed weights that it computes with, by name; `gguf` for every block type of GGUF.
  let packedWeights: [String]
  /// Libraries whose packed folders it loads and computes with; nil where it loads no such folder.
  private let packedLibraries: [String]?
  /// Those of them whose matrices it expands to FP16, one at a time, to multiply with.
  private let expandedLibraries: [String]
  /// Logits are made for one token of a sequence, however many are computed at a time.
  public let makesLogitsPerSequence: Bool
  /// Where logits are made for every token of the prompt: bytes of all copies, per token and vocabulary entry.
  public let logitsBytesPerPromptToken: Int?
  /// Quantized matrices are expanded to FP16, one at a time.
  public let expandsQuantizedWeights: Bool
  /// The part of the device's memory that it may take, 0 to 1.
  public let utilization: Double
  /// Layers with a sliding window keep no more than that.
  public let keepsWindowsOnly: Bool
  /// Latent attention keeps every head's keys and values, not what they are computed from.
  public let expandsLatentCache: Bool
  /// Each step makes a new cache beside the old one.
  public let copiesCache: Bool
  /// Of the process before it loads anything.
  public let programBytes: Int
  /// Of the tokenizer's tables, per entry of the vocabulary.
  public let tokenizerBytesPerToken: Int
  /// Of the driver's context and libraries on a device.
  public let deviceContextBytes: Int
  /// What it makes of a processor, and of a device behind a driver.
  let host: Efficiency
  let device: Efficiency

  /// How close a program comes to what the hardware can do.
  struct Efficiency: Hashable, Sendable {
    /// Of the memory's peak rate, while weights and cache are read.
    let bandwidth: Double
    /// Of the peak of arithmetic, in a prompt.
    let compute: Double
    /// What each layer costs whatever its size: launches and barriers.
    let secondsPerLayer: Double

    init?(_ json: JSONObject?) {
      guard let bandwidth = json?["bandwidth"]?.double, let compute = json?["compute"]?.double,
        let microseconds = json?["layerMicroseconds"]?.double
      else { return nil }
      self.bandwidth = bandwidth
      self.compute = compute
      secondsPerLayer = microseconds / 1e6
    }
  }

  /// Whether it loads folders of GPU libraries.
  public var readsPackedFolders: Bool { packedLibraries != nil }

  /// Whether it computes with a library's matrices as they are.
  func keeps(_ packed: PackedEncoding) -> Bool { packedLibraries?.contains(packed.library) == true }

  /// Whether a library's matrices are expanded to FP16, one at a time, to multiply with.
  func expands(_ packed: PackedEncoding) -> Bool { expandedLibraries.contains(packed.library) }

  /// The profiles under Formats/, in the order of the table.
  public static func all() throws(FootprintError) -> [RuntimeProfile] {
    var profiles: [RuntimeProfile] = []
    for file in FormatFiles.all(in: "Profiles/") {
      profiles.append(try RuntimeProfile(parsing: file.bytes, file: file.path))
    }
    return profiles
  }

  /// - Throws: `unsupported` with the names there are.
  public static func named(_ name: String) throws(FootprintError) -> RuntimeProfile {
    let profiles = try all()
    guard let match = profiles.first(where: { $0.name == name }) else {
      throw .unsupported(what: "a runtime called '\(name)'", known: profiles.map(\.name))
    }
    return match
  }

  private init(parsing bytes: [UInt8], file: String) throws(FootprintError) {
    guard let json = try? JSONValue.parse(bytes).object, let name = json["name"]?.string?.text,
      let summary = json["describes"]?.string?.text, let law = json["law"]?.string.flatMap({ Law(rawValue: $0.text) })
    else { throw .invalidData(file: "Formats/\(file)", found: "no name, description or law") }
    guard let host = Efficiency(json["host"]?.object), let device = Efficiency(json["device"]?.object) else {
      throw .invalidData(file: "Formats/\(file)", found: "no efficiency of host and device")
    }
    packedWeights = json["packedWeights"]?.array?.compactMap { $0.string?.text } ?? []
    expandedLibraries = json["expandedLibraries"]?.array?.compactMap { $0.string?.text } ?? []
    packedLibraries = json["packedLibraries"]?.array?.compactMap { $0.string?.text }
    let cacheTypes = json["cacheTypes"]?.array ?? []
    cacheFormats = cacheTypes.compactMap { $0.string.flatMap { BlockFormat.named($0.text) } }
    guard !cacheFormats.isEmpty, cacheFormats.count == cacheTypes.count else {
      throw .invalidData(file: "Formats/\(file)", found: "cacheTypes that are not known")
    }
    self.host = host
    self.device = device
    self.name = name
    self.summary = summary
    self.law = law
    microBatch = json["microBatch"]?.int
    usesFlashAttention = json["flashAttention"]?.bool ?? false
    makesLogitsPerSequence = json["logitsPerSequence"]?.bool ?? false
    logitsBytesPerPromptToken = json["logitsBytesPerPromptToken"]?.int
    expandsQuantizedWeights = json["expandsQuantizedWeights"]?.bool ?? false
    keepsWindowsOnly = json["keepsWindowsOnly"]?.bool ?? false
    expandsLatentCache = json["expandsLatentCache"]?.bool ?? false
    copiesCache = json["copiesCache"]?.bool ?? false
    deviceContextBytes = json["deviceContextBytes"]?.int ?? 0
    programBytes = json["programBytes"]?.int ?? 0
    tokenizerBytesPerToken = json["tokenizerBytesPerToken"]?.int ?? 0
    utilization = json["utilization"]?.double ?? 1
  }
}
