import Bytes
import IR

/// A model as recipes see it: its proportions, and each tensor's role and place among its like.
struct RecipeSubject {
  struct Place {
    let role: String?
    /// Of the layer, or of the tensor among those of its role.
    let index: Int
    let count: Int
  }

  let expertCount: Int
  /// Query heads per key head.
  let sharing: Int
  let sizes: Set<String>
  let isCalibrated: Bool
  /// T5: the softmax over them is sharp, and what enters the first block passes through all of them.
  let hasUnscaledScores: Bool
  private let places: [ByteString: Place]

  init(_ model: Model, roles: TensorRoles, isCalibrated: Bool) {
    self.isCalibrated = isCalibrated
    let values = model.hyperparameters
    hasUnscaledScores = values.number("attention.scale") == 1
    let experts = values.integer("expert_count") ?? 0
    expertCount = experts
    let heads = values.integer("attention.head_count") ?? 0
    let keyHeads = values.integer("attention.head_count_kv") ?? heads
    let sharing = keyHeads > 0 ? heads / keyHeads : 0
    self.sharing = sharing
    let blockCount = values.integer("block_count") ?? 0
    sizes = Set(
      roles.sizes.filter {
        $0.families.contains(model.family) && $0.blockCount == blockCount && $0.sharing <= sharing
      }.map(\.name))

    let headIsTied = model["output.weight"] == nil
    let tensors = model.tensors.map(\.name).filter(roles.allowsPacking).map { name in
      (name: name, layer: Self.layer(of: name), role: roles.role(of: name))
    }
    let counts = Dictionary(tensors.compactMap { $0.role?.name }.map { ($0, 1) }, uniquingKeysWith: +)
    var next: [String: Int] = [:]
    var places: [ByteString: Place] = [:]
    // llama-quantize counts in this order, whatever the file's.
    for tensor in tensors.sorted(by: { ($0.layer ?? -1, $0.name) < ($1.layer ?? -1, $1.name) }) {
      guard let role = tensor.role else { continue }
      let ordinal = next[role.name, default: 0]
      next[role.name] = ordinal + 1
      let isHead = role.name == "embedding" && headIsTied
      if role.countsTensors {
        places[tensor.name] = Place(role: role.name, index: ordinal, count: counts[role.name] ?? 0)
      } else {
        // With experts a layer has several tensors of a role, and shared experts have their own.
        let index = experts > 1 ? tensor.layer ?? 0 : ordinal
        places[tensor.name] = Place(role: isHead ? "head" : role.name, index: index, count: blockCount)
      }
    }
    self.places = places
  }

  subscript(name: ByteString) -> Place { places[name] ?? Place(role: nil, index: 0, count: 0) }

  /// 3 of `blk.3.attn_q.weight`.
  private static func layer(of name: ByteString) -> Int? {
    let parts = name.text.split(separator: ".", maxSplits: 2)
    return parts.count == 3 && parts[0] == "blk" ? Int(parts[1]) : nil
  }
}
