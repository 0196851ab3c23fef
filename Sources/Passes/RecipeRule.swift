import Bytes
import Catalog
import IR

/// One line of a recipe: conditions that must all hold, and the type they give.
struct RecipeRule: Sendable {
  /// Where in the model a tensor must stand.
  enum Layers: Sendable {
    /// The first and last eighth, and every third between: llama.cpp's `use_more_bits`.
    case moreBits
    case first(Int)
    /// The first of so many equal parts, rounded down.
    case firstPart(of: Int)
    /// What is behind all others of so many parts, each of which ends rounded down.
    case lastPart(of: Int)

    init?(_ text: String) {
      if text == "more bits" {
        self = .moreBits
      } else if text.hasPrefix("first 1/"), let parts = Int(text.dropFirst(8)), parts > 0 {
        self = .firstPart(of: parts)
      } else if text.hasPrefix("last 1/"), let parts = Int(text.dropFirst(7)), parts > 0 {
        self = .lastPart(of: parts)
      } else if text.hasPrefix("first "), let count = Int(text.dropFirst(6)) {
        self = .first(count)
      } else {
        return nil
      }
    }

    func holds(_ place: RecipeSubject.Place) -> Bool {
      let eighth = place.count / 8
      return switch self {
      case .moreBits:
        place.index < eighth || place.index >= 7 * place.count / 8 || (place.index - eighth) % 3 == 2
      case .first(let count): place.index < count
      case .firstPart(let parts): place.index < place.count / parts
      case .lastPart(let parts): place.index >= (parts - 1) * place.count / parts
      }
    }
  }

  let format: BlockFormat
  private let role: String?
  private let names: TensorRoles.Names?
  private let layers: Layers?
  private let experts: Int?
  private let expertsFrom: Int?
  private let sharing: Int?
  private let size: String?
  private let isCalibrated: Bool?
  private let isStacked: Bool?
  /// Whether the model's scores are not divided by the length of a head.
  private let isUnscaled: Bool?
  /// Whether rows do not fill blocks of 256.
  private let isRagged: Bool?
  /// The conditions in words.
  let reason: String

  /// - Parameter json: `{"role": "value", "layers": "first 1/8", "experts": 8, "expertsFrom": 4,
  ///   "sharing": 4, "size": "70B", "calibrated": true, "stacked": true, "unscaled": true, "ragged": true,
  ///   "contains": ["attn_"], "type": "Q6_K"}`, everything but the type optional.
  init(_ json: JSONObject, in file: String) throws(DescriptorError) {
    guard let format = json["type"]?.string.flatMap({ BlockFormat.named($0.text) }) else {
      throw .invalid(file: file, key: "type")
    }
    self.format = format
    role = json["role"]?.string?.text
    let parts = json["contains"]?.array?.compactMap(\.string) ?? []
    names = parts.isEmpty ? nil : TensorRoles.Names(whole: [], parts: parts)
    let layersText = json["layers"]?.string?.text
    layers = layersText.flatMap(Layers.init)
    guard (layers == nil) == (layersText == nil) else { throw .invalid(file: file, key: "layers") }
    experts = json["experts"]?.int
    expertsFrom = json["expertsFrom"]?.int
    sharing = json["sharing"]?.int
    size = json["size"]?.string?.text
    isCalibrated = json["calibrated"]?.bool
    isStacked = json["stacked"]?.bool
    isUnscaled = json["unscaled"]?.bool
    isRagged = json["ragged"]?.bool
    let known: Set<ByteString> = [
      "type", "role", "contains", "layers", "experts", "expertsFrom", "sharing", "size", "calibrated", "stacked",
      "unscaled", "ragged",
    ]
    if let unknown = json.keys.first(where: { !known.contains($0) }) { throw .invalid(file: file, key: unknown.text) }

    var words = [role ?? (parts.isEmpty ? "matrix" : parts.map(\.text).joined(separator: " or "))]
    if let layersText { words.append(layersText == "more bits" ? "a layer that gets more bits" : layersText) }
    if let experts { words.append("\(experts) experts") }
    if let expertsFrom { words.append("\(expertsFrom) or more experts") }
    if let sharing { words.append("\(sharing) or more queries a key") }
    if let size { words.append(size) }
    if isStacked == true { words.append("experts") }
    if isUnscaled == true { words.append("scores are not scaled") }
    if isRagged == true { words.append("rows are no multiple of 256") }
    if let isCalibrated { words.append(isCalibrated ? "calibrated" : "not calibrated") }
    reason = words.joined(separator: ", ")
  }

  func applies(to tensor: TensorRef, in subject: RecipeSubject) -> Bool {
    let place = subject[tensor.name]
    if let role, place.role != role { return false }
    if let names, !names.matches(tensor.name) { return false }
    if let layers, !layers.holds(place) { return false }
    if let experts, subject.expertCount != experts { return false }
    if let expertsFrom, subject.expertCount < expertsFrom { return false }
    if let sharing, subject.sharing < sharing { return false }
    if let size, !subject.sizes.contains(size) { return false }
    if let isCalibrated, subject.isCalibrated != isCalibrated { return false }
    if let isUnscaled, subject.hasUnscaledScores != isUnscaled { return false }
    if let isRagged, (tensor.shape.columns % 256 != 0) != isRagged { return false }
    if let isStacked, (tensor.shape.dimensions.count > 2) != isStacked { return false }
    return true
  }
}
