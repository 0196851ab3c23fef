internal import Bytes
import IR

/// How a checkpoint of the family is told from others: what is read of every descriptor, for the rest of them is long and
/// wanted of one.
struct Recognition: Sendable {
  let family: String
  /// `model_type` values of config.json.
  let modelTypes: [String]
  /// `architectures` values of config.json; the first is written.
  let architectureNames: [String]
  /// `general.architecture`, where llama.cpp knows the family.
  let ggufArchitecture: String?
  /// Keys of config.json that tell families of one `model_type` apart, with their values, `present` or `absent`.
  private let configurationConditions: [(key: String, values: [String])]
  /// Metadata that must hold for a GGUF file of that architecture to be of this family, by key without prefix; several
  /// families share an architecture in llama.cpp (`chatglm`, `bert`).
  private let ggufConditions: [(key: String, values: [String])]

  /// - Parameter root: a descriptor with what it inherits; only the members of `keys` are looked at.
  init(_ root: JSONObject, in file: String) throws(DescriptorError) {
    let reader = DescriptorReader(root, in: file)
    family = try reader.text("family")
    let huggingFace = root["huggingFace"]?.object ?? JSONObject()
    let names = DescriptorReader(huggingFace, in: file)
    modelTypes = try names.texts("model_type") ?? []
    architectureNames = try names.texts("architectures") ?? []
    ggufArchitecture = root["gguf"]?["architecture"]?.string?.text
    configurationConditions = Self.conditions(huggingFace["when"])
    ggufConditions = Self.conditions(root["gguf"]?["when"])
  }

  private static let keys: Set<ByteString> = ["family", "inherits", "huggingFace", "gguf"]

  /// The members that recognition needs, without what the object inherits. Of the others nothing is made.
  static func head(of bytes: [UInt8], file: String) throws(DescriptorError) -> JSONObject {
    var result = JSONObject()
    for member in members(of: bytes) {
      let text = [UInt8(ascii: "{")] + bytes[member] + [UInt8(ascii: "}")]
      guard keys.contains(where: { text.dropFirst(2).starts(with: $0.bytes) }) else { continue }
      let object = try ArchitectureDescriptor.object(text, file: file)
      for (key, value) in object.members { result[key] = value }
    }
    return result
  }

  /// Where the members of a JSON object stand, each from its key to the end of its value.
  private static func members(of bytes: [UInt8]) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var start = 0
    var depth = 0
    var isString = false
    var isEscaped = false
    for (at, byte) in bytes.enumerated() {
      if isString {
        isString = isEscaped || byte != UInt8(ascii: "\"")
        isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
        continue
      }
      switch byte {
      case UInt8(ascii: "\""):
        isString = true
        if depth == 1, start == 0 { start = at }
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      default: break
      }
      if depth == 1 && byte == UInt8(ascii: ",") || depth == 0, start > 0 {
        result.append(start..<at)
        start = 0
      }
    }
    return result
  }

  private static func conditions(_ json: JSONValue?) -> [(key: String, values: [String])] {
    (json?.object?.members ?? []).map { member in
      (member.key.text, member.value.array?.map(\.plainText) ?? [member.value.plainText])
    }
  }

  /// Whether a config.json of the family's type meets its conditions.
  func fits(_ configuration: JSONObject) -> Bool {
    configurationConditions.allSatisfy { condition in
      guard let value = configuration.value(atPath: condition.key), !value.isNull else {
        return condition.values.contains("absent")
      }
      return condition.values.contains("present") || condition.values.contains(value.plainText)
    }
  }

  /// Whether a GGUF file's metadata meets the family's conditions.
  func fits(_ metadata: Metadata) -> Bool {
    ggufConditions.allSatisfy { condition in
      let key = "\(ggufArchitecture ?? "").\(condition.key)"
      guard let value = metadata[ByteString(key)] ?? metadata[ByteString(condition.key)] else {
        return condition.values.contains("absent")
      }
      let text = value.string?.text ?? value.int.map(String.init) ?? value.bool.map(String.init) ?? "other"
      return condition.values.contains("present") || condition.values.contains(text)
    }
  }
}

extension ArchitectureDescriptor {
  public var family: String { recognition.family }
  /// `model_type` values of config.json.
  public var modelTypes: [String] { recognition.modelTypes }
  /// `architectures` values of config.json; the first is written.
  public var architectureNames: [String] { recognition.architectureNames }
  /// `general.architecture`, where llama.cpp knows the family.
  public var ggufArchitecture: String? { recognition.ggufArchitecture }
}
