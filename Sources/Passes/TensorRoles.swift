import Bytes
import Catalog
import IR

/// What quantization knows of tensors by their names, for every recipe: `Formats/Quantization/tensors.json`.
struct TensorRoles: Sendable {
  /// A set of names, whole or by a part of them.
  struct Names: Sendable {
    let whole: [ByteString]
    let parts: [ByteString]

    func matches(_ name: ByteString) -> Bool {
      whole.contains(name) || parts.contains { Self.contains($0.bytes, in: name.bytes) }
    }

    private static func contains(_ part: [UInt8], in name: [UInt8]) -> Bool {
      guard let first = part.first, part.count <= name.count else { return part.isEmpty }
      return (0...name.count - part.count).contains { start in
        name[start] == first && name[start..<start + part.count].elementsEqual(part)
      }
    }
  }

  struct Role: Sendable {
    let name: String
    let names: Names
    /// Whether a position counts the role's own tensors rather than the model's layers.
    let countsTensors: Bool
  }

  /// A model that the field knows by its size.
  struct Size: Sendable {
    let name: String
    let families: [String]
    let blockCount: Int
    /// The fewest query heads per key head.
    let sharing: Int
  }

  let roles: [Role]
  /// Matrices that are too small or too delicate: routers, convolutions, positions.
  let kept: Names
  /// What stands in for a type whose blocks do not fill the rows.
  let fallbacks: [BlockFormat: BlockFormat]
  let sizes: [Size]

  init() throws(DescriptorError) {
    let path = "Quantization/tensors.json"
    guard let file = FormatFiles.all(in: path).first, let json = try? JSONValue.parse(file.bytes),
      let root = json.object
    else { throw .invalid(file: path, key: "object") }
    func names(_ json: JSONObject) -> Names {
      Names(
        whole: json["names"]?.array?.compactMap(\.string) ?? [],
        parts: json["contains"]?.array?.compactMap(\.string) ?? [])
    }
    var roles: [Role] = []
    for case .object(let row) in root["roles"]?.array ?? [] {
      guard let name = row["role"]?.string?.text else { throw .invalid(file: path, key: "role") }
      roles.append(Role(name: name, names: names(row), countsTensors: row["counts"]?.string == "tensors"))
    }
    guard !roles.isEmpty, let kept = root["kept"]?.object else { throw .invalid(file: path, key: "kept") }
    var fallbacks: [BlockFormat: BlockFormat] = [:]
    for member in root["fallbacks"]?.object?.members ?? [] {
      guard let from = BlockFormat.named(member.key.text), let to = member.value.string?.text,
        let to = BlockFormat.named(to), to.elementsPerBlock < from.elementsPerBlock
      else { throw .invalid(file: path, key: member.key.text) }
      fallbacks[from] = to
    }
    var sizes: [Size] = []
    for case .object(let row) in root["sizes"]?.array ?? [] {
      guard let name = row["size"]?.string?.text, let families = row["families"]?.array,
        let blockCount = row["blockCount"]?.int
      else { throw .invalid(file: path, key: "sizes") }
      sizes.append(
        Size(
          name: name, families: families.compactMap { $0.string?.text }, blockCount: blockCount,
          sharing: row["sharing"]?.int ?? 0))
    }
    self.roles = roles
    self.kept = names(kept)
    self.fallbacks = fallbacks
    self.sizes = sizes
  }

  /// Whether a matrix may be packed at all.
  func allowsPacking(_ name: ByteString) -> Bool { name.hasSuffix("weight") && !kept.matches(name) }

  func role(of name: ByteString) -> Role? { roles.first { $0.names.matches(name) } }
}
