import Archives
import Bytes

/// Finds the weights in what a training script saved: a dictionary of tensors, one inside others, or the modules of a
/// TorchScript archive.
struct PyTorchSearch {
  private let graph: PickleGraph
  private let wholeTensors: Set<ByteString>
  /// Steps left: nodes may be shared and form cycles.
  private var budget: Int

  struct Found {
    /// Under the names they get; nil where a key is neither text nor a number.
    var members: [(name: ByteString?, value: Int)] = []
    /// Keys of the root that were left alone.
    var ignored: [ByteString] = []
  }

  /// Where training scripts keep the weights, in order of preference.
  private static let usualNames: [ByteString] = [
    "state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "params", "weights",
  ]
  /// Parts of a key that tell training state, which repeats the weights' shapes.
  private static let trainingState = ["optim", "sched", "scaler", "adam", "momentum", "grad", "_ema", "ema_", "rng"]

  init(_ graph: PickleGraph, wholeTensors: Set<ByteString>, limit: Int) {
    self.graph = graph
    self.wholeTensors = wholeTensors
    budget = limit
  }

  mutating func weights() -> Found? {
    if isModule(graph.root) {
      let members = tensors(in: graph.root, prefix: [], depth: 0)
      return members.isEmpty ? nil : Found(members: members)
    }
    guard let root = graph.members(graph.root) else { return nil }
    if root.contains(where: { tensorCall($0.value, depth: 0) != nil }) { return Found(members: flattened(root)) }
    var candidates: [(name: ByteString, value: Int)] = []
    for (key, value) in root {
      guard let name = graph.text(key), !tensors(in: value, prefix: [], depth: 0).isEmpty,
        !Self.trainingState.contains(where: { name.text.lowercased().contains($0) })
      else { continue }
      candidates.append((name, value))
    }
    let chosen =
      Self.usualNames.lazy.compactMap { wanted in candidates.first { $0.name == wanted } }.first
      ?? (candidates.count == 1 ? candidates.first : nil)
    let keys = root.compactMap { graph.text($0.key) }
    if let chosen {
      let members = graph.members(chosen.value) ?? []
      let direct = members.contains { tensorCall($0.value, depth: 0) != nil }
      return Found(
        members: direct ? flattened(members) : tensors(in: chosen.value, prefix: [], depth: 0),
        ignored: keys.filter { $0 != chosen.name })
    }
    guard !candidates.isEmpty else { return nil }
    // Several networks side by side: each under its own name.
    let names = Set(candidates.map(\.name))
    return Found(
      members: candidates.flatMap { tensors(in: $0.value, prefix: $0.name.bytes + [UInt8(ascii: ".")], depth: 0) },
      ignored: keys.filter { !names.contains($0) })
  }

  /// A dictionary's members, those of dictionaries of tensors inside it under dotted names.
  private mutating func flattened(_ members: [(key: Int, value: Int)]) -> [(name: ByteString?, value: Int)] {
    var result: [(name: ByteString?, value: Int)] = []
    for (key, value) in members {
      let name = self.name(of: key)
      if tensorCall(value, depth: 0) == nil, let name, graph.members(value) != nil {
        let inner = tensors(in: value, prefix: name.bytes + [UInt8(ascii: ".")], depth: 1)
        if !inner.isEmpty {
          result += inner
          continue
        }
      }
      result.append((name, value))
    }
    return result
  }

  /// Every tensor below a node, under the path to it.
  private mutating func tensors(in id: Int, prefix: [UInt8], depth: Int) -> [(name: ByteString?, value: Int)] {
    guard depth < 64, budget > 0 else { return [] }
    budget -= 1
    var result: [(name: ByteString?, value: Int)] = []
    for (key, value) in graph.members(id) ?? moduleMembers(id) ?? [] {
      guard budget > 0 else { break }
      budget -= 1
      let name = self.name(of: key)
      if tensorCall(value, depth: 0) != nil {
        result.append((name.map { ByteString(bytes: prefix + $0.bytes) }, value))
      } else if let name {
        result += tensors(in: value, prefix: prefix + name.bytes + [UInt8(ascii: ".")], depth: depth + 1)
      }
    }
    return result
  }

  private func name(of key: Int) -> ByteString? {
    graph.text(key) ?? graph.integer(key).map { ByteString(String($0)) }
  }

  /// Whether a node is an instance of one of TorchScript's classes.
  func isModule(_ id: Int) -> Bool { moduleMembers(id) != nil }

  /// The attributes of such an instance.
  private func moduleMembers(_ id: Int) -> [(key: Int, value: Int)]? {
    guard case .object(let object) = graph[id], let state = object.state,
      graph.global(object.callable)?.hasPrefix("__torch__.") == true
    else { return nil }
    return graph.members(state)
  }

  /// What to rebuild a tensor from, through the wrappers of parameters; nil for anything else.
  func tensorCall(_ id: Int, depth: Int) -> (callable: String, arguments: [Int])? {
    if case .persistent(let key) = graph[id], let name = PyTorchTar.key(key, of: graph), wholeTensors.contains(name) {
      return (PyTorchTar.tensorCallable, [key])
    }
    guard depth < 8, let call = graph.call(id) else { return nil }
    switch call.callable {
    case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3":
      return call
    case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
      "torch.nn.parameter.Parameter":
      return call.arguments.first.flatMap { tensorCall($0, depth: depth + 1) }
    case "torch._tensor._rebuild_from_type_v2":
      guard call.arguments.count >= 3, let callable = graph.global(call.arguments[0]),
        callable.hasPrefix("torch._utils._rebuild_tensor"), let arguments = graph.tuple(call.arguments[2])
      else { return nil }
      return (callable, arguments)
    default: return nil
    }
  }
}
