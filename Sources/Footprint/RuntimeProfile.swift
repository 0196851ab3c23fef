internal import Bytes
internal import Catalog

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
  /// Logits are made for every token of the prompt.
  public let hasFullLogits: Bool
  /// The part of the device's memory that it may take, 0 to 1.
  public let utilization: Double
  /// Of the process before it loads anything.
  public let programBytes: Int

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
    self.name = name
    self.summary = summary
    self.law = law
    microBatch = json["microBatch"]?.int
    usesFlashAttention = json["flashAttention"]?.bool ?? false
    hasFullLogits = json["fullLogits"]?.bool ?? false
    programBytes = json["programBytes"]?.int ?? 0
    utilization = json["utilization"]?.double ?? 1
  }
}
